"""Books of a venue that has no streams, looked at again and again, and recorded as differences."""

import asyncio
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from etf_trader.clock import Clock
from etf_trader.errors import DataError, VenueError
from etf_trader.market.book import Level, OrderBook
from etf_trader.market.liquidity import mid_of
from etf_trader.venue.interface import Venue
from etf_trader.venue.market_data import (
    Pair,
    Progress,
    Recorded,
    Seen,
    Source,
    Sourced,
    Wanted,
    pairs_of,
)
from etf_trader.venue.recording_file import RecordingFile, write_exchange_info

WHOLE = 5000
"""Levels a side: all of them, as far as a snapshot of the venue's reaches."""

EVERY = timedelta(seconds=1)
FLUSH_EVERY = 1.0
"""Seconds of real time that a crash may cost."""

_MILLISECOND = timedelta(milliseconds=1)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class SampledMarketData:
    """The market data of a venue in this process: there is no way for a book to be old."""

    def __init__(
        self, environment: str, venue: Venue, clock: Clock, exchange_info: Callable[[], Mapping[str, Any]]
    ) -> None:
        """Take the venue and what answers with its exchangeInfo."""
        self.environment = environment
        self.clock = clock
        self._venue = venue
        self._exchange_info = exchange_info

    async def pairs(self, symbols: Sequence[str]) -> Mapping[str, Pair]:
        """Return what is known of these symbols."""
        return pairs_of(self._exchange_info()["symbols"], symbols)

    async def follow(self, symbols: Iterable[str]) -> None:
        """Do nothing: its books are there."""

    async def look(self, symbols: Sequence[str], depth: int) -> Mapping[str, Seen]:
        """Return the whole books, all of one moment."""
        try:
            books = await self._venue.books(symbols, max(depth, WHOLE))
        except (VenueError, DataError) as error:
            return dict.fromkeys(symbols, error)
        now = self.clock.now()
        return {
            symbol: Sourced(books[symbol], Source.PAPER, max(now - books[symbol].at, timedelta(0)))
            for symbol in symbols
        }

    async def record(
        self, symbols: Sequence[str], folder: Path, wanted: Wanted, stop: Callable[[], bool], told: Progress
    ) -> Recorded:
        """Look at these books every second, and write what changed."""
        file = RecordingFile(folder, self.clock.now())
        try:
            info = self._exchange_info()
            rows = [row for row in info["symbols"] if row["symbol"] in set(symbols)]
            beside = write_exchange_info(folder, {**info, "symbols": rows})
            sampler = _Sampler(self._venue, file, symbols)
            await sampler.look()
            end = None if wanted.duration is None else sampler.began + wanted.duration
            while not stop() and (end is None or sampler.at < end):
                await self.clock.sleep(_until_next(sampler.at, self.clock.now(), end))
                await sampler.look()
                told(sampler.at - sampler.began, sampler.updates)
            file.mark(sampler.at, "end", {"updates": sampler.updates})
        finally:
            file.close()
        return Recorded(
            file.path,
            beside,
            tuple(symbols),
            sampler.began,
            sampler.at,
            snapshots=len(symbols),
            updates=sampler.updates,
            trades=sampler.trades,
            gaps=0,
            bytes=file.size,
            missing={},
        )

    async def close(self) -> None:
        """Do nothing: the venue is closed by who opened it."""


def _until_next(last: datetime, now: datetime, end: datetime | None) -> float:
    """Return the seconds until the next look: on the whole second, where books of the model change."""
    due = last.replace(microsecond=0) + EVERY
    return max(((due if end is None else min(due, end)) - now).total_seconds(), 0.0)


class _Sampler:
    """What the books were at the last look."""

    def __init__(self, venue: Venue, file: RecordingFile, symbols: Sequence[str]) -> None:
        self._venue = venue
        self._file = file
        self._symbols = symbols
        self._last: dict[str, OrderBook] = {}
        self._ids: dict[str, int] = {}
        self._flushed = 0.0
        self.updates = 0
        self.trades = 0
        self.began = self.at = datetime.min.replace(tzinfo=UTC)

    async def look(self) -> None:
        """Write the books, whole at first and then as far as they changed, and what was traded since."""
        books = await self._venue.books(self._symbols, WHOLE)
        at = max(book.at for book in books.values())
        if not self._last:
            self.began = at
            self._file.mark(at, "start", {"symbols": list(self._symbols), "source": "paper"})
        else:
            await self._write_trades(self.at, at)
        for symbol in self._symbols:
            self._write(books[symbol])
        self._last, self.at = dict(books), at
        now = asyncio.get_running_loop().time()
        if self._file.is_full or now >= self._flushed + FLUSH_EVERY:
            self._file.flush()
            self._flushed = now

    def _write(self, book: OrderBook) -> None:
        symbol, last = book.symbol, self._last.get(book.symbol)
        if last is None:
            self._ids[symbol] = book.update_id
            data = {"lastUpdateId": book.update_id, "bids": _pairs(book.bids), "asks": _pairs(book.asks)}
            self._file.snapshot(book.at, symbol, WHOLE, json.dumps(data))
            return
        bids, asks = changes(last.bids, book.bids), changes(last.asks, book.asks)
        if not bids and not asks and book.update_id <= self._ids[symbol]:
            return
        first = self._ids[symbol] + 1
        self._ids[symbol] = max(first, book.update_id)
        event = {
            "e": "depthUpdate",
            "E": _milliseconds(book.at),
            "s": symbol,
            "U": first,
            "u": self._ids[symbol],
            "b": _pairs(bids),
            "a": _pairs(asks),
        }
        self._file.message(book.at, f"{symbol.lower()}@depth@100ms", json.dumps(event))
        self.updates += 1

    async def _write_trades(self, since: datetime, until: datetime) -> None:
        """Write what others traded between two looks as one trade each, at the first of them."""
        for symbol in self._symbols:
            quantity = await self._venue.volume(symbol, since, until)
            price = mid_of(self._last[symbol])
            if not quantity or price is None:
                continue
            self.trades += 1
            event = {
                "e": "trade",
                "E": _milliseconds(since),
                "s": symbol,
                "t": self.trades,
                "p": _text(price),
                "q": _text(quantity),
                "T": _milliseconds(since),
                "m": False,
            }
            self._file.message(since, f"{symbol.lower()}@trade", json.dumps(event))


def changes(before: Iterable[Level], after: Iterable[Level]) -> list[Level]:
    """Return the levels that hold something else now than before; those that are gone hold nothing."""
    old, new = dict(before), dict(after)
    set_anew = [Level(price, quantity) for price, quantity in new.items() if old.get(price) != quantity]
    return set_anew + [Level(price, Decimal(0)) for price in old if price not in new]


def _pairs(levels: Iterable[Level]) -> list[list[str]]:
    return [[_text(level.price), _text(level.quantity)] for level in levels]


def _text(number: Decimal) -> str:
    return format(number, "f")


def _milliseconds(at: datetime) -> int:
    return (at - _EPOCH) // _MILLISECOND
