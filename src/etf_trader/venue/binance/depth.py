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
from etf_trader.market.book import Level

FIRST_LIMIT = 100
MOST_LEVELS = 5000
_LIMITS = ((100, 5), (500, 25), (1000, 50), (MOST_LEVELS, 250))
"""Levels a side that a snapshot may show, and what it weighs."""

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
    lastUpdateId: int  # noqa: N815 - the venue's spelling
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


class DepthReader(Protocol):
    """Reads snapshots; it asks nobody whether there is weight for them."""

    async def depth(self, symbol: str, limit: int) -> DepthSnapshot:
        """Return at most `limit` levels a side of the book of `symbol`.

        Raises:
            VenueUnavailable, RateLimited: ask again.
            NotListed: the venue has no such symbol.
        """
        ...


class Meter(Protocol):
    """Is asked before each request, and lets it wait until there is weight for it."""

    async def take(self, weight: int, *, urgent: bool) -> None:
        """Return once a request of this weight may be sent."""
        ...


def limit_for(depth: int) -> int:
    """Return the least number of levels to ask for that shows `depth`, without paying for what costs no more."""
    return next((limit for limit, _ in _LIMITS if depth <= limit), MOST_LEVELS)


def weight_of(limit: int) -> int:
    """Return what a snapshot of `limit` levels weighs."""
    return next(weight for most, weight in _LIMITS if limit <= most)


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
