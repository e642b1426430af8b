"""Market streams over few connections: many streams on each, which are opened again for ever.

A connection carries at most 1024 streams, takes at most 5 control messages a second,
and lives a day at most; an address may open 300 in five minutes. Before a
connection's day is over, or when the venue says that it will shut down, the next one
is opened beside it and takes over where it ends: what both tell is told once by its
ids, and nothing is missing.

Source:
    Binance Spot API: web-socket-streams.md.
"""

import asyncio
import random
from collections import deque
from collections.abc import Coroutine, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

import aiohttp
import msgspec

from etf_trader.clock import Clock
from etf_trader.venue.binance.errors import network

MOST_STREAMS = 1024
NAMES_A_MESSAGE = 200
_SHUTDOWN = "serverShutdown"


@dataclass(frozen=True, slots=True)
class StreamSettings:
    """How connections are kept, in seconds unless it says otherwise."""

    connect_timeout: float = 10
    answer_timeout: float = 10
    """For the answer to a subscription, and to a ping."""
    quiet: float = 10
    """After so long without a word the venue is pinged."""
    control_pause: float = 0.25
    """Between control messages: 4 a second, of 5."""
    least_wait: float = 0.5
    most_wait: float = 60
    """Before a connection is tried again: doubled with every failure."""
    steady: float = 60
    """A connection that lived so long has no failures behind it."""
    lifetime: float = 23.5 * 3600
    attempts: int = 250
    """Connections that may be opened within `attempts_window`."""
    attempts_window: float = 300


class StreamListener(Protocol):
    """Is told what comes; all of it in one event loop, in order, and never waited for."""

    def live(self, streams: Sequence[str]) -> None:
        """These streams flow from now on: what happens next will be told."""

    def message(self, stream: str, data: msgspec.Raw, text: str, at: datetime) -> None:
        """Take what a stream said, received `at`; `text` is the whole message as it came."""

    def lost(self, streams: Sequence[str], why: str) -> None:
        """Take note that these streams stand still until they are live again: something will be missing."""


class _Frame(msgspec.Struct):
    """A message of a combined stream, the answer to a control message, or a word of the server's."""

    stream: str | None = None
    data: msgspec.Raw = msgspec.Raw(b"")
    id: int | None = None
    error: msgspec.Raw = msgspec.Raw(b"")
    code: int | None = None
    e: str | None = None


_frame = msgspec.json.Decoder(_Frame)


class _Closed(Exception):
    """A connection that ended, or never stood; the message says why."""


class Streams:
    """Keeps streams flowing, whatever their number, and tells a listener what they say."""

    def __init__(
        self, url: str, listener: StreamListener, clock: Clock, settings: StreamSettings | None = None
    ) -> None:
        """Take the address of the streams, `wss://host:port`; nothing is opened yet."""
        self._url = f"{url.rstrip('/')}/stream"
        self._listener = listener
        self._clock = clock
        self._settings = settings or StreamSettings()
        self._lanes: list[_Lane] = []
        self._session: aiohttp.ClientSession | None = None
        self._opened: deque[float] = deque()

    async def add(self, streams: Iterable[str]) -> None:
        """Let these streams flow too; those that do already are left as they are."""
        known = {stream for lane in self._lanes for stream in lane.streams}
        fresh = [stream for stream in dict.fromkeys(streams) if stream not in known]
        if self._session is None:
            self._session = aiohttp.ClientSession()
        for lane in self._lanes:
            room = MOST_STREAMS - len(lane.streams)
            lane.add(fresh[:room])
            fresh = fresh[room:]
        while fresh:
            self._lanes.append(_Lane(self, fresh[:MOST_STREAMS]))
            fresh = fresh[MOST_STREAMS:]

    def check(self) -> None:
        """Raise what a connection died of that is no matter of the network: a bug."""
        for lane in self._lanes:
            lane.check()

    @property
    def trouble(self) -> str | None:
        """Why a connection does not stand now; None where all do."""
        return next((lane.trouble for lane in self._lanes if lane.trouble is not None), None)

    def renew(self, stream: str, why: str) -> None:
        """Give up the connection of a stream that stands still, and open another."""
        for lane in self._lanes:
            if stream in lane.streams:
                lane.give_up(why)

    @property
    def connections(self) -> int:
        """How many connections are kept."""
        return len(self._lanes)

    async def close(self) -> None:
        """End all connections."""
        for lane in self._lanes:
            await lane.close()
        self._lanes.clear()
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def _connect(self) -> aiohttp.ClientWebSocketResponse:
        """Open a connection, when there may be one more."""
        assert self._session is not None
        now, limits = asyncio.get_running_loop().time, self._settings
        while len(self._opened) >= limits.attempts:
            over = self._opened[0] + limits.attempts_window - now()
            if over > 0:
                await asyncio.sleep(over)
            else:
                self._opened.popleft()
        self._opened.append(now())
        try:
            async with asyncio.timeout(limits.connect_timeout):
                return await self._session.ws_connect(self._url, autoping=False, max_msg_size=0)
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise _Closed(network(error)) from error


class _Lane:
    """The streams of one connection, through all the connections that carry them one after the other."""

    def __init__(self, owner: Streams, streams: Sequence[str]) -> None:
        self.streams = list(streams)
        self._owner = owner
        self._link: _Link | None = None
        self._failures = 0
        self.trouble: str | None = None
        self._task = asyncio.create_task(self._run())

    def add(self, streams: Sequence[str]) -> None:
        self.streams += streams
        if streams and self._link is not None:
            self._link.want(streams)

    def check(self) -> None:
        if self._task.done() and not self._task.cancelled():
            self._task.result()

    def give_up(self, why: str) -> None:
        if self._link is not None:
            self._link.end(why)

    async def close(self) -> None:
        await ended(self._task)

    async def _run(self) -> None:
        try:
            while True:
                fresh = await self._open()
                if (old := self._link) is not None:
                    # What the old one still had is told first, then what the new one heard meanwhile.
                    await old.close()
                    if old.why is not None:
                        self._lost(old, old.why)
                self._link, self.trouble = fresh, None
                fresh.want(self.streams[fresh.asked :])
                fresh.release()
                why = await fresh.until_over()
                if why is not None:
                    self._link = None
                    await fresh.close()
                    self._lost(fresh, why)
                    if fresh.lived >= self._owner._settings.steady:
                        self._failures = 0
                    await self._wait()
        finally:
            if self._link is not None:
                await self._link.close()

    def _lost(self, link: "_Link", why: str) -> None:
        self.trouble = why
        self._owner._listener.lost(tuple(link.told_live), why)

    async def _open(self) -> "_Link":
        """Open a connection on which every stream flows; what it says is held until it is released."""
        while True:
            link = _Link(self._owner, self.streams)
            try:
                await link.open()
                return link
            except _Closed as error:
                self.trouble = str(error)
                await link.close()
                await self._wait()
            except BaseException:
                await link.close()
                raise

    async def _wait(self) -> None:
        settings = self._owner._settings
        wait = min(settings.most_wait, settings.least_wait * 2**self._failures)
        self._failures = min(self._failures + 1, 16)
        await asyncio.sleep(wait * random.uniform(0.5, 1.0))


class _Link:
    """One connection."""

    def __init__(self, owner: Streams, streams: Sequence[str]) -> None:
        self._owner = owner
        self._settings = owner._settings
        self._wanted: deque[str] = deque(streams)
        self.asked = len(streams)
        """How many of the streams it was made for; those after them were wanted while it was opened."""
        self._socket: aiohttp.ClientWebSocketResponse | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._held: list[tuple[str, msgspec.Raw, str, datetime]] | None = []
        self._answers: dict[int, asyncio.Future[None]] = {}
        self._number = 0
        self._over: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._began = 0.0
        self._heard = 0.0
        self.why: str | None = None
        """Why it ended; None while it stands, or when it is to be renewed."""
        self.told_live: list[str] = []

    @property
    def lived(self) -> float:
        return asyncio.get_running_loop().time() - self._began

    async def open(self) -> None:
        self._socket = await self._owner._connect()
        self._began = self._heard = asyncio.get_running_loop().time()
        for work in (self._read(), self._watch()):
            self._start(work)
        await self._subscribe()
        self._start(self._subscribe_more())

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        task.add_done_callback(self._note_death)
        self._tasks.append(task)

    def _note_death(self, task: asyncio.Task[None]) -> None:
        """Hand a bug over to who waits for the connection: nobody else looks at the task."""
        if not task.cancelled() and (bug := task.exception()) is not None and not self._over.done():
            self._over.set_exception(bug)

    def want(self, streams: Iterable[str]) -> None:
        """Subscribe to more."""
        self._wanted.extend(streams)

    def release(self) -> None:
        """Tell what was held, and from now on what comes."""
        held, self._held = self._held or [], None
        self._owner._listener.live(tuple(self.told_live))
        for each in held:
            self._owner._listener.message(*each)

    async def until_over(self) -> str | None:
        """Wait for its end; return why, or None when it stands and is to be replaced."""
        await asyncio.shield(self._over)
        return self.why

    def end(self, why: str | None) -> None:
        """Let it end: for a reason, or None to be replaced."""
        if why is not None and self.why is None:
            self.why = why
        if not self._over.done():
            self._over.set_result(None)
        for answer in self._answers.values():
            if why is not None and not answer.done():
                answer.set_exception(_Closed(why))

    async def close(self) -> None:
        for task in self._tasks:
            await ended(task)
        self._tasks.clear()
        for answer in self._answers.values():
            answer.cancel()
        if self._socket is not None:
            with suppress(aiohttp.ClientError, OSError, TimeoutError):
                async with asyncio.timeout(1):
                    await self._socket.close()

    # Subscriptions

    async def _subscribe(self) -> None:
        """Subscribe to all that is wanted, not too fast for the venue."""
        while self._wanted:
            names = [self._wanted.popleft() for _ in range(min(NAMES_A_MESSAGE, len(self._wanted)))]
            await self._ask({"method": "SUBSCRIBE", "params": names})
            self.told_live += names
            if self._held is None:
                self._owner._listener.live(names)
            await asyncio.sleep(self._settings.control_pause)

    async def _subscribe_more(self) -> None:
        while True:
            await asyncio.sleep(self._settings.control_pause)
            try:
                await self._subscribe()
            except _Closed as error:
                self.end(str(error))
                return

    async def _ask(self, message: dict[str, object]) -> None:
        assert self._socket is not None
        self._number += 1
        answer = self._answers[self._number] = asyncio.get_running_loop().create_future()
        try:
            async with asyncio.timeout(self._settings.answer_timeout):
                await self._socket.send_str(msgspec.json.encode(message | {"id": self._number}).decode())
                await answer
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise _Closed(network(error)) from error
        finally:
            del self._answers[self._number]

    # What comes

    async def _read(self) -> None:
        assert self._socket is not None
        try:
            while True:
                message = await self._socket.receive()
                self._heard = asyncio.get_running_loop().time()
                if message.type is aiohttp.WSMsgType.TEXT:
                    self._take(message.data)
                elif message.type is aiohttp.WSMsgType.PING:
                    await self._socket.pong(message.data)
                elif message.type not in (aiohttp.WSMsgType.PONG, aiohttp.WSMsgType.BINARY):
                    self.end("the venue closed the connection")
                    return
        except (aiohttp.ClientError, OSError) as error:
            self.end(network(error))

    def _take(self, text: str) -> None:
        try:
            frame = _frame.decode(text)
        except msgspec.MsgspecError:
            self.end("the venue said something that is no message")
            return
        if frame.stream is not None:
            if frame.stream == f"!{_SHUTDOWN}":
                self.end(None)
                return
            told = (frame.stream, frame.data, text, self._owner._clock.now())
            if self._held is None:
                self._owner._listener.message(*told)
            else:
                self._held.append(told)
        elif frame.e == _SHUTDOWN:
            self.end(None)
        elif frame.id is not None and (answer := self._answers.get(frame.id)) is not None and not answer.done():
            if frame.error or frame.code is not None:
                answer.set_exception(_Closed(f"the venue refused the subscription: {text}"))
            else:
                answer.set_result(None)

    async def _watch(self) -> None:
        """Ping a connection that says nothing, and end one that does not answer or has lived its time."""
        assert self._socket is not None
        settings, now = self._settings, asyncio.get_running_loop().time
        renewal = self._began + settings.lifetime * random.uniform(0.97, 1.0)
        while True:
            due = min(self._heard + settings.quiet, renewal)
            await asyncio.sleep(max(due - now(), 0.05))
            if now() >= renewal:
                renewal = float("inf")
                self.end(None)
            elif now() - self._heard >= settings.quiet:
                heard = self._heard
                with suppress(aiohttp.ClientError, OSError):
                    await self._socket.ping()
                await asyncio.sleep(settings.answer_timeout)
                if self._heard == heard:
                    self.end(f"the venue said nothing for {settings.quiet + settings.answer_timeout:g} s")
                    return


async def ended(task: asyncio.Task[None]) -> None:
    """Cancel a task and wait for its end; what it died of is told elsewhere."""
    task.cancel()
    await asyncio.wait([task])
    if not task.cancelled():
        task.exception()
