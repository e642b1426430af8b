"""Reads the books that indices trade on."""

from collections.abc import Iterable, Mapping

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
    require_listed(basket, known)
    return await look_at_all(venue, [basket], depth, known)


async def look_at_all(
    venue: Venue, baskets: Iterable[Basket], depth: int, rules: Mapping[str, SymbolRule]
) -> MarketView:
    """Read, at one moment, the books of every constituent of several indices that the venue lists."""
    symbols = sorted({symbol for basket in baskets for symbol in basket.symbols.values() if symbol in rules})
    return MarketView(await venue.books(symbols, depth), {symbol: rules[symbol] for symbol in symbols})


def require_listed(basket: Basket, rules: Mapping[str, SymbolRule]) -> None:
    """Check that the venue has a market for every constituent.

    Raises:
        MissingPrice: it has none; names the asset.
    """
    for asset, symbol in basket.symbols.items():
        if symbol not in rules:
            raise MissingPrice(
                f"{asset} has no market {symbol} at the venue",
                where=symbol,
                hint="etf order list shows what waits for it",
            )
