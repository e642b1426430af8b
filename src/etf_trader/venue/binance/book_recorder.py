"""Records diff depth and trades as they come, so that what is in the file can always be replayed.

A symbol begins with a snapshot, and after a gap with another one. Events that do not
follow what the file has are held back until the snapshot is there that they follow:
at no time does the file end in a gap that nothing closes.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import msgspec

from etf_trader.clock import Clock
from etf_trader.errors import DataError, RateLimited, VenueError, VenueUnavailable
from etf_trader.venue.binance.book_stream import Streams, StreamSettings, ended
from etf_trader.venue.binance.depth import DepthReader, DepthSnapshot, event_from
from etf_trader.venue.recording_file import RecordingFile

DEPTH, TRADE = "@depth@100ms", "@trade"
FLUSH_EVERY = 1.0
LEAST_WAIT, MOST_WAIT = 0.5, 30.0
MOST_HELD = 100_000
PATIENCE = 30.0
"""Seconds after which the time of a recording runs, though a symbol has not begun."""

_Held = tuple[int, int, str, str, datetime]


@dataclass(slots=True)
class _Symbol:
    name: str
    update_id: int | None = None
    """The last update in the file; None: the next thing it needs is a snapshot."""
    held: deque[_Held] = field(default_factory=lambda: deque(maxlen=MOST_HELD))
    is_live: bool = False
    life: int = 0
    has_begun: bool = False
    why: str = ""
    task: asyncio.Task[None] | None = None


class BookRecorder:
    """Writes one recording; it belongs to one event loop."""

    def __init__(
        self,
        url: str,
        reader: DepthReader,
        clock: Clock,
        file: RecordingFile,
        limit: int,
        settings: StreamSettings | None = None,
    ) -> None:
        """Take the address of the streams, who reads snapshots of `limit` levels a side, and where to write."""
        self._streams = Streams(url, self, clock, settings)
        self._trades = Streams(url, self, clock, settings)  # apart: what ails them is not to cost a book
        self._reader = reader
        self._clock = clock
        self._file = file
        self._limit = limit
        self._symbols: dict[str, _Symbol] = {}
        self._not_before = 0.0
        self._turn = asyncio.Semaphore(2)
        self.began = self.ended = clock.now()
        self.snapshots = self.updates = self.trades = self.gaps = 0

    async def run(
        self,
        symbols: Sequence[str],
        duration: timedelta | None,
        stop: Callable[[], bool],
        told: Callable[[timedelta, int], None],
    ) -> None:
        """Record until `duration` is over, counted from the first books, or until `stop` says so."""
        self._symbols = {symbol: _Symbol(symbol) for symbol in symbols}
        self._file.mark(self.began, "start", {"symbols": list(symbols), "source": "stream"})
        await self._streams.add(symbol.lower() + DEPTH for symbol in symbols)
        await self._trades.add(symbol.lower() + TRADE for symbol in symbols)
        loop = asyncio.get_running_loop()
        end: float | None = None
        begun = flushed = loop.time()
        try:
            while not stop() and (end is None or loop.time() < end):
                await asyncio.sleep(0.05)
                self._check()
                if end is None and duration is not None and (not self.missing() or loop.time() > begun + PATIENCE):
                    end = loop.time() + duration.total_seconds()
                if self._file.is_full or loop.time() - flushed >= FLUSH_EVERY:
                    await self._file.flush_aside()
                    flushed = loop.time()
                    told(self._clock.now() - self.began, self.updates)
        finally:
            await self._close()
            self.ended = self._clock.now()
            facts = {"updates": self.updates, "trades": self.trades, "gaps": self.gaps}
            self._file.mark(self.ended, "end", facts)

    def missing(self) -> dict[str, str]:
        """Return the symbols that are not in the file at all, and why."""
        why = self._streams.trouble or "it was stopped too early"
        return {each.name: each.why or why for each in self._symbols.values() if not each.has_begun}

    # What the streams tell

    def live(self, streams: Sequence[str]) -> None:
        """These streams flow from now on."""
        for stream in streams:
            each, kind = self._of(stream)
            if each is not None and kind == DEPTH and not each.is_live:
                each.is_live = True
                if each.update_id is None:
                    self._begin(each)

    def message(self, stream: str, data: msgspec.Raw, text: str, at: datetime) -> None:
        """Write what came, or hold it until it follows."""
        each, kind = self._of(stream)
        if each is None:
            return
        body = bytes(data).decode()
        if kind == TRADE:
            if each.has_begun:
                self._file.message(at, stream, body)
                self.trades += 1
            return
        try:
            event = event_from(body)
        except VenueUnavailable as error:
            self._gap(each, error.message, at)
            return
        if each.update_id is not None and event.first > each.update_id + 1:
            self._gap(each, f"updates {each.update_id + 1} to {event.first - 1} are missing", at)
        self._take(each, (event.first, event.last, stream, body, at))

    def lost(self, streams: Sequence[str], why: str) -> None:
        """The streams stand still, and what comes next will not follow."""
        for stream in streams:
            each, kind = self._of(stream)
            if each is not None and kind == DEPTH:
                each.is_live = False
                each.life += 1
                self._gap(each, why, self._clock.now())

    def _of(self, stream: str) -> tuple[_Symbol | None, str]:
        name, at, kind = stream.partition("@")
        return self._symbols.get(name.upper()), at + kind

    def _take(self, each: _Symbol, event: _Held) -> None:
        first, last, stream, body, at = event
        if each.update_id is None:
            if each.held and first > each.held[-1][1] + 1:
                each.held.clear()  # only what follows one another can follow a snapshot
            each.held.append(event)
        elif last > each.update_id:
            self._file.message(at, stream, body)
            self.updates += 1
            each.update_id = last

    def _gap(self, each: _Symbol, why: str, at: datetime) -> None:
        """From here on nothing follows what the file has, until a snapshot."""
        each.why = why
        if each.update_id is None:
            if not each.is_live:
                each.held.clear()
            return
        each.update_id = None
        each.held.clear()
        self.gaps += 1
        self._file.mark(at, "gap", {"symbol": each.name, "why": why})
        if each.is_live:
            self._begin(each)

    # Snapshots

    def _begin(self, each: _Symbol) -> None:
        if each.task is None or each.task.done():
            each.task = asyncio.create_task(self._until_begun(each))

    async def _until_begun(self, each: _Symbol) -> None:
        failures = 0
        while each.is_live and each.update_id is None:
            if failures:
                await asyncio.sleep(min(MOST_WAIT, LEAST_WAIT * 2 ** min(failures, 16)))
            try:
                await self._ask(each)
            except (VenueError, DataError) as error:
                each.why = error.message
                if isinstance(error, RateLimited):
                    self._not_before = asyncio.get_running_loop().time() + error.retry_after
            failures += 1

    async def _ask(self, each: _Symbol) -> None:
        async with self._turn:
            while (left := self._not_before - asyncio.get_running_loop().time()) > 0:
                await asyncio.sleep(left)
            life = each.life
            snapshot = await self._reader.depth(each.name, self._limit)
            if life == each.life:
                self._write(each, snapshot)

    def _write(self, each: _Symbol, snapshot: DepthSnapshot) -> None:
        """Write a snapshot and the events held that follow it, if they do."""
        after = [event for event in each.held if event[1] > snapshot.update_id]
        if after and after[0][0] > snapshot.update_id + 1:
            each.why = "its snapshot was older than its events"
            return
        self._file.snapshot(self._clock.now(), each.name, snapshot.limit, snapshot.text)
        self.snapshots += 1
        each.has_begun = True
        each.update_id = snapshot.update_id
        each.held.clear()
        for event in after:
            self._take(each, event)

    def _check(self) -> None:
        self._streams.check()
        self._trades.check()
        for each in self._symbols.values():
            if each.task is not None and each.task.done() and not each.task.cancelled():
                each.task.result()

    async def _close(self) -> None:
        await self._streams.close()
        await self._trades.close()
        for each in self._symbols.values():
            if each.task is not None:
                await ended(each.task)
