"""Limits and leftovers when books move between two batches of one order."""

from decimal import Decimal
from pathlib import Path

import pytest
from tests.factories import House, make_definition, make_house, make_market
from tests.invariants import findings, limit_findings

from etf_trader.exchange.static import StaticMarket
from etf_trader.orders.status import IndexOrderStatus
from etf_trader.venue.interface import LimitOrder

D = Decimal
A = ([("99.99", "50")], [("100.01", "50")])
B = ([("9.99", "500")], [("10.01", "500")])


@pytest.fixture
async def house(tmp_path: Path) -> House:
    """An index of one A and two B, no fee."""
    made = make_house(tmp_path, make_market({"A": A, "B": B}, taker="0"))
    await made.create(make_definition())
    return made


def set_book(house: House, asset: str, bids: list[tuple[str, str]], asks: list[tuple[str, str]]) -> None:
    assert isinstance(house.market, StaticMarket)
    house.market.set_book(f"{asset}USDT", bids, asks)


def on_first_order_in(
    house: House, asset: str, *moves: tuple[str, list[tuple[str, str]], list[tuple[str, str]]]
) -> None:
    """Give books as in `moves` just before the first order in `asset` arrives."""

    def move(order: LimitOrder) -> None:
        if order.symbol == f"{asset}USDT":
            for name, bids, asks in moves:
                set_book(house, name, bids, asks)
            house.venue.before_place = None

    house.venue.before_place = move


async def test_what_an_order_holds_counts_at_the_price_paid_against_the_limit(house: House) -> None:
    # A fills at 100.01. B runs away to 10.60; A then offers at 98.00. At the touches of then a unit is worth
    # 98 + 21.20 = 119.20, within the limit of 120.10; at the price paid for A it costs 121.21.
    on_first_order_in(
        house,
        "B",
        ("B", [("10.50", "500")], [("10.60", "500")]),
        ("A", [("97.00", "50")], [("98.00", "50")]),
    )
    order = await house.buy(10, limit_price=D("120.10"))

    assert (order.status, order.stopped_by) == (IndexOrderStatus.ENDED, ("limit",))
    with house.database.read() as connection:
        assert limit_findings(connection) == []
    assert order.filled == 0
    assert findings(house.database, house.exchange) == []


async def test_held_at_a_good_price_still_completes_within_the_limit(house: House) -> None:
    # A was bought at 100.01 and has gone up since: the units are completed at the price paid for A.
    on_first_order_in(
        house,
        "B",
        ("B", [("10.00", "500")], [("10.04", "500")]),
        ("A", [("109.00", "50")], [("110.00", "50")]),
    )
    order = await house.buy(10, limit_price=D("120.10"))

    assert (order.status, order.filled) == (IndexOrderStatus.FILLED, D(10))
    assert house.cash(order.id) == 10 * (D("100.01") + 2 * D("10.04"))
    assert findings(house.database, house.exchange) == []


async def test_a_loss_limit_that_moving_books_break_completes_the_baskets_rather_than_trading_them_back(
    house: House,
) -> None:
    # A fills at 100.01, then B's offer goes up from 10.01 to 10.03. To complete loses 20 x 0.03 = 0.60 beside the
    # 0.10 of A: 5.8 bps of 1,200 where 5 are accepted. Selling the ten A at 99.99 would lose 0.20 for nothing.
    on_first_order_in(house, "B", ("B", [("9.99", "500")], [("10.03", "500")]))
    order = await house.buy(10, max_loss_bps=D(5))

    assert order.filled == D(10)
    assert house.loss(order.id).total == D("0.70")
    assert findings(house.database, house.exchange) == []


async def test_what_would_lose_more_to_complete_than_to_sell_is_traded_back(house: House) -> None:
    # B runs away to 10.60: completing would lose 20 x 0.60 = 12, selling the ten A loses 10 x 0.02.
    on_first_order_in(house, "B", ("B", [("10.50", "500")], [("10.60", "500")]))
    order = await house.buy(10, max_loss_bps=D(20))

    assert (order.status, order.filled) == (IndexOrderStatus.ENDED, D(0))
    assert house.loss(order.id).total == D("0.20")
    assert findings(house.database, house.exchange) == []
