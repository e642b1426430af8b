"""The proof of a plan that trades back what an order holds beyond its units: sums, filters, nothing else."""

from collections.abc import Iterator
from decimal import Decimal
from fractions import Fraction

from etf_trader.market.symbol import Side
from etf_trader.money import ZERO, plain
from etf_trader.orders.plan import LossParts, PlannedLeg
from etf_trader.solver.findings import (
    Finding,
    check_filters,
    check_loss,
    check_totals,
    differs,
    sums_of,
)
from etf_trader.solver.problem import Leg
from etf_trader.solver.retrial import down, least, nearest, refill, up
from etf_trader.solver.statement import Statement, mid_of


def check_unwinding(statement: Statement) -> Iterator[Finding]:
    """Check a plan that sells leftovers at the books' best prices."""
    yield from _rates(statement)
    legs = {leg.asset: leg for leg in statement.problem.legs}
    sold = {leg.asset for leg in statement.legs}
    for asset, leg in legs.items():
        if asset not in sold and leg.held > statement.bounds.get(asset, ZERO) and _can_be_sold(leg):
            yield Finding("plan.legs", f"leave {asset}, of which more is held than the float may take")
    if statement.problem.side is not Side.SELL or statement.units or statement.problem.quantity:
        yield Finding("plan", "trades back, and yet buys or has units")
    if statement.stopped_by != ("filled",) or statement.beyond or statement.multipliers:
        yield Finding("plan", "trades back, and yet says what stops it or what bounds it")
    for stated in statement.legs:
        if stated.asset not in legs:
            yield Finding(f"plan.legs.{stated.asset}", "is no asset of the basket")
            return
        leg = legs[stated.asset]
        rate = statement.rate(leg).arrival_mid
        yield from _sale(stated, leg, statement.bounds.get(stated.asset, ZERO), rate)
    received = sum(
        ((leg.value - leg.fee) * statement.rate(legs[leg.asset]).arrival_mid for leg in statement.legs), ZERO
    )
    found = sums_of(statement, (leg.loss for leg in statement.legs), received, received)
    found |= dict.fromkeys(("marginal_price", "gap_bps", "rounding_bps"), ZERO) | {"bound": received}
    yield from check_totals(statement, found)


def _rates(statement: Statement) -> Iterator[Finding]:
    """Check what the other currencies are worth, by the books that the plan names."""
    homes = set()
    for name, rate in statement.rates.items():
        where = f"plan.rates.{name}"
        rule, book = statement.rules.get(rate.symbol), statement.books.get(rate.symbol)
        if rule is None or book is None or name not in (rule.base, rule.quote):
            yield Finding(f"{where}.symbol", f"is {rate.symbol}, which is no book of {name}")
            continue
        is_direct = rule.base == name
        homes.add(rule.quote if is_direct else rule.base)
        worth = mid_of(book) if is_direct else nearest(1 / Fraction(mid_of(book)))
        yield from differs(f"{where}.mid", rate.mid, worth)
    if len(homes) > 1:
        yield Finding("plan.rates", f"are in several currencies: {', '.join(sorted(homes))}")


def _most(leg: Leg) -> Decimal:
    """Return the whole lots of what is held, as far as the book takes them."""
    return min(down(leg.held, leg.rule.step), sum((level.quantity for level in leg.levels), ZERO))


def _can_be_sold(leg: Leg) -> bool:
    return _most(leg) >= least(leg.rule, refill(leg, Side.SELL, _most(leg)).last)


def _sale(stated: PlannedLeg, leg: Leg, bound: Decimal, rate: Decimal) -> Iterator[Finding]:
    """Check one sale; its fee is estimated for the whole, not for each level."""
    where = f"plan.legs.{stated.asset}"
    if leg.held <= bound:
        yield Finding(where, f"is sold, though the float may take {plain(leg.held)}")
    yield from differs(f"{where}.quantity", stated.quantity, _most(leg))
    taken = refill(leg, Side.SELL, stated.quantity)
    fee = up(taken.value * leg.rule.taker_fee, leg.rule.quote_quantum)
    found = {
        "symbol": leg.rule.symbol,
        "value": taken.value,
        "last_price": taken.last,
        "limit_price": taken.last,
        "touch": leg.touch,
        "mid": leg.mid,
        "fee": fee,
        "surplus": ZERO,
    }
    for name, value in found.items():
        yield from differs(f"{where}.{name}", getattr(stated, name), value)
    loss = LossParts(
        delay=stated.quantity * (leg.arrival_mid - leg.mid * rate),
        spread=stated.quantity * (leg.mid - leg.touch) * rate,
        depth=(stated.quantity * leg.touch - taken.value) * rate,
        fee=fee * rate,
        rounding=ZERO,
    )
    yield from check_loss(where, stated.loss, loss)
    yield from check_filters(where, stated, leg, Side.SELL, 0)
