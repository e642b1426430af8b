"""The loss bench: its simulator counts right, agrees with what plans say, and keeps its shapes."""

import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest
from benchmarks import loss
from tests.unit.solver.solver_cases import make_rule

from etf_trader.exchange.model import ModelMarket
from etf_trader.market.book import Level, OrderBook
from etf_trader.market.symbol import Side
from etf_trader.money import ZERO, money_context
from etf_trader.solver.order import plan_order
from etf_trader.solver.outcomes import outcomes
from etf_trader.solver.quote import limits_by_asset, market_orders
from etf_trader.solver.shared import plan_together
from etf_trader.solver.shares import SharedOrder, Touch

D = Decimal


@pytest.fixture(autouse=True)
def exact() -> Iterator[None]:
    with money_context():
        yield


def levels(*pairs: tuple[str, str]) -> tuple[Level, ...]:
    return tuple(Level(D(price), D(quantity)) for price, quantity in pairs)


def two_books() -> loss.Venue:
    """A at 100, of which there are 10; B at 10, of which there are 3; a fee of 10 bps."""
    asks = {
        "A": levels(("100.1", "4"), ("100.3", "6")),
        "B": levels(
            ("10.01", "3"),
        ),
    }
    bids = {
        "A": levels(
            ("99.9", "50"),
        ),
        "B": levels(
            ("9.99", "50"),
        ),
    }
    now = datetime(2026, 1, 5, tzinfo=UTC)
    books = {f"{name}USDT": OrderBook(f"{name}USDT", bids[name], asks[name], 1, now, True) for name in asks}
    rules = {f"{name}USDT": make_rule(name, taker_fee=D("0.001")) for name in asks}
    return loss.Venue(books, rules, ModelMarket())


def test_the_venue_walks_the_levels_and_takes_the_fee_of_each_fill() -> None:
    venue = two_books()
    venue.send("AUSDT", Side.BUY, D(5))
    assert venue.gained == {"A": D("4.995"), "USDT": D("-500.7")}
    # 5 for 500.7 are 4.995 worth 499.5: 1.2 lost
    assert venue.loss() == D("1.2")
    assert venue.left("AUSDT", Side.BUY) == levels(("100.3", "5"))
    venue.send("AUSDT", Side.BUY, D(9), limit=D("100.2"))
    assert venue.left("AUSDT", Side.BUY) == levels(("100.3", "5"))
    assert venue.fresh().left("AUSDT", Side.BUY) == two_books().left("AUSDT", Side.BUY)


def test_cash_buys_whole_lots_and_no_more_than_it_pays_for() -> None:
    venue = two_books()
    venue.spend("AUSDT", D("601"))
    # 4 for 400.4; of the other 200.6 two for 200.6
    assert venue.gained["USDT"] == D("-601") and venue.gained["A"] == D("5.994")
    venue.spend("AUSDT", D("1"))
    assert venue.gained["USDT"] == D("-601")


def test_what_the_common_fraction_leaves_over_is_sold_again_after_fees() -> None:
    venue = two_books()
    problem = loss.order(venue, {"A": D(1), "B": D(1)}, D(550))  # five units of 110
    outcome = loss.tried(venue, problem, loss.market_orders)
    # B gives 3 x 0.999 = 2.997 units. A: 5.01 for 501.703 come to 5.00499, of which 2.00 in whole lots are
    # sold again for 199.8 less 0.1998; 0.00799 are less than a lot and stay, at 100.
    spent = D("501.703") + D("30.03") - D("199.6002")
    worth = D("3.00499") * 100 + D("2.997") * 10
    assert outcome.filled == pytest.approx(2.997 / 5)
    assert outcome.bps == pytest.approx(float(spent - worth) / (2.997 * 110) * 1e4)
    assert outcome.stranded == pytest.approx(200 / (500.499 + 29.97))


def test_what_was_taken_comes_back_as_the_market_says() -> None:
    venue = loss.model_venue(1)
    asks = venue.left("BTCUSDT", Side.BUY)
    venue.send("BTCUSDT", Side.BUY, asks[0].quantity)
    assert venue.left("BTCUSDT", Side.BUY)[0] == asks[1]
    venue.wait(600)
    assert venue.left("BTCUSDT", Side.BUY) == asks


@pytest.mark.parametrize("value", ["3000", "100000", "10000000"])
def test_a_plan_loses_what_it_says(value: str) -> None:
    venue = loss.model_venue(2)
    problem = loss.order(venue, loss.basket_of(venue, loss.THIN), D(value))
    plan = plan_order(problem)
    loss.follow(venue, plan)
    assert venue.loss() == plan.loss.total


def test_what_orders_are_charged_adds_up_to_what_the_venue_counted() -> None:
    venue = loss.model_venue(2)
    baskets = [loss.basket_of(venue, weights) for weights in (loss.THIN, loss.DEEP, loss.THIN)]
    sides = (Side.BUY, Side.SELL, Side.SELL)
    wishes = [loss.order(venue, basket, D(10**5), side) for basket, side in zip(baskets, sides, strict=True)]
    units = loss.together(venue, wishes)
    books = {leg.asset: venue.books[leg.rule.symbol] for wish in wishes for leg in wish.legs}
    touches = {asset: Touch(book.bids[0].price, book.asks[0].price, True) for asset, book in books.items()}
    plan = plan_together([SharedOrder(n, f"I{n}", wish) for n, wish in enumerate(wishes)], touches)
    assert venue.loss() == sum((each.plan.loss.total for each in outcomes(plan).values()), ZERO)
    assert loss.all_of(venue, wishes, units).filled == 1


def test_units_that_were_not_traded_are_noticed() -> None:
    venue = two_books()
    wish = loss.order(venue, {"A": D(1)}, D(500))
    with pytest.raises(AssertionError, match="do not cover"):
        loss.all_of(venue, [wish], [D(5)])


def test_the_naive_ways_are_those_of_a_quote() -> None:
    venue = loss.model_venue(3)
    problem = loss.order(venue, loss.basket_of(venue, loss.THIN), 10 * loss.M)
    back = {leg.asset: venue.books[leg.rule.symbol].bids for leg in problem.legs}
    limited = loss.tight(problem)
    for naive, wish, way in (
        (market_orders(problem, back), problem, loss.market_orders),
        (limits_by_asset(limited, back), limited, loss.limit_orders),
    ):
        assert naive is not None and naive.stranded > 0
        outcome = loss.tried(venue, wish, way)
        assert outcome.filled == pytest.approx(float(naive.units) / float(problem.quantity), rel=1e-6)
        lost = float(naive.loss + naive.unwinding) / float(naive.units * problem.nav) * 1e4
        assert outcome.bps == pytest.approx(lost, rel=1e-3)


def test_every_figure_is_of_its_shape_and_nothing_is_gained_where_nothing_can_be(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setattr(loss, "DATA", tmp_path)
    monkeypatch.setattr(sys, "argv", ["loss.py", "--quick", "--check"])
    assert loss.main() == 0
    printed = capsys.readouterr().out
    lines = printed.splitlines()
    assert printed.count("nothing to gain |") >= 10
    assert all(line.count("|") == lines[0].count("|") for line in lines[:-2])
    assert "not so" not in printed


def test_a_gain_where_there_is_none_is_told() -> None:
    even, better = loss.Outcome(1.0, 12.0), loss.Outcome(1.0, 11.98)
    kept = loss.row("No limit", "books", "market orders", even, even, loss.NOTHING)
    wrong = loss.row("No limit", "books", "market orders", even, better, loss.NOTHING)
    assert loss.is_kept(kept) and not loss.is_kept(wrong)
    worst = loss.medians([[kept], [kept], [wrong]])
    assert not loss.is_kept(worst[0])
    assert "| 0.02 |  | 0.00 | not so |" in "\n".join(loss.table(worst))
