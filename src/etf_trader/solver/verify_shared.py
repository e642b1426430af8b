"""The proof of one of the plans that were solved together, by itself: its sums, the common fraction, its limits.

Its legs are its part of the shared asset orders. That no level was used twice
and that parts add up is for `solver.verify_batch`, which has all of them.
"""

from collections.abc import Iterator
from decimal import Decimal
from fractions import Fraction

from etf_trader.market.symbol import Side
from etf_trader.money import BPS, ZERO, bps, plain
from etf_trader.orders.plan import PlannedLeg
from etf_trader.solver.findings import Finding, check_order_price, check_totals, differs, spell, sums_of
from etf_trader.solver.problem import Leg
from etf_trader.solver.retrial import held_price, nearest, unit_price
from etf_trader.solver.statement import Statement


def check_shared(statement: Statement) -> Iterator[Finding]:
    """Check a plan of a batch by itself."""
    problem = statement.problem
    if tuple(leg.asset for leg in statement.legs) != tuple(leg.asset for leg in problem.legs):
        yield Finding("plan.legs", "are not those of the basket, in its order")
        return
    if set(statement.crossed) - {leg.asset for leg in problem.legs} or any(
        quantity <= 0 for quantity in statement.crossed.values()
    ):
        yield Finding("plan.crossed", "names what is not in the basket, or nothing of it")
    if statement.stopped_by == ("filled",) and statement.units != problem.quantity:
        yield Finding("plan.stopped_by", "says filled, with less than what was wanted")
    for stated, leg in zip(statement.legs, problem.legs, strict=True):
        yield from _leg(statement, stated, leg)
    yield from _limits(statement)
    yield from _sums(statement)


def _leg(statement: Statement, stated: PlannedLeg, leg: Leg) -> Iterator[Finding]:
    side, where = statement.problem.side, f"plan.legs.{leg.asset}"
    for name, value in {"symbol": leg.rule.symbol, "touch": leg.touch, "mid": leg.mid}.items():
        yield from differs(f"{where}.{name}", getattr(stated, name), value)
    crossed, wanted = statement.crossed.get(leg.asset, ZERO), leg.per_unit * statement.units
    if side is Side.BUY:
        kept = leg.held + crossed + stated.quantity - stated.fee - wanted - stated.surplus
    else:
        kept = leg.held + wanted - crossed - stated.quantity - stated.surplus
    if kept < 0 and (statement.units or stated.quantity or crossed):
        yield Finding(where, f"falls {plain(-kept)} short of the common fraction")
    if leg.residual + stated.surplus < 0:
        yield Finding(f"{where}.surplus", "takes more from the float than it has")
    if stated.quantity:
        yield from _venue_part(statement, stated, leg)
    elif stated.quantity < 0 or stated.value or stated.fee:
        yield Finding(where, "trades nothing, and yet has a value or a fee")
    yield from _loss(statement, stated, leg, crossed)


def _venue_part(statement: Statement, stated: PlannedLeg, leg: Leg) -> Iterator[Finding]:
    """Check the prices of what goes to the venue: within the levels of the book, and within the order's price."""
    side, where = statement.problem.side, f"plan.legs.{leg.asset}"
    if stated.last_price not in {level.price for level in leg.levels}:
        yield Finding(f"{where}.last_price", f"is {plain(stated.last_price)}, where the book has no level")
    best, worst = sorted((leg.touch * stated.quantity, stated.last_price * stated.quantity))
    if not best <= stated.value <= worst:
        yield Finding(f"{where}.value", "is not between the best and the last price")
    yield from check_order_price(where, stated, leg, side)


def _loss(statement: Statement, stated: PlannedLeg, leg: Leg, crossed: Decimal) -> Iterator[Finding]:
    """Check the parts of a loss; of a fee in base the shared levels give only bounds of its value."""
    side, where = statement.problem.side, f"plan.legs.{leg.asset}"
    sign, moved, loss = side.sign, leg.mid - leg.arrival_mid, stated.loss
    net = stated.quantity - stated.fee if side is Side.BUY else stated.quantity
    found = {
        "delay": sign * (net + crossed) * moved,
        "spread": sign * net * (leg.touch - leg.mid),
        "rounding": -stated.surplus * moved,
    }
    if side is Side.BUY:
        found["depth"] = stated.value - loss.fee - net * leg.touch
        if not leg.touch * stated.fee <= loss.fee <= stated.last_price * stated.fee:
            yield Finding(f"{where}.fee", "is not what the fee in kind is worth")
    else:
        found |= {"depth": net * leg.touch - stated.value, "fee": stated.fee}
    for part, value in found.items():
        yield from differs(f"{where}.{part}", getattr(loss, part), value)


def _limits(statement: Statement) -> Iterator[Finding]:
    """Check the limits of the order, at the planned prices and at those of the orders that are sent."""
    problem, sign = statement.problem, statement.problem.side.sign
    if not statement.units:
        return
    planned, at_worst = (_limited(statement, name) for name in ("last_price", "limit_price"))
    if problem.limit is not None and max(sign * planned, sign * at_worst) > sign * Fraction(problem.limit):
        yield Finding("plan", "breaks a limit of the order: limit")
    yield from _marginal(statement)
    units = problem.units_done + statement.units
    lost = problem.loss_done + sum((own.loss.total for own in statement.legs), ZERO)
    if problem.max_loss_bps is not None and lost * BPS > problem.max_loss_bps * units * problem.arrival_nav:
        yield Finding("plan", "breaks a limit of the order: loss")
    if problem.cash is not None and problem.side is Side.BUY and _worst_cash(statement) > problem.cash:
        yield Finding("plan", "breaks a limit of the order: cash")


def pairs(statement: Statement) -> list[tuple[Leg, PlannedLeg]]:
    """Return what was asked and what is stated of each asset."""
    return list(zip(statement.problem.legs, statement.legs, strict=True))


def _limited(statement: Statement, name: str) -> Fraction:
    """Return the price of a unit that the limit bounds, at the prices of the legs called `name`."""
    problem = statement.problem
    limited = Fraction(problem.cash_per_unit)
    for leg, own in pairs(statement):
        price = _unit_price(statement, leg, own, getattr(own, name))
        is_held = problem.side is Side.BUY and leg.held
        limited += held_price(leg, price, leg.per_unit * statement.units) if is_held else price
    return limited


def _unit_price(statement: Statement, leg: Leg, own: PlannedLeg, last: Decimal) -> Fraction:
    if leg.asset in statement.crossed and not own.quantity:
        return Fraction(leg.per_unit) * Fraction(leg.mid)
    return unit_price(leg, statement.problem.side, last)


def _marginal(statement: Statement) -> Iterator[Finding]:
    """Check the price of one unit more; of an asset that others of its kind met inside it may count the mid."""
    low = high = Fraction(statement.problem.cash_per_unit)
    for leg, own in pairs(statement):
        price = _unit_price(statement, leg, own, own.last_price)
        mid = price if own.quantity else Fraction(leg.per_unit) * Fraction(leg.mid)
        low, high = low + min(price, mid), high + max(price, mid)
    stated = statement.totals["marginal_price"]
    if stated is None or not nearest(low) <= stated <= nearest(high):
        comes = plain(nearest(low)) if low == high else f"from {plain(nearest(low))} to {plain(nearest(high))}"
        yield Finding("plan.marginal_price", f"is {spell(stated)}, but comes to {comes}")


def float_pays(statement: Statement) -> Decimal:
    """Return what the float pays for surplus, in quote; negative: receives."""
    return sum((own.surplus * own.mid for own in statement.legs), ZERO)


def _inside(statement: Statement) -> Decimal:
    """Return the value of what meets inside."""
    return sum((quantity * statement.mids[asset] for asset, quantity in statement.crossed.items()), ZERO)


def _worst_cash(statement: Statement) -> Decimal:
    sent = sum((own.quantity * own.limit_price for own in statement.legs), ZERO)
    cash = statement.problem.cash_per_unit * statement.units
    return sent + _inside(statement) + cash + max(-float_pays(statement), ZERO)


def venue_cash(statement: Statement) -> Decimal:
    """Return what an order's part of the books pays (sell: brings, after fee), in quote."""
    is_buy = statement.problem.side is Side.BUY
    return sum((own.value if is_buy else own.value - own.fee for own in statement.legs), ZERO)


def _sums(statement: Statement) -> Iterator[Finding]:
    """Check the numbers of the whole plan; its bound is its part of the batch's, and only its sign can be seen."""
    problem, units, totals = statement.problem, statement.units, statement.totals
    sign = problem.side.sign
    cost = venue_cash(statement) + _inside(statement)
    cash = cost + problem.cash_per_unit * units - sign * float_pays(statement)
    losses = (own.loss for own in statement.legs)
    found = sums_of(statement, losses, cost, cash) | {"rounding_bps": totals["gap_bps"]}
    yield from check_totals(statement, found)
    bound = totals["bound"]
    if bound is None or (cost - bound) * sign < 0:
        yield Finding("plan.bound", "is worse than the cost, which is impossible")
    else:
        yield from differs("plan.gap_bps", totals["gap_bps"], bps((cost - bound) * sign, units * problem.nav))
