"""The linear program, the walk in exact fractions and the plan agree on random small orders."""

from dataclasses import replace
from decimal import Decimal as D

import pytest
from tests.unit.solver.solver_cases import Continuous, make_leg, make_problem, random_problem

from etf_trader.errors import NumericalFailure
from etf_trader.market.symbol import Side
from etf_trader.solver.lp import widest_fraction
from etf_trader.solver.order import plan_order

SIDES = pytest.mark.parametrize("side", list(Side), ids=str)


@SIDES
@pytest.mark.parametrize("block", range(5))
def test_the_program_finds_the_exact_optimum(side: Side, block: int) -> None:
    for seed in range(block * 120, block * 120 + 120):
        problem = random_problem(seed, side, step="0.01")
        exact, relaxed = Continuous(problem), widest_fraction(problem)
        value = float(problem.quantity * problem.nav)
        assert relaxed.fraction == pytest.approx(float(exact.fraction), abs=1e-9), seed
        assert relaxed.cash == pytest.approx(float(exact.value) / value, abs=1e-9), seed


@SIDES
def test_a_plan_with_fine_lots_is_the_continuous_optimum(side: Side) -> None:
    for seed in range(200):
        problem = random_problem(seed, side, step="1e-16")
        exact, plan = Continuous(problem, worst=True), plan_order(problem)
        value = float(problem.quantity * problem.nav)
        assert float(plan.units) / float(problem.quantity) == pytest.approx(float(exact.fraction), abs=1.1e-8), (
            seed
        )
        assert float(plan.cost) / value == pytest.approx(float(exact.value) / value, abs=2e-8), seed


@SIDES
def test_both_methods_give_one_plan(side: Side) -> None:
    for seed in range(150):
        problem = random_problem(seed, side, step="0.01", spare=seed % 2 == 1)
        closed, solved = plan_order(problem), plan_order(problem, method="linprog")
        if side is Side.SELL and problem.max_loss_bps is not None:  # what the float takes at mid is not in the LP
            assert abs(closed.units - solved.units) <= closed.units * D("0.01") + 1, seed
        else:
            assert replace(solved, method="closed_form") == closed, seed


def test_a_weight_that_the_solver_would_drop_is_an_error_naming_the_asset() -> None:
    heavy = make_leg("HEAVY", ("100", "50"))
    speck = make_leg("SPECK", ("100", "50"), per_unit=D("1e-9"))
    with pytest.raises(NumericalFailure, match="SPECK"):
        widest_fraction(make_problem(heavy, speck))


def test_an_empty_ladder_gives_a_fraction_of_zero() -> None:
    assert widest_fraction(make_problem(make_leg("A", ("100", "50")), make_leg("B"))).fraction == 0


def test_an_overdrawn_order_is_no_failure_of_the_solver() -> None:
    problem = make_problem(make_leg("A", ("100.50", "50")), max_loss_bps=D(10), loss_done=D(1))
    assert widest_fraction(problem).fraction == 0
