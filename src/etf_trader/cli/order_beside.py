"""What happened to other orders while a command worked one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from etf_trader.cli.numbers import few_digits, unit_count
from etf_trader.money import ZERO

if TYPE_CHECKING:
    from decimal import Decimal

    from etf_trader.bootstrap import Services
    from etf_trader.events import Event


class Beside:
    """Hears which orders but one got units, or gave some: in one process all open orders are worked."""

    def __init__(self, order: int) -> None:
        self._order = order
        self._units: dict[int, Decimal] = {}

    def __call__(self, event: Event) -> None:
        from etf_trader.events import BatchSettled

        if isinstance(event, BatchSettled) and event.order != self._order and event.units:
            self._units[event.order] = self._units.get(event.order, ZERO) + event.units

    def sentences(self, opened: Services) -> list[str]:
        """Return a sentence for each of these orders, by number."""
        from etf_trader.index.store import index_by_id
        from etf_trader.orders.store import index_order

        found = []
        with opened.database.read() as connection:
            for number, units in sorted(self._units.items()):
                order = index_order(connection, number)
                done = "bought" if order.side.sign > 0 else "sold"
                symbol = index_by_id(connection, order.index_id).symbol
                far = f"{few_digits(order.filled)} of {few_digits(order.quantity)} in all"
                found.append(f"Order {number} {done} {unit_count(units)} of {symbol} meanwhile: {far}.")
        return found
