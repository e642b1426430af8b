"""What was traded lately, in a few numbers: the mean price of the last minutes, and the last 24 hours.

Others' trades are valued at the market's mids, on the grid of prices, where
whole minutes or hours meet; accounts' trades at their own prices.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import NamedTuple

from sqlalchemy import Connection, bindparam, select

from etf_trader.exchange import tables
from etf_trader.exchange.market import Market
from etf_trader.exchange.matching import ASK, BID
from etf_trader.exchange.public_trades import PublicTrades
from etf_trader.exchange.rules import SymbolRules, half_up
from etf_trader.exchange.trading import Trading
from etf_trader.exchange.views import TickerView
from etf_trader.money import ZERO, divide

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_GRID = Decimal("1e-8")
_MOST_REMEMBERED = 100_000
_COLUMN = tables.trade.c
_TRADES = (
    select(_COLUMN.trade_id, _COLUMN.price, _COLUMN.quantity, _COLUMN.quote_quantity)
    .where(_COLUMN.symbol == bindparam("symbol"), _COLUMN.at >= bindparam("start"), _COLUMN.at < bindparam("end"))
    .order_by(_COLUMN.sequence)
)


class Span(NamedTuple):
    """What was traded in some time: base units, their value, and the prices there were, if any."""

    volume: Decimal
    value: Decimal
    first: Decimal | None
    high: Decimal | None
    low: Decimal | None


class Lately:
    """What was traded in whole minutes and hours that are over, which never changes: remembered by process."""

    def __init__(self, market: Market) -> None:
        self._market = market
        self._spans: dict[tuple[str, datetime, datetime], Span] = {}
        self._means: dict[tuple[str, int], tuple[datetime, Decimal | None]] = {}

    def mean(self, connection: Connection, rules: SymbolRules, minutes: int, now: datetime) -> Decimal | None:
        """Return the mean price by volume of the last `minutes` whole minutes; None where nothing was traded."""
        end = _floor(now, MINUTE)
        known = self._means.get((rules.symbol, minutes))
        if known is None or known[0] != end:
            total = _sum(self._parts(connection, rules, end - minutes * MINUTE, end, MINUTE, now))
            price = divide(total.value, total.volume, _GRID) if total.volume else None
            known = self._means[rules.symbol, minutes] = end, price
        return known[1]

    def day(self, connection: Connection, rules: SymbolRules, now: datetime) -> Span:
        """Return what was traded in the 24 hours up to now, by accounts at this very moment too."""
        return _sum(self._parts(connection, rules, now - DAY, now + timedelta.resolution, HOUR, now))

    def price(self, rules: SymbolRules, at: datetime) -> Decimal | None:
        """Return the market's price at a time, on the grid of prices; None where it has none."""
        if self._market.since is not None and at < self._market.since:
            return None
        mid = self._market.mid(rules.symbol, at)
        return None if mid is None else half_up(mid, rules.tick) if rules.tick else mid

    def _parts(
        self,
        connection: Connection,
        rules: SymbolRules,
        start: datetime,
        end: datetime,
        length: timedelta,
        now: datetime,
    ) -> Iterator[Span]:
        """Yield the parts of [start, end) cut at whole lengths; whole ones that are over are remembered."""
        while start < end:
            whole = _floor(start, length) + length
            until = min(end, whole)
            key = (rules.symbol, start, until)
            span = self._spans.get(key)
            if span is None:
                span = self._look(connection, rules, start, until, min(until, now))
                if until == whole <= now and until - start == length:
                    if len(self._spans) >= _MOST_REMEMBERED:
                        self._spans.clear()
                    self._spans[key] = span
            yield span
            start = until

    def _look(
        self, connection: Connection, rules: SymbolRules, start: datetime, end: datetime, seen: datetime
    ) -> Span:
        """Return what accounts traded in [start, end) and others in [start, seen)."""
        asked = {"symbol": rules.symbol, "start": start, "end": end}
        rows = {row.trade_id: row for row in connection.execute(_TRADES, asked)}.values()
        mids = [price for at in (start, seen) if (price := self.price(rules, at)) is not None]
        others = self._market.traded(rules.symbol, start, seen) if mids else ZERO
        prices = (mids if others else []) + [row.price for row in rows]
        value = divide(others * sum(mids), Decimal(len(mids)), _GRID) if mids else ZERO
        return Span(
            others + sum((row.quantity for row in rows), ZERO),
            value + sum((row.quote_quantity for row in rows), ZERO),
            prices[0] if prices else None,
            max(prices, default=None),
            min(prices, default=None),
        )


def ticker(
    connection: Connection, lately: Lately, trading: Trading, tape: PublicTrades, now: datetime
) -> TickerView:
    """Return what was traded of a symbol in the 24 hours up to now, and the best of its book."""
    rules, opened = trading.rules, now - DAY
    span = lately.day(connection, rules, now)
    first, last = tape.before(opened) + 1, tape.last()
    newest = tape.recent(1)
    final = newest[0] if newest and newest[0].at >= opened else None
    seen = [price for price in (span.high, span.low, final.price if final else None) if price is not None]
    bids, asks = trading.book.levels(BID), trading.book.levels(ASK)
    return TickerView(
        symbol=rules.symbol,
        opened=opened,
        closed=now,
        open=span.first if span.first is not None else final.price if final else None,
        high=max(seen, default=None),
        low=min(seen, default=None),
        last=final.price if final else None,
        last_quantity=final.quantity if final else ZERO,
        previous_close=lately.price(rules, opened),
        average=divide(span.value, span.volume, _GRID) if span.volume else None,
        volume=span.volume,
        quote_volume=span.value,
        first_id=first if final else -1,
        last_id=last if final else -1,
        count=last - first + 1 if final else 0,
        bid=bids[0] if bids else None,
        ask=asks[0] if asks else None,
    )


def _sum(spans: Iterator[Span]) -> Span:
    found = list(spans)
    return Span(
        sum((span.volume for span in found), ZERO),
        sum((span.value for span in found), ZERO),
        next((span.first for span in found if span.first is not None), None),
        max((span.high for span in found if span.high is not None), default=None),
        min((span.low for span in found if span.low is not None), default=None),
    )


def _floor(at: datetime, length: timedelta) -> datetime:
    return at - (at - _EPOCH) % length
