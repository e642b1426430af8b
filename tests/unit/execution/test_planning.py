"""From the books, ours and the venue's, to what the solver is asked."""

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from tests.unit.solver.solver_cases import make_rule

from etf_trader.errors import CrossedBook, EtfError, MissingPrice
from etf_trader.execution.planning import (
    MarketView,
    Wish,
    cash_to_reserve,
    document_for,
    order_problem,
    settlement_bounds,
)
from etf_trader.execution.unwinding import unwinding
from etf_trader.index.store import Basket
from etf_trader.market.book import Level, OrderBook
from etf_trader.market.document import market_hash
from etf_trader.market.symbol import Side
from etf_trader.orders.plan import Plan
from etf_trader.seal import canonical
from etf_trader.solver.order import plan_order

D = Decimal
AT = datetime(2026, 1, 1, tzinfo=UTC)
BASKET = Basket(1, 1, 1, AT, D(3), {"A": D(1), "B": D(2)}, {"A": "AUSDT", "B": "BUSDT"}, "")


def make_book(symbol: str, bids: list[tuple[str, str]], asks: list[tuple[str, str]]) -> OrderBook:
    def side(levels: list[tuple[str, str]]) -> tuple[Level, ...]:
        return tuple(Level(D(price), D(quantity)) for price, quantity in levels)

    return OrderBook(symbol, side(bids), side(asks), 1, AT, complete=True)


def make_view(**rules: Any) -> MarketView:
    """A at 99.99 to 100.01 and B at 9.99 to 10.01, lots of .01, least order 5 USDT, no fee."""
    return MarketView(
        {
            "AUSDT": make_book("AUSDT", [("99.99", "5"), ("99.9", "50")], [("100.01", "5"), ("100.1", "50")]),
            "BUSDT": make_book("BUSDT", [("9.99", "80")], [("10.01", "80")]),
        },
        {f"{asset}USDT": make_rule(asset, min_notional=D(5), **rules) for asset in "AB"},
    )


def make_wish(side: Side = Side.BUY, **changes: Any) -> Wish:
    values: dict[str, Any] = {
        "side": side,
        "quantity": D(10),
        "limit_price": None,
        "max_loss_bps": None,
        "arrival": {"A": D(100), "B": D(10)},
        "cash": None,
    }
    return Wish(**(values | changes))


def plan_of(wish: Wish, view: MarketView) -> Plan:
    return plan_order(order_problem(wish, BASKET, view, {}, D(1000), 1))


def test_legs_stand_in_order_of_asset_with_what_order_and_float_hold() -> None:
    wish = make_wish(held={"B": D("0.3")}, held_cost={"B": D("2.9")})
    problem = order_problem(wish, BASKET, make_view(), {"A": D("0.02"), "USDT": D(9)}, D(9), 1)
    assert [leg.asset for leg in problem.legs] == ["A", "B"]
    a, b = problem.legs
    assert (a.held, a.residual, b.held, b.held_cost, b.residual) == (D(0), D("0.02"), D("0.3"), D("2.9"), D(0))
    assert (a.mid, b.mid, problem.nav, problem.arrival_nav) == (D(100), D(10), D(123), D(123))
    assert [level.price for level in a.levels] == [D("100.01"), D("100.1")]


def test_a_sell_takes_the_bids() -> None:
    problem = order_problem(make_wish(Side.SELL), BASKET, make_view(), {}, D(9), 1)
    assert [level.price for level in problem.legs[0].levels] == [D("99.99"), D("99.9")]


def test_levels_beyond_the_venues_band_do_not_exist_but_are_known_to_end_there() -> None:
    view = make_view(bid_band=(D("0.9"), D("1.0005")))
    window = replace(view.books["AUSDT"], complete=False)
    problem = order_problem(
        make_wish(), BASKET, MarketView({**view.books, "AUSDT": window}, view.rules), {}, D(9), 1
    )
    assert [level.price for level in problem.legs[0].levels] == [D("100.01")]
    assert problem.legs[0].complete


def test_a_venue_without_a_highest_price_sells_at_every_level() -> None:
    view = make_view(bid_band=(D(0), D(0)), max_price=D(0))
    problem = order_problem(make_wish(), BASKET, view, {}, D(9), 1)
    assert [level.price for level in problem.legs[0].levels] == [D("100.01"), D("100.1")]


def test_a_symbol_that_does_not_trade_now_has_no_price() -> None:
    with pytest.raises(MissingPrice, match="AUSDT does not trade now"):
        order_problem(make_wish(), BASKET, make_view(status="BREAK"), {}, D(9), 1)


@pytest.mark.parametrize(
    ("bids", "asks", "error", "sentence"),
    [
        ([], [("10.01", "80")], MissingPrice, "BUSDT has no bids"),
        ([("9.99", "80")], [], MissingPrice, "BUSDT has no asks"),
        ([("10.02", "80")], [("10.01", "80")], CrossedBook, "BUSDT is crossed"),
    ],
    ids=["no bids", "no asks", "crossed"],
)
def test_a_book_that_has_no_price_is_named_and_nothing_is_planned(
    bids: list[tuple[str, str]], asks: list[tuple[str, str]], error: type[EtfError], sentence: str
) -> None:
    view = make_view()
    view = MarketView({**view.books, "BUSDT": make_book("BUSDT", bids, asks)}, view.rules)
    with pytest.raises(error, match=sentence) as raised:
        order_problem(make_wish(), BASKET, view, {}, D(9), 1)
    assert raised.value.where == "BUSDT"


def test_a_limited_buy_sets_its_limit_aside_for_every_unit_and_two_least_orders_an_asset() -> None:
    problem = order_problem(make_wish(limit_price=D(125)), BASKET, make_view(), {}, D(1000), 1)
    # 10 x 125; least orders .05 A at 100.01 and .5 B at 10.01, twice each.
    assert cash_to_reserve(problem, plan_order(problem), D(200)) == 1250 + 2 * (D("5.0005") + D("5.005"))


def test_an_unlimited_buy_sets_the_marginal_price_and_headroom_aside() -> None:
    problem = order_problem(make_wish(), BASKET, make_view(), {}, D(1000), 1)
    plan = plan_order(problem)
    assert plan.marginal_price == D("100.1") + 2 * D("10.01") + 3
    assert cash_to_reserve(problem, plan, D(200)) == 10 * D("123.12") * D("1.02") + 2 * (D("5.0005") + D("5.005"))


def test_the_float_takes_at_the_end_no_more_than_one_lot_or_one_least_order() -> None:
    # 5 USDT at 5% below mid: .0526... A and .526... B, in lots of .01; or the lot itself.
    assert settlement_bounds(BASKET.symbols, make_view()) == {"A": D("0.06"), "B": D("0.53")}
    coarse = replace(make_view().rules["AUSDT"], step=D(1), min_quantity=D(1))
    view = make_view()
    assert settlement_bounds(BASKET.symbols, MarketView(view.books, {**view.rules, "AUSDT": coarse}))["A"] == 1


def test_the_hash_of_a_plan_covers_levels_and_rules() -> None:
    def book_hash(view: MarketView) -> str:
        problem = order_problem(make_wish(), BASKET, view, {}, D(1000), 1)
        return str(document_for(plan_order(problem), problem, BASKET, "TWO", D(123), view)["book_hash"])

    view = make_view()
    other = MarketView(
        {**view.books, "BUSDT": make_book("BUSDT", [("9.99", "80")], [("10.01", "80.1")])}, view.rules
    )
    assert len({book_hash(view), book_hash(other), book_hash(make_view(taker_fee=D("0.001")))}) == 3
    assert book_hash(make_view()) == book_hash(view) == market_hash(view.document())


def test_a_plan_object_is_the_same_bytes_for_the_same_books() -> None:
    def text() -> str:
        view = make_view()
        problem = order_problem(make_wish(), BASKET, view, {}, D(1000), 1)
        return canonical(document_for(plan_order(problem), problem, BASKET, "TWO", D(123), view))

    assert text() == text()
    assert '"nav":"123"' in text() and '"quantity":"10"' in text()


def test_unwinding_sells_what_is_beyond_the_bounds_at_the_best_prices() -> None:
    plan = unwinding(
        make_wish(),
        BASKET.symbols,
        make_view(),
        {"A": D("6.019"), "B": D("0.5")},
        {"A": D("0.06"), "B": D("0.53")},
    )
    (leg,) = plan.legs
    # 5 at 99.99 and 1.01 at 99.90; .009 is less than a lot
    assert (plan.side, leg.asset, leg.quantity, leg.limit_price) == (Side.SELL, "A", D("6.01"), D("99.9"))
    assert leg.value == D("600.849")
    assert (leg.loss.spread, leg.loss.depth) == (D("0.0601"), D("0.0909"))


def test_unwinding_sells_no_more_than_the_book_takes_and_nothing_below_the_least_order() -> None:
    plan = unwinding(make_wish(), BASKET.symbols, make_view(), {"B": D(100)}, {"B": D("0.53")})
    assert [leg.quantity for leg in plan.legs] == [D(80)]
    thin = make_view()
    books = {**thin.books, "BUSDT": make_book("BUSDT", [("9.99", "0.4")], [("10.01", "80")])}
    view = MarketView(books, thin.rules)
    assert unwinding(make_wish(), BASKET.symbols, view, {"B": D(100)}, {"B": D("0.53")}).legs == ()
