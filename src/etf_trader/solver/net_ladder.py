"""An offer as floats, after the fee: what `Curves` are made of."""

from collections.abc import Sequence
from itertools import chain
from typing import Any

import numpy as np

from etf_trader.market.book import Level
from etf_trader.market.symbol import Side
from etf_trader.solver.offers import Offer


class NetLadder(Sequence[Any]):
    """An offer as `Curves` reads it: price and quantity after the fee, in floats, as far as it is sliced."""

    def __init__(self, made: Offer) -> None:
        self._offer = made
        inside = (Level(made.mid, made.inside),) if made.inside else ()
        self._levels = (*inside, *made.levels)
        self._inside = len(inside)

    def __len__(self) -> int:
        return len(self._levels)

    def __getitem__(self, place: Any) -> Any:
        levels = self._levels[place]
        part = np.fromiter(map(float, chain.from_iterable(levels)), np.float64, 2 * len(levels)).reshape(-1, 2)
        net: Any = 1.0 - float(self._offer.fee)
        if self._inside > (place.start or 0):
            net = np.full(len(part), net)
            net[: self._inside - (place.start or 0)] = 1.0
        if self._offer.side is Side.BUY:
            part[:, 0] /= net
            part[:, 1] *= net
        else:
            part[:, 0] *= net
        return part
