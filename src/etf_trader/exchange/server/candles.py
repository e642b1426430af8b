"""Candles of every interval that Binance has from a minute on, put together from those that the exchange keeps."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import groupby

from etf_trader.exchange.paper import PaperExchange
from etf_trader.exchange.refusal import ExchangeError
from etf_trader.exchange.views import KlineView
from etf_trader.money import ZERO, money_context

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MONDAY = datetime(1970, 1, 5, tzinfo=UTC)
_UNITS = {"m": 60, "h": 3600, "d": 86_400, "w": 7 * 86_400}
_KEPT = (86_400, 3600, 60)
MOST = 1000


def start_of(interval: str, at: datetime) -> datetime:
    """Return where the candle of `interval` opens that has `at` in it.

    Raises:
        ExchangeError: -1120, there are no candles of that length.
    """
    if interval == "1M":
        return at.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    first = _MONDAY if interval == "1w" else _EPOCH
    return at - (at - first) % _length(interval)


def end_of(interval: str, opened: datetime) -> datetime:
    """Return where the candle of `interval` that opened then ends, and the next one opens."""
    if interval == "1M":
        return (opened + timedelta(days=32)).replace(day=1)
    return opened + _length(interval)


def candles(
    exchange: PaperExchange, symbol: str, interval: str, start: datetime, end: datetime, most: int = MOST
) -> tuple[KlineView, ...]:
    """Return the candles that open in [start, end] and not after now, oldest first, at most `most`.

    Raises:
        ExchangeError: -1121, there is no such symbol; -1120, no such interval.
    """
    found: list[KlineView] = []
    opened = start_of(interval, start)
    rows = _parts(exchange, symbol, interval, opened if opened == start else end_of(interval, opened), end)
    with money_context():
        for at, parts in groupby(rows, key=lambda row: start_of(interval, row.at)):
            if len(found) == most:
                break
            found.append(_joined(at, list(parts)))
    return tuple(found)


def _parts(
    exchange: PaperExchange, symbol: str, interval: str, start: datetime, end: datetime
) -> Iterator[KlineView]:
    """Yield the kept candles of every candle that opens in [start, end]."""
    if start > end:
        return
    end = end_of(interval, start_of(interval, end))
    length = 86_400 if interval == "1M" else int(_length(interval).total_seconds())
    seconds = next(each for each in _KEPT if length % each == 0)
    while rows := exchange.klines(symbol, seconds, start, end):
        yield from rows
        start = rows[-1].at + timedelta(seconds=seconds)


def _joined(at: datetime, parts: list[KlineView]) -> KlineView:
    return KlineView(
        symbol=parts[0].symbol,
        at=at,
        open=parts[0].open,
        high=max(each.high for each in parts),
        low=min(each.low for each in parts),
        close=parts[-1].close,
        volume=sum((each.volume for each in parts), ZERO),
        quote_volume=sum((each.quote_volume for each in parts), ZERO),
    )


def _length(interval: str) -> timedelta:
    number, unit = interval[:-1], interval[-1:]
    if unit not in _UNITS or not number.isdecimal() or int(number) < 1:
        raise ExchangeError(-1120, "Invalid interval.")
    return timedelta(seconds=int(number) * _UNITS[unit])
