"""Candles of every interval that Binance has, joined from those of the exchange."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from etf_trader.exchange.paper import PaperExchange
from etf_trader.exchange.refusal import ExchangeError
from etf_trader.exchange.server.parameters import EPOCH
from etf_trader.exchange.views import KlineView

SECOND, MINUTE, HOUR, DAY = 1, 60, 3600, 86_400
MONDAY = datetime(1970, 1, 5, tzinfo=UTC)
INTERVALS = {
    "1s": SECOND,
    "1m": MINUTE,
    "3m": 3 * MINUTE,
    "5m": 5 * MINUTE,
    "15m": 15 * MINUTE,
    "30m": 30 * MINUTE,
    "1h": HOUR,
    "2h": 2 * HOUR,
    "4h": 4 * HOUR,
    "6h": 6 * HOUR,
    "8h": 8 * HOUR,
    "12h": 12 * HOUR,
    "1d": DAY,
    "3d": 3 * DAY,
    "1w": 7 * DAY,
}
"""Seconds by name; a month, "1M", has no fixed number."""
MONTH = "1M"


@dataclass(frozen=True, slots=True)
class Interval:
    """How long candles are, and where they stand; `seconds` is 0 for a month."""

    seconds: int

    @classmethod
    def named(cls, name: str) -> "Interval":
        """Return the interval of a name.

        Raises:
            ExchangeError: -1120, there is none.
        """
        if name == MONTH:
            return cls(0)
        if name not in INTERVALS:
            raise ExchangeError(-1120, "Invalid interval.")
        return cls(INTERVALS[name])

    @property
    def part(self) -> int:
        """The longest candles of the exchange that these are joined from, in seconds."""
        return next(each for each in (DAY, HOUR, MINUTE, SECOND) if self.seconds % each == 0)

    def opening(self, at: datetime) -> datetime:
        """Return when the candle that `at` lies in opened."""
        if not self.seconds:
            return at.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
        origin = MONDAY if self.seconds == INTERVALS["1w"] else EPOCH
        return at - (at - origin) % timedelta(seconds=self.seconds)

    def after(self, opened: datetime, count: int = 1) -> datetime:
        """Return when the candle that is `count` later opens; earlier ones where it is negative."""
        if self.seconds:
            return opened + count * timedelta(seconds=self.seconds)
        months = opened.year * 12 + opened.month - 1 + count
        return opened.replace(year=months // 12, month=months % 12 + 1)


def candles(
    exchange: PaperExchange, symbol: str, interval: Interval, start: datetime, end: datetime, limit: int
) -> list[KlineView]:
    """Return at most `limit` candles that open in [start, end), oldest first; the last may be running."""
    found: list[KlineView] = []
    for part in _parts(exchange, symbol, interval, start, end):
        opened = interval.opening(part.at)
        if opened < start:
            continue
        if found and found[-1].at == opened:
            found[-1] = _joined(found[-1], part)
        elif len(found) == limit:
            break
        else:
            found.append(part._replace(at=opened))
    return found


def _parts(
    exchange: PaperExchange, symbol: str, interval: Interval, start: datetime, end: datetime
) -> Iterator[KlineView]:
    length = timedelta(seconds=interval.part)
    if end > start:
        end = interval.after(interval.opening(end - timedelta.resolution))
    while rows := exchange.klines(symbol, interval.part, start, end, on_grid=True):
        yield from rows
        start = rows[-1].at + length


def _joined(first: KlineView, then: KlineView) -> KlineView:
    return first._replace(
        high=max(first.high, then.high),
        low=min(first.low, then.low),
        close=then.close,
        volume=first.volume + then.volume,
        quote_volume=first.quote_volume + then.quote_volume,
        first_id=then.first_id if first.first_id < 0 else first.first_id,
        last_id=max(first.last_id, then.last_id),
    )
