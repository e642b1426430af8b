"""Between the wire and the exchange: who asks, how much they may ask, and what they asked."""

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from etf_trader.errors import DatabaseFailure
from etf_trader.exchange.paper import PaperExchange
from etf_trader.exchange.refusal import ExchangeError
from etf_trader.exchange.server import refusals
from etf_trader.exchange.server.access import AHEAD, Credentials, admit, identify
from etf_trader.exchange.server.calls import Ask, Call, Placing, Reply, Security
from etf_trader.exchange.server.faults import Fault, Faults, Veil
from etf_trader.exchange.server.feed import Feed
from etf_trader.exchange.server.keys import Keys
from etf_trader.exchange.server.limits import Limits
from etf_trader.exchange.server.parameters import Parameters
from etf_trader.exchange.server.streams import Hub
from etf_trader.exchange.server.writer import Writer

if TYPE_CHECKING:
    from etf_trader.exchange.server.websocket import Session

log = logging.getLogger(__name__)

SIGNING = frozenset(("timestamp", "recvWindow", "signature", "apiKey"))


@dataclass(frozen=True, slots=True)
class ServerSettings:
    """How an exchange is served.

    `weight` and `raw` are what an address may use in a minute and send in five;
    `listen_keys` lets old clients have listen keys, which Binance has no more.
    """

    weight: int = 6_000
    raw: int = 300_000
    connections: int = 300
    listen_keys: bool = False


@dataclass(frozen=True, slots=True)
class Request:
    """A request as a transport found it."""

    call: Call
    parameters: Parameters
    address: str
    credentials: Credentials
    in_microseconds: bool = False
    session: "Session | None" = None


class Cut(Exception):
    """The connection is to be cut, without an answer."""


class Broken(Exception):
    """The server is to fail with an answer that is no JSON."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


def _unexpected() -> ExchangeError:
    return ExchangeError(-1006, refusals.UNEXPECTED, http_status=500)


def _timed_out() -> ExchangeError:
    return ExchangeError(-1007, refusals.UNKNOWN_OUTCOME, http_status=504)


FAILURES_BEFORE: Mapping[Fault, Callable[[], Exception]] = {
    Fault.OVERLOADED: lambda: ExchangeError(-1008, refusals.OVERLOADED, http_status=503),
    Fault.CUT_BEFORE: Cut,
    Fault.UNEXPECTED_BEFORE: _unexpected,
    Fault.TIMEOUT_BEFORE: _timed_out,
    Fault.SERVER_ERROR_BEFORE: lambda: Broken(502),
}
FAILURES_AFTER: Mapping[Fault, Callable[[], Exception]] = {
    Fault.CUT_AFTER: Cut,
    Fault.UNEXPECTED_AFTER: _unexpected,
    Fault.TIMEOUT_AFTER: _timed_out,
    Fault.SERVER_ERROR_AFTER: lambda: Broken(504),
}


def _answered(answer: Reply | Placing) -> Reply:
    assert isinstance(answer, Reply)
    return answer


class Gateway:
    """Answers requests, whichever way they came."""

    def __init__(self, exchange: PaperExchange, settings: ServerSettings | None = None) -> None:
        self.exchange = exchange
        self.settings = settings or ServerSettings()
        self.limits = Limits(self.settings.weight, self.settings.raw, self.settings.connections)
        self.keys = Keys(exchange.database)
        self.faults = Faults()
        self.writer = Writer(exchange)
        self.veil = Veil(self.faults)
        self.feed = Feed(exchange)
        self.hub = Hub(exchange)
        self.delistings: dict[datetime, tuple[str, ...]] = {}
        """Which symbols leave the list, and when: announced by hand."""
        self.listen_keys: dict[str, str] = {}
        """The account of each listen key, where old clients may have them."""
        self._late: set[asyncio.Future[None]] = set()
        self._started = time.monotonic()

    def now(self) -> datetime:
        """Return the exchange's time."""
        return self.exchange.now()

    @property
    def ahead(self) -> timedelta:
        """How far a request's time may lie before ours.

        A stepped clock stands while the clients' run on: who asked for the time
        once is ahead by as much real time as has passed since.
        """
        if not self.exchange.is_stepped:
            return AHEAD
        return AHEAD + timedelta(seconds=time.monotonic() - self._started)

    def wake(self) -> None:
        """Say that something was changed: who listens is told at once."""
        self.feed.wake()
        self.hub.wake()

    def uid(self, account: str) -> int:
        """Return the number of an account: the same for ever in this exchange, another in any other."""
        drawn = sha256(f"{self.exchange.era}:{account}".encode()).digest()
        return int.from_bytes(drawn[:5], "big") + 1

    async def answer(self, request: Request) -> Reply:
        """Answer a request that was counted already, and count its weight.

        Raises:
            ExchangeError: it is refused.
            Cut, Broken: a fault wants the transport to fail.
        """
        try:
            return await self._answer(request)
        except DatabaseFailure as failure:
            log.error("%s (%s)", failure.message, failure.where)
            raise ExchangeError(-1001, refusals.INTERNAL, http_status=500) from failure

    async def _answer(self, request: Request) -> Reply:
        call, now = request.call, self.now()
        weight = call.weighs(request.parameters)
        self.limits.charge(request.address, weight, now, in_wallet=call.is_wallet)
        fault = self.faults.of_request(call.name, changes=call.changes, is_order=call.is_order)
        if fault is None:
            reply = await self._perform(request, now)
        else:
            reply = await self._perform_badly(request, fault)
        if call.is_free and reply.status < 400:
            self.limits.give_back(request.address, weight, now)
        return reply

    async def _perform(self, request: Request, now: datetime) -> Reply:
        call, ask = request.call, self._ask(request, now)
        if not call.changes:
            return _answered(call.handler(ask))
        work = call.handler(ask) if call.is_placing else lambda: _answered(call.handler(ask))
        assert not isinstance(work, Reply)
        reply = await self.writer.do(work)
        self.wake()
        return reply

    async def _perform_badly(self, request: Request, fault: Fault) -> Reply:
        plan = self.faults.plan
        if fault in (Fault.LIMITED, Fault.BANNED):
            seconds = 1 + self.faults.seconds(max(0.0, plan.longest_wait - 1))
            raise self.limits.refuse(request.address, seconds, self.now(), ban=fault is Fault.BANNED)
        if fault is Fault.SLOW:
            await asyncio.sleep(self.faults.seconds(plan.slowest))
        elif fault is Fault.ARRIVES_LATE:
            self._later(request, self.faults.seconds(plan.latest))
            raise Cut
        elif fault in FAILURES_BEFORE:
            raise FAILURES_BEFORE[fault]()
        reply = await self._perform(request, self.now())
        if fault is Fault.LATE_ANSWER:
            await asyncio.sleep(self.faults.seconds(plan.slowest))
        elif fault in FAILURES_AFTER:
            raise FAILURES_AFTER[fault]()
        return reply

    def _later(self, request: Request, seconds: float) -> None:
        """Let a request in after `seconds`; nobody hears what becomes of it."""

        async def arrive() -> None:
            await asyncio.sleep(seconds)
            with suppress(ExchangeError):
                await self._perform(request, self.now())

        task = asyncio.ensure_future(arrive())
        self._late.add(task)
        task.add_done_callback(self._late.discard)

    async def start(self) -> None:
        """Begin to take orders, and to tell what happens to them."""
        self.writer.start()
        await self.feed.start()

    async def stop(self) -> None:
        """End what runs beside the requests."""
        for task in self._late:
            task.cancel()
        await self.writer.stop()
        await self.feed.stop()

    def _ask(self, request: Request, now: datetime) -> Ask:
        """Return the request as its handler works with it, from who may send it."""
        call, parameters = request.call, request.parameters
        ask = Ask(self, parameters, now, request.in_microseconds, session=request.session)
        if call.security.is_signed:
            admission = admit(self.keys, call.security, request.credentials, parameters, now, self.ahead)
            ask.key, ask.recv_window = admission.key, admission.recv_window
            # The engine looks at the time once more; on a stepped clock it must not find it ahead.
            ask.timestamp = min(admission.timestamp, now) if self.exchange.is_stepped else admission.timestamp
        elif call.security is Security.KEY:
            ask.key = identify(self.keys, request.credentials)
        known = call.takes | SIGNING if call.security.is_signed or call.is_wallet else call.takes
        read = sum(name in known for name in parameters.names())
        if read < len(parameters):
            raise refusals.unread(read, len(parameters))
        return ask

    def rate_limits(self) -> list[dict[str, Any]]:
        """Return the limits as exchangeInfo tells them."""
        own = [self.limits.weight, self.limits.raw]
        rows: list[Mapping[str, Any]] = self.exchange.exchange_info([])["rateLimits"]
        orders = [dict(row) for row in rows if row["rateLimitType"] == "ORDERS"]
        return [own[0].row(), *orders, own[1].row()]
