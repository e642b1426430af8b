"""Keeps the books of many symbols from their diff depth streams.

Events are taken as they come. A symbol whose book is not known - at first, after a
gap, after its connection broke - has its events held while a snapshot is asked for,
and begins anew with both. Snapshots are asked for a few at a time, later and later
for a symbol that does not come right.
"""

import asyncio
import random
from collections import deque
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import msgspec

from etf_trader.clock import Clock
from etf_trader.errors import DataError, RateLimited, VenueError, VenueUnavailable
from etf_trader.market.book import OrderBook
from etf_trader.venue.binance.book_stream import Streams, StreamSettings, ended
from etf_trader.venue.binance.depth import (
    FIRST_LIMIT,
    DepthEvent,
    DepthReader,
    DepthSnapshot,
    event_from,
    limit_for,
)
from etf_trader.venue.binance.local_book import LocalBook, Outcome

SUFFIX = "@depth@100ms"
AT_ONCE = 4
"""Snapshots that are asked for at the same time."""

MOST_HELD = 20_000
"""Events of one symbol; the oldest go first, and then the snapshot must be so much newer."""

MOST_OLD = 20
"""So many old events in a row, and none that is new: the venue has begun to count anew."""

LEAST_WAIT, MOST_WAIT = 0.2, 30.0
STEADY = 10.0
"""Seconds that a book must have been known for its failures to be forgotten."""

BEHIND = timedelta(seconds=2)
"""A stream that has not said after so long what a snapshot knew stands still."""


@dataclass(slots=True)
class Following:
    """One symbol: its book, how it is doing, and what waits for a snapshot."""

    book: LocalBook
    limit: int = FIRST_LIMIT
    """Levels that the next snapshot is to show."""
    is_live: bool = False
    """Whether its stream flows."""
    at: datetime | None = None
    """The last moment at which the book is known to have been right, by the venue's clock."""
    snapshots: int = 0
    gaps: int = 0
    why: str = "it has not begun yet"
    """Why the book is not known."""
    held: deque[DepthEvent] = field(default_factory=lambda: deque(maxlen=MOST_HELD))
    asking: int = 0
    """Snapshots of it that are asked for now."""
    life: int = 0
    """How often its stream broke off: a snapshot of an earlier life is of no use."""
    failures: int = 0
    """Times in a row that it did not come right, or went wrong soon."""
    since: float = 0.0
    """When the book became known, by the loop's time."""
    old: int = 0
    behind: tuple[int, datetime] | None = None
    """Where the book stood when a snapshot first knew another one, and when that was."""
    task: asyncio.Task[None] | None = None
    changed: asyncio.Event = field(default_factory=asyncio.Event)


class BookFollower:
    """Local books of many symbols; it belongs to one event loop."""

    def __init__(
        self, url: str, reader: DepthReader, clock: Clock, settings: StreamSettings | None = None
    ) -> None:
        """Take the address of the streams and who reads snapshots; `clock` is the venue's, as we know it."""
        self._streams = Streams(url, self, clock, settings)
        self._reader = reader
        self._clock = clock
        self._following: dict[str, Following] = {}
        self._turns = asyncio.Semaphore(AT_ONCE)
        self._not_before = 0.0

    async def follow(self, symbols: Iterable[str]) -> None:
        """Keep the books of these symbols too."""
        fresh = [symbol for symbol in dict.fromkeys(symbols) if symbol not in self._following]
        for symbol in fresh:
            self._following[symbol] = Following(LocalBook(symbol))
        await self._streams.add(symbol.lower() + SUFFIX for symbol in fresh)

    @property
    def connections(self) -> int:
        """How many connections are kept."""
        return self._streams.connections

    def following(self, symbol: str) -> Following:
        """Return how a symbol is doing; it is followed.

        What its tasks died of, if they did, is raised here: nobody else looks at them.
        """
        self._streams.check()
        each = self._following[symbol]
        if each.task is not None and each.task.done() and not each.task.cancelled():
            each.task.result()
        return each

    def book(self, symbol: str, depth: int) -> OrderBook | None:
        """Return at most `depth` levels a side; None while the book is not known, or its stream stands still."""
        each = self.following(symbol)
        if not (each.is_live and each.book.is_known) or each.at is None:
            return None
        if not each.book.shows(1):
            return None  # no market without bids or asks, but a window that the market has left
        return each.book.book(depth, each.at)

    def why_not(self, symbol: str) -> str:
        """Return why a book is not known now, as the end of a sentence."""
        each = self._following[symbol]
        trouble = self._streams.trouble
        return trouble if not each.is_live and trouble is not None else each.why

    async def until_known(self, symbols: Iterable[str], seconds: float) -> bool:
        """Wait until these books are known, at most so long; return whether they are."""
        waiting = [self._following[symbol] for symbol in symbols]
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                for each in waiting:
                    while not (each.is_live and each.book.is_known):
                        self._streams.check()
                        each.changed.clear()
                        with suppress(TimeoutError):
                            async with asyncio.timeout(1):
                                await each.changed.wait()
        return all(each.is_live and each.book.is_known for each in waiting)

    def offer(self, snapshot: DepthSnapshot) -> bool:
        """Take note of a snapshot that somebody read now; return whether the book agrees with it.

        A book that is not known begins with it. One that stays where it is, while snapshots know
        another, has a stream that stands still, which is opened again.
        """
        each = self._following[snapshot.symbol]
        known = each.book.update_id
        if not each.is_live:
            return False
        if known is None:
            return self._begin(each, snapshot)
        if known == snapshot.update_id:
            each.behind = None
            each.at = snapshot.at if each.at is None else max(each.at, snapshot.at)
            return True
        if each.behind is None or known != each.behind[0]:
            each.behind = (known, snapshot.at)
        elif snapshot.at - each.behind[1] >= BEHIND:
            each.behind = None
            self._streams.renew(snapshot.symbol.lower() + SUFFIX, "its stream stood still")
        return False

    async def deepen(self, symbol: str, depth: int) -> None:
        """Begin a book anew with a window of `depth` levels, keeping the old one until then.

        Raises:
            VenueError: no snapshot could be read.
        """
        each = self._following[symbol]
        each.limit = max(each.limit, limit_for(depth))
        if not await self._ask(each):
            self._repair(each)

    async def close(self) -> None:
        """End everything."""
        await self._streams.close()
        for each in self._following.values():
            if each.task is not None:
                await ended(each.task)
        self._following.clear()

    # What the streams tell

    def live(self, streams: Sequence[str]) -> None:
        """These streams flow: where the book is not known, what comes is held, and a snapshot asked for."""
        for stream in streams:
            each = self._of(stream)
            if each is not None:
                each.is_live = True
                each.changed.set()
                if not each.book.is_known:
                    self._repair(each)

    def message(self, stream: str, data: msgspec.Raw, text: str, at: datetime) -> None:
        """Take an event."""
        each = self._of(stream)
        if each is None:
            return
        try:
            self._take(each, event_from(bytes(data)), at)
        except VenueUnavailable as error:
            self._lose(each, error.message)

    def lost(self, streams: Sequence[str], why: str) -> None:
        """The streams stand still: what comes next may not follow what is known."""
        for stream in streams:
            each = self._of(stream)
            if each is not None:
                each.is_live = False
                each.life += 1
                each.held.clear()
                each.book.forget()
                each.why = why

    def _of(self, stream: str) -> Following | None:
        return self._following.get(stream.partition("@")[0].upper())

    def _take(self, each: Following, event: DepthEvent, received: datetime) -> None:
        if each.asking or not each.book.is_known:
            each.held.append(event)
        if not each.book.is_known:
            return
        outcome = each.book.apply(event)
        if outcome is Outcome.APPLIED:
            each.old = 0
            if each.book.is_crossed:
                self._lose(each, "its best prices crossed")
                return
            # What lay in a queue is as old as the venue says, not as young as it came to be read.
            each.at = received if event.at is None else min(event.at, received)
            each.changed.set()
            if not each.book.shows(each.limit // 2):
                each.why = "the market has moved to the edge of its window"
                self._repair(each)
        elif outcome is Outcome.OLD:
            each.old += 1
            if each.old >= MOST_OLD:
                self._lose(each, "the venue began to count anew")
        else:
            each.gaps += 1
            self._lose(each, "updates are missing", event)

    def _lose(self, each: Following, why: str, *held: DepthEvent) -> None:
        """The book is not known any more: begin anew with a snapshot and what comes from here."""
        each.book.forget()
        each.why = why
        each.old = 0
        each.held.clear()
        each.held.extend(held)
        is_steady = asyncio.get_running_loop().time() - each.since >= STEADY
        each.failures = 0 if is_steady else each.failures + 1
        if each.is_live:
            self._repair(each)

    # Snapshots

    def _repair(self, each: Following) -> None:
        if each.task is None or each.task.done():
            each.task = asyncio.create_task(self._until_right(each))

    async def _until_right(self, each: Following) -> None:
        """Ask for snapshots until the book is known and wide enough, less and less often."""
        while each.is_live and not (each.book.is_known and each.book.shows(each.limit // 2)):
            if each.failures:
                wait = min(MOST_WAIT, LEAST_WAIT * 2 ** min(each.failures, 16))
                await asyncio.sleep(wait * random.uniform(0.5, 1.0))
            try:
                if not await self._ask(each):
                    each.failures += 1
            except (VenueError, DataError) as error:
                each.failures += 1
                each.why = error.message
                if isinstance(error, RateLimited):
                    self._not_before = asyncio.get_running_loop().time() + error.retry_after

    async def _ask(self, each: Following) -> bool:
        """Ask for a snapshot and begin with it; return whether the book is known now."""
        async with self._turns:
            loop = asyncio.get_running_loop()
            while (left := self._not_before - loop.time()) > 0:
                await asyncio.sleep(left)
            if not each.asking and each.book.is_known:
                each.held.clear()
            life = each.life
            each.asking += 1
            try:
                snapshot = await self._reader.depth(each.book.symbol, each.limit)
            finally:
                each.asking -= 1
            return life == each.life and self._begin(each, snapshot)

    def _begin(self, each: Following, snapshot: DepthSnapshot) -> bool:
        """Begin with a snapshot and the events held; a book that is known stays if they do not fit together."""
        fresh = LocalBook(each.book.symbol)
        try:
            fits = fresh.begin(snapshot, each.held)
        except VenueUnavailable as error:
            each.why = error.message
            fits = False
        if fits and each.book.is_known and (fresh.update_id or 0) < (each.book.update_id or 0):
            fits = False  # the events that led further were not held: they came before it was asked for
        if not fits:
            if not each.book.is_known:
                each.why = "its snapshot was older than its events"
            return False
        last = each.held[-1].at if each.held else None
        each.book = fresh
        each.at = snapshot.at if last is None else max(snapshot.at, min(last, self._clock.now()))
        each.held.clear()
        each.snapshots += 1
        each.old = 0
        each.since = asyncio.get_running_loop().time()
        each.changed.set()
        return True
