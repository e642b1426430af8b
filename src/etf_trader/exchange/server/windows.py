"""The statistics of a window of some minutes, hours or days, made of candles."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from decimal import Decimal

from etf_trader.exchange.paper import PaperExchange
from etf_trader.exchange.server.candles import HOUR, MINUTE, Interval, candles
from etf_trader.exchange.views import KlineView, TickerView
from etf_trader.money import ZERO, divide

LONG = timedelta(hours=6)
"""A window that is longer begins with an hour, others with a minute."""
MOST_CANDLES = 10_000
_GRID = Decimal("1e-8")


def interval_of(length: timedelta) -> Interval:
    """Return the candles that a window of this length is made of."""
    return Interval(MINUTE if length <= LONG else HOUR)


def window(exchange: PaperExchange, symbol: str, start: datetime, now: datetime) -> TickerView:
    """Return the statistics of a symbol from the minute, or in long windows the hour, that `start` lies in.

    Raises:
        ExchangeError: -1121, there is no such symbol.
    """
    interval = interval_of(now - start)
    opened = interval.opening(start)
    rows = candles(exchange, symbol, interval, opened, now, MOST_CANDLES)
    return summed(symbol, rows, opened, now)


def summed(symbol: str, rows: Sequence[KlineView], opened: datetime, now: datetime) -> TickerView:
    """Return the statistics of candles that adjoin, oldest first; the best prices are not theirs to tell."""
    volume = sum((row.volume for row in rows), ZERO)
    value = sum((row.quote_volume for row in rows), ZERO)
    first = next((row.first_id for row in rows if row.first_id >= 0), -1)
    last = max((row.last_id for row in rows), default=-1)
    return TickerView(
        symbol=symbol,
        opened=opened,
        closed=now,
        open=rows[0].open if rows else None,
        high=max((row.high for row in rows), default=None),
        low=min((row.low for row in rows), default=None),
        last=rows[-1].close if rows else None,
        last_quantity=ZERO,
        previous_close=None,
        average=divide(value, volume, _GRID) if volume else None,
        volume=volume,
        quote_volume=value,
        first_id=first,
        last_id=last,
        count=last - first + 1 if last >= 0 else 0,
        bid=None,
        ask=None,
    )
