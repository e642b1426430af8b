"""The paper exchange as a venue: its records in our words, its refusals in our errors."""

import asyncio
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from decimal import Decimal

from etf_trader.clock import Clock, SystemClock
from etf_trader.errors import (
    DataError,
    DuplicateOrder,
    OrderRejected,
    RateLimited,
    VenueError,
    VenueUnavailable,
)
from etf_trader.exchange.fees import BNB, PAID_IN_BNB
from etf_trader.exchange.paper import (
    BookView,
    ExchangeError,
    KlineView,
    OrderRequest,
    OrderView,
    PaperExchange,
    TradeView,
    TransferView,
)
from etf_trader.exchange.paper import OrderCount as OrderCountView
from etf_trader.market.book import Level, OrderBook
from etf_trader.market.candle import Candle
from etf_trader.market.symbol import Side, SymbolRule
from etf_trader.venue import PAPER
from etf_trader.venue.interface import (
    FeeDiscount,
    LimitOrder,
    Listener,
    OrderCount,
    OrderCounts,
    OrderKind,
    OrderLimit,
    Placed,
    Report,
    Trade,
    Transfer,
    VenueBalance,
    VenueIdentity,
    VenueOrder,
    VenueOrderStatus,
)
from etf_trader.venue.sampling import SampledMarketData

BATCH_SECONDS = Decimal(1)
"""How far a stepped exchange moves on after each batch."""

_STP = "EXPIRED_IN_MATCH"
_TOO_MANY = -1015
_CLOCK = -1021
_UNKNOWN_CANCEL = -2011
_UNKNOWN_ORDER = -2013
_NO_SYMBOL = -1121
_DUPLICATE = "Duplicate order sent."
_SECONDS = {"SECOND": 1, "MINUTE": 60, "HOUR": 3600, "DAY": 86_400}
_KINDS = {
    OrderKind.IOC: ("LIMIT", "IOC"),
    OrderKind.FOK: ("LIMIT", "FOK"),
    OrderKind.POST_ONLY: ("LIMIT_MAKER", None),
}
_STATUS = {
    "NEW": VenueOrderStatus.OPEN,
    "PARTIALLY_FILLED": VenueOrderStatus.OPEN,
    "FILLED": VenueOrderStatus.FILLED,
    "CANCELED": VenueOrderStatus.CANCELLED,
    "EXPIRED": VenueOrderStatus.EXPIRED,
    "EXPIRED_IN_MATCH": VenueOrderStatus.EXPIRED,
    "REJECTED": VenueOrderStatus.REJECTED,
}


class PaperClock:
    """The exchange's stepped clock as ours: it stands still, and sleeping moves it."""

    def __init__(self, exchange: PaperExchange, moved: Callable[[], None] | None = None) -> None:
        """Share the clock of `exchange`; `moved` is called after each sleep."""
        self._exchange = exchange
        self._moved = moved

    def now(self) -> datetime:
        """Return the exchange's time."""
        return self._exchange.now()

    async def sleep(self, seconds: float) -> None:
        """Move the exchange on by `seconds`, and let other tasks run."""
        self._exchange.advance(seconds)
        if self._moved is not None:
            self._moved()
        await asyncio.sleep(0)


class WaitingClock(SystemClock):
    """The machine's clock, which calls `woken` after each sleep."""

    def __init__(self, woken: Callable[[], None]) -> None:
        self._woken = woken

    async def sleep(self, seconds: float) -> None:
        """Return after `seconds` of real time."""
        await super().sleep(seconds)
        self._woken()


class WatchingClock(SystemClock):
    """The exchange's stepped clock as one sees it who only looks: others move it, sleeping is real."""

    LOOK_EVERY = 0.2

    def __init__(self, exchange: PaperExchange) -> None:
        self._exchange = exchange

    def now(self) -> datetime:
        """Return the exchange's time."""
        return self._exchange.now()

    async def sleep(self, seconds: float) -> None:
        """Give others a moment to move the clock."""
        await super().sleep(self.LOOK_EVERY)


def paper_market_data(exchange: PaperExchange, account: str, *, may_move: bool) -> SampledMarketData:
    """Return the books of an exchange for those who only look; they move a stepped clock only if they may."""
    venue = PaperVenue(exchange, account, is_stepped=exchange.is_stepped)
    clock = WatchingClock(exchange) if exchange.is_stepped and not may_move else venue.clock()
    return SampledMarketData(PAPER, venue, clock, exchange.exchange_info)


class PaperVenue:
    """One account at a paper exchange in this process.

    Who subscribes is told of everything that happens to the account's orders, in
    order and once, whichever process made it happen: after each request, each
    look, and each sleep of this venue's clock.
    """

    def __init__(self, exchange: PaperExchange, account: str, *, is_stepped: bool) -> None:
        self._exchange = exchange
        self._account = account
        self._is_stepped = is_stepped
        self._listeners: dict[object, Listener] = {}
        self._told = 0
        self._is_telling = False

    def clock(self) -> Clock:
        """Return the clock that this venue and we share."""
        return PaperClock(self._exchange, self._tell_settled) if self._is_stepped else WaitingClock(self._tell)

    async def identity(self) -> VenueIdentity:
        """Return which account this is."""
        return VenueIdentity(PAPER, self._account, self._exchange.era)

    async def server_time(self) -> datetime:
        """Return the exchange's clock."""
        return self._exchange.now()

    def clock_error(self) -> timedelta:
        """Return zero: we and the exchange have one clock."""
        return timedelta(0)

    async def require_ready(self) -> None:
        """A paper account is always ready."""

    async def fee_discount(self) -> FeeDiscount | None:
        """Return in what the account pays its fees."""
        return FeeDiscount(BNB, PAID_IN_BNB) if self._exchange.bnb_burn(self._account) else None

    async def delistings(self) -> Mapping[str, datetime] | None:
        """Return nothing: the paper exchange tells of none."""
        return None

    async def rules(self) -> Mapping[str, SymbolRule]:
        """Return the trading rules and our fee rates of every symbol."""
        rules = {}
        for row in self._exchange.exchange_info()["symbols"]:
            maker, taker = self._exchange.fees(self._account, row["symbol"])
            rules[row["symbol"]] = SymbolRule.from_exchange_info(row, maker_fee=maker, taker_fee=taker)
        return rules

    async def order_limits(self) -> Sequence[OrderLimit]:
        """Return the exchange's limits on orders per window."""
        return [
            OrderLimit(_SECONDS[limit["interval"]] * int(limit["intervalNum"]), int(limit["limit"]))
            for limit in self._exchange.exchange_info([])["rateLimits"]
            if limit["rateLimitType"] == "ORDERS"
        ]

    async def books(self, symbols: Sequence[str], depth: int) -> Mapping[str, OrderBook]:
        """Return the books of `symbols` at one moment."""
        try:
            views = self._exchange.depths(symbols, depth)
        except ExchangeError as error:
            raise DataError(error.message, where=", ".join(symbols)) from error
        self._tell()
        return {symbol: _book(view) for symbol, view in views.items()}

    async def balances(self) -> Mapping[str, VenueBalance]:
        """Return what the account holds of each asset."""
        with _translated():
            views = self._exchange.balances(self._account)
        self._tell_settled()
        return {asset: VenueBalance(view.free, view.locked) for asset, view in views.items()}

    async def order_counts(self) -> OrderCounts:
        """Return how many unfilled orders the exchange counts in the present windows."""
        with _translated():
            views = self._exchange.order_counts(self._account)
        return OrderCounts(views[0].at, _counts(views))

    def subscribe(self, listener: Listener) -> Callable[[], None]:
        """Tell `listener` of what happens to our orders from now on, until the returned function is called."""
        if self._listeners:
            self._tell()  # what happened before belongs to those who listened then
        else:
            with _translated():
                self._told = self._exchange.last_report(self._account)
        key = object()
        self._listeners[key] = listener

        def stop() -> None:
            self._listeners.pop(key, None)

        return stop

    def _tell(self) -> None:
        """Tell what is new, fills that fell due by now with it; without listeners nothing is looked up."""
        self._tell_news(settled=False)

    def _tell_settled(self) -> None:
        """Tell what is new right after a request that booked what fell due."""
        self._tell_news(settled=True)

    def _tell_news(self, *, settled: bool) -> None:
        if not self._listeners or self._is_telling:
            return  # a listener that subscribes another does not get ahead of itself
        with _translated():
            news = self._exchange.reports(self._account, self._told, settled=settled)
        listeners = tuple(self._listeners.items())
        self._is_telling = True
        try:
            for view in news:
                self._told = max(self._told, view.sequence)
                report = Report(_order(view.order), None if view.trade is None else _trade(view.trade))
                for key, listener in listeners:
                    if key in self._listeners:
                        listener(report)
        finally:
            self._is_telling = False

    async def place(self, order: LimitOrder) -> Placed:
        """Send `order`.

        Raises:
            OrderRejected, RateLimited, VenueUnavailable: it did not take effect.
        """
        kind, time_in_force = _KINDS[order.kind]
        request = OrderRequest(
            symbol=order.symbol,
            side=order.side.name,
            type=kind,
            time_in_force=time_in_force,
            quantity=order.quantity,
            price=order.price,
            client_order_id=order.client_order_id,
            timestamp=order.granted_at,
            recv_window=order.window_seconds,
        )
        try:
            view = self._exchange.place(self._account, request)
        except ExchangeError as error:
            if error.code == _TOO_MANY:
                raise RateLimited(error.message, retry_after=error.retry_after or 1) from error
            if error.code == _CLOCK:
                raise VenueUnavailable(error.message, where=order.symbol) from error
            if error.message == _DUPLICATE:
                raise DuplicateOrder(error.message, where=order.symbol) from error
            raise OrderRejected(error.message, venue_code=error.code, symbol=order.symbol) from error
        self._tell_settled()
        return Placed(_order(view), tuple(_trade(trade) for trade in view.trades), _counts(view.counts))

    async def find(self, symbol: str, client_order_id: str) -> VenueOrder | None:
        """Return the order with our id; None when the exchange knows no such order."""
        with _translated(symbol):
            try:
                view = self._exchange.order(self._account, symbol, client_order_id=client_order_id)
            except ExchangeError as error:
                if error.code in (_UNKNOWN_ORDER, _NO_SYMBOL):
                    return None
                raise
        self._tell_settled()
        return _order(view)

    async def order(self, symbol: str, order_id: int) -> VenueOrder | None:
        """Return the order with the exchange's own id; None when the exchange knows no such order."""
        with _translated(symbol):
            try:
                return _order(self._exchange.order(self._account, symbol, order_id=order_id))
            except ExchangeError as error:
                if error.code in (_UNKNOWN_ORDER, _NO_SYMBOL):
                    return None
                raise

    async def cancel(self, symbol: str, client_order_id: str) -> VenueOrder | None:
        """Cancel the order if it is open, and return where it stands."""
        with _translated(symbol):
            try:
                view = self._exchange.cancel(self._account, symbol, client_order_id=client_order_id)
            except ExchangeError as error:
                if error.code in (_UNKNOWN_CANCEL, _NO_SYMBOL):
                    return await self.find(symbol, client_order_id)
                raise
        self._tell_settled()
        return _order(view)

    async def open_orders(self) -> Sequence[VenueOrder]:
        """Return all open orders of the account."""
        with _translated():
            views = self._exchange.open_orders(self._account)
        self._tell_settled()
        return [_order(view) for view in views]

    async def trades_of(self, symbol: str, order_id: int) -> Sequence[Trade]:
        """Return the executions of one order."""
        with _translated(symbol):
            views = self._exchange.trades(self._account, symbol, order_id=order_id)
        self._tell_settled()
        return [_trade(view) for view in views]

    async def trades_after(self, symbol: str, trade_id: int) -> Sequence[Trade]:
        """Return the account's executions in `symbol` with a larger id."""
        with _translated(symbol):
            views = self._exchange.trades(self._account, symbol, from_id=trade_id + 1)
        self._tell_settled()
        return [_trade(view) for view in views]

    async def transfers(self, after: int) -> Sequence[Transfer]:
        """Return deposits and withdrawals with a larger sequence number."""
        with _translated():
            return [transfer_from(view) for view in self._exchange.transfers(self._account, after)]

    async def batch_done(self) -> None:
        """Move a stepped exchange on by a second."""
        if self._is_stepped:
            self._exchange.advance(BATCH_SECONDS)
        self._tell_news(settled=self._is_stepped)

    async def candles(self, symbol: str, seconds: int, start: datetime, end: datetime) -> Sequence[Candle]:
        """Return the candles that open in [start, end), oldest first; the last may be running."""
        found: list[Candle] = []
        with _translated(symbol):
            while rows := self._exchange.klines(symbol, seconds, start, end):
                found += [_candle(row, seconds) for row in rows]
                start = rows[-1].at + timedelta(seconds=seconds)
        return found

    async def volume(self, symbol: str, start: datetime, end: datetime) -> Decimal:
        """Return the base units that others than us traded in [start, end), up to now."""
        with _translated(symbol):
            seen = self._exchange.volume(self._account, symbol, start, end)
        return seen.total - seen.own


def transfer_from(view: TransferView) -> Transfer:
    """Return a transfer of the exchange's in our words: money that came in is positive."""
    sign = 1 if view.kind == "deposit" else -1
    return Transfer(view.sequence, view.transfer_id, view.asset, sign * view.amount, view.at)


@contextmanager
def _translated(where: str | None = None) -> Iterator[None]:
    try:
        yield
    except ExchangeError as error:
        raise VenueError(error.message, where=where) from error


def _book(view: BookView) -> OrderBook:
    return OrderBook(
        symbol=view.symbol,
        bids=tuple(Level(*level) for level in view.bids),
        asks=tuple(Level(*level) for level in view.asks),
        update_id=view.update_id,
        at=view.at,
        complete=view.complete,
    )


def _candle(view: KlineView, seconds: int) -> Candle:
    return Candle(
        symbol=view.symbol,
        start=view.at,
        seconds=seconds,
        open=view.open,
        high=view.high,
        low=view.low,
        close=view.close,
        volume=view.volume,
        value=view.quote_volume,
    )


def _counts(views: Iterable[OrderCountView]) -> tuple[OrderCount, ...]:
    return tuple(OrderCount(int(each.interval.total_seconds()), each.count) for each in views)


def _order(view: OrderView) -> VenueOrder:
    return VenueOrder(
        symbol=view.symbol,
        order_id=view.order_id,
        client_order_id=view.client_order_id,
        side=Side[view.side],
        status=_STATUS[view.status],
        reason=_STP if view.status == _STP else view.expiry_reason,
        executed_quantity=view.executed_quantity,
        executed_value=view.cumulative_quote,
        at=view.updated,
    )


def _trade(view: TradeView) -> Trade:
    return Trade(
        symbol=view.symbol,
        trade_id=view.trade_id,
        order_id=view.order_id,
        side=Side[view.side],
        price=view.price,
        quantity=view.quantity,
        value=view.quote_quantity,
        fee=view.commission,
        fee_asset=view.commission_asset,
        is_maker=view.is_maker,
        at=view.at,
    )
