"""What stops an order is named, all of it, in one order: limit, loss, cash, float, minimum, depth, window.

One unit is one A and one B, at mids of 100 and 50. A has 4 at 10 bps above its
mid and more at 20 bps, B 4 at its mid and more at 20 bps: up to four units cost
150.10 each, a loss of 0.10 a unit. Sells mirror it.
"""

from dataclasses import replace
from decimal import Decimal as D
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.effort import examples
from tests.unit.solver.solver_cases import make_leg, make_problem, make_rule, random_problem

from etf_trader.market.symbol import Side
from etf_trader.money import divide
from etf_trader.solver.order import plan_order
from etf_trader.solver.problem import OrderProblem

A = {Side.BUY: (("100.10", "4"), ("100.20", "20")), Side.SELL: (("99.90", "4"), ("99.80", "20"))}
B = {Side.BUY: (("50", "4"), ("50.10", "20")), Side.SELL: (("50", "4"), ("49.90", "20"))}

LOSS = divide(D(100), D(15), D("1e-18")) + D("1e-18")  # 0.10 of 150, in basis points


def order(side: Side, *, a_levels: int = 2, b_levels: int = 2, window: str = "", **limits: Any) -> OrderProblem:
    """Thirty units of one A and one B; `window` names the books that go on beyond what is seen."""
    first = make_leg("A", *A[side][:a_levels], complete="A" not in window)
    second = make_leg("B", *B[side][:b_levels], mid=D(50), arrival_mid=D(50), complete="B" not in window)
    return make_problem(first, second, side=side, quantity=D(30), **limits)


@pytest.mark.parametrize(
    ("changes", "units", "stopped_by"),
    [
        ({"quantity": D(3)}, "3", ["filled"]),
        ({"quantity": D(4), "limit": D("150.10"), "cash": D("600.40")}, "4", ["filled"]),
        ({"limit": D("150.10")}, "4", ["limit"]),
        ({"limit": D("150.29")}, "4", ["limit"]),
        ({"limit": D("150.30")}, "24", ["depth(A)", "depth(B)"]),
        ({"max_loss_bps": LOSS}, "4", ["loss"]),
        ({"cash": D("600.40")}, "4", ["cash"]),
        ({"a_levels": 1}, "4", ["depth(A)"]),
        ({"a_levels": 1, "window": "A"}, "4", ["window(AUSDT)"]),
        ({"a_levels": 1, "b_levels": 1}, "4", ["depth(A)", "depth(B)"]),
        ({"a_levels": 1, "b_levels": 1, "window": "A"}, "4", ["depth(B)", "window(AUSDT)"]),
        ({"a_levels": 1, "b_levels": 1, "window": "AB"}, "4", ["window(AUSDT)", "window(BUSDT)"]),
        ({"limit": D("150.10"), "max_loss_bps": LOSS}, "4", ["limit", "loss"]),
        ({"limit": D("150.10"), "cash": D("600.40")}, "4", ["limit", "cash"]),
        ({"max_loss_bps": LOSS, "cash": D("600.40")}, "4", ["loss", "cash"]),
        ({"limit": D("150.10"), "a_levels": 1}, "4", ["limit", "depth(A)"]),
        ({"limit": D("150.10"), "a_levels": 1, "window": "A"}, "4", ["limit", "window(AUSDT)"]),
        ({"max_loss_bps": LOSS, "b_levels": 1}, "4", ["loss", "depth(B)"]),
        ({"max_loss_bps": LOSS, "b_levels": 1, "window": "B"}, "4", ["loss", "window(BUSDT)"]),
        ({"cash": D("600.40"), "b_levels": 1}, "4", ["cash", "depth(B)"]),
        (
            {"limit": D("150.10"), "max_loss_bps": LOSS, "cash": D("600.40"), "a_levels": 1},
            "4",
            ["limit", "loss", "cash", "depth(A)"],
        ),
        ({"limit": D("150.09")}, "0", ["limit"]),
        ({"a_levels": 0}, "0", ["depth(A)"]),
        ({"a_levels": 0, "window": "A", "b_levels": 0}, "0", ["depth(B)", "window(AUSDT)"]),
        ({"quantity": D("0.005"), "float_cash": D(0)}, "0", ["float"]),
    ],
    ids=lambda value: "+".join(value) if isinstance(value, list) else None,
)
def test_every_limit_that_stops_a_buy_is_named(changes: dict[str, Any], units: str, stopped_by: list[str]) -> None:
    shape = {name: changes.pop(name) for name in ("a_levels", "b_levels", "window") if name in changes}
    plan = plan_order(replace(order(Side.BUY, **shape), **changes))
    assert (plan.units, list(plan.stopped_by)) == (D(units), stopped_by)


@pytest.mark.parametrize(
    ("changes", "units", "stopped_by"),
    [
        ({"quantity": D(3)}, "3", ["filled"]),
        ({"limit": D("149.90")}, "4", ["limit"]),
        ({"max_loss_bps": LOSS}, "4", ["loss"]),
        ({"limit": D("149.90"), "max_loss_bps": LOSS}, "4", ["limit", "loss"]),
        ({"limit": D("149.90"), "a_levels": 1}, "4", ["limit", "depth(A)"]),
        ({"max_loss_bps": LOSS, "b_levels": 1, "window": "B"}, "4", ["loss", "window(BUSDT)"]),
        ({"a_levels": 1, "b_levels": 1, "window": "B"}, "4", ["depth(A)", "window(BUSDT)"]),
        ({"limit": D("149.91")}, "0", ["limit"]),
    ],
    ids=lambda value: "+".join(value) if isinstance(value, list) else None,
)
def test_every_limit_that_stops_a_sell_is_named(
    changes: dict[str, Any], units: str, stopped_by: list[str]
) -> None:
    shape = {name: changes.pop(name) for name in ("a_levels", "b_levels", "window") if name in changes}
    plan = plan_order(replace(order(Side.SELL, **shape), **changes))
    assert list(plan.stopped_by) == stopped_by
    assert 0 <= plan.units - D(units) < D("0.01")  # the float takes what is less than a lot more


def test_a_least_order_that_the_float_cannot_pay_is_named() -> None:
    rule = make_rule("A", min_notional=D(10))
    problem = make_problem(make_leg("A", *A[Side.BUY], rule=rule), quantity=D("0.01"), float_cash=D(1))
    assert plan_order(problem).stopped_by == ("float", "minimum")


@settings(max_examples=examples(60), deadline=None)
@given(seed=st.integers(0, 10**6), side=st.sampled_from(list(Side)))
def test_limit_and_loss_hold_exactly_after_rounding(seed: int, side: Side) -> None:
    problem = random_problem(seed, side, step="0.01")
    plan = plan_order(problem)
    if not plan.units:
        return
    if problem.limit is not None:
        assert side.sign * (plan.marginal_price - problem.limit) <= 0
    if problem.max_loss_bps is not None:
        units = problem.units_done + plan.units
        loss = problem.loss_done + plan.loss.total
        assert loss * 10_000 <= problem.max_loss_bps * units * problem.arrival_nav
