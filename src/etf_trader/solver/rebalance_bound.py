"""The most that any rebalance could leave of NAV: a bound from one multiplier for each node, without a solver."""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING

from etf_trader.money import BPS, ONE, ZERO, ceil_to, divide, divide_down, divide_up
from etf_trader.solver.certificate import BOUND_GRID, all_digits, least_cost
from etf_trader.solver.offers import Offer
from etf_trader.solver.rebalance_problem import Bands, RebalanceProblem, Tracking

if TYPE_CHECKING:
    from etf_trader.solver.rebalance_trades import Trades

_MULTIPLIER = Decimal("1e-15")
_DEAR = Decimal("0.01")


def multipliers_of(problem: RebalanceProblem, trades: "Trades") -> tuple[dict[str, Decimal], Decimal]:
    """Return what a unit of each asset, of the quote asset, and of NAV is worth, within what the aim allows."""
    found, prices = trades.multipliers, trades.prices
    nav = _decimal(found.nav)
    is_tracking = isinstance(problem.aim, Tracking)
    cash = max(_decimal(found.cash), ZERO if is_tracking else nav)
    worth = [_decimal(float(each)) for each in found.assets]
    if prices.short:  # the LP pays for being off: what a unit is worth differs from NAV by no more
        off, short = _stated(problem, trades)
        worth = [min(max(each, nav - off), nav + off) for each in worth]
        cash = min(cash, nav + short)
        # of what is not wanted none is bought: the program has no price of it that says so
        dearest = max(cash, nav - off)
        pairs = zip(problem.constituents, worth, strict=True)
        worth = [value if each.weight else min(value, dearest) for each, value in pairs]
    multipliers = {
        each.asset: max(value, ZERO) * each.mid for each, value in zip(problem.constituents, worth, strict=True)
    }
    # That of NAV may be below zero, where trades cost more than they move; a node has none that is.
    return multipliers | {problem.quote: max(cash, ZERO)}, nav


def prices_of(
    problem: RebalanceProblem, trades: "Trades", multipliers: Mapping[str, Decimal], nav: Decimal
) -> tuple[Decimal, Decimal]:
    """Return what a unit of value off target, and one that the reserve lacks, costs in the objective.

    Bisection has no need of them: it reaches all. What it was worth lies beyond
    what reaching costs at the margin, how far a multiplier is from that of NAV.
    """
    if trades.prices.short:
        return _stated(problem, trades)
    apart = [
        divide_up(abs(multipliers[each.asset] - nav * each.mid), each.mid, _MULTIPLIER)
        for each in problem.constituents
    ]
    off = 4 * max(apart, default=ZERO) + _DEAR
    return off, 4 * max(off, multipliers[problem.quote] - nav) + _DEAR


def _stated(problem: RebalanceProblem, trades: "Trades") -> tuple[Decimal, Decimal]:
    """Return the prices that the LP had; that of tracking is the aim's own, to the last digit."""
    aim = problem.aim
    off = aim.price_bps / BPS if isinstance(aim, Tracking) else _decimal(trades.prices.off)
    return off, _decimal(trades.prices.short)


def _decimal(value: float) -> Decimal:
    return divide(Decimal(repr(value)), ONE, _MULTIPLIER)


def nav_bound(
    problem: RebalanceProblem,
    buys: Sequence[Offer],
    sells: Sequence[Offer],
    multipliers: Mapping[str, Decimal],
    nav_multiplier: Decimal,
) -> Decimal:
    """Return the most that any rebalance could leave of NAV, what being off target costs taken off; exactly.

    With node multipliers l and that of NAV v, for holdings h' and cash b' after any trades
    l . end <= l . start - least cost, and l . end = sum l h' + l b' is at least S V' less |v - l_i / m_i| for
    each unit of value that asset i is off its target, S = sum l_i w_i / m_i + l r. What is inside the band costs
    the objective nothing and is added; S differs from 1 only by rounding. Nothing sells more than is held: to buy
    and to sell one asset only costs. Where cash may not grow it can be worth less than NAV: by what it lacks, for
    as much of it as there may be, the bound is higher.

    Args:
        problem: Holdings, targets and aim.
        buys, sells: All that is offered.
        multipliers: Of each asset, in quote a unit, and of the quote asset; none negative.
        nav_multiplier: v.

    Returns:
        In quote, rounded up to 1e-8.
    """
    with all_digits():
        start = {each.asset: -each.holding for each in problem.constituents} | {problem.quote: -problem.cash}
        held = [sell.within(each.holding) for sell, each in zip(sells, problem.constituents, strict=True)]
        books = [book for each in (*buys, *held) for book in each.sides()]
        bound = -least_cost(books, multipliers, start)
        idle = idle_price(problem, multipliers, nav_multiplier)
        bound += idle * most_cash(problem)
        whole = problem.reserve * (multipliers[problem.quote] + idle)
        for each in problem.constituents:
            worth = multipliers[each.asset]
            whole += divide_down(worth * each.weight, each.mid, _MULTIPLIER)
            if isinstance(problem.aim, Bands):
                apart = abs(nav_multiplier * each.mid - worth)
                bound += problem.aim.width * problem.nav * -divide_down(-apart, each.mid, _MULTIPLIER)
        return ceil_to(bound + max(ONE - whole, ZERO) * problem.nav, BOUND_GRID)


def idle_price(problem: RebalanceProblem, multipliers: Mapping[str, Decimal], nav_multiplier: Decimal) -> Decimal:
    """Return how much less than NAV cash is worth that nothing can be bought with; 0 where it may grow."""
    if not isinstance(problem.aim, Tracking):
        return ZERO
    return max(nav_multiplier - multipliers[problem.quote], ZERO)


def most_cash(problem: RebalanceProblem) -> Decimal:
    """Return the most that the cash may come to where being off target has a price, in quote."""
    return max(problem.cash, problem.reserve * problem.nav)
