"""One order at one size, worked out again: for the proof of a plan, and sharing nothing with what made it.

Levels are walked from the best price, one by one; there are no prefix sums and
no search. Letters as in the specification: a, base per unit; z, units; n, what
is sent to the venue, in base.
"""

from decimal import Decimal
from fractions import Fraction
from math import ceil, floor
from typing import NamedTuple

from etf_trader.market.symbol import Side, SymbolRule
from etf_trader.money import BPS, ZERO
from etf_trader.solver.problem import Leg, OrderProblem


class Refill(NamedTuple):
    """A quantity taken from the best price on; `value` and `fee_value` in quote, `fee` in what is received."""

    quantity: Decimal
    value: Decimal
    fee: Decimal
    fee_value: Decimal
    last: Decimal
    surplus: Decimal = ZERO
    is_short: bool = False
    is_minimal: bool = False


class Size(NamedTuple):
    """The order at one size: its legs, and what the limits are held against, in quote.

    `marginal` is the price of one unit more, `limited` the same with what is
    held at the price paid; both exact.
    """

    units: Decimal
    legs: tuple[Refill, ...]
    worst_cash: Decimal
    float_pays: Decimal
    marginal: Fraction
    limited: Fraction
    loss: Decimal


def up(value: Decimal | Fraction, step: Decimal) -> Decimal:
    """Return the least multiple of `step` not below `value`."""
    return ceil(Fraction(value) / Fraction(step)) * step


def down(value: Decimal | Fraction, step: Decimal) -> Decimal:
    """Return the largest multiple of `step` not above `value`."""
    return floor(Fraction(value) / Fraction(step)) * step


def at(problem: OrderProblem, units: Decimal) -> Size:
    """Return the order at `units`; at 0 a sell still has what it redeemed before."""
    work = _bought if problem.side is Side.BUY else _sold
    return total(problem, units, tuple(work(leg, leg.per_unit * units) for leg in problem.legs))


def nothing(problem: OrderProblem) -> Size:
    """Return the order that does nothing."""
    return total(problem, ZERO, tuple(_idle(leg) for leg in problem.legs))


def leftovers(problem: OrderProblem) -> Size:
    """Return the sale of what a sell redeemed before, as far as the books go."""
    return total(problem, ZERO, tuple(_leftover(leg) for leg in problem.legs))


def total(problem: OrderProblem, units: Decimal, legs: tuple[Refill, ...]) -> Size:
    """Return what the legs come to."""
    pairs = list(zip(problem.legs, legs, strict=True))
    buys = problem.side is Side.BUY
    loss = float_pays = ZERO
    cash = problem.cash_per_unit * units
    marginal = limited = Fraction(problem.cash_per_unit)
    for leg, refill in pairs:
        float_pays += refill.surplus * leg.mid
        cash += refill.quantity * refill.last
        loss -= refill.surplus * (leg.mid - leg.arrival_mid)
        if buys:
            loss += refill.value - (refill.quantity - refill.fee) * leg.arrival_mid
        else:
            loss += refill.quantity * leg.arrival_mid - (refill.value - refill.fee)
        price = unit_price(leg, problem.side, refill.last)
        marginal += price
        limited += held_price(leg, price, leg.per_unit * units) if buys and leg.held else price
    return Size(units, legs, cash + max(-float_pays, ZERO), float_pays, marginal, limited, loss)


def unit_price(leg: Leg, side: Side, price: Decimal) -> Fraction:
    """Return what one index unit's part of an asset costs (sell: brings) at `price`, fee included."""
    net = 1 - Fraction(leg.rule.taker_fee)
    each = Fraction(leg.per_unit) * Fraction(price)
    return each / net if side is Side.BUY else each * net


def broken(problem: OrderProblem, size: Size) -> set[str]:
    """Return the names of the limits that a size breaks."""
    sign = problem.side.sign
    names = set()
    if problem.limit is not None and sign * (size.limited - Fraction(problem.limit)) > 0:
        names.add("limit")
    if problem.max_loss_bps is not None:
        nav = sum((leg.per_unit * leg.arrival_mid for leg in problem.legs), problem.cash_per_unit)
        allowed = problem.max_loss_bps * (problem.units_done + size.units) * nav
        if (problem.loss_done + size.loss) * BPS > allowed:
            names.add("loss")
    if problem.side is Side.BUY and problem.cash is not None and size.worst_cash > problem.cash:
        names.add("cash")
    if size.float_pays > problem.float_cash:
        names.add("float")
    short = [leg for leg, refill in zip(problem.legs, size.legs, strict=True) if refill.is_short]
    return names | {leg.end for leg in short}


def without_books(problem: OrderProblem) -> set[str]:
    """Return the names of the assets that have to trade where nothing is on offer at all."""
    return {leg.end for leg in problem.legs if not leg.levels and leg.per_unit and not leg.held}


def least(rule: SymbolRule, price: Decimal) -> Decimal:
    """Return the smallest order that the venue accepts at `price`."""
    notional = Fraction(rule.min_notional) / Fraction(price)
    return up(max(notional, Fraction(rule.min_quantity), Fraction(rule.step)), rule.step)


def refill(leg: Leg, side: Side, quantity: Decimal) -> Refill:
    """Take `quantity` from the best price on; what the levels do not hold, at the last price of all."""
    left, value, fee, fee_value, last = quantity, ZERO, ZERO, ZERO, leg.touch
    for price, depth in leg.levels:
        if left == 0:
            break
        part = min(left, depth)
        taken = _fee(leg.rule, side, price, part)
        left, last, value = left - part, price, value + part * price
        fee, fee_value = fee + taken, fee_value + (taken * price if side is Side.BUY else taken)
    beyond = _fee(leg.rule, side, last, left)
    value, fee = value + left * last, fee + beyond
    fee_value += beyond * last if side is Side.BUY else beyond
    return Refill(quantity, value, fee, fee_value, last)


def _fee(rule: SymbolRule, side: Side, price: Decimal, quantity: Decimal) -> Decimal:
    """Return the fee of one fill, rounded as the venue rounds it at worst: up."""
    if side is Side.BUY:
        return up(quantity * rule.taker_fee, rule.base_quantum)
    return up(quantity * price * rule.taker_fee, rule.quote_quantum)


def _idle(leg: Leg, surplus: Decimal = ZERO, *, is_minimal: bool = False) -> Refill:
    return Refill(ZERO, ZERO, ZERO, ZERO, leg.touch, surplus, is_minimal=is_minimal)


def _room(leg: Leg, most: Decimal) -> Decimal:
    return max(most - leg.residual, ZERO)


def _depth(leg: Leg) -> Decimal:
    return sum((level.quantity for level in leg.levels), ZERO)


def _bought(leg: Leg, wanted: Decimal) -> Refill:
    if leg.held + wanted == 0:
        return _idle(leg)
    smallest = least(leg.rule, leg.touch)
    need = wanted - leg.held - leg.residual
    if need <= 0:
        return _idle(leg, min(leg.held - wanted, _room(leg, smallest)))
    step = leg.rule.step
    lots = up(Fraction(need) / (1 - Fraction(leg.rule.taker_fee)), step)
    while (short := need - lots + refill(leg, Side.BUY, lots).fee) > 0:
        lots += up(short, step)
    quantity = max(lots, smallest)
    taken = refill(leg, Side.BUY, quantity)
    return taken._replace(
        surplus=leg.held + quantity - taken.fee - wanted,
        is_short=_depth(leg) < quantity,
        is_minimal=lots < smallest,
    )


def _sold(leg: Leg, redeemed: Decimal) -> Refill:
    if leg.held + redeemed == 0:
        return _idle(leg)
    lots = down(leg.held + leg.residual + redeemed, leg.rule.step)
    return _sale(leg, lots, leg.held + redeemed)


def _sale(leg: Leg, lots: Decimal, offered: Decimal) -> Refill:
    taken = refill(leg, Side.SELL, lots)
    smallest = least(leg.rule, taken.last)
    if lots < smallest:
        return _idle(leg, min(offered, _room(leg, smallest)), is_minimal=True)
    surplus = min(offered - lots, _room(leg, smallest))
    return taken._replace(surplus=surplus, is_short=_depth(leg) < lots)


def _leftover(leg: Leg) -> Refill:
    whole = _sold(leg, ZERO)
    if not whole.is_short:
        return whole
    return _sale(leg, down(_depth(leg), leg.rule.step), leg.held)._replace(is_short=True)


def nearest(value: Fraction) -> Decimal:
    """Return the multiple of 1e-18 nearest to `value`, ties to even."""
    return round(value * 10**18) * Decimal("1e-18")


def held_price(leg: Leg, price: Fraction, wanted: Decimal) -> Fraction:
    """Return what a unit's part of an asset costs when some of it was bought before, at the price then."""
    paid = Fraction(leg.per_unit) * Fraction(up(Fraction(leg.held_cost) / Fraction(leg.held), Decimal("1e-18")))
    return paid if wanted <= leg.held else max(paid, price)
