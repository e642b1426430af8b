"""What was known at the end of each day: prices, markets, market caps. Nothing later is ever told.

A coin with candles is traded on these: from the first on, and until they end. Before
its first candle, and for coins without any, the table of market caps gives the price,
which is good until its next day. With candles only, a coin without them has no market.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from enum import StrEnum

import numpy as np

from etf_trader.backtest.candles import Candles, Floats, fill_from
from etf_trader.backtest.listing import Listing
from etf_trader.errors import MissingPrice
from etf_trader.index.caps import CapRow, CapTable
from etf_trader.index.determination import Choice, Determination
from etf_trader.index.weighting import daily_returns
from etf_trader.market.book import OrderBook
from etf_trader.market.symbol import SymbolRule

MOST_BOOKS = 5_000
"""So many books are remembered for the next run of a grid."""

RANKED_BY_DAYS = 30
"""Without market caps coins rank by what was traded in so many days."""


class Source(StrEnum):
    """Where a price comes from."""

    CANDLES = "candles"
    CAPS = "caps"


@dataclass(slots=True)
class Sheet:
    """What was chosen and determined, and the books that were made: the same for every run that asks the same."""

    choices: dict[tuple[object, ...], Choice]
    determinations: dict[tuple[object, ...], Determination]
    books: dict[tuple[object, ...], tuple[OrderBook, SymbolRule]]


class History:
    """Past prices of a folder of candles and a table of market caps, day by day.

    Args:
        candles: By asset.
        table: Market caps with prices; None without.
        candles_only: Whether coins without candles are left out: what is left are those that survived.
    """

    def __init__(
        self, candles: Mapping[str, Candles], table: CapTable | None = None, *, candles_only: bool = False
    ) -> None:
        self.candles = candles
        self.table = table
        self.candles_only = candles_only
        self.listing = Listing(table) if table is not None else None
        self.memory = Sheet({}, {}, {})
        self._trading: dict[int, Mapping[str, bool]] = {}
        self._ranks: dict[int, Mapping[str, int]] = {}
        self._series: dict[tuple[str, int, int], Floats] = {}

    @property
    def last_day(self) -> int:
        """The last day of which anything is known."""
        lasts = [max(each.last for each in self.candles.values())] if self.candles else []
        return max([*lasts, *(self.listing.days[-1:] if self.listing is not None and not lasts else [])])

    @property
    def first_day(self) -> int:
        """The first day of which anything is known."""
        firsts = [each.first for each in self.candles.values()]
        return min([*firsts, *(self.listing.days[:1] if self.listing is not None else [])])

    def rows(self, day: int) -> Sequence[CapRow]:
        """Return the market caps that are known at the end of `day`.

        Raises:
            DataError: there are none, or they are older than a week.
        """
        assert self.table is not None
        return self.table.known_on(date.fromordinal(day))

    def source(self, asset: str, day: int) -> Source | None:
        """Return where the price of a coin on `day` comes from; None: it has none yet."""
        candles = self.candles.get(asset)
        if candles is not None and candles.first <= day:
            return Source.CANDLES
        if self.listing is None or self.candles_only or self.listing.quote(asset, day) is None:
            return None
        return Source.CAPS

    def price(self, asset: str, day: int) -> Decimal:
        """Return the last price of a coin that is known at the end of `day`.

        Raises:
            MissingPrice: there is none.
        """
        return self.last_price(asset, day)[1]

    def last_price(self, asset: str, day: int) -> tuple[int, Decimal]:
        """Return the last price of a coin that is known at the end of `day`, after the day that it is of.

        Raises:
            MissingPrice: there is none.
        """
        source = self.source(asset, day)
        if source is Source.CANDLES:
            candles = self.candles[asset]
            on, price = candles.last_before(day), candles.price(day)
            if on is not None and price is not None:
                return on, price
        elif source is Source.CAPS and self.listing is not None:
            quote = self.listing.quote(asset, day)
            if quote is not None:
                return quote.day, quote.price
        raise MissingPrice(f"{asset} has no price on {date.fromordinal(day)}", where=asset)

    def trades(self, asset: str, day: int) -> bool:
        """Return whether a coin has a market at the end of `day`."""
        source = self.source(asset, day)
        if source is Source.CANDLES:
            return self.candles[asset].trades_on(day)
        if source is None or self.listing is None:
            return False
        quote = self.listing.quote(asset, day)
        return quote is not None and not quote.left

    def trading(self, day: int, assets: Iterable[str]) -> Mapping[str, bool]:
        """Return which of these coins have a market at the end of `day`."""
        if day not in self._trading:
            self._trading[day] = {asset: True for asset in assets if self.trades(asset, day)}
        return self._trading[day]

    def gone_between(self, asset: str, start: int, end: int) -> int | None:
        """Return the first day after `start` and up to `end` at whose end a coin is known to have no market."""
        candles = self.candles.get(asset)
        if candles is not None and candles.first <= end:
            return candles.ended_between(start, end)
        return self.listing.left_between(asset, start, end) if self.listing is not None else None

    def rank(self, asset: str, day: int) -> int:
        """Return how large a coin is on `day`, from 1; one that is not ranked comes after all that are."""
        if day not in self._ranks:
            self._ranks[day] = self._rank_all(day)
        ranks = self._ranks[day]
        return ranks.get(asset, len(ranks) + 1)

    def _rank_all(self, day: int) -> Mapping[str, int]:
        if self.listing is not None:
            past = [each for each in self.listing.days if each <= day]
            if past:
                ranks: dict[str, int] = {}
                for row in self.listing.table.days[date.fromordinal(past[-1])]:
                    ranks.setdefault(row.symbol, len(ranks) + 1)
                return ranks
        traded = {
            asset: each.value_traded(day, RANKED_BY_DAYS)
            for asset, each in self.candles.items()
            if each.first <= day
        }
        return {asset: place for place, asset in enumerate(sorted(traded, key=lambda a: (-traded[a], a)), start=1)}

    def returns(self, assets: Sequence[str], day: int, days: int) -> dict[str, Floats]:
        """Return the daily returns of coins over the last `days` days up to `day`, the same days for all.

        Of a coin with fewer than three candles in these days there are none.
        """
        closes: dict[str, dict[int, float]] = {}
        for asset in assets:
            candles = self.candles.get(asset)
            if candles is None:
                closes[asset] = {}
                continue
            known = candles.up_to(day)
            first = max(known - days - 1, 0)
            values = candles.closes()[first:known].tolist()
            closes[asset] = {
                each: value
                for each, value in zip(candles.days[first:known], values, strict=True)
                if each >= day - days
            }
        return daily_returns(closes)

    def series(self, asset: str, start: int, end: int) -> Floats:
        """Return the price of a coin on each day from `start` to `end`, shape (days,): the last one known."""
        key = (asset, start, end)
        if key not in self._series:
            self._series[key] = self._filled(asset, start, end)
        return self._series[key]

    def _filled(self, asset: str, start: int, end: int) -> Floats:
        values = np.full(end - start + 1, np.nan)
        if self.listing is not None and not self.candles_only:
            values = self.listing.prices(asset, start, end)
        candles = self.candles.get(asset)
        if candles is None or candles.first > end:
            return values
        return fill_from(values, candles.days, candles.closes(), start)
