"""Binance Spot as a venue: what execution asks for, by REST, and the user stream beside it."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, Protocol, TypeVar

from etf_trader.clock import Clock
from etf_trader.errors import ConfigError, DataError, EtfError, OrderRejected, VenueUnavailable
from etf_trader.market.book import OrderBook
from etf_trader.market.candle import Candle
from etf_trader.market.symbol import SymbolRule
from etf_trader.venue.binance import errors, history, messages
from etf_trader.venue.binance.client import Answer, BinanceClient, Network, moment
from etf_trader.venue.binance.environments import Environment
from etf_trader.venue.binance.errors import Refusal
from etf_trader.venue.binance.kept_file import KeptFile
from etf_trader.venue.binance.keys import Keys
from etf_trader.venue.binance.markets import Markets
from etf_trader.venue.binance.standing import (
    FEE_ASSET,
    PAID_IN_FEE_ASSET,
    Standing,
    delistings,
    obstacle,
    pays_in_bnb,
    standing,
)
from etf_trader.venue.binance.stream import UserStream
from etf_trader.venue.binance.timekeeping import MeasuredTime, Timekeeping
from etf_trader.venue.binance.weight import Allowance
from etf_trader.venue.interface import (
    FeeDiscount,
    LimitOrder,
    Listener,
    Meter,
    OrderCounts,
    OrderLimit,
    Placed,
    Report,
    Trade,
    Transfer,
    VenueBalance,
    VenueIdentity,
    VenueOrder,
)

Value = TypeVar("Value")

ERA_SYMBOL = "BTCUSDT"
"""Where history begins again, its first trade tells when."""

MOST_UNTOLD = 1000
ACCOUNT_GOOD_FOR = 3600.0
BURN_GOOD_FOR = 60.0
DELISTINGS_GOOD_FOR = 3600.0


class Books(Protocol):
    """Where order books come from."""

    async def books(self, symbols: Sequence[str], depth: int) -> Mapping[str, OrderBook]:
        """Return the books of `symbols`, `depth` levels a side."""
        ...

    def traded(self, symbol: str, at: datetime) -> None:
        """Take note that we may have traded until `at`: older books are of no use now."""
        ...


class _Untold(NamedTuple):
    """An order whose end the user stream has not told; `placed` is the answer to it, if that told its end."""

    symbol: str
    placed: Placed | None = None


class BinanceVenue:
    """One account at Binance.

    It opens a connection in the event loop that first asks for something and
    closes it with that loop; the next loop gets another.
    """

    def __init__(
        self,
        environment: Environment,
        keys: Keys | None,
        *,
        meter: Meter | None = None,
        clock: Timekeeping | None = None,
        books: Books | None = None,
        allows_withdraw_key: bool = False,
        may_send: bool = True,
        kept_in: Path | None = None,
    ) -> None:
        """`books` takes the place of asking for each book by REST; without `keys` only markets can be seen.

        Unless it `may_send` no order leaves, whoever asks for it. The list of all
        markets and the fees are `kept_in` a folder for the processes that come after.
        """
        self._may_send = may_send
        self._allows_withdraw_key = allows_withdraw_key
        self.environment = environment
        self._keys = keys
        self._clock: Timekeeping = clock or MeasuredTime()
        self._allowance = Allowance(meter, self._clock)
        self._books = books
        self._markets = Markets(time.monotonic, self._account_facts, *_kept_files(environment, kept_in))
        self._account: tuple[float, Mapping[str, Any]] | None = None
        self._burn: tuple[float, bool | None] | None = None
        self._delistings: tuple[float, Mapping[str, datetime] | None] | None = None
        self._identity: VenueIdentity | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._client: BinanceClient | None = None
        self._keeper: asyncio.Task[None] | None = None
        self._stream: UserStream | None = None
        self._following: asyncio.Task[None] | None = None
        self._listeners: dict[object, Listener] = {}
        self._untold: dict[str, _Untold] = {}

    def read_books_from(self, books: Books) -> None:
        """Take the books from there from now on."""
        self._books = books

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.environment.name})"

    def client(self) -> BinanceClient:
        """Return the connection of the running event loop, made when it is first asked for."""
        loop = asyncio.get_running_loop()
        if self._client is None or self._loop is not loop:
            self._loop, self._following, self._stream = loop, None, None
            self._client = BinanceClient(self.environment, self._keys, self._clock, self._allowance)
            self._keeper = loop.create_task(_kept(self._client))
        return self._client

    def clock(self) -> Clock:
        """Return the venue's clock, as we reckon it."""
        return self._clock

    def clock_error(self) -> timedelta:
        """Return how far the clock may be from the one that the venue counts by."""
        return self._clock.error

    def known_limits(self) -> Sequence[OrderLimit]:
        """Return the limits on orders as far as the venue told them, without asking."""
        return self._markets.known_limits

    def list_age(self) -> float | None:
        """Return how many seconds ago the venue told the list of all markets, to whichever process."""
        return self._markets.list_age

    def sors(self) -> Sequence[Mapping[str, Any]]:
        """Return what the venue routes by itself among several markets, as far as it told."""
        return self._markets.sors

    def rules_age(self) -> float | None:
        """Return how many seconds ago the venue told the rules of the markets in use."""
        return self._markets.age

    async def identity(self) -> VenueIdentity:
        """Return which account this is; on the testnet, since when its history runs."""
        if self._identity is None:
            account = await self._account_facts()
            era = await self._era() if self.environment.is_wiped else self.environment.name
            self._identity = VenueIdentity(self.environment.name, str(account["uid"]), era)
        return self._identity

    async def server_time(self) -> datetime:
        """Return the venue's clock: reckoned from what it told within the last minute."""
        if not self._clock.is_known:
            await self._asked(self.client().sync())
        return self._clock.now()

    async def rules(self) -> Mapping[str, SymbolRule]:
        """Return the trading rules and our fee rates of every symbol."""
        return await self._asked(self._markets.rules(self.client()))

    async def order_limits(self) -> Sequence[OrderLimit]:
        """Return the venue's limits on orders per window."""
        return await self._asked(self._markets.limits(self.client()))

    async def books(self, symbols: Sequence[str], depth: int) -> Mapping[str, OrderBook]:
        """Return the books of `symbols`, each dated when it was asked for, so never too late.

        Raises:
            DataError: the venue has no such market.
        """
        self._markets.use(symbols)
        if self._books is not None:
            return await self._books.books(symbols, depth)
        found = await asyncio.gather(*(self._book(symbol, depth) for symbol in symbols))
        return {book.symbol: book for book in found}

    async def _book(self, symbol: str, depth: int) -> OrderBook:
        limit, asked = min(depth, messages.MOST_LEVELS), self._clock.now()
        try:
            answer = await self.client().get("depth", symbol=symbol, limit=limit)
        except Refusal as error:
            if error.code == errors.NO_SYMBOL:
                raise DataError(error.message, where=symbol) from error
            raise errors.of_question(error, symbol) from error
        except Network as error:
            raise errors.of_question(error, symbol) from error
        return messages.book(symbol, answer.body, limit, asked)

    async def balances(self) -> Mapping[str, VenueBalance]:
        """Return what the account holds of each asset."""
        answer = await self._question("account", omitZeroBalances="true")
        return messages.balances(answer.body["balances"])

    async def order_counts(self) -> OrderCounts:
        """Return how many unfilled orders the venue counts; dated when it was asked, so never too late."""
        at = await self.server_time()
        answer = await self._question("rateLimit/order")
        return OrderCounts(at, messages.counted(answer.body))

    def subscribe(self, listener: Listener) -> Callable[[], None]:
        """Tell `listener` what the user stream tells of our orders, until the returned function is called."""
        key = object()
        self._listeners[key] = listener
        with suppress(RuntimeError):  # without a running loop the first request begins it
            self._follow()

        def stop() -> None:
            self._listeners.pop(key, None)
            if not self._listeners and self._following is not None:
                self._following.cancel()
                self._following = self._stream = None

        return stop

    async def place(self, order: LimitOrder) -> Placed:
        """Send `order`, dated and signed with the time of its grant.

        Raises:
            OrderRejected, DuplicateOrder, RateLimited, VenueUnavailable: it did not take effect.
            OutcomeUnknown: it may live; ask with `find`.
            ConfigError: sending is not switched on, or the keys are refused.
        """
        if not self._may_send:
            raise ConfigError("live trading is not switched on", where="live", hint="etf config set live true")
        self._follow()
        self._markets.use([order.symbol])
        client = self.client()
        stp = messages.self_trade_prevention(self._markets.row(order.symbol))
        self._note_untold(order.client_order_id, _Untold(order.symbol))
        try:
            answer = await client.post("order", **messages.order_params(order, stp))
            placed = messages.placed(answer)
        except (Refusal, *Network, KeyError) as error:
            raise self._of_order(error, order) from error
        finally:
            if self._books is not None:
                self._books.traded(order.symbol, self._clock.now())
        self._note_fees(order.symbol, placed.trades or ())
        if self._stream is not None:
            self._stream.expect(order.client_order_id)
        if order.client_order_id in self._untold and placed.order.status.is_final and placed.trades is not None:
            self._untold[order.client_order_id] = _Untold(order.symbol, placed)
        return placed

    def _of_order(self, error: Exception, order: LimitOrder) -> EtfError:
        found = errors.of_order(error, order.symbol)
        if isinstance(found, OrderRejected):
            self._markets.expire()  # perhaps the rules have changed, or the market's state
        if isinstance(found, OrderRejected | VenueUnavailable):
            self._untold.pop(order.client_order_id, None)
        return found

    async def find(self, symbol: str, client_order_id: str) -> VenueOrder | None:
        """Return the order with our id; None when the venue knows no such order."""
        return await self._order(symbol, origClientOrderId=client_order_id)

    async def order(self, symbol: str, order_id: int) -> VenueOrder | None:
        """Return the order with the venue's own id; None when the venue knows no such order."""
        return await self._order(symbol, orderId=order_id)

    async def _order(self, symbol: str, **params: object) -> VenueOrder | None:
        unknown = (errors.NO_SUCH_ORDER, errors.NO_SYMBOL)
        answer = await self._known(
            unknown, self.client().get("order", signed=True, symbol=symbol, **params), symbol
        )
        return None if answer is None else messages.venue_order(answer.body)

    async def cancel(self, symbol: str, client_order_id: str) -> VenueOrder | None:
        """Cancel the order if it is open, and return where it stands; it may have filled in between."""
        unknown = (errors.CANCEL_REJECTED, errors.NO_SYMBOL)
        request = self.client().delete("order", symbol=symbol, origClientOrderId=client_order_id)
        answer = await self._known(unknown, request, symbol)
        if answer is None:
            return await self.find(symbol, client_order_id)
        return messages.venue_order(answer.body)

    async def open_orders(self) -> Sequence[VenueOrder]:
        """Return all open orders of the account."""
        answer = await self._question("openOrders")
        return [messages.venue_order(row) for row in answer.body]

    async def trades_of(self, symbol: str, order_id: int) -> Sequence[Trade]:
        """Return the executions of one order, oldest first."""
        return await self._asked(history.trades(self.client(), symbol, order_id=order_id), symbol)

    async def trades_after(self, symbol: str, trade_id: int) -> Sequence[Trade]:
        """Return the account's executions in `symbol` with a larger id, oldest first."""
        return await self._asked(history.trades(self.client(), symbol, after=trade_id), symbol)

    async def transfers(self, after: int) -> Sequence[Transfer]:
        """Return deposits and withdrawals with a larger sequence number; none where there is no wallet."""
        if self.environment.wallet is None:
            return []
        return await self._asked(history.transfers(self.client(), after))

    async def batch_done(self) -> None:
        """Move a stepped server on by a second; elsewhere time passes by itself."""
        await self._clock.batch_done()

    async def candles(self, symbol: str, seconds: int, start: datetime, end: datetime) -> Sequence[Candle]:
        """Return the candles that open in [start, end), oldest first; the last may be running."""
        return await self._asked(history.candles(self.client(), symbol, seconds, start, end), symbol)

    async def volume(self, symbol: str, start: datetime, end: datetime) -> Decimal:
        """Return the base units that others than us traded in the seconds that begin in [start, end)."""
        return await self._asked(history.volume_of_others(self.client(), symbol, start, end), symbol)

    async def require_ready(self) -> None:
        """Check that account and key may trade.

        Raises:
            ConfigError: it is not so; or the key of a live account may withdraw.
        """
        found = obstacle(
            await self.standing(),
            is_live=self.environment.is_live,
            allows_withdraw_key=self._allows_withdraw_key,
        )
        if found is not None:
            raise found

    async def standing(self) -> Standing:
        """Return how the account and its key stand at the venue."""
        account = await self._account_facts(fresh=True)
        return await self._asked(standing(self.client(), account))

    async def fee_discount(self) -> FeeDiscount | None:
        """Return BNB if the account pays fees in it: by the venue's word, at most a minute old, or by a fill."""
        now = time.monotonic()
        if self._burn is None or now - self._burn[0] > BURN_GOOD_FOR:
            told = await self._asked(pays_in_bnb(self.client()))
            known = None if self._burn is None else self._burn[1]
            self._burn = now, known if told is None else told
        return FeeDiscount(FEE_ASSET, PAID_IN_FEE_ASSET) if self._burn[1] else None

    def _note_fees(self, symbol: str, trades: Sequence[Trade]) -> None:
        """Learn from fills that fees are paid in BNB: the one way where the venue does not tell."""
        is_apart = FEE_ASSET not in symbol and any(each.fee and each.fee_asset == FEE_ASSET for each in trades)
        if is_apart and not (self._burn and self._burn[1]):
            self._burn = time.monotonic(), True

    async def delistings(self) -> Mapping[str, datetime] | None:
        """Return when markets will end, by symbol, as told within the hour; None where the venue does not tell."""
        now = time.monotonic()
        if self._delistings is None or now - self._delistings[0] > DELISTINGS_GOOD_FOR:
            rows = await self._asked(delistings(self.client()))
            found = None if rows is None else {name: each.at for each in rows for name in each.symbols}
            self._delistings = now, found
        return self._delistings[1]

    async def is_streaming(self) -> None:
        """Return once the user stream is subscribed; somebody must listen."""
        self._follow()
        assert self._stream is not None
        await self._stream.is_subscribed.wait()

    async def hear_out(self) -> None:
        """Return once listeners were told all that the user stream has by now; at once where nobody listens."""
        if not self._listeners or self._loop is not asyncio.get_running_loop() or self._stream is None:
            return
        if asyncio.current_task() is not self._following:  # it may wait itself, for weight
            await self._stream.hear_out()

    async def close(self) -> None:
        """Close the connection of this event loop, if there is one."""
        if self._following is not None:
            self._following.cancel()
        if self._keeper is not None and self._loop is asyncio.get_running_loop():
            self._keeper.cancel()
            await asyncio.wait([self._keeper])
            self._client = self._keeper = None

    # The user stream.

    def _follow(self) -> None:
        """See to it that the user stream is followed while somebody listens."""
        if not self._listeners:
            return
        client = self.client()
        if self._following is None:
            self._stream = UserStream(client, self._tell, self._catch_up)
            self._following = asyncio.get_running_loop().create_task(self._stream.run())

    def _tell(self, report: Report) -> None:
        if report.order.status.is_final:
            self._untold.pop(report.order.client_order_id, None)
        for key, listener in tuple(self._listeners.items()):
            if key in self._listeners:
                listener(report)

    async def _catch_up(self) -> None:
        """Tell what came of every order whose end the stream has not told: from its answer, or by asking."""
        for name, untold in tuple(self._untold.items()):
            if untold.placed is not None:
                order, trades = untold.placed.order, untold.placed.trades
            else:
                found = await self.find(untold.symbol, name)
                if found is None:
                    continue
                order, trades = found, tuple(await self.trades_of(untold.symbol, found.order_id))
            for trade in trades or ():
                self._tell(Report(order, trade))
            self._tell(Report(order, None))

    def _note_untold(self, name: str, untold: "_Untold") -> None:
        if self._listeners:
            self._untold[name] = untold
        while len(self._untold) > MOST_UNTOLD:
            del self._untold[next(iter(self._untold))]

    # Asking.

    async def _question(self, path: str, **params: object) -> Answer:
        return await self._asked(self.client().get(path, signed=True, **params))

    async def _asked(self, question: Awaitable[Value], where: str | None = None) -> Value:
        try:
            return await question
        except (Refusal, *Network) as error:
            raise errors.of_question(error, where or self.environment.place) from error

    async def _known(self, unknown: Sequence[int], request: Awaitable[Answer], symbol: str) -> Answer | None:
        """Return an answer; None where the venue says with one of these codes that there is no such thing."""
        try:
            return await request
        except Refusal as error:
            if error.code in unknown:
                return None
            raise errors.of_question(error, symbol) from error
        except Network as error:
            raise errors.of_question(error, symbol) from error

    async def _account_facts(self, *, fresh: bool = False) -> Mapping[str, Any]:
        now = time.monotonic()
        if self._account is None or fresh or now - self._account[0] > ACCOUNT_GOOD_FOR:
            answer = await self._question("account", omitZeroBalances="true")
            self._account = now, answer.body
        return self._account[1]

    async def _era(self) -> str:
        """Return when the venue's history began: the first trade of its largest market."""
        question = partial(self.client().get, "aggTrades", symbol=ERA_SYMBOL, fromId=0, limit=1)
        rows = (await self._asked(question())).body
        began = moment(rows[0]["T"]) if rows else datetime(1970, 1, 1, tzinfo=UTC)
        return f"{self.environment.name}-{began:%Y%m%d%H%M%S}"


async def _kept(client: BinanceClient) -> None:
    """Close a connection when its event loop ends: that cancels whatever still runs."""
    try:
        await asyncio.Event().wait()
    finally:
        await client.close_connection()


def _kept_files(environment: Environment, folder: Path | None) -> tuple[KeptFile | None, KeptFile | None]:
    """Return where the list of markets is kept, and what the account pays there."""
    if folder is None:
        return None, None
    return (
        KeptFile(folder / f"exchange-info-{environment.name}.json", "etf.exchange_info/2"),
        KeptFile(folder / f"fees-{environment.name}.json", "etf.fees/1"),
    )
