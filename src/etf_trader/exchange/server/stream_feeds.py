"""What each kind of stream tells of the exchange, from one look at it to the next.

A feed is asked at ticks and yields what has changed since it was asked last, so
that nothing between two looks is lost, however far they lie apart.
"""

from collections.abc import Iterable, Iterator
from datetime import datetime
from functools import partial
from typing import Protocol

from etf_trader.exchange.market import Depth
from etf_trader.exchange.paper import PaperExchange
from etf_trader.exchange.refusal import ExchangeError
from etf_trader.exchange.server import stream_messages as messages
from etf_trader.exchange.server import stream_names as names
from etf_trader.exchange.server.candles import Interval, candles
from etf_trader.exchange.server.stream_messages import Payload
from etf_trader.exchange.views import BookView, KlineView, PublicTradeView, TickerView
from etf_trader.money import ZERO

EVERYTHING = 1_000_000
"""As many levels as no book has."""
MOST_TRADES = MOST_CANDLES = 1000


class Moment:
    """The exchange at one tick; whatever is looked at is looked at once."""

    def __init__(self, exchange: PaperExchange, symbols: Iterable[str] = ()) -> None:
        """Take one consistent view of the books of `symbols`; one that is not listed any more has none."""
        self.exchange = exchange
        self._books = _books(exchange, sorted(set(symbols)))
        book = next(iter(self._books.values()), None)
        self.now = exchange.now() if book is None else book.at
        self._trades: dict[tuple[str, int], tuple[PublicTradeView, ...]] = {}
        self._tickers: dict[str, TickerView] = {}

    def book(self, symbol: str) -> BookView | None:
        """Return a book; None where the symbol is not listed."""
        return self._books.get(symbol)

    def trades(self, symbol: str, after: int) -> tuple[PublicTradeView, ...]:
        """Return the trades with ids above `after`, at most 1000, oldest first."""
        key = symbol, after
        if key not in self._trades:
            try:
                self._trades[key] = self.exchange.recent_trades(symbol, MOST_TRADES, after + 1)
            except ExchangeError:
                self._trades[key] = ()
        return self._trades[key]

    def ticker(self, symbol: str) -> TickerView | None:
        """Return the last 24 hours; None where the symbol is not listed."""
        if symbol not in self._tickers:
            try:
                self._tickers[symbol] = self.exchange.ticker(symbol)
            except ExchangeError:
                return None
        return self._tickers[symbol]


class Feed(Protocol):
    """One stream's memory of what it has told."""

    books: tuple[str, ...]
    """The symbols whose books it needs in a moment."""

    def begin(self, moment: Moment) -> None:
        """Remember the exchange as it stands; what comes later is told."""
        ...

    def standing(self, moment: Moment) -> Iterator[Payload]:
        """Yield how things stand, for who begins to listen; nothing from a stream of changes."""
        ...

    def look(self, moment: Moment) -> Iterator[Payload]:
        """Yield what has changed since the last look."""
        ...

    def shown(self, book: BookView) -> None:
        """Take note that somebody was shown a book of its symbol between two looks."""
        ...


class DepthFeed:
    """What changes in a book, numbered so that a follower misses nothing."""

    def __init__(self, symbol: str) -> None:
        self.books: tuple[str, ...] = (symbol,)
        self._symbol = symbol
        self._told: BookView | None = None
        self._last = 0
        """The last update id that was told, or that stood when this began."""
        self._shown: dict[int, BookView] = {}
        """Snapshots since, by update id."""

    def begin(self, moment: Moment) -> None:
        """Remember the book."""
        self._told = moment.book(self._symbol)
        self._last = self._told.update_id if self._told else 0

    def standing(self, moment: Moment) -> Iterator[Payload]:
        """Yield nothing: the book stands in a snapshot."""
        yield from ()

    def look(self, moment: Moment) -> Iterator[Payload]:
        """Yield the levels that differ, unless none does."""
        book = moment.book(self._symbol)
        if book is None or (self._told is not None and book.update_id <= self._told.update_id):
            return
        # Whoever begins with a snapshot from between two looks has to come to this book too: a level that
        # came and went in between is told like any other.
        before = [self._told, *self._shown.values()]
        bids = _differences([each.bids if each else () for each in before], book.bids)
        asks = _differences([each.asks if each else () for each in before], book.asks)
        self._told, self._shown = book, {}
        if bids or asks:
            first, self._last = self._last + 1, book.update_id
            yield partial(messages.depth_update, book=book, first=first, bids=bids, asks=asks)

    def shown(self, book: BookView) -> None:
        """Remember a snapshot that is newer than what was told."""
        if self._told is None or book.update_id > self._told.update_id:
            self._shown[book.update_id] = book


class Unshown:
    """A feed that does not mind what else was shown."""

    def shown(self, book: BookView) -> None:
        """Do nothing."""


class PartialFeed(Unshown):
    """The best levels of a book."""

    def __init__(self, symbol: str, count: int) -> None:
        self.books: tuple[str, ...] = (symbol,)
        self._symbol = symbol
        self._count = count
        self._told: tuple[tuple[Depth, ...], tuple[Depth, ...]] | None = None

    def begin(self, moment: Moment) -> None:
        """Remember the best levels."""
        book = moment.book(self._symbol)
        self._told = None if book is None else self._best(book)

    def standing(self, moment: Moment) -> Iterator[Payload]:
        """Yield the best levels."""
        if book := moment.book(self._symbol):
            yield lambda _: messages.partial_depth(book, self._count)

    def look(self, moment: Moment) -> Iterator[Payload]:
        """Yield the best levels when one of them has changed."""
        book = moment.book(self._symbol)
        if book is not None and self._best(book) != self._told:
            self._told = self._best(book)
            yield from self.standing(moment)

    def _best(self, book: BookView) -> tuple[tuple[Depth, ...], tuple[Depth, ...]]:
        return book.bids[: self._count], book.asks[: self._count]


class BestFeed(PartialFeed):
    """The best price of either side."""

    def __init__(self, symbol: str) -> None:
        super().__init__(symbol, 1)

    def standing(self, moment: Moment) -> Iterator[Payload]:
        """Yield the best prices."""
        if book := moment.book(self._symbol):
            yield lambda _: messages.book_ticker(book)


class TradeFeed(Unshown):
    """Trades, as they happen."""

    books: tuple[str, ...] = ()

    def __init__(self, symbol: str, kind: str) -> None:
        self._symbol = symbol
        self._shape = messages.trade if kind == names.TRADE else messages.aggregate_trade
        self._last = 0

    def begin(self, moment: Moment) -> None:
        """Remember the last trade."""
        try:
            last = moment.exchange.recent_trades(self._symbol, 1)
        except ExchangeError:
            last = ()
        self._last = last[-1].trade_id if last else 0

    def standing(self, moment: Moment) -> Iterator[Payload]:
        """Yield nothing: what has been traded is over."""
        yield from ()

    def look(self, moment: Moment) -> Iterator[Payload]:
        """Yield the trades since; of very many the first, and the rest at the next looks."""
        for each in moment.trades(self._symbol, self._last):
            self._last = each.trade_id
            yield partial(self._shape, symbol=self._symbol, view=each, now=moment.now)


class TickerFeed(Unshown):
    """The last 24 hours of a symbol, or in one array those of all that have changed."""

    books: tuple[str, ...] = ()

    def __init__(self, symbol: str | None, kind: str) -> None:
        self._symbol = symbol
        self._shape = messages.ticker if kind == names.TICKER else messages.mini_ticker
        self._told: dict[str, tuple[object, ...]] = {}

    def begin(self, moment: Moment) -> None:
        """Remember how the last 24 hours went."""
        self._changed(moment)

    def standing(self, moment: Moment) -> Iterator[Payload]:
        """Yield how they went."""
        yield from self._payloads(self._tickers(moment), moment.now)

    def look(self, moment: Moment) -> Iterator[Payload]:
        """Yield those that have changed, the mere end of the 24 hours apart."""
        yield from self._payloads(self._changed(moment), moment.now)

    def _tickers(self, moment: Moment) -> list[TickerView]:
        symbols = [self._symbol] if self._symbol else listed(moment.exchange)
        return [found for symbol in symbols if (found := moment.ticker(symbol)) is not None]

    def _changed(self, moment: Moment) -> list[TickerView]:
        changed = []
        for view in self._tickers(moment):
            facts = _facts(view)
            if self._told.get(view.symbol) != facts:
                self._told[view.symbol] = facts
                changed.append(view)
        return changed

    def _payloads(self, views: list[TickerView], now: datetime) -> Iterator[Payload]:
        shape = self._shape
        if self._symbol is not None:
            for view in views:
                yield partial(shape, view=view, now=now)
        elif views:
            yield lambda time: [shape(time, view, now) for view in views]


class KlineFeed(Unshown):
    """Candles: the running one as it changes, and each as it closes."""

    books: tuple[str, ...] = ()

    def __init__(self, symbol: str, interval: str) -> None:
        self._symbol = symbol
        self._name = interval
        self._interval = Interval.named(interval)
        self._told: KlineView | None = None
        self._since: datetime | None = None
        """Where the oldest candle opened that may still change."""

    def begin(self, moment: Moment) -> None:
        """Remember the running candle."""
        self._since = self._interval.opening(moment.now)
        found = self._candles(moment, self._since)
        self._told = found[-1] if found else None

    def standing(self, moment: Moment) -> Iterator[Payload]:
        """Yield the running candle."""
        for view in self._candles(moment, self._interval.opening(moment.now)):
            yield self._payload(view, moment)

    def look(self, moment: Moment) -> Iterator[Payload]:
        """Yield the candles that have closed since, and the running one if it changed.

        Of very many the first, and the rest at the next looks.
        """
        assert self._since is not None
        found = self._candles(moment, self._since)
        for view in found:
            if view == self._told and moment.now < self._interval.after(view.at):
                continue
            self._told = view
            yield self._payload(view, moment)
        self._since = self._interval.opening(moment.now)
        if len(found) == MOST_CANDLES:
            self._since = min(self._since, self._interval.after(found[-1].at))

    def _candles(self, moment: Moment, since: datetime) -> list[KlineView]:
        try:
            until = self._interval.after(self._interval.opening(moment.now))
            return candles(moment.exchange, self._symbol, self._interval, since, until, MOST_CANDLES)
        except ExchangeError:
            return []

    def _payload(self, view: KlineView, moment: Moment) -> Payload:
        ends = self._interval.after(view.at)
        return partial(messages.kline, view=view, interval=self._name, ends=ends, now=moment.now)


def difference(before: Iterable[Depth], after: Iterable[Depth]) -> list[Depth]:
    """Return the levels that differ as they stand after, with quantity 0 where they are gone."""
    old, new = dict(before), dict(after)
    changed = [Depth(price, quantity) for price, quantity in new.items() if old.get(price) != quantity]
    return changed + [Depth(price, ZERO) for price in old if price not in new]


def _differences(befores: Iterable[Iterable[Depth]], after: tuple[Depth, ...]) -> list[Depth]:
    """Return the levels that differ from any of several books."""
    found = {level.price: level for before in befores for level in difference(before, after)}
    return list(found.values())


def listed(exchange: PaperExchange) -> list[str]:
    """Return the symbols of the exchange."""
    return [row["symbol"] for row in exchange.exchange_info()["symbols"]]


def _books(exchange: PaperExchange, symbols: list[str]) -> dict[str, BookView]:
    if not symbols:
        return {}
    try:
        return exchange.depths(symbols, EVERYTHING, settled=True)
    except ExchangeError:
        if len(symbols) == 1:
            return {}
        # One of them is not listed any more; the others must not suffer for it.
        return {name: book for symbol in symbols for name, book in _books(exchange, [symbol]).items()}


def _facts(view: TickerView) -> tuple[object, ...]:
    return (
        view.open,
        view.high,
        view.low,
        view.last,
        view.volume,
        view.quote_volume,
        view.count,
        view.bid,
        view.ask,
    )
