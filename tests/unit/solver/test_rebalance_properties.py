"""What holds of every rebalance: two ways to one optimum, exact sums, rules of the venue, and the proof."""

import random
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tests.effort import examples
from tests.unit.solver.rebalance_cases import make_constituent, make_rebalance, offers_of, random_rebalance
from tests.unit.solver.solver_cases import D

from etf_trader.market.book import Level
from etf_trader.market.symbol import Side
from etf_trader.money import money_context, round_to
from etf_trader.orders.rebalance import RebalancePlan
from etf_trader.solver.rebalance import plan_rebalance
from etf_trader.solver.rebalance_bound import nav_bound
from etf_trader.solver.rebalance_problem import Aim, Bands, Exact, RebalanceProblem, Tracking
from etf_trader.solver.rebalance_trades import cheapest_trades, exact_trades

SEEDS = st.integers(0, 10**9)
AIMS = st.sampled_from([Exact(), Bands(D("0.03")), Tracking(D(25)), Tracking(D(200))])


@settings(max_examples=examples(60), deadline=None)
@given(SEEDS, st.booleans())
def test_the_program_finds_what_bisection_finds(seed: int, orders: bool) -> None:
    with money_context():
        problem = random_rebalance(seed, Exact(), orders=orders)
        offers = offers_of(problem)
        exact = exact_trades(problem, *offers)
        assert exact is not None
        found = cheapest_trades(problem, *offers, 0.0)
    assert found.nav_after == pytest.approx(exact.nav_after, abs=1e-9)
    assert found.amounts == pytest.approx(exact.amounts, abs=1e-7)
    assert found.off < 1e-8 and found.short < 1e-8
    held = np.array([float(each.value) / float(problem.nav) for each in problem.constituents]) + exact.amounts
    targets = np.array([float(each.weight) for each in problem.constituents]) * exact.nav_after
    assert held == pytest.approx(targets, abs=1e-12)


def test_what_is_only_sold_as_costs_take_a_part_of_all_is_sold() -> None:
    wide = {"bids": (Level(D(8), D(10**6)),), "asks": (Level(D(12), D(10**6)),)}
    problem = make_rebalance(
        make_constituent("A", holding=D(7), weight=D("0.1"), **wide),
        make_constituent("B", holding=D(0), weight=D("0.58"), **wide),
        make_constituent("C", holding=D(3), weight=D("0.32"), **wide),
    )
    with money_context():
        exact = exact_trades(problem, *offers_of(problem))
        assert exact is not None
        found = cheapest_trades(problem, *offers_of(problem), 0.0)
    assert exact.nav_after < 0.85 and exact.amounts[2] < 0
    assert found.nav_after == pytest.approx(exact.nav_after, abs=1e-9)
    assert found.amounts == pytest.approx(exact.amounts, abs=1e-7)
    assert exact.cash == pytest.approx(float(problem.reserve) * exact.nav_after, abs=1e-12)


def check_sums(problem: RebalanceProblem, plan: RebalancePlan) -> None:
    """Every figure of a plan again, from the fills alone."""
    by_name = {each.asset: each for each in problem.constituents}
    cash, value, cost = problem.cash, D(0), D(0)
    waves = dict.fromkeys((1, 2), D(0))
    for leg in plan.legs:
        each = by_name[leg.asset]
        held = each.holding
        if leg.side is Side.BUY:
            held += leg.quantity - leg.fee + leg.inside
            paid = leg.value + leg.inside * each.mid
            cash -= paid
            waves[leg.wave] += leg.worst_cash
        elif leg.side is Side.SELL:
            held -= leg.quantity + leg.inside
            cash += leg.value - leg.fee + leg.inside * each.mid
            assert leg.wave == 1
        else:
            assert leg.wave == 0 and not (leg.quantity or leg.inside or leg.value)
        assert held == leg.holding_after >= 0
        value += held * each.mid
        cost += leg.cost
        assert leg.quantity % each.rule.step == 0
        if leg.quantity:
            assert leg.quantity >= each.rule.least_quantity(leg.last_price)
            depth = sum((level.quantity for level in each.levels(leg.side or Side.BUY)), D(0))
            assert leg.quantity <= depth
    assert cash == plan.cash_after >= 0
    assert value + cash == plan.nav_after
    assert plan.nav_before - plan.nav_after == plan.cost == cost
    reserve = problem.reserve * plan.nav_after
    if waves[1]:
        assert problem.cash - waves[1] >= min(reserve, problem.cash)
    if waves[1] or waves[2]:
        brought = sum((leg.cash for leg in plan.legs if leg.side is Side.SELL), D(0))
        assert cash >= problem.cash + brought - waves[1] - waves[2] >= reserve


@settings(max_examples=examples(60), deadline=None)
@given(SEEDS, AIMS, st.booleans(), st.booleans(), st.sampled_from(["0.0001", "0.01", "1"]))
@example(712, Exact(), False, False, "0.0001")  # an asset not held has bids that nobody can sell into
@example(712, Exact(), False, True, "0.0001")  # free trades inside: NAV after is NAV before
@example(50946, Tracking(D(200)), False, True, "0.0001")  # a reserve that cannot be reached
@example(1026, Exact(), False, True, "1")  # bought inside, sold in lots of one
@example(4181, Tracking(D(200)), False, False, "0.0001")  # cash that cannot grow, and an asset nobody wants
def test_a_plan_adds_up_keeps_every_rule_and_never_owes(
    seed: int, aim: Aim, deep: bool, orders: bool, step: str
) -> None:
    with money_context():
        problem = random_rebalance(seed, aim, deep=deep, orders=orders, step=step)
        plan = plan_rebalance(problem)
        check_sums(problem, plan)
        assert plan.gap_bps <= D("0.05")


@settings(max_examples=examples(30), deadline=None)
@given(SEEDS, AIMS, st.integers(0, 10**6))
def test_the_order_of_the_constituents_changes_no_byte(seed: int, aim: Aim, shuffle: int) -> None:
    with money_context():
        problem = random_rebalance(seed, aim, deep=False, orders=True)
        shuffled = list(problem.constituents)
        random.Random(shuffle).shuffle(shuffled)
        assert repr(plan_rebalance(replace(problem, constituents=tuple(shuffled)))) == repr(
            plan_rebalance(problem)
        )


@settings(max_examples=examples(30), deadline=None)
@given(SEEDS, AIMS, st.sampled_from([-3, 2, 5]))
def test_dearer_and_fewer_is_the_same_plan(seed: int, aim: Aim, scale: int) -> None:
    with money_context():
        plan = plan_rebalance(random_rebalance(seed, aim))
        scaled = plan_rebalance(random_rebalance(seed, aim, scale=scale))
        for leg, other in zip(plan.legs, scaled.legs, strict=True):
            assert (leg.side, leg.why_skipped) == (other.side, other.why_skipped)
            # floats differ in their last digit, and with it a lot may: of 50 to 1,000 in all
            assert abs(leg.quantity.scaleb(-scale) - other.quantity) * other.mid <= D("0.05")
        assert abs(plan.cost - scaled.cost) < D("0.001")


@settings(max_examples=examples(40), deadline=None)
@given(SEEDS, st.integers(0, 60), st.integers(0, 60), st.booleans())
def test_a_wider_band_never_costs_more(seed: int, narrow: int, more: int, deep: bool) -> None:
    with money_context():
        problem = random_rebalance(seed, Bands(D(narrow) / 1000), deep=deep)
        wider = replace(problem, aim=Bands(D(narrow + more) / 1000))
        offers = offers_of(problem)
        near, far = (cheapest_trades(each, *offers, 0.0) for each in (problem, wider))
    assert far.off <= near.off + 1e-9
    if near.off < 1e-9 and near.short < 1e-9:
        assert far.nav_after >= near.nav_after - 1e-9


@settings(max_examples=examples(40), deadline=None)
@given(SEEDS, AIMS, st.sampled_from([0.1, 2.0]))
def test_joined_levels_lose_no_more_than_their_error(seed: int, aim: Aim, eps_bps: float) -> None:
    with money_context():
        problem = random_rebalance(seed, aim, deep=False)
        offers = offers_of(problem)
        fine, joined = (cheapest_trades(problem, *offers, eps) for eps in (0.0, eps_bps))
    # the price of being off follows the dearest level left, which joining moves
    lost = fine.objective - joined.nav_after + fine.prices.off * joined.off + fine.prices.short * joined.short
    # joined levels cost less than they were thought to, which may leave a little more cash than there may be
    assert -1e-6 <= lost <= eps_bps / 1e4 + 1e-8


@settings(max_examples=examples(40), deadline=None)
@given(SEEDS, st.integers(0, 100), st.integers(0, 100))
def test_dearer_tracking_is_nearer_and_costs_more(seed: int, price: int, more: int) -> None:
    with money_context():
        problem = random_rebalance(seed, Tracking(D(price)))
        offers = offers_of(problem)
        near = cheapest_trades(replace(problem, aim=Tracking(D(price + more))), *offers, 0.0)
        far = cheapest_trades(problem, *offers, 0.0)
    if far.short < 1e-9 and near.short < 1e-9:
        assert near.off <= far.off + 1e-7
        assert near.nav_after <= far.nav_after + 1e-7


@settings(max_examples=examples(40), deadline=None)
@given(SEEDS, st.sampled_from([12, 15, 25, 60]))
def test_a_price_of_tracking_sells_no_more_than_it_buys(seed: int, price: int) -> None:
    with money_context():
        problem = random_rebalance(seed, Tracking(D(price)))
        found = cheapest_trades(problem, *offers_of(problem), 0.0)
    most = max(float(problem.cash) / float(problem.nav), float(problem.reserve))
    assert found.cash <= most + 1e-7


@settings(max_examples=examples(40), deadline=None)
@given(SEEDS)
def test_tracking_below_fee_and_half_spread_trades_nothing(seed: int) -> None:
    with money_context():
        # the narrowest of the random books has 0.5 bps from mid to touch, and perhaps no fee
        problem = random_rebalance(seed, Tracking(D("0.49")))
        plan = plan_rebalance(problem)
        if problem.cash >= problem.reserve * problem.nav:
            assert plan.cost == 0 and plan.waves == 0


@settings(max_examples=examples(30), deadline=None)
@given(st.lists(st.integers(0, 4), min_size=2, max_size=5), AIMS)
def test_at_zero_drift_nothing_is_traded(parts: list[int], aim: Aim) -> None:
    with money_context():
        constituents = tuple(
            make_constituent(f"A{number}", holding=D(part), weight=D(part) / 20)
            for number, part in enumerate(parts)
        )
        plan = plan_rebalance(make_rebalance(*constituents, aim=aim, cash=str(10 * (20 - sum(parts)))))
    assert plan.waves == 0 and plan.cost == 0
    assert not any(leg.why_skipped for leg in plan.legs)


@settings(max_examples=examples(50), deadline=None)
@given(SEEDS)
def test_with_orders_in_one_solve_both_together_never_cost_more_than_apart(seed: int) -> None:
    with money_context():
        problem = random_rebalance(seed, Exact(), orders=True, step="0.0000001")
        free = [replace(each, rule=replace(each.rule, min_notional=D(0))) for each in problem.constituents]
        plan = plan_rebalance(replace(problem, constituents=tuple(free)))
        assert plan.saving is None or plan.saving >= D("-0.00001")


@settings(max_examples=examples(50), deadline=None)
@given(SEEDS, AIMS, st.booleans(), st.integers(0, 10**6))
def test_whatever_the_multipliers_no_plan_beats_the_bound(seed: int, aim: Aim, orders: bool, chance: int) -> None:
    with money_context():
        problem = random_rebalance(seed, aim, orders=orders)
        offers = offers_of(problem)
        best = cheapest_trades(problem, *offers, 0.0)
        draw = random.Random(chance)
        nav = D(1) + D(draw.randint(-100, 100)) / 100_000
        reach = min(D(repr(round(best.prices.off, 9))), D("0.01"))
        worth = {
            each.asset: round_to(nav + reach * draw.randint(-100, 100) / 100, D("1e-12")) * each.mid
            for each in problem.constituents
        }
        bound = nav_bound(problem, *offers, worth | {"USDT": nav + D(draw.randint(0, 100)) / 10_000}, nav)
        assert float(bound) >= best.objective * float(problem.nav) * (1 - 1e-9)
