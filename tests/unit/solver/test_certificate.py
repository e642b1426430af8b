"""A bound from multipliers is below every plan, whatever the multipliers are."""

import random
from dataclasses import replace
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.effort import examples
from tests.unit.solver.solver_cases import Continuous, make_leg, make_problem, make_rule, random_problem

from etf_trader.market.symbol import Side
from etf_trader.money import money_context
from etf_trader.solver.certificate import BookSide, least_cost, multiplier, order_bound
from etf_trader.solver.order import plan_order

D = Decimal
NODES = ("USDT", "USDC", "BTC", "ETH")
PAIRS = (("BTC", "USDT"), ("BTC", "USDC"), ("ETH", "USDT"), ("ETH", "BTC"), ("USDC", "USDT"))


def levels(*pairs: tuple[str, str]) -> list[tuple[Decimal, Decimal]]:
    return [(D(price), D(quantity)) for price, quantity in pairs]


ASKS = BookSide(Side.BUY, "A", "USDT", D("0.1"), levels(("9", "10"), ("18", "10"), ("27", "10")))
BIDS = BookSide(Side.SELL, "A", "USDT", D("0.1"), levels(("30", "10"), ("20", "10"), ("10", "10")))


@pytest.mark.parametrize(
    ("worth", "bound"),
    [
        # 13.5 A cost 10 x 9 + 5 x 18 = 180. At 20 = 18 / .9 the first level is 9 below, the second neither.
        pytest.param("20", "180", id="the dearest level used: exact"),  # 13.5 x 20 - 10 x 9
        pytest.param("15", "157.5", id="too low"),  # 13.5 x 15 - 10 x 4.5
        pytest.param("30", "135", id="too high"),  # 13.5 x 30 - 10 x 18 - 10 x 9
        pytest.param("0", "0", id="nothing"),
    ],
)
def test_a_buy_is_bounded_from_below_by_any_multiplier(worth: str, bound: str) -> None:
    known = {"USDT": D(1), "A": D(worth)}
    assert least_cost([ASKS], known, {"A": D("13.5")}) == D(bound)


@pytest.mark.parametrize(
    ("worth", "bound"),
    [
        # 15 A bring .9 x (10 x 30 + 5 x 20) = 360.
        pytest.param("18", "-360", id="the cheapest level used: exact"),  # -15 x 18 - 10 x 9
        pytest.param("27", "-405", id="too high"),  # -15 x 27
        pytest.param("0", "-540", id="nothing"),  # all levels: .9 x 600
    ],
)
def test_a_sell_is_bounded_from_above_by_any_multiplier(worth: str, bound: str) -> None:
    known = {"USDT": D(1), "A": D(worth)}
    assert least_cost([BIDS], known, {"A": D(-15)}) == D(bound)


def test_a_bound_goes_over_several_currencies() -> None:
    # 1 BTC for 100 USDC, and USDC for .99 USDT each: 99, and 30 USDC are there already.
    btc = BookSide(Side.BUY, "BTC", "USDC", D(0), levels(("100", "5")))
    usdc = BookSide(Side.BUY, "USDC", "USDT", D(0), levels(("0.99", "1000")))
    known = {"USDT": D(1), "USDC": D("0.99"), "BTC": D(99)}
    assert least_cost([btc, usdc], known, {"BTC": D(1), "USDC": D(-30)}) == 99 - D("29.7")


@pytest.mark.parametrize(
    ("known", "told"),
    [
        ({"USDT": D(1)}, "A has no multiplier"),
        ({"USDT": D(1), "A": D("-0.1")}, "multiplier of A is -0.1"),
        ({"USDT": D(1), "A": D("NaN")}, "multiplier of A is NaN"),
    ],
)
def test_multipliers_that_prove_nothing_are_refused(known: dict[str, Decimal], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        least_cost([ASKS], known, {"A": D(1)})


def _random_books(chance: random.Random) -> list[BookSide]:
    books = []
    for base, quote in PAIRS:
        for side in Side:
            price, ladder = Fraction(chance.randint(50, 150)), []
            for _ in range(chance.randint(0, 4)):
                ladder.append((D(int(price)), D(chance.randint(1, 900)) / 100))
                price += side.sign * chance.randint(1, 9)
            books.append(BookSide(side, base, quote, D(chance.choice(["0", "0.001", "0.00075"])), ladder))
    return books


@settings(max_examples=examples(60), deadline=None)
@given(st.integers(0, 10**6))
def test_no_flow_over_any_books_costs_less_than_the_bound_of_any_multipliers(seed: int) -> None:
    chance = random.Random(seed)
    books = _random_books(chance)
    net = dict.fromkeys(NODES, Fraction(0))
    for book in books:
        for price, depth in book.levels:
            taken = Fraction(chance.randint(0, 4), 4) * Fraction(depth)
            kept = 1 - Fraction(book.fee)
            base, quote = (kept, -Fraction(price)) if book.side is Side.BUY else (-1, kept * Fraction(price))
            net[book.base] += taken * base
            net[book.quote] += taken * quote
    grid = Fraction(1, 10**6)
    required = {node: D(int(flow // grid)) / 10**6 for node, flow in net.items() if node != "USDT"}  # at most
    known = {node: D(chance.randint(0, 30000)) / 100 for node in NODES} | {"USDT": D(1)}
    assert Fraction(least_cost(books, known, required)) <= -net["USDT"]


@settings(max_examples=examples(60), deadline=None)
@given(seed=st.integers(0, 10**6), side=st.sampled_from(Side), multipliers=st.randoms(use_true_random=False))
def test_no_multipliers_bound_a_plan_closer_than_its_own(
    seed: int, side: Side, multipliers: random.Random
) -> None:
    problem = random_problem(seed, side, step="0.01", spare=bool(seed % 2))
    with money_context():
        plan = plan_order(problem)
        known = {asset: D(multipliers.randint(0, 12000)) / 100 for asset in plan.multipliers}
        other = order_bound(problem, plan.units, known)
    assert (plan.bound - other) * side.sign >= -D("2e-8")
    assert (plan.cost - plan.bound) * side.sign >= 0


@settings(max_examples=examples(40), deadline=None)
@given(seed=st.integers(0, 10**6), side=st.sampled_from(Side))
def test_the_bound_is_the_continuous_optimum(seed: int, side: Side) -> None:
    problem = random_problem(seed, side, step="0.00000001", limits=False)
    problem = replace(problem, quantity=D(1), float_cash=D(10**6))
    plan = plan_order(problem)
    if plan.units:
        smooth = Continuous(replace(problem, quantity=plan.units))
        beyond = 1 - smooth.fraction  # of a sell that a book stops the float takes less than a lot more
        assert beyond == 0 or (side is Side.SELL and beyond < Fraction(1, 10**6))
        assert abs(smooth.value - Fraction(plan.bound)) < Fraction(1, 10**5 if beyond else 10**7)


def test_a_multiplier_is_the_price_after_fee_of_the_dearest_level_needed() -> None:
    leg = make_leg("A", ("100", "1"), ("101", "1"), rule=make_rule(taker_fee=D("0.001")))
    assert multiplier(leg, Side.BUY, D("0.999")) == D("100.1001001001001002")  # 100 / .999, to 18 digits, up
    assert multiplier(leg, Side.BUY, D("0.9991")) == D("101.1011011011011012")
    assert multiplier(leg, Side.SELL, D(1)) == D("99.9")
    assert multiplier(leg, Side.SELL, D("2.1")) == 0


def test_what_a_leg_has_already_is_not_bought_again() -> None:
    problem = make_problem(make_leg("A", ("100", "50"), held=D(3), residual=D(2)))
    assert order_bound(problem, D(10), {"A": D(100)}) == 500
    assert order_bound(problem, D(4), {"A": D(100)}) == 0
