"""What was traded: candles and volumes, of the market's own trades and those of accounts."""

from bisect import bisect_left
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import cache
from itertools import islice

from sqlalchemy import ColumnElement, Connection, func, select

from etf_trader.exchange import tables
from etf_trader.exchange.market import Market
from etf_trader.exchange.refusal import ExchangeError
from etf_trader.exchange.views import KlineView, VolumeView
from etf_trader.money import ZERO, divide

INTERVALS = (1, 60, 3600, 86_400)
MOST_ROWS = 1000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_PARTS = 3
"""Prices are looked at where a candle opens and closes, and where these parts of it meet."""
_GRID = Decimal("1e-8")


def klines(
    connection: Connection,
    market: Market,
    symbol: str,
    seconds: int,
    start: datetime,
    end: datetime,
    now: datetime,
) -> tuple[KlineView, ...]:
    """Return the candles that open in [start, end) and not after `now`, oldest first, at most 1000.

    Prices are mids of the market's books, looked at a few times in each candle; a
    candle without any price is left out. The running one is as it stands `now`.

    Raises:
        ExchangeError: -1120, there are no candles of that length.
    """
    if seconds not in INTERVALS:
        raise ExchangeError(-1120, "Invalid interval.")
    mid = cache(lambda at: market.mid(symbol, at))
    length = timedelta(seconds=seconds)
    rows = (
        row
        for opened in _openings(length, start, min(end, now + timedelta.resolution), market.since)
        if (row := _kline(market, mid, symbol, opened, length, now)) is not None
    )
    found = list(islice(rows, MOST_ROWS))
    return tuple(_with_trades(connection, market, symbol, found, length, now)) if found else ()


def volume(
    connection: Connection, market: Market, account: str, symbol: str, start: datetime, end: datetime
) -> VolumeView:
    """Return what was traded in [start, end), and what `account` traded of it."""
    column = tables.trade.c
    between = (column.symbol == symbol, column.at >= start, column.at < end)
    traded = sum((quantity for _, quantity, _ in _trades(connection, *between)), ZERO)
    own = sum((quantity for _, quantity, _ in _trades(connection, *between, column.account == account)), ZERO)
    return VolumeView(market.traded(symbol, start, end) + traded, own)


def _openings(length: timedelta, start: datetime, end: datetime, since: datetime | None) -> Iterator[datetime]:
    if since is not None:
        start = max(start, since - (since - _EPOCH) % length)
    opened = start + (_EPOCH - start) % length
    while opened < end:
        yield opened
        opened += length


def _kline(
    market: Market,
    mid: Callable[[datetime], Decimal | None],
    symbol: str,
    opened: datetime,
    length: timedelta,
    now: datetime,
) -> KlineView | None:
    first, last = opened, min(opened + length, now)
    if market.since is not None:
        first = min(max(first, market.since), last)
    looked = [mid(first + (last - first) * part / _PARTS) for part in range(_PARTS + 1)]
    prices = [price for price in looked if price is not None]
    if not prices:
        return None
    traded = market.traded(symbol, opened, last)
    value = divide(traded * sum(prices), Decimal(len(prices)), _GRID)
    return KlineView(symbol, opened, prices[0], max(prices), min(prices), prices[-1], traded, value)


def _with_trades(
    connection: Connection,
    market: Market,
    symbol: str,
    rows: list[KlineView],
    length: timedelta,
    now: datetime,
) -> Iterator[KlineView]:
    """Add to the rows what accounts traded in them, and which trades of the tape are theirs."""
    column = tables.trade.c
    quantities: dict[datetime, Decimal] = {}
    values: dict[datetime, Decimal] = {}
    span = (column.at >= rows[0].at, column.at < rows[-1].at + length)
    before = select(func.max(column.trade_id)).where(column.symbol == symbol, column.at < rows[0].at)
    traded = connection.scalar(before) or 0
    found = sorted(_trades(connection, column.symbol == symbol, *span))
    times = [at for at, _, _ in found]
    for at, quantity, value in found:
        opened = at - (at - _EPOCH) % length
        quantities[opened] = quantities.get(opened, ZERO) + quantity
        values[opened] = values.get(opened, ZERO) + value
    for row in rows:
        volume = row.volume + quantities.get(row.at, ZERO)
        value = row.quote_volume + values.get(row.at, ZERO)
        ends = row.at + length
        first = market.printed(symbol, row.at) + traded + bisect_left(times, row.at) + 1
        last = market.printed(symbol, min(ends, now)) + traded + bisect_left(times, ends)
        if not volume or last < first:
            first = last = -1
        yield row._replace(volume=volume, quote_volume=value, first_id=first, last_id=last)


def _trades(
    connection: Connection, *conditions: ColumnElement[bool]
) -> Iterator[tuple[datetime, Decimal, Decimal]]:
    """Yield time, quantity and value of each trade once, also where both sides of it are accounts."""
    column = tables.trade.c
    query = select(column.trade_id, column.at, column.quantity, column.quote_quantity).where(*conditions)
    for row in {row.trade_id: row for row in connection.execute(query)}.values():
        yield row.at, row.quantity, row.quote_quantity
