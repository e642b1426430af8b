"""The continuous order as a linear program on few segments: no lots, no minimums, fees at their rate.

    y      what is taken of each segment, in value units: quantity x mid / V
    r      what a buy already has of each asset and uses first, at mid
    f      fraction of the order, in [0, 1]
    c      price / mid;   b   1, or 1 - fee on what a sell brings;   a   1 - fee on what a buy brings, or 1
    w, k   weight of each asset and of the basket's cash;   s   +1 buy, -1 sell
    L      price limit / NAV, or what makes any unit worth its trade;   P   arrival price x (1 + s max loss)

    min   s sum b c y + sum r - s (L - k) f
    with  a sum y + r = w f                          every asset
          s sum b c y + sum r + s (k - P) f <= loss left
          sum c y + sum r + k f <= cash

Levels are cut where a limit is broken and joined by the chord rule, so that the
program has a few columns a book. Of its answer only the fraction is kept: what
it costs is read from the whole ladders, and whether it is the optimum is proved
on them with the program's duals, by weak duality:

    bound = sum min(0, reduced cost) x upper bound + sum dual x right side

A gap above the tolerance splits the segments once: at the dual prices, and where
the closed form ends in each book, for the fraction is common and seldom ends a
level. A loss limit needs that: what joining overstates there costs a multiple.

Source:
    scipy.optimize.linprog, HiGHS dual simplex; Neumaier and Shcherbina (2004) for the bound.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from etf_trader.errors import NumericalFailure
from etf_trader.market.symbol import Side
from etf_trader.solver.closed_form import Bounds, IndexCurve, index_curve
from etf_trader.solver.curves import Array, Segments
from etf_trader.solver.highs import SMALLEST, Rows, minimise, rows_of
from etf_trader.solver.problem import OrderProblem

EPS = 1e-5
"""What joining levels may overstate an order's cost by, in units of V: 0.1 bps."""

TOLERANCE_BPS = 0.05
"""The gap above which segments are split and the program is solved once more."""

_SPLITS = (1.0, *(1.0 + sign * 4.0**-power for power in range(2, 9) for sign in (1, -1)))
"""Where books are split for a second solve, as shares of the fraction of the closed form."""

_WIDER = 1.01  # books are cut beyond what can be used: an end that is none must not get a dual price
_TIE = 1e-9  # where the marginal price equals the limit on a stretch, the larger fraction is meant
_BPS = 1e4


class Relaxed(NamedTuple):
    """An optimum of the order without lots.

    `fraction` of the order; `cash` of its legs on the whole ladders (sell:
    received), spare at mid, in units of V; `gap_bps` what the optimum may be
    better by, in bps of V, proved over all levels; `columns` of the program
    that was solved last.
    """

    fraction: float
    cash: float
    gap_bps: float
    columns: int


class Duals(NamedTuple):
    """Change of the objective, in units of V, a unit of each right side: of the assets, of loss and of cash."""

    asset: Array
    loss: float
    cash: float


def widest_fraction(problem: OrderProblem) -> Relaxed:
    """Return the largest fraction of `quantity` that depth and limits leave, at the least cost.

    Raises:
        DataError: a level is not finite, not positive or out of order.
        NumericalFailure: HiGHS found no optimum (status and message), or a weight is below 1e-7.
    """
    if problem.quantity == 0:
        return Relaxed(0.0, 0.0, 0.0, 0)
    curve, bounds = index_curve(problem)
    light = np.flatnonzero(curve.weights < SMALLEST)
    if len(light):
        asset = sorted(leg.asset for leg in problem.legs if leg.per_unit)[light[0]]
        weight = curve.weights[light[0]]
        raise NumericalFailure(f"{asset} is {weight:.1e} of the basket: too little for the LP", where=asset)
    return solve(curve, bounds)


def solve(curve: IndexCurve, bounds: Bounds) -> Relaxed:
    """Return the optimum of the order `curve` within `bounds`, and how good it is proved to be.

    An order that has to make good a loss needs a least fraction; the program
    takes it even beyond the price limit, which is then for the exact search to refuse.
    """
    top = curve.cut(bounds)
    if top <= 0 or (bounds.cash is not None and bounds.cash < 0):
        return Relaxed(0.0, 0.0, 0.0, 0)
    segments = curve.curves.segments(curve.need(_WIDER * top), EPS * curve.weights)
    program = Program(curve, bounds, segments)
    if not program.is_feasible():
        return Relaxed(0.0, 0.0, 0.0, 0)
    relaxed, duals = program.solve()
    if relaxed.gap_bps > TOLERANCE_BPS:
        finer = curve.curves.split(segments, program.used(duals))
        finer = _finer(curve, finer, curve.largest(bounds).fraction)
        relaxed, _ = Program(curve, bounds, finer).solve()
    return relaxed


def _finer(curve: IndexCurve, segments: Segments, fraction: float) -> Segments:
    """Return `segments` split where `fraction` ends in each book, and ever more finely towards it.

    Whole segments cost what their levels cost; only those that an answer ends
    in overstate it, and the next answer ends there or close by.
    """
    for share in _SPLITS:
        segments = curve.curves.split(segments, curve.need(fraction * share))
    return segments


class Program:
    """The program on some segments. Columns: segments, what is there already, f."""

    def __init__(self, curve: IndexCurve, bounds: Bounds, segments: Segments) -> None:
        self.curve, self.bounds, self.segments = curve, bounds, segments
        self.sign = float(curve.side.sign)
        is_buy = curve.side is Side.BUY
        ones = np.ones(len(curve.weights))
        self.brought = curve.nets if is_buy else ones  # a
        self.paid = ones if is_buy else curve.nets  # b
        self.worth = self._worth() - curve.cash_weight
        cash = self.sign * self.paid[segments.row] * segments.price
        self.costs = np.concatenate([cash, ones, [0.0]])
        self.high = np.concatenate([segments.depth, curve.spare, [1.0]])
        self.allowed, self.price = np.inf, 0.0
        limits: list[tuple[Array, float]] = []
        if bounds.loss_bps is not None:
            self.allowed, self.price, _ = curve.loss_line(bounds)
            limits.append((self._row(self.sign * (curve.cash_weight - self.price)), self.allowed))
        if bounds.cash is not None:
            limits.append((self._row(curve.cash_weight), bounds.cash))
        self.limits = limits

    def is_feasible(self) -> bool:
        """Return whether any fraction makes good the loss that was made before."""
        if self.allowed >= 0:
            return True
        (loss, _), *others = self.limits
        least = minimise(loss * _BPS, self.high, equal=self._balance(), upper=_rows_in_bps(others))
        return least.objective / _BPS <= self.allowed + _TIE

    def solve(self) -> tuple[Relaxed, Duals]:
        """Return the optimum with its gap over all levels, and the duals that prove it."""
        objective = self._row(-self.sign * self.worth)
        optimum = minimise(objective * _BPS, self.high, equal=self._balance(), upper=_rows_in_bps(self.limits))
        duals = self._duals(optimum.equal_duals / _BPS, optimum.upper_duals)
        fraction = float(np.clip(optimum.x[-1], 0.0, 1.0))
        cash = self.curve.cost(fraction) - self.curve.cash_weight * fraction
        gap = self.sign * (cash - self.worth * fraction) - self.bound(duals)
        return Relaxed(fraction, cash, max(gap, 0.0) * _BPS, len(objective)), duals

    def used(self, duals: Duals) -> Array:
        """Return the depth of each book at prices that are worth their trade at `duals`."""
        return self.curve.curves.up_to(self.sign * self.brought * duals.asset / (self.paid * self._scale(duals)))

    def bound(self, duals: Duals) -> float:
        """Return a value that no fraction goes below on the whole ladders, whatever the duals are."""
        curve, bounds, scale = self.curve, self.bounds, self._scale(duals)
        used = self.used(duals)
        levels = self.sign * scale * self.paid * curve.curves.cost(used) - self.brought * duals.asset * used
        spare = np.minimum(scale - duals.asset, 0.0) @ curve.spare
        weight = curve.cash_weight
        reduced = -self.sign * self.worth + curve.weights @ duals.asset
        reduced -= duals.loss * self.sign * (weight - self.price) + duals.cash * weight
        known = duals.loss * (0.0 if bounds.loss_bps is None else self.allowed)
        known += duals.cash * (bounds.cash or 0.0)
        return float(levels.sum() + spare + min(reduced, 0.0) + known)

    def _scale(self, duals: Duals) -> float:
        """Return what a unit of cash counts for: in the objective, and in the rows of loss and cash."""
        return 1.0 - duals.loss - duals.cash

    def _duals(self, asset: Array, upper: Array) -> Duals:
        """Return the duals by name; those of the limits have the sign of a limit, whatever rounding says."""
        limits = [min(float(each), 0.0) for each in upper]
        loss = limits.pop(0) if self.bounds.loss_bps is not None else 0.0
        return Duals(asset, loss, limits.pop(0) if limits else 0.0)

    def _row(self, last: float) -> Array:
        row = self.costs.copy()
        row[-1] = last
        return row

    def _balance(self) -> Rows:
        """Return the rows that give every asset the common fraction."""
        rows, count = self.segments.row, len(self.segments.row)
        assets = np.arange(len(self.curve.weights))
        data = np.concatenate([self.brought[rows], np.ones(len(assets)), -self.curve.weights])
        row = np.concatenate([rows, assets, assets])
        column = np.concatenate([np.arange(count + len(assets)), np.full(len(assets), count + len(assets))])
        return rows_of(data, row, column, np.zeros(len(assets)), len(self.high))

    def _worth(self) -> float:
        """Return L: the limit, or what makes any unit worth its trade when there is none."""
        if self.bounds.limit is not None:
            return self.bounds.limit + _TIE * self.sign
        if self.curve.side is Side.SELL:
            return -1.0
        return 2.0 + 2.0 * float(np.max(self.segments.price, initial=1.0) / np.min(self.curve.nets))


def _rows_in_bps(limits: Sequence[tuple[Array, float]]) -> Rows | None:
    """Return rows and their right sides in bps: HiGHS is feasible within a tolerance of these, not of V."""
    if not limits:
        return None
    matrix = np.array([row for row, _ in limits]) * _BPS
    row, column = np.nonzero(matrix)
    bound = np.array([bound for _, bound in limits]) * _BPS
    return rows_of(matrix[row, column], row, column, bound, matrix.shape[1])
