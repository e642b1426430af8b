"""The proof of a plan that buys or sells units: all of it worked out again, and held against what it says."""

from collections.abc import Iterable, Iterator
from decimal import Decimal
from fractions import Fraction

from etf_trader.market.symbol import Side
from etf_trader.money import UNIT_GRID, ZERO, bps, plain
from etf_trader.orders.plan import LossParts, PlannedLeg
from etf_trader.solver.certificate import BOUND_GRID, multiplier, need_of, order_bound
from etf_trader.solver.findings import (
    Finding,
    check_filters,
    check_loss,
    check_totals,
    differs,
    sums_of,
)
from etf_trader.solver.problem import Leg, OrderProblem
from etf_trader.solver.retrial import (
    Refill,
    Size,
    at,
    broken,
    down,
    leftovers,
    nearest,
    nothing,
    total,
    without_books,
)
from etf_trader.solver.statement import Statement


def check_order(statement: Statement) -> Iterator[Finding]:
    """Check a plan that buys or sells units."""
    problem = statement.problem
    if tuple(leg.asset for leg in statement.legs) != tuple(leg.asset for leg in problem.legs):
        yield Finding("plan.legs", "are not those of the basket, in its order")
        return
    size = _size(statement)
    for stated, leg, again in zip(statement.legs, problem.legs, size.legs, strict=True):
        yield from _leg(stated, leg, again, problem)
    yield from _legs_together(statement, size)
    yield from _within_limits(statement, size)
    yield from _maximal(statement)
    yield from _proof(statement, size)
    yield from _sums(statement, size)


def _size(statement: Statement) -> Size:
    """Return the order at the size that the plan states; of none, the sale of what was redeemed before."""
    problem = statement.problem
    if statement.units:
        return at(problem, statement.units)
    if problem.side is Side.SELL and any(leg.held for leg in problem.legs):
        rest = leftovers(problem)
        if not _but_depth(broken(problem, rest)):
            return rest
    return nothing(problem)


def _but_depth(names: Iterable[str]) -> set[str]:
    """Return the limits that even a sale of leftovers keeps."""
    return {name for name in names if not name.startswith(("depth(", "window("))}


def _leg(stated: PlannedLeg, leg: Leg, again: Refill, problem: OrderProblem) -> Iterator[Finding]:
    """Check one constituent: what the common fraction needs of it, the levels it takes, its filters."""
    where = f"plan.legs.{leg.asset}"
    found = {
        "symbol": leg.rule.symbol,
        "quantity": again.quantity,
        "last_price": again.last,
        "touch": leg.touch,
        "mid": leg.mid,
        "value": again.value,
        "fee": again.fee,
        "surplus": again.surplus,
    }
    for name, value in found.items():
        yield from differs(f"{where}.{name}", getattr(stated, name), value)
    yield from check_loss(where, stated.loss, _loss_parts(leg, problem.side, again))
    yield from check_filters(where, stated, leg, problem.side, problem.slack_ticks)


def _loss_parts(leg: Leg, side: Side, again: Refill) -> LossParts:
    is_buy = side is Side.BUY
    quantity = again.quantity - again.fee if is_buy else again.quantity
    value = again.value - again.fee_value if is_buy else again.value
    return LossParts(
        delay=side.sign * quantity * (leg.mid - leg.arrival_mid),
        spread=side.sign * quantity * (leg.touch - leg.mid),
        depth=side.sign * (value - quantity * leg.touch),
        fee=again.fee_value,
        rounding=again.surplus * (leg.arrival_mid - leg.mid),
    )


def _legs_together(statement: Statement, size: Size) -> Iterator[Finding]:
    """Check that every asset covers the common fraction, and what passes to the float and stays."""
    for leg, refilled in zip(statement.problem.legs, size.legs, strict=True):
        per_units = leg.per_unit * statement.units
        if statement.problem.side is Side.BUY:
            kept = leg.held + refilled.quantity - refilled.fee - per_units - refilled.surplus
        else:
            kept = leg.held + per_units - refilled.quantity - refilled.surplus
        if kept < 0:
            yield Finding(f"plan.legs.{leg.asset}", f"falls {plain(-kept)} short of the common fraction")
        if leg.residual + refilled.surplus < 0:
            yield Finding(f"plan.legs.{leg.asset}.surplus", "takes more from the float than it has")


def _within_limits(statement: Statement, size: Size) -> Iterator[Finding]:
    """Check every limit of the order, at the planned prices and at those of the orders that are sent."""
    problem = statement.problem
    if not any(refilled.quantity for refilled in size.legs):
        return
    names = broken(problem, size)
    if not statement.units:
        names = _but_depth(names)
    for name in sorted(names):
        yield Finding("plan", f"breaks a limit of the order: {name}")
    at_worst = [
        again._replace(last=stated.limit_price if again.quantity else again.last)
        for stated, again in zip(statement.legs, size.legs, strict=True)
    ]
    for name in sorted(broken(problem, total(problem, statement.units, tuple(at_worst))) & {"limit", "cash"}):
        if name not in names:
            yield Finding("plan.legs", f"break a limit of the order when all fill at their limit prices: {name}")


def _maximal(statement: Statement) -> Iterator[Finding]:
    """Check that nothing is left to do, or that a size just beyond breaks exactly what is named."""
    problem, names = statement.problem, statement.stopped_by
    whole = problem.quantity == 0 and problem.side is Side.SELL and any(leg.held for leg in problem.legs)
    if names == ("filled",):
        if statement.units != problem.quantity:
            yield Finding("plan.stopped_by", "says filled, with less than what was wanted")
        if statement.beyond:
            yield Finding("plan.beyond", "names sizes beyond an order that is filled")
        if whole and broken(problem, at(problem, ZERO)):
            yield Finding("plan.stopped_by", "says filled, but not all that was redeemed can be sold")
        return
    if not statement.beyond or any(units < 0 or units % UNIT_GRID for units in statement.beyond):
        yield Finding("plan.beyond", "names no size that shows what stopped the plan")
        return
    first = statement.beyond[0]
    dust = not statement.units and first * problem.nav < problem.least_value + UNIT_GRID * problem.nav
    if first != statement.units + UNIT_GRID and not dust and not whole:
        yield Finding("plan.beyond", f"starts at {plain(first)}, which is not one step beyond the plan")
    if any(not first <= units <= problem.quantity for units in statement.beyond):
        yield Finding("plan.beyond", "names a size that was not wanted")
    sizes = [at(problem, units) for units in statement.beyond]
    found = set[str]().union(*(broken(problem, each) for each in sizes)) | without_books(problem)
    may_lack = set()
    if not whole and first == UNIT_GRID:
        may_lack = {"float"} if found != {"float"} else set()
        if not (found - may_lack) & {"limit", "loss"} and any(leg.is_minimal for leg in sizes[0].legs):
            found.add("minimum")
    if not found - may_lack <= set(names) <= found or len(set(names)) != len(names):
        broken_names = ", ".join(sorted(found)) or "nothing"
        yield Finding("plan.stopped_by", f"is {', '.join(names)}, but a size beyond breaks {broken_names}")


def _proof(statement: Statement, size: Size) -> Iterator[Finding]:
    """Check the bound: from the multipliers, over all levels, exactly."""
    problem, totals = statement.problem, statement.totals
    trading = [leg for leg, again in zip(problem.legs, size.legs, strict=True) if again.quantity]
    if set(statement.multipliers) != {leg.asset for leg in trading}:
        yield Finding("plan.multipliers", "are not one for each asset that trades")
        return
    if any(each < 0 for each in statement.multipliers.values()):
        yield Finding("plan.multipliers", "are not all 0 or more")
        return
    for leg in trading:
        dearest = multiplier(leg, problem.side, need_of(leg, problem.side, statement.units))
        yield from differs(f"plan.multipliers.{leg.asset}", statement.multipliers[leg.asset], dearest)
    bound = order_bound(problem, statement.units, statement.multipliers)
    yield from differs("plan.bound", totals["bound"], bound)
    sign, worth = problem.side.sign, statement.units * problem.nav
    cost = _cash(problem.side, size.legs)
    if (cost - bound) * sign < 0:
        yield Finding("plan.cost", "is better than the bound, which is impossible")
    yield from differs("plan.gap_bps", totals["gap_bps"], bps((cost - bound) * sign, worth))
    smooth = sum((_without_lots(problem, leg, statement.units) for leg in trading), ZERO)
    yield from differs("plan.rounding_bps", totals["rounding_bps"], totals["gap_bps"])
    if abs(smooth - bound) > 2 * BOUND_GRID:
        yield Finding("plan.rounding_bps", f"says that lots make the gap, but without them it is {plain(smooth)}")


def _without_lots(problem: OrderProblem, leg: Leg, units: Decimal) -> Decimal:
    """Return the cash of a leg without lots, minimums and rounded fees, to 1e-18, in quote."""
    need = Fraction(need_of(leg, problem.side, units))
    net = 1 - Fraction(leg.rule.taker_fee)
    left = need / net if problem.side is Side.BUY else need
    value = Fraction(0)
    for price, depth in leg.levels:
        part = min(left, Fraction(depth))
        value, left = value + part * Fraction(price), left - part
        if not left:
            break
    return down(value if problem.side is Side.BUY else value * net, Decimal("1e-18"))


def _sums(statement: Statement, size: Size) -> Iterator[Finding]:
    """Check the numbers of the whole plan."""
    problem, units = statement.problem, statement.units
    sign = problem.side.sign
    cost = _cash(problem.side, size.legs)
    cash = cost + problem.cash_per_unit * units - sign * size.float_pays
    parts = [_loss_parts(leg, problem.side, again) for leg, again in zip(problem.legs, size.legs, strict=True)]
    found = sums_of(statement, parts, cost, cash) | {"marginal_price": nearest(size.marginal)}
    yield from check_totals(statement, found)


def _cash(side: Side, legs: Iterable[Refill]) -> Decimal:
    return sum((leg.value if side is Side.BUY else leg.value - leg.fee for leg in legs), ZERO)
