"""What binds an order, in the user's units: each limit is moved a little both ways, and the order solved again.

The closed form answers in a few milliseconds, lots and minimums included, so
that what is said is what would happen; no dual price is read in between levels.
"""

from collections.abc import Iterable
from dataclasses import replace
from decimal import Decimal
from typing import NamedTuple

from etf_trader.market.book import Level
from etf_trader.market.symbol import Side
from etf_trader.money import BPS, ONE, ZERO
from etf_trader.orders.plan import Plan, PlannedLeg
from etf_trader.solver.order import plan_order
from etf_trader.solver.problem import Leg, OrderProblem

MOST_BOOKS = 12
"""Books whose depth is tried, the ones that cost most: of a hundred the others say nothing new."""

DEPTH_SHARE = Decimal("0.1")


class Nudge(NamedTuple):
    """A limit and what it decides.

    `name` is "limit", "loss", "limit and loss", "cash", "float" or
    "depth(ASSET)"; `by` how much it is moved (limit and loss: bps; cash and
    float: quote; depth: a share). `more` and `less` are the units that a wider
    and a tighter one add, one not below and the other not above 0.
    """

    name: str
    by: Decimal
    more: Decimal
    less: Decimal


class Frontier(NamedTuple):
    """Where a leg ends in its book: the worst price it uses, and the best that is left; None: nothing is."""

    asset: str
    symbol: str
    worst_used: Decimal
    best_left: Decimal | None


def what_binds(problem: OrderProblem, plan: Plan) -> tuple[Nudge, ...]:
    """Return every limit on which the size of `plan` depends, the order's own first; () when nothing binds.

    What moves the size by less than a ten-thousandth is the noise of lots, and left out.

    Args:
        problem: The order and its market.
        plan: The best plan for it, as `plan_order` makes it.
    """
    tried = [_nudge(problem, plan.units, name, by) for name, by in _own_limits(problem, plan)]
    tried += [_nudge(problem, plan.units, f"depth({leg.asset})", DEPTH_SHARE) for leg in _dearest(problem, plan)]
    least = plan.units / BPS
    return tuple(nudge for nudge in tried if nudge.more > least or -nudge.less > least)


def frontiers(problem: OrderProblem, legs: Iterable[PlannedLeg]) -> list[Frontier]:
    """Return where each leg that trades ends in its book."""
    quantities = {leg.asset: leg.quantity for leg in legs}
    return [_frontier(leg, quantities[leg.asset]) for leg in problem.legs if quantities.get(leg.asset)]


def _own_limits(problem: OrderProblem, plan: Plan) -> list[tuple[str, Decimal]]:
    worth = problem.quantity * problem.nav
    lots = sum((max(leg.rule.step, leg.rule.least_quantity(leg.mid)) * leg.mid for leg in problem.legs), ZERO)
    found = []
    if {"limit", "loss"} <= set(plan.stopped_by):  # either alone would change nothing
        found.append(("limit and loss", ONE))
    if problem.limit is not None:
        found.append(("limit", ONE))
    if problem.max_loss_bps is not None:
        found.append(("loss", ONE))
    if problem.side is Side.BUY and problem.cash is not None:
        found.append(("cash", _round_part(worth / 100)))
    found.append(("float", _round_part(lots)))
    return found


def _dearest(problem: OrderProblem, plan: Plan) -> list[Leg]:
    """Return the legs whose depth is worth trying: those that stop the plan, then those that cost most."""
    cost = {leg.asset: abs(leg.last_price - leg.mid) for leg in plan.legs}
    stopping = {name for name in plan.stopped_by if name.startswith("depth(")}

    def rank(leg: Leg) -> tuple[bool, Decimal, str]:
        return f"depth({leg.asset})" not in stopping, -leg.per_unit * cost.get(leg.asset, ZERO), leg.asset

    return sorted(problem.legs, key=rank)[:MOST_BOOKS]


def _nudge(problem: OrderProblem, units: Decimal, name: str, by: Decimal) -> Nudge:
    wider, tighter = (plan_order(_moved(problem, name, way * by)).units - units for way in (1, -1))
    return Nudge(name, by, max(wider, ZERO), min(tighter, ZERO))


def _moved(problem: OrderProblem, name: str, by: Decimal) -> OrderProblem:
    """Return the same order with one limit wider by `by`; tighter when it is negative."""
    if name.startswith("depth("):
        asset = name.removeprefix("depth(").removesuffix(")")
        legs = (_deeper(leg, by) if leg.asset == asset else leg for leg in problem.legs)
        return replace(problem, legs=tuple(legs))
    if name == "cash":
        return replace(problem, cash=max((problem.cash or ZERO) + by, ZERO))
    if name == "float":
        return replace(problem, float_cash=problem.float_cash + by)
    limit, loss = problem.limit, problem.max_loss_bps
    if limit is not None and name != "loss":
        problem = replace(problem, limit=limit + problem.side.sign * limit * by / BPS)
    if loss is not None and name != "limit":
        problem = replace(problem, max_loss_bps=loss + by)
    return problem


def _deeper(leg: Leg, share: Decimal) -> Leg:
    return replace(leg, levels=tuple(Level(price, depth * (ONE + share)) for price, depth in leg.levels))


def _frontier(leg: Leg, quantity: Decimal) -> Frontier:
    left, used = quantity, leg.mid
    for price, depth in leg.levels:
        if left == 0:
            return Frontier(leg.asset, leg.rule.symbol, used, price)
        used = price
        if left < depth:
            return Frontier(leg.asset, leg.rule.symbol, used, price)
        left -= depth
    return Frontier(leg.asset, leg.rule.symbol, used, None)


def _round_part(value: Decimal) -> Decimal:
    """Return 1, 10, 100 ... that is nearest below `value`, at least 1."""
    return max(Decimal(1).scaleb(value.adjusted()) if value > 0 else ONE, ONE)
