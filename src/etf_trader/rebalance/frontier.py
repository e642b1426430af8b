"""What less of a rebalance would cost, and how far the index would then stray: the frontier. Pure.

Each point is a plan of its own on the same books: the same rebalance done in
part, every trade scaled by one factor, and the one that trades only what a
price of being off target is worth. What costs more than another point and
strays no less is no choice, and left out.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal

from etf_trader.money import BPS, ONE, ZERO, bps, ceil_to, divide, divide_down, money_context
from etf_trader.orders.rebalance import RebalancePlan
from etf_trader.rebalance.planning import Rebalance
from etf_trader.rebalance.tracking import Risk
from etf_trader.solver.rebalance import plan_rebalance
from etf_trader.solver.rebalance_problem import Exact, RebalanceProblem, Tracking

PARTS = (Decimal("0.25"), Decimal("0.5"), Decimal("0.75"))
"""How much of every trade the points in between do."""

_GRID = Decimal("1e-12")
_TENTH = Decimal("0.1")


@dataclass(frozen=True, slots=True)
class Point:
    """One way to do a rebalance: `part` of every trade, or what is worth `price_bps`.

    `turnover` one way and as a fraction of NAV, `cost` in quote, the tracking
    error in bps a year; None without past prices. `is_chosen` is the one that is
    planned.
    """

    part: Decimal | None
    price_bps: Decimal | None
    orders: int
    turnover: Decimal
    cost: Decimal
    cost_bps: Decimal
    tracking_error: Decimal | None
    is_chosen: bool


def frontier(found: Rebalance, targets: Mapping[str, Decimal], risk: Risk | None) -> tuple[Point, ...]:
    """Return the ways to do a rebalance that none of the others beats, the cheapest first.

    What is planned, and doing nothing, are always among them. Without past
    prices the points are the parts alone.

    Args:
        found: What is planned.
        targets: What the rulebook wants, fractions of NAV after.
        risk: How the assets moved together.
    """
    problem, plan = found.problem, found.plan
    if problem is None or plan is None:
        return ()
    with money_context():
        by_rule = problem.aim.price_bps if isinstance(problem.aim, Tracking) else None
        whole = None if by_rule is not None else ONE
        points = [_point(found, plan, targets, risk, (whole, by_rule), is_chosen=True)]
        points.append(_nothing(found, targets, risk))
        for part in PARTS if by_rule is None else (*PARTS, ONE):
            made = plan_rebalance(_scaled(problem, part))
            points.append(_point(found, made, targets, risk, (part, None)))
        for price in _prices(plan) if risk is not None else ():
            made = plan_rebalance(replace(problem, aim=Tracking(price)))
            points.append(_point(found, made, targets, risk, (None, price)))
    return tuple(_unbeaten(points))


def active_weights(weights: Mapping[str, Decimal], targets: Mapping[str, Decimal]) -> dict[str, Decimal]:
    """Return what is held less what is wanted, fractions of NAV."""
    return {asset: weights.get(asset, ZERO) - targets.get(asset, ZERO) for asset in {*weights, *targets}}


def _nothing(found: Rebalance, targets: Mapping[str, Decimal], risk: Risk | None) -> Point:
    weights = {each.asset: each.weight for each in found.drifts}
    error = None if risk is None else risk.tracking_error(active_weights(weights, targets))
    return Point(ZERO, None, 0, ZERO, ZERO, ZERO, error, is_chosen=False)


def _point(
    found: Rebalance,
    plan: RebalancePlan,
    targets: Mapping[str, Decimal],
    risk: Risk | None,
    way: tuple[Decimal | None, Decimal | None],
    *,
    is_chosen: bool = False,
) -> Point:
    done = replace(found, plan=plan)
    error = None if risk is None else risk.tracking_error(active_weights(done.weights_after, targets))
    return Point(*way, done.orders, done.turnover, done.cost, bps(done.cost, found.nav), error, is_chosen)


def _scaled(problem: RebalanceProblem, part: Decimal) -> RebalanceProblem:
    """Return the same problem with every weight brought only `part` of its way."""
    nav = problem.nav
    moved = []
    for each in problem.constituents:
        weight = divide(each.value, nav, _GRID)
        moved.append(replace(each, weight=max(weight + part * (each.weight - weight), ZERO)))
    total = sum((each.weight for each in moved), ZERO)
    if total > 1:  # what was rounded up
        moved = [replace(each, weight=divide_down(each.weight, total, _GRID)) for each in moved]
    return replace(problem, constituents=tuple(moved), aim=Exact())


def _prices(plan: RebalancePlan) -> list[Decimal]:
    """Return prices of being off target at which a quarter, half and three quarters of the legs are worth it."""
    costs = sorted(
        divide(leg.cost * BPS, leg.quantity * leg.mid, Decimal("1e-6"))
        for leg in plan.legs
        if leg.side is not None and leg.quantity
    )
    picked = {costs[len(costs) * quarter // 4] for quarter in (1, 2, 3)} if costs else set()
    return sorted({ceil_to(each, _TENTH) for each in picked})


def _unbeaten(points: Sequence[Point]) -> Iterator[Point]:
    """Yield the points that stray less than all cheaper ones, and what is planned."""
    least: Decimal | None = None
    for each in sorted(points, key=lambda point: (point.cost, point.tracking_error or ZERO, not point.is_chosen)):
        error = each.tracking_error
        if error is None or least is None or error < least or each.is_chosen:
            yield each
        if error is not None:
            least = error if least is None else min(least, error)
