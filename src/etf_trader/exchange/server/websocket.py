"""The WebSocket API: the same calls as REST, one connection for many, and user events over it."""

import asyncio
import json
import logging
import re
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from math import ceil
from typing import Any

from aiohttp import WSMsgType, web

from etf_trader.exchange.refusal import ExchangeError, illegal
from etf_trader.exchange.server import messages, refusals
from etf_trader.exchange.server.access import Credentials
from etf_trader.exchange.server.calls import Call, Reply, Table
from etf_trader.exchange.server.gateway import Broken, Cut, Gateway, Request
from etf_trader.exchange.server.keys import ApiKey
from etf_trader.exchange.server.parameters import Parameters, milliseconds
from etf_trader.exchange.server.rest import encoded
from etf_trader.exchange.server.signing import sorted_payload
from etf_trader.exchange.server.user_stream import Subscription

log = logging.getLogger(__name__)

PING_EVERY = 20.0
SILENCE = 60.0
"""Seconds without a pong after which a connection is given up."""
LONGEST_LIFE = 86_400.0
CONNECT_WEIGHT = 2
SENT_WITHIN = 1.0
"""Seconds that events which are due may take to be sent, before nobody waits for them."""
IDENTIFIER = "^[a-zA-Z0-9-_]{1,36}$"


class Literal(str):
    """A number as it was written: what was signed is its text."""

    __slots__ = ()


@dataclass(eq=False, slots=True)
class Session:
    """One connection: who logged on over it, and to what it is subscribed."""

    socket: web.WebSocketResponse
    address: str
    in_microseconds: bool
    shows_limits: bool
    connected_at: datetime
    abort: Callable[[], None]
    key: ApiKey | None = None
    authorized_at: datetime | None = None
    subscriptions: dict[int, Subscription] = field(default_factory=dict)
    subscribed: int = 0
    """How many subscriptions there were; their numbers are never used again."""
    heard: float = field(default_factory=time.monotonic)
    """When a pong came last."""

    async def send(self, message: Any) -> None:
        """Send a message; who has gone away does not hear it."""
        try:
            await self.socket.send_str(encoded(message).decode())
        except ConnectionError:
            self.abort()

    def end(self) -> None:
        """Give up every subscription."""
        for subscription in self.subscriptions.values():
            subscription.stop()
        self.subscriptions.clear()


class WebSocketApi:
    """The WebSocket side of a gateway."""

    def __init__(self, gateway: Gateway, table: Table) -> None:
        self._gateway = gateway
        self._table = table
        self._sessions: set[Session] = set()

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Serve one connection until it ends."""
        gateway, now = self._gateway, self._gateway.now()
        address = request.remote or ""
        try:
            gateway.limits.admit(address, now)
            if not gateway.limits.connect(address, now):
                raise gateway.limits.refuse_connection(now)
            gateway.limits.charge(address, CONNECT_WEIGHT, now)
        except ExchangeError as error:
            headers = {"Retry-After": str(ceil(error.retry_after or 1))}
            body = encoded({"code": error.code, "msg": error.message})
            return web.Response(status=error.http_status, body=body, headers=headers)
        # Pings and pongs are ours: a minute without a pong ends it, and each counts as a sign of life.
        socket = web.WebSocketResponse(autoping=False, max_msg_size=1 << 20)
        await socket.prepare(request)
        transport = request.transport
        session = Session(
            socket,
            address,
            request.query.get("timeUnit", "").upper() == "MICROSECOND",
            request.query.get("returnRateLimits", "true").lower() != "false",
            now,
            abort=lambda: None if transport is None else transport.abort(),
        )
        self._sessions.add(session)
        keeper = asyncio.create_task(self._keep(session))
        try:
            await self._listen(session)
        finally:
            keeper.cancel()
            session.end()
            self._sessions.discard(session)
        return socket

    async def shut_down(self) -> None:
        """Tell everyone that the server stops, and end every connection."""
        event = {"event": {"e": "serverShutdown", "E": milliseconds(self._gateway.now())}}
        for session in list(self._sessions):
            await session.send(event)
            await session.socket.close(code=1001)

    async def disconnect(self) -> int:
        """End every connection as if its 24 hours were over; return how many there were."""
        sessions = list(self._sessions)
        for session in sessions:
            await session.socket.close(code=1008)
        return len(sessions)

    async def tell(self) -> None:
        """Send what happened until now to who is subscribed; who reads too slowly is not waited for."""
        self._gateway.feed.look()
        waits = [each.sent() for session in self._sessions for each in session.subscriptions.values()]
        with suppress(TimeoutError):
            await asyncio.wait_for(asyncio.gather(*waits), SENT_WITHIN)

    def cut(self) -> int:
        """Cut every connection without a word; return how many there were."""
        sessions = list(self._sessions)
        for session in sessions:
            session.abort()
        return len(sessions)

    def __len__(self) -> int:
        return len(self._sessions)

    async def _keep(self, session: Session) -> None:
        """Ping, and end what is silent or too old."""
        began = time.monotonic()
        while time.monotonic() - began < LONGEST_LIFE:
            await asyncio.sleep(PING_EVERY)
            if time.monotonic() - session.heard > SILENCE:
                break
            try:
                await session.socket.ping()
            except ConnectionError:
                break
        await session.socket.close(code=1008)

    async def _listen(self, session: Session) -> None:
        working: set[asyncio.Task[None]] = set()
        try:
            async for message in session.socket:
                if message.type is WSMsgType.PONG:
                    session.heard = time.monotonic()
                elif message.type is WSMsgType.PING:
                    await session.socket.pong(message.data)
                elif message.type is WSMsgType.TEXT:
                    # Requests of one connection may overlap; what is changed is changed in their order.
                    task = asyncio.create_task(self._serve(session, message.data))
                    working.add(task)
                    task.add_done_callback(working.discard)
        finally:
            for task in working:
                task.cancel()

    async def _serve(self, session: Session, text: str) -> None:
        """Answer one message."""
        name: Any = None
        gateway = self._gateway
        shows_limits = session.shows_limits
        counts: list[dict[str, Any]] = []
        answer: dict[str, Any]
        after: Callable[[], None] | None = None
        try:
            gateway.limits.admit(session.address, gateway.now())
            name, method, values = read(text)
            call = self._table.by_method.get(method)
            if call is None:
                raise refusals.unsupported()
            shows_limits = values.get("returnRateLimits", str(shows_limits)).lower() != "false"
            reply = await gateway.answer(self._request(session, call, values))
            counts = messages.count_limits(reply.counts) if call.is_order else []
            answer = told(reply)
            after = reply.after
        except Cut:
            session.abort()
            return
        except Broken as error:
            answer = refused(ExchangeError(-1000, refusals.UNKNOWN, http_status=error.status), gateway.now())
        except ExchangeError as error:
            answer = refused(error, gateway.now())
        except Exception:  # the outermost place of a request
            log.exception("a request over the WebSocket API failed")
            answer = refused(ExchangeError(-1000, refusals.UNKNOWN, http_status=500), gateway.now())
        if shows_limits:
            answer["rateLimits"] = [*counts, self._used(session)]
        await session.send({"id": name} | answer)
        if after is not None:
            after()

    def _request(self, session: Session, call: Call, values: dict[str, str]) -> Request:
        payload = sorted_payload(values)
        values.pop("returnRateLimits", None)  # it is signed like any other, and no call's own
        credentials = Credentials(values.pop("apiKey", None), payload, values.get("signature"), session.key)
        return Request(call, Parameters(values), session.address, credentials, session.in_microseconds, session)

    def _used(self, session: Session) -> dict[str, Any]:
        limits = self._gateway.limits
        return limits.weight.row() | {"count": limits.used(session.address, self._gateway.now())}


def read(text: str) -> tuple[Any, str, dict[str, str]]:
    """Return the id, the method and the parameters of a request, numbers as they were written.

    Raises:
        ExchangeError: it is no request.
    """
    try:
        message = json.loads(text, parse_int=Literal, parse_float=Literal, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        raise ExchangeError(-1135, "Invalid JSON Request") from None
    if not isinstance(message, dict) or not isinstance(message.get("method"), str):
        raise ExchangeError(-1135, "Invalid JSON Request")
    name = message.get("id")
    if isinstance(name, Literal) and re.fullmatch("-?[0-9]{1,19}", name):
        name = int(name)
    elif name is not None and not (type(name) is str and re.fullmatch(IDENTIFIER, name, re.ASCII)):
        raise illegal("id", IDENTIFIER)
    given = message.get("params", {})
    if not isinstance(given, dict):
        raise ExchangeError(-1135, "Invalid JSON Request")
    return name, message["method"], {key: _text(value) for key, value in given.items() if value is not None}


def told(reply: Reply) -> dict[str, Any]:
    """Return an answer as a message; one of a status of 400 or more is an error with the details as its data."""
    if reply.status < 400:
        return {"status": reply.status, "result": reply.body}
    return {"status": reply.status, "error": reply.body}


def refused(error: ExchangeError, now: datetime) -> dict[str, Any]:
    """Return a refusal as a message; who is to wait is told until when."""
    body: dict[str, Any] = {"code": error.code, "msg": error.message}
    if error.retry_after is not None:
        at = milliseconds(now)
        body["data"] = {"serverTime": at, "retryAfter": at + ceil(error.retry_after * 1000)}
    return {"status": error.http_status, "error": body}


def _text(value: Any) -> str:
    """Return a value of a parameter as it was signed."""
    if isinstance(value, str):
        return str(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def _no_constant(name: str) -> Any:
    raise ValueError(name)
