"""The cost of many books at once, in floats: good for finding a size, never for stating money.

    c   price / mid                    shape (n, k), best level first
    u   depth x mid / V                shape (n, k); V is the value of what is wanted

Rows are read in widths of 64, 128, ... levels, and only while one of them ends
inside the question: a plan that ends in the first levels never pays for the rest.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from etf_trader.market.symbol import Side

Array = NDArray[np.float64]

FIRST_WIDTH = 64
_CHORD = 4.0  # a chord overstates a convex cost by at most (c_last - c_first) x depth / 4


class Segments(NamedTuple):
    """Levels joined by the chord rule: price ratio, depth, and the row each belongs to; shapes (k,)."""

    price: Array
    depth: Array
    row: NDArray[np.intp]


class Curves:
    """Cost curves of n books, one side of each, with prefix sums as far as they were asked for."""

    def __init__(
        self, ladders: Sequence[Sequence[Any] | Array], mids: Array, value: float | Array, side: Side
    ) -> None:
        """Take one ladder of (price, quantity) pairs a book, best first; nothing is read yet.

        Args:
            ladders: Pairs of decimals, or float arrays of shape (levels, 2).
            mids: Reference price of each book, shape (n,), positive.
            value: V, positive, in the quote asset; shape (n,) where books have quotes of their own.
            side: Which way we trade: a buy takes asks, a sell bids.
        """
        self.side = side
        self.mids = mids
        self.value = value
        self.lengths = np.array([len(ladder) for ladder in ladders], dtype=np.intp)
        self._ladders = ladders
        self._rows = np.arange(len(ladders))
        self._width = 0
        self.prices: Array = np.ones((len(ladders), 0))
        self.ends: Array = np.zeros((len(ladders), 1))  # column j: depth of the first j levels; so for costs
        self.costs: Array = np.zeros((len(ladders), 1))
        self._widen()

    def __len__(self) -> int:
        return len(self._ladders)

    @property
    def touch(self) -> Array:
        """The best price ratio of each row; 1 where it has no level."""
        return self.prices[:, 0]

    def depth(self) -> Array:
        """Return the depth of all levels of each row, having read them all."""
        while self._width < self.lengths.max(initial=0):
            self._widen()
        return self.ends[:, -1]

    def holds(self, need: Array) -> NDArray[np.bool_]:
        """Return which rows are at least `need` deep."""
        self._cover(need)
        return self.ends[:, -1] >= need

    def cost(self, need: Array) -> Array:
        """Return the cash of the best `need` of each row, before fees; beyond the depth the last level goes on."""
        level = self._level(need)
        start = self.ends[self._rows, level]
        return self.costs[self._rows, level] + (need - start) * self.prices[self._rows, level]

    def last(self, need: Array) -> Array:
        """Return the price ratio of the last level that `need` uses; of nothing, the touch."""
        return self.prices[self._rows, self._level(need)]

    def level_ends(self, need: Array) -> Array:
        """Return the depth at which the last level that `need` uses ends."""
        found: Array = self.ends[self._rows, self._level(need) + 1]
        return found

    def up_to(self, price: Array) -> Array:
        """Return the depth at price ratios no worse than `price`."""
        sign = self.side.sign
        while True:
            inside = sign * self.prices <= (sign * price)[:, None]
            count = np.minimum(inside.sum(axis=1), self.lengths)
            if self._width >= self.lengths.max(initial=0) or not (count >= self._width).any():
                found: Array = self.ends[self._rows, np.minimum(count, self._width)]
                return found
            self._widen()

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
            price = np.where(start == stop, self.prices[self._rows, start % max(self._width, 1)], joined)
            pieces.append((price[live], depth[live], self._rows[live]))
            start = np.where(live, stop + 1, start)
        if not pieces:
            return Segments(np.zeros(0), np.zeros(0), np.zeros(0, dtype=np.intp))
        price, depth, row = (np.concatenate(column) for column in zip(*pieces, strict=True))
        order = np.argsort(row, kind="stable")
        return Segments(price[order], depth[order], row[order])

    def _cost_at(self, level: NDArray[np.intp], end: Array) -> Array:
        """Return the cost up to `end`, which lies in `level`."""
        inside = np.minimum(level, max(self._width - 1, 0))
        return (
            self.costs[self._rows, inside]
            + (end - self.ends[self._rows, inside]) * self.prices[self._rows, inside]
        )

    def _chord_end(
        self, start: NDArray[np.intp], count: NDArray[np.intp], end: Array, eps: Array
    ) -> NDArray[np.intp]:
        """Return the last level that each row's chord from `start` may reach: the error grows with every level."""
        low = np.minimum(start, max(self._width - 1, 0))
        first = self.prices[self._rows, low]
        before = np.where(start > 0, end[self._rows, start - 1], 0.0)
        high = np.maximum(count - 1, low)
        while (low < high).any():
            middle = (low + high + 1) // 2
            spread = np.abs(self.prices[self._rows, middle] - first)
            fits = spread * (end[self._rows, middle] - before) <= _CHORD * eps
            low, high = np.where(fits, middle, low), np.where(fits, high, middle - 1)
        return low

    def _level(self, need: Array) -> NDArray[np.intp]:
        """Return the level in which the last of `need` lies."""
        self._cover(need)
        used = (self.ends[:, 1:] < need[:, None]).sum(axis=1)
        level: NDArray[np.intp] = np.minimum(used, np.minimum(np.maximum(self.lengths, 1), self._width) - 1)
        return level

    def _cover(self, need: Array) -> None:
        while self._width < self.lengths.max(initial=0):
            short = (self.ends[:, -1] < need) & (self.lengths > self._width)
            if not short.any():
                return
            self._widen()

    def _widen(self) -> None:
        """Read twice as many levels; a level that is not finite, positive and in order is an error."""
        width = max(FIRST_WIDTH, 2 * self._width)
        prices = np.ones((len(self), width))
        depths = np.zeros((len(self), width))
        for row, ladder in enumerate(self._ladders):
            part = np.asarray(ladder[:width], dtype=np.float64)
            if len(part):
                prices[row, : len(part)], depths[row, : len(part)] = part[:, 0], part[:, 1]
                prices[row, len(part) :] = part[-1, 0]
        levels = np.arange(width) < self.lengths[:, None]
        steps = np.diff(prices, axis=1) * self.side.sign
        if not (np.isfinite(prices).all() and np.isfinite(depths).all()):
            raise ValueError("a price or a quantity is not finite")
        if (prices[levels] <= 0).any() or (depths[levels] <= 0).any() or (steps[levels[:, 1:]] <= 0).any():
            raise ValueError("prices and quantities must be positive, and levels must run from the best price")
        scale = self.mids / self.value
        empty = self.lengths == 0
        self.prices = np.where(empty[:, None], 1.0, prices / self.mids[:, None])
        depths *= scale[:, None]
        start = np.zeros((len(self), 1))
        self.ends = np.hstack([start, np.cumsum(depths, axis=1)])
        self.costs = np.hstack([start, np.cumsum(self.prices * depths, axis=1)])
        self._width = width
