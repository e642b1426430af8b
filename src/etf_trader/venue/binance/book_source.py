"""Books to trade on: from the stream while it flows, else read one by one, and never an old one.

The primary source is the local book of the stream; it costs nothing to look at. Where
it is not known, or nothing was heard of it for longer than a book may be old, the
book is read by REST, which also tells whether the quiet one is still right. When the
stream is right again, it is the source again.
"""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from etf_trader.clock import Clock
from etf_trader.errors import DataError, StaleQuote, VenueError
from etf_trader.market.book import OrderBook
from etf_trader.venue.binance.book_follower import BookFollower
from etf_trader.venue.binance.depth import FIRST_LIMIT, DepthReader, DepthSnapshot, limit_for
from etf_trader.venue.market_data import Seen, Source, Sourced

MAX_AGE = timedelta(seconds=5)
AT_ONCE = 8
"""Books that are read at the same time."""


@dataclass(frozen=True, slots=True)
class Switch:
    """A symbol's books come from another source from now on; `why` ends a sentence."""

    symbol: str
    source: Source
    at: datetime
    why: str

    def __str__(self) -> str:
        if self.source is Source.STREAM:
            return f"{self.symbol}: back to the stream"
        return f"{self.symbol}: books are read one by one, because {self.why}"


Told = Callable[[Switch], None]


class BookSource:
    """Books of the stream with those of REST behind them; without a follower those of REST alone."""

    def __init__(
        self,
        reader: DepthReader,
        clock: Clock,
        follower: BookFollower | None = None,
        *,
        max_age: timedelta = MAX_AGE,
        told: Told | None = None,
    ) -> None:
        """Take both sources.

        Args:
            reader: Reads snapshots.
            clock: The venue's, as far as we know it.
            follower: Keeps local books; what is asked for is followed from then on.
            max_age: No book that is older is handed out.
            told: Is told when a symbol's source changes.
        """
        self._reader = reader
        self._clock = clock
        self._follower = follower
        self._max_age = max_age
        self._told = told
        self._source: dict[str, Source] = {}
        self._traded: dict[str, datetime] = {}
        self._turns = asyncio.Semaphore(AT_ONCE)

    def follow(self, follower: BookFollower) -> None:
        """Have the stream as primary source from now on."""
        self._follower = follower

    async def start(self, symbols: Iterable[str], seconds: float = 5) -> None:
        """Follow these symbols, and give their streams a moment to begin."""
        if self._follower is not None:
            wanted = list(symbols)
            await self._follower.follow(wanted)
            await self._follower.until_known(wanted, seconds)

    async def books(self, symbols: Sequence[str], depth: int = FIRST_LIMIT) -> dict[str, OrderBook]:
        """Return the books of `symbols`, `depth` levels a side.

        Raises:
            StaleQuote: one is too old, and no younger one can be had.
            VenueError: one cannot be had at all.
        """
        books = {}
        for symbol, seen in (await self.look(symbols, depth)).items():
            if not isinstance(seen, Sourced):
                raise seen
            books[symbol] = seen.book
        return books

    async def look(self, symbols: Sequence[str], depth: int = FIRST_LIMIT) -> dict[str, Seen]:
        """Return each book with its source and age, or what keeps it from being had."""
        if self._follower is not None:
            await self._follower.follow(symbols)
        async with asyncio.TaskGroup() as group:
            tasks = {symbol: group.create_task(self._caught(symbol, depth)) for symbol in symbols}
        return {symbol: task.result() for symbol, task in tasks.items()}

    def traded(self, symbol: str, at: datetime) -> None:
        """Take note that we traded `at`, by the venue's clock: only books from after that are handed out now."""
        self._traded[symbol] = max(at, self._traded.get(symbol, at))

    def age(self, symbol: str) -> timedelta | None:
        """Return how long ago the stream's book was last known to be right; None where there is none."""
        book = None if self._follower is None else self._follower.book(symbol, 1)
        return None if book is None else self._age(book.at)

    async def close(self) -> None:
        """End everything."""
        if self._follower is not None:
            await self._follower.close()

    async def _caught(self, symbol: str, depth: int) -> Seen:
        """Return the failure of one book as a value, so that the others are not given up half way."""
        try:
            return await self._one(symbol, depth)
        except (VenueError, DataError) as error:
            return error

    async def _one(self, symbol: str, depth: int) -> Sourced:
        if self._follower is None:
            return self._read(await self._snapshot(symbol, depth), depth)
        book, why = await self._streamed(symbol, depth)
        if book is not None and self._is_young(book):
            return self._from_stream(book)
        try:
            snapshot = await self._snapshot(symbol, depth)
        except VenueError as error:
            if book is None:
                raise
            raise StaleQuote(
                f"the book of {symbol} is {self._age(book.at).total_seconds():.1f} s old, more than "
                f"{self._max_age.total_seconds():g} s, and no younger one can be had: {error.message}",
                where=symbol,
            ) from error
        if self._follower.offer(snapshot):
            book = self._follower.book(symbol, depth)
            if book is not None and self._is_deep_enough(book, depth) and self._is_young(book):
                return self._from_stream(book)
        return self._read(snapshot, depth, why)

    async def _streamed(self, symbol: str, depth: int) -> tuple[OrderBook | None, str]:
        """Return the stream's book, deepened where it shows too little; or why there is none."""
        assert self._follower is not None
        book = self._follower.book(symbol, depth)
        if book is None:
            return None, self._follower.why_not(symbol)
        if not self._is_deep_enough(book, depth):
            try:
                await self._follower.deepen(symbol, depth)
            except (VenueError, DataError) as error:
                return None, error.message
            book = self._follower.book(symbol, depth)
            if book is None or not self._is_deep_enough(book, depth):
                return None, "its stream does not show so many levels"
        if self._age(book.at) <= self._max_age:
            return book, "the stream has not told of our last trade yet"
        return book, f"its stream said nothing for {self._age(book.at).total_seconds():.1f} s"

    async def _snapshot(self, symbol: str, depth: int) -> DepthSnapshot:
        async with self._turns:
            return await self._reader.depth(symbol, limit_for(depth))

    def _is_young(self, book: OrderBook) -> bool:
        """Whether a book may be traded on: not too old, and from after our last trade in it."""
        traded = self._traded.get(book.symbol)
        return self._age(book.at) <= self._max_age and (traded is None or book.at > traded)

    def _is_deep_enough(self, book: OrderBook, depth: int) -> bool:
        """Whether a book shows what was asked for: a window may be narrower by what was traded since."""
        return book.complete or min(len(book.bids), len(book.asks)) >= min(depth, limit_for(depth) // 2)

    def _from_stream(self, book: OrderBook) -> Sourced:
        self._switch(book.symbol, Source.STREAM, "")
        return Sourced(book, Source.STREAM, self._age(book.at))

    def _read(self, snapshot: DepthSnapshot, depth: int, why: str = "no stream is followed") -> Sourced:
        if self._age(snapshot.at) > self._max_age:
            raise StaleQuote(
                f"the book of {snapshot.symbol} took {self._age(snapshot.at).total_seconds():.1f} s to be read, "
                f"more than {self._max_age.total_seconds():g} s",
                where=snapshot.symbol,
            )
        self._switch(snapshot.symbol, Source.REST, why)
        return Sourced(snapshot.book(depth), Source.REST, self._age(snapshot.at))

    def _switch(self, symbol: str, source: Source, why: str) -> None:
        before = self._source.get(symbol, Source.STREAM if self._follower is not None else source)
        self._source[symbol] = source
        if before is not source and self._told is not None:
            self._told(Switch(symbol, source, self._clock.now(), why))

    def _age(self, at: datetime) -> timedelta:
        return max(self._clock.now() - at, timedelta(0))
