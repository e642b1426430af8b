"""What trading an index costs at any size on the books of now: sizes, where books end, the naive ways.

Everything is exact: decimals, whole lots, fees rounded as the venue rounds them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import NamedTuple

from etf_trader.market.book import Level
from etf_trader.market.symbol import Side
from etf_trader.money import BPS, ONE, UNIT_GRID, ZERO, bps, divide, divide_down, floor_to
from etf_trader.solver.ladder import Ladder
from etf_trader.solver.lots import LegFill, LegRule
from etf_trader.solver.problem import Leg, OrderProblem
from etf_trader.solver.trial import Model

ANY_FLOAT = Decimal(10) ** 30
"""Float cash that no order ever needs."""

FINE, COARSE = (1, 2, 5), (1,)
FINE_DECADES = 4
SHAPE_SIZES = 96


class BookEnd(NamedTuple):
    """Units at which a constituent's book gives out.

    `is_complete` says that the book is empty beyond; otherwise nobody has looked further.
    """

    asset: str
    symbol: str
    units: Decimal
    is_complete: bool


class SizeCost(NamedTuple):
    """Loss of a size in basis points of its value at mid."""

    units: Decimal
    loss_bps: Decimal


class Naive(NamedTuple):
    """What orders asset by asset, each without a look at the others, make of a wish.

    `units` are whole ones. `stranded` is what was traded beyond them, at mid in
    quote. `loss` is what the trades lost against mid and, in `unwinding`, what
    trading the stranded assets back at once would lose.
    """

    units: Decimal
    stranded: Decimal
    loss: Decimal
    unwinding: Decimal


def unlimited(problem: OrderProblem) -> OrderProblem:
    """Return the same order without limits of its own: only the books bound it."""
    return replace(problem, cash=None, limit=None, max_loss_bps=None, float_cash=ANY_FLOAT)


def book_ends(problem: OrderProblem) -> list[BookEnd]:
    """Return the units at which each book gives out, the first to do so in front."""
    ends = []
    for leg in problem.legs:
        if not leg.per_unit:
            continue
        depth = sum((level.quantity for level in leg.levels), ZERO)
        net = depth * (ONE - leg.rule.taker_fee) + leg.residual if problem.side is Side.BUY else depth
        ends.append(BookEnd(leg.asset, leg.rule.symbol, divide_down(net, leg.per_unit, UNIT_GRID), leg.complete))
    return sorted(ends, key=lambda end: (end.units, end.symbol))


def float_for_any_size(problem: OrderProblem) -> Decimal:
    """Return the float cash that suffices for every size: a least order, which is a lot or more, an asset.

    What the float holds of an asset already counts. In quote.
    """
    total = ZERO
    for leg in problem.legs:
        if not leg.per_unit:
            continue
        worst = leg.levels[-1 if problem.side is Side.SELL else 0].price if leg.levels else leg.mid
        total += max(leg.rule.least_quantity(worst) - leg.residual, ZERO) * leg.mid
    return total


def round_sizes(least: Decimal, most: Decimal) -> list[Decimal]:
    """Return 1, 2, 5, 10, ... between two sizes, of which the smaller is above 0; over many decades 1, 10, ..."""
    first, last = least.adjusted(), most.adjusted()
    steps = FINE if last - first <= FINE_DECADES else COARSE
    sizes = (step * Decimal(1).scaleb(decade) for decade in range(first, last + 1) for step in steps)
    return [size for size in sizes if least <= size <= most and size >= UNIT_GRID]


def shape(problem: OrderProblem, least: Decimal, most: Decimal) -> list[SizeCost]:
    """Return the loss at sizes that grow by one ratio from `least` to `most`, for a chart.

    The books alone bound a size; one that they do not hold is left out.
    """
    model = Model(replace(unlimited(problem), quantity=most))
    ratio = float(most) / float(least)
    steps = {
        min(int(float(least / UNIT_GRID) * ratio ** (i / (SHAPE_SIZES - 1))), model.wanted)
        for i in range(SHAPE_SIZES)
    } | {model.wanted}
    points = []
    for step in sorted(steps - {0}):
        trial = model.trial(step)
        if not any(fill.is_deep for fill in trial.fills):
            points.append(SizeCost(trial.units, bps(trial.loss, trial.units * problem.arrival_nav)))
    return points


def market_orders(problem: OrderProblem, back: Mapping[str, Sequence[Level]]) -> Naive:
    """Return what one market order an asset for the whole wish comes to.

    Args:
        problem: The wish and its books; its limits are not looked at.
        back: The other side of each asset's book, on which what is stranded is traded back.
    """
    return _naive(problem, problem.legs, back)


def limits_by_asset(problem: OrderProblem, back: Mapping[str, Sequence[Level]]) -> Naive | None:
    """Return what one order an asset comes to, each with the index's limit as its own; None without a limit.

    The limit on a unit becomes the same distance from mid, fee included, for every asset.
    """
    bounds = [] if problem.limit is None else [problem.limit]
    if problem.max_loss_bps is not None:
        bounds.append(problem.nav + problem.side.sign * problem.nav * problem.max_loss_bps / BPS)
    if not bounds:
        return None
    cash, worst = problem.cash_per_unit, min(bounds) if problem.side is Side.BUY else max(bounds)
    bound = divide(worst - cash, problem.nav - cash)
    return _naive(problem, [_cut(leg, problem.side, bound) for leg in problem.legs], back)


def _cut(leg: Leg, side: Side, bound: Decimal) -> Leg:
    """Return a leg with the levels whose price after fee is within `bound` of its mid."""
    net = ONE - leg.rule.taker_fee
    if side is Side.BUY:
        levels = tuple(level for level in leg.levels if level.price <= leg.mid * bound * net)
    else:
        levels = tuple(level for level in leg.levels if level.price * net >= leg.mid * bound)
    return replace(leg, levels=levels)


def _naive(problem: OrderProblem, legs: Sequence[Leg], back: Mapping[str, Sequence[Level]]) -> Naive:
    side, wish = problem.side, problem.quantity
    rules = [LegRule(replace(leg, residual=ZERO), side) for leg in legs if leg.per_unit]
    fills = [_as_deep_as_it_goes(rule, rule.fill(wish)) for rule in rules]
    traded = [_traded(side, fill) for fill in fills]
    reached = [divide_down(x, rule.leg.per_unit, UNIT_GRID) for rule, x in zip(rules, traded, strict=True)]
    is_short = [fill.is_deep for fill in fills]
    units = min((r for r, short in zip(reached, is_short, strict=True) if short), default=wish)
    loss = stranded = unwinding = ZERO
    for rule, fill, x in zip(rules, fills, traded, strict=True):
        leg = rule.leg
        loss += side.sign * (fill.value - x * leg.mid) + (ZERO if side is Side.BUY else fill.fee)
        beyond = floor_to(max(x - leg.per_unit * units, ZERO), leg.rule.step) if any(is_short) else ZERO
        stranded += beyond * leg.mid
        unwinding += _way_back(leg, side, beyond, back[leg.asset])
    return Naive(min(units, wish), stranded, loss, unwinding)


def _as_deep_as_it_goes(rule: LegRule, fill: LegFill) -> LegFill:
    if not fill.is_deep:
        return fill
    quantity = floor_to(rule.ladder.depth(), rule.leg.rule.step)
    return fill._replace(quantity=quantity, **rule.ladder.take(quantity)._asdict())


def _traded(side: Side, fill: LegFill) -> Decimal:
    """Return what arrives of a buy, and what leaves in a sell."""
    return fill.quantity - fill.fee if side is Side.BUY else fill.quantity


def _way_back(leg: Leg, side: Side, quantity: Decimal, levels: Sequence[Level]) -> Decimal:
    """Return what trading `quantity` back loses against mid; beyond the book the last level goes on."""
    other = Side.SELL if side is Side.BUY else Side.BUY
    take = Ladder(levels, leg.rule, other, empty_price=leg.mid).take(quantity)
    return other.sign * (take.value - quantity * leg.mid) + take.fee_value
