"""Reads the books that an index trades on."""

from etf_trader.errors import MissingPrice
from etf_trader.execution.planning import MarketView
from etf_trader.index.store import Basket
from etf_trader.venue.interface import Venue


async def look(venue: Venue, basket: Basket, depth: int) -> MarketView:
    """Read the books and rules of every constituent.

    Raises:
        MissingPrice: the venue does not list a constituent.
    """
    rules = await venue.rules()
    symbols = sorted(basket.symbols.values())
    for asset, symbol in basket.symbols.items():
        if symbol not in rules:
            raise MissingPrice(f"{asset} has no market {symbol} at the venue", where=symbol)
    return MarketView(await venue.books(symbols, depth), {symbol: rules[symbol] for symbol in symbols})
