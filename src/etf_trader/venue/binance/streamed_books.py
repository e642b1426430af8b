"""Books for execution: read one by one at first, and followed by stream where somebody stays and asks again."""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from datetime import datetime

from etf_trader.clock import Clock
from etf_trader.market.book import OrderBook
from etf_trader.venue.binance.book_follower import BookFollower
from etf_trader.venue.binance.book_source import BookSource, Switch
from etf_trader.venue.binance.book_stream import StreamSettings
from etf_trader.venue.binance.depth import DepthReader

FOLLOW_AFTER = 3.0
"""Seconds after the first question: a command that is over sooner needs no streams."""

_LOG = logging.getLogger(__name__)


class StreamedBooks:
    """The books of one venue; each event loop has its own, which ends with it."""

    def __init__(
        self,
        streams: str,
        reader: DepthReader,
        clock: Clock,
        settings: StreamSettings | None = None,
        *,
        are_followed: bool = True,
    ) -> None:
        """Take the address of the streams and who reads snapshots.

        Unless they `are_followed` books are always read: where a clock moves by steps, each of them may
        change them all before any stream can have told of it.
        """
        self._streams = streams
        self._reader = reader
        self._clock = clock
        self._settings = settings
        self._are_followed = are_followed
        self._loop: asyncio.AbstractEventLoop | None = None
        self._source = BookSource(reader, clock)
        self._keeper: asyncio.Task[None] | None = None
        self._follow_from = 0.0

    async def books(self, symbols: Sequence[str], depth: int) -> Mapping[str, OrderBook]:
        """Return the books of `symbols`; raises as `BookSource.books`."""
        return await self._of_this_loop().books(symbols, depth)

    def traded(self, symbol: str, at: datetime) -> None:
        """Take note that we may have traded until `at`, by the venue's clock: older books are of no use now."""
        self._source.traded(symbol, at)

    async def close(self) -> None:
        """Close the streams of this event loop, if any are open; who asks again opens others."""
        if self._keeper is not None and self._loop is asyncio.get_running_loop():
            self._keeper.cancel()
            await asyncio.wait([self._keeper])
        self._loop = self._keeper = None

    def _of_this_loop(self) -> BookSource:
        loop = asyncio.get_running_loop()
        if self._loop is not loop:
            self._loop, self._keeper = loop, None
            self._source = BookSource(self._reader, self._clock, told=_log)
            self._follow_from = loop.time() + FOLLOW_AFTER
        if self._are_followed and self._keeper is None and loop.time() >= self._follow_from:
            follower = BookFollower(self._streams, self._reader, self._clock, self._settings)
            self._source.follow(follower)
            self._keeper = loop.create_task(_kept(self._source))
        return self._source


async def _kept(source: BookSource) -> None:
    """Close the streams when their event loop ends: that cancels whatever still runs."""
    try:
        await asyncio.Event().wait()
    finally:
        await source.close()


def _log(switch: Switch) -> None:
    _LOG.info("%s", switch)
