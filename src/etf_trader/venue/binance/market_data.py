"""Binance's books for those who only look: followed by stream, read by REST, recorded as they come."""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from etf_trader.errors import VenueUnavailable
from etf_trader.venue.binance import errors
from etf_trader.venue.binance.book_follower import BookFollower
from etf_trader.venue.binance.book_recorder import BookRecorder
from etf_trader.venue.binance.book_source import BookSource, Told
from etf_trader.venue.binance.book_stream import StreamSettings
from etf_trader.venue.binance.client import Network
from etf_trader.venue.binance.depth import FIRST_LIMIT, limit_for
from etf_trader.venue.binance.errors import Refusal
from etf_trader.venue.binance.rest_depth import RestDepth
from etf_trader.venue.binance.venue import BinanceVenue
from etf_trader.venue.market_data import Pair, Progress, Recorded, Seen, Wanted, pairs_of
from etf_trader.venue.recording_file import RecordingFile, write_exchange_info

START_SECONDS = 1.5
"""How long streams are given to begin before books are read one by one."""


class BinanceMarketData:
    """The books of one environment; no keys are needed. It belongs to one event loop."""

    def __init__(
        self, venue: BinanceVenue, *, told: Told | None = None, settings: StreamSettings | None = None
    ) -> None:
        """Take the venue whose REST connection is used, and who is told when a book's source changes."""
        self.environment = venue.environment.name
        self.clock = venue.clock()
        self._venue = venue
        self._reader = RestDepth(venue)
        self._settings = settings
        self._told = told
        self._source = BookSource(self._reader, self.clock)

    async def pairs(self, symbols: Sequence[str]) -> Mapping[str, Pair]:
        """Return what is known of these symbols."""
        return pairs_of((await self._exchange_info(symbols))["symbols"], symbols)

    async def follow(self, symbols: Iterable[str]) -> None:
        """Follow these books by their streams from now on."""
        follower = BookFollower(self._venue.environment.streams, self._reader, self.clock, self._settings)
        self._source = BookSource(self._reader, self.clock, follower, told=self._told)
        await self._source.start(symbols, START_SECONDS)

    async def look(self, symbols: Sequence[str], depth: int) -> Mapping[str, Seen]:
        """Return the books as they are now."""
        return await self._source.look(symbols, max(depth, FIRST_LIMIT))

    async def record(
        self, symbols: Sequence[str], folder: Path, wanted: Wanted, stop: Callable[[], bool], told: Progress
    ) -> Recorded:
        """Record depth and trades of these symbols.

        Raises:
            VenueUnavailable: nothing came of it: not one book could be begun.
        """
        info = await self._exchange_info(symbols)
        pairs_of(info["symbols"], symbols)
        await self._venue.server_time()
        file = RecordingFile(folder, self.clock.now())
        recorder = BookRecorder(
            self._venue.environment.streams,
            self._reader,
            self.clock,
            file,
            limit_for(wanted.depth),
            self._settings,
        )
        try:
            rows = [row for row in info["symbols"] if row["symbol"] in set(symbols)]
            beside = write_exchange_info(folder, {**info, "symbols": rows})
            await recorder.run(symbols, wanted.duration, stop, told)
        finally:
            file.close()
        missing = recorder.missing()
        if len(missing) == len(symbols):
            why = next(iter(missing.values()))
            file.path.unlink(missing_ok=True)
            raise VenueUnavailable(f"nothing was recorded: {why}", where=", ".join(missing))
        return Recorded(
            file.path,
            beside,
            tuple(symbol for symbol in symbols if symbol not in missing),
            recorder.began,
            recorder.ended,
            recorder.snapshots,
            recorder.updates,
            recorder.trades,
            recorder.gaps,
            file.size,
            missing,
        )

    async def close(self) -> None:
        """End everything."""
        await self._source.close()
        await self._venue.close()

    async def _exchange_info(self, symbols: Sequence[str]) -> Mapping[str, Any]:
        """Return what the venue says of these symbols, or of all where it does not know one of them."""
        asked = json.dumps(sorted(symbols), separators=(",", ":"))
        try:
            try:
                answer = await self._venue.client().get("exchangeInfo", symbols=asked)
            except Refusal as error:
                if error.code != errors.NO_SYMBOL:
                    raise
                answer = await self._venue.client().get("exchangeInfo")
        except (Refusal, *Network) as error:
            raise errors.of_question(error, self._venue.environment.place) from error
        found: Mapping[str, Any] = answer.body
        return found
