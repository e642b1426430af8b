"""Several orders on one small market, and every promise of their plan, tested without the solver's own sums."""

import random
from dataclasses import replace
from decimal import Decimal
from fractions import Fraction

from tests.unit.solver.solver_cases import make_rule

from etf_trader.market.book import Level
from etf_trader.market.symbol import Side, SymbolRule
from etf_trader.money import ceil_to, round_to
from etf_trader.solver.outcomes import outcomes
from etf_trader.solver.problem import Leg, OrderProblem
from etf_trader.solver.shares import Outcome, SharedAssetOrder, SharedOrder, SharedPlan, Touch

D = Decimal
F = Fraction
ZERO = D(0)

Book = tuple[Decimal, SymbolRule, dict[Side, tuple[Level, ...]], bool]


def random_market(chance: random.Random) -> dict[str, Book]:
    """One to four books with both sides: mid, rule, levels by side, and whether all of it is seen."""
    step = D(chance.choice(["0.01", "0.1", "0.001"]))
    return {f"A{number}": _random_book(chance, f"A{number}", step) for number in range(chance.randint(1, 4))}


def _random_book(chance: random.Random, asset: str, step: Decimal) -> Book:
    mid, fee = D(chance.choice(["100", "10", "2.5"])), D(chance.choice(["0", "0.001", "0.00075"]))
    half = mid * D(chance.choice(["0.0002", "0.001"]))
    sides = {}
    for side in Side:
        price, levels = mid + side.sign * half, []
        for _ in range(chance.randint(1, 5)):
            levels.append(Level(price, D(chance.choice(["0.5", "2", "3", "11", "40"]))))
            price += side.sign * mid * D(chance.choice(["0.0005", "0.001", "0.004"]))
        sides[side] = tuple(levels)
    notional = D(chance.choice(["0", "0", "5"]))
    rule = make_rule(asset, tick=D("0.0001"), step=step, min_quantity=step, taker_fee=fee, min_notional=notional)
    return mid, rule, sides, chance.random() < 0.7


def touches_of(market: dict[str, Book], *, is_fresh: bool = True) -> dict[str, Touch]:
    """The best prices of each book."""
    return {
        asset: Touch(sides[Side.SELL][0].price, sides[Side.BUY][0].price, is_fresh)
        for asset, (_, _, sides, _) in market.items()
    }


def random_orders(seed: int, *, one_side: bool) -> tuple[list[SharedOrder], dict[str, Touch]]:
    """Two to six orders of up to three indices, by chance with limits, parts in hand and a poor float."""
    chance = random.Random(seed)
    market = random_market(chance)
    only = chance.choice(list(Side))
    touches = {
        asset: touch._replace(is_fresh=chance.random() < 0.9) for asset, touch in touches_of(market).items()
    }
    indices = {}
    for number in range(chance.randint(1, 3)):
        assets = sorted(chance.sample(sorted(market), chance.randint(1, len(market))))
        basket = {asset: D(chance.choice(["0.05", "0.3", "1", "1.7"])) for asset in assets}
        residuals = {asset: market[asset][1].step * chance.randint(0, 2) for asset in assets}
        cash_per_unit, float_cash = D(chance.choice(["0", "0", "3.25"])), D(chance.choice(["1e6", "1e6", "30"]))
        indices[f"I{number}"] = (basket, residuals, cash_per_unit, float_cash)
    orders = []
    for key in range(1, chance.randint(3, 7)):
        index = chance.choice(sorted(indices))
        side = only if one_side else chance.choice(list(Side))
        orders.append(SharedOrder(key, index, _random_order(chance, market, indices[index], side)))
    return orders, touches


def _random_order(
    chance: random.Random,
    market: dict[str, Book],
    index: tuple[dict[str, Decimal], dict[str, Decimal], Decimal, Decimal],
    side: Side,
) -> OrderProblem:
    basket, residuals, cash_per_unit, float_cash = index
    has_some = chance.random() < 0.2
    legs = []
    for asset, per_unit in basket.items():
        mid, rule, sides, complete = market[asset]
        held = D(chance.choice(["0", "0.3", "1.25"])) if has_some else ZERO
        paid = held * mid * D(chance.choice(["0.999", "1", "1.002"]))
        arrival = mid * D(chance.choice(["1", "1", "0.9995", "1.001"]))
        legs.append(Leg(asset, rule, per_unit, sides[side], complete, mid, arrival, held, paid, residuals[asset]))
    problem = OrderProblem(
        side, D(chance.choice(["1", "7", "40", "3.33333333"])), tuple(legs), cash_per_unit, float_cash
    )
    if chance.random() < 0.4:
        edge = D(chance.choice(["0", "0.0005", "0.002", "0.01"]))
        problem = replace(problem, limit=round_to(problem.nav * (1 + side.sign * edge), D("0.01")))
    if chance.random() < 0.3:
        problem = replace(problem, max_loss_bps=D(chance.choice(["5", "12", "25", "60", "200"])))
    if side is Side.BUY and chance.random() < 0.4:
        share = D(chance.choice(["0.1", "0.37", "0.9", "1.02"]))
        problem = replace(problem, cash=round_to(problem.nav * problem.quantity * share, D("0.01")))
    return problem


def check(orders: list[SharedOrder], touches: dict[str, Touch], shared: SharedPlan) -> None:
    """Every promise of a shared plan."""
    asked = {order.key: order for order in orders}
    found = outcomes(shared)
    assert set(found) == set(asked)
    legs = {(leg.asset, order.problem.side): leg for order in orders for leg in order.problem.legs}
    for sent in shared.asset_orders:
        _check_sent(sent, legs[sent.asset, sent.side], asked, found)
    sent_assets = {sent.asset for sent in shared.asset_orders}
    assert all(leg.asset in sent_assets for got in found.values() for leg in got.plan.legs if leg.quantity)
    for cross in shared.crosses:
        assert cross.quantity > 0
        assert touches[cross.asset].is_fresh
        assert asked[cross.buyer].problem.side is Side.BUY
        assert asked[cross.seller].problem.side is Side.SELL
    for key, got in found.items():
        for asset in {leg.asset for leg in asked[key].problem.legs}:
            met = [c.quantity for c in shared.crosses if c.asset == asset and key in (c.buyer, c.seller)]
            assert sum(met) == got.crossed.get(asset, ZERO)
        _check_order(asked[key].problem, got)
    for index in {order.index for order in orders}:
        _check_float(index, asked, found)


def check_orders(orders: list[SharedOrder], shared: SharedPlan) -> None:
    """What holds for each order, whoever it meets inside."""
    asked, found = {order.key: order for order in orders}, outcomes(shared)
    legs = {(leg.asset, order.problem.side): leg for order in orders for leg in order.problem.legs}
    for sent in shared.asset_orders:
        _check_sent(sent, legs[sent.asset, sent.side], asked, found)
    for key, got in found.items():
        _check_order(asked[key].problem, got)
    for index in {order.index for order in orders}:
        _check_float(index, asked, found)


def _check_sent(
    sent: SharedAssetOrder, leg: Leg, asked: dict[int, SharedOrder], found: dict[int, Outcome]
) -> None:
    """Whole lots within the book; parts that add up to what the book costs; prices that nobody need exceed."""
    rule, sign = leg.rule, sent.side.sign
    assert sum(piece.quantity for piece in sent.slices) == sent.quantity
    assert sum(share.quantity for share in sent.shares) == sent.quantity
    assert all(sum(share.phases) == share.quantity for share in sent.shares)
    assert all(piece.quantity % rule.step == 0 for piece in sent.slices)
    assert all(piece.quantity >= rule.least_quantity(piece.price) for piece in sent.slices)
    for number, piece in enumerate(sent.slices):
        takers = [share.quantity for share in sent.shares if (share.worst_price - piece.price) * sign >= 0]
        assert sum(each.quantity for each in sent.slices[number:]) <= sum(takers)
    left, value, fee = sent.quantity, ZERO, ZERO
    for price, quantity in leg.levels:
        part = min(left, quantity)
        left, value = left - part, value + part * price
        fee += ceil_to(part * rule.taker_fee * (1 if sign > 0 else price), rule.fee_quantum(sent.side))
    assert left == 0
    mine = {
        key: each
        for key, got in found.items()
        for each in got.plan.legs
        if each.asset == sent.asset and each.quantity
    }
    assert all(asked[key].problem.side is sent.side for key in mine)
    assert sum(each.quantity for each in mine.values()) == sent.quantity
    assert sum(each.value for each in mine.values()) == value
    assert sum(each.fee for each in mine.values()) == fee
    for each in mine.values():
        assert (each.limit_price - each.last_price) * sign >= 0


def _check_order(problem: OrderProblem, got: Outcome) -> None:
    """Limits at the last price and at the orders' own, in exact fractions."""
    plan, sign = got.plan, problem.side.sign
    assert 0 <= plan.units <= problem.quantity
    assert plan.stopped_by
    assert (plan.stopped_by == ("filled",)) == (plan.units == problem.quantity)
    if plan.units and problem.limit is not None:
        assert sign * (_marginal(problem, got, at_order_price=False) - F(problem.limit)) <= 0
        assert sign * (_marginal(problem, got, at_order_price=True) - F(problem.limit)) <= 0
    if plan.units and problem.cash is not None:
        worst = sum(
            F(leg.quantity) * F(leg.limit_price) + F(_met(got, leg.asset)) * F(leg.mid) for leg in plan.legs
        )
        owed = -sum(F(leg.surplus) * F(leg.mid) for leg in plan.legs)
        assert worst + F(problem.cash_per_unit) * F(plan.units) + max(owed, 0) <= F(problem.cash)
    if plan.units and problem.max_loss_bps is not None:
        units = problem.units_done + plan.units
        assert (problem.loss_done + plan.loss.total) * 10000 <= problem.max_loss_bps * units * problem.arrival_nav
    if not any(leg.held for leg in problem.legs):
        assert plan.loss.total == sign * (plan.cash - plan.units * problem.arrival_nav)
    assert (plan.cost - plan.bound) * sign >= -D("1e-12")


def _met(got: Outcome, asset: str) -> Decimal:
    return got.crossed.get(asset, ZERO)


def _marginal(problem: OrderProblem, got: Outcome, *, at_order_price: bool) -> Fraction:
    """The price of an order's last unit, fees included; what a buy holds at the price paid."""
    total, sign = F(problem.cash_per_unit), problem.side.sign
    for leg, planned in zip(problem.legs, got.plan.legs, strict=True):
        price = F(planned.limit_price if at_order_price else planned.last_price)
        net = 1 - F(leg.rule.taker_fee)
        each = price / net if sign > 0 else price * net
        if not planned.quantity and _met(got, leg.asset):
            each = F(leg.mid)
        if sign > 0 and leg.held:
            paid = F(leg.held_cost) / F(leg.held)
            each = paid if leg.per_unit * got.plan.units <= leg.held else max(paid, each)
        total += F(leg.per_unit) * each
    return total


def _check_float(index: str, asked: dict[int, SharedOrder], found: dict[int, Outcome]) -> None:
    """The float can pay what it takes, and has what it gives."""
    mine = [key for key, order in asked.items() if order.index == index]
    pays = sum(F(leg.surplus) * F(leg.mid) for key in mine for leg in found[key].plan.legs)
    assert pays <= F(asked[mine[0]].problem.float_cash)
    for leg in asked[mine[0]].problem.legs:
        takes = sum(each.surplus for key in mine for each in found[key].plan.legs if each.asset == leg.asset)
        assert leg.residual + takes >= 0
