"""What a dry run of a rebalance tells of the open orders that would trade with it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from etf_trader.cli.numbers import money
from etf_trader.cli.output import Page

if TYPE_CHECKING:
    from etf_trader.bootstrap import Services
    from etf_trader.rebalance.beside import BesideOrders
    from etf_trader.rebalance.previewing import RebalancePreview


def look_beside(opened: Services, found: RebalancePreview) -> BesideOrders | None:
    """Return what a rebalance would trade with the open orders now; None: nothing."""
    from etf_trader.bootstrap import execution_settings
    from etf_trader.cli.services import in_loop
    from etf_trader.rebalance.beside import beside_orders

    chosen = execution_settings(opened.settings)
    return in_loop(beside_orders(opened.database, opened.venue, opened.clock, opened.account, chosen, found))


def beside_document(beside: BesideOrders | None) -> dict[str, Any]:
    """Return who trades with it, in plain values; the plan of both takes the place of the one alone."""
    if beside is None:
        return {"beside": None}
    told = {"orders": list(beside.orders), "held": list(beside.held), "saving": beside.saving}
    return {"beside": told, "plan": beside.plan, "market": beside.market}


def draw_beside(page: Page, beside: BesideOrders | None, quote: str) -> None:
    """Draw what trading with the open orders saves, and who waits for a later wave."""
    if beside is None:
        return
    if beside.orders:
        page.line(
            f"Its first wave trades in one batch with {_named(beside.orders)}: "
            f"both together pay {money(beside.saving)} {quote} less."
        )
    if beside.held:
        waits = "wait" if len(beside.held) > 1 else "waits"
        sells = "they sell" if len(beside.held) > 1 else "it sells"
        page.line(f"{_named(beside.held).capitalize()} {waits} for the next wave, which buys what {sells}.")


def _named(orders: tuple[int, ...]) -> str:
    """Return orders as a sentence names them."""
    from etf_trader.cli.certificates import joined_numbers

    return f"order{'s' if len(orders) > 1 else ''} {joined_numbers(orders)}"
