"""The lots of one account in one asset, read in parts, in the order in which they are wanted. Pure."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from heapq import heapify, heappop, heappush
from typing import NamedTuple, Protocol

from etf_trader.money import DIGITS, divide

PART = 32
"""How many lots are read first; every further part has twice as many, so a take of all of them needs few parts."""

_PLACES = 18  # of what `divide` rounds to


def hifo_rank(open_quantity: Decimal, open_cost: Decimal) -> str | None:
    """Return digits that sort before those of every cheaper lot; None when nothing is left.

    They are exact, since what one of a lot costs is rounded to a grid: a database
    sorts them as it is done here.
    """
    if not open_quantity:
        return None
    cost = int(divide(open_cost, open_quantity).scaleb(_PLACES))  # of at most DIGITS digits
    return f"{10 ** (DIGITS + 1) - cost:0{DIGITS + 2}d}"


@dataclass(slots=True)
class Lot:
    """A quantity acquired together; `open_*` is what is left of it. `id` is None until it is written."""

    id: int | None
    sequence: int
    account: str
    asset: str
    acquired_at: datetime
    quantity: Decimal
    cost: Decimal
    open_quantity: Decimal
    open_cost: Decimal

    @property
    def hifo_rank(self) -> str | None:
        """Sorts before that of every cheaper lot; None when nothing is left."""
        return hifo_rank(self.open_quantity, self.open_cost)


class LotOrder(StrEnum):
    """In which order open lots are wanted; of equally dear ones the oldest comes first."""

    OLDEST = "oldest"
    DEAREST = "dearest"
    NEWEST = "newest"


class Place(NamedTuple):
    """Where a lot stands in the source, whatever was done with it since it was read."""

    hifo_rank: str
    id: int


class LotSource(Protocol):
    """Where lots are kept; it does not change while it is read."""

    def open_lots(self, account: str, asset: str, order: LotOrder, after: Place | None, count: int) -> list[Lot]:
        """Return the next `count` open lots after a place, or the first; fewer only where there are no more."""
        ...

    def last_lot(self, account: str, asset: str) -> Lot | None:
        """Return the newest lot, open or closed."""
        ...


class _Age(NamedTuple):
    """Sorts lots by when they were acquired: those of the source by number, then the new ones."""

    is_new: bool
    number: int


_Rank = tuple[str, bool, int]


@dataclass(slots=True)
class _Cursor:
    """How far the source was read in one order: all of it up to `rank` is known."""

    count: int
    after: Place | None = None
    rank: _Rank = ("", False, 0)
    is_done: bool = False


class Pile:
    """The lots of (account, asset): those of the source as far as they were wanted, and new ones.

    A lot of the source is one object, in however many orders it is met.
    """

    def __init__(self, source: LotSource | None, account: str, asset: str, part: int = PART) -> None:
        self._source, self._account, self._asset = source, account, asset
        self._known: dict[_Age, Lot] = {}
        self._ages: dict[int, _Age] = {}
        self._newest = 0
        self._cursors = {order: _Cursor(part, is_done=source is None) for order in LotOrder}
        self._heaps: dict[LotOrder, list[tuple[_Rank, _Age]]] = {}
        """What is known, in each order that was asked for; an entry of a rank that is not the lot's is void."""

    def add(self, lot: Lot) -> None:
        """Put in a lot that was just acquired."""
        self._newest += 1
        self._keep(_Age(True, self._newest), lot)

    def note(self, lot: Lot) -> None:
        """Take notice of a lot that changed: it may be dearer or cheaper than it was."""
        if LotOrder.DEAREST in self._heaps and lot.open_quantity:
            self._push(LotOrder.DEAREST, self._ages[id(lot)])

    def first(self, order: LotOrder) -> Lot | None:
        """Return the open lot that comes first in `order`; None when nothing is left."""
        if order not in self._heaps:
            self._heaps[order] = [
                (self._rank(order, age), age) for age, lot in self._known.items() if lot.open_quantity
            ]
            heapify(self._heaps[order])
        heap, cursor = self._heaps[order], self._cursors[order]
        while True:
            while heap and (cursor.is_done or heap[0][0] <= cursor.rank):
                rank, age = heap[0]
                if self._known[age].open_quantity and rank == self._rank(order, age):
                    return self._known[age]
                heappop(heap)
            if cursor.is_done:
                return None
            self._read(order, cursor)

    def newest(self) -> Lot | None:
        """Return the newest open lot; the newest of all when none is open."""
        if (lot := self.first(LotOrder.NEWEST)) is not None:
            return lot
        if not self._newest and self._source is not None:
            last = self._source.last_lot(self._account, self._asset)
            if last is not None and last.id is not None:
                self._keep(_Age(False, last.id), last)
        return self._known[max(self._known)] if self._known else None

    def all(self) -> list[Lot]:
        """Return every open lot, and those known that were closed, oldest first."""
        cursor = self._cursors[LotOrder.OLDEST]
        while not cursor.is_done:
            self._read(LotOrder.OLDEST, cursor)
        return [self._known[age] for age in sorted(self._known)]

    def _keep(self, age: _Age, lot: Lot) -> None:
        if age not in self._known:
            self._known[age], self._ages[id(lot)] = lot, age
            for order in self._heaps:
                self._push(order, age)

    def _push(self, order: LotOrder, age: _Age) -> None:
        heappush(self._heaps[order], (self._rank(order, age), age))

    def _rank(self, order: LotOrder, age: _Age) -> _Rank:
        return _rank(order, age, self._known[age])

    def _read(self, order: LotOrder, cursor: _Cursor) -> None:
        assert self._source is not None
        part = self._source.open_lots(self._account, self._asset, order, cursor.after, cursor.count)
        for lot in part:
            assert lot.id is not None
            cursor.after = Place(lot.hifo_rank or "", lot.id)
            age = _Age(False, lot.id)
            cursor.rank = _rank(order, age, lot)  # as it stands in the source, not as it may be here
            self._keep(age, lot)
        cursor.is_done = len(part) < cursor.count
        cursor.count *= 2


def _rank(order: LotOrder, age: _Age, lot: Lot) -> _Rank:
    if order is LotOrder.NEWEST:
        return "", not age.is_new, -age.number
    return (lot.hifo_rank or "") if order is LotOrder.DEAREST else "", age.is_new, age.number
