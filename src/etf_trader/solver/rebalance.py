"""A rebalance: from holdings to targets at the least cost, self-financing, in whole lots and waves.

The trades are found without lots (`rebalance_trades`), then made whole
(`rebalance_lots`). An asset whose trade is below the venue's least order is not
traded, and the others are solved again without it. What open index orders want
of the same assets is in the same solve (`offers`).
"""

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import replace
from decimal import Decimal
from typing import NamedTuple

from etf_trader.market.symbol import Side
from etf_trader.money import ONE, ZERO, bps, divide, money_context
from etf_trader.orders.rebalance import RebalanceLeg, RebalancePlan
from etf_trader.solver.ladder import Ladder
from etf_trader.solver.offers import Offer, offer
from etf_trader.solver.rebalance_bound import multipliers_of, nav_bound, prices_of
from etf_trader.solver.rebalance_lots import LegBook, LegTrade, affordable, nav_after
from etf_trader.solver.rebalance_problem import Bands, Constituent, Exact, RebalanceProblem, Tracking, check
from etf_trader.solver.rebalance_trades import Trades, cheapest_trades, exact_trades
from etf_trader.solver.waves import wave_numbers

EPS_BPS = (0.1, 0.005)
"""How much joined levels may overstate the cost of all: at first, and where the proof then leaves a gap."""

GAP_BPS = Decimal("0.05")
"""The gap that is left as it is."""

_FRACTION = Decimal("1e-12")


class _Solved(NamedTuple):
    """A rebalance found without lots, and its lots: offers, trades, multipliers and bound of one solve."""

    buys: tuple[Offer, ...]
    sells: tuple[Offer, ...]
    trades: Trades
    multipliers: Mapping[str, Decimal]
    nav_multiplier: Decimal
    bound: Decimal
    gap_bps: Decimal
    lots: Sequence[LegTrade]
    small: AbstractSet[str]

    @property
    def cost(self) -> Decimal:
        """What NAV loses, in lots."""
        return sum((each.cost for each in self.lots), ZERO)


def plan_rebalance(problem: RebalanceProblem) -> RebalancePlan:
    """Return the cheapest rebalance for the aim, or as much of it as books and least orders let.

    The same constituents in another order give the same plan.

    Raises:
        StaleQuote: a mid is not between the best prices of its book.
        NumericalFailure: the LP failed, or a target is too small for it.
        ValueError: the problem is malformed.
    """
    with money_context():
        check(problem)
        ordered = tuple(sorted(problem.constituents, key=lambda each: each.asset))
        problem = replace(problem, constituents=ordered)
        solved = _solved(problem, with_orders=True)
        saving = None
        if any(each.ordered for each in ordered):
            apart = _solved(problem, with_orders=False)
            saving = apart.cost - solved.cost + _orders_save(problem, solved.lots)
        return _plan(problem, solved, saving)


def _solved(problem: RebalanceProblem, *, with_orders: bool) -> _Solved:
    """Solve, leave out what is below its least order, and solve again until nothing is."""
    small: set[str] = set()
    while True:
        offers = {
            side: tuple(
                offer(
                    each,
                    side,
                    problem.max_cross_spread_bps,
                    with_orders=with_orders,
                    venue=each.asset not in small,
                )
                for each in problem.constituents
            )
            for side in Side
        }
        found = _proved(problem, offers[Side.BUY], offers[Side.SELL])
        books = [
            LegBook(each, offers[Side.BUY if amount > 0 else Side.SELL][place])
            for place, (each, amount) in enumerate(zip(problem.constituents, found.trades.amounts, strict=True))
        ]
        nav = problem.nav
        lots = [_lots(nav, *pair) for pair in zip(books, found.trades.amounts, strict=True)]
        below = {each.asset for each, trade in zip(problem.constituents, lots, strict=True) if trade.is_small}
        if not below - small:
            return found._replace(lots=affordable(problem, books, lots), small=small)
        small |= below


def _lots(nav: Decimal, book: LegBook, amount: float) -> LegTrade:
    value = Decimal(repr(abs(float(amount)))) * nav
    return book.nearest(divide(value, book.offer.mid))


def _proved(problem: RebalanceProblem, buys: tuple[Offer, ...], sells: tuple[Offer, ...]) -> _Solved:
    """Solve without lots, once more on finer segments where the bound leaves a gap."""
    exact = exact_trades(problem, buys, sells) if isinstance(problem.aim, Exact) else None
    tries = [exact] if exact else (cheapest_trades(problem, buys, sells, eps) for eps in EPS_BPS)
    for trades in tries:
        multipliers, nav_multiplier = multipliers_of(problem, trades)
        bound = nav_bound(problem, buys, sells, multipliers, nav_multiplier)
        reached = problem.nav * Decimal(repr(trades.objective))
        gap = bps(max(bound - reached, ZERO), problem.nav)
        solved = _Solved(buys, sells, trades, multipliers, nav_multiplier, bound, gap, (), frozenset())
        if gap <= GAP_BPS:
            break
    return solved


def _orders_save(problem: RebalanceProblem, lots: Sequence[LegTrade]) -> Decimal:
    """Return what the open orders save on the venue by what they trade inside, lots aside."""
    saved = ZERO
    for each, trade in zip(problem.constituents, lots, strict=True):
        if trade.inside:
            side = Side.BUY if each.ordered > 0 else Side.SELL
            ladder = Ladder(each.levels(side), each.rule, side, empty_price=each.mid)
            wanted = abs(each.ordered)
            saved += _loss(ladder, each, side, wanted) - _loss(ladder, each, side, wanted - trade.inside)
    return saved


def _loss(ladder: Ladder, constituent: Constituent, side: Side, quantity: Decimal) -> Decimal:
    """Return what it costs beyond mid that `quantity` arrives (sell: leaves), as far as the ladder goes."""
    net = ONE - constituent.rule.taker_fee
    gross = divide(quantity, net) if side is Side.BUY else quantity
    value = ladder.take(gross if ladder.holds(gross) else ladder.depth()).value
    return (value if side is Side.BUY else value * net) * side.sign - quantity * constituent.mid * side.sign


def _plan(problem: RebalanceProblem, solved: _Solved, saving: Decimal | None) -> RebalancePlan:
    before, after = problem.nav, nav_after(problem, solved.lots)
    waves = wave_numbers(solved.lots, problem.cash, problem.reserve * after)
    legs = tuple(
        _leg(
            problem, constituent, trade, wave, (before, after), trade.is_small or constituent.asset in solved.small
        )
        for constituent, trade, wave in zip(problem.constituents, solved.lots, waves, strict=True)
    )
    reached = before * Decimal(repr(solved.trades.nav_after))
    off_price, short_price = prices_of(problem, solved.trades, solved.multipliers, solved.nav_multiplier)
    return RebalancePlan(
        legs=legs,
        waves=max(waves, default=0),
        nav_before=before,
        nav_after=after,
        cash_before=problem.cash,
        cash_after=problem.cash + sum((each.cash for each in solved.lots), ZERO),
        cost=solved.cost,
        saving=saving,
        method=solved.trades.method,
        bound=solved.bound,
        gap_bps=solved.gap_bps,
        rounding_bps=bps(reached - after, before),
        multipliers=solved.multipliers,
        nav_multiplier=solved.nav_multiplier,
        off_price=off_price,
        short_price=short_price,
        left_out=tuple(sorted(solved.small)),
    )


def _leg(
    problem: RebalanceProblem,
    constituent: Constituent,
    trade: LegTrade,
    wave: int,
    nav: tuple[Decimal, Decimal],
    is_small: bool,
) -> RebalanceLeg:
    holding = constituent.holding + trade.change
    before = divide(constituent.value, nav[0], _FRACTION) - constituent.weight
    drift = divide(holding * constituent.mid, nav[1], _FRACTION) - constituent.weight
    return RebalanceLeg(
        asset=constituent.asset,
        symbol=constituent.rule.symbol,
        side=None if trade.is_idle else trade.side,
        wave=wave,
        quantity=trade.quantity,
        inside=trade.inside,
        last_price=trade.take.last,
        mid=constituent.mid,
        value=trade.take.value,
        fee=trade.take.fee,
        cost=trade.cost,
        holding_before=constituent.holding,
        holding_after=holding,
        drift_before=before,
        drift_after=drift,
        why_skipped=_why(problem, constituent, before, drift * nav[1], is_small) if trade.is_idle else None,
    )


def _why(
    problem: RebalanceProblem, constituent: Constituent, before: Decimal, off: Decimal, is_small: bool
) -> str | None:
    """Return why an asset is not traded; None when it is on its target, to a lot."""
    if constituent.is_halted:
        return "halted" if off else None
    if is_small:
        return "below_minimum"
    if isinstance(problem.aim, Bands) and before and abs(before) <= problem.aim.width:
        return "within_band"
    if abs(off) < constituent.rule.step * constituent.mid:
        return None
    if off * constituent.ordered > 0:
        return "wide_spread"
    return "cost_above_benefit" if isinstance(problem.aim, Tracking) else "below_minimum"
