"""Between the wire and the exchange: who asks, how much they may ask, and what they asked."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any

from etf_trader.exchange.paper import PaperExchange
from etf_trader.exchange.server import refusals
from etf_trader.exchange.server.access import AHEAD, Admission, Credentials, admit
from etf_trader.exchange.server.calls import Ask, Call, Reply
from etf_trader.exchange.server.keys import Keys
from etf_trader.exchange.server.limits import Limits
from etf_trader.exchange.server.parameters import Parameters

SIGNING = frozenset(("timestamp", "recvWindow", "signature", "apiKey"))
UNSIGNED: frozenset[str] = frozenset()


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


class Gateway:
    """Answers requests, whichever way they came."""

    def __init__(self, exchange: PaperExchange, settings: ServerSettings | None = None) -> None:
        self.exchange = exchange
        self.settings = settings or ServerSettings()
        self.limits = Limits(self.settings.weight, self.settings.raw, self.settings.connections)
        self.keys = Keys(exchange.database)
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

    def uid(self, account: str) -> int:
        """Return the number of an account: the same for ever in this exchange, another in any other."""
        drawn = sha256(f"{self.exchange.era}:{account}".encode()).digest()
        return int.from_bytes(drawn[:5], "big") + 1

    async def answer(self, request: Request) -> Reply:
        """Answer a request that was counted already, and count its weight.

        Raises:
            ExchangeError: it is refused.
        """
        call, now = request.call, self.now()
        weight = call.weighs(request.parameters)
        self.limits.charge(request.address, weight, now)
        ask = self._ask(request, now)
        reply = await self._run(lambda: call.handler(ask))
        if call.is_free and reply.status < 400:
            self.limits.give_back(request.address, weight, now)
        return reply

    def _ask(self, request: Request, now: datetime) -> Ask:
        """Return the request as its handler works with it, from who may send it."""
        call, parameters = request.call, request.parameters
        admission: Admission | None = None
        if call.security.is_signed:
            admission = admit(self.keys, call.security, request.credentials, parameters, now, self.ahead)
        known = call.takes | SIGNING if call.security.is_signed else call.takes
        read = sum(name in known for name in parameters.names())
        if read < len(parameters):
            raise refusals.unread(read, len(parameters))
        if admission is None:
            return Ask(self, parameters, now, request.in_microseconds)
        return Ask(
            self,
            parameters,
            now,
            request.in_microseconds,
            admission.key,
            min(admission.timestamp, now) if self.exchange.is_stepped else admission.timestamp,
            admission.recv_window,
        )

    async def _run(self, work: Callable[[], Reply]) -> Reply:
        return work()

    def rate_limits(self) -> list[dict[str, Any]]:
        """Return the limits as exchangeInfo tells them."""
        own = [self.limits.weight, self.limits.raw]
        rows: list[Mapping[str, Any]] = self.exchange.exchange_info([])["rateLimits"]
        orders = [dict(row) for row in rows if row["rateLimitType"] == "ORDERS"]
        return [own[0].row(), *orders, own[1].row()]
