"""An offer as floats, after the fee: what `Curves` are made of."""

from collections.abc import Sequence
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
        part = np.array(self._levels[place], dtype=np.float64).reshape(-1, 2)
        net = np.full(len(part), 1.0 - float(self._offer.fee))
        net[: max(self._inside - (place.start or 0), 0)] = 1.0
        if self._offer.side is Side.BUY:
            part[:, 0] /= net
            part[:, 1] *= net
        else:
            part[:, 0] *= net
        return part
