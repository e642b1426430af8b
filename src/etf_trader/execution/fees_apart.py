"""Fees that are paid beside a trade: whether a plan counts on it, what it leaves room for, what it says of it.

The turn that trades, the dry run and the quote decide it here, so that on the
same books they come to the same plan.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from decimal import Decimal
from typing import Any

from etf_trader.database import Database
from etf_trader.execution.fee_inventory import (
    PLAN_KEY,
    FeePrice,
    InFlight,
    fee_price,
    is_covered,
    require_apart,
)
from etf_trader.execution.outlook import Outlook, outlook
from etf_trader.execution.planning import FeesApart, MarketView
from etf_trader.execution.routed import foreign_currencies
from etf_trader.index.store import Index
from etf_trader.ledger.repository import Account
from etf_trader.market.symbol import SymbolRule
from etf_trader.money import BPS, ONE, ZERO, divide, money_context, plain
from etf_trader.orders.plan import Plan
from etf_trader.solver.problem import OrderProblem
from etf_trader.venue.interface import FeeDiscount, Venue

SPARE = Decimal("1.05")
"""The venue values its asset by its own price, and later than we: such a part more is set aside."""

NOTHING = InFlight({})


async def counted(
    database: Database,
    venue: Venue,
    account: Account,
    indices: Iterable[Index],
    rules: Iterable[SymbolRule],
    tried: InFlight = NOTHING,
) -> FeeDiscount | None:
    """Return in what orders of these indices pay their fees if the inventory surely covers them; None: it may not.

    Args:
        rules: Those of every market that they may use.
        tried: What is only tried, and counts as if it were in flight.

    Raises:
        ConfigError: an index holds what fees are paid in.
        DataError: what fees are paid in has no price.
    """
    discount = await require_apart(database, venue, account)
    if discount is None or any(foreign_currencies(index) for index in indices):
        return None  # over several currencies, fees are part of what each costs
    rate = max((rule.taker_fee for rule in rules), default=ZERO)
    return discount if await is_covered(database, venue, account, discount, rate, tried) else None


def as_paid(view: MarketView, discount: FeeDiscount | None, most: Iterable[Decimal | None]) -> MarketView:
    """Return the view that orders are planned on: with fees apart where they count on that. Pure.

    Args:
        discount: What `counted` returned.
        most: How many bps each of the orders may lose: fees alone may be more.
    """
    if discount is None:
        return view
    seen = _apart(view, discount)
    rate = ZERO if seen.fees_apart is None else seen.fees_apart.rate
    return seen if all(each is None or each > rate * BPS for each in most) else view


def _apart(view: MarketView, discount: FeeDiscount) -> MarketView:
    due = discounted(view.rules, discount)
    rate = max((rule.taker_fee for rule in due.values()), default=ZERO) * SPARE
    free = {symbol: replace(rule, taker_fee=ZERO, maker_fee=ZERO) for symbol, rule in view.rules.items()}
    return replace(view, rules=free, fees_apart=FeesApart(rate, due))


def discounted(rules: Mapping[str, SymbolRule], discount: FeeDiscount) -> dict[str, SymbolRule]:
    """Return rules by which the fee that is paid beside were taken of what is received."""
    return {
        symbol: replace(rule, taker_fee=rule.taker_fee * discount.part, maker_fee=rule.maker_fee * discount.part)
        for symbol, rule in rules.items()
    }


def in_kind(view: MarketView) -> MarketView:
    """Return a view by which fees that are paid beside cost as much, taken of what is received.

    For what weighs costs and is not carried out.
    """
    return view if view.fees_apart is None else replace(view, rules=view.fees_apart.rules, fees_apart=None)


def asked_with_fees(problem: OrderProblem, view: MarketView) -> OrderProblem:
    """Return what is asked of the solver for `problem` where fees are paid as `view` says. Pure."""
    if view.fees_apart is None:
        return problem
    legs = tuple(replace(leg, rule=view.rules[leg.rule.symbol]) for leg in problem.legs)
    with money_context():
        return with_fees_apart(replace(problem, legs=legs), view.fees_apart.rate)


def with_fees_apart(problem: OrderProblem, rate: Decimal) -> OrderProblem:
    """Return what is asked of a solver that knows no fee, so that all limits hold with it. Pure.

    With fees of `rate` of the value traded: a buy's cash and the limit leave room
    for them, and so does the loss, also for the lots that go to the float. Of an
    order that may lose more than the fees.
    """
    factor = ONE + problem.side.sign * rate
    cash, limit, most, done = problem.cash, problem.limit, problem.max_loss_bps, problem.loss_done
    if cash is not None:
        cash = divide(cash, factor)
    if limit is not None:
        limit = divide(limit - problem.cash_per_unit, factor) + problem.cash_per_unit
    if most is not None:
        done = divide(done - rate * (problem.units_done * problem.arrival_nav - _lots(problem)), factor)
        most = divide(most - rate * BPS, factor)
    return replace(problem, cash=cash, limit=limit, max_loss_bps=most, loss_done=done)


def _lots(problem: OrderProblem) -> Decimal:
    """Return the value of what lots and minimums may make an order trade beyond its units, at most."""
    return sum(
        (2 * max(leg.rule.step, leg.rule.least_quantity(leg.mid)) * leg.touch for leg in problem.legs), ZERO
    )


def outlook_with_fees(problem: OrderProblem, view: MarketView, method: str) -> Outlook:
    """Look beyond the limits of `problem` where fees are paid as `view` says; the price has all they may be."""
    found = outlook(asked_with_fees(problem, view), method)
    if view.fees_apart is None:
        return found
    with money_context():
        factor, basket_cash = ONE + problem.side.sign * view.fees_apart.rate, problem.cash_per_unit
        return replace(found, price=(found.price - basket_cash) * factor + basket_cash)


def fees_beside(plan: Plan, view: MarketView) -> Decimal:
    """Return what a plan pays beside what it trades; it is planned on `view`, in one currency."""
    if view.fees_apart is None:
        return ZERO
    rules = view.fees_apart.rules
    with money_context():
        return sum((leg.value * rules[leg.symbol].taker_fee for leg in plan.legs), ZERO)


async def say_fees(
    venue: Venue, discount: FeeDiscount | None, plans: Iterable[Plan], view: MarketView
) -> list[Plan]:
    """Return plans that say in what fees are paid beside what is traded, its price, and what they count on.

    Raises:
        DataError: there is no price.
    """
    if discount is None:
        return list(plans)
    traded = [(plan, _traded(plan, view)) for plan in plans]
    price = await fee_price(
        venue, discount.asset, {view.rules[symbol].quote for _, own in traded for symbol in own}
    )
    return [replace(plan, beside={**plan.beside, PLAN_KEY: _said(own, price, view)}) for plan, own in traded]


def _traded(plan: Plan, view: MarketView) -> list[str]:
    legs = [*plan.legs, *(each.leg for each in plan.conversions)]
    return sorted({leg.symbol for leg in legs if leg.quantity})


def _said(symbols: Iterable[str], price: FeePrice, view: MarketView) -> dict[str, Any]:
    """Return what a plan object says of fees: with `rate` and `rates` where it counts on paying them beside."""
    mids = {view.rules[symbol].quote: plain(price.mids[view.rules[symbol].quote]) for symbol in symbols}
    said: dict[str, Any] = {"asset": price.asset, "mids": dict(sorted(mids.items()))}
    if view.fees_apart is not None:
        due = view.fees_apart.rules
        said |= {
            "rate": plain(view.fees_apart.rate),
            "rates": {symbol: plain(due[symbol].taker_fee) for symbol in symbols},
        }
    return said
