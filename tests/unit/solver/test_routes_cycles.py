"""Books that would pay for trading in a circle are refused, by name."""

from dataclasses import replace
from decimal import Decimal as D

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.effort import examples
from tests.unit.solver.route_cases import levels, make_book, random_routes
from tests.unit.solver.test_routes import worked

from etf_trader.errors import CrossedBook, StaleQuote
from etf_trader.market.symbol import Side
from etf_trader.solver.currencies import Touch, refuse_cycles
from etf_trader.solver.routes import plan_routes

CURRENCIES = ("USDT", "USDC", "FDUSD", "BTC")


def touch(base: str, quote: str, bid: str | None, ask: str | None, fee: str = "0") -> Touch:
    """The best prices of one book."""
    rule = make_book(base, quote, taker_fee=D(fee))
    return Touch(rule, None if bid is None else D(bid), None if ask is None else D(ask))


TRIANGLE = (touch("BTC", "USDT", "60000", "60010"), touch("BTC", "USDC", "60000", "60010"))


@pytest.mark.parametrize(
    ("touches", "named"),
    [
        pytest.param(
            (touch("USDC", "USDT", "0.9990", "0.9997"), *TRIANGLE),
            "BTCUSDC, BTCUSDT, USDCUSDT",
            # a USDC for 0.9997 USDT, a BTC for 60010 USDC, sold for 60000 USDT: 60000 / (60010 x 0.9997) = 1.00013
            id="a constituent that two currencies quote",
        ),
        pytest.param(
            (
                touch("FDUSD", "USDT", "1.0010", "1.0011"),
                touch("FDUSD", "USDC", "0.9998", "0.9999"),
                touch("USDC", "USDT", "0.9999", "1.0000"),
            ),
            "FDUSDUSDC, FDUSDUSDT, USDCUSDT",
            id="three currencies",
        ),
        pytest.param(
            (
                touch("USDC", "USDT", "0.9999", "1.0001"),
                touch("FDUSD", "USDT", "0.9999", "1.0001"),
                touch("A", "USDC", "99.9", "100.0"),
                touch("A", "FDUSD", "100.1", "100.2"),
            ),
            "AFDUSD, AUSDC, FDUSDUSDT, USDCUSDT",
            id="four books",
        ),
        pytest.param(
            (touch("A", "USDC", "99", "100"), touch("A", "USDT", "101", "102"), touch("USDC", "USDT", None, "1")),
            "AUSDC, AUSDT, USDCUSDT",
            id="one side of a book is enough",
        ),
    ],
)
def test_a_cycle_that_pays_is_refused_and_its_books_are_named(touches: tuple[Touch, ...], named: str) -> None:
    with pytest.raises(StaleQuote, match="read the books again") as refused:
        refuse_cycles(touches, CURRENCIES)
    assert refused.value.where == named
    assert named in refused.value.message


@pytest.mark.parametrize(
    "touches",
    [
        pytest.param((touch("USDC", "USDT", "1", "1.0001"), *TRIANGLE), id="the spread is wider"),
        pytest.param(
            (touch("USDC", "USDT", "0.9990", "0.9997"), *(each._replace(rule=make_book(
                "BTC", each.rule.quote, taker_fee=D("0.0001"))) for each in TRIANGLE)),
            id="the fee is more than it pays",
        ),
        pytest.param(
            (touch("A", "USDC", "99", "100"), touch("A", "USDT", "100", "101"), touch("USDC", "USDT", "0.9", "1")),
            id="just nothing gained, for nothing",
        ),
        pytest.param((touch("A", "USDC", "99", "100"), touch("A", "USDT", "101", "102")), id="no way back"),
        pytest.param((touch("A", "USDT", "99", None), touch("A", "USDC", None, "98")), id="empty sides"),
    ],
)  # fmt: skip
def test_what_does_not_pay_is_no_cycle(touches: tuple[Touch, ...]) -> None:
    refuse_cycles(touches, CURRENCIES)


def test_equal_rates_are_compared_exactly_and_not_in_floats() -> None:
    # 1 / 3 of a unit at each of three prices of 3, then 27 back: floats would say a little above 1
    third = [touch("B", "A", None, "3"), touch("C", "B", None, "3"), touch("D", "C", None, "3")]
    refuse_cycles([*third, touch("D", "A", "27", None)], "ABCD")
    with pytest.raises(StaleQuote):
        refuse_cycles([*third, touch("D", "A", "27.000000000000000000001", None)], "ABCD")


def test_of_several_cycles_the_one_that_pays_most_is_named() -> None:
    books = (
        touch("A", "USDC", "99", "100"),
        touch("A", "USDT", "101", "102"),
        touch("B", "USDC", "99", "100"),
        touch("B", "USDT", "103", "104"),
        touch("USDC", "USDT", "0.9", "1"),
    )
    with pytest.raises(StaleQuote) as refused:
        refuse_cycles(books[::-1], CURRENCIES)
    assert refused.value.where == "BUSDC, BUSDT, USDCUSDT"


def test_a_crossed_book_is_refused_first() -> None:
    with pytest.raises(CrossedBook, match=r"USDCUSDT is crossed: bid 1\.01 is not below ask 1\.01"):
        refuse_cycles((touch("USDC", "USDT", "1.01", "1.01"), *TRIANGLE), CURRENCIES)


def test_a_plan_is_not_made_on_such_books() -> None:
    problem = worked()
    cheap = replace(problem.routes[0], levels=levels(("99.70", "5")), mid=D("99.65"))
    with pytest.raises(StaleQuote, match="AFDUSD, AUSDT, FDUSDUSDT"):
        plan_routes(replace(problem, routes=(cheap,)))
    crossed = replace(problem.conversions[0], bids=levels(("1.0002", "5")))
    with pytest.raises(CrossedBook, match="FDUSDUSDT"):
        plan_routes(replace(problem, conversions=(crossed,)))
    below_mid = replace(problem.routes[0], mid=D("100.06"))
    with pytest.raises(CrossedBook, match="AFDUSD"):
        plan_routes(replace(problem, routes=(below_mid,)))


@settings(max_examples=examples(30), deadline=None)
@given(seed=st.integers(0, 10**6), side=st.sampled_from(list(Side)))
def test_books_around_true_prices_hold_no_cycle_and_a_moved_one_does(seed: int, side: Side) -> None:
    problem = random_routes(seed, side, depth=1)
    plan_routes(problem)
    route = problem.routes[seed % len(problem.routes)]
    moved = replace(
        route,
        mid=route.mid * (1 - side.sign * D("0.02")),
        levels=tuple(level._replace(price=level.price * (1 - side.sign * D("0.02"))) for level in route.levels),
    )
    routes = tuple(moved if each is route else each for each in problem.routes)
    with pytest.raises(StaleQuote, match=route.rule.symbol):
        plan_routes(replace(problem, routes=routes))
