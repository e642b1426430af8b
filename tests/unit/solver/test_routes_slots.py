"""Books chosen under a budget of orders: the integer program against trying every choice."""

from dataclasses import replace
from decimal import Decimal as D
from itertools import combinations, pairwise
from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.effort import examples
from tests.unit.solver.route_cases import make_conversion, make_currency, make_route, random_routes
from tests.unit.solver.solver_cases import make_leg, make_problem
from tests.unit.solver.test_routes import sent, worked

from etf_trader.errors import NumericalFailure
from etf_trader.market.symbol import Side
from etf_trader.solver.knapsack import chosen_by_prices
from etf_trader.solver.network import network_of
from etf_trader.solver.route_books import Books
from etf_trader.solver.route_lp import Program
from etf_trader.solver.route_problem import RouteProblem
from etf_trader.solver.route_slots import GAP, chosen, fewer
from etf_trader.solver.routes import plan_routes

few = settings(max_examples=examples(12), deadline=None)
seeds = st.integers(0, 10**6)
sides = st.sampled_from(list(Side))


def program_of(problem: RouteProblem) -> Program:
    """The linear program of a problem."""
    return Program(Books(network_of(problem)))


def two_assets() -> RouteProblem:
    """Ten units of A and B: each has half at 100.10 and more at 100.30, and for FDUSD half at 100.05 or 100.07."""
    legs = (make_leg("A", ("100.10", "5"), ("100.30", "20")), make_leg("B", ("100.10", "5"), ("100.30", "20")))
    return RouteProblem(
        order=make_problem(*legs, slack_ticks=0),
        currencies=(make_currency("FDUSD"),),
        routes=(make_route("A", "FDUSD", ("100.05", "5")), make_route("B", "FDUSD", ("100.07", "5"))),
        conversions=(make_conversion("FDUSD", "USDT", "0.9999 x 10000", "1.0001 x 10000"),),
    )


@pytest.mark.parametrize(
    ("slots", "symbols"),
    [
        (2, ["AUSDT", "BUSDT"]),
        (3, ["AUSDT", "BUSDT"]),  # a second book and its conversion are two orders more
        (4, ["FDUSDUSDT", "AFDUSD", "AUSDT", "BUSDT"]),  # the cheaper one
        (5, ["FDUSDUSDT", "AFDUSD", "AUSDT", "BFDUSD", "BUSDT"]),
    ],
)
def test_each_slot_goes_where_it_saves_most(slots: int, symbols: list[str]) -> None:
    plan = plan_routes(replace(two_assets(), slots=slots))
    assert [symbol for symbol, _ in sent(plan)] == symbols
    assert plan.orders <= slots
    assert plan.stopped_by == ("filled",)


@pytest.fixture
def without_prices(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave the choice of books to the integer program."""
    monkeypatch.setattr("etf_trader.solver.route_budget.chosen_by_prices", lambda *_: None)


def check_proof(slots: int) -> str:
    """Hold what a plan says of its choice against the plan without slots; return who chose."""
    plan, free = plan_routes(replace(two_assets(), slots=slots)), plan_routes(two_assets())
    assert plan.slots is not None
    assert plan.slots.bound is not None
    assert (plan.slots.is_proved, plan.slots.is_fallback) == (True, False)
    assert plan.bound == free.bound == free.cost  # needs nobody's word, and knows no slots
    assert plan.bound < plan.slots.bound <= plan.cost
    assert free.slots is None
    return plan.method


def test_the_prices_of_the_currencies_prove_the_choice() -> None:
    plan = plan_routes(replace(two_assets(), slots=4))
    assert plan.slots is not None
    assert plan.slots.bound is not None
    assert plan.cost - plan.slots.bound <= D("1e-6")
    assert check_proof(4) == "knapsack"


@pytest.mark.usefixtures("without_prices")
def test_the_integer_program_is_asked_where_prices_prove_nothing() -> None:
    assert check_proof(4) == "milp"
    plan = plan_routes(replace(two_assets(), slots=4))
    assert plan.slots is not None
    assert plan.slots.bound is not None
    assert plan.cost - plan.slots.bound < D("0.3") * plan.cost / 10000


def test_fewer_slots_than_assets_fill_nothing() -> None:
    plan = plan_routes(replace(two_assets(), slots=1))
    assert (plan.units, plan.stopped_by, sent(plan)) == (D(0), ("slots",), [])


def test_the_pieces_of_an_order_beyond_the_largest_size_are_slots_too() -> None:
    problem = worked(slots=4)
    leg = problem.order.legs[0]
    legs = (replace(leg, rule=replace(leg.rule, max_quantity=D(3))),)
    plan = plan_routes(replace(problem, order=replace(problem.order, legs=legs)))
    assert plan.orders <= 4
    assert sent(plan) == [("FDUSDUSDT", D("500.25")), ("AFDUSD", D(5)), ("AUSDT", D(5))]
    assert [leg.orders for leg in plan.legs] == [1, 2]


@pytest.mark.usefixtures("without_prices")
def test_when_time_is_over_the_plan_has_fewer_routes_and_says_so() -> None:
    plan = plan_routes(replace(random_routes(3, Side.BUY, assets=12), slots=15, seconds=0.0))
    assert plan.orders <= 15
    assert plan.slots is not None
    assert (plan.method, plan.slots.is_proved, plan.slots.is_fallback) == ("linprog", False, True)
    assert plan.slots.bound is None


def test_giving_up_books_keeps_one_for_every_asset_and_no_idle_conversion() -> None:
    problem = two_assets()
    books = Books(network_of(problem))
    flows = Program(books).solve()
    assert books.orders(flows.taken) == 5
    symbols = [arc.rule.symbol for arc in books.network.arcs]
    for slots, kept in ((4, 4), (3, 2), (2, 2), (1, 2)):  # the last book for FDUSD takes the conversion with it
        allowed = fewer(books, flows, slots)
        assert int(allowed.sum()) == kept
        assert {symbols[arc][0] for arc in np.flatnonzero(allowed)} >= {"A", "B"}


@few
@given(seed=seeds, side=sides, slots=st.integers(2, 6))
def test_no_other_choice_of_books_is_cheaper(seed: int, side: Side, slots: int) -> None:
    program = program_of(random_routes(seed, side, assets=2, quotes=("FDUSD",)))
    books = program.books
    choice = chosen(program, slots, 10.0)
    assert choice is not None
    found = program.solve(choice.allowed)
    best = np.inf
    for size in range(2, slots + 1):
        for arcs in combinations(range(len(books.source)), size):
            allowed = np.isin(np.arange(len(books.source)), arcs)
            tried = program.solve(allowed)
            if tried.fraction > found.fraction - 1e-9:
                best = min(best, tried.cost)
            assert tried.fraction <= found.fraction + 1e-7
    assert books.orders(found.taken) <= slots
    assert found.cost <= best + 2 * GAP
    assert choice.bound <= best + 1e-7


@few
@given(seed=seeds, side=sides, slots=st.integers(2, 6), noise=st.randoms())
def test_whatever_the_prices_the_knapsack_is_below_every_choice(
    seed: int, side: Side, slots: int, noise: Random
) -> None:
    program = program_of(random_routes(seed, side, assets=2, quotes=("FDUSD",), balances=side is Side.BUY))
    books, free = program.books, program.solve()
    best = np.inf
    for arcs in combinations(range(len(books.source)), min(slots, len(books.source))):
        tried = program.solve(np.isin(np.arange(len(books.source)), arcs))
        if tried.fraction > free.fraction - 1e-9:
            best = min(best, tried.cost)
    for spread in (0.0, 0.001, 0.1):
        prices = free.prices * [1 + spread * noise.uniform(-1, 1) for _ in books.nodes]
        prices[books.index["USDT"]] = 1.0
        found = chosen_by_prices(books, prices, free.fraction, slots)
        assert found is None or found[1] <= best + 1e-9


@few
@given(seed=seeds, side=sides)
def test_slots_enough_for_all_books_are_the_linear_program(seed: int, side: Side) -> None:
    program = program_of(random_routes(seed, side))
    choice, free = chosen(program, 100, 10.0), program.solve()
    assert choice is not None
    assert choice.is_proved
    assert abs(program.solve(choice.allowed).cost - free.cost) <= 2 * GAP


@few
@given(seed=seeds, side=sides)
def test_more_slots_never_cost_more(seed: int, side: Side) -> None:
    program = program_of(random_routes(seed, side, assets=4))
    costs = []
    for slots in (4, 5, 6, 8, 12):
        choice = chosen(program, slots, 10.0)
        assert choice is not None
        flows = program.solve(choice.allowed)
        costs.append(flows.cost if flows.fraction > 1 - 1e-9 else np.inf)
    assert all(more <= less + 2 * GAP for less, more in pairwise(costs))


def test_an_asset_of_no_weight_to_speak_of_is_an_error_that_names_it() -> None:
    problem = two_assets()
    legs = (problem.order.legs[0], replace(problem.order.legs[1], per_unit=D("1e-9")))
    with pytest.raises(NumericalFailure, match=r"B is 1\.0e-09 of the basket"):
        program_of(replace(problem, order=replace(problem.order, legs=legs)))
