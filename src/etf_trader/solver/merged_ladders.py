"""Several books of an asset as one ladder, at the prices of their quotes: bought up to one common price."""

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from etf_trader.solver.curves import Array
from etf_trader.solver.route_books import Books

_FIRST = 1e-4  # of the best price: how far the search for the last price looks first
_NEAR = 1e-14  # of the price: levels lie further apart
_FAR = 1e4  # of the best price: no level lies beyond


class Cover(NamedTuple):
    """What is taken of each arc, the common price of each node, and which needs no depth covers."""

    taken: Array
    price: Array
    missing: NDArray[np.bool_]


class MergedLadders:
    """The arcs that trade constituents, one ladder an asset, at a common price: after fees, in the home currency.

    `factor` turns a book's price into the common one; of what is taken of an arc,
    `share` arrives (sell: all of it leaves).
    """

    def __init__(self, books: Books, prices: Array, quotes: Iterable[int] | None = None) -> None:
        """Take the price of each node over its mid, and the quotes whose books belong; None: of all."""
        self.books = books
        self.sign = books.network.side.sign
        rate = prices[books.quote]
        inside = ~books.is_conversion & np.isfinite(rate) & (rate > 0)
        if quotes is not None:
            inside &= np.isin(books.quote, list(quotes))
        self.arc = np.flatnonzero(inside)
        self.asset = books.base[self.arc]
        buys = self.sign > 0
        net = books.net[self.arc]
        self.factor = rate[self.arc] / net if buys else rate[self.arc] * net
        self.share = net if buys else np.ones(len(self.arc))

    def up_to(self, price: Array) -> Array:
        """Return the depth of each arc at common prices no worse than `price` of its asset."""
        own = np.zeros(len(self.books.source))
        own[self.arc] = price[self.asset] / self.factor
        taken, found = np.zeros((2, len(self.books.source)))
        rows = self.books.rows(self.books.network.side)
        found[rows] = self.books.curves[self.books.network.side].up_to(own[rows])
        taken[self.arc] = found[self.arc]
        return taken

    def total(self, taken: Array) -> Array:
        """Return what arrives at (sell: leaves) each asset."""
        total = np.zeros(len(self.books.nodes))
        np.add.at(total, self.asset, taken[self.arc] * self.share)
        return total

    def covering(self, need: Array) -> Cover:
        """Return the trades up to one price an asset, over all its books together, that cover the need."""
        best = np.full(len(self.books.nodes), np.inf)
        np.minimum.at(best, self.asset, self.sign * self.books.touch()[self.arc] * self.factor)
        missing = np.isinf(best) & (need > 0)
        best = np.where(np.isinf(best), float(self.sign), best)  # a node without a book here
        need = np.where(missing, 0.0, need)
        low, high = best, best + np.abs(best) * _FIRST
        while (short := self.total(self.up_to(self.sign * high)) < need).any():
            gone = short & (high - best > _FAR * np.abs(best))
            missing, need = missing | gone, np.where(gone, 0.0, need)
            low, high = np.where(short, high, low), np.where(short, high + 2 * (high - best), high)
        while (high - low > _NEAR * np.abs(high)).any():
            middle = 0.5 * (low + high)
            enough = self.total(self.up_to(self.sign * middle)) >= need
            low, high = np.where(enough, low, middle), np.where(enough, middle, high)
        is_touch = self.total(self.up_to(self.sign * best)) >= need
        sure = self.up_to(self.sign * np.where(is_touch, best - np.abs(best), low))
        return Cover(self._shared(need, sure, self.up_to(self.sign * high)), self.sign * high, missing)

    def _shared(self, need: Array, sure: Array, most: Array) -> Array:
        """Return all of the better levels, and of the last price what is still needed.

        The last price may stand on several books: those in use take it first, then by symbol.
        """
        taken, rest = sure.copy(), need - self.total(sure)
        places = [place for place, arc in enumerate(self.arc) if most[arc] > sure[arc]]
        for place in sorted(places, key=lambda place: (sure[self.arc[place]] <= 0, self.arc[place])):
            arc, asset = self.arc[place], self.asset[place]
            more = min(most[arc] - sure[arc], max(rest[asset], 0.0) / self.share[place])
            taken[arc] += more
            rest[asset] -= more * self.share[place]
        return taken
