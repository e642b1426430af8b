"""The proof of a rebalance: all of it worked out again, and held against what it says.

Every leg is walked through its book; holdings, cash and NAV follow from that.
In whatever order the legs of a wave fill, at the worst prices of their orders,
the cash stays above zero. The bound is formed from the multipliers over all
levels, and the plan's own objective is held against it.
"""

from collections.abc import Iterator
from decimal import Decimal
from fractions import Fraction

from etf_trader.market.book import Level
from etf_trader.market.symbol import Side
from etf_trader.money import BPS, ZERO, bps, divide, plain
from etf_trader.orders.rebalance import NO_COST, CostParts, RebalanceLeg
from etf_trader.solver.findings import Finding, check_order_size, differs
from etf_trader.solver.offers import Offer
from etf_trader.solver.problem import Leg
from etf_trader.solver.rebalance_bound import idle_price, nav_bound
from etf_trader.solver.rebalance_document import FRACTION, objective_of
from etf_trader.solver.rebalance_problem import Constituent, RebalanceProblem, Tracking
from etf_trader.solver.rebalance_statement import RebalanceStatement, StatedLeg
from etf_trader.solver.retrial import refill, up
from etf_trader.solver.statement import mid_of

WHY = ("below_minimum", "within_band", "halted", "cost_above_benefit", "wide_spread")
"""Why an asset may be left alone."""


def check_rebalance(statement: RebalanceStatement) -> Iterator[Finding]:
    """Check the plan of a rebalance."""
    problem = statement.problem
    if [each.leg.asset for each in statement.legs] != [each.asset for each in problem.constituents]:
        yield Finding("plan.legs", "are not those of the problem, in its order")
        return
    for stated, constituent in zip(statement.legs, problem.constituents, strict=True):
        yield from _leg(statement, stated, constituent)
    yield from _kept(statement)
    yield from _sums(statement)
    yield from _waves(statement)
    yield from _proof(statement)


def _leg(statement: RebalanceStatement, stated: StatedLeg, constituent: Constituent) -> Iterator[Finding]:
    """Check one asset: what it takes of its book, its filters, its holdings and drifts."""
    leg, where = stated.leg, f"plan.legs.{constituent.asset}"
    yield from differs(f"{where}.symbol", leg.symbol, constituent.rule.symbol)
    yield from differs(f"{where}.mid", leg.mid, constituent.mid)
    yield from differs(f"{where}.holding_before", leg.holding_before, constituent.holding)
    if leg.quantity < 0 or leg.inside < 0:
        yield Finding(where, "trades less than nothing")
        return
    if (leg.side is None) == bool(leg.quantity or leg.inside):
        yield Finding(f"{where}.side", "says that it trades where it does not, or the other way round")
        return
    yield from _taken(statement, stated, constituent)
    yield from _place(statement, leg, constituent)
    yield from _why(statement, leg, constituent)


def _taken(statement: RebalanceStatement, stated: StatedLeg, constituent: Constituent) -> Iterator[Finding]:
    """Check what a leg takes of its book and what that costs."""
    leg, where, mid = stated.leg, f"plan.legs.{constituent.asset}", constituent.mid
    if leg.side is None or not leg.quantity:
        found = {"last_price": mid, "value": ZERO, "fee": ZERO, "cost": ZERO}
        yield from differs(f"{where}.touch", stated.touch, mid)
        yield from _parts(where, stated.parts, NO_COST)
    else:
        offered = _offer(statement, constituent, leg.side)
        if leg.quantity > sum((level.quantity for level in offered.levels), ZERO):
            yield Finding(f"{where}.quantity", "is more than the book shows")
            return
        again = refill(_book(constituent, offered.levels), leg.side, leg.quantity)
        sign, touch = leg.side.sign, constituent.levels(leg.side)[0].price
        parts = CostParts(
            spread=sign * leg.quantity * (touch - mid),
            depth=sign * (again.value - leg.quantity * touch),
            fee=again.fee * mid if leg.side is Side.BUY else again.fee,
        )
        found = {"last_price": again.last, "value": again.value, "fee": again.fee, "cost": parts.total}
        yield from differs(f"{where}.touch", stated.touch, touch)
        yield from _parts(where, stated.parts, parts)
        yield from check_order_size(where, leg.quantity, again.last, constituent.rule)
    if leg.side is not None and leg.inside > _offer(statement, constituent, leg.side).inside:
        yield Finding(f"{where}.inside", "is more than the open orders want")
    for name, value in found.items():
        yield from differs(f"{where}.{name}", getattr(leg, name), value)


def _parts(where: str, stated: CostParts, found: CostParts) -> Iterator[Finding]:
    for name in ("spread", "depth", "fee"):
        yield from differs(f"{where}.{name}", getattr(stated, name), getattr(found, name))


def _place(statement: RebalanceStatement, leg: RebalanceLeg, constituent: Constituent) -> Iterator[Finding]:
    """Check where a leg brings its asset: what is held then, and how far that is from its target."""
    where, problem = f"plan.legs.{constituent.asset}", statement.problem
    change = leg.quantity - leg.fee + leg.inside if leg.side is Side.BUY else -leg.quantity - leg.inside
    yield from differs(f"{where}.holding_after", leg.holding_after, constituent.holding + change)
    if leg.holding_after < 0:
        yield Finding(f"{where}.quantity", "is more than is held")
    after = _nav_after(statement)
    if after <= 0:
        return
    before = divide(constituent.value, problem.nav, FRACTION) - constituent.weight
    yield from differs(f"{where}.drift_before", leg.drift_before, before)
    drift = divide(leg.holding_after * leg.mid, after, FRACTION) - constituent.weight
    yield from differs(f"{where}.drift_after", leg.drift_after, drift)


def _why(statement: RebalanceStatement, leg: RebalanceLeg, constituent: Constituent) -> Iterator[Finding]:
    """Check what is said of an asset that does not trade."""
    where, why = f"plan.legs.{constituent.asset}.why_skipped", leg.why_skipped
    if leg.side is not None or why is None:
        if why is not None:
            yield Finding(where, "says why it does not trade, and it does")
        return
    if why not in WHY:
        yield Finding(where, f"is {why}, which is no reason")
    if why == "halted" and not constituent.is_halted:
        yield Finding(where, "says halted, and its market trades")
    if why == "cost_above_benefit" and not isinstance(statement.problem.aim, Tracking):
        yield Finding(where, "says that the cost is above the benefit, which has no price here")


def _offer(statement: RebalanceStatement, each: Constituent, side: Side) -> Offer:
    """Return what can be traded of an asset on a side: inside, then what the open orders leave of its book."""
    fee, against = each.rule.taker_fee, -side.sign * each.ordered
    levels: tuple[Level, ...] = () if each.asset in statement.left_out else each.levels(side)
    inside = ZERO
    if each.is_halted:
        levels = ()
    elif against < 0:
        net = 1 - Fraction(fee) if side is Side.BUY else Fraction(1)
        levels = _behind(levels, up(Fraction(-against) / net, each.rule.step))
    elif against > 0:
        if (each.asks[0].price - each.bids[0].price) * BPS > statement.problem.max_cross_spread_bps * each.mid:
            levels = ()
        else:
            inside = against
    return Offer(side, each.asset, each.rule.quote, each.mid, fee, inside, levels)


def _behind(levels: tuple[Level, ...], taken: Decimal) -> tuple[Level, ...]:
    left = []
    for price, quantity in levels:
        gone = min(taken, quantity)
        taken -= gone
        if quantity > gone:
            left.append(Level(price, quantity - gone))
    return tuple(left)


def _book(each: Constituent, levels: object) -> Leg:
    return Leg(
        asset=each.asset,
        rule=each.rule,
        per_unit=ZERO,
        levels=levels,  # type: ignore[arg-type]
        complete=True,
        mid=each.mid,
        arrival_mid=each.mid,
        held=ZERO,
        held_cost=ZERO,
        residual=ZERO,
    )


def _kept(statement: RebalanceStatement) -> Iterator[Finding]:
    """Check what is held beside: none of it trades, and its mid is that of its book where there is one."""
    trades = {each.asset for each in statement.problem.constituents}
    names = [each.asset for each in statement.kept]
    if names != sorted(set(names)) or trades & set(names):
        yield Finding("plan.kept", "is not in order of name, or names what trades")
    for each in statement.kept:
        book, rule = statement.books.get(each.symbol), statement.rules.get(each.symbol)
        if rule is not None:
            yield from differs(f"plan.kept.{each.asset}.asset", each.asset, rule.base)
        if book is not None and book.bids and book.asks:
            yield from differs(f"plan.kept.{each.asset}.mid", each.mid, mid_of(book))


def _beside(statement: RebalanceStatement) -> Decimal:
    return sum((each.holding * each.mid for each in statement.kept), ZERO)


def _nav_after(statement: RebalanceStatement) -> Decimal:
    """Return what is left of the part that is rebalanced, by what the legs say."""
    return sum((each.leg.holding_after * each.leg.mid for each in statement.legs), _cash_after(statement))


def _cash_after(statement: RebalanceStatement) -> Decimal:
    return sum((each.leg.cash for each in statement.legs), statement.problem.cash)


def _sums(statement: RebalanceStatement) -> Iterator[Finding]:
    """Check the numbers of the whole plan: NAV before less NAV after is the cost, to the last digit."""
    problem, totals, beside = statement.problem, statement.totals, _beside(statement)
    legs = [each.leg for each in statement.legs]
    before, after = problem.nav + beside, _nav_after(statement) + beside
    cost = sum((leg.cost for leg in legs), ZERO)
    traded = sum((leg.value + leg.inside * leg.mid for leg in legs), ZERO)
    found = {
        "nav_before": before,
        "nav_after": after,
        "cash_before": problem.cash,
        "cash_after": _cash_after(statement),
        "cost": cost,
        "cost_bps": bps(cost, before),
        "turnover": divide(traded, 2 * before, FRACTION),
        **{
            name: sum((getattr(each.parts, name) for each in statement.legs), ZERO)
            for name in ("spread", "depth", "fee")
        },
    }
    for name, value in found.items():
        yield from differs(f"plan.{name}", totals[name], value)
    if before - after != cost:
        yield Finding("plan.cost", f"is {plain(cost)}, but NAV changes by {plain(before - after)}")
    if statement.saving is not None and not any(each.ordered for each in problem.constituents):
        yield Finding("plan.saving", "is stated, and nothing is ordered")


def _waves(statement: RebalanceStatement) -> Iterator[Finding]:
    """Check that no wave needs cash that is not there, at the worst prices and in any order of its legs."""
    problem, legs = statement.problem, [each.leg for each in statement.legs]
    for leg in legs:
        right = {None: (0,), Side.SELL: (1,), Side.BUY: (1, 2)}[leg.side]
        if leg.wave not in right:
            yield Finding(
                f"plan.legs.{leg.asset}.wave", f"is {leg.wave}: sells go first, and what they pay for next"
            )
    yield from differs("plan.waves", statement.waves, max((leg.wave for leg in legs), default=0))
    reserve = problem.reserve * _nav_after(statement)
    worst = {wave: sum((_worst(leg) for leg in legs if leg.wave == wave), ZERO) for wave in (1, 2)}
    sells = [leg for leg in legs if leg.side is Side.SELL]
    brought = sum((leg.cash for leg in sells), ZERO)
    if worst[1] and sells and problem.cash - worst[1] < min(reserve, problem.cash):
        yield Finding("plan.waves", "has buys in its first wave that its cash does not cover")
    if worst[1] + worst[2] and problem.cash + brought - worst[1] - worst[2] < reserve:
        yield Finding("plan.legs", "may cost more than the cash and what is sold, the reserve kept")


def _worst(leg: RebalanceLeg) -> Decimal:
    return leg.worst_cash if leg.side is Side.BUY else ZERO


def _proof(statement: RebalanceStatement) -> Iterator[Finding]:
    """Check the bound, exactly and over all levels, and how far the plan is from it."""
    problem, totals, nav = statement.problem, statement.totals, statement.nav_multiplier
    names = {each.asset for each in problem.constituents} | {problem.quote}
    if set(statement.multipliers) != names or any(each < 0 for each in statement.multipliers.values()):
        yield Finding("plan.multipliers", "are not one of 0 or more for each asset and for cash")
        return
    yield from _prices(statement)
    for name in sorted(set(statement.left_out)):
        legs = [each.leg for each in statement.legs if each.leg.asset == name]
        if not legs or legs[0].quantity:
            yield Finding("plan.left_out", f"names {name}, which trades or is none of them")
    buys = [_offer(statement, each, Side.BUY) for each in problem.constituents]
    sells = [_offer(statement, each, Side.SELL) for each in problem.constituents]
    beside = _beside(statement)
    bound = nav_bound(problem, buys, sells, statement.multipliers, nav) + beside
    yield from differs("plan.bound", totals["bound"], bound)
    reached = _objective(statement) + beside
    if reached > bound:
        yield Finding("plan.nav_after", "is better than the bound, which is impossible")
    yield from differs("plan.gap_bps", totals["gap_bps"], bps(bound - reached, problem.nav + beside))
    if not 0 <= totals["rounding_bps"] <= totals["gap_bps"]:
        yield Finding("plan.rounding_bps", "is not a part of the gap")


def _prices(statement: RebalanceStatement) -> Iterator[Finding]:
    """Check that being off target is priced as the aim says, and above what any multiplier makes of it."""
    problem, nav, cash = (
        statement.problem,
        statement.nav_multiplier,
        statement.multipliers[statement.problem.quote],
    )
    if isinstance(problem.aim, Tracking):
        yield from differs("plan.off_price", statement.off_price, problem.aim.price_bps / BPS)
    for each in problem.constituents:
        if abs(statement.multipliers[each.asset] - nav * each.mid) > statement.off_price * each.mid:
            yield Finding(
                f"plan.multipliers.{each.asset}", "is further from that of NAV than being off target costs"
            )
    least = ZERO if isinstance(problem.aim, Tracking) else nav
    if not least <= cash <= nav + statement.short_price:
        yield Finding(f"plan.multipliers.{problem.quote}", "is not between NAV and what lacking the reserve costs")


def _objective(statement: RebalanceStatement) -> Decimal:
    problem: RebalanceProblem = statement.problem
    ends = [
        (each.leg.holding_after * each.leg.mid, asked.weight)
        for each, asked in zip(statement.legs, problem.constituents, strict=True)
    ]
    idle = idle_price(problem, statement.multipliers, statement.nav_multiplier)
    prices = statement.off_price, statement.short_price, idle
    return objective_of(problem, ends, (_nav_after(statement), _cash_after(statement)), prices)
