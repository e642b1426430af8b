"""The period LP: its special cases, and the program with every level of every asset as its oracle."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.optimize import linprog
from tests.effort import examples
from tests.unit.solver.solver_cases import D, make_leg, make_problem, make_rule, random_problem

from etf_trader.market.symbol import Side
from etf_trader.money import money_context
from etf_trader.solver.periods import NOTHING_BPS, Segments, basket_segments, cheapest_fractions
from etf_trader.solver.problem import OrderProblem

Array = NDArray[np.float64]

STAIRS = Segments(np.array([1.0, 5.0, 9.0, 20.0]), np.array([0.25, 0.25, 0.25, 0.25]))
"""A basket that costs 1, 5, 9 and 20 bps for a quarter of the order each: 8.75 at once."""

HUGE = 1e6


def cost_of(segments: Segments, fractions: Array, rho: float, depths: Array) -> float:
    """What given fractions cost when each period takes the best that is there."""
    missing = np.zeros(len(segments.cost))
    total = 0.0
    for fraction, depth in zip(fractions, depths, strict=True):
        there = np.maximum(segments.depth * depth - missing, 0.0)
        taken = np.minimum(there, np.maximum(fraction - np.cumsum(there) + there, 0.0))
        assert taken.sum() == pytest.approx(fraction, abs=1e-9)
        total += float(taken @ segments.cost)
        missing = rho * (missing + taken)
    return total


@pytest.mark.parametrize("periods", [1, 2, 4, 7])
def test_books_that_come_back_whole_give_equal_parts(periods: int) -> None:
    found = cheapest_fractions(STAIRS, np.ones(periods), 0.0, 0.0)
    assert found.periods == pytest.approx(np.full(periods, 1 / periods), abs=1e-6)


def test_a_profile_of_depth_gives_parts_in_proportion() -> None:
    profile = np.array([1.0, 2.0, 0.5, 1.5])
    found = cheapest_fractions(STAIRS, profile, 0.0, 0.0)
    assert found.periods == pytest.approx(profile / 5.0, abs=1e-6)


@pytest.mark.parametrize("waiting", [0.0, 0.3])
def test_books_that_never_come_back_are_taken_at_once_and_nothing_is_gained(waiting: float) -> None:
    found = cheapest_fractions(STAIRS, np.ones(5), 1.0, waiting)
    assert list(found.periods) == [1, 0, 0, 0, 0]
    assert found.cost_bps == pytest.approx(8.75, abs=1e-12)


def test_dear_waiting_trades_all_at_once() -> None:
    found = cheapest_fractions(STAIRS, np.ones(5), 0.0, HUGE)
    assert list(found.periods) == [1, 0, 0, 0, 0]


def test_a_book_that_holds_all_at_its_best_price_is_taken_at_once() -> None:
    flat = Segments(np.array([3.0]), np.array([1.0]))
    found = cheapest_fractions(flat, np.ones(4), 0.0, 0.0)
    assert list(found.periods) == [1, 0, 0, 0] and found.cost_bps == pytest.approx(3.0)


def test_waiting_is_weighed_against_depth() -> None:
    # The dearest quarter costs 20; one period later it costs 1 at 4 bps of waiting: 15 saved on it. The next,
    # at 9, would cost 5 + 4 there: nothing saved. At 3.9 bps of waiting it goes too.
    late = cheapest_fractions(STAIRS, np.ones(2), 0.0, 4.1)
    later = cheapest_fractions(STAIRS, np.ones(2), 0.0, 3.9)
    assert late.periods == pytest.approx([0.75, 0.25], abs=1e-6)
    assert later.periods == pytest.approx([0.5, 0.5], abs=1e-6)
    assert late.cost_bps == pytest.approx((1 + 5 + 9 + 1 + 4.1) / 4)


def test_what_no_period_can_trade_is_left() -> None:
    thin = Segments(np.array([1.0, 2.0]), np.array([0.1, 0.1]))
    assert cheapest_fractions(thin, np.ones(3), 0.0, 0.0).periods == pytest.approx([0.2, 0.2, 0.2])
    assert cheapest_fractions(thin, np.ones(3), 1.0, 0.0).periods.sum() == pytest.approx(0.2)
    empty = Segments(np.zeros(0), np.zeros(0))
    assert list(cheapest_fractions(empty, np.ones(2), 0.0, 0.0).periods) == [0, 0]


def test_the_ladder_of_the_basket_adds_the_prices_of_its_assets() -> None:
    # 10 units of A and B, 100 each: weights one half. A 6 at 100.1, then 100.3; B 4 at 100.2, then 100.6.
    # Up to 0.4: 10 + ... (5 + 10) bps; to 0.6: 5 + 30; to 1: 15 + 30.
    with money_context():
        a = make_leg("A", ("100.1", "6"), ("100.3", "9"))
        b = make_leg("B", ("100.2", "4"), ("100.6", "9"))
        found = basket_segments(make_problem(a, b), eps_bps=0.0)
    assert found.cost == pytest.approx([15, 35, 45])
    assert found.depth == pytest.approx([0.4, 0.2, 0.4])


def test_the_ladder_of_the_basket_ends_at_the_limit_and_at_the_thinnest_book() -> None:
    with money_context():
        a = make_leg("A", ("100.1", "6"), ("100.3", "9"), rule=make_rule("A", taker_fee=D("0.001")))
        problem = make_problem(a, quantity=D(10), limit=D("100.3"))
        # a unit takes 1 / 0.999: 6 are 0.5994 of the order at 20.02 bps; 100.3 / 0.999 is beyond the limit
        found = basket_segments(problem, eps_bps=0.0)
        thin = basket_segments(make_problem(a, quantity=D(100)), eps_bps=0.0)
    assert found.depth == pytest.approx([0.5994]) and found.cost == pytest.approx([20.02002], abs=1e-5)
    assert thin.depth.sum() == pytest.approx(0.1499 - 0.00005)  # 15 x 0.999 / 100


def every_level(problem: OrderProblem, periods: int, rho: float, waiting: float) -> tuple[float, float]:
    """The program as the specification states it, a column for each level of each asset: cost, and what is left.

    Columns: y by period and level, v likewise, f by period, g.
    """
    price, depth, owner, weight = levels_of(problem)
    levels, taken = len(price), len(price) * periods
    width = 2 * taken + periods + 1
    cost = np.zeros(width)
    cost[:taken] = np.tile(problem.side.sign * (price - 1.0) * 1e4, periods)
    cost[2 * taken : -1] = waiting * np.arange(periods)
    cost[-1] = 1e5
    equal, upper = [np.concatenate([np.zeros(2 * taken), np.ones(periods + 1)])], []
    for t in range(periods):
        for number, each in enumerate(weight):
            equal.append(np.zeros(width))
            equal[-1][t * levels : (t + 1) * levels] = owner == number
            equal[-1][2 * taken + t] = -each
        for here in range(t * levels, (t + 1) * levels):
            equal.append(np.zeros(width))
            equal[-1][taken + here] = 1.0
            if t:
                equal[-1][[here - levels, taken + here - levels]] = -rho
            upper.append(np.zeros(width))
            upper[-1][[here, taken + here]] = 1.0
    bound = np.eye(len(equal))[0]  # sum f + g = 1, all other rows 0
    result = linprog(cost, A_eq=np.array(equal), b_eq=bound, A_ub=np.array(upper), b_ub=np.tile(depth, periods))
    assert result.x is not None and result.fun is not None
    left = float(result.x[-1])
    return float(result.fun) - 1e5 * left, left


def levels_of(problem: OrderProblem) -> tuple[Array, Array, NDArray[np.intp], Array]:
    """Price ratio after fee and depth of each level in fractions of the order's value; its asset; the weights."""
    worth = float(problem.nav)
    rows = []
    for number, leg in enumerate(problem.legs):
        net, mid = 1 - float(leg.rule.taker_fee), float(leg.mid)
        is_buy = problem.side is Side.BUY
        for level in leg.levels:
            ratio = float(level.price) / mid * (1 / net if is_buy else net)
            share = float(level.quantity) * mid * (net if is_buy else 1.0) / worth / float(problem.quantity)
            rows.append((ratio, share, number))
    price, depth, owner = np.array(rows).T
    weight = np.array([float(leg.per_unit * leg.mid) / worth for leg in problem.legs])
    return price, depth, owner.astype(np.intp), weight


@settings(max_examples=examples(50), deadline=None)
@given(
    st.integers(0, 10**9),
    st.sampled_from(list(Side)),
    st.sampled_from([0.0, 0.2, 0.7, 1.0]),
    st.sampled_from([0.0, 2.0]),
    st.integers(1, 4),
)
def test_the_ladder_of_the_basket_loses_nothing_against_every_level(
    seed: int, side: Side, rho: float, waiting: float, periods: int
) -> None:
    with money_context():
        problem = random_problem(seed, side, step="0.01", limits=False)
        segments = basket_segments(problem, eps_bps=0.0)
    depths = np.ones(periods)
    found = cheapest_fractions(segments, depths, rho, waiting)
    cost, left = every_level(problem, periods, rho, waiting)
    traded = found.periods.sum()
    assert traded == pytest.approx(1.0 - left, abs=1e-7)
    waited = waiting * float(found.periods @ np.arange(periods))
    assert cost - 1e-5 <= cost_of(segments, found.periods, rho, depths) + waited <= cost + NOTHING_BPS + 1e-5


@settings(max_examples=examples(40), deadline=None)
@given(st.integers(0, 10**9), st.sampled_from(list(Side)), st.sampled_from([0.0, 0.4, 1.0]), st.integers(1, 6))
def test_joined_levels_lose_no_more_than_their_error_in_every_period(
    seed: int, side: Side, rho: float, periods: int
) -> None:
    with money_context():
        problem = random_problem(seed, side, step="0.01", limits=False)
        fine = basket_segments(problem, eps_bps=0.0)
        joined = basket_segments(problem, eps_bps=3.0 / periods)
    depths = np.ones(periods)
    best, found = (cheapest_fractions(each, depths, rho, 0.5) for each in (fine, joined))
    assume(best.periods.sum() > 1 - 1e-9)
    waited = 0.5 * float(found.periods @ np.arange(periods))
    assert best.cost_bps - 1e-6 <= cost_of(fine, found.periods, rho, depths) + waited <= best.cost_bps + 3.02


@settings(max_examples=examples(40), deadline=None)
@given(
    st.lists(st.tuples(st.integers(1, 40), st.integers(5, 60)), min_size=1, max_size=5),
    st.floats(0.0, 1.0),
    st.floats(0.0, 5.0),
)
def test_waiting_less_or_books_that_come_back_faster_never_cost_more(
    steps: list[tuple[int, int]], rho: float, waiting: float
) -> None:
    cost = np.cumsum([rise for rise, _ in steps]).astype(float)
    depth = np.array([share / 100 for _, share in steps])
    assume(depth.sum() >= 1.0)
    segments = Segments(cost, depth)
    here = cheapest_fractions(segments, np.ones(4), rho, waiting).cost_bps
    assert cheapest_fractions(segments, np.ones(4), rho / 2, waiting).cost_bps <= here + 1e-5
    assert cheapest_fractions(segments, np.ones(4), rho, waiting / 2).cost_bps <= here + 1e-5
    assert cheapest_fractions(segments, np.ones(5), rho, waiting).cost_bps <= here + 1e-5
