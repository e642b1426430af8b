"""The streams of statistics: windows of an hour, of four and of a day, and mean prices."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from functools import partial

from etf_trader.exchange.refusal import ExchangeError
from etf_trader.exchange.server import stream_messages as messages
from etf_trader.exchange.server.candles import candles
from etf_trader.exchange.server.stream_feeds import Moment, Unshown, listed
from etf_trader.exchange.server.stream_messages import Payload
from etf_trader.exchange.server.stream_names import WINDOWS
from etf_trader.exchange.server.windows import MOST_CANDLES, interval_of, summed
from etf_trader.exchange.views import AverageView, KlineView, TickerView


class WindowFeed(Unshown):
    """The statistics of a window of a symbol, or in one array those of all that have changed.

    Candles that are over are remembered, the last two are looked at anew: a window
    costs as much as a candle.
    """

    books: tuple[str, ...] = ()

    def __init__(self, symbol: str | None, window: str) -> None:
        self._symbol = symbol
        self._name = window
        self._length = timedelta(hours=WINDOWS[window])
        self._interval = interval_of(self._length)
        self._rows: dict[str, list[KlineView]] = {}
        self._told: dict[str, tuple[object, ...]] = {}

    def begin(self, moment: Moment) -> None:
        """Remember how the window looks."""
        self._changed(moment)

    def standing(self, moment: Moment) -> Iterator[Payload]:
        """Yield how it looks."""
        yield from self._payloads(self._windows(moment), moment.now)

    def look(self, moment: Moment) -> Iterator[Payload]:
        """Yield what has changed in it, its mere passing apart."""
        yield from self._payloads(self._changed(moment), moment.now)

    def _windows(self, moment: Moment) -> list[TickerView]:
        symbols = [self._symbol] if self._symbol else listed(moment.exchange)
        return [found for symbol in symbols if (found := self._window(moment, symbol)) is not None]

    def _window(self, moment: Moment, symbol: str) -> TickerView | None:
        opened = self._interval.opening(moment.now - self._length)
        known = [row for row in self._rows.get(symbol, ())[:-2] if row.at >= opened]
        since = self._interval.after(known[-1].at) if known else opened
        try:
            news = candles(moment.exchange, symbol, self._interval, since, moment.now, MOST_CANDLES)
        except ExchangeError:
            return None
        self._rows[symbol] = [*known, *news]
        return summed(symbol, self._rows[symbol], opened, moment.now)

    def _changed(self, moment: Moment) -> list[TickerView]:
        changed = []
        for view in self._windows(moment):
            facts = view.open, view.high, view.low, view.last, view.volume, view.quote_volume, view.last_id
            if self._told.get(view.symbol) != facts:
                self._told[view.symbol] = facts
                changed.append(view)
        return changed

    def _payloads(self, views: list[TickerView], now: datetime) -> Iterator[Payload]:
        shape = partial(messages.window_ticker, window=self._name, now=now)
        if self._symbol is not None:
            for view in views:
                yield partial(shape, view=view)
        elif views:
            yield lambda time: [shape(time, view=view) for view in views]


class AverageFeed(Unshown):
    """The mean price of the last minutes."""

    books: tuple[str, ...] = ()

    def __init__(self, symbol: str) -> None:
        self._symbol = symbol
        self._told: AverageView | None = None

    def begin(self, moment: Moment) -> None:
        """Remember the mean price."""
        self._told = self._average(moment)

    def standing(self, moment: Moment) -> Iterator[Payload]:
        """Yield the mean price."""
        if view := self._average(moment):
            yield partial(messages.average_price, symbol=self._symbol, view=view, now=moment.now)

    def look(self, moment: Moment) -> Iterator[Payload]:
        """Yield the mean price when it has changed, or something was traded."""
        view = self._average(moment)
        if view is not None and view != self._told:
            self._told = view
            yield from self.standing(moment)

    def _average(self, moment: Moment) -> AverageView | None:
        try:
            return moment.exchange.avg_price(self._symbol)
        except ExchangeError:
            return None
