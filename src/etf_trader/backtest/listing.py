"""The table of market caps as a history: what each coin was worth on the days of the table, and when it left it.

A coin is the largest of its symbol. It goes on under another name when its price
does; where it does not, or where the symbol is no longer in the table, the coin
has left. What has left the largest is worth no more than the smallest of them:
its last price, times what the smallest is capitalised at, over what it was itself.
That is the most it can be worth by what is known on that day, and keeps a coin that
collapsed from being counted at the price of its better days.
"""

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Context, Decimal

import numpy as np

from etf_trader.backtest.candles import Floats, fill_from
from etf_trader.index.caps import CapRow, CapTable

SAME_WITHIN = 4
"""A symbol whose name changes is the same coin if its price is at most so many times what it was, or a part."""

_DIGITS = Context(prec=12)


@dataclass(frozen=True, slots=True)
class Quote:
    """What a coin was worth from a day on; `left` says that it is no longer in the table."""

    day: int
    price: Decimal
    left: bool


class Listing:
    """Prices by symbol from a table of market caps, each good from its day until the next."""

    def __init__(self, table: CapTable) -> None:
        self.table = table
        self.days = [day.toordinal() for day in table.days]
        self.quotes: Mapping[str, Sequence[Quote]] = _quotes(table)
        self.first_seen: Mapping[tuple[str, str], date] = _first_seen(table)

    def quote(self, asset: str, day: int) -> Quote | None:
        """Return what is known of a coin at the end of `day`."""
        found = self.quotes.get(asset, ())
        place = bisect_right(found, day, key=lambda each: each.day)
        return found[place - 1] if place else None

    def left_between(self, asset: str, start: int, end: int) -> int | None:
        """Return the first day after `start` and up to `end` on which a coin has left the table."""
        return next(
            (each.day for each in self.quotes.get(asset, ()) if each.left and start < each.day <= end), None
        )

    def prices(self, asset: str, start: int, end: int) -> Floats:
        """Return a price for each day from `start` to `end`, shape (days,): the last one known, NaN before it."""
        values = np.full(end - start + 1, np.nan)
        found = self.quotes.get(asset, ())
        if not found:
            return values
        return fill_from(
            values, [each.day for each in found], np.array([float(each.price) for each in found]), start
        )


def _first_seen(table: CapTable) -> dict[tuple[str, str], date]:
    found: dict[tuple[str, str], date] = {}
    for day, rows in table.days.items():
        for row in rows:
            found.setdefault((row.symbol, row.name), day)
    return found


def _quotes(table: CapTable) -> dict[str, list[Quote]]:
    """Return the prices of each symbol, and where it left the table."""
    found: dict[str, list[Quote]] = {}
    before: dict[str, CapRow] = {}
    for on, rows in table.days.items():
        day, now = on.toordinal(), _largest(rows)
        for symbol, row in before.items():
            if symbol not in now or not _is_same(row, now[symbol]):
                found[symbol].append(Quote(day, _most_worth(row, rows), True))
                now.pop(symbol, None)  # another coin of that symbol is first met on the table's next day
        for symbol, row in now.items():
            assert row.price is not None
            found.setdefault(symbol, []).append(Quote(day, row.price, False))
        before = now
    return found


def _largest(rows: Sequence[CapRow]) -> dict[str, CapRow]:
    """Return the largest coin of each symbol that has a price."""
    found: dict[str, CapRow] = {}
    for row in rows:
        if row.price:
            found.setdefault(row.symbol, row)
    return found


def _is_same(before: CapRow, now: CapRow) -> bool:
    if before.name == now.name:
        return True
    assert before.price is not None and now.price is not None
    return before.price <= SAME_WITHIN * now.price and now.price <= SAME_WITHIN * before.price


def _most_worth(row: CapRow, rows: Sequence[CapRow]) -> Decimal:
    """Return what a coin that is not among `rows` can be worth at most."""
    assert row.price is not None
    smallest = rows[-1].market_cap
    if not row.market_cap or smallest >= row.market_cap:
        return row.price
    return _DIGITS.divide(row.price * smallest, row.market_cap)
