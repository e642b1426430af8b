"""Reads what constituents are worth now: mids of the venue, and where there is none nothing is made up."""

from collections.abc import Collection
from contextlib import suppress

from etf_trader.errors import DataError
from etf_trader.index.prices import LAST, MID, Price
from etf_trader.venue.interface import Venue


async def prices_now(venue: Venue, assets: Collection[str], quote: str) -> dict[str, Price]:
    """Return a price in `quote` for each asset that has one at the venue now; the others are left out.

    A mid is a price while the market trades; of one that is halted it is the last
    that there was. A book with one side, or crossed, has none.
    """
    rules = await venue.rules()
    markets = {rule.base: rule for rule in rules.values() if rule.quote == quote and rule.base in assets}
    books = await venue.books(sorted(rule.symbol for rule in markets.values()), 1) if markets else {}
    found = {}
    for asset, rule in markets.items():
        if (book := books.get(rule.symbol)) is not None:
            with suppress(DataError):
                found[asset] = Price(book.mid, MID if rule.is_trading else LAST, book.at)
    return found
