"""What was planned for an order or a rebalance, what of it was sent to the venue, and what it holds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from etf_trader.cli.numbers import few_digits, local_time, money, price, quantity, short
from etf_trader.cli.output import Page, Table, bad, number, right, text
from etf_trader.money import ZERO, divide

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from etf_trader.market.symbol import SymbolRule
    from etf_trader.orders.asset_order import AssetOrder
    from etf_trader.orders.store import StoredPlan

PURPOSES = {
    "trade": "trade",
    "unwind": "trade back",
    "convert": "exchange",
    "quote": "quote",
    "wave": "wave",
}
"""What a plan was made for."""


@dataclass(frozen=True, slots=True)
class Sent:
    """The plans of an order, the asset orders it has a part of, and what it holds.

    `filled` is its own part by asset order, `held` by asset.
    """

    order: int
    plans: Sequence[StoredPlan]
    asset_orders: Sequence[AssetOrder]
    filled: Mapping[int, Decimal]
    held: Mapping[str, Decimal]

    def document(self, why: Mapping[str, str]) -> dict[str, Any]:
        """Return it as other programs read it; `why` says of what it holds why it does."""
        return {
            "plans": [_plan_document(plan) for plan in self.plans],
            "asset_orders": [
                _asset_order_document(each)
                | {"share": each.share_of(self.order), "share_filled": self.filled.get(each.id, ZERO)}
                for each in self.asset_orders
            ],
            "held": [
                {"asset": asset, "quantity": amount, "why": why.get(asset)} for asset, amount in self.held.items()
            ],
        }

    def draw(self, page: Page, rules: Mapping[str, SymbolRule], *, only_last: bool = False) -> None:
        """Draw the plans, and what was sent: all of it, or of the last plan."""
        if self.plans:
            page.line()
            page.table(_plans_table(self.plans))
        if self.asset_orders:
            page.line()
            page.table(self._table(self._last() if only_last else self.asset_orders, rules))

    def _last(self) -> list[AssetOrder]:
        """Return what was sent by the last plan."""
        own = [share for each in self.asset_orders for share in each.shares if share.index_order_id == self.order]
        last = max(share.plan_id for share in own)
        return [each for each in self.asset_orders if any(share.plan_id == last for share in each.shares)]

    def _table(self, shown: Sequence[AssetOrder], rules: Mapping[str, SymbolRule]) -> Table:
        """Return its own part of what was sent."""
        from etf_trader.cli.orders import ASSET_ORDER_STATES, REASONS

        table = Table(
            text("asset"),
            text("side", optional=3),
            number("quantity"),
            number("filled", optional=1),
            number("price", optional=4),
            number("average", optional=2),
            text("state"),
            text("why", wrap=True),
        )
        has_routes = len({each.intent.symbol for each in shown}) > len({each.intent.asset for each in shown})
        for each in shown:
            intent, rule = each.intent, rules.get(each.intent.symbol)
            done = each.executed_quantity
            average = divide(each.executed_value, done, Decimal("1e-12")) if done else None
            state = ASSET_ORDER_STATES[str(each.status)]
            is_on_tick = rule is not None and not intent.price % rule.tick  # what meets inside does so at the mid
            table.row(
                intent.symbol if has_routes else intent.asset,
                str(intent.side),
                _amount(each.share_of(self.order), rule),
                _amount(self.filled.get(each.id, ZERO), rule),
                price(intent.price, rule.tick) if rule and is_on_tick else short(intent.price),
                "-" if average is None else price(average, rule.tick / 10 if rule else Decimal("1e-8")),
                bad(state) if state == "refused" else state,
                REASONS.get(each.reason or "", each.reason or ""),
            )
        return table


def read_sent(connection: Connection, account_id: int, order: int) -> Sent:
    """Return what was planned for an order or a rebalance, and sent.

    Raises:
        NotFound: there is no such order.
    """
    from etf_trader.execution.state import fills_with_orders
    from etf_trader.ledger import accounts
    from etf_trader.ledger.repository import Ledger
    from etf_trader.orders.store import asset_orders_of, plans_of

    filled: dict[int, Decimal] = {}
    for fill, asset_order in fills_with_orders(connection, order):
        filled[asset_order.id] = filled.get(asset_order.id, ZERO) + fill.quantity
    held = Ledger(connection, account_id).holdings(accounts.order(order))
    return Sent(order, plans_of(connection, order), asset_orders_of(connection, order), filled, held)


def _plans_table(plans: Sequence[StoredPlan]) -> Table:
    table = Table(
        right("plan"),
        text("made", optional=2),
        text("what for"),
        number("units"),
        number("cost"),
        number("gap bps", optional=1),
    )
    for plan in plans:
        table.row(
            str(plan.id),
            local_time(plan.created_at),
            PURPOSES.get(plan.purpose, plan.purpose),
            few_digits(plan.units),
            money(plan.cost),
            f"{plan.gap_bps:.3f}",
        )
    return table


def _amount(value: Decimal, rule: SymbolRule | None) -> str:
    """Return a quantity in lots; a part of lots with the digits it has."""
    return quantity(value, rule.step) if rule and not value % rule.step else short(value)


def _plan_document(plan: StoredPlan) -> dict[str, Any]:
    names = ("id", "purpose", "status", "created_at", "settled_at", "units", "method", "cost", "bound", "gap_bps")
    return {name: getattr(plan, name) for name in names} | {"book_hash": plan.book_hash}


def _asset_order_document(order: AssetOrder) -> dict[str, Any]:
    intent = order.intent
    return {
        "id": order.id,
        "plan": order.plan_id,
        "client_order_id": intent.client_order_id,
        "venue_order_id": order.venue_order_id,
        "asset": intent.asset,
        "symbol": intent.symbol,
        "side": str(intent.side),
        "quantity": intent.quantity,
        "price": intent.price,
        "filled": order.executed_quantity,
        "value": order.executed_value,
        "status": str(order.status),
        "reason": order.reason,
        "sent_at": order.granted_at,
        "ended_at": order.ended_at,
    }
