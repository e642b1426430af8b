"""Schedules: parts that add up to the order, each planned exactly on what earlier ones left."""

from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.effort import examples
from tests.unit.solver.solver_cases import D, make_leg, make_problem, make_rule, random_problem

from etf_trader.market.symbol import Side
from etf_trader.money import UNIT_GRID, money_context
from etf_trader.orders.schedule import Algo, Assumptions, schedule_document
from etf_trader.solver.order import plan_order
from etf_trader.solver.schedule import Span, least_part, merged, plan_schedule, span, still_missing

QUICK = Assumptions(recovery_seconds=D(0), waiting_bps=D(0), turnover=D(15), participation=D("0.1"))
NEVER = replace(QUICK, recovery_seconds=D("1e15"))
"""Books that are back whole a period later, and books that never come back."""

HALF_HOUR = Span(1800, 6, 1000)
STAIRS = [(str(D(100) + D("0.1") * step), "2") for step in range(1, 9)]


@pytest.fixture(autouse=True)
def _exact() -> Iterator[None]:
    with money_context():
        yield


@pytest.mark.parametrize(
    ("seconds", "period", "limits", "orders", "expected"),
    [
        # 180 windows of 100 slots, 8 a batch: 2250
        pytest.param(1800, 60, [(10, 100)], 8, Span(1800, 30, 2250), id="a period each minute"),
        # 12 a window, 8 a batch, 6 windows: 9 batches, not a batch for each of 60 seconds
        pytest.param(60, 1, [(10, 12)], 8, Span(60, 9, 9), id="as many as the slots allow"),
        pytest.param(1800, 60, [(10, 100), (86_400, 80)], 8, Span(1800, 10, 10), id="the tightest limit counts"),
        pytest.param(30, 60, [(10, 100)], 8, Span(30, 1, 37), id="less than a period is one"),
        pytest.param(1800, 60, [(10, 5)], 3000, Span(1800, 1, 0), id="a batch beyond the budget is one period"),
        pytest.param(7200, 60, [(10, 100)], 8, Span(7200, 60, 9000), id="longer periods for a longer time"),
        pytest.param(120, 60, [], 8, Span(120, 2, 120), id="without limits"),
    ],
)
def test_periods_are_arithmetic(
    seconds: int, period: int, limits: list[tuple[int, int]], orders: int, expected: Span
) -> None:
    assert span(seconds, period, limits, orders) == expected


@pytest.mark.parametrize(
    ("parts", "least", "expected"),
    [
        pytest.param([2, 2, 2], 2, [2, 2, 2], id="large enough"),
        pytest.param([1, 1, 1, 1, 1], 2, [2, 0, 3, 0, 0], id="pairs, the odd one with the last"),
        pytest.param([5, 1, 1, 0, 4], 3, [5, 6, 0, 0, 0], id="together with those after them"),
        pytest.param([1, 1], 9, [2, 0], id="too small in all"),
        pytest.param([0, 0, 4], 1, [0, 0, 4], id="idle periods stay idle"),
    ],
)
def test_small_parts_trade_together(parts: list[int], least: int, expected: list[int]) -> None:
    assert merged([D(part) for part in parts], D(least)) == [D(part) for part in expected]


def test_the_least_part_gives_every_asset_its_least_order() -> None:
    # A: least order 5 / 100.1 up to 0.05, which brings 0.04995 after fee, at 0.5 a unit: 0.0999.
    # B: 0.01 a lot at 0.02 a unit: 0.5.
    fee = D("0.001")
    a = make_leg("A", *STAIRS, per_unit=D("0.5"), rule=make_rule("A", min_notional=D(5), taker_fee=fee))
    b = make_leg("B", *STAIRS, per_unit=D("0.02"), rule=make_rule("B"))
    assert least_part(make_problem(a)) == D("0.0999")
    assert least_part(make_problem(a, b)) == D("0.5")


def test_equal_parts_of_books_that_come_back_are_equal_plans() -> None:
    problem = make_problem(make_leg("A", *STAIRS), quantity=D(12))
    schedule = plan_schedule(problem, Algo.TWAP, HALF_HOUR, QUICK)
    assert [period.start_seconds for period in schedule.periods] == [0, 300, 600, 900, 1200, 1500]
    assert {(period.units, period.cash, period.loss) for period in schedule.periods} == {
        (D(2), D("200.2"), D("0.2"))
    }
    assert (schedule.units, schedule.cash, schedule.loss_bps) == (D(12), D("1201.2"), D(10))
    # at once: 2 each at .1 to .6 over mid: 2 x 2.1 = 4.2, 35 bps
    assert schedule.at_once_loss_bps == D(35) and schedule.gain_bps == D(25)


def test_parts_follow_a_profile_of_volume() -> None:
    problem = make_problem(make_leg("A", *STAIRS), quantity=D(12))
    profile = tuple(map(D, (1, 2, 1, 2, 4, 2)))
    schedule = plan_schedule(problem, Algo.VWAP, HALF_HOUR, replace(QUICK, profile=profile))
    assert [period.units for period in schedule.periods] == list(profile)
    # depth follows the profile, too: every period ends at 100.1
    assert schedule.loss_bps == D(10)


def test_the_least_cost_is_the_profile_when_depth_follows_it() -> None:
    problem = make_problem(make_leg("A", *STAIRS), quantity=D(24))
    profile = tuple(map(D, (1, 2, 1, 2, 4, 2)))
    schedule = plan_schedule(problem, Algo.OPTIMAL, HALF_HOUR, replace(QUICK, profile=profile))
    assert [float(period.units) for period in schedule.periods] == pytest.approx([2, 4, 2, 4, 8, 4], abs=1e-5)


def test_books_that_never_come_back_are_traded_at_once_and_gain_exactly_nothing() -> None:
    problem = make_problem(make_leg("A", *STAIRS), make_leg("B", *STAIRS), quantity=D("11.5"))
    schedule = plan_schedule(problem, Algo.OPTIMAL, HALF_HOUR, NEVER)
    plan = plan_order(problem)
    assert still_missing(HALF_HOUR, NEVER) == 1
    [period] = schedule.periods
    assert (period.units, period.cash, period.loss) == (plan.units, plan.cash, plan.loss.total)
    assert schedule.gain_bps == 0
    in_parts = plan_schedule(problem, Algo.TWAP, HALF_HOUR, NEVER)
    assert in_parts.units == plan.units and in_parts.loss_bps == schedule.loss_bps


def test_dear_waiting_is_one_shot() -> None:
    problem = make_problem(make_leg("A", *STAIRS), quantity=D(12))
    schedule = plan_schedule(problem, Algo.OPTIMAL, HALF_HOUR, replace(QUICK, waiting_bps=D(10**6)))
    assert [period.units for period in schedule.periods] == [D(12)]
    assert schedule.waiting_bps == 0


def test_half_of_what_was_taken_is_missing_after_the_half_life() -> None:
    # recovery 300 / ln 2: rho = 1/2. Two periods of 3 units: the first takes 2 at .1 and 1 at .2; 1 and 0.5 are
    # missing: the second finds 1 at .1, 1.5 at .2 and takes 0.5 at .3.
    slow = replace(QUICK, recovery_seconds=D("432.8085122666891"))
    problem = make_problem(make_leg("A", *STAIRS), quantity=D(6))
    schedule = plan_schedule(problem, Algo.TWAP, Span(600, 2, 10), slow)
    assert still_missing(Span(600, 2, 10), slow) == D("0.5")
    assert [period.loss for period in schedule.periods] == [D("0.4"), D("0.55")]


def test_pov_takes_its_share_of_the_volume_of_the_thinnest_constituent() -> None:
    # Within 100 bps of 100 B shows 4: a day trades 60, of which 6 are ours, 0.25 an hour. Each half hour 0.125.
    deep = make_leg("A", ("100.1", "900"))
    thin = make_leg("B", ("100.5", "3"), ("101", "1"), ("101.01", "900"))
    problem = make_problem(deep, thin, quantity=D(2))
    schedule = plan_schedule(problem, Algo.POV, Span(7200, 4, 1000), QUICK)
    assert [period.units for period in schedule.periods] == [D("0.125")] * 4
    assert schedule.needed_seconds == 8 * 3600
    ends = plan_schedule(problem, Algo.POV, Span(10 * 3600, 20, 1000), QUICK)
    assert ends.units == 2 and [period.start_seconds for period in ends.periods][-1] == 15 * 1800


def test_a_limit_leaves_over_what_later_periods_may_trade() -> None:
    # 2 units at 100.1 within the limit each time, 3 wanted: what is left over is tried again, and ends unfilled.
    problem = make_problem(make_leg("A", *STAIRS), quantity=D(6), limit=D("100.1"))
    schedule = plan_schedule(problem, Algo.TWAP, Span(600, 2, 10), QUICK)
    assert [(period.wanted, period.units) for period in schedule.periods] == [(D(3), D(2)), (D(3), D(2))]
    assert schedule.periods[0].stopped_by == ("limit",)
    assert schedule.gain_bps is None


def test_a_large_part_counts_all_its_orders() -> None:
    leg = make_leg("A", ("100.1", "900"), rule=make_rule("A", max_quantity=D(2)))
    schedule = plan_schedule(make_problem(leg, quantity=D(10)), Algo.TWAP, Span(600, 2, 10), QUICK)
    assert [period.orders for period in schedule.periods] == [3, 3]


def test_the_document_says_what_was_assumed() -> None:
    schedule = plan_schedule(make_problem(make_leg("A", *STAIRS)), Algo.TWAP, Span(600, 2, 10), QUICK)
    document = schedule_document(schedule)
    assert document["assumed"]["profile"] == "uniform" and document["assumed"]["recovery_seconds"] == "0"
    assert [period["percentage"] for period in document["periods"]] == ["50", "50"]
    assert document["gain_bps"] == "12"  # 18 bps in two parts of 5, 30 at once


@settings(max_examples=examples(40), deadline=None)
@given(
    st.integers(0, 10**9),
    st.sampled_from(list(Side)),
    st.sampled_from(list(Algo)),
    st.integers(1, 7),
    st.sampled_from(["0", "60", "1000"]),
)
def test_parts_add_up_to_the_order_and_all_that_is_planned_can_be(
    seed: int, side: Side, algo: Algo, periods: int, recovery: str
) -> None:
    with money_context():
        problem = random_problem(seed, side, step="0.001")
        time = Span(60 * periods, periods, 1000)
        assumed = replace(QUICK, recovery_seconds=D(recovery), waiting_bps=D(3))
        schedule = plan_schedule(problem, algo, time, assumed)
        wanted = sum((period.wanted for period in schedule.periods), D(0))
        if algo is not Algo.POV:
            assert wanted == problem.quantity
        assert schedule.units <= wanted <= problem.quantity
        least = min(least_part(problem), problem.quantity)
        for period in schedule.periods:
            assert period.wanted % UNIT_GRID == 0 and (algo is Algo.POV or period.wanted >= least)
        if problem.cash is not None:
            assert schedule.cash <= problem.cash
        if problem.limit is not None and schedule.units and problem.max_loss_bps is None:
            limit = Decimal(problem.limit)
            # whole lots bring too much, for which the float pays the mid and not the price
            lots = D("0.001") * len(schedule.periods)
            assert (schedule.cash - limit * schedule.units) * side.sign <= D("0.02") * schedule.units + lots
        assert plan_schedule(problem, algo, time, assumed) == schedule
