"""What less of a rebalance would cost, and how far the index would then stray: the frontier. Pure.

    f     of each trade what is done, 0 to 1          d, c   the whole trade and its cost, fractions of NAV
    a     active weights before                       S      covariance of daily returns (`tracking`)

    min (a + d f)' S (a + d f)     with  c f <= part of the whole cost,  d f <= cash beyond the reserve

Each point is a plan of its own, in whole lots on the same books. Without past
prices nothing tells which trades matter, and the points do part of every one.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal

import numpy as np

from etf_trader.index.weighting import Floats
from etf_trader.money import ONE, ZERO, bps, divide, divide_down, money_context, round_to
from etf_trader.orders.rebalance import RebalancePlan
from etf_trader.rebalance.planning import Rebalance, without_dust
from etf_trader.rebalance.tracking import Risk
from etf_trader.solver.rebalance import plan_rebalance
from etf_trader.solver.rebalance_problem import Exact, RebalanceProblem

PARTS = (Decimal("0.25"), Decimal("0.5"), Decimal("0.75"))
"""How much the points in between do, of the whole cost or of every trade."""

COST, TRADES = "cost", "trades"

_GRID = Decimal("1e-12")
_FINE = 1e-9  # of an improvement: less is none
_ROUNDS = 200


@dataclass(frozen=True, slots=True)
class Point:
    """One way to do a rebalance: what is best for `part` of its cost, or `part` of every trade (`of`).

    `part` is None of what is planned by a price of being off target. `turnover`
    one way and as a fraction of NAV, `cost` in quote, the tracking error in bps a
    year; None without past prices. `is_chosen` is what is planned.
    """

    part: Decimal | None
    of: str
    orders: int
    turnover: Decimal
    cost: Decimal
    cost_bps: Decimal
    tracking_error: Decimal | None
    is_chosen: bool


def frontier(found: Rebalance, targets: Mapping[str, Decimal], risk: Risk | None) -> tuple[Point, ...]:
    """Return the ways to do a rebalance that none of the others beats, the cheapest first.

    What is planned, and doing nothing, are always among them.

    Args:
        found: What is planned.
        targets: What the rulebook wants, fractions of NAV after.
        risk: How the assets moved together.
    """
    problem, plan = found.problem, found.plan
    if problem is None or plan is None:
        return ()
    drawn = _Drawn(found, targets, risk)
    with money_context():
        is_whole = isinstance(problem.aim, Exact)
        points = [drawn.nothing(), drawn.point(plan, ONE if is_whole else None, is_chosen=True)]
        whole = plan if is_whole else plan_rebalance(replace(problem, aim=Exact()))
        if not is_whole:
            points.append(drawn.point(whole, ONE))
        for part in PARTS if whole.cost > 0 else ():
            done = {leg.asset: part for leg in whole.legs}
            if risk is not None:
                done = _best(problem, whole, part, active_weights(drawn.before, targets), risk, found.nav)
            points.append(drawn.point(plan_rebalance(_partly(problem, done)), part))
    return tuple(_unbeaten(points))


def active_weights(weights: Mapping[str, Decimal], targets: Mapping[str, Decimal]) -> dict[str, Decimal]:
    """Return what is held less what is wanted, fractions of NAV."""
    return {asset: weights.get(asset, ZERO) - targets.get(asset, ZERO) for asset in {*weights, *targets}}


class _Drawn:
    """Makes points of plans."""

    def __init__(self, found: Rebalance, targets: Mapping[str, Decimal], risk: Risk | None) -> None:
        self.found, self.targets, self.risk = found, targets, risk
        self.of = TRADES if risk is None else COST
        self.before = {each.asset: each.weight for each in found.drifts}

    def nothing(self) -> Point:
        """Return the point that trades nothing."""
        return Point(ZERO, self.of, 0, ZERO, ZERO, ZERO, self._error(self.before), is_chosen=False)

    def point(self, plan: RebalancePlan, part: Decimal | None, *, is_chosen: bool = False) -> Point:
        """Return what a plan does, costs and leaves."""
        done = replace(self.found, plan=plan)
        cost = bps(done.cost, done.nav)
        error = self._error(done.weights_after)
        return Point(part, self.of, done.orders, done.turnover, done.cost, cost, error, is_chosen)

    def _error(self, weights: Mapping[str, Decimal]) -> Decimal | None:
        return None if self.risk is None else self.risk.tracking_error(active_weights(weights, self.targets))


def _best(
    problem: RebalanceProblem,
    whole: RebalancePlan,
    part: Decimal,
    active: Mapping[str, Decimal],
    risk: Risk,
    nav: Decimal,
) -> dict[str, Decimal]:
    """Return how much of each trade leaves the least tracking error for `part` of the cost of all of them."""
    from scipy.optimize import Bounds, LinearConstraint, minimize

    names = [leg.asset for leg in whole.legs]
    place = [risk.assets.index(asset) for asset in names]
    fixed = np.array([float(active.get(asset, 0)) for asset in risk.assets])
    moves = np.zeros((len(risk.assets), len(names)))
    moved = [float(divide((leg.holding_after - leg.holding_before) * leg.mid, nav)) for leg in whole.legs]
    moves[place, range(len(names))] = moved
    costs = np.array([float(divide(leg.cost, whole.cost)) for leg in whole.legs])
    spare = float(divide(max(problem.cash - problem.reserve * problem.nav, ZERO), nav))
    scale = max(float(fixed @ risk.covariance @ fixed), _FINE**2)

    def value(done: Floats) -> float:
        away = fixed + moves @ done
        return float(away @ risk.covariance @ away) / scale

    def slope(done: Floats) -> Floats:
        return np.asarray(2 * moves.T @ risk.covariance @ (fixed + moves @ done) / scale, dtype=np.float64)

    most = np.array([float(part), spare])
    answer = minimize(
        value,
        np.full(len(names), float(part)),
        jac=slope,
        bounds=Bounds(0.0, 1.0),
        constraints=LinearConstraint(np.array([costs, moved]), np.full(2, -np.inf), most),
        method="SLSQP",
        options={"maxiter": _ROUNDS, "ftol": _FINE},
    )
    found = answer.x if answer.success else np.full(len(names), float(part))
    return {
        asset: round_to(Decimal(repr(float(min(max(each, 0.0), 1.0)))), _GRID)
        for asset, each in zip(names, found, strict=True)
    }


def _partly(problem: RebalanceProblem, done: Mapping[str, Decimal]) -> RebalanceProblem:
    """Return the same problem with every weight brought only this part of its way."""
    nav = problem.nav
    moved = []
    for each in problem.constituents:
        weight = divide(each.value, nav, _GRID)
        part = max(weight + done[each.asset] * (each.weight - weight), ZERO)
        moved.append(replace(each, weight=part if each.weight else without_dust(part)))
    total = sum((each.weight for each in moved), ZERO)
    if total > 1:  # what was rounded up
        moved = [replace(each, weight=divide_down(each.weight, total, _GRID)) for each in moved]
    return replace(problem, constituents=tuple(moved), aim=Exact())


def _unbeaten(points: Sequence[Point]) -> Iterator[Point]:
    """Yield the points that stray less than all cheaper ones, and what is planned."""
    least: Decimal | None = None
    for each in sorted(points, key=lambda point: (point.cost, point.tracking_error or ZERO, not point.is_chosen)):
        error = each.tracking_error
        if error is None or least is None or error < least or each.is_chosen:
            yield each
        if error is not None:
            least = error if least is None else min(least, error)
