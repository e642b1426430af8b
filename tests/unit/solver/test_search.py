"""The exact search: a guess saves effort and never changes what is found."""

from dataclasses import replace
from decimal import Decimal as D

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tests.effort import examples
from tests.unit.solver.solver_cases import make_leg, make_problem, random_problem

from etf_trader.market.symbol import Side
from etf_trader.money import UNIT_GRID, money_context
from etf_trader.solver.order import plan_order
from etf_trader.solver.problem import OrderProblem
from etf_trader.solver.search import ceiling
from etf_trader.solver.trial import Model

few = settings(max_examples=examples(60), deadline=None)
seeds = st.integers(0, 10**6)
sides = st.sampled_from(list(Side))


def without_floor(problem: OrderProblem) -> OrderProblem:
    """The same order without a loss to be made good, which would put a floor under its size."""
    return replace(problem, units_done=D(0), loss_done=D(0))


def halving(model: Model) -> int:
    """The largest size that is not beyond, by halving all sizes."""
    low, high = 0, model.wanted + 1
    while high - low > 1:
        middle = (low + high) // 2
        if model.is_beyond(model.trial(middle)):
            high = middle
        else:
            low = middle
    return low


@few
@given(seed=seeds, side=sides, share=st.floats(0.0, 1.2), spare=st.booleans())
@example(seed=690, side=Side.BUY, share=0.0, spare=True)
def test_whatever_is_guessed_the_same_size_is_found(seed: int, side: Side, share: float, spare: bool) -> None:
    """But for a sell with --max-loss: there every lot gives a range of sizes, each the end of one (see below)."""
    problem = without_floor(random_problem(seed, side, step="0.01", spare=spare))
    if side is Side.SELL:
        problem = replace(problem, max_loss_bps=None)
    with money_context():
        expected = halving(Model(problem))
        wanted = Model(problem).wanted
        for guess in (int(share * wanted), expected, expected + 1, max(expected - 1, 0), 0, 2 * wanted):
            assert ceiling(Model(problem), wanted, lambda guess=guess: guess) == expected  # type: ignore[misc]


@few
@given(seed=seeds, share=st.floats(0.0, 1.2), loss=st.sampled_from(["5", "12", "25", "60"]))
def test_a_sell_that_may_lose_only_so_much_ends_where_one_step_more_is_too_much(
    seed: int, share: float, loss: str
) -> None:
    problem = random_problem(seed, Side.SELL, step="0.01", limits=False)
    with money_context():
        model = Model(replace(problem, max_loss_bps=D(loss)))
        found = ceiling(model, model.wanted, lambda: int(share * model.wanted))
        assert found == model.wanted or model.is_beyond(model.trial(found + 1))
        assert found == 0 or not model.is_beyond(model.trial(found))


@few
@given(seed=seeds, side=sides, spare=st.booleans())
def test_the_plan_is_that_of_halving_all_sizes(seed: int, side: Side, spare: bool) -> None:
    problem = replace(without_floor(random_problem(seed, side, step="0.01", spare=spare)), max_loss_bps=None)
    with money_context():
        expected = halving(Model(problem)) * UNIT_GRID
    assert plan_order(problem).units == expected


@pytest.mark.parametrize(
    ("limit", "stopped_by"),
    [(D("131.5"), "limit"), (D("129.9"), "limit"), (None, "depth(A)")],
    ids=["limit", "limit below the touch", "depth"],
)
def test_the_closed_form_leaves_few_sizes_to_try(
    limit: D | None, stopped_by: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    levels = tuple((str(100 + D(n) / 100), "1.5") for n in range(1, 400))
    problem = make_problem(make_leg("A", *levels), make_leg("B", *levels, per_unit=D("0.3")), quantity=D(5000))
    tried = []
    total = Model.total

    def counted(model: Model, steps: int, fills: object) -> object:
        tried.append(steps)
        return total(model, steps, fills)  # type: ignore[arg-type]

    monkeypatch.setattr(Model, "total", counted)
    plan = plan_order(replace(problem, limit=limit))
    assert plan.stopped_by == (stopped_by,)
    assert len(set(tried)) <= 5
