"""A limit that leaves only crumbs leaves nothing: nobody wants a fill of a few cents."""

from decimal import Decimal
from pathlib import Path

from tests.factories import make_definition, make_house, make_ladders, make_market
from tests.invariants import findings

from etf_trader.orders.status import IndexOrderStatus

D = Decimal
BOOKS = {
    "A": make_ladders(D(100), D("0.01"), D(50)),
    "B": make_ladders(D(10), D("0.01"), D(500)),
}


async def test_what_the_float_alone_could_cover_within_a_loss_limit_is_not_traded(tmp_path: Path) -> None:
    house = make_house(tmp_path, make_market(BOOKS, rules={"B": {"min_notional": "100"}}))
    await house.create(make_definition())
    # The float may take up to a least order of each asset at mid: 0.05 units, 6 USDT, would cost nothing at all.
    assert (await house.buy("10.005")).filled == D("10.005")
    order = await house.sell("5", max_loss_bps=D(1))
    assert (order.status, order.filled, order.stopped_by) == (IndexOrderStatus.ENDED, D(0), ("loss",))
    assert findings(house.database, house.exchange) == []


async def test_a_small_order_that_was_asked_for_is_traded_whole(tmp_path: Path) -> None:
    house = make_house(tmp_path, make_market(BOOKS))
    await house.create(make_definition())
    order = await house.buy("0.005")
    assert (order.status, order.filled) == (IndexOrderStatus.FILLED, D("0.005"))
    assert findings(house.database, house.exchange) == []
