"""Why a stuck order still holds what it holds. Pure."""

from decimal import Decimal
from enum import StrEnum
from typing import NamedTuple

from etf_trader.errors import DataError
from etf_trader.execution.planning import MarketView, settlement_bounds
from etf_trader.execution.state import OrderState
from etf_trader.execution.unwinding import Markets, Rules
from etf_trader.money import ZERO
from etf_trader.orders.status import Shortfall


class Why(StrEnum):
    """Why something is kept."""

    WISH = "wish"  # --on-shortfall hold
    DELISTED = "delisted"
    HALTED = "halted"
    PRICE = "price"  # a side of the book is empty, or it could not be read
    FLOAT = "float"  # too small to be sold, and the float cannot pay for it
    NEXT = "next"  # it can be sold: the next command that trades does it


class Kept(NamedTuple):
    """What a stuck order holds of an asset, and why; `symbol` is its market in the index's quote."""

    asset: str
    quantity: Decimal
    symbol: str
    why: Why


def kept_by(state: OrderState, rules: Rules, markets: Markets, view: MarketView | None) -> list[Kept]:
    """Return what a stuck order holds, and why that could not be traded; without a view no book was read."""
    is_wish = state.order.on_shortfall is Shortfall.HOLD and state.order.cancel_requested_at is None
    return [
        Kept(asset, quantity, symbol, Why.WISH if is_wish else _why(asset, quantity, symbol, rules, markets, view))
        for asset, symbol in sorted(state.markets.items())
        if (quantity := state.held.get(asset, ZERO))
    ]


def _why(
    asset: str, quantity: Decimal, symbol: str, rules: Rules, markets: Markets, view: MarketView | None
) -> Why:
    trading = markets.by_asset[asset]
    if not trading:
        return Why.HALTED if symbol in rules else Why.DELISTED
    if view is None:
        return Why.PRICE
    for each in trading:
        try:
            if quantity > settlement_bounds({asset: each}, view)[asset]:
                return Why.NEXT
        except DataError:
            continue
        return Why.FLOAT
    return Why.PRICE
