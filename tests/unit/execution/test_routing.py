"""Which other currencies an index could trade in, and the books that it would take."""

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from tests.unit.solver.solver_cases import make_leg, make_problem, make_rule

from etf_trader.errors import CrossedBook
from etf_trader.execution.routing import OtherBooks, other_currencies, route_problem, route_symbols
from etf_trader.market.book import Level, OrderBook
from etf_trader.market.symbol import Side, SymbolRule

D = Decimal
NOON = datetime(2026, 1, 5, 12, tzinfo=UTC)


def rules_of(*pairs: str) -> dict[str, SymbolRule]:
    """Markets from "BASE/QUOTE"; one that ends with "!" does not trade."""
    rules = {}
    for pair in pairs:
        base, quote = pair.rstrip("!").split("/")
        status = "BREAK" if pair.endswith("!") else "TRADING"
        rule = replace(make_rule(base), symbol=base + quote, quote=quote, status=status)
        rules[rule.symbol] = rule
    return rules


def book(symbol: str, bid: str, ask: str) -> OrderBook:
    """One level of ten a side; an empty text leaves the side empty."""
    bids, asks = (tuple([Level(D(price), D(10))] if price else []) for price in (bid, ask))
    return OrderBook(symbol, bids, asks, 1, NOON, complete=True)


@pytest.mark.parametrize(
    ("routes", "pairs", "found"),
    [
        pytest.param(
            ["USDT"],
            ["A/USDT", "A/USDC", "A/FDUSD", "B/FDUSD", "A/EUR", "USDC/USDT", "FDUSD/USDT", "EUR/USDT"],
            ("FDUSD", "USDC"),
            id="the two in which most constituents trade",
        ),
        pytest.param(["USDT"], ["A/USDC", "USDT/USDC"], ("USDC",), id="exchanged the other way round"),
        pytest.param(["USDT"], ["A/USDC", "A/FDUSD"], (), id="not exchanged for the quote"),
        pytest.param(["USDT"], ["A/USDC", "USDC/USDT!"], (), id="not exchanged now"),
        pytest.param(["USDT"], ["C/USDC", "USDC/USDT"], (), id="no constituent trades there"),
        pytest.param(["USDT"], ["A/BTC", "BTC/USDT"], (), id="what swings is no currency"),
        pytest.param(["USDT", "EUR"], ["A/USDC", "USDC/USDT", "EUR/USDT"], ("EUR",), id="those that are named"),
    ],
)
def test_other_currencies(routes: list[str], pairs: list[str], found: tuple[str, ...]) -> None:
    assert other_currencies("USDT", routes, ["A", "B"], rules_of(*pairs)) == found


def test_a_currency_in_the_basket_is_no_other() -> None:
    rules = rules_of("A/EUR", "EUR/USDT", "A/USDC", "USDC/USDT")
    assert other_currencies("USDT", [], ["A", "EUR"], rules) == ("USDC",)


def test_symbols_are_those_of_the_constituents_and_between_the_currencies() -> None:
    rules = rules_of("A/USDT", "A/USDC", "B/USDC!", "C/USDC", "USDC/USDT", "FDUSD/USDC", "FDUSD/USDT", "A/EUR")
    found = route_symbols("USDT", ["USDC", "FDUSD"], ["A", "B"], rules)
    assert found == ["AUSDC", "FDUSDUSDC", "FDUSDUSDT", "USDCUSDT"]


def test_a_problem_has_the_books_with_two_sides() -> None:
    rules = rules_of("A/USDC", "B/USDC", "USDC/USDT", "A/EUR", "USDT/EUR", "FDUSD/USDT", "A/FDUSD")
    books = {
        "AUSDC": book("AUSDC", "99", "101"),
        "BUSDC": book("BUSDC", "", "101"),
        "USDCUSDT": book("USDCUSDT", "0.99", "1.01"),
        "USDTEUR": book("USDTEUR", "0.79", "0.81"),
        "AEUR": book("AEUR", "80", "81"),
        "AFDUSD": book("AFDUSD", "99", "101"),
        "FDUSDUSDT": book("FDUSDUSDT", "", "1"),
    }
    order = make_problem(make_leg("A", ("101", "5")), make_leg("B", ("101", "5")))
    problem = route_problem(order, OtherBooks(("USDC", "EUR", "FDUSD"), books, rules), {"USDC": D(7)})
    assert [(each.name, each.balance, each.mid) for each in problem.currencies] == [
        ("USDC", D(7), D(1)),
        ("EUR", D(0), D("1.25")),
    ]
    assert [(each.asset, each.rule.symbol, each.levels[0].price) for each in problem.routes] == [
        ("A", "AEUR", D(81)),
        ("A", "AUSDC", D(101)),
    ]
    assert [each.rule.symbol for each in problem.conversions] == ["USDCUSDT", "USDTEUR"]
    assert (problem.conversions[0].bids[0].price, problem.conversions[0].asks[0].price) == (D("0.99"), D("1.01"))


def test_a_sell_takes_the_bids_and_only_within_the_bands() -> None:
    rules = rules_of("A/USDC", "USDC/USDT")
    rules["AUSDC"] = replace(rules["AUSDC"], ask_band=(D("0.9"), D(5)))
    deep = replace(book("AUSDC", "99", "101"), bids=(Level(D(99), D(10)), Level(D(80), D(10))), complete=False)
    books = {"AUSDC": deep, "USDCUSDT": book("USDCUSDT", "0.99", "1.01")}
    order = make_problem(make_leg("A", ("99", "5")), side=Side.SELL)
    route = route_problem(order, OtherBooks(("USDC",), books, rules), {}).routes[0]
    assert (route.levels, route.complete) == ((Level(D(99), D(10)),), True)


def test_a_crossed_book_is_refused() -> None:
    rules = rules_of("A/USDC", "USDC/USDT")
    books = {"AUSDC": book("AUSDC", "102", "101"), "USDCUSDT": book("USDCUSDT", "0.99", "1.01")}
    order = make_problem(make_leg("A", ("101", "5")))
    with pytest.raises(CrossedBook, match="AUSDC is crossed"):
        route_problem(order, OtherBooks(("USDC",), books, rules), {})
