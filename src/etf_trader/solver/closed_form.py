"""One index order in closed form: its cost at any fraction, and the largest fraction that its limits leave.

    f      fraction of the order, in [0, 1]
    w      weight a mid / NAV of each asset;   k   weight of the basket's cash
    n      1 - fee of each book
    C(f)   cash of the fraction f, in units of V = quantity x NAV
           buy: sum C_i(w f / n) + k f       sell: sum n C_i(w f) + k f

Bought cash is convex and sold cash concave, both 0 at 0, so the marginal and
the average price only get worse with size and every limit is reached once:

    f* = min(1, depth, C^-1(cash), marginal^-1(limit), average^-1(1 + max loss))

Each is bracketed from below, so that no book is read much deeper than the
answer, and then finished exactly on its last segment. Floats: they find sizes
and draw curves, and never state money.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from etf_trader.market.symbol import Side
from etf_trader.solver.curves import Array, Curves
from etf_trader.solver.problem import OrderProblem

_BPS = 1e4
_TIE = 1e-12  # a size that ends a level within this still uses that level, whatever rounding says
_BEYOND = 1.0 + 4.0 * _TIE
_ROUNDING = 1e-11  # what sums of floats may be off by, in units of V
_FURTHER = 1.5  # how much larger the next fraction is that brackets the answer
_HALVINGS = 8  # before the ends of levels are tried
_ROUNDS = 200  # halving ends after 60; Newton's method needs one a segment at most, and in practice five


class Reach(NamedTuple):
    """How far an order gets: its fraction, and what stops it there.

    `stopped_by` is ("filled",) or, in the order of a plan, of "limit", "loss",
    "cash" and the names of the books that end, those that end at `fraction`.
    """

    fraction: float
    stopped_by: tuple[str, ...]


class Bounds(NamedTuple):
    """The limits of an order, as numbers of the closed form; None where there is none.

    `limit` bounds the marginal price, in units of NAV. `cash` is what a buy may
    spend, in units of V. `loss_bps` bounds the loss from arrival over what was
    done before and this together: `done` is the fraction done before, at
    `loss_done`, in units of V.
    """

    limit: float | None = None
    cash: float | None = None
    loss_bps: float | None = None
    done: float = 0.0
    loss_done: float = 0.0


class IndexCurve:
    """The cost of an index order at any fraction, from the books of one side.

    All rows are in one order, which should be that of the assets' names: sums
    of floats depend on it. Nothing here reads a book deeper than a question needs.
    """

    def __init__(
        self,
        curves: Curves,
        weights: Array,
        nets: Array,
        names: Sequence[str],
        *,
        cash_weight: float = 0.0,
        arrival: float = 1.0,
        spare: Array | None = None,
    ) -> None:
        """Take one book a row.

        Args:
            curves: The books, scaled by the V of the whole order.
            weights: w, shape (n,), positive; with `cash_weight` they sum to 1.
            nets: 1 - fee of each book, shape (n,).
            names: What is said when a book ends: "depth(BTC)", or "window(BTCUSDT)" when more may lie beyond.
            cash_weight: k, the basket's cash as a fraction of NAV.
            arrival: NAV at the arrival mids / NAV now.
            spare: What a buy already has of each asset, in units of V; used first, at mid.
        """
        self.curves, self.side, self.names = curves, curves.side, tuple(names)
        self.weights, self.nets = weights, nets
        self.cash_weight, self.arrival = cash_weight, arrival
        self.spare = np.zeros(len(weights)) if spare is None else spare
        is_buy = curves.side is Side.BUY
        self._per_fraction = weights / nets if is_buy else weights
        self._price = np.ones(len(nets)) if is_buy else nets  # what a book's cash is worth after its fee
        self._start = self.spare / nets if is_buy else np.zeros(len(weights))

    def need(self, fraction: float) -> Array:
        """Return what is traded in each book, before fees, in units of V."""
        return np.maximum(self._per_fraction * fraction - self._start, 0.0)

    def cost(self, fraction: float) -> float:
        """Return the cash that `fraction` pays (sell: brings), fees and the basket's cash included, in V."""
        had = np.minimum(self.weights * fraction, self.spare).sum()
        return float(self._price @ self.curves.cost(self.need(fraction)) + had) + self.cash_weight * fraction

    def marginal(self, fraction: float) -> float:
        """Return the price of the last unit, fees and the basket's cash included, in NAV; at 0 of the first."""
        last = self.curves.last(self.need(fraction) * (1.0 - _TIE))
        return float((self._per_fraction * self._price) @ last) + self.cash_weight

    def average(self, fraction: float) -> float:
        """Return the price of a unit over all of `fraction`, in NAV; at 0 of the first."""
        return self.cost(fraction) / fraction if fraction > 0 else self.marginal(0.0)

    def loss_bps(self, fraction: float) -> float:
        """Return the loss against arrival of `fraction` in basis points of its value at arrival."""
        return self.side.sign * (self.average(fraction) / self.arrival - 1.0) * _BPS

    def depth(self) -> Array:
        """Return the fraction at which each book ends, shape (n,); may exceed 1. Reads all levels."""
        return (self.curves.depth() + self._start) / self._per_fraction

    def largest(self, bounds: Bounds) -> Reach:
        """Return the largest fraction that depth and `bounds` leave.

        Where the marginal price equals the limit on a stretch, its far end is meant.
        """
        top = self._bracket(bounds)
        ends = self._ends_within(top)
        reached = dict(zip(self.names, ends, strict=True))
        top = min(top, float(ends.min()))
        if bounds.loss_bps is not None:
            reached["loss"] = self._last_root(top, *self.loss_line(bounds))
        if bounds.cash is not None:
            reached["cash"] = self._last_root(top, bounds.cash, 0.0, 1)
        if bounds.limit is not None:
            reached["limit"] = self._up_to_limit(top, bounds.limit)
        fraction = float(min(1.0, *reached.values()))
        if bounds.loss_bps is not None and self._excess(fraction, *self.loss_line(bounds)) > _ROUNDING:
            reached["loss"] = fraction = 0.0  # a loss to be made good needs more than the other limits leave
        if fraction >= 1.0:
            return Reach(1.0, ("filled",))
        near = min(reached.values()) + _ROUNDING
        names = [name for name in ("limit", "loss", "cash", *sorted(self.names)) if reached.get(name, 2.0) <= near]
        return Reach(fraction, tuple(names))

    def cut(self, bounds: Bounds) -> float:
        """Return a fraction within all depth that is not below the answer, and never much beyond it."""
        top = self._bracket(bounds)
        return min(top, float(self._ends_within(top).min()))

    def _bracket(self, bounds: Bounds) -> float:
        """Return a fraction that is not below the answer, and never much beyond it."""
        top = self._first_fraction()
        while top < 1.0 and self._ends_within(top).min() > top and not self._is_beyond(top, bounds):
            top = min(1.0, _FURTHER * top)
        return top

    def _ends_within(self, fraction: float) -> Array:
        """Return the fraction at which each book ends, where that is before `fraction`; elsewhere infinity."""
        is_open = self.curves.holds(self.need(fraction))
        return np.where(is_open, np.inf, (self.curves.ends[:, -1] + self._start) / self._per_fraction)

    def _first_fraction(self) -> float:
        """Return a fraction that the levels read so far hold, or a tiny one where a book is empty."""
        held = (self.curves.ends[:, -1] + self._start) / self._per_fraction
        return min(1.0, max(float(held.min(initial=1.0)), 1e-6))

    def _is_beyond(self, fraction: float, bounds: Bounds) -> bool:
        """Return whether a limit is broken at `fraction` and at all larger ones."""
        cost, marginal = self.cost(fraction), self.marginal(fraction)
        sign = self.side.sign
        if bounds.cash is not None and cost > bounds.cash:
            return True
        if bounds.limit is not None and sign * (marginal - bounds.limit) > 0:
            return True
        if bounds.loss_bps is None:
            return False
        start, price, _ = self.loss_line(bounds)
        return sign * (cost - price * fraction) > start and sign * (marginal - price) > 0

    def loss_line(self, bounds: Bounds) -> tuple[float, float, int]:
        """Return `allowed`, `price` and `sign` of the loss limit: sign (C(f) - price f) <= allowed."""
        loss = (bounds.loss_bps or 0.0) / _BPS
        sign = self.side.sign
        allowed = loss * bounds.done * self.arrival - bounds.loss_done
        return allowed, self.arrival * (1.0 + sign * loss), sign

    def _last_root(self, top: float, allowed: float, price: float, sign: int) -> float:
        """Return the largest f with sign (C(f) - price f) <= allowed; infinity beyond `top`, 0 if there is none.

        The left side is convex: Newton's method from the right never steps over
        the root, and is exact once it is on the root's segment.
        """
        fraction = top
        if self._excess(top, allowed, price, sign) <= 0:
            return np.inf
        for _ in range(_ROUNDS):
            excess = self._excess(fraction, allowed, price, sign)
            slope = sign * (self.marginal(fraction) - price)
            if excess <= 0 or fraction <= 0:
                break
            if slope <= 0:
                return 0.0
            following = max(fraction - excess / slope, 0.0)
            if following >= fraction:
                break
            fraction = following
        return fraction

    def _excess(self, fraction: float, allowed: float, price: float, sign: int) -> float:
        return sign * (self.cost(fraction) - price * fraction) - allowed

    def _up_to_limit(self, top: float, limit: float) -> float:
        """Return the largest fraction of which no unit is dearer than `limit`; infinity beyond `top`.

        Bisection, and after some halvings one step to the next level's end with
        each: the answer is such an end, and is found exactly.
        """
        low, high = 0.0, top
        if not self._is_dearer(high, limit):
            return np.inf
        if self._is_dearer(0.0, limit):
            return 0.0
        for turn in range(_ROUNDS):
            if turn >= _HALVINGS:
                end = self._next_end(low)
                if end >= high or self._is_dearer(end, limit, _BEYOND):
                    return min(end, high)
                low = max(end, low)
            middle = (low + high) / 2
            if self._is_dearer(middle, limit, _BEYOND):
                high = middle
            else:
                low = middle
        return low

    def _is_dearer(self, fraction: float, limit: float, beyond: float = 1.0) -> bool:
        return self.side.sign * (self.marginal(fraction * beyond) - limit) > _TIE

    def _next_end(self, fraction: float) -> float:
        """Return the first end of a level beyond `fraction`."""
        ends = self.curves.level_ends(self.need(fraction) * (1.0 + 2.0 * _TIE))
        return float(((ends + self._start) / self._per_fraction).min())


def index_curve(problem: OrderProblem) -> tuple[IndexCurve, Bounds]:
    """Return the closed form of an order, its rows sorted by asset, and its limits.

    Legs without weight are left out. What a sell has redeemed before leaves its
    depth to the units.

    Raises:
        DataError: a level is not finite, not positive or out of order.
    """
    legs = sorted((leg for leg in problem.legs if leg.per_unit), key=lambda leg: leg.asset)
    nav, value = float(problem.nav), float(problem.quantity * problem.nav)
    mids = np.array([float(leg.mid) for leg in legs])
    spare = np.array([float(leg.held + leg.residual) for leg in legs]) * mids / value
    curve = IndexCurve(
        Curves([leg.levels for leg in legs], mids, value, problem.side, [leg.rule.symbol for leg in legs]),
        np.array([float(leg.per_unit) for leg in legs]) * mids / nav,
        np.array([float(1 - leg.rule.taker_fee) for leg in legs]),
        [leg.end for leg in legs],
        cash_weight=float(problem.cash_per_unit) / nav,
        arrival=float(problem.arrival_nav) / nav,
        spare=spare if problem.side is Side.BUY else None,
    )
    bounds = Bounds(
        limit=None if problem.limit is None else float(problem.limit) / nav,
        cash=None if problem.cash is None or problem.side is Side.SELL else float(problem.cash) / value,
        loss_bps=None if problem.max_loss_bps is None else float(problem.max_loss_bps),
        done=float(problem.units_done) / float(problem.quantity),
        loss_done=float(problem.loss_done) / value,
    )
    return curve, bounds
