"""The closed form in floats: by hand, against the walk in exact fractions, and as a curve."""

from dataclasses import replace
from decimal import Decimal as D
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.effort import examples
from tests.unit.solver.solver_cases import Continuous, make_leg, make_problem, make_rule, random_problem

from etf_trader.market.symbol import Side
from etf_trader.solver.closed_form import Bounds, Reach, index_curve

SIDES = pytest.mark.parametrize("side", list(Side), ids=str)
few = settings(max_examples=examples(50), deadline=None)
seeds = st.integers(0, 10**6)
sides = st.sampled_from(list(Side))

ASKS = (("100.10", "4"), ("100.20", "6"), ("100.40", "10"))


def test_the_curve_of_two_levels_by_hand() -> None:
    curve, bounds = index_curve(make_problem(make_leg("A", *ASKS), quantity=D(10)))
    assert bounds == Bounds()
    assert curve.marginal(0) == curve.marginal(0.4) == pytest.approx(1.001)
    assert curve.marginal(0.41) == pytest.approx(1.002)
    assert curve.cost(1.0) == pytest.approx((4 * 100.10 + 6 * 100.20) / 1000)
    assert curve.loss_bps(0.4) == pytest.approx(10)
    assert curve.loss_bps(1.0) == pytest.approx(16)
    assert curve.depth() == pytest.approx([2.0])


def test_a_fee_is_taken_from_what_is_received() -> None:
    rule = make_rule("A", taker_fee=D("0.001"))
    bought, _ = index_curve(make_problem(make_leg("A", ("100", "20"), rule=rule)))
    sold, _ = index_curve(make_problem(make_leg("A", ("100", "20"), rule=rule), side=Side.SELL))
    assert bought.cost(1.0) == pytest.approx(1 / 0.999)
    assert sold.cost(1.0) == pytest.approx(0.999)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, Reach(1.0, ("filled",))),
        ({"limit": D("100.15")}, Reach(0.2, ("limit",))),
        ({"limit": D("100.20")}, Reach(0.5, ("limit",))),
        ({"cash": D("500.6")}, Reach(0.25, ("cash",))),
        ({"max_loss_bps": D(15)}, Reach(0.4, ("loss",))),
        ({"quantity": D(40)}, Reach(0.5, ("depth(A)",))),
        ({"quantity": D(40), "limit": D("101")}, Reach(0.5, ("depth(A)",))),
        ({"cash": D("400.4"), "limit": D("100.15")}, Reach(0.2, ("limit", "cash"))),
    ],
    ids=["filled", "limit", "a tie takes all", "cash", "loss", "depth", "depth before limit", "two at once"],
)
def test_what_stops_an_order_by_hand(changes: dict[str, Any], expected: Reach) -> None:
    problem = make_problem(make_leg("A", *ASKS), quantity=D(20))
    curve, bounds = index_curve(replace(problem, **changes))
    reach = curve.largest(bounds)
    assert reach.stopped_by == expected.stopped_by
    assert reach.fraction == pytest.approx(expected.fraction, abs=1e-12)


def test_the_largest_size_within_a_loss() -> None:
    curve, _ = index_curve(make_problem(make_leg("A", *ASKS), quantity=D(20)))
    assert curve.largest(Bounds(loss_bps=16.0)).fraction == pytest.approx(0.5)
    assert curve.largest(Bounds(loss_bps=5.0)) == Reach(0.0, ("loss",))
    assert curve.largest(Bounds(loss_bps=50.0)) == Reach(1.0, ("filled",))


@SIDES
@pytest.mark.parametrize("block", range(4))
def test_it_finds_the_exact_optimum(side: Side, block: int) -> None:
    for seed in range(block * 250, block * 250 + 250):
        problem = random_problem(seed, side, step="0.01")
        exact, (curve, bounds) = Continuous(problem), index_curve(problem)
        fraction = curve.largest(bounds).fraction
        cash = curve.cost(fraction) - curve.cash_weight * fraction
        value = float(problem.quantity * problem.nav)
        assert fraction == pytest.approx(float(exact.fraction), abs=1e-9), seed
        assert cash == pytest.approx(float(exact.value) / value, abs=1e-9), seed


@few
@given(seed=seeds, side=sides)
def test_marginal_and_average_only_get_worse_with_size(seed: int, side: Side) -> None:
    curve, _ = index_curve(random_problem(seed, side, step="0.01", limits=False))
    grid = np.linspace(0.0, 1.0, 40)
    for price in (curve.marginal, curve.average, curve.loss_bps):
        prices = [price(fraction) for fraction in grid]
        sign = 1 if price == curve.loss_bps else side.sign
        assert (np.diff(prices) * sign >= -1e-7).all()
    assert curve.cost(0.0) == 0


@few
@given(seed=seeds, side=sides)
def test_nothing_larger_keeps_the_limits(seed: int, side: Side) -> None:
    curve, bounds = index_curve(random_problem(seed, side, step="0.01"))
    reach = curve.largest(bounds := bounds._replace(done=0.0, loss_done=0.0))
    beyond = reach.fraction * (1 + 1e-7) + 1e-9
    for name in reach.stopped_by:
        if name == "limit":
            assert side.sign * (curve.marginal(beyond) - (bounds.limit or 0)) > 0
        elif name == "cash":
            assert curve.cost(beyond) > (bounds.cash or 0)
        elif name == "loss":
            assert curve.loss_bps(beyond) > (bounds.loss_bps or 0) - 1e-6
        elif name != "filled":
            assert curve.depth()[curve.names.index(name)] < beyond


def test_a_deep_book_is_read_no_deeper_than_the_answer() -> None:
    levels = tuple((str(100 + D(n) / 100), "1") for n in range(1, 5001))
    curve, bounds = index_curve(make_problem(make_leg("A", *levels), quantity=D(4000), limit=D("101")))
    assert curve.largest(bounds).fraction == pytest.approx(100 / 4000)
    assert curve.curves.prices.shape[1] <= 256
