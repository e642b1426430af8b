"""How much of an order each period should trade: the period LP, on the ladder of the whole basket.

    f_t    fraction of the order in period t, sum f_t = 1 - g (g: what no book or limit lets trade)
    y_tk   fraction taken in period t of segment k of the basket's ladder;  sum_k y_tk = f_t
    v_tk   what was taken before and has not come back:  v_t = rho (v_{t-1} + y_{t-1}),  v_0 = 0
    u_tk   depth of segment k in period t:  y_t + v_t <= u_t
    c_k    price of the segment in bps of NAV, fees included

    min    sum c_k y_tk + waiting sum t f_t + worth g

All assets trade at one f_t, so a period takes every ladder in proportion: the
ladders of the assets become one of the basket, whose prices are the sums and
whose levels end wherever a level of an asset ends. What is missing of a piece
of a level comes back as the level does, so with one rho this is the program
with a row for each asset and period (N T + 2 (T - 1) N K rows) at a size that
does not grow with the assets. Levels come back where they were: this is not
the price reversion of block-shaped books, which is a quadratic program.

Of several optima the one with the least busy period is taken; when waiting
gains nothing, everything is traded at once.

Source:
    The period LP of the specification, 3.4. Bertsimas and Lo (1998) for the question.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from etf_trader.market.symbol import Side
from etf_trader.money import BPS
from etf_trader.solver.curves import Array, Curves
from etf_trader.solver.problem import Leg, OrderProblem

EPS_BPS = 0.1
"""How much joined levels may overstate the cost of the order in all its periods, in bps."""

NOTHING_BPS = 0.01
"""A gain below this is not worth a second batch."""

_GONE = 1e-6  # a share that has not come back, below which all has
_TIE_BPS = 1e-8
_DUST = 1e-12  # of the order: two levels that end so near to each other end together
_WIDTH = 64


class Segments(NamedTuple):
    """The basket's ladder: bps of NAV a unit costs (sell: loses) there, and fractions of the order; shape (k,)."""

    cost: Array
    depth: Array


class Fractions(NamedTuple):
    """Fractions of the order by period, shape (t,), and their cost in bps of the order, waiting included."""

    periods: Array
    cost_bps: float


def basket_segments(problem: OrderProblem, eps_bps: float) -> Segments:
    """Return what the order as a whole costs, cheapest first, up to its limit and its size.

    Args:
        problem: The order.
        eps_bps: How much joined levels may overstate the cost of one period, in bps of the order.
    """
    sign = problem.side.sign
    price, depth = _basket_ladder(problem)
    if not len(price):
        return Segments(np.zeros(0), np.zeros(0))
    curve = Curves([np.column_stack([price, depth])], np.ones(1), 1.0, problem.side)
    joined = curve.segments(np.ones(1), np.full(1, eps_bps / float(BPS)))
    cash = float(problem.cash_per_unit) / float(problem.nav)
    cost = sign * (joined.price + cash - 1.0) * float(BPS)
    return Segments(cost, joined.depth)


def cheapest_fractions(segments: Segments, depths: Array, rho: float, waiting_bps: float) -> Fractions:
    """Return how to spread the order over periods at the least cost.

    Args:
        segments: The basket's ladder of now.
        depths: Depth of each period as a multiple of now's, shape (t,), positive.
        rho: What of a taken quantity is still missing a period later, in [0, 1].
        waiting_bps: Price of having a part of the order done one period later, in bps of that part.

    Raises:
        NumericalFailure: HiGHS found no optimum.
    """
    if not len(segments.cost):
        return Fractions(np.zeros(len(depths)), 0.0)
    # Dearer than any difference between two levels, waiting means at once; more would only strain the floats.
    waiting = min(waiting_bps, 2.0 * float(np.abs(segments.cost).max()) + 1.0)
    program = _Program(segments, depths, 0.0 if rho < _GONE else rho, waiting)
    at_once = np.minimum(segments.depth, np.maximum(1.0 - np.cumsum(segments.depth) + segments.depth, 0.0))
    best = program.cheapest()
    if at_once.sum() >= 1.0 - _DUST and at_once @ segments.cost - best <= NOTHING_BPS:
        first = np.zeros(len(depths))
        first[0] = 1.0
        return Fractions(first, float(at_once @ segments.cost))
    return Fractions(program.calmest(best), best)


class _Program:
    """Columns: y by period and segment, g, v by period from the second; for the calmest, its busiest period."""

    def __init__(self, segments: Segments, depths: Array, rho: float, waiting_bps: float) -> None:
        self.depths, self.rho = depths, rho
        self.periods, self.count = len(depths), len(segments.cost)
        self.taken = self.periods * self.count
        self.depth = np.multiply.outer(depths, segments.depth).ravel()
        late = np.repeat(np.arange(self.periods), self.count) * waiting_bps
        worth = 2.0 * np.abs(segments.cost).max() + float(BPS) + self.periods * waiting_bps
        missing = (self.periods - 1) * self.count if rho else 0
        self.cost = np.concatenate([np.tile(segments.cost, self.periods) + late, [worth], np.zeros(missing)])
        self.high = np.concatenate([np.minimum(self.depth, 1.0), [1.0], np.ones(missing)])

    def cheapest(self) -> float:
        """Return the least cost in bps."""
        from etf_trader.solver.highs import minimise, rows_of

        data, row, column, bound = self._equal()
        upper = self._upper() if self.rho else None
        width = len(self.cost)
        return minimise(
            self.cost,
            self.high,
            equal=rows_of(data, row, column, bound, width),
            upper=None if upper is None else rows_of(*upper, width),
        ).objective

    def calmest(self, cost: float) -> Array:
        """Return the fractions of the schedule of that cost whose busiest period, for its depth, does least."""
        from etf_trader.solver.highs import minimise, rows_of

        width = len(self.cost) + 1
        data, row, column, bound = self._upper() if self.rho else _none()
        start = len(bound)
        share = self.depths / self.depths.sum() * self.periods
        period = np.repeat(np.arange(self.periods), self.count)
        priced = np.flatnonzero(self.cost)
        data = np.concatenate([data, np.ones(self.taken), -share, self.cost[priced]])
        row = np.concatenate(
            [row, start + period, start + np.arange(self.periods), np.full(len(priced), start + self.periods)]
        )
        column = np.concatenate([column, np.arange(self.taken), np.full(self.periods, width - 1), priced])
        bound = np.concatenate([bound, np.zeros(self.periods), [cost + _TIE_BPS]])
        objective = np.zeros(width)
        objective[-1] = 1.0
        equal = rows_of(*self._equal(), width)
        found = minimise(
            objective,
            np.append(self.high, 1.0),
            equal=equal,
            upper=rows_of(data, row, column, bound, width),
        )
        fractions: Array = found.x[: self.taken].reshape(self.periods, self.count).sum(axis=1)
        return fractions.clip(min=0.0)

    def _equal(self) -> tuple[Array, NDArray[np.intp], NDArray[np.intp], Array]:
        """Return the rows that everything is traded or given up, and that v follows from what was taken."""
        total = np.ones(self.taken + 1), np.zeros(self.taken + 1, dtype=np.intp), np.arange(self.taken + 1)
        if not self.rho:
            return *total, np.ones(1)
        each = np.arange((self.periods - 1) * self.count)
        missing = self.taken + 1 + each
        later = each[self.count :]  # the second period misses only what the first took
        data = np.concatenate(
            [total[0], np.ones(len(each)), np.full(len(each), -self.rho), np.full(len(later), -self.rho)]
        )
        row = np.concatenate([total[1], 1 + each, 1 + each, 1 + later])
        column = np.concatenate([total[2], missing, each, missing[: len(later)]])
        return data, row, column, np.concatenate([np.ones(1), np.zeros(len(each))])

    def _upper(self) -> tuple[Array, NDArray[np.intp], NDArray[np.intp], Array]:
        """Return the rows that a level gives no more than is there."""
        each = np.arange((self.periods - 1) * self.count)
        column = np.concatenate([self.count + each, self.taken + 1 + each])
        return np.ones(2 * len(each)), np.tile(each, 2), column, self.depth[self.count :]


def _none() -> tuple[Array, NDArray[np.intp], NDArray[np.intp], Array]:
    empty = np.zeros(0, dtype=np.intp)
    return np.zeros(0), empty, empty, np.zeros(0)


def _basket_ladder(problem: OrderProblem) -> tuple[Array, Array]:
    """Return the prices of the order in units of NAV, basket cash left out, and the fractions at each."""
    legs = [leg for leg in problem.legs if leg.per_unit]
    if any(not leg.levels for leg in legs) or not problem.quantity:
        return np.zeros(0), np.zeros(0)
    ladders = [_leg_ladder(leg, problem) for leg in legs]
    reach = min(1.0, *(float(ends[-1]) for _, ends in ladders))
    start = sum(float(price[0]) for price, _ in ladders)
    at = np.concatenate([ends[:-1] for _, ends in ladders])
    rise = np.concatenate([np.diff(price) for price, _ in ladders])
    inside = at < reach - _DUST
    order = np.argsort(at[inside], kind="stable")
    at, rise = at[inside][order], rise[inside][order]
    edges = np.concatenate([[0.0], at, [reach]])
    price = start + np.concatenate([[0.0], np.cumsum(rise)])
    depth = np.diff(edges)
    sign = problem.side.sign
    if problem.limit is not None:
        most = float(problem.limit - problem.cash_per_unit) / float(problem.nav)
        depth = np.where(sign * price <= sign * most + _DUST, depth, 0.0)
    kept = depth > _DUST
    price, depth = price[kept], depth[kept]
    rises = np.concatenate([[True], np.diff(price) * sign > 0])[: len(price)]
    group = np.cumsum(rises) - 1
    joined = np.zeros(int(rises.sum()))
    np.add.at(joined, group, depth)
    return price[rises], joined


def _leg_ladder(leg: Leg, problem: OrderProblem) -> tuple[Array, Array]:
    """Return what a leg adds to the price of the order, and the fraction of the order at which each level ends."""
    net = 1.0 - float(leg.rule.taker_fee)
    weight = float(leg.per_unit) / float(problem.nav)
    factor = 1.0 / net if problem.side is Side.BUY else net
    whole = float(leg.per_unit * problem.quantity) * (factor if problem.side is Side.BUY else 1.0)
    width = _WIDTH
    while True:
        part = np.asarray(leg.levels[:width], dtype=np.float64)
        ends = np.cumsum(part[:, 1]) / whole
        if ends[-1] >= 1.0 or width >= len(leg.levels):
            return weight * factor * part[:, 0], ends
        width *= 2
