"""Numbers that trip floats, and books that nobody would believe: a plan, or one sentence that names the place."""

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal as D
from itertools import permutations

import pytest
from tests.unit.solver.solver_cases import make_leg, make_problem, make_rule, random_problem

from etf_trader.errors import DataError, NumericalFailure
from etf_trader.market.book import Level
from etf_trader.market.symbol import Side
from etf_trader.money import money_context
from etf_trader.orders.plan import Plan
from etf_trader.solver.order import plan_order
from etf_trader.solver.problem import Leg, OrderProblem

METHODS = pytest.mark.parametrize("method", ["auto", "linprog"])
SIDES = pytest.mark.parametrize("side", list(Side), ids=str)


def leg(asset: str, mid: str, tick: str, step: str, size: str, *, count: int = 3, side: Side = Side.BUY) -> Leg:
    """One leg worth 100 a unit, on `count` levels of `size`, a tick apart."""
    price, each = D(mid), D(tick)
    rule = make_rule(asset, tick=each, min_price=each, max_price=D(0), step=D(step), min_quantity=D(step))
    levels = tuple(Level(price + side.sign * each * place, D(size)) for place in range(1, count + 1))
    with money_context():
        per_unit = (100 / price).quantize(D("1e-12")) if price <= 100 else D("1e-5")
    return make_leg(asset, rule=rule, levels=levels, per_unit=per_unit, mid=price, arrival_mid=price)


def small(quantity: str, *legs: Leg, side: Side = Side.BUY) -> OrderProblem:
    return make_problem(*legs, quantity=D(quantity), side=side, float_cash=D(10**9))


ABSURD: dict[str, Callable[[Side], OrderProblem]] = {
    "a price of 1e-8": lambda side: small(
        "3", leg("DUST", "0.00000002", "0.00000001", "1", "90000000000", count=1, side=side), side=side
    ),
    "a price of 1e7": lambda side: small(
        "3", leg("GOLD", "10000000", "0.01", "0.00001", "2", side=side), side=side
    ),
    "a quantity of 9e10 in lots of 1e-8": lambda side: small(
        "1000", leg("MANY", "1", "0.0001", "0.00000001", "90000000000", side=side), side=side
    ),
    "5000 levels of one lot": lambda side: small(
        "40", leg("THIN", "100", "0.001", "0.01", "0.01", count=5000, side=side), side=side
    ),
    "a weight of 1e-6": lambda side: small(
        "3",
        leg("MOST", "100", "0.01", "0.01", "50", side=side),
        replace(leg("LEAST", "100", "0.01", "0.000001", "50", side=side), per_unit=D("0.000001")),
        side=side,
    ),
    "a hundred constituents": lambda side: small(
        "3", *(leg(f"A{n:02}", "100", "0.01", "0.01", "50", side=side) for n in range(100)), side=side
    ),
}


@METHODS
@SIDES
@pytest.mark.parametrize("case", ABSURD)
def test_absurd_books_are_traded_like_any_other(case: str, side: Side, method: str) -> None:
    problem = ABSURD[case](side)
    plan = plan_order(problem, method)
    assert (plan.units, plan.stopped_by) == (problem.quantity, ("filled",))
    for planned, mine in zip(plan.legs, problem.legs, strict=True):
        with money_context():
            assert 0 <= side.sign * (planned.quantity - mine.per_unit * plan.units) < mine.rule.step
        assert 0 < planned.quantity <= sum(level.quantity for level in mine.levels)


@METHODS
@SIDES
def test_more_than_there_is_takes_exactly_what_there_is(side: Side, method: str) -> None:
    """HiGHS may fill a level 1.00000005 times: lots are refilled from the true ladder."""
    for case in ("a price of 1e7", "5000 levels of one lot"):
        problem = ABSURD[case](side)
        plan = plan_order(replace(problem, quantity=D(10**7)), method)
        assert plan.legs[0].quantity == sum(level.quantity for level in problem.legs[0].levels)
        assert plan.stopped_by == (f"depth({problem.legs[0].asset})",)


def test_whole_multiples_of_a_lot_stay_whole() -> None:
    """0.29 / 0.01 floors to 28 in floats; so does 11 to 50% of all multiples."""
    for lots in range(1, 200):
        quantity = D(lots) / 100
        problem = make_problem(make_leg("A", ("99", "50")), quantity=quantity, side=Side.SELL)
        assert plan_order(problem).legs[0].quantity == quantity


def test_an_asset_too_light_for_the_program_is_named() -> None:
    light = replace(leg("SPECK", "100", "0.01", "0.01", "50"), per_unit=D("1e-9"))
    with pytest.raises(NumericalFailure, match="SPECK"):
        plan_order(small("3", leg("MOST", "100", "0.01", "0.01", "50"), light), "linprog")
    assert plan_order(small("3", leg("MOST", "100", "0.01", "0.01", "50"), light)).units == 3


@METHODS
def test_an_empty_side_is_named_and_nothing_is_traded(method: str) -> None:
    problem = small("3", leg("FULL", "100", "0.01", "0.01", "50"), replace(make_leg("GONE"), mid=D(100)))
    plan = plan_order(problem, method)
    assert (plan.units, plan.stopped_by) == (D(0), ("depth(GONE)",))
    assert all(planned.quantity == 0 for planned in plan.legs)


@METHODS
def test_nothing_wanted_and_assets_without_weight_ask_no_solver(method: str) -> None:
    ghost = replace(make_leg("GHOST"), per_unit=D(0))
    real = leg("REAL", "100", "0.01", "0.01", "50")
    assert plan_order(small("0", real, ghost), method).units == 0
    assert plan_order(small("3", real, ghost), method).units == 3


@METHODS
@pytest.mark.parametrize("level", [Level(D("NaN"), D(1)), Level(D("100.001"), D(1)), Level(D(101), D(0))])
def test_a_book_that_is_none_is_one_sentence_with_its_symbol(level: Level, method: str) -> None:
    good = leg("ODD", "100", "0.01", "0.01", "1")
    with pytest.raises(DataError, match="ODDUSDT") as raised:
        plan_order(small("9", replace(good, levels=(*good.levels, level))), method)
    assert raised.value.where == "ODDUSDT"


def test_an_unknown_method_is_a_bug() -> None:
    with pytest.raises(ValueError, match="guess"):
        plan_order(small("3", leg("A", "100", "0.01", "0.01", "50")), "guess")


@METHODS
@SIDES
def test_the_same_order_gives_the_same_bytes_whatever_comes_first(side: Side, method: str) -> None:
    def sorted_plan(problem: OrderProblem) -> Plan:
        plan = plan_order(problem, method)
        multipliers = dict(sorted(plan.multipliers.items()))
        return replace(plan, legs=tuple(sorted(plan.legs, key=lambda each: each.asset)), multipliers=multipliers)

    for seed in range(12):
        problem = random_problem(seed, side, step="0.01")
        plans = {repr(sorted_plan(replace(problem, legs=legs))) for legs in permutations(problem.legs)}
        assert len(plans) == 1, seed


@METHODS
def test_a_plan_is_made_silently(method: str, capfd: pytest.CaptureFixture[str]) -> None:
    plan_order(random_problem(3, Side.BUY, step="0.01"), method)
    assert capfd.readouterr() == ("", "")
