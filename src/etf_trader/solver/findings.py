"""What does not hold in a plan, and the checks that plans of every kind share."""

from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from fractions import Fraction
from typing import NamedTuple

from etf_trader.market.symbol import Side, SymbolRule
from etf_trader.money import ZERO, average_price, bps, percentage, plain
from etf_trader.orders.plan import LOSS_PARTS, LossParts, PlannedLeg, total_loss
from etf_trader.solver.problem import Leg
from etf_trader.solver.retrial import down, least, up
from etf_trader.solver.statement import Statement, price_bounds


class Finding(NamedTuple):
    """Something that does not hold: where it stands, and what is wrong with it."""

    where: str
    what: str


def differs(where: str, stated: object, found: object) -> Iterator[Finding]:
    """Find that what is stated is not what it comes to."""
    if stated != found:
        yield Finding(where, f"is {spell(stated)}, but comes to {spell(found)}")


def spell(value: object) -> str:
    """Return a value as a finding says it."""
    if isinstance(value, Decimal):
        return plain(value)
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {spell(value[name])}" for name in sorted(value)) or "nothing"
    return "nothing" if value is None else str(value)


def check_loss(where: str, stated: LossParts, found: LossParts) -> Iterator[Finding]:
    """Compare a loss part by part."""
    for part in LOSS_PARTS:
        yield from differs(f"{where}.{part}", getattr(stated, part), getattr(found, part))


def check_filters(where: str, stated: PlannedLeg, leg: Leg, side: Side, slack_ticks: int) -> Iterator[Finding]:
    """Check what the venue demands of the orders of a leg, and that they reach no further than they may."""
    rule, price, quantity = leg.rule, stated.limit_price, stated.quantity
    if not quantity:
        yield from differs(f"{where}.limit_price", price, stated.touch)
        return
    yield from check_order_price(where, stated, leg, side)
    if (price - stated.last_price) * side.sign > slack_ticks * rule.tick:
        yield Finding(
            f"{where}.limit_price", f"is {plain(price)}: not within {slack_ticks} ticks of the last price"
        )
    yield from check_order_size(where, quantity, price, rule)
    if quantity > sum((level.quantity for level in leg.levels), ZERO):
        yield Finding(f"{where}.quantity", "is more than the book shows")


def check_order_price(where: str, stated: PlannedLeg, leg: Leg, side: Side) -> Iterator[Finding]:
    """Check that the venue accepts the price of a leg's orders, and that it reaches the levels it means to use."""
    rule, price = leg.rule, stated.limit_price
    low, high = price_bounds(rule, side, leg.mid)
    if price < low or (high is not None and price > high):
        yield Finding(f"{where}.limit_price", f"is {plain(price)}: the venue does not accept it")
    if (price - stated.last_price) * side.sign < 0:
        yield Finding(f"{where}.limit_price", f"is {plain(price)}: it does not reach the last price")
    if rule.tick and price % rule.tick:
        yield Finding(f"{where}.limit_price", f"is {plain(price)}: not on the tick of {plain(rule.tick)}")


def check_order_size(where: str, quantity: Decimal, price: Decimal, rule: SymbolRule) -> Iterator[Finding]:
    """Check that a quantity can be sent in orders that the venue accepts."""
    if quantity % rule.step:
        yield Finding(f"{where}.quantity", f"is {plain(quantity)}: not on the step of {plain(rule.step)}")
    if quantity < least(rule, price) * max(orders_of(quantity, price, rule), 1):
        yield Finding(f"{where}.quantity", f"is {plain(quantity)}: below the least order at {plain(price)}")


def orders_of(quantity: Decimal, price: Decimal, rule: SymbolRule) -> int:
    """Return how many orders a quantity makes: more than one beyond the venue's largest."""
    most = [rule.max_quantity] if rule.max_quantity else []
    if rule.max_notional:
        most.append(down(Fraction(rule.max_notional) / Fraction(price), rule.step))
    return max([int(quantity > 0), *(int(up(quantity, each) / each) for each in most if each)])


def check_totals(statement: Statement, found: Mapping[str, Decimal | None]) -> Iterator[Finding]:
    """Compare the numbers of the whole plan, and the loss of each leg with its parts."""
    for name, value in found.items():
        yield from differs(f"plan.{name}", statement.totals[name], value)
    for leg, stated in zip(statement.legs, statement.leg_losses, strict=True):
        yield from differs(f"plan.legs.{leg.asset}.loss", stated, leg.loss.total)


def sums_of(
    statement: Statement, losses: Iterable[LossParts], cost: Decimal, cash: Decimal
) -> dict[str, Decimal | None]:
    """Return the numbers of a whole plan that follow from the losses of its legs, its cost and its cash."""
    problem, units, loss = statement.problem, statement.units, total_loss(losses)
    return {
        **{part: getattr(loss, part) for part in LOSS_PARTS},
        "loss": loss.total,
        "loss_bps": bps(loss.total, units * problem.arrival_nav),
        "cost": cost,
        "cash": cash,
        "average_price": average_price(cash, units),
        "fill_percentage": percentage(units, problem.quantity),
    }
