"""One client of the streams: what waits to be sent to it, and what it may send."""

import asyncio
from collections import deque
from dataclasses import dataclass

from aiohttp import WSMsgType, web
from aiohttp.abc import AbstractStreamWriter

POLICY, GOING_AWAY = 1008, 1001
_QUIETLY = (ConnectionError, RuntimeError)
"""What a write raises once the other side has gone."""


@dataclass(frozen=True, slots=True)
class StreamSettings:
    """How the streams are served; times are seconds of the machine, whatever clock the exchange has.

    A connection sends at most `messages` in a second and lives `life` at most. It
    is pinged every `ping_every` and dropped when no pong came for `pong_within`, or
    when `backlog` messages wait for it. `tick` is how often the exchange is looked at.
    """

    messages: int = 5
    life: float = 86_400
    ping_every: float = 20
    pong_within: float = 60
    backlog: int = 4_096
    tick: float = 0.1


class Connection:
    """A client's socket; what is sent never waits for a slow reader."""

    def __init__(
        self,
        socket: web.WebSocketResponse,
        settings: StreamSettings,
        now: float,
        *,
        combined: bool,
        in_microseconds: bool,
    ) -> None:
        self.combined = combined
        self.in_microseconds = in_microseconds
        self.names: dict[str, None] = {}
        self.began = now
        self._pinged = now
        self._pings: dict[bytes, float] = {}
        self._socket = socket
        self._settings = settings
        self._transport: asyncio.Transport | None = None
        self._stream: AbstractStreamWriter | None = None
        self._low = 0
        self._waiting: deque[bytes] = deque()
        self._writer: asyncio.Task[None] | None = None
        self._received: deque[float] = deque(maxlen=settings.messages)

    # Sending

    def open(self, transport: asyncio.BaseTransport | None, stream: AbstractStreamWriter) -> None:
        """Begin to send: the handshake is done."""
        if not isinstance(transport, asyncio.Transport):
            return  # gone already
        self._transport, self._stream = transport, stream
        self._low = transport.get_write_buffer_limits()[0]
        if self._waiting:
            self._write_later()

    async def send(self, message: bytes) -> None:
        """Send a message, or keep it for a reader that is behind; who is too far behind is dropped.

        It never waits: a look at the exchange is told to all before anything else happens.
        """
        transport = self._transport
        if transport is not None and not self._waiting and transport.get_write_buffer_size() <= self._low:
            await self._put(message)
            return
        if len(self._waiting) >= self._settings.backlog:
            self.drop()
            return
        self._waiting.append(message)
        if self._transport is not None:
            self._write_later()

    def _write_later(self) -> None:
        if self._writer is None or self._writer.done():
            self._writer = asyncio.create_task(self._write())

    async def _put(self, message: bytes) -> None:
        try:
            await self._socket.send_frame(message, WSMsgType.TEXT)  # unlimited: into the transport's buffer
        except _QUIETLY:
            self.drop()

    async def _write(self) -> None:
        assert self._stream is not None
        while self._waiting:
            try:
                await self._stream.drain()
            except _QUIETLY:
                self.drop()
            if self._waiting:
                await self._put(self._waiting.popleft())

    # Its life

    def is_over_limit(self, now: float) -> bool:
        """Count a message from the client, and return whether it is one too many for a second."""
        too_many = len(self._received) == self._settings.messages and now - self._received[0] < 1
        self._received.append(now)
        return too_many

    def heard_pong(self, payload: bytes) -> None:
        """Note that the client answered a ping; a pong that nobody asked for counts for nothing."""
        if payload in self._pings:
            self._pings.clear()

    def is_dead(self, now: float) -> bool:
        """Return whether a ping has gone unanswered for too long."""
        return bool(self._pings) and now - min(self._pings.values()) > self._settings.pong_within

    def is_old(self, now: float) -> bool:
        """Return whether it has lived as long as a connection may."""
        return now - self.began >= self._settings.life

    async def ping(self, now: float, payload: bytes) -> None:
        """Ping the client, when it is time to."""
        if self._transport is None or now - self._pinged < self._settings.ping_every:
            return
        self._pinged = now
        self._pings.setdefault(payload, now)
        if self._transport.get_write_buffer_size() <= self._low:  # a reader that is behind has other worries
            try:
                await self._socket.ping(payload)
            except _QUIETLY:
                self.drop()

    def end(self) -> None:
        """Send nothing more."""
        self._waiting.clear()
        if self._writer is not None:
            self._writer.cancel()

    def drop(self) -> None:
        """Cut the connection without a word."""
        self.end()
        if self._transport is not None:
            self._transport.abort()

    async def close(self, code: int, reason: str) -> None:
        """Send what waits, as far as that goes in a moment, and close."""
        try:
            if self._writer is not None and not self._writer.done():
                await asyncio.wait([self._writer], timeout=1)
            await self._socket.close(code=code, message=reason.encode())
        except _QUIETLY:
            pass
        self.drop()
