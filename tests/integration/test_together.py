"""All open orders of an account in one solve: shared books, inside trades, and orders that stop alone."""

from decimal import Decimal
from pathlib import Path

import pytest
from tests.factories import House, make_definition, make_house, make_ladders, make_market, make_request
from tests.invariants import findings

from etf_trader.database import Database
from etf_trader.errors import DataError
from etf_trader.execution.settings import ExecutionSettings
from etf_trader.ledger.audit import audit
from etf_trader.market.symbol import Side
from etf_trader.money import ZERO, divide
from etf_trader.orders.index_order import IndexOrder
from etf_trader.orders.status import AssetOrderStatus
from etf_trader.orders.store import asset_orders_of, plans_of
from etf_trader.reports.crosses import CrossesReport, crosses_report
from etf_trader.seal import canonical

D = Decimal


def books(spread: int = 1) -> dict[str, tuple[list[tuple[str, str]], list[tuple[str, str]]]]:
    return {
        "A": make_ladders(D(100), D("0.01"), D(50), spread=spread),
        "B": make_ladders(D(10), D("0.01"), D(500)),
    }


async def accepted(house: House, *wishes: tuple[Side, int]) -> list[IndexOrder]:
    return [
        await house.desk.accept(make_request(side, quantity=D(quantity), time_in_force="gtc"))
        for side, quantity in wishes
    ]


def crossed(house: House) -> CrossesReport:
    with house.database.read() as connection:
        return crosses_report(connection, house.account.id)


def assert_sound(house: House) -> None:
    assert findings(house.database, house.exchange) == []
    with house.database.read() as connection:
        assert audit(connection, house.account).findings == ()


async def test_an_equal_buy_and_sell_trade_with_each_other_and_send_nothing(tmp_path: Path) -> None:
    house = make_house(tmp_path, make_market(books()))
    await house.create(make_definition())
    await house.buy(20)
    sent = len(house.exchange.orders("paper"))
    buy, sell = await accepted(house, (Side.BUY, 10), (Side.SELL, 10))
    await house.manager.run([buy.id, sell.id])
    assert [house.order(each.id).status for each in (buy, sell)] == ["filled", "filled"]
    assert len(house.exchange.orders("paper")) == sent
    lines = crossed(house).crosses
    assert [(line.asset, line.price, line.buyer, line.seller) for line in lines] == [
        ("A", D(100), buy.id, sell.id),
        ("B", D(10), buy.id, sell.id),
    ]
    assert [line.quantity for line in lines] == [D(10), D(20)]
    assert (house.cash(buy.id), house.cash(sell.id)) == (D(1200), D(1200))
    assert house.loss(buy.id).total == house.loss(sell.id).total == ZERO
    assert_sound(house)


async def test_two_buys_share_every_level_and_one_order_an_asset(tmp_path: Path) -> None:
    house = make_house(tmp_path, make_market(books()))
    await house.create(make_definition())
    first, second = await accepted(house, (Side.BUY, 30), (Side.BUY, 90))
    await house.manager.run([first.id, second.id])
    assert len(house.exchange.orders("paper")) == 2
    paid = [divide(house.cash(each.id), house.order(each.id).filled) for each in (first, second)]
    # one pays what the other pays, lots and rounded fees aside
    assert abs(paid[0] - paid[1]) < D("0.01")
    with house.database.read() as connection:
        shares = {order.intent.asset: order for order in asset_orders_of(connection, second.id)}
    assert shares["A"].share_of(first.id) + shares["A"].share_of(second.id) == shares["A"].intent.quantity
    assert_sound(house)


async def test_only_the_net_of_a_buy_and_a_sell_reaches_the_venue(tmp_path: Path) -> None:
    house = make_house(tmp_path, make_market(books()))
    await house.create(make_definition())
    await house.buy(50)
    buy, sell = await accepted(house, (Side.BUY, 40), (Side.SELL, 10))
    await house.manager.run([buy.id, sell.id])
    assert [house.order(each.id).filled for each in (buy, sell)] == [40, 10]
    with house.database.read() as connection:
        sent = [
            each for each in asset_orders_of(connection, buy.id) if each.status is not AssetOrderStatus.CROSSED
        ]
    assert all(each.intent.side is Side.BUY for each in sent)
    assert {each.intent.asset: round(each.intent.quantity) for each in sent} == {"A": 30, "B": 60}
    assert abs(crossed(house).value - 1200) < 1
    assert_sound(house)


async def test_opposite_wishes_on_a_wide_book_wait_for_a_narrower_one(tmp_path: Path) -> None:
    house = make_house(tmp_path, make_market(books()))
    await house.create(make_definition())
    await house.buy(20)
    wide = make_ladders(D(100), D("0.01"), D(50), spread=30)  # 60 ticks of 0.01 on 100: 60 bps
    house.market.set_book("AUSDT", *wide)  # type: ignore[attr-defined]
    sent = len(house.exchange.orders("paper"))
    buy, sell = await accepted(house, (Side.BUY, 10), (Side.SELL, 10))
    await house.manager.run([buy.id, sell.id])
    assert len(house.exchange.orders("paper")) == sent
    assert [house.order(each.id).stopped_by for each in (buy, sell)] == [("cross(A)",), ("cross(A)",)]
    assert crossed(house).crosses == ()
    assert_sound(house)


async def test_how_wide_a_book_may_be_for_a_cross_is_a_setting(tmp_path: Path) -> None:
    house = make_house(tmp_path, make_market(books()), settings=ExecutionSettings(max_cross_spread=D(15)))
    await house.create(make_definition())
    await house.buy(20)
    # A is 2 bps wide, B 20
    buy, sell = await accepted(house, (Side.BUY, 10), (Side.SELL, 10))
    await house.manager.run([buy.id, sell.id])
    assert [house.order(each.id).stopped_by for each in (buy, sell)] == [("cross(B)",), ("cross(B)",)]


async def test_a_constituent_without_a_price_stops_only_the_orders_that_hold_it(tmp_path: Path) -> None:
    house = make_house(tmp_path, make_market(books()))
    await house.create(make_definition())
    await house.create(make_definition(symbol="ONE", basket={"B": D(5)}))
    held = await house.desk.accept(make_request(Side.BUY, quantity=D(5)))
    free = await house.desk.accept(make_request(Side.BUY, index_id=2, quantity=D(5)))
    house.market.set_book("AUSDT", [], [("100.01", "50")])  # type: ignore[attr-defined]
    with pytest.raises(DataError, match="AUSDT has no bids"):
        await house.manager.run([held.id, free.id])
    assert house.order(held.id).stopped_by == ("price",)
    assert house.order(free.id).status == "filled"
    assert_sound(house)


async def test_a_dry_run_beside_open_orders_is_what_happens(tmp_path: Path) -> None:
    house = make_house(tmp_path, make_market(books()))
    await house.create(make_definition())
    await house.buy(20)
    (sell,) = await accepted(house, (Side.SELL, 5))
    request = make_request(Side.BUY, quantity=D(30))
    preview = await house.desk.preview(request)
    assert preview.document["crossed"].keys() == {"A", "B"}
    buy = await house.desk.accept(request)
    await house.manager.run([buy.id])
    with house.database.read() as connection:
        (plan,) = plans_of(connection, buy.id)
    assert plan.document == canonical(preview.document)
    assert house.order(sell.id).status == "filled"
    assert_sound(house)


async def test_a_buy_and_a_sell_of_different_indices_meet_in_what_they_share(tmp_path: Path) -> None:
    house = make_house(tmp_path, make_market(books()))
    await house.create(make_definition())
    await house.create(make_definition(symbol="ONE", basket={"B": D(5)}))
    await house.buy(20)
    sell = await house.desk.accept(make_request(Side.SELL, quantity=D(10)))
    buy = await house.desk.accept(make_request(Side.BUY, index_id=2, quantity=D(10)))
    await house.manager.run([sell.id, buy.id])
    assert [house.order(each.id).status for each in (sell, buy)] == ["filled", "filled"]
    lines = crossed(house).crosses
    assert [(line.asset, line.buyer, line.seller) for line in lines] == [("B", buy.id, sell.id)]
    assert_sound(house)


def test_no_crosses_is_an_answer(tmp_path: Path) -> None:
    house = make_house(tmp_path, make_market(books()))
    assert isinstance(house.database, Database)
    assert crossed(house) == CrossesReport(house.account.id, ZERO, ())
