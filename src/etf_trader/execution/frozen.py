"""Constituents that cannot be traded now: halted, or gone from the venue. Pure.

Units cannot be made while one is: a unit is a whole basket. Who sells is paid
for the rest; his part of what is frozen leaves the index with the other assets,
and his order keeps it until its market opens.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from etf_trader.errors import DataError, NotListed, NotTrading
from etf_trader.execution.state import OrderState
from etf_trader.index.store import Basket
from etf_trader.market.symbol import Side, SymbolRule


@dataclass(frozen=True, slots=True)
class Frozen:
    """A constituent that does not trade; `status` is what the venue says of its market, "" when it has none."""

    asset: str
    symbol: str
    status: str

    @property
    def sentence(self) -> str:
        """What is the matter with it."""
        if not self.status:
            return f"{self.asset} has no market {self.symbol} at the venue"
        return f"{self.symbol} does not trade now (the venue says {self.status})"


def frozen_of(basket: Basket, rules: Mapping[str, SymbolRule]) -> list[Frozen]:
    """Return the constituents of a basket that cannot be traded now."""
    return [
        Frozen(asset, symbol, rules[symbol].status if symbol in rules else "")
        for asset, symbol in sorted(basket.symbols.items())
        if symbol not in rules or not rules[symbol].is_trading
    ]


def without_frozen(basket: Basket, rules: Mapping[str, SymbolRule]) -> Basket:
    """Return what of a basket can be traded now; the basket itself where nothing is frozen, or everything is."""
    out = {each.asset for each in frozen_of(basket, rules)}
    if not out or out == basket.quantities.keys():
        return basket
    return replace(
        basket,
        quantities={asset: quantity for asset, quantity in basket.quantities.items() if asset not in out},
        symbols={asset: symbol for asset, symbol in basket.symbols.items() if asset not in out},
    )


def tradable(basket: Basket, side: Side, rules: Mapping[str, SymbolRule]) -> Basket:
    """Return what an order of a side trades of each unit: a sell what there is a market for, a buy all of it."""
    return without_frozen(basket, rules) if side is Side.SELL else basket


def tradable_state(state: OrderState, rules: Mapping[str, SymbolRule]) -> OrderState:
    """Return an order as it is planned: of what it trades of each unit."""
    return replace(state, basket=tradable(state.basket, state.order.side, rules))


def require_creatable(basket: Basket, rules: Mapping[str, SymbolRule]) -> None:
    """Refuse to make units while a constituent is frozen.

    Raises:
        NotListed, NotTrading: one is; says what can be done.
    """
    for each in frozen_of(basket, rules):
        kind: type[DataError] = NotTrading if each.status else NotListed
        raise kind(
            f"{each.sentence}: no units can be made without {each.asset}",
            where=each.symbol,
            hint="units can be sold: that pays the rest and keeps the claim; etf index show tells what is held",
        )
