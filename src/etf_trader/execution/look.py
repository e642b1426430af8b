"""Reads the books that an index trades on."""

from collections.abc import Mapping

from etf_trader.errors import MissingPrice
from etf_trader.execution.planning import MarketView
from etf_trader.index.store import Basket
from etf_trader.market.symbol import SymbolRule
from etf_trader.venue.interface import Venue


async def look(
    venue: Venue, basket: Basket, depth: int, rules: Mapping[str, SymbolRule] | None = None
) -> MarketView:
    """Read the books of every constituent, `depth` levels a side, and the rules unless they are given.

    Raises:
        MissingPrice: the venue does not list a constituent.
    """
    known = await venue.rules() if rules is None else rules
    symbols = sorted(basket.symbols.values())
    for asset, symbol in basket.symbols.items():
        if symbol not in known:
            raise MissingPrice(
                f"{asset} has no market {symbol} at the venue",
                where=symbol,
                hint="etf order list shows what waits for it",
            )
    return MarketView(await venue.books(symbols, depth), {symbol: known[symbol] for symbol in symbols})
