"""What the venue says of a book: snapshots, and the differences that follow them.

U, u and E are the venue's letters: the first and the last update in an event,
and when it was made, in milliseconds.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Protocol

import msgspec

from etf_trader.errors import VenueUnavailable
from etf_trader.market.book import Level, OrderBook

FIRST_LIMIT = 100
MOST_LEVELS = 5000
_LIMITS = (FIRST_LIMIT, 500, 1000, MOST_LEVELS)
"""Levels a side that a snapshot may show; each weighs more than the one before: 5, 25, 50, 250."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

Pairs = list[tuple[str, str]]


class DepthEvent(msgspec.Struct, frozen=True, gc=False):
    """One message of a diff depth stream: what the levels that changed hold now."""

    symbol: str = msgspec.field(name="s")
    first: int = msgspec.field(name="U")
    last: int = msgspec.field(name="u")
    bids: Pairs = msgspec.field(name="b")
    asks: Pairs = msgspec.field(name="a")
    made: int = msgspec.field(name="E", default=0)

    @property
    def at(self) -> datetime | None:
        """When the venue made it, to the millisecond; None where it does not say."""
        return _EPOCH + timedelta(milliseconds=self.made) if self.made else None


class _Depth(msgspec.Struct):
    lastUpdateId: int
    bids: Pairs
    asks: Pairs


_event = msgspec.json.Decoder(DepthEvent)
_depth = msgspec.json.Decoder(_Depth)


@dataclass(frozen=True, slots=True)
class DepthSnapshot:
    """The best `limit` levels of each side, best first, after update `update_id`.

    `at` is when it was asked for: it shows the book of that moment or of a later one.
    `text` is the venue's answer, as it came.
    """

    symbol: str
    limit: int
    update_id: int
    bids: tuple[Level, ...]
    asks: tuple[Level, ...]
    at: datetime
    text: str = ""

    def edge(self, levels: tuple[Level, ...]) -> Decimal | None:
        """Return the last price that is known of a side; None when the whole side is."""
        return levels[-1].price if len(levels) >= self.limit else None

    def book(self, depth: int) -> OrderBook:
        """Return at most `depth` of its levels a side as a book."""
        return OrderBook(
            symbol=self.symbol,
            bids=self.bids[:depth],
            asks=self.asks[:depth],
            update_id=self.update_id,
            at=self.at,
            complete=max(len(self.bids), len(self.asks)) < min(self.limit, depth + 1),
        )


class DepthReader(Protocol):
    """Reads snapshots, each once there is request weight for it."""

    async def depth(self, symbol: str, limit: int) -> DepthSnapshot:
        """Return at most `limit` levels a side of the book of `symbol`.

        Raises:
            VenueUnavailable, RateLimited: ask again.
            VenueError, DataError: it cannot be had, as when there is no such symbol.
        """
        ...


def limit_for(depth: int) -> int:
    """Return how many levels to ask for to see `depth`: as many as cost no more."""
    return next((limit for limit in _LIMITS if depth <= limit), MOST_LEVELS)


def event_from(text: bytes | str) -> DepthEvent:
    """Read a message of a diff depth stream.

    Raises:
        VenueUnavailable: it is something else.
    """
    try:
        return _event.decode(text)
    except msgspec.MsgspecError as error:
        raise VenueUnavailable(f"a depth event cannot be read: {error}") from error


def snapshot_from(symbol: str, limit: int, text: str, at: datetime) -> DepthSnapshot:
    """Read the answer of GET /api/v3/depth.

    Raises:
        VenueUnavailable: it is something else.
    """
    try:
        found = _depth.decode(text)
        bids, asks = levels_of(found.bids), levels_of(found.asks)
    except (msgspec.MsgspecError, ArithmeticError, ValueError) as error:
        raise VenueUnavailable(f"the depth of {symbol} cannot be read: {error}", where=symbol) from error
    return DepthSnapshot(symbol, limit, found.lastUpdateId, bids, asks, at, text)


def levels_of(pairs: Pairs) -> tuple[Level, ...]:
    """Return levels as exact numbers.

    Raises:
        ArithmeticError: one is no number.
    """
    return tuple(Level(Decimal(price), Decimal(quantity)) for price, quantity in pairs)
