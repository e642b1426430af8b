"""The proof of a plan over several currencies: every book and every balance worked out again.

What no arithmetic shows stands on the solver's word: which books were chosen
under a budget of slots, and what stopped a plan that does not fill. The bound is
proved all the same, over every book that could be used, from the multipliers.
"""

from collections.abc import Iterator
from decimal import Decimal
from fractions import Fraction

from etf_trader.market.symbol import Side
from etf_trader.money import BPS, UNIT_GRID, ZERO, plain
from etf_trader.orders.plan import LossParts
from etf_trader.solver.findings import Finding, check_filters, check_loss, differs
from etf_trader.solver.reader import Impossible, Reader
from etf_trader.solver.retrial import nearest, refill, up
from etf_trader.solver.route_statement import (
    Money,
    Trade,
    float_pays,
    money_of,
    net_of,
    surplus_of,
    trades_of,
)
from etf_trader.solver.statement import Statement, mid_of
from etf_trader.solver.verify_route_sums import check_sums, marginal


def check_routes(statement: Statement, plan: object) -> Iterator[Finding]:
    """Check a plan over several currencies; `plan` is the object that `statement` was read from."""
    top = Reader(plan, "plan")
    money = money_of(statement, top)
    trades = trades_of(statement, top)
    strangers = list(_strangers(statement, money, trades))
    if strangers:
        yield from strangers  # nothing else could be said in their terms
        return
    yield from _currencies(statement, money)
    for trade in trades:
        yield from _book(statement, money, trade)
    yield from _fraction(statement, trades)
    yield from _balances(statement, money, trades)
    yield from _limits(statement, money, trades)
    yield from check_sums(statement, money, trades)


def _strangers(statement: Statement, money: Money, trades: list[Trade]) -> Iterator[Finding]:
    """Find what trades in no currency of the plan, or trades no constituent."""
    assets = {leg.asset for leg in statement.problem.legs}
    for trade in trades:
        if trade.quote not in money.mids:
            yield Finding(trade.where, f"is quoted in {trade.quote}, which is no currency of the plan")
        if trade.book.asset not in (money.mids if trade.is_conversion else assets):
            yield Finding(trade.where, f"trades {trade.book.asset}, which has no place there")
        if trade.stated.limit_price <= 0:
            yield Finding(f"{trade.where}.limit_price", "is no price")
    for name in (name for name, mid in money.mids.items() if mid <= 0):
        yield Finding(f"plan.currencies.{name}.mid", "is no price")


def _currencies(statement: Statement, money: Money) -> Iterator[Finding]:
    """Check what each currency is worth: the mid of its book against the home one."""
    for name, mid in money.mids.items():
        direct, inverse = statement.books.get(f"{name}{money.home}"), statement.books.get(f"{money.home}{name}")
        if name == money.home:
            continue
        if direct is not None:
            found = mid_of(direct)
        elif inverse is not None:
            found = nearest(1 / Fraction(mid_of(inverse)))
        else:
            yield Finding(f"plan.currencies.{name}", "has no book against the index's quote")
            continue
        yield from differs(f"plan.currencies.{name}.mid", mid, found)


def _book(statement: Statement, money: Money, trade: Trade) -> Iterator[Finding]:
    """Check one book: the levels taken, value, fee, loss, and the venue's filters."""
    stated, book, side = trade.stated, trade.book, trade.side
    again = refill(book, side, stated.quantity)
    found = {
        "last_price": again.last,
        "touch": book.touch,
        "mid": book.mid,
        "value": again.value,
        "fee": again.fee,
    }
    for name, value in found.items():
        yield from differs(f"{trade.where}.{name}", getattr(stated, name), value)
    if trade.is_conversion and stated.surplus:
        yield Finding(f"{trade.where}.surplus", "goes to the float, which takes no currencies")
    yield from differs(f"{trade.where}.loss", trade.loss, stated.loss.total)
    rate, arrival = money.arrival[trade.quote], _arrival(statement, money, trade)
    is_buy = side is Side.BUY
    quantity = again.quantity - again.fee if is_buy else again.quantity
    value = again.value - again.fee_value if is_buy else again.value
    touch = found["touch"]
    loss = LossParts(
        delay=side.sign * quantity * (book.mid * rate - arrival),
        spread=side.sign * quantity * (touch - book.mid) * rate,
        depth=side.sign * (value - quantity * touch) * rate,
        fee=again.fee_value * rate,
        rounding=_rounding(statement, trade),
    )
    yield from check_loss(trade.where, stated.loss, loss)
    yield from check_filters(trade.where, stated, book, side, statement.problem.slack_ticks)


def _arrival(statement: Statement, money: Money, trade: Trade) -> Decimal:
    arrival = {leg.asset: leg.arrival_mid for leg in statement.problem.legs} | dict(money.arrival)
    if trade.book.asset not in arrival:
        raise Impossible(trade.where, f"trades {trade.book.asset}, which is neither constituent nor currency")
    return arrival[trade.book.asset]


def _rounding(statement: Statement, trade: Trade) -> Decimal:
    legs = {leg.asset: leg for leg in statement.problem.legs}
    leg = legs.get(trade.book.asset)
    return ZERO if leg is None or trade.is_conversion else -trade.stated.surplus * (leg.mid - leg.arrival_mid)


def _fraction(statement: Statement, trades: list[Trade]) -> Iterator[Finding]:
    """Check that every asset covers the common fraction, over all its books together."""
    net, surplus, sign = net_of(trades), surplus_of(statement), statement.problem.side.sign
    yield from differs("plan.legs", sorted(surplus), sorted(leg.asset for leg in statement.problem.legs))
    if len({trade.stated.symbol for trade in trades}) != len(trades):
        yield Finding("plan.legs", "use a book twice")
    for leg in statement.problem.legs:
        taken = surplus.get(leg.asset, ZERO)
        kept = leg.held + net.get(leg.asset, ZERO) - sign * leg.per_unit * statement.units - taken
        if kept < 0:
            yield Finding(f"plan.legs.{leg.asset}", f"falls {plain(-kept)} short of the common fraction")
        if leg.residual + taken < 0:
            yield Finding(f"plan.legs.{leg.asset}.surplus", "takes more from the float than it has")


def _balances(statement: Statement, money: Money, trades: list[Trade]) -> Iterator[Finding]:
    """Check what the plan takes of each currency, and that what must be there is there."""
    problem, net = statement.problem, net_of(trades)
    used = {name: -net.get(name, ZERO) for name in money.mids}
    used[money.home] += problem.side.sign * problem.cash_per_unit * statement.units - float_pays(statement)
    yield from differs("plan.used", dict(money.used), used)
    if problem.side is Side.SELL:
        return
    needs = _needed_before(trades)
    at_home = problem.cash_per_unit * statement.units + max(-float_pays(statement), ZERO)
    needs[money.home] = needs.get(money.home, ZERO) + at_home
    found = {name: max(needs.get(name, ZERO), ZERO) for name in money.mids}
    yield from differs("plan.reserved", dict(money.reserved), found)
    available = {**money.balances, **({} if problem.cash is None else {money.home: problem.cash})}
    for name, balance in available.items():
        if found[name] > balance:
            yield Finding(f"plan.reserved.{name}", f"is more than the {plain(balance)} there is")


def _needed_before(trades: list[Trade]) -> dict[str, Decimal]:
    """Return what a buy takes of each node when all orders fill at their own prices, less what surely arrives."""
    needs: dict[str, Decimal] = {}
    for trade in trades:
        stated, rule, base = trade.stated, trade.book.rule, trade.book.asset
        worst = stated.quantity * stated.limit_price
        if trade.side is Side.BUY:
            source, paid, target, got = trade.quote, worst, base, stated.quantity - stated.fee
        else:
            got = worst - up(worst * rule.taker_fee, rule.quote_quantum)
            source, paid, target = base, stated.quantity, trade.quote
        needs[source] = needs.get(source, ZERO) + paid
        needs[target] = needs.get(target, ZERO) - got
    return needs


def _limits(statement: Statement, money: Money, trades: list[Trade]) -> Iterator[Finding]:
    problem, sign = statement.problem, statement.problem.side.sign
    if statement.units < 0 or statement.units > problem.quantity or statement.units % UNIT_GRID:
        yield Finding("plan.units", "is not a part of what was wanted")
    if statement.stopped_by == ("filled",) and statement.units != problem.quantity:
        yield Finding("plan.stopped_by", "says filled, with less than what was wanted")
    limit = problem.limit if statement.units else None
    price = marginal(statement, money, trades, is_limited=True)
    if limit is not None and sign * (price - Fraction(limit)) > 0:
        yield Finding("plan", "breaks a limit of the order: limit")
    lost = problem.loss_done + sum((trade.stated.loss.total for trade in trades), ZERO)
    units = problem.units_done + statement.units
    if problem.max_loss_bps is not None and lost * BPS > problem.max_loss_bps * units * problem.arrival_nav:
        yield Finding("plan", "breaks a limit of the order: loss")
    if float_pays(statement) > problem.float_cash:
        yield Finding("plan", "breaks a limit of the order: float")
