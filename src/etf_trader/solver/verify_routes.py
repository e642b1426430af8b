"""The proof of a plan over several currencies: every book and every balance worked out again.

What no arithmetic shows stands on the solver's word: which books were chosen
under a budget of slots, and what stopped a plan that does not fill. The bound is
proved all the same, over every book that could be used, from the multipliers.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction

from etf_trader.market.symbol import Side
from etf_trader.money import BPS, ONE, UNIT_GRID, ZERO, bps, ceil_to, divide, floor_to, plain
from etf_trader.orders.plan import LossParts, PlannedLeg
from etf_trader.solver.certificate import BOUND_GRID, BookSide, least_cost, need_of
from etf_trader.solver.findings import Finding, check_filters, check_loss, check_totals, differs, loss_sums
from etf_trader.solver.problem import Leg
from etf_trader.solver.reader import Impossible, Reader
from etf_trader.solver.retrial import at, broken, held_price, nearest, refill, up
from etf_trader.solver.statement import Statement, planned_leg, side_of, venue_leg

_RATIO = Decimal("0.0001")
_PRICE = Decimal("1e-8")


@dataclass(frozen=True, slots=True)
class Trade:
    """What is stated of one book, and the book itself; `where` names it in the plan."""

    where: str
    side: Side
    stated: PlannedLeg
    loss: Decimal
    book: Leg
    is_conversion: bool

    @property
    def quote(self) -> str:
        """The currency that it is priced in."""
        return self.book.rule.quote

    @property
    def flows(self) -> tuple[tuple[str, Decimal], tuple[str, Decimal]]:
        """What it brings to its base and to its quote; negative: takes."""
        stated = self.stated
        if self.side is Side.BUY:
            return (self.book.asset, stated.quantity - stated.fee), (self.quote, -stated.value)
        return (self.book.asset, -stated.quantity), (self.quote, stated.value - stated.fee)


@dataclass(frozen=True, slots=True)
class Money:
    """The currencies of a plan: what may be spent of each, and what it is worth in the home one."""

    home: str
    balances: Mapping[str, Decimal]
    mids: Mapping[str, Decimal]
    arrival: Mapping[str, Decimal]
    used: Mapping[str, Decimal]
    reserved: Mapping[str, Decimal]
    saved_bps: Decimal
    slots: int | None
    may_convert: bool


def check_routes(statement: Statement, plan: object) -> Iterator[Finding]:
    """Check a plan over several currencies; `plan` is the object that `statement` was read from."""
    top = Reader(plan, "plan")
    money = _money(statement, top)
    trades = _trades(statement, top)
    yield from _currencies(statement, money)
    for trade in trades:
        yield from _book(statement, money, trade)
    yield from _fraction(statement, trades)
    yield from _balances(statement, money, trades)
    yield from _limits(statement, money, trades)
    yield from _sums(statement, money, trades)


def _money(statement: Statement, top: Reader) -> Money:
    home = statement.problem.legs[0].rule.quote
    named = {each["name"].text(): each for each in top["currencies"].list()}
    return Money(
        home=home,
        balances={name: each["balance"].number() for name, each in named.items()},
        mids={home: ONE} | {name: each["mid"].number() for name, each in named.items()},
        arrival={home: ONE} | {name: each["arrival_mid"].number() for name, each in named.items()},
        used=top["used"].numbers(),
        reserved=top["reserved"].numbers(),
        saved_bps=top["saved_bps"].number(),
        slots=top["slots"].maybe(lambda slots: slots["most"].count()),
        may_convert=top["may_convert"].flag(),
    )


def _trades(statement: Statement, top: Reader) -> list[Trade]:
    side = statement.problem.side
    trades = [_trade(statement, leg, side, is_conversion=False) for leg in top["legs"].list()]
    conversions = top["conversions"].list()
    return trades + [_trade(statement, leg, side_of(leg["side"]), is_conversion=True) for leg in conversions]


def _trade(statement: Statement, leg: Reader, side: Side, *, is_conversion: bool) -> Trade:
    stated = planned_leg(leg)
    book = venue_leg(statement.books, statement.rules, stated.symbol, side, leg.where)
    if book.asset != stated.asset:
        raise Impossible(leg.where, f"names {stated.asset}, and {stated.symbol} trades {book.asset}")
    return Trade(f"{leg.where} ({stated.symbol})", side, stated, leg["loss"].number(), book, is_conversion)


def _currencies(statement: Statement, money: Money) -> Iterator[Finding]:
    """Check what each currency is worth: the mid of its book against the home one."""
    for name, mid in money.mids.items():
        direct, inverse = statement.books.get(f"{name}{money.home}"), statement.books.get(f"{money.home}{name}")
        if name == money.home:
            continue
        if direct is not None:
            found = direct.mid
        elif inverse is not None:
            found = nearest(1 / Fraction(inverse.mid))
        else:
            yield Finding(f"plan.currencies.{name}", "has no book against the index's quote")
            continue
        yield from differs(f"plan.currencies.{name}.mid", mid, found)


def _book(statement: Statement, money: Money, trade: Trade) -> Iterator[Finding]:
    """Check one book: the levels taken, value, fee, loss, and the venue's filters."""
    stated, book, side = trade.stated, trade.book, trade.side
    if trade.quote not in money.mids:
        yield Finding(trade.where, f"is quoted in {trade.quote}, which is no currency of the plan")
        return
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


def _net(trades: list[Trade]) -> dict[str, Decimal]:
    """Return what all trades bring to each node."""
    net: dict[str, Decimal] = {}
    for trade in trades:
        for node, amount in trade.flows:
            net[node] = net.get(node, ZERO) + amount
    return net


def _surplus(statement: Statement) -> dict[str, Decimal]:
    surplus: dict[str, Decimal] = {}
    for leg in statement.legs:
        surplus[leg.asset] = surplus.get(leg.asset, ZERO) + leg.surplus
    return surplus


def _fraction(statement: Statement, trades: list[Trade]) -> Iterator[Finding]:
    """Check that every asset covers the common fraction, over all its books together."""
    net, surplus, sign = _net(trades), _surplus(statement), statement.problem.side.sign
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


def _float_pays(statement: Statement) -> Decimal:
    mids = {leg.asset: leg.mid for leg in statement.problem.legs}
    return sum((x * mids.get(asset, ZERO) for asset, x in _surplus(statement).items()), ZERO)


def _balances(statement: Statement, money: Money, trades: list[Trade]) -> Iterator[Finding]:
    """Check what the plan takes of each currency, and that what must be there is there."""
    problem, net = statement.problem, _net(trades)
    used = {name: -net.get(name, ZERO) for name in money.mids}
    used[money.home] += problem.side.sign * problem.cash_per_unit * statement.units - _float_pays(statement)
    yield from differs("plan.used", dict(money.used), used)
    if problem.side is Side.SELL:
        return
    needs = _needed_before(trades)
    at_home = problem.cash_per_unit * statement.units + max(-_float_pays(statement), ZERO)
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
    marginal = _marginal(statement, money, trades, is_limited=True)
    if limit is not None and sign * (marginal - Fraction(limit)) > 0:
        yield Finding("plan", "breaks a limit of the order: limit")
    lost = problem.loss_done + sum((trade.stated.loss.total for trade in trades), ZERO)
    units = problem.units_done + statement.units
    if problem.max_loss_bps is not None and lost * BPS > problem.max_loss_bps * units * problem.arrival_nav:
        yield Finding("plan", "breaks a limit of the order: loss")
    if _float_pays(statement) > problem.float_cash:
        yield Finding("plan", "breaks a limit of the order: float")


def _marginal(statement: Statement, money: Money, trades: list[Trade], *, is_limited: bool) -> Fraction:
    """Return the price of one unit more at the orders' own prices, fees and conversions included.

    `is_limited` counts what a buy holds already at the price paid, as its limit does.
    """
    side = statement.problem.side
    pick = max if side is Side.BUY else min
    prices = {name: Fraction(mid) for name, mid in money.mids.items()}
    for trade in (each for each in trades if each.is_conversion and each.stated.quantity):
        node, price = _way(trade, side, prices)
        if node != money.home:
            prices[node] = pick(prices[node], price)
    ways: dict[str, list[Fraction]] = {}
    for trade in (each for each in trades if not each.is_conversion and each.stated.quantity):
        node, price = _way(trade, side, prices)
        ways.setdefault(node, []).append(price)
    total = Fraction(statement.problem.cash_per_unit)
    for leg in statement.problem.legs:
        price = Fraction(leg.per_unit) * pick(ways.get(leg.asset, [Fraction(leg.mid)]))
        is_held = is_limited and side is Side.BUY and leg.held
        total += held_price(leg, price, leg.per_unit * statement.units) if is_held else price
    return total


def _way(trade: Trade, order_side: Side, prices: Mapping[str, Fraction]) -> tuple[str, Fraction]:
    """Return the node that a book serves (sell: takes from), and what a unit of it costs (brings) that way."""
    net, price = 1 - Fraction(trade.book.rule.taker_fee), Fraction(trade.stated.limit_price)
    base, quote = trade.book.asset, trade.quote
    source, target = (quote, base) if trade.side is Side.BUY else (base, quote)
    rate = net / price if trade.side is Side.BUY else net * price
    if order_side is Side.BUY:
        return target, prices[source] / rate
    return source, prices[target] * rate


def _sums(statement: Statement, money: Money, trades: list[Trade]) -> Iterator[Finding]:
    """Check the numbers of the whole plan, and the bound over every book that could have been used."""
    problem, units, sign = statement.problem, statement.units, statement.problem.side.sign
    net, losses = _net(trades), loss_sums(trade.stated.loss for trade in trades)
    cost = -sign * sum((net.get(name, ZERO) * mid for name, mid in money.mids.items()), ZERO)
    cash = cost + problem.cash_per_unit * units - sign * _float_pays(statement)
    bound = _bound(statement, money, net)
    found = losses | {
        "cost": cost,
        "cash": cash,
        "average_price": divide(cash, units, _PRICE) if units else None,
        "fill_percentage": divide(units * 100, problem.quantity, _RATIO) if problem.quantity else ZERO,
        "loss_bps": bps(losses["loss"] or ZERO, units * problem.arrival_nav),
        "bound": bound,
        "gap_bps": bps(sign * (cost - bound), units * problem.nav),
    }
    yield from check_totals(statement, found)
    yield from _words_of_the_solver(statement, money, trades, cash)


def _words_of_the_solver(
    statement: Statement, money: Money, trades: list[Trade], cash: Decimal
) -> Iterator[Finding]:
    """Check what can be seen of the numbers that only a solver knows whole."""
    problem, units, totals = statement.problem, statement.units, statement.totals
    rounding, gap = totals["rounding_bps"] or ZERO, totals["gap_bps"] or ZERO
    sent = sum(1 for trade in trades if trade.stated.quantity)
    if money.slots is not None and sent > money.slots:
        yield Finding("plan.slots", f"allow {money.slots} orders, and {sent} are sent")
    if not 0 <= rounding <= max(gap, ZERO):
        yield Finding("plan.rounding_bps", f"is {plain(rounding)}, not a part of the gap of {plain(gap)}")
    traded = {trade.book.asset for trade in trades if trade.stated.quantity}
    if {trade.quote for trade in trades if trade.stated.quantity} - {money.home} and all(
        leg.asset in traded for leg in problem.legs if leg.per_unit
    ):
        marginal = nearest(_marginal(statement, money, trades, is_limited=False))
        yield from differs("plan.marginal_price", totals["marginal_price"], marginal)
    alone = at(problem, units)
    if units and not broken(problem, alone):
        paid = sum((leg.value if problem.side is Side.BUY else leg.value - leg.fee for leg in alone.legs), ZERO)
        single = paid + problem.cash_per_unit * units - problem.side.sign * alone.float_pays
        saved = bps((single - cash) * problem.side.sign, units * problem.nav)
        yield from differs("plan.saved_bps", money.saved_bps, saved)


def _bound(statement: Statement, money: Money, net: Mapping[str, Decimal]) -> Decimal:
    """Return what the multipliers prove: no plan for these units pays less (sell: brings more) for its trades."""
    problem, prices = statement.problem, statement.multipliers
    required = dict.fromkeys(money.mids, ZERO)
    for leg in problem.legs:
        required[leg.asset] = problem.side.sign * need_of(leg, problem.side, statement.units)
    bound = least_cost(_usable(statement, money), prices, required)
    for name, balance in money.balances.items():
        under = money.mids[name] - prices[name]
        spendable = balance if problem.side is Side.BUY else ZERO
        bound += min(under, ZERO) * spendable + min(-under, ZERO) * max(net.get(name, ZERO), ZERO)
    return floor_to(bound, BOUND_GRID) if problem.side is Side.BUY else ceil_to(-bound, BOUND_GRID)


def _usable(statement: Statement, money: Money) -> list[BookSide]:
    """Return every side of every book that the order could have used."""
    assets, side = {leg.asset for leg in statement.problem.legs}, statement.problem.side
    found = []
    for symbol, book in statement.books.items():
        rule = statement.rules[symbol]
        if not book.bids or not book.asks or rule.quote not in money.mids:
            continue
        sides = [side] if rule.base in assets else list(Side) if rule.base in money.mids else []
        if rule.base in money.mids and not money.may_convert:
            continue
        for each in sides:
            leg = venue_leg(statement.books, statement.rules, symbol, each, symbol)
            found.append(BookSide(each, rule.base, rule.quote, rule.taker_fee, leg.levels))
    return found
