"""The numbers of a whole plan over several currencies: cost, loss, bound, and the price of one unit more."""

from collections.abc import Iterator, Mapping
from decimal import Decimal
from fractions import Fraction

from etf_trader.market.symbol import Side
from etf_trader.money import ZERO, bps, ceil_to, floor_to, plain
from etf_trader.solver.certificate import BOUND_GRID, BookSide, least_cost, need_of
from etf_trader.solver.findings import Finding, check_totals, differs, orders_of, sums_of
from etf_trader.solver.retrial import at, broken, held_price, nearest
from etf_trader.solver.route_statement import Money, Trade, float_pays, net_of
from etf_trader.solver.statement import Statement, venue_leg


def check_sums(statement: Statement, money: Money, trades: list[Trade]) -> Iterator[Finding]:
    """Check the numbers of the whole plan, and the bound over every book that could have been used."""
    problem, units, sign = statement.problem, statement.units, statement.problem.side.sign
    net, losses = net_of(trades), (trade.stated.loss for trade in trades)
    cost = -sign * sum((net.get(name, ZERO) * mid for name, mid in money.mids.items()), ZERO)
    cash = cost + problem.cash_per_unit * units - sign * float_pays(statement)
    unpriced = _nodes(statement, money) - {name for name, each in statement.multipliers.items() if each >= 0}
    if unpriced:
        yield Finding("plan.multipliers", f"give no price for {', '.join(sorted(unpriced))}")
        return
    bound = _bound(statement, money, net)
    found = sums_of(statement, losses, cost, cash) | {
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
    sent = sum(
        orders_of(trade.stated.quantity, trade.stated.limit_price, trade.book.rule)
        for trade in trades
        if trade.stated.quantity
    )
    if money.slots is not None and sent > money.slots:
        yield Finding("plan.slots", f"allow {money.slots} orders, and {sent} are sent")
    if not 0 <= rounding <= max(gap, ZERO):
        yield Finding("plan.rounding_bps", f"is {plain(rounding)}, not a part of the gap of {plain(gap)}")
    traded = {trade.book.asset for trade in trades if trade.stated.quantity}
    if {trade.quote for trade in trades if trade.stated.quantity} - {money.home} and all(
        leg.asset in traded for leg in problem.legs if leg.per_unit
    ):
        price = nearest(marginal(statement, money, trades, is_limited=False))
        yield from differs("plan.marginal_price", totals["marginal_price"], price)
    alone = at(problem, units)
    if units and not broken(problem, alone):
        paid = sum((leg.value if problem.side is Side.BUY else leg.value - leg.fee for leg in alone.legs), ZERO)
        single = paid + problem.cash_per_unit * units - problem.side.sign * alone.float_pays
        saved = bps((single - cash) * problem.side.sign, units * problem.nav)
        yield from differs("plan.saved_bps", money.saved_bps, saved)


def _nodes(statement: Statement, money: Money) -> set[str]:
    """Return everything that must have a multiplier."""
    return {leg.asset for leg in statement.problem.legs} | set(money.mids)


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


def marginal(statement: Statement, money: Money, trades: list[Trade], *, is_limited: bool) -> Fraction:
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
