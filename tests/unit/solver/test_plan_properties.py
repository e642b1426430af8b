"""What holds for every plan of one order, over random small markets."""

from dataclasses import replace
from decimal import Decimal as D
from fractions import Fraction as F
from itertools import product

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.effort import examples
from tests.unit.solver.solver_cases import make_leg, random_problem

from etf_trader.market.book import Level
from etf_trader.market.symbol import Side
from etf_trader.money import divide, round_to
from etf_trader.orders.plan import Plan, PlannedLeg
from etf_trader.solver.lots import LegRule
from etf_trader.solver.order import plan_order, smallest_quantity
from etf_trader.solver.problem import Leg, OrderProblem

many = settings(max_examples=examples(150), deadline=None, suppress_health_check=[HealthCheck.too_slow])
seeds = st.integers(0, 10**6)
sides = st.sampled_from(list(Side))
steps = st.sampled_from(["0.01", "0.1", "0.001"])


def marginal(problem: OrderProblem, plan: Plan, *, at_order_price: bool) -> F:
    """The price of one more unit, fees included, in exact fractions; what a buy holds at the price paid."""
    total = F(problem.cash_per_unit)
    for leg, planned in zip(problem.legs, plan.legs, strict=True):
        price = F(planned.limit_price if at_order_price else planned.last_price)
        net = 1 - F(leg.rule.taker_fee)
        each = price / net if problem.side is Side.BUY else price * net
        if problem.side is Side.BUY and leg.held:
            paid = F(leg.held_cost) / F(leg.held)
            each = paid if leg.per_unit * plan.units <= leg.held else max(paid, each)
        total += F(leg.per_unit) * each
    return total


def worst_cash(problem: OrderProblem, plan: Plan) -> F:
    """The most that a buy may pay: each order at its own price, the basket's cash, its debt to the float."""
    orders = sum((F(leg.quantity) * F(leg.limit_price) for leg in plan.legs), F(0))
    surplus = sum((F(leg.surplus) * F(leg.mid) for leg in plan.legs), F(0))
    return orders + F(problem.cash_per_unit) * F(plan.units) + max(-surplus, F(0))


def check(problem: OrderProblem, plan: Plan) -> None:
    """Every promise of a plan, tested without the solver's own sums."""
    sign = problem.side.sign
    assert 0 <= plan.units <= problem.quantity
    assert (plan.stopped_by == ("filled",)) == (plan.units == problem.quantity)
    if problem.limit is not None and plan.units:
        for at_order_price in (False, True):
            assert sign * (marginal(problem, plan, at_order_price=at_order_price) - F(problem.limit)) <= 0
    if problem.cash is not None:
        assert worst_cash(problem, plan) <= F(problem.cash) or plan.units == 0
    assert sum(leg.surplus * leg.mid for leg in plan.legs) <= problem.float_cash
    if problem.max_loss_bps is not None and plan.units:
        units = problem.units_done + plan.units
        assert (problem.loss_done + plan.loss.total) * 10000 <= problem.max_loss_bps * units * problem.arrival_nav
    for leg, planned in zip(problem.legs, plan.legs, strict=True):
        check_leg(problem.side, leg, planned)
        if plan.units and planned.quantity:
            least = leg.rule.least_quantity(min(planned.limit_price, planned.touch))
            assert leg.residual + planned.surplus <= max(leg.rule.step, least)
    assert (plan.cost - plan.bound) * sign >= 0
    if not any(leg.held for leg in problem.legs):
        assert plan.loss.total == sign * (plan.cash - plan.units * problem.arrival_nav)


def check_leg(side: Side, leg: Leg, planned: PlannedLeg) -> None:
    """The venue's filters, the depth of the book, and a float that is never short."""
    quantity, price, rule = planned.quantity, planned.limit_price, leg.rule
    assert leg.residual + planned.surplus >= 0
    if quantity == 0:
        return
    assert quantity % rule.step == 0
    assert quantity >= rule.least_quantity(price)
    assert quantity <= sum(level.quantity for level in leg.levels)
    low, high = rule.price_bounds(side, leg.mid)
    assert low <= price <= high


@many
@given(seed=seeds, side=sides, step=steps, spare=st.booleans(), least=st.sampled_from(["0", "5", "60"]))
def test_every_limit_filter_and_balance_holds_exactly(
    seed: int, side: Side, step: str, spare: bool, least: str
) -> None:
    problem = random_problem(seed, side, step=step, spare=spare)
    legs = tuple(replace(leg, rule=replace(leg.rule, min_notional=D(least))) for leg in problem.legs)
    problem = replace(problem, legs=legs)
    check(problem, plan_order(problem))
    for cash in ("0", "0.3", "4"):
        check(poor := replace(problem, float_cash=D(cash)), plan_order(poor))


@many
@given(seed=seeds, side=sides, step=steps)
def test_more_depth_cash_or_limit_never_fills_less(seed: int, side: Side, step: str) -> None:
    problem = replace(random_problem(seed, side, step=step), max_loss_bps=None)
    units = plan_order(problem).units
    deeper = tuple(
        replace(leg, levels=tuple(Level(price, quantity * 2) for price, quantity in leg.levels))
        for leg in problem.legs
    )
    assert plan_order(replace(problem, legs=deeper)).units >= units
    if problem.limit is not None:
        looser = problem.limit * (1 + side.sign * D("0.001"))
        assert plan_order(replace(problem, limit=looser)).units >= units
    if problem.cash is not None:
        assert plan_order(replace(problem, cash=problem.cash * D("1.05"))).units >= units


@many
@given(seed=seeds, side=sides)
def test_more_loss_allowed_fills_no_less_but_for_a_few_lots(seed: int, side: Side) -> None:
    problem = replace(
        random_problem(seed, side, step="0.001"), max_loss_bps=D(20), units_done=D(0), loss_done=D(0)
    )
    lots = 4 * max(divide(leg.rule.step, leg.per_unit) for leg in problem.legs)
    assert plan_order(replace(problem, max_loss_bps=D(25))).units >= plan_order(problem).units - lots


@many
@given(seed=seeds, side=sides)
def test_levels_beyond_the_plan_change_nothing(seed: int, side: Side) -> None:
    problem = random_problem(seed, side, step="0.01")
    plan = plan_order(problem)
    if plan.stopped_by != ("filled",):
        return
    legs = []
    for leg in problem.legs:
        end = leg.levels[-1].price * (1 + side.sign * D("0.01"))
        legs.append(replace(leg, levels=(*leg.levels, Level(end, D(1000)))))
    assert plan_order(replace(problem, legs=tuple(legs))) == plan


@many
@given(seed=seeds, side=sides, power=st.integers(-3, 3))
def test_prices_and_quantities_may_change_their_scale(seed: int, side: Side, power: int) -> None:
    problem = random_problem(seed, side, step="0.01", spare=True)
    up, down = D(10) ** power, D(10) ** -power
    legs = tuple(
        replace(
            leg,
            per_unit=leg.per_unit * down,
            levels=tuple(Level(price * up, quantity * down) for price, quantity in leg.levels),
            mid=leg.mid * up,
            arrival_mid=leg.arrival_mid * up,
            held=leg.held * down,
            residual=leg.residual * down,
            rule=replace(
                leg.rule,
                tick=leg.rule.tick * up,
                min_price=leg.rule.min_price * up,
                max_price=leg.rule.max_price * up,
                step=leg.rule.step * down,
                min_quantity=leg.rule.min_quantity * down,
                base_quantum=leg.rule.base_quantum * down,
            ),
        )
        for leg in problem.legs
    )
    plan, scaled = plan_order(problem), plan_order(replace(problem, legs=legs))
    assert (scaled.units, scaled.cash, scaled.loss, scaled.stopped_by) == (
        plan.units,
        plan.cash,
        plan.loss,
        plan.stopped_by,
    )


@many
@given(seed=seeds, side=sides)
def test_a_basket_split_into_smaller_units_gives_the_same_orders(seed: int, side: Side) -> None:
    problem = replace(random_problem(seed, side, step="0.01"), limit=None, max_loss_bps=None, cash=None)
    legs = tuple(replace(leg, per_unit=leg.per_unit / 10) for leg in problem.legs)
    smaller = replace(problem, quantity=problem.quantity * 10, legs=legs, cash_per_unit=problem.cash_per_unit / 10)
    plan, split = plan_order(problem), plan_order(smaller)
    assert 0 <= split.units - plan.units * 10 < D("1e-7")
    assert [leg.quantity for leg in split.legs] == [leg.quantity for leg in plan.legs]


@many
@given(seed=seeds, side=sides, order=st.randoms())
def test_the_order_of_the_legs_changes_nothing(seed: int, side: Side, order: st.DrawFn) -> None:
    problem = random_problem(seed, side, step="0.01", spare=True)
    legs = list(problem.legs)
    order.shuffle(legs)  # type: ignore[attr-defined]
    plan, mixed = plan_order(problem), plan_order(replace(problem, legs=tuple(legs)))
    by_asset = {leg.asset: leg for leg in mixed.legs}
    assert repr(replace(mixed, legs=tuple(by_asset[leg.asset] for leg in plan.legs))) == repr(plan)


@many
@given(seed=seeds, least=st.sampled_from(["0", "5", "30"]))
def test_buying_and_selling_again_never_gains(seed: int, least: str) -> None:
    problem = random_problem(seed, Side.BUY, step="0.01", limits=False)
    legs = tuple(replace(leg, rule=replace(leg.rule, min_notional=D(least))) for leg in problem.legs)
    bought = plan_order(problem := replace(problem, legs=legs))
    back = tuple(
        replace(
            leg,
            levels=tuple(Level(2 * leg.mid - price, quantity) for price, quantity in leg.levels),
            residual=leg.residual + planned.surplus,
        )
        for leg, planned in zip(legs, bought.legs, strict=True)
    )
    paid = sum((leg.surplus * leg.mid for leg in bought.legs), D(0))
    sell = replace(
        problem, side=Side.SELL, legs=back, quantity=bought.units, float_cash=problem.float_cash - paid, cash=None
    )
    sold = plan_order(sell)
    assert sold.units <= bought.units
    if sold.units == bought.units:
        assert sold.cash <= bought.cash


@many
@given(seed=seeds, side=sides)
def test_nothing_wanted_costs_nothing(seed: int, side: Side) -> None:
    problem = replace(random_problem(seed, side, step="0.01"), quantity=D(0))
    plan = plan_order(problem)
    assert (plan.units, plan.cash, plan.loss.total, plan.stopped_by) == (D(0), D(0), D(0), ("filled",))


def brute_force(problem: OrderProblem) -> D:
    """The most units over every combination of lots, by trying them all (buys without --max-loss)."""
    rules = [LegRule(leg, problem.side) for leg in problem.legs]
    choices = []
    for leg, rule in zip(problem.legs, rules, strict=True):
        lots = int(sum(level.quantity for level in leg.levels) // leg.rule.step)
        choices.append([n * leg.rule.step for n in range(lots + 1) if n == 0 or n * leg.rule.step >= rule.least])
    best = D(0)
    for quantities in product(*choices):
        takes = [rule.ladder.take(quantity) for rule, quantity in zip(rules, quantities, strict=True)]
        pairs = list(zip(problem.legs, quantities, takes, strict=True))
        lasts = F(problem.cash_per_unit)
        lasts += sum(
            (F(leg.per_unit) * F(take.last) / (1 - F(leg.rule.taker_fee)) for leg, _, take in pairs), F(0)
        )
        if problem.limit is not None and lasts > F(problem.limit):
            continue
        covered = [
            (quantity - take.fee + leg.residual) // (leg.per_unit * D("1e-8")) for leg, quantity, take in pairs
        ]
        units = min(*covered, problem.quantity / D("1e-8")) * D("1e-8")
        float_pays = sum((quantity - take.fee - leg.per_unit * units) * leg.mid for leg, quantity, take in pairs)
        orders = sum((quantity * take.last for _, quantity, take in pairs), problem.cash_per_unit * units)
        reserve = orders + max(-float_pays, D(0))
        if float_pays <= problem.float_cash and (problem.cash is None or reserve <= problem.cash):
            best = max(best, units)
    return best


@pytest.mark.parametrize("block", range(4))
def test_no_combination_of_lots_does_better_than_the_residual_rule(block: int) -> None:
    for seed in range(block * 100, block * 100 + 100):
        problem = random_problem(seed, Side.BUY, step="0.5", limits=False)
        legs = tuple(
            replace(
                leg,
                levels=tuple(Level(price, min(quantity, D(2))) for price, quantity in leg.levels[:3]),
                residual=D(seed % 3) / 8,
                rule=replace(leg.rule, min_notional=divide(seed % 4 * leg.mid, D(3), D("0.01"))),
            )
            for leg in problem.legs[:3]
        )
        limit = None if seed % 2 else round_to(problem.nav * D("1.003"), D("0.01"))
        tiny = replace(problem, legs=legs, limit=limit, float_cash=D([0, 3, 20, 60, 500][seed % 5]))
        if seed % 3 == 0:
            tiny = replace(tiny, cash=tiny.nav * 3)
        expected = brute_force(tiny)
        plan = plan_order(tiny)
        if tiny.cash is None:
            assert plan.units == expected, seed
        else:  # with cash a larger z of the same lots may only lack cents
            assert expected <= plan.units <= tiny.quantity, seed
        check(tiny, plan)


@many
@given(seed=seeds, side=sides, cash=st.sampled_from(["0.2", "1", "5", "20"]), probe=st.integers(1, 10**8))
def test_the_smallest_quantity_works_and_none_below_does(seed: int, side: Side, cash: str, probe: int) -> None:
    problem = random_problem(seed, side, step="0.01", limits=False)
    legs = tuple(
        replace(
            leg,
            levels=(*leg.levels, Level(leg.levels[-1].price + side.sign * D("0.01"), D(10**6))),
            rule=replace(leg.rule, min_notional=D(7)),
            residual=D("0.003"),
        )
        for leg in problem.legs
    )
    problem = replace(problem, legs=legs, float_cash=D(cash))
    least = smallest_quantity(problem)
    assert least is not None
    assert plan_order(replace(problem, quantity=least)).units == least
    below = least * probe // D("1e8") // D("1e-8") * D("1e-8")
    if below < least:
        assert plan_order(replace(problem, quantity=below)).units == 0


def test_a_leg_of_no_weight_is_left_alone() -> None:
    problem = random_problem(5, Side.BUY, step="0.01", limits=False)
    with_ghost = replace(problem, legs=(*problem.legs, make_leg("GHOST", per_unit=D(0))))
    plan, ghosted = plan_order(problem), plan_order(with_ghost)
    assert ghosted.legs[:-1] == plan.legs
    assert (ghosted.units, ghosted.cash, ghosted.legs[-1].quantity) == (plan.units, plan.cash, D(0))
