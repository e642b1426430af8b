"""The market streams: who listens to what, and the clockwork that tells them.

The exchange is looked at in ticks of a tenth of a second, each thing once however
many listen; a message is written once and sent to all. On the wall clock a slow
stream takes part in every tenth tick. On a stepped clock time stands still between
two moves, so that every tick tells all streams what the last move, or an order, changed.
"""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from math import ceil

import msgspec
from aiohttp import WSMsgType, web

from etf_trader.exchange.paper import PaperExchange
from etf_trader.exchange.refusal import ExchangeError
from etf_trader.exchange.server.parameters import microseconds, milliseconds
from etf_trader.exchange.server.stream_commands import MOST_STREAMS, obey
from etf_trader.exchange.server.stream_connection import GOING_AWAY, POLICY, Connection, StreamSettings
from etf_trader.exchange.server.stream_feeds import EVERYTHING, Feed, Moment
from etf_trader.exchange.server.stream_kinds import make_feed
from etf_trader.exchange.server.stream_messages import Payload
from etf_trader.exchange.server.stream_names import TICK_MS, parse
from etf_trader.exchange.views import BookView

_LONGEST_MESSAGE = 1 << 20
_UNLIMITED = 1 << 62
"""A connection keeps its own account of what waits."""
_encode = msgspec.json.Encoder().encode


@dataclass(slots=True)
class Topic:
    """A stream that somebody listens to."""

    name: str
    every: int
    """In how many ticks it is told once."""
    feed: Feed
    listeners: dict[Connection, None] = field(default_factory=dict)


class Hub:
    """Serves the market streams of one exchange."""

    def __init__(
        self,
        exchange: PaperExchange,
        settings: StreamSettings | None = None,
        admit: Callable[[str], None] | None = None,
    ) -> None:
        """`admit` counts an attempt to connect from an address, and raises an ExchangeError for one too many."""
        self._exchange = exchange
        self._admit = admit
        self._settings = settings or StreamSettings()
        self._topics: dict[str, Topic] = {}
        self._connections: dict[Connection, None] = {}
        self._woken = asyncio.Event()
        self._is_held = False
        self._closing: set[asyncio.Task[None]] = set()

    # The way in

    def mount(self, app: web.Application) -> None:
        """Serve the streams in `app`, for as long as it runs."""
        app.router.add_get("/ws", self.handle)
        app.router.add_get("/ws/{names:.*}", self.handle)
        app.router.add_get("/stream", self.handle)
        app.cleanup_ctx.append(self.running)
        app.on_shutdown.append(lambda _: self.shut_down())

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Serve one connection until it ends."""
        try:
            if self._admit is not None:
                self._admit(request.remote or "")
        except ExchangeError as error:
            return _refused(error)
        names = _names(request)
        if len(names) > MOST_STREAMS:
            raise web.HTTPBadRequest(text="Too many subscriptions")
        # Not compressed: a message is written once for all, and a frame compressed once for each.
        socket = web.WebSocketResponse(
            autoping=False, compress=False, timeout=1, max_msg_size=_LONGEST_MESSAGE, writer_limit=_UNLIMITED
        )
        connection = Connection(
            socket,
            self._settings,
            time.monotonic(),
            combined=request.path.startswith("/stream"),
            in_microseconds=request.query.get("timeUnit", "").upper() == "MICROSECOND",
        )
        # The streams begin before the client is told that it is connected: nothing can fall between.
        self._connections[connection] = None
        try:
            await self._subscribe(connection, names)
            stream = await socket.prepare(request)
            connection.open(request.transport, stream)
            await self._listen(connection, socket)
        finally:
            del self._connections[connection]
            self._unsubscribe(connection, list(connection.names))
            connection.end()
        return socket

    async def _listen(self, connection: Connection, socket: web.WebSocketResponse) -> None:
        async for message in socket:
            now = time.monotonic()
            if connection.is_over_limit(now):
                await socket.close(code=POLICY, message=b"Too many requests")
                return
            if message.type is WSMsgType.PING:
                await socket.pong(message.data)
            elif message.type is WSMsgType.PONG:
                connection.heard_pong(bytes(message.data))
            elif message.type in (WSMsgType.TEXT, WSMsgType.BINARY):
                await self._obey(connection, message.data)

    async def _obey(self, connection: Connection, said: str | bytes) -> None:
        text = said if isinstance(said, str) else said.decode(errors="replace")
        answer, change = obey(text, connection.combined, connection.names)
        if change.combined is not None:
            connection.combined = change.combined
        self._unsubscribe(connection, change.leaves)
        await connection.send(_encode(answer))
        await self._subscribe(connection, change.joins)

    async def _subscribe(self, connection: Connection, names: Iterable[str]) -> None:
        new = [name for name in dict.fromkeys(names) if name not in connection.names]
        connection.names |= dict.fromkeys(new)
        topics = [topic for name in new if (topic := self._topics.get(name) or _topic(name)) is not None]
        if not topics:
            return
        moment = Moment(self._exchange, (symbol for topic in topics for symbol in topic.feed.books))
        for topic in topics:
            if not topic.listeners:
                topic.feed.begin(moment)
                self._topics[topic.name] = topic
            topic.listeners[connection] = None
            for payload in topic.feed.standing(moment):
                await _tell(topic.name, payload, [connection])

    def _unsubscribe(self, connection: Connection, names: Iterable[str]) -> None:
        for name in names:
            connection.names.pop(name, None)
            topic = self._topics.get(name)
            if topic is not None:
                topic.listeners.pop(connection, None)
                if not topic.listeners:
                    del self._topics[name]

    # Snapshots

    def book(self, symbol: str, limit: int) -> BookView:
        """Return the book of `symbol` for a client, who may begin to follow a stream with it.

        Raises:
            ExchangeError: -1121, there is no such symbol.
        """
        book = self._exchange.depth(symbol, EVERYTHING, settled=True)
        for topic in self._topics.values():
            if symbol in topic.feed.books:
                topic.feed.shown(book)
        is_whole = max(len(book.bids), len(book.asks)) <= limit
        return replace(book, bids=book.bids[:limit], asks=book.asks[:limit], complete=book.complete and is_whole)

    # The clockwork

    def wake(self) -> None:
        """Say that something was changed: on a stepped clock it is told at once, in real time at the next tick."""
        if self._exchange.is_stepped:
            self._woken.set()

    async def look(self, tick: int = 0) -> None:
        """Tell everyone what has changed since the last look; with a tick, those whose turn it is."""
        due = [topic for topic in self._topics.values() if tick % topic.every == 0]
        if not due or self._is_held:
            return
        moment = Moment(self._exchange, (symbol for topic in due for symbol in topic.feed.books))
        for topic in due:
            for payload in topic.feed.look(moment):
                await _tell(topic.name, payload, list(topic.listeners))

    def hold(self) -> None:
        """Send no events until they are let go; what changes meanwhile is told then."""
        self._is_held = True

    def let_go(self) -> None:
        """Send events again."""
        self._is_held = False
        self.wake()

    def cut(self) -> int:
        """Cut every connection without a word, and return how many there were."""
        connections = list(self._connections)
        for connection in connections:
            connection.drop()
        return len(connections)

    async def disconnect(self, code: int = POLICY, reason: str = "Disconnected") -> int:
        """Close every connection, as when its 24 hours are over, and return how many there were."""
        connections = list(self._connections)
        await asyncio.gather(*(connection.close(code, reason) for connection in connections))
        return len(connections)

    async def shut_down(self) -> None:
        """Tell everyone that the server stops, and close every connection."""
        event = {"e": "serverShutdown", "E": milliseconds(self._exchange.now())}
        await _tell("!serverShutdown", lambda _: event, list(self._connections))
        await self.disconnect(GOING_AWAY, "Server shutdown")

    def __len__(self) -> int:
        return len(self._connections)

    async def running(self, app: web.Application) -> AsyncIterator[None]:
        """Look at the exchange, and after connections, while `app` runs."""
        tasks = [asyncio.create_task(self._tick()), asyncio.create_task(self._keep())]
        yield
        for task in tasks:
            task.cancel()
        for task in tasks:
            with suppress(asyncio.CancelledError):
                await task

    async def _tick(self) -> None:
        tick, due = 0, time.monotonic()
        while True:
            tick, due = tick + 1, max(due + self._settings.tick, time.monotonic())
            with suppress(TimeoutError):
                async with asyncio.timeout(due - time.monotonic()):
                    await self._woken.wait()
            self._woken.clear()
            try:
                await self.look(0 if self._exchange.is_stepped else tick)
            except Exception:
                # The outermost loop: whatever it was, the next tick tells what this one did not.
                logging.getLogger(__name__).exception("the streams could not be told what happened")

    async def _keep(self) -> None:
        """Ping, and end what is silent or too old."""
        while True:
            await asyncio.sleep(min(1.0, self._settings.ping_every / 4, self._settings.life / 4))
            now = time.monotonic()
            payload = str(int(time.time() * 1000)).encode()
            for connection in list(self._connections):
                if connection.is_dead(now):
                    connection.drop()
                elif connection.is_old(now):
                    self._close_later(connection)
                else:
                    await connection.ping(now, payload)

    def _close_later(self, connection: Connection) -> None:
        task = asyncio.create_task(connection.close(POLICY, "24 hours are over"))
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)


def _topic(name: str) -> Topic | None:
    asked = parse(name)
    return None if asked is None else Topic(name, max(1, asked.every_ms // TICK_MS), make_feed(asked))


async def _tell(name: str, payload: Payload, listeners: list[Connection]) -> None:
    """Send an event, written once for each of the ways in which it is wanted."""
    written: dict[tuple[bool, bool], bytes] = {}
    for connection in listeners:
        way = connection.combined, connection.in_microseconds
        message = written.get(way)
        if message is None:
            data = _encode(payload(microseconds if connection.in_microseconds else milliseconds))
            message = written[way] = _wrapped(name, data, connection.combined)
        await connection.send(message)


def _refused(error: ExchangeError) -> web.Response:
    headers = {"Content-Type": "application/json;charset=UTF-8"}
    if error.retry_after is not None:
        headers["Retry-After"] = str(ceil(error.retry_after))
    body = _encode({"code": error.code, "msg": error.message})
    return web.Response(body=body, status=error.http_status, headers=headers)


def _wrapped(name: str, data: bytes, combined: bool) -> bytes:
    return b'{"stream":%b,"data":%b}' % (_encode(name), data) if combined else data


def _names(request: web.Request) -> list[str]:
    """Return the streams that an address names."""
    if request.path.startswith("/stream"):
        named = request.query.get("streams", "")
    else:
        named = request.match_info.get("names", "")
    return [name for name in dict.fromkeys(named.split("/")) if name]
