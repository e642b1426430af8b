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
from etf_trader.orders.plan import LossParts
from etf_trader.solver.ladder import Ladder
from etf_trader.solver.lots import LegFill, LegRule
from etf_trader.solver.problem import Leg, OrderProblem, exact
from etf_trader.solver.trial import Model, Trial

ANY_FLOAT = Decimal(10) ** 30
"""Float cash that no order ever needs."""

FINE, COARSE = (1, 2, 5), (1,)
FINE_DECADES = 4
EVEN_SIZES = 96


class BookEnd(NamedTuple):
    """Units at which a constituent's book gives out.

    `is_complete` says that the book is empty beyond; otherwise nobody has looked further.
    """

    asset: str
    symbol: str
    units: Decimal
    is_complete: bool


class SizeCost(NamedTuple):
    """What a size costs when everything fills, as its plan says it; the books alone bound it.

    `cash` is paid (sell: received), `marginal_price` that of the last unit with
    fees, `loss` against the mids of now by part; all in quote.
    """

    units: Decimal
    cash: Decimal
    marginal_price: Decimal
    loss: LossParts
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


def even_sizes(least: Decimal, most: Decimal) -> list[Decimal]:
    """Return sizes on the unit grid that grow by about one ratio from `least` to `most`, for a chart."""
    first, last = int(least / UNIT_GRID), int(most / UNIT_GRID)
    if not 0 < first < last:
        return []
    ratio = (last / first) ** (1 / (EVEN_SIZES - 1))
    steps = {min(int(first * ratio**i), last) for i in range(EVEN_SIZES - 1)} | {last}
    return [step * UNIT_GRID for step in sorted(steps)]


def size_costs(problem: OrderProblem, sizes: Sequence[Decimal]) -> list[SizeCost]:
    """Return what each size costs, on ladders that are read once; a size that they do not hold is left out."""
    with exact(problem.legs):
        model = Model(replace(unlimited(problem), quantity=max(sizes, default=ONE)))
        trials = [model.trial(int(size / UNIT_GRID)) for size in sizes]
        return [_size_cost(model, trial) for trial in trials if not any(fill.is_deep for fill in trial.fills)]


def _size_cost(model: Model, trial: Trial) -> SizeCost:
    side, units = model.side, trial.units
    value = fee = spread = ZERO
    for rule, fill in zip(model.legs, trial.fills, strict=True):
        net = fill.quantity - fill.fee if side is Side.BUY else fill.quantity
        value += fill.value if side is Side.BUY else fill.value - fill.fee
        fee += fill.fee_value
        spread += side.sign * net * (rule.ladder.touch - rule.leg.mid)
    return SizeCost(
        units=units,
        cash=value + model.problem.cash_per_unit * units - side.sign * trial.float_pays,
        marginal_price=divide(trial.marginal, model.scale),
        loss=LossParts(ZERO, spread, trial.loss - spread - fee, fee, ZERO),
        loss_bps=bps(trial.loss, units * model.nav),
    )


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
