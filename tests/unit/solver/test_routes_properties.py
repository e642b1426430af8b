"""What holds for every plan over several currencies, on random small markets."""

from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal as D
from fractions import Fraction as F
from itertools import pairwise, product
from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.effort import examples
from tests.unit.solver.route_cases import make_book, make_conversion, make_currency, make_route, random_routes
from tests.unit.solver.solver_cases import Continuous, make_leg, make_problem, make_rule, random_problem

from etf_trader.market.book import Level
from etf_trader.market.symbol import Side, SymbolRule
from etf_trader.money import ONE, ZERO, ceil_to, money_context, round_to
from etf_trader.orders.plan import Plan
from etf_trader.solver.merge import merged
from etf_trader.solver.network import network_of
from etf_trader.solver.order import plan_order
from etf_trader.solver.route_books import Books
from etf_trader.solver.route_bound import cash_bound
from etf_trader.solver.route_lp import Program
from etf_trader.solver.route_problem import RouteLeg, RoutePlan, RouteProblem
from etf_trader.solver.route_search import FLAT, search
from etf_trader.solver.routes import plan_routes

some = settings(max_examples=examples(30), deadline=None, suppress_health_check=[HealthCheck.too_slow])
seeds = st.integers(0, 10**6)
sides = st.sampled_from(list(Side))


def limited(problem: RouteProblem, seed: int) -> RouteProblem:
    """The problem with, by chance, each of the limits of an order, and something held and left over before."""
    chance, order = Random(seed), problem.order
    sign, nav = order.side.sign, order.nav
    if chance.random() < 0.5:
        order = replace(order, limit=round_to(nav * (1 + sign * D(chance.choice(["0.0012", "0.002"]))), D("0.01")))
    if chance.random() < 0.3:
        order = replace(order, max_loss_bps=D(chance.choice(["8", "12", "15"])))
    if chance.random() < 0.5 and order.side is Side.BUY:
        order = replace(order, cash=round_to(nav * order.quantity * D(chance.choice(["0.5", "1.002"])), D("0.01")))
    if chance.random() < 0.3:
        order = replace(order, float_cash=D(chance.choice(["0", "0.5", "30"])), cash_per_unit=D("3.25"))
    if chance.random() < 0.4:
        legs = [replace(leg, residual=D(chance.choice(["0", "0.00005", "0.3"]))) for leg in order.legs]
        order = replace(order, legs=tuple(legs))
    return replace(problem, order=order)


def rule_of(problem: RouteProblem, symbol: str) -> SymbolRule:
    """The rule of a symbol."""
    rules = [leg.rule for leg in problem.order.legs] + [route.rule for route in problem.routes]
    return next(rule for rule in rules + [book.rule for book in problem.conversions] if rule.symbol == symbol)


def ladder_of(problem: RouteProblem, leg: RouteLeg) -> tuple[Level, ...]:
    """The levels that a leg of a plan takes."""
    for book in problem.conversions:
        if book.rule.symbol == leg.symbol:
            return book.asks if leg.side is Side.BUY else book.bids
    for route in problem.routes:
        if route.rule.symbol == leg.symbol:
            return route.levels
    return next(each.levels for each in problem.order.legs if each.rule.symbol == leg.symbol)


def walked(problem: RouteProblem, leg: RouteLeg) -> tuple[D, D]:
    """Value and fee of a leg, level by level, each level's fee rounded up as the venue does."""
    rule, rest, value, fee = rule_of(problem, leg.symbol), leg.quantity, ZERO, ZERO
    for price, quantity in ladder_of(problem, leg):
        part = min(rest, quantity)
        value, rest = value + part * price, rest - part
        received = part if leg.side is Side.BUY else part * price
        quantum = rule.base_quantum if leg.side is Side.BUY else rule.quote_quantum
        fee += ceil_to(received * rule.taker_fee, quantum)
    assert rest == 0
    return value, fee


def mids(problem: RouteProblem, *, arrival: bool = False) -> dict[str, D]:
    """Every node's mid in the home currency."""
    found = {problem.home: ONE}
    for each in problem.currencies:
        found[each.name] = each.arrival_mid if arrival else each.mid
    return found


def check(problem: RouteProblem, plan: RoutePlan) -> None:
    """Every promise of a plan, tested without the solver's own sums."""
    order, sign = problem.order, problem.order.side.sign
    moves: dict[str, D] = dict.fromkeys(mids(problem), ZERO)
    for leg in (*plan.conversions, *plan.legs):
        check_filters(problem, leg)
        value, fee = walked(problem, leg)
        assert (leg.value, leg.fee) == (value, fee)
        rule, is_buy = rule_of(problem, leg.symbol), leg.side is Side.BUY
        moves[rule.base] = moves.get(rule.base, ZERO) + (leg.quantity - fee if is_buy else -leg.quantity)
        moves[rule.quote] += -value if is_buy else value - fee
    surplus = {each.asset: each.quantity for each in plan.surplus}
    for each in order.legs:
        over = each.held + moves.get(each.asset, ZERO) - sign * each.per_unit * plan.units
        least = each.rule.least_quantity(each.levels[0].price if each.levels else each.mid)
        # a sell's float takes no more than the least order of the home book; the rest stays the order's
        assert surplus[each.asset] == (over if sign > 0 else min(over, max(least - each.residual, ZERO)))
        assert each.residual + surplus[each.asset] >= 0
    pays = sum((surplus[each.asset] * each.mid for each in order.legs), ZERO)
    assert pays <= order.float_cash
    used = {each.currency: each.quantity for each in plan.used}
    basket = sign * order.cash_per_unit * plan.units
    for name, amount in used.items():
        assert amount == -moves[name] + (basket - pays if name == problem.home else ZERO)
    worth = mids(problem)
    assert plan.cash == sign * sum((worth[name] * amount for name, amount in used.items()), ZERO)
    check_balances(problem, plan)
    left = {
        each.asset: each.held
        + moves.get(each.asset, ZERO)
        - sign * each.per_unit * plan.units
        - surplus[each.asset]
        for each in order.legs
    }
    check_loss(problem, plan, used, left)
    if order.limit is not None and plan.units:
        assert sign * (marginal(problem, plan) - F(order.limit)) <= 0
    assert sign * (plan.cost - plan.bound) >= 0
    check_against(plan, plan.single)


def check_filters(problem: RouteProblem, leg: RouteLeg) -> None:
    """The venue's filters, and the order's price beyond the last level."""
    rule = rule_of(problem, leg.symbol)
    assert leg.quantity > 0
    assert leg.quantity % rule.step == 0
    assert leg.limit_price % rule.tick == 0
    assert leg.quantity >= rule.least_quantity(leg.limit_price)
    assert (leg.limit_price - leg.last_price) * leg.side.sign >= 0


def check_balances(problem: RouteProblem, plan: RoutePlan) -> None:
    """No balance below zero when all fills at the orders' prices, in the order in which they are sent."""
    order, is_buy = problem.order, plan.side is Side.BUY
    reserved = {each.currency: each.quantity for each in plan.reserved}
    for each in problem.currencies:
        assert reserved[each.name] <= (each.balance if is_buy else ZERO)
    if is_buy and order.cash is not None:
        assert reserved[problem.home] <= order.cash
    there: dict[str, D] = dict(reserved)
    for leg in order.legs:
        there[leg.asset] = ZERO if is_buy else leg.held + leg.residual + leg.per_unit * plan.units
    legs = (*plan.conversions, *plan.legs) if is_buy else (*plan.legs, *plan.conversions)
    for sent in legs:
        rule, at_price = rule_of(problem, sent.symbol), sent.quantity * sent.limit_price
        takes, brings = (rule.quote, rule.base) if sent.side is Side.BUY else (rule.base, rule.quote)
        there[takes] -= at_price if sent.side is Side.BUY else sent.quantity
        received = sent.quantity - sent.fee
        if sent.side is Side.SELL:
            received = at_price - ceil_to(at_price * rule.taker_fee, rule.quote_quantum)
        there[brings] += received
        assert there[takes] >= 0, (sent.symbol, there)


def check_loss(problem: RouteProblem, plan: RoutePlan, used: Mapping[str, D], left: Mapping[str, D]) -> None:
    """The loss is the cash at the arrival mids less the units' arrival value, to the last digit.

    What is left with a sell's order has been redeemed and not sold: no loss yet.
    """
    order, sign = problem.order, plan.side.sign
    paid = sum((mids(problem, arrival=True)[name] * amount for name, amount in used.items()), ZERO)
    kept = sum((left[leg.asset] * leg.arrival_mid for leg in order.legs), ZERO)
    assert plan.loss.total == paid - sign * plan.units * order.arrival_nav - kept
    if order.max_loss_bps is not None and plan.units:
        assert plan.loss.total * 10000 <= order.max_loss_bps * plan.units * order.arrival_nav


def marginal(problem: RouteProblem, plan: RoutePlan) -> F:
    """The price of one more unit at the orders' prices, every book used counted, conversions and fees included."""
    is_buy = plan.side is Side.BUY
    rates = {name: F(mid) for name, mid in mids(problem).items()}
    pick = max if is_buy else min
    for leg in plan.conversions:  # every conversion of the cases is a book of a currency in the home one
        net = 1 - F(rule_of(problem, leg.symbol).taker_fee)
        each = F(leg.limit_price) / net if is_buy else F(leg.limit_price) * net
        rates[leg.asset] = pick(rates[leg.asset], each)
    total = F(problem.order.cash_per_unit)
    for asset in problem.order.legs:
        used = [leg for leg in plan.legs if leg.asset == asset.asset]
        prices = []
        for leg in used:
            net = 1 - F(rule_of(problem, leg.symbol).taker_fee)
            prices.append(rates[leg.currency] * F(leg.limit_price) * (1 / net if is_buy else net))
        total += F(asset.per_unit) * pick(prices, default=F(0) if is_buy else F(asset.mid))
    return total


def check_against(plan: RoutePlan, single: Plan) -> None:
    """Never less filled than on the home books, and for as much never more paid."""
    assert plan.units >= single.units
    if plan.units == single.units:
        assert plan.side.sign * (plan.cash - single.cash) <= 0
    assert plan.saved_bps >= 0


@some
@given(seed=seeds, side=sides, balances=st.booleans(), step=st.sampled_from(["0.0001", "0.01"]))
def test_every_filter_balance_limit_and_sum_holds_exactly(
    seed: int, side: Side, balances: bool, step: str
) -> None:
    problem = random_routes(seed, side, balances=balances and side is Side.BUY, step=step, cross=seed % 3 == 0)
    with money_context():
        check(problem, plan_routes(problem))
        check(narrow := limited(problem, seed), plan_routes(narrow))


def test_a_fraction_that_the_solver_puts_just_below_zero_is_zero() -> None:
    problem = limited(random_routes(584038, Side.BUY, step="0.0001", cross=584038 % 3 == 0), 584038)
    check(problem, plan_routes(problem))


def test_where_the_simplex_method_gives_up_presolve_finds_its_way() -> None:
    problem = limited(random_routes(691, Side.BUY, step="0.0001"), 691)
    check(problem, plan_routes(problem))


@some
@given(seed=seeds, side=sides)
def test_without_other_currencies_it_is_the_plan_of_one_order(seed: int, side: Side) -> None:
    problem = limited(random_routes(seed, side), seed)
    alone = plan_routes(replace(problem, currencies=(), routes=(), conversions=()))
    single = plan_order(problem.order)
    assert alone.single == single
    assert (alone.units, alone.cash, alone.loss, alone.stopped_by) == (
        single.units,
        single.cash,
        single.loss,
        single.stopped_by,
    )
    assert (alone.cost, alone.bound, alone.gap_bps) == (single.cost, single.bound, single.gap_bps)
    assert (alone.method, alone.saved_bps) == ("closed_form", D(0))
    assert [(leg.symbol, leg.quantity, leg.limit_price, leg.fee) for leg in alone.legs] == [
        (leg.symbol, leg.quantity, leg.limit_price, leg.fee) for leg in single.legs if leg.quantity
    ]


@some
@given(seed=seeds, side=sides)
def test_one_currency_in_the_linear_program_is_the_continuous_order(seed: int, side: Side) -> None:
    problem = random_problem(seed, side, step="0.01")
    if problem.max_loss_bps is not None:
        problem = replace(problem, units_done=ZERO, loss_done=ZERO)
    flows = Program(Books(network_of(RouteProblem(problem))), 1e-12).solve()
    exact = Continuous(problem)
    assert abs(flows.fraction - float(exact.fraction)) < 1e-7
    cash = float(exact.value)
    assert abs(flows.cost * side.sign * float(problem.quantity * problem.nav) - cash) < 1e-6 * max(cash, 1.0)


@some
@given(seed=seeds, side=sides, balances=st.booleans())
def test_merged_ladders_are_the_linear_program_while_conversion_is_flat(
    seed: int, side: Side, balances: bool
) -> None:
    books = Books(network_of(random_routes(seed, side, balances=balances and side is Side.BUY)))
    answer = search(books)
    best = Program(books, 1e-9).solve()
    assert abs(answer.flows.fraction - best.fraction) < 1e-6
    assert answer.flows.cost - best.cost <= FLAT / 10_000 + 1e-8
    if (flat := merged(books)) is not None:
        assert flat.cost >= best.cost - 1e-8


@some
@given(seed=seeds, side=sides)
def test_more_currencies_and_more_depth_never_cost_more(seed: int, side: Side) -> None:
    problem = random_routes(seed, side)
    less = replace(
        problem,
        currencies=problem.currencies[:1],
        routes=tuple(route for route in problem.routes if route.rule.quote == problem.currencies[0].name),
        conversions=problem.conversions[:1],
    )
    deeper = replace(
        problem,
        routes=tuple(
            replace(route, levels=tuple(level._replace(quantity=2 * level.quantity) for level in route.levels))
            for route in problem.routes
        ),
    )
    costs = [Program(Books(network_of(each)), 1e-9).solve() for each in (less, problem, deeper)]
    assert all(more.fraction >= few.fraction - 1e-9 for few, more in pairwise(costs))
    assert all(more.cost <= few.cost + 1e-8 for few, more in pairwise(costs) if few.fraction > 1 - 1e-9)


@some
@given(seed=seeds, side=sides, weights=st.randoms())
def test_whatever_the_multipliers_no_plan_is_below_their_bound(seed: int, side: Side, weights: Random) -> None:
    problem = random_routes(seed, side)
    plan, network = plan_routes(problem), network_of(problem)
    prices = {
        node: mid * D(weights.choice(["0.9", "0.999", "1", "1.0005", "1.1"])) for node, mid in network.mids.items()
    }
    left = {each.currency: max(-each.quantity, ZERO) for each in plan.used if each.currency != problem.home}
    bound = cash_bound(network, prices | {problem.home: ONE}, plan.units, left)
    assert side.sign * (plan.cost - bound) >= 0


@some
@given(seed=seeds, side=sides, order=st.randoms(), slots=st.sampled_from([None, 5]))
def test_the_order_of_the_input_changes_no_byte(seed: int, side: Side, order: Random, slots: int | None) -> None:
    problem = replace(random_routes(seed, side), slots=slots)

    mixed = replace(
        problem,
        order=replace(problem.order, legs=tuple(order.sample(problem.order.legs, len(problem.order.legs)))),
        currencies=tuple(order.sample(problem.currencies, len(problem.currencies))),
        routes=tuple(order.sample(problem.routes, len(problem.routes))),
        conversions=tuple(order.sample(problem.conversions, len(problem.conversions))),
    )
    first, second = plan_routes(problem), plan_routes(mixed)
    assert repr(replace(second, single=first.single)) == repr(first)


@some
@given(seed=seeds)
def test_buying_and_selling_again_never_gains(seed: int) -> None:
    bought, sold = (plan_routes(random_routes(seed, side)) for side in (Side.BUY, Side.SELL))
    assert bought.units == sold.units
    assert sold.cash <= bought.cash


@some
@given(seed=seeds, side=sides, power=st.integers(-2, 2))
def test_units_of_account_of_an_asset_may_change(seed: int, side: Side, power: int) -> None:
    problem = random_routes(seed, side)
    up, down = D(10) ** power, D(10) ** -power

    def rule(each: SymbolRule) -> SymbolRule:
        return replace(
            each,
            tick=each.tick * up,
            min_price=each.min_price * up,
            max_price=each.max_price * up,
            step=each.step * down,
            min_quantity=each.min_quantity * down,
            max_quantity=each.max_quantity * down,
            base_quantum=each.base_quantum * down,
        )

    def ladder(each: tuple[Level, ...]) -> tuple[Level, ...]:
        return tuple(Level(price * up, quantity * down) for price, quantity in each)

    legs = tuple(
        replace(
            leg,
            rule=rule(leg.rule),
            levels=ladder(leg.levels),
            per_unit=leg.per_unit * down,
            mid=leg.mid * up,
            arrival_mid=leg.arrival_mid * up,
        )
        for leg in problem.order.legs
    )
    routes = tuple(
        replace(route, rule=rule(route.rule), levels=ladder(route.levels), mid=route.mid * up)
        for route in problem.routes
    )
    plan = plan_routes(problem)
    scaled = plan_routes(replace(problem, order=replace(problem.order, legs=legs), routes=routes))
    assert (scaled.units, scaled.stopped_by, scaled.method) == (plan.units, plan.stopped_by, plan.method)
    assert abs(scaled.cash - plan.cash) < D("0.001")


@pytest.mark.parametrize("seed", range(40))
def test_no_combination_of_lots_does_better_but_for_what_lots_cost(seed: int) -> None:
    chance = Random(seed)
    home = [(str(D(100) + D(chance.randint(1, 30)) / 100), str(chance.randint(1, 3))), ("101", "9")]
    other = [(str(D(100) + D(chance.randint(1, 30)) / 100), str(chance.randint(1, 3))), ("100.70", "2")]
    rule = make_rule("A", step=D(1), min_quantity=D(1))
    order = make_problem(make_leg("A", *home, rule=rule, per_unit=D("0.9")), quantity=D(5), slack_ticks=0)
    problem = RouteProblem(
        order,
        (make_currency("FDUSD"),),
        (make_route("A", "FDUSD", *other, rule=make_book("A", "FDUSD", step=D(1), min_quantity=D(1))),),
        (
            make_conversion(
                "FDUSD", "USDT", "0.9999 x 9", "1.0001 x 210, 1.001 x 9999", step=D(1), min_quantity=D(1)
            ),
        ),
    )
    plan = plan_routes(problem)
    costs = []
    depths = [
        int(sum(level.quantity for level in ladder)) for ladder in (order.legs[0].levels, problem.routes[0].levels)
    ]
    for lots, others in product(range(depths[0] + 1), range(depths[1] + 1)):
        if lots + others < D("4.5"):
            continue
        spent, last = taken(problem.routes[0].levels, D(others))
        converted = ceil_to(others * last, ONE)
        paid, _ = taken(problem.conversions[0].asks, converted)
        cost = taken(order.legs[0].levels, D(lots))[0] + paid - (converted - spent)
        costs.append(cost - (lots + others - D("4.5")) * 100)
    best = min(costs)
    assert plan.units == 5
    assert best <= plan.cash <= best + 1  # a lot on the dearer book, and a few dollars too many converted


def taken(ladder: tuple[Level, ...], quantity: D) -> tuple[D, D]:
    """Value and last price of a quantity."""
    value, last, rest = ZERO, ladder[0].price, quantity
    for level in ladder:
        if rest > 0:
            part = min(rest, level.quantity)
            value, last, rest = value + part * level.price, level.price, rest - part
    return value, last
