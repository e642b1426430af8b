"""What any size costs, where books end, and what orders asset by asset come to."""

from dataclasses import replace
from decimal import Decimal
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.effort import examples
from tests.unit.solver.solver_cases import make_leg, make_problem, make_rule, random_problem

from etf_trader.market.book import Level
from etf_trader.market.symbol import Side
from etf_trader.money import bps, money_context
from etf_trader.solver.closed_form import index_curve
from etf_trader.solver.order import float_needed, plan_order
from etf_trader.solver.problem import OrderProblem
from etf_trader.solver.quote import (
    BookEnd,
    Naive,
    book_ends,
    even_sizes,
    float_for_any_size,
    limits_by_asset,
    market_orders,
    round_sizes,
    size_costs,
    unlimited,
)

D = Decimal
SIDES = st.sampled_from([Side.BUY, Side.SELL])
SEEDS = st.integers(min_value=0, max_value=10**6)


def two_assets(**changes: object) -> OrderProblem:
    """A buy of 10 units of one A and one B, both worth 100: ten A at 101, four B at 100.50."""
    return make_problem(make_leg("A", ("101", "10")), make_leg("B", ("100.5", "4")), **changes)


def bids(price: str) -> dict[str, tuple[Level, ...]]:
    return {asset: (Level(D(price), D(100)),) for asset in ("A", "B")}


@pytest.mark.parametrize(
    ("least", "most", "sizes"),
    [
        pytest.param("10", "600", "10 20 50 100 200 500", id="1, 2, 5"),
        pytest.param("3", "7.5", "5", id="within a decade"),
        pytest.param("0.03", "0.2", "0.05 0.1 0.2", id="below one"),
        pytest.param("0.5", "30000", "1 10 100 1000 10000", id="many decades"),
        pytest.param("1e-8", "3e-8", "1e-8 2e-8", id="the smallest units"),
        pytest.param("6", "7", "", id="none is round"),
    ],
)
def test_sizes_are_round(least: str, most: str, sizes: str) -> None:
    assert round_sizes(D(least), D(most)) == [D(size) for size in sizes.split()]


def test_books_end_where_their_last_level_does() -> None:
    with money_context():
        assert book_ends(two_assets()) == [BookEnd("B", "BUSDT", D(4), True), BookEnd("A", "AUSDT", D(10), True)]


def test_a_fee_and_what_the_float_has_move_the_end_of_a_buy() -> None:
    leg = make_leg(
        "A", ("101", "10"), rule=make_rule("A", taker_fee=D("0.001")), residual=D("0.5"), complete=False
    )
    with money_context():
        # 10 x .999 + .5 = 10.49
        assert book_ends(make_problem(leg)) == [BookEnd("A", "AUSDT", D("10.49"), False)]
        assert book_ends(make_problem(leg, side=Side.SELL))[0].units == D(10)


def test_a_least_order_of_every_asset_is_float_for_any_size() -> None:
    legs = [
        make_leg("A", ("101", "10"), rule=make_rule("A", min_notional=D(5))),
        make_leg("B", ("2.5", "4"), rule=make_rule("B", step=D(1)), mid=D("2.4"), residual=D("0.25")),
    ]
    with money_context():
        # A: 5 / 101 = .0495, so .05 worth 5.00; B: one lot less a quarter, .75 x 2.40 = 1.80
        assert float_for_any_size(make_problem(*legs)) == D("6.80")


@given(SEEDS, SIDES, st.sampled_from(["0.01", "0.5"]), st.integers(min_value=1, max_value=10**9))
@settings(max_examples=examples(50), deadline=None)
def test_no_size_needs_more_float_than_that(seed: int, side: Side, step: str, size: int) -> None:
    problem = random_problem(seed, side, step=step, limits=False)
    with money_context():
        legs = tuple(replace(leg, rule=replace(leg.rule, min_notional=D(5))) for leg in problem.legs)
        problem = replace(problem, legs=legs, quantity=size * D("1e-8"))
        within = plan_order(replace(unlimited(problem))).units
        if within:
            assert float_needed(replace(problem, quantity=within)) <= float_for_any_size(problem)


@given(SEEDS, SIDES)
@settings(max_examples=examples(30), deadline=None)
def test_a_size_costs_what_its_plan_does_and_the_closed_form_says(seed: int, side: Side) -> None:
    problem = random_problem(seed, side, step="1e-8", limits=False)
    with money_context():
        problem = replace(problem, legs=tuple(replace(leg, arrival_mid=leg.mid) for leg in problem.legs))
        most = plan_order(replace(unlimited(problem), quantity=book_ends(problem)[0].units)).units
        points = size_costs(problem, even_sizes(most / 100, most))
        assert points[-1].units == most
        assert all(left.units < right.units for left, right in pairwise(points))
        curve, _ = index_curve(replace(problem, quantity=most))
        for point in points[:: len(points) // 4]:
            plan = plan_order(replace(unlimited(problem), quantity=point.units))
            assert point[:4] == (plan.units, plan.cash, plan.marginal_price, plan.loss)
            assert point.loss_bps == bps(plan.loss.total, point.units * problem.nav)
            assert float(point.loss_bps) == pytest.approx(
                curve.loss_bps(float(point.units) / float(most)), abs=0.05
            )


def test_sizes_that_the_books_do_not_hold_have_no_cost() -> None:
    sizes = [D(1), D(4), D("4.01"), D(10)]
    assert [row.units for row in size_costs(two_assets(), sizes)] == [D(1), D(4)]
    assert size_costs(two_assets(), []) == []


def test_even_sizes_grow_by_one_ratio_and_hold_both_ends() -> None:
    sizes = even_sizes(D(1), D(1000))
    assert (sizes[0], sizes[-1], len(sizes)) == (D(1), D(1000), 96)
    ratios = [float(right) / float(left) for left, right in pairwise(sizes)]
    assert max(ratios) - min(ratios) < 1e-6
    assert even_sizes(D("1e-8"), D("3e-8")) == [D("1e-8"), D("2e-8"), D("3e-8")]


@pytest.mark.parametrize(("least", "most"), [("1", "1"), ("2", "1"), ("0", "1")])
def test_between_no_sizes_there_are_none(least: str, most: str) -> None:
    assert even_sizes(D(least), D(most)) == []


def test_market_orders_strand_what_the_thinnest_book_cannot_match() -> None:
    with money_context():
        # A 10 at 101 loses 10, B 4 at 100.50 loses 2; six A, worth 600, are sold again at 99 and lose 6
        assert market_orders(two_assets(), bids("99")) == Naive(D(4), D(600), D(12), D(6))


def test_the_way_back_pays_its_fee() -> None:
    legs = [replace(leg, rule=replace(leg.rule, taker_fee=D("0.01"))) for leg in two_assets().legs]
    with money_context():
        found = market_orders(make_problem(*legs, quantity=D(10)), bids("99"))
        # 3.96 B arrive of four; of A all ten, 9.90 after fee: 5.94 too many, sold for 588.06 less 5.8806
        assert (found.units, found.stranded) == (D("3.96"), D(594))
        assert found.unwinding == D("11.8206")


def test_a_limit_asset_by_asset_can_buy_nothing_that_makes_a_unit() -> None:
    # 201.60 a unit is .8% over the mids: no A at 101, all four B at 100.50; together they cost 201.50
    problem = two_assets(limit=D("201.6"))
    with money_context():
        assert limits_by_asset(problem, bids("99")) == Naive(D(0), D(400), D(2), D(4))
        assert plan_order(problem).units == D(4)


def test_a_loss_limit_asset_by_asset_is_a_distance_from_mid_after_the_fee() -> None:
    problem = two_assets(max_loss_bps=D(100))
    with money_context():
        found = limits_by_asset(problem, bids("99"))
        assert found is not None
        assert found.units == D(4)
        legs = tuple(replace(leg, rule=replace(leg.rule, taker_fee=D("0.001"))) for leg in problem.legs)
        dearer = limits_by_asset(replace(problem, legs=legs), bids("99"))
        assert dearer is not None
        assert dearer.units == D(0)  # 101 / .999 = 101.10 is beyond 101


def test_the_cash_of_a_basket_has_no_price_to_lose() -> None:
    # a unit is 200 of assets and 100 of cash: 302 leaves 1% of the assets
    problem = two_assets(limit=D(302), cash_per_unit=D(100))
    with money_context():
        found = limits_by_asset(problem, bids("99"))
        assert found is not None
        assert found.units == D(4)


def test_a_limit_on_a_sell_bounds_from_below() -> None:
    legs = (make_leg("A", ("99", "10")), make_leg("B", ("99.5", "4")))
    problem = make_problem(*legs, side=Side.SELL, limit=D("198.5"))
    back = {asset: (Level(D(101), D(100)),) for asset in ("A", "B")}
    with money_context():
        # .75% below the mids: no A at 99; four B lose 2, and buying them back at 101 loses 4
        assert limits_by_asset(problem, back) == Naive(D(0), D(400), D(2), D(4))
        assert market_orders(problem, back) == Naive(D(4), D(600), D(12), D(6))


def test_without_a_limit_there_is_none_by_asset() -> None:
    assert limits_by_asset(two_assets(), bids("99")) is None


@given(SEEDS, SIDES)
@settings(max_examples=examples(40), deadline=None)
def test_where_nothing_binds_market_orders_are_the_plan(seed: int, side: Side) -> None:
    problem = random_problem(seed, side, step="0.01", limits=False)
    with money_context():
        problem = replace(problem, legs=tuple(replace(leg, arrival_mid=leg.mid) for leg in problem.legs))
        plan = plan_order(unlimited(problem))
        back = {leg.asset: (Level(leg.mid, D(10**9)),) for leg in problem.legs}
        found = market_orders(problem, back)
        if plan.stopped_by == ("filled",):
            assert found == Naive(problem.quantity, D(0), plan.loss.total, D(0))
        else:
            assert abs(found.units - plan.units) <= D("0.2")  # a lot of .01 at .05 a unit
