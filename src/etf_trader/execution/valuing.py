"""Values what indices hold: books from the venue, marks and last known prices from our own rows."""

from collections.abc import Collection, Iterable, Mapping
from decimal import Decimal

from sqlalchemy import Connection

from etf_trader.database import Database
from etf_trader.errors import DataError, MissingPrice
from etf_trader.execution.frozen import frozen_of
from etf_trader.execution.look import require_listed
from etf_trader.index.benchmarks import last_known
from etf_trader.index.marks import Mark, marks_of
from etf_trader.index.prices import Price
from etf_trader.index.store import Basket
from etf_trader.index.valuation import Seen, price_of
from etf_trader.market.book import OrderBook
from etf_trader.market.symbol import SymbolRule
from etf_trader.money import ZERO
from etf_trader.venue.interface import Venue


async def see(venue: Venue, symbols: Iterable[str], rules: Mapping[str, SymbolRule]) -> dict[str, Seen]:
    """Return how these markets stand now, those that the venue lists no more among them."""
    wanted = sorted(set(symbols))
    books = await venue.books([symbol for symbol in wanted if symbol in rules], 1)
    return {symbol: _seen(rules.get(symbol), books.get(symbol)) for symbol in wanted}


def _seen(rule: SymbolRule | None, book: OrderBook | None) -> Seen:
    status = "" if rule is None else rule.status
    if book is None:
        return Seen(status, None, None)
    try:
        return Seen(status, book.mid, book.at)
    except DataError:
        return Seen(status, None, book.at)


def values(connection: Connection, basket: Basket, seen: Mapping[str, Seen]) -> dict[str, Price | None]:
    """Return what each constituent of an index is valued at; None: nobody knows."""
    marks = marks_of(connection, basket.index_id)
    silent = [asset for asset, symbol in basket.symbols.items() if seen[symbol].mid is None]
    last = last_known(connection, basket.index_id, silent) if silent else {}
    return {
        asset: price_of(seen[symbol], marks.get(asset), last.get(asset))
        for asset, symbol in basket.symbols.items()
    }


async def basket_prices(database: Database, venue: Venue, basket: Basket) -> dict[str, Price]:
    """Return what each constituent of an index is valued at now: mids, and what stands for those that are missing.

    Raises:
        NotListed, MissingPrice: a constituent has no price, as the venue has no market for it, or never had one.
    """
    rules = await venue.rules()
    seen = await see(venue, basket.symbols.values(), rules)
    with database.read() as connection:
        found = values(connection, basket, seen)
    known = {asset: price for asset, price in found.items() if price is not None}
    for asset in sorted(found.keys() - known.keys()):
        require_listed(basket, rules)
        raise MissingPrice(f"{asset} has no price, and never had one here", where=basket.symbols[asset])
    return known


async def frozen_prices(
    database: Database, venue: Venue, basket: Basket, rules: Mapping[str, SymbolRule]
) -> dict[str, Decimal]:
    """Return what the frozen constituents of a basket were worth last, or are marked at; 0 where nobody knows."""
    out = [each.asset for each in frozen_of(basket, rules)]
    seen = await see(venue, basket.symbols.values(), rules)
    with database.read() as connection:
        known = values(connection, basket, seen)
        last = last_known(connection, basket.index_id, [asset for asset in out if known[asset] is None])
    prices = {asset: known[asset] or last.get(asset) for asset in out}
    return {asset: ZERO if price is None else price.value for asset, price in prices.items()}


async def prices_now(
    venue: Venue, assets: Collection[str], quote: str, marks: Mapping[str, Mark] | None = None
) -> dict[str, Price]:
    """Return a price in `quote` for each asset that has one at the venue now, or a mark; the others are left out.

    A mid is a price while the market trades; of one that is halted it is the last
    that there was. A book with one side, or crossed, has none.
    """
    rules = await venue.rules()
    symbols = {rule.base: rule.symbol for rule in rules.values() if rule.quote == quote and rule.base in assets}
    seen = await see(venue, symbols.values(), rules)
    found = {}
    for asset in assets:
        here = seen[symbols[asset]] if asset in symbols else Seen("", None, None)
        if (price := price_of(here, (marks or {}).get(asset), None)) is not None:
            found[asset] = price
    return found
