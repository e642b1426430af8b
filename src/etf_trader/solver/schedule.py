"""An index order over time: its periods, each planned exactly on the books as they are expected to be then.

How much each period trades comes from the algo: equal parts (twap), parts in
proportion to traded volume (vwap), a share of that volume (pov), or the least
cost (optimal). The parts are units on the grid that add up to the order. Parts
too small for the venue's least orders trade together with those after them.
Then every period is planned like an order of its own, on the books of now less
what earlier periods took and has not come back; mids stay where they are.
"""

import math
from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from typing import NamedTuple

from etf_trader.market.book import Level
from etf_trader.market.symbol import Side
from etf_trader.money import (
    ONE,
    UNIT_GRID,
    ZERO,
    ceil_to,
    divide,
    divide_up,
    floor_to,
    largest_remainder,
    money_context,
    round_to,
)
from etf_trader.orders.plan import Plan, PlannedLeg
from etf_trader.orders.schedule import Algo, Assumptions, Period, Schedule
from etf_trader.solver.order import plan_order, smallest_quantity
from etf_trader.solver.problem import Leg, OrderProblem

DAY = 86_400
HOUR = 3_600

MOST_PERIODS = 60
"""A longer time has longer periods."""

_NEAR = 100  # volume is measured by the depth within a hundredth, 100 bps, of mid
_FRACTION = Decimal("1e-12")


class Span(NamedTuple):
    """The time of a schedule: seconds in all, periods it is cut into, batches that the order budget allows."""

    seconds: int
    periods: int
    slots: int

    @property
    def period_seconds(self) -> int:
        """The length of a period, in whole seconds."""
        return self.seconds // self.periods


def span(seconds: int, period_seconds: int, limits: Sequence[tuple[int, int]], orders: int) -> Span:
    """Return the periods of a schedule: one each `period_seconds`, at most 60, as far as the order budget goes.

    Args:
        seconds: The time in all.
        period_seconds: The length of a period that is wished for.
        limits: The venue's limits, as (seconds of a window, orders in it).
        orders: Orders of one batch: every constituent needs one at least.
    """
    windows = [(max(seconds // window, 1), limit) for window, limit in limits]
    slots = min((limit * count // max(orders, 1) for count, limit in windows), default=seconds)
    return Span(seconds, max(1, min(seconds // period_seconds, slots, MOST_PERIODS)), slots)


def plan_schedule(problem: OrderProblem, algo: Algo, time: Span, assumed: Assumptions) -> Schedule:
    """Return the schedule of an order, planned on the books of now.

    Raises:
        ValueError: a profile has not one positive volume for each period.
        NumericalFailure: the LP of `optimal` failed.
    """
    with money_context():
        profile = _profile(assumed, time.periods)
        shares = _shares(problem, algo, time, assumed, profile)
        total = problem.quantity
        if algo is Algo.POV:
            total = floor_to(min(sum(shares, ZERO), ONE) * total, UNIT_GRID)
        parts = largest_remainder(total, shares, UNIT_GRID) if total else [ZERO] * time.periods
        least = least_part(problem)
        wanted = merged(parts, least)
        periods = _walk(problem, wanted, time, assumed, profile)
        at_once = plan_order(problem)
        return Schedule(
            algo=algo,
            seconds=time.seconds,
            period_seconds=time.period_seconds,
            slots=time.slots,
            merged=sum(1 for part in parts if part) - sum(1 for part in wanted if part),
            quantity=problem.quantity,
            arrival_nav=problem.arrival_nav,
            periods=periods,
            at_once_units=at_once.units,
            at_once_loss=at_once.loss.total,
            waiting_bps=_waiting(periods, assumed),
            needed_seconds=_needed(problem, assumed) if algo is Algo.POV else None,
            assumptions=assumed,
            method="linprog" if algo is Algo.OPTIMAL else "proportion",
            least=least,
        )


def still_missing(time: Span, assumed: Assumptions) -> Decimal:
    """Return rho: what of a taken quantity is still missing a period later."""
    if assumed.recovery_seconds == 0:
        return ZERO
    gone = math.exp(-time.period_seconds / float(assumed.recovery_seconds))
    return Decimal(repr(round(gone, 9)))


def merged(parts: Sequence[Decimal], least: Decimal) -> list[Decimal]:
    """Return the parts with those below `least` traded early, together with the ones after them.

    Parts that are too small at the end go to the last one that trades; an order
    that is too small in all is one part.
    """
    wanted = [ZERO] * len(parts)
    first = None
    trading: list[int] = []
    for period, part in enumerate(parts):
        if not part:
            continue
        first = period if first is None else first
        wanted[first] += part
        if wanted[first] >= least:
            trading.append(first)
            first = None
    if first is not None and trading:
        wanted[trading[-1]] += wanted[first]
        wanted[first] = ZERO
    return wanted


def least_part(problem: OrderProblem) -> Decimal:
    """Return the units of which every constituent needs at least the venue's least order."""
    sizes = [smallest_quantity(problem) or ZERO]
    for leg in problem.legs:
        if leg.per_unit and leg.levels:
            net = ONE - leg.rule.taker_fee if problem.side is Side.BUY else ONE
            sizes.append(divide_up(leg.rule.least_quantity(leg.levels[0].price) * net, leg.per_unit, UNIT_GRID))
    return max(sizes)


def _profile(assumed: Assumptions, periods: int) -> tuple[Decimal, ...]:
    profile = (ONE,) * periods if assumed.profile is None else assumed.profile
    if len(profile) != periods or not all(each.is_finite() and each > 0 for each in profile):
        raise ValueError(f"a profile of {len(profile)} volumes for {periods} periods")
    return profile


def _shares(
    problem: OrderProblem, algo: Algo, time: Span, assumed: Assumptions, profile: Sequence[Decimal]
) -> list[Decimal]:
    """Return what each period trades in proportion to the others; for pov, as fractions of the order."""
    if algo is Algo.TWAP:
        return [ONE] * time.periods
    if algo is Algo.VWAP:
        return list(profile)
    if algo is Algo.POV:
        each = _volume_fraction(problem, assumed) * time.period_seconds * time.periods
        left, shares = ONE, []
        for volume in profile:
            shares.append(min(left, divide(each * volume, DAY * sum(profile, ZERO), _FRACTION)))
            left -= shares[-1]
        return shares
    return _cheapest(problem, time, assumed, profile)


def _cheapest(
    problem: OrderProblem, time: Span, assumed: Assumptions, profile: Sequence[Decimal]
) -> list[Decimal]:
    """Return the fractions that the period LP finds; all in the first period when nothing at all can trade."""
    import numpy as np

    from etf_trader.solver.periods import EPS_BPS, basket_segments, cheapest_fractions

    depths = np.array([float(volume / profile[0]) if volume != profile[0] else 1.0 for volume in profile])
    waiting = float(assumed.waiting_bps) * time.period_seconds / HOUR
    segments = basket_segments(problem, EPS_BPS / time.periods)
    found = cheapest_fractions(segments, depths, float(still_missing(time, assumed)), waiting)
    shares = [floor_to(Decimal(repr(float(each))), _FRACTION) for each in found.periods]
    return shares if any(shares) else [ONE] + [ZERO] * (time.periods - 1)


def _volume_fraction(problem: OrderProblem, assumed: Assumptions) -> Decimal:
    """Return the fraction of the order that pov trades in a day of even volume: of the thinnest constituent."""
    fractions = []
    for leg in problem.legs:
        if leg.per_unit:
            edge = leg.mid + problem.side.sign * leg.mid / _NEAR
            near = [each for each in leg.levels if (edge - each.price) * problem.side.sign >= 0]
            shown = sum((each.quantity for each in near), ZERO)
            volume = shown * assumed.turnover * assumed.participation
            fractions.append(divide(volume, leg.per_unit * problem.quantity, _FRACTION))
    return min(fractions)


def _needed(problem: OrderProblem, assumed: Assumptions) -> int | None:
    """Return the seconds that the whole order takes at the rate of pov; None when nothing is traded."""
    rate = _volume_fraction(problem, assumed)
    return int(ceil_to(divide(Decimal(DAY), rate, _FRACTION), ONE)) if rate else None


def _waiting(periods: Sequence[Period], assumed: Assumptions) -> Decimal:
    units = sum((period.units for period in periods), ZERO)
    waited = sum((period.units * period.start_seconds for period in periods), ZERO)
    return divide(waited * assumed.waiting_bps, units * HOUR, Decimal("0.0001")) if units else ZERO


def _walk(
    problem: OrderProblem,
    wanted: Sequence[Decimal],
    time: Span,
    assumed: Assumptions,
    profile: Sequence[Decimal],
) -> tuple[Period, ...]:
    """Plan period after period, each with what the ones before left of order, cash, float and books."""
    rho = still_missing(time, assumed)
    missing: list[dict[Decimal, Decimal]] = [{} for _ in problem.legs]
    left, periods, rest = problem, [], ZERO
    for number, part in enumerate(wanted):
        rest += part
        if part:
            legs = tuple(map(_remaining, left.legs, missing, [divide(profile[number], profile[0])] * len(missing)))
            left = replace(left, legs=legs)
            plan = plan_order(replace(left, quantity=rest))
            periods.append(_period(plan, part, number * time.period_seconds, problem))
            rest -= plan.units
            left = replace(_after(left, plan), legs=tuple(map(_settled, problem.legs, left.legs, plan.legs)))
            for position, leg in enumerate(plan.legs):
                _take(missing[position], legs[position].levels, leg.quantity)
        for position, each in enumerate(problem.legs):
            missing[position] = _come_back(missing[position], rho, each.rule.step)
    return tuple(periods)


def _period(plan: Plan, part: Decimal, start: int, problem: OrderProblem) -> Period:
    legs = zip(plan.legs, problem.legs, strict=True)
    orders = sum(leg.rule.order_count(planned.quantity, planned.limit_price) for planned, leg in legs)
    return Period(start, part, plan.units, plan.cash, plan.loss.total, orders, plan.stopped_by)


def _after(left: OrderProblem, plan: Plan) -> OrderProblem:
    """Return what a plan that fills leaves of the order, its books not yet changed."""
    settled = sum((leg.surplus * leg.mid for leg in plan.legs), ZERO)
    return replace(
        left,
        cash=None if left.cash is None else left.cash - plan.cash,
        float_cash=left.float_cash - settled,
        units_done=left.units_done + plan.units,
        loss_done=left.loss_done + plan.loss.total,
    )


def _settled(before: Leg, leg: Leg, planned: PlannedLeg) -> Leg:
    """Return a leg with the levels of now and the float's residual after a plan."""
    return replace(before, residual=leg.residual + planned.surplus)


def _remaining(leg: Leg, missing: dict[Decimal, Decimal], depth: Decimal) -> Leg:
    """Return a leg on the levels that are expected: `depth` times those of now, less what is missing."""
    levels: Sequence[Level] = leg.levels
    if depth != 1:
        grown = (Level(price, floor_to(quantity * depth, leg.rule.step)) for price, quantity in levels)
        levels = [level for level in grown if level.quantity]
    touched, found = [], 0
    for price, quantity in levels:
        if found == len(missing):
            break
        found += price in missing
        touched.append(Level(price, quantity - missing.get(price, ZERO)))
    there = (level for level in touched if level.quantity > 0)
    return replace(leg, levels=(*there, *levels[len(touched) :]))


def _take(missing: dict[Decimal, Decimal], levels: Sequence[Level], quantity: Decimal) -> None:
    for price, there in levels:
        if quantity <= 0:
            return
        taken = min(there, quantity)
        missing[price] = missing.get(price, ZERO) + taken
        quantity -= taken


def _come_back(missing: dict[Decimal, Decimal], rho: Decimal, step: Decimal) -> dict[Decimal, Decimal]:
    """Return what is still missing a period later, in whole lots."""
    later = {price: round_to(rho * taken, step) for price, taken in missing.items()}
    return {price: taken for price, taken in later.items() if taken > 0}
