"""Which fraction each order gets of books that it shares: lexicographic max-min.

    f_k     fraction of order k; nobody's is raised at the cost of a smaller one
    u_k     cap of f_k: what the order's own limits leave
    r_ki    what order k needs of asset i for all of itself, after fees, in units of V
    s_ki    fraction at which it begins to need any: it has some (s > 0), or has more to sell (s < 0)
    D_i     depth of a side, after fees, in units of V; infinite where it cannot bind

One side alone needs no solver: all fractions rise together, and when an asset is
used up, the orders that hold it stop (progressive filling). With both sides on
one asset only the net counts, and raising a seller makes room for a buyer: there
an LP raises the smallest fraction, the orders with a positive dual stop, and the
rest goes on.

Source:
    Bertsekas and Gallager, Data Networks (1992), section 6.5; Radunovic and
    Le Boudec, A Unified Framework for Max-Min and Min-Max Fairness (2007).
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from etf_trader.solver.curves import Array

Indices = NDArray[np.intp]

_TIGHT = 1e-12
_DUAL = 1e-9
_FIXED = 2e-9
_NEAR = 1e-8
_NEGLIGIBLE = 1e-7  # beside the largest of its row; HiGHS would drop it, and lots are coarser


class Demand(NamedTuple):
    """What k orders need of n assets, in the symbols of the module; shapes (k,), (k, n), (k, n), (n,), (n,).

    What is used at fractions of 0 must be within the depths.
    """

    sign: Array
    rate: Array
    start: Array
    ask_depth: Array
    bid_depth: Array

    def used(self, fractions: Array, sign: int) -> Array:
        """Return what the orders of one side need of each asset at `fractions`, shape (n,)."""
        mine = self.sign == sign
        start = self.start[mine]
        used: Array = (self.rate[mine] * (np.maximum(fractions[mine, None], start) - start)).sum(axis=0)
        return used

    @property
    def is_mixed(self) -> bool:
        """Whether an asset is wanted on both sides."""
        sides = [(self.rate[self.sign == sign] > 0).any(axis=0) for sign in (1, -1)]
        return bool((sides[0] & sides[1]).any())

    def bottlenecks(self, fractions: Array) -> NDArray[np.bool_]:
        """Return, by order and asset, what is used up so that the order cannot go on, shape (k, n).

        A used up asset stops those that got furthest with it; who stopped
        before was stopped by another.
        """
        bought, sold = self.used(fractions, 1), self.used(fractions, -1)
        net, near = bought - sold, _TIGHT + _NEAR * (bought + sold)
        is_out = np.where(self.sign[:, None] > 0, net >= self.ask_depth - near, -net >= self.bid_depth - near)
        holds = (self.rate > 0) & is_out
        reached = np.where(holds, fractions[:, None], 0.0)
        furthest = np.zeros_like(reached)
        for sign in (1, -1):
            mine = self.sign == sign
            furthest[mine] = reached[mine].max(axis=0, initial=0.0)
        found: NDArray[np.bool_] = holds & (reached >= furthest - 1e-9)
        lacking = ~found.any(axis=1)
        found[lacking] = holds[lacking]
        return found


def fair_fractions(demand: Demand, caps: Array) -> Array:
    """Return the lexicographic max-min fractions under `caps`, shape (k,)."""
    net = demand.used(caps, 1) - demand.used(caps, -1)
    if (net <= demand.ask_depth).all() and (-net <= demand.bid_depth).all():
        return caps
    return max_min(demand, caps) if demand.is_mixed else progressive_filling(demand, caps)


def progressive_filling(demand: Demand, caps: Array) -> Array:
    """Return the max-min fractions of orders that share no asset across sides, exactly."""
    fractions = caps.copy()
    while True:
        ends = [
            (fraction_at(demand, fractions, int(asset), sign, depth[asset]), sign, int(asset))
            for sign, depth in ((1, demand.ask_depth), (-1, demand.bid_depth))
            for asset in np.flatnonzero(demand.used(fractions, sign) > depth * (1 + _TIGHT))
        ]
        if not ends:
            return fractions
        end, sign, asset = min(ends)
        holders = (demand.sign == sign) & (demand.rate[:, asset] > 0) & (fractions > end)
        fractions[holders] = end


def fraction_at(demand: Demand, fractions: Array, asset: int, sign: int, depth: float) -> float:
    """Return the common fraction at which a side needs `depth` of an asset, no order going beyond its own."""
    mine = (demand.sign == sign) & (demand.rate[:, asset] > 0)
    rate, start, most = demand.rate[mine, asset], demand.start[mine, asset], fractions[mine]
    points = np.unique(np.concatenate([start, most]))
    reached = np.clip(points[:, None], start, np.maximum(most, start)) - start
    used = reached @ rate
    place = int(np.searchsorted(used, depth, side="left"))
    if place == 0:
        return float(points[0])
    if place == len(points):
        return float(points[-1])
    share = (depth - used[place - 1]) / (used[place] - used[place - 1])
    return float(points[place - 1] + share * (points[place] - points[place - 1]))


def max_min(demand: Demand, caps: Array) -> Array:
    """Return the max-min fractions by linear programs, both sides; rarely more than four rounds.

    Raises:
        NumericalFailure: HiGHS found no optimum.
    """
    fractions = np.zeros(len(caps))
    active = caps > 0
    while active.any():
        level, is_stopped = _raise_smallest(demand, caps, fractions, active)
        stopped = np.flatnonzero(active)[is_stopped]
        fractions[stopped] = np.minimum(level, caps[stopped])
        active[stopped] = False
    return fractions


def _raise_smallest(
    demand: Demand, caps: Array, fixed: Array, active: NDArray[np.bool_]
) -> tuple[float, NDArray[np.bool_]]:
    """Return the largest common fraction of the active orders, and which of them it stops."""
    from etf_trader.solver.highs import minimise, rows_of

    count = int(active.sum())
    signed = demand.sign[:, None] * demand.rate
    constant = -(signed * demand.start).sum(axis=0) + (signed[~active] * fixed[~active, None]).sum(axis=0)
    in_hand = (np.maximum(signed, 0.0) * demand.start).sum(axis=0)  # of buys: no seller can sell to it
    ask, bid = np.isfinite(demand.ask_depth), np.isfinite(demand.bid_depth)
    rows = np.vstack([signed[active][:, ask].T, -signed[active][:, bid].T])
    room = np.concatenate(
        [demand.ask_depth[ask] - constant[ask], demand.bid_depth[bid] + (constant + in_hand)[bid]]
    )
    if not active.all():  # what the rounds before fixed is exact to about this
        most = np.abs(signed).max(axis=0)
        room += _FIXED * np.concatenate([most[ask], most[bid]])
    scale = np.abs(rows).max(axis=1, initial=0.0)
    rows, room, scale = rows[scale > 0], room[scale > 0], scale[scale > 0]
    rows, room = rows / scale[:, None], room / scale
    rows[np.abs(rows) < _NEGLIGIBLE] = 0.0
    at, column = np.nonzero(rows)
    each = np.arange(count)
    upper = rows_of(
        np.concatenate([rows[at, column], -np.ones(count), np.ones(count)]),
        np.concatenate([at, len(rows) + each, len(rows) + each]),
        np.concatenate([column, each, np.full(count, count)]),
        np.concatenate([room, np.zeros(count)]),
        count + 1,
    )
    objective = np.zeros(count + 1)
    objective[-1] = -1.0
    high = np.append(caps[active], caps[active].max())
    found = minimise(objective, high, upper=upper)
    level = float(found.x[-1])
    is_stopped = found.upper_duals[len(rows) :] < -_DUAL
    is_stopped |= caps[active] <= level
    if not is_stopped.any():
        is_stopped[:] = True  # only the bound of the common fraction itself stops it: all are at their cap
    return level, is_stopped
