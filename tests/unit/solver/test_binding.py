"""What binds is told in units, both ways, and agrees with the prices of the books and the linear program."""

from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.effort import examples
from tests.unit.solver.solver_cases import make_leg, make_problem, make_rule, random_problem

from etf_trader.market.symbol import Side
from etf_trader.money import money_context
from etf_trader.orders.plan import Plan
from etf_trader.solver.binding import DEPTH_SHARE, Nudge, frontiers, what_binds
from etf_trader.solver.lp import widest_fraction
from etf_trader.solver.order import plan_order
from etf_trader.solver.problem import OrderProblem

D = Decimal


def two(**changes: object) -> OrderProblem:
    """Ten units of one A and one B, in fine lots: A has 4 at 100 and 4 at 101, B 6 at 50 and 6 at 51."""
    a, b = (make_rule(asset, step=D("0.0001"), min_quantity=D("0.0001")) for asset in "AB")
    mid_a, mid_b = ({"mid": mid, "arrival_mid": mid} for mid in (D("99.5"), D("49.5")))
    return make_problem(
        make_leg("A", ("100", "4"), ("101", "4"), rule=a, **mid_a),
        make_leg("B", ("50", "6"), ("51", "6"), rule=b, **mid_b),
        **changes,
    )


def solved(problem: OrderProblem) -> tuple[Plan, dict[str, Nudge]]:
    with money_context():
        plan = plan_order(problem)
        return plan, {nudge.name: nudge for nudge in what_binds(problem, plan)}


def test_an_order_that_fills_with_room_on_all_sides_depends_on_nothing() -> None:
    plan, nudges = solved(two(quantity=D(3), limit=D(200), max_loss_bps=D(500), cash=D(5000)))
    assert plan.stopped_by == ("filled",)
    assert nudges == {}


def test_a_limit_tells_what_a_basis_point_more_and_less_is_worth() -> None:
    # 4 units cost 150 each. The fifth and sixth cost 151, more 152: 151 x 1.0001 is still below that.
    plan, nudges = solved(two(limit=D("150.99")))
    assert (plan.units, plan.stopped_by) == (D(4), ("limit",))
    assert nudges["limit"] == Nudge("limit", D(1), D(2), D(0))
    # A tenth more of A makes the cheap ones 4.4.
    assert nudges["depth(A)"] == Nudge("depth(A)", DEPTH_SHARE, D("0.4"), D("-0.4"))
    assert "depth(B)" not in nudges


def test_a_limit_that_is_exactly_reached_has_all_to_lose() -> None:
    plan, nudges = solved(two(limit=D(151)))
    assert plan.units == 6
    assert nudges["limit"] == Nudge("limit", D(1), D(0), D(-2))


def test_depth_binds_the_asset_that_gives_out() -> None:
    plan, nudges = solved(two())
    assert (plan.units, plan.stopped_by) == (D(8), ("depth(A)",))
    assert nudges == {"depth(A)": Nudge("depth(A)", DEPTH_SHARE, D("0.8"), D("-0.8"))}


def test_cash_buys_at_the_price_of_the_next_unit() -> None:
    # 2 units cost 300; ten units are worth 1,490, and the round part of a hundredth of that is 10.
    plan, nudges = solved(two(cash=D(300)))
    assert (plan.units, plan.stopped_by) == (D(2), ("cash",))
    nudge = nudges["cash"]
    assert nudge.by == 10
    assert abs(nudge.more - D("0.0667")) < D("0.0005")
    assert abs(nudge.less + D("0.0667")) < D("0.0005")


def test_two_limits_that_bind_at_once_are_moved_together() -> None:
    # The fifth unit costs 151; with 4 at 150 the loss limit of 67.1 bps of 149 leaves no more either.
    plan, nudges = solved(two(limit=D("150.999"), max_loss_bps=D("67.115")))
    assert plan.stopped_by == ("limit", "loss")
    assert next(iter(nudges)) == "limit and loss"
    assert nudges["limit and loss"].more > 0
    assert all(name not in nudges or nudges[name].more == 0 for name in ("limit", "loss"))


def test_a_poor_float_binds_by_its_lots() -> None:
    whole = make_rule("A", step=D(1), min_quantity=D(1))
    leg = make_leg("A", ("100", "50"), rule=whole, per_unit=D("0.3"))
    plan, nudges = solved(make_problem(leg, quantity=D(1), float_cash=D(20)))
    assert plan.stopped_by == ("float",)
    assert nudges["float"] == Nudge("float", D(100), D(1), D(0))


def test_where_a_plan_ends_in_its_books() -> None:
    problem = two(quantity=D(4))
    a, b = frontiers(problem, plan_order(problem).legs)
    assert (a.asset, a.worst_used, a.best_left) == ("A", D(100), D(101))
    assert (b.symbol, b.worst_used, b.best_left) == ("BUSDT", D(50), D(50))
    (a, _) = frontiers(two(), plan_order(two()).legs)
    assert (a.worst_used, a.best_left) == (D(101), None)


@settings(max_examples=examples(30), deadline=None)
@given(seed=st.integers(0, 10**6), side=st.sampled_from(Side))
def test_more_never_takes_and_less_never_gives(seed: int, side: Side) -> None:
    problem = random_problem(seed, side, step="0.0001")
    plan, nudges = solved(problem)
    for nudge in nudges.values():
        assert nudge.more >= 0 >= nudge.less
        assert nudge.more <= problem.quantity - plan.units
        assert -nudge.less <= plan.units


@pytest.mark.parametrize("seed", [0, 1, 8, 9, 19, 22, 26, 27, 33, 43, 51, 52, 55, 59])
def test_the_linear_program_gains_as_much_from_a_basis_point_of_loss(seed: int) -> None:
    problem = replace(
        random_problem(seed, Side.BUY, step="0.00000001", limits=False), max_loss_bps=D(12), float_cash=D(10**9)
    )
    plan, nudges = solved(problem)
    assert plan.stopped_by == ("loss",)
    wider = replace(problem, max_loss_bps=D(13))
    gained = (widest_fraction(wider).fraction - widest_fraction(problem).fraction) * float(problem.quantity)
    assert float(nudges["loss"].more) == pytest.approx(gained, abs=2e-4)
