"""Books for those who only look: where they come from, how old they are, and what keeps one from being had."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from pathlib import Path
from typing import Any, Protocol

from etf_trader.clock import Clock
from etf_trader.errors import DataError, NotFound, VenueError
from etf_trader.market.book import OrderBook


class Source(StrEnum):
    """Where a book came from."""

    PAPER = "paper"
    STREAM = "stream"
    REST = "rest"


@dataclass(frozen=True, slots=True)
class Sourced:
    """A book, where it came from, and how old it was when it was handed out."""

    book: OrderBook
    source: Source
    age: timedelta


Seen = Sourced | VenueError | DataError
"""A book, or what keeps it from being had."""


@dataclass(frozen=True, slots=True)
class Pair:
    """A symbol: what it trades for what, and the grids of its prices and quantities."""

    symbol: str
    base: str
    quote: str
    tick: Decimal
    step: Decimal


@dataclass(frozen=True, slots=True)
class Recorded:
    """What a recording holds; `gaps` are the times that updates were missing and a book began anew.

    `missing` are the symbols that are not in it at all, and why.
    """

    path: Path
    exchange_info: Path
    symbols: tuple[str, ...]
    began: datetime
    ended: datetime
    snapshots: int
    updates: int
    trades: int
    gaps: int
    bytes: int
    missing: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Wanted:
    """How long to record, None: until it is stopped; and how many levels a side a snapshot shows at least."""

    duration: timedelta | None
    depth: int


Progress = Callable[[timedelta, int], None]
"""Is told for how long was recorded, by the venue's clock, and how many updates."""


class MarketData(Protocol):
    """The books of one environment."""

    environment: str
    clock: Clock

    async def pairs(self, symbols: Sequence[str]) -> Mapping[str, Pair]:
        """Return what is known of these symbols.

        Raises:
            NotFound: the venue does not list one; names the nearest.
        """
        ...

    async def follow(self, symbols: Iterable[str]) -> None:
        """Be ready to be asked for these books again and again."""
        ...

    async def look(self, symbols: Sequence[str], depth: int) -> Mapping[str, Seen]:
        """Return the books as they are now, with `depth` levels a side or more, in the order asked for."""
        ...

    async def record(
        self, symbols: Sequence[str], folder: Path, wanted: Wanted, stop: Callable[[], bool], told: Progress
    ) -> Recorded:
        """Record these books into a file in `folder`, until it is what was wanted or `stop` says so."""
        ...

    async def close(self) -> None:
        """End everything."""
        ...


def pairs_of(rows: Iterable[Mapping[str, Any]], symbols: Sequence[str]) -> dict[str, Pair]:
    """Read the rows of exchangeInfo that `symbols` name.

    Raises:
        NotFound: there is none for one of them; names the nearest.
    """
    from difflib import get_close_matches

    known = {str(row["symbol"]): row for row in rows}
    found = {}
    for symbol in symbols:
        if symbol not in known:
            near = get_close_matches(symbol, known, n=1) or sorted(
                name for name in known if name.startswith(symbol)
            )
            meant = f"; did you mean {near[0]}?" if near else ""
            raise NotFound(f"the venue does not list {symbol}{meant}", where=symbol)
        found[symbol] = _pair(known[symbol])
    return found


def _pair(row: Mapping[str, Any]) -> Pair:
    filters = {each["filterType"]: each for each in row["filters"]}
    tick = Decimal(filters.get("PRICE_FILTER", {}).get("tickSize", "0"))
    step = Decimal(filters.get("LOT_SIZE", {}).get("stepSize", "0"))
    least = Decimal("1e-8")
    return Pair(row["symbol"], row["baseAsset"], row["quoteAsset"], tick or least, step or least)
