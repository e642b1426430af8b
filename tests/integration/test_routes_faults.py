"""Orders over several currencies when something goes wrong: no price, refused exchanges, one float for two."""

from decimal import Decimal
from pathlib import Path

import pytest
from tests.factories import House, make_definition, make_house, make_request
from tests.integration.test_faults import FaultyVenue
from tests.integration.test_routes import make_routes_market, purposes, routed_house
from tests.invariants import findings, standing_findings

from etf_trader.errors import CrossedBook
from etf_trader.exchange.static import StaticMarket, symbol_row
from etf_trader.ledger.audit import audit
from etf_trader.market.symbol import Side
from etf_trader.orders.status import IndexOrderStatus
from etf_trader.reports.fills import fills_report

D = Decimal
FREE = ("USDCUSDT",)


def assert_sound(house: House) -> None:
    # What exchanges currencies back has a leg in no asset of the basket.
    found = [each for each in findings(house.database, house.exchange) if "is no asset of the basket" not in each]
    assert found == []
    with house.database.read() as connection:
        assert audit(connection, house.account).findings == ()


def watched(house: House) -> list[str]:
    """Return the findings of every commit from now on."""
    seen: list[str] = []
    house.database.watch = lambda connection: seen.extend(standing_findings(connection))
    return seen


async def faulty_house(folder: Path, market: StaticMarket) -> tuple[House, FaultyVenue]:
    house = make_house(folder, market, venue_type=FaultyVenue)
    await house.create(make_definition(routes=("USDT", "USDC")))
    assert isinstance(house.venue, FaultyVenue)
    return house, house.venue


async def test_two_sells_of_one_index_do_not_lend_the_same_leftovers(tmp_path: Path) -> None:
    # B trades in whole lots. The buy of 10.03 left .919 B to the float; each of the sells could make up a lot
    # with it: 4.2 B and .919 are five lots, and so are 6.2 B and .919 seven.
    market = make_routes_market(free=FREE)
    rows = [row for row in market.symbols() if row["symbol"] != "BUSDT"]
    rows.append(symbol_row("BUSDT", "B", "USDT", step="1", min_quantity="1"))
    names = [row["symbol"] for row in rows]
    levels = {name: market.book(name, market.start) for name in names}
    books = {
        name: (
            [(str(level.price), str(level.quantity)) for level in book.bids],
            [(str(level.price), str(level.quantity)) for level in book.asks],
        )
        for name, book in levels.items()
    }
    house = await routed_house(tmp_path, StaticMarket(rows, books, free=FREE))
    await house.buy("10.03")
    seen = watched(house)
    orders = [await house.desk.accept(make_request(Side.SELL, quantity=D(text))) for text in ("2.1", "3.1")]
    await house.manager.run([each.id for each in orders])
    assert [house.order(each.id).status for each in orders] == ["filled", "filled"]
    assert seen == []
    assert_sound(house)


async def test_a_currency_without_a_price_at_arrival_is_not_used_later(tmp_path: Path) -> None:
    market = make_routes_market(free=FREE)
    house = await routed_house(tmp_path, market)
    market.set_book("USDCUSDT", [], [("1.0001", "5000000")])
    order = await house.desk.accept(make_request(Side.BUY, quantity=D(200)))
    assert "USDC" not in order.arrival
    market.set_book("USDCUSDT", [("0.9999", "5000000")], [("1.0001", "5000000")])
    await house.manager.run([order.id])
    assert house.order(order.id).filled == 200
    assert {each.symbol for each in house.exchange.orders("paper")} == {"AUSDT", "BUSDT"}
    assert_sound(house)


async def test_a_crossed_book_in_another_currency_stops_only_who_may_trade_there(tmp_path: Path) -> None:
    market = make_routes_market(free=FREE)
    house = await routed_house(tmp_path, market)
    await house.create(make_definition(symbol="ONE", basket={"B": D(5)}))
    now = await house.desk.accept(make_request(Side.BUY, quantity=D(20)))
    later = await house.desk.accept(make_request(Side.BUY, quantity=D(5), time_in_force="gtc"))
    other = await house.desk.accept(make_request(Side.BUY, index_id=2, quantity=D(5)))
    market.set_book("AUSDC", [("101", "10")], [("100", "10")])
    with pytest.raises(CrossedBook, match="AUSDC is crossed"):
        await house.manager.run([now.id, other.id])
    assert (house.order(now.id).status, house.order(now.id).stopped_by) == (IndexOrderStatus.ENDED, ("price",))
    assert (house.order(later.id).status, house.order(later.id).stopped_by) == (IndexOrderStatus.OPEN, ("price",))
    assert house.order(other.id).status == "filled"
    assert_sound(house)


async def test_what_an_exchange_lost_counts_against_the_loss_limit(tmp_path: Path) -> None:
    # Exchanging loses 11 bps of what is exchanged: that is lost before the first unit is bought.
    house = await routed_house(tmp_path, make_routes_market())
    order = await house.buy(200, max_loss_bps=D(20))
    assert (order.status, order.stopped_by) == (IndexOrderStatus.ENDED, ("loss",))
    assert purposes(house, order.id) == ["convert", "trade"]
    allowed = 20 * order.filled * order.arrival_nav / 10_000
    assert allowed - D("0.01") < house.loss(order.id).total <= allowed
    assert_sound(house)


async def test_currency_that_an_open_order_has_is_cash_and_not_beside_it(tmp_path: Path) -> None:
    house = await routed_house(tmp_path, make_routes_market(free=FREE))
    house.deposit(D(50_000), "usdc", asset="USDC")
    order = await house.desk.accept(make_request(Side.BUY, quantity=D(200), time_in_force="gtc"))
    assert house.holdings(f"order:{order.id}")["USDC"] > 0
    with house.database.read() as connection:
        (line,) = fills_report(connection, order.position_id, None).orders
    assert line.held_value == 0
    assert line.loss == line.cash - line.arrival_value
