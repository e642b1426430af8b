"""A rebalance is planned from what the ledger holds and the venue lists."""

from decimal import Decimal
from pathlib import Path

import pytest
from tests.factories import House, make_definition, make_house, make_ladders, make_market, make_request

from etf_trader.errors import NotListed
from etf_trader.exchange.static import StaticMarket
from etf_trader.index.store import current_basket
from etf_trader.rebalance.previewing import RebalancePreview, preview_rebalance

D = Decimal


@pytest.fixture
async def house(tmp_path: Path) -> House:
    """Ten units of an index of A and B, half each."""
    books = {asset: make_ladders(D(mid), D("0.01"), D(100)) for asset, mid in (("A", 100), ("B", 10))}
    made = make_house(tmp_path, make_market(books, taker="0"))
    await made.create(make_definition(basket={}, weights={"A": D("0.5"), "B": D("0.5")}))
    order = await made.desk.accept(make_request(quantity=D(2)))
    await made.manager.run([order.id])
    return made


async def preview(house: House) -> RebalancePreview:
    return await preview_rebalance(house.database, house.venue, house.clock, house.account, 1000, "1", None)


async def test_what_is_held_is_units_times_basket(house: House) -> None:
    found = await preview(house)
    assert found.rebalance is not None
    mids = {asset: (await house.venue.books([f"{asset}USDT"], 5))[f"{asset}USDT"].mid for asset in "AB"}
    with house.database.read() as connection:
        assert found.rebalance.nav == found.units * current_basket(connection, 1).nav(mids)


async def test_what_the_venue_lists_no_more_is_a_sentence(house: House) -> None:
    assert isinstance(house.market, StaticMarket)
    house.market.delist("BUSDT")
    with pytest.raises(NotListed, match="B has no market BUSDT at the venue"):
        await preview(house)
