"""Orders at their edges: waiting without a price, outliving their time, smaller than a lot, over the same cash."""

import re
from decimal import Decimal
from pathlib import Path

import pytest
from tests.factories import House, make_definition, make_house, make_ladders, make_market, make_request
from tests.invariants import findings

from etf_trader.errors import UsageError
from etf_trader.exchange.static import StaticMarket
from etf_trader.market.symbol import Side
from etf_trader.orders.status import IndexOrderStatus
from etf_trader.orders.store import request_cancel

D = Decimal


@pytest.fixture
async def house(tmp_path: Path) -> House:
    """An index of one A and two B without float, 10,000 USDT, and 5 units in position 1."""
    market = make_market(
        {"A": make_ladders(D(100), D("0.01"), D(25)), "B": make_ladders(D(10), D("0.01"), D(400))},
        rules={"A": {"step": "0.00001", "min_quantity": "0.00001"}, "B": {"step": "0.00001", "min_notional": "0"}},
    )
    made = make_house(tmp_path, market, deposit=D(10_000))
    await made.create(make_definition(float_cash=D(1)))
    await made.buy(5)
    return made


async def test_two_buys_do_not_reserve_the_same_cash(house: House) -> None:
    await house.desk.accept(make_request(Side.BUY, quantity=D(40)))
    order = await house.desk.accept(make_request(Side.BUY, quantity=D(80)))
    # The treasury has no more than what the first left: the second gets what it buys.
    assert house.holdings("treasury:self") == {}
    await house.manager.run([order.id])
    assert house.order(order.id).stopped_by == ("cash",)
    assert findings(house.database, house.exchange) == []


async def test_a_waiting_order_survives_a_book_without_a_price_and_is_cancelled(house: House) -> None:
    assert isinstance(house.market, StaticMarket)
    order = await house.desk.accept(make_request(Side.BUY, quantity=D(1), limit_price=D(1), time_in_force="gtc"))
    house.market.set_book("AUSDT", [], [("100", "1")])
    await house.manager.run([order.id])
    assert house.order(order.id).stopped_by == ("price",)
    with house.database.write() as connection:
        request_cancel(connection, order.id, house.clock.now())
    await house.manager.run([order.id])
    ended = house.order(order.id)
    assert (ended.status, ended.filled) == (IndexOrderStatus.CANCELLED, D(0))
    assert findings(house.database, house.exchange) == []


async def test_an_order_with_a_lifetime_ends_with_it(house: House) -> None:
    order = await house.buy(1, limit_price=D(1), time_in_force="30m")
    assert (order.status, order.stopped_by) == (IndexOrderStatus.OPEN, ("limit",))
    house.exchange.advance(1800)
    await house.manager.run([order.id])
    ended = house.order(order.id)
    assert (ended.status, ended.stopped_by) == (IndexOrderStatus.ENDED, ("limit", "time"))
    assert findings(house.database, house.exchange) == []


@pytest.mark.parametrize(
    ("float_cash", "least"),
    [
        (0, "0.4995"),  # .50 lots of A at 100.01 are the least order; after fee .4995
        (20, "0.29953334"),  # its surplus of .19996666 A and .00033332 B is just below 20
    ],
)
async def test_an_order_below_the_least_is_refused_and_says_which_is_the_least(
    tmp_path: Path, float_cash: int, least: str
) -> None:
    rules = {"A": {"min_notional": "50"}, "B": {"min_notional": "0"}}
    market = make_market(
        {"A": make_ladders(D(100), D("0.01"), D(9)), "B": make_ladders(D(10), D("0.01"), D(90))}, rules=rules
    )
    house = make_house(tmp_path, market)
    await house.create(make_definition(float_cash=D(float_cash)))
    sentence = f"0.10 units (12.00 USDT) is below the least order of {least} units while the float of TWO is"
    with pytest.raises(UsageError, match=re.escape(sentence)) as refusal:
        await house.buy("0.1")
    assert refusal.value.hint is not None and f"or trade at least {least}" in refusal.value.hint
    assert (await house.buy(least)).filled == D(least)


async def test_a_sell_smaller_than_its_lots_are_wide_is_refused(tmp_path: Path) -> None:
    # One lot is 1 A. The buy of .001 takes a lot, .999 of it the float's; selling .001 would sell that lot again:
    # 99 from the venue, 99.9 to the float.
    market = make_market({"A": ([("99", "50")], [("101", "50")])}, rules={"A": {"step": "1"}}, taker="0")
    house = make_house(tmp_path, market)
    await house.create(make_definition(basket={"A": D(1)}))
    await house.buy("0.001")
    with pytest.raises(UsageError, match=r"selling 0\.001 units of TWO would cost 0\.90 USDT more than it brings"):
        await house.sell(None)


async def test_several_open_positions_have_to_be_told_apart(house: House) -> None:
    await house.buy(1, position="new")
    with pytest.raises(UsageError, match=r"has 2 open positions in TWO: 1 \(5 units\), 2 \(1 units\)"):
        await house.desk.accept(make_request(Side.SELL, quantity=D(1)))
    order = await house.sell(None, position="2")
    assert (order.filled, house.position(2).units, house.position(2).cost) == (D(1), D(0), D(0))
    assert (await house.sell(5)).filled == 5
