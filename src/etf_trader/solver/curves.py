"""The cost of many books at once, in floats: good for finding a size, never for stating money.

    c   price / mid                    shape (n, k), best level first
    u   depth x mid / V                shape (n, k); V is the value of what is wanted

Each row is read in widths of 16, 24, 36, ... levels, and only while it ends inside
the question: a plan that ends in the first levels never pays for the rest.
"""

from collections.abc import Sequence
from itertools import chain
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from etf_trader.errors import DataError
from etf_trader.market.symbol import Side

Array = NDArray[np.float64]
Indices = NDArray[np.intp]

FIRST_WIDTH = 16
_LEAST_PART = 1e-3  # of a segment: the price of less would be made of rounding
_CHORD = 4.0  # a chord overstates a convex cost by at most (c_last - c_first) x depth / 4


class Segments(NamedTuple):
    """Levels joined by the chord rule: price ratio, depth, and the row each belongs to; shapes (k,)."""

    price: Array
    depth: Array
    row: Indices


class Curves:
    """Cost curves of n books, one side of each, with prefix sums as far as they were asked for.

    Column j of `ends` and `costs` is the depth and the cost of the first j
    levels. Columns that a row has not read, or does not have, go on at its last
    price without depth.
    """

    def __init__(
        self,
        ladders: Sequence[Sequence[Any] | Array],
        mids: Array,
        value: float | Array,
        side: Side,
        names: Sequence[str] | None = None,
        first: int = FIRST_WIDTH,
    ) -> None:
        """Take one ladder of (price, quantity) pairs a book, best first, and read its first levels.

        Args:
            ladders: Pairs of decimals, or float arrays of shape (levels, 2).
            mids: Reference price of each book, shape (n,), positive.
            value: V, positive, in the quote asset; shape (n,) where books have quotes of their own.
            side: Which way we trade: a buy takes asks, a sell bids.
            names: What the books are called where one is no book.
            first: How many levels are read before any is asked for, `FIRST_WIDTH` at most.

        Raises:
            DataError: a level, now or when it is read, is not finite, not positive or out of order.
        """
        self.side = side
        self.mids = mids
        self.value = value
        self.lengths = np.array([len(ladder) for ladder in ladders], dtype=np.intp)
        self.prices: Array = np.ones((len(ladders), FIRST_WIDTH))
        self.ends: Array = np.zeros((len(ladders), FIRST_WIDTH + 1))
        self.costs: Array = np.zeros((len(ladders), FIRST_WIDTH + 1))
        self._ladders = ladders
        self._names = names
        self._rows = np.arange(len(ladders))
        self._read = np.zeros(len(ladders), dtype=np.intp)
        self._is_all_read = False
        if len(rows := np.flatnonzero(self.lengths)):
            self._read_block(rows, 0, first)

    def __len__(self) -> int:
        return len(self._ladders)

    @property
    def touch(self) -> Array:
        """The best price ratio of each row; 1 where it has no level."""
        return self.prices[:, 0]

    def depth(self) -> Array:
        """Return the depth of all levels of each row, having read them all."""
        if (self._read < self.lengths).any():
            self._read_all()
        return self.ends[:, -1]

    def holds(self, need: Array) -> NDArray[np.bool_]:
        """Return which rows are at least `need` deep."""
        self._cover(need)
        return self.ends[:, -1] >= need

    def cost(self, need: Array) -> Array:
        """Return the cash of the best `need` of each row, before fees; beyond the depth the last level goes on."""
        return self.cost_and_last(need)[0]

    def cost_and_last(self, need: Array) -> tuple[Array, Array]:
        """Return the cash of the best `need` of each row, and the price ratio of the last level that it uses."""
        level = self._level(need)  # first: it may read more, into arrays that are new
        last = self.prices[self._rows, level]
        return self.costs[self._rows, level] + (need - self.ends[self._rows, level]) * last, last

    def last(self, need: Array) -> Array:
        """Return the price ratio of the last level that `need` uses; of nothing, the touch."""
        level = self._level(need)  # first: it may read more, into arrays that are new
        return self.prices[self._rows, level]

    def level_ends(self, need: Array) -> Array:
        """Return the depth at which the last level that `need` uses ends."""
        level = self._level(need)
        found: Array = self.ends[self._rows, level + 1]
        return found

    def up_to(self, price: Array) -> Array:
        """Return the depth at price ratios no worse than `price`."""
        sign = self.side.sign
        while True:
            inside = sign * self.prices <= (sign * price)[:, None]
            count = np.minimum(inside.sum(axis=1), self._read)
            short = (count == self._read) & (self._read < self.lengths)
            if not short.any():
                found: Array = self.ends[self._rows, count]
                return found
            self._read_more(short)

    def segments(self, most: Array, eps: Array) -> Segments:
        """Return the levels up to `most`, joined while a chord overstates the cost of a row by at most `eps`."""
        self._cover(most)
        end = np.minimum(self.ends[:, 1:], most[:, None])
        count = np.minimum((self.ends[:, :-1] < most[:, None]).sum(axis=1), self.lengths)
        pieces = []
        start = np.zeros(len(self), dtype=np.intp)
        while (live := start < count).any():
            stop = self._chord_end(start, count, end, eps)
            before = np.where(start > 0, end[self._rows, start - 1], 0.0)
            depth = end[self._rows, stop] - before
            first_cost = self._cost_at(start, before)
            joined = (self._cost_at(stop, end[self._rows, stop]) - first_cost) / np.where(live, depth, 1.0)
            price = np.where(start == stop, self.prices[self._rows, np.minimum(start, self._last_column)], joined)
            pieces.append((price[live], depth[live], self._rows[live]))
            start = np.where(live, stop + 1, start)
        if not pieces:
            return Segments(np.zeros(0), np.zeros(0), np.zeros(0, dtype=np.intp))
        price, depth, row = (np.concatenate(column) for column in zip(*pieces, strict=True))
        order = np.argsort(row, kind="stable")
        return Segments(price[order], depth[order], row[order])

    def split(self, segments: Segments, at: Array) -> Segments:
        """Return `segments` with each row's cut in two at the depth `at`, where that lies well inside one."""
        first = np.searchsorted(segments.row, segments.row)
        cash = segments.price * segments.depth
        start, paid = np.cumsum(segments.depth) - segments.depth, np.cumsum(cash) - cash
        start, paid = start - start[first], paid - paid[first]
        part = at[segments.row] - start
        inside = np.flatnonzero(
            (part > _LEAST_PART * segments.depth) & (part < (1 - _LEAST_PART) * segments.depth)
        )
        part = part[inside]
        cost = self.cost(at)[segments.row[inside]] - paid[inside]
        price, depth = (np.insert(each, inside, each[inside]) for each in (segments.price, segments.depth))
        here = inside + np.arange(len(inside))
        price[here], depth[here] = cost / part, part
        depth[here + 1] -= part
        price[here + 1] = (cash[inside] - cost) / depth[here + 1]
        return Segments(price, depth, np.insert(segments.row, inside, segments.row[inside]))

    def _cost_at(self, level: Indices, end: Array) -> Array:
        """Return the cost up to `end`, which lies in `level`."""
        inside = np.minimum(level, self._last_column)
        return (
            self.costs[self._rows, inside]
            + (end - self.ends[self._rows, inside]) * self.prices[self._rows, inside]
        )

    def _chord_end(self, start: Indices, count: Indices, end: Array, eps: Array) -> Indices:
        """Return the last level that each row's chord from `start` may reach: the error grows with every level."""
        low = np.minimum(start, self._last_column)
        first = self.prices[self._rows, low]
        before = np.where(start > 0, end[self._rows, start - 1], 0.0)
        high = np.maximum(count - 1, low)
        while (low < high).any():
            middle = (low + high + 1) // 2
            spread = np.abs(self.prices[self._rows, middle] - first)
            fits = spread * (end[self._rows, middle] - before) <= _CHORD * eps
            low, high = np.where(fits, middle, low), np.where(fits, high, middle - 1)
        return low

    def _level(self, need: Array) -> Indices:
        """Return the level in which the last of `need` lies."""
        self._cover(need)
        used = (self.ends[:, 1:] < need[:, None]).sum(axis=1)
        level: Indices = np.minimum(used, np.maximum(self._read, 1) - 1)
        return level

    @property
    def _last_column(self) -> int:
        return int(self.prices.shape[1]) - 1

    def _cover(self, need: Array) -> None:
        while not self._is_all_read and (short := (self.ends[:, -1] < need) & (self._read < self.lengths)).any():
            self._read_more(short)

    def _read_more(self, rows: NDArray[np.bool_]) -> None:
        """Read half as many levels of `rows` again as before."""
        for read in np.unique(self._read[rows]):
            stop = max(int(read) * 3 // 2, FIRST_WIDTH)
            if stop > self.prices.shape[1]:
                self._widen()
            self._read_block(np.flatnonzero(rows & (self._read == read)), int(read), stop)

    def _read_all(self) -> None:
        most = int(self.lengths.max())
        self.prices, self.ends = np.ones((len(self), most)), np.zeros((len(self), most + 1))
        self.costs = np.zeros_like(self.ends)
        self._read[:] = 0
        self._read_block(np.flatnonzero(self.lengths), 0, most)

    def _widen(self) -> None:
        columns = self.prices.shape[1]
        for name in ("prices", "ends", "costs"):
            old = getattr(self, name)
            new = np.empty((len(self), old.shape[1] + columns))
            new[:, : old.shape[1]], new[:, old.shape[1] :] = old, old[:, -1:]
            setattr(self, name, new)

    def _read_block(self, rows: Indices, read: int, stop: int) -> None:
        """Read the levels from `read` to `stop` of `rows`; sums are made in place: memory takes the time."""
        start = max(read - 1, 0)  # the level before, to see that the order goes on
        prices, depths = np.empty((len(rows), stop - start)), np.zeros((len(rows), stop - start))
        for place, row in enumerate(rows):
            part = _floats(self._ladders[row][start:stop])
            prices[place, : len(part)], depths[place, : len(part)] = part[:, 0], part[:, 1]
            prices[place, len(part) :] = part[-1, 0]
        counts = np.minimum(stop, self.lengths[rows]) - start
        self._check(rows, prices, depths, counts)
        prices, depths = prices[:, read - start :], depths[:, read - start :]
        prices /= self.mids[rows, None]
        depths *= (self.mids / self.value)[rows, None]
        here = slice(None) if len(rows) == len(self) else rows
        self.prices[here, read:stop], self.prices[here, stop:] = prices, prices[:, -1:]
        prices *= depths
        for sums, each in ((self.ends, depths), (self.costs, prices)):
            each[:, 0] += sums[here, read]
            np.add.accumulate(each, axis=1, out=each)
            sums[here, read + 1 : stop + 1], sums[here, stop + 1 :] = each, each[:, -1:]
        self._read[rows] = counts + start
        self._is_all_read = bool((self._read == self.lengths).all())

    def _check(self, rows: Indices, prices: Array, quantities: Array, counts: Indices) -> None:
        low, high = (prices[:, :-1], prices[:, 1:]) if self.side is Side.BUY else (prices[:, 1:], prices[:, :-1])
        rises = low < high
        if (
            rises.all()
            and min(prices.min(), quantities.min()) > 0
            and max(prices.max(), quantities.max()) < np.inf
        ):
            return
        is_level = np.arange(prices.shape[1]) < counts[:, None]
        is_good = np.isfinite(prices) & np.isfinite(quantities) & (prices > 0) & (quantities > 0)
        is_good[:, 1:] &= rises
        bad = np.argwhere(is_level & ~is_good)
        if len(bad):
            place, level = bad[0]
            name = f"book {rows[place]}" if self._names is None else self._names[rows[place]]
            price, quantity = prices[place, level], quantities[place, level]
            raise DataError(f"{name}: a level of {quantity} at {price} is out of order or no level", where=name)


def _floats(levels: Any) -> Array:
    """Return levels of decimals as floats, shape (levels, 2)."""
    if isinstance(levels, np.ndarray):
        return levels
    return np.fromiter(map(float, chain.from_iterable(levels)), np.float64, 2 * len(levels)).reshape(-1, 2)
