"""Orders over several currencies when something goes wrong: no price, refused exchanges, one float for two."""

from decimal import Decimal
from pathlib import Path

import pytest
from tests.factories import House, make_definition, make_house, make_ladders, make_request
from tests.integration.test_faults import FaultyVenue
from tests.integration.test_routes import make_routes_market, purposes, routed_house
from tests.invariants import findings, standing_findings

from etf_trader.errors import CrossedBook
from etf_trader.exchange.static import StaticMarket, symbol_row
from etf_trader.ledger.audit import audit
from etf_trader.market.symbol import Side
from etf_trader.money import ZERO
from etf_trader.orders.status import IndexOrderStatus
from etf_trader.orders.store import plans_of, request_cancel
from etf_trader.reports.fills import fills_report
from etf_trader.venue.interface import LimitOrder

D = Decimal
FREE = ("USDCUSDT",)


def assert_sound(house: House) -> None:
    assert findings(house.database, house.exchange) == []
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


async def test_an_exchange_that_was_refused_is_tried_again_later(tmp_path: Path) -> None:
    # Only in USDC is A cheap enough for the limit; while that cannot be had the order waits.
    market = make_routes_market(free=FREE)
    market.set_book("AUSDT", *make_ladders(D(100), D("0.01"), D(100), spread=8))
    house, venue = await faulty_house(tmp_path, market)
    venue.refused = {"USDCUSDT"}
    order = await house.desk.accept(make_request(quantity=D(20), limit_price=D("120.17"), time_in_force="gtc"))
    await house.manager.run([order.id])
    assert house.order(order.id).filled == 0
    assert house.order(order.id).stopped_by == ("limit",)
    assert purposes(house, order.id) == ["convert"]
    venue.refused = set()
    await house.manager.run([order.id])
    assert house.order(order.id).status == "filled"
    assert purposes(house, order.id) == ["convert", "convert", "trade"]
    assert_sound(house)


@pytest.mark.parametrize("left", [[], [("1.0001", "4000")]], ids=["nothing", "a part"])
async def test_an_exchange_that_fills_short_leaves_the_order_to_go_on_with_what_it_has(
    tmp_path: Path, left: list[tuple[str, str]]
) -> None:
    market = make_routes_market(free=FREE)
    house = await routed_house(tmp_path, market)

    def shrink(_: LimitOrder) -> None:
        house.venue.before_place = None
        market.set_book("USDCUSDT", [("0.9999", "4000")], [*left, ("1.02", "9")])

    house.venue.before_place = shrink
    order = await house.buy(100)
    assert (order.status, order.filled) == (IndexOrderStatus.FILLED, D(100))
    assert purposes(house, order.id) == ["convert", "trade"]
    assert house.holdings("treasury:self").get("USDC", ZERO) < 10  # what came in was used
    assert_sound(house)


async def test_a_cancel_between_exchange_and_trade_keeps_the_currency(tmp_path: Path) -> None:
    house = await routed_house(tmp_path, make_routes_market())
    order = await house.desk.accept(make_request(quantity=D(200), time_in_force="gtc"))

    def cancel(_: LimitOrder) -> None:
        house.venue.before_place = None
        with house.database.write() as connection:
            request_cancel(connection, order.id, house.clock.now())

    house.venue.before_place = cancel
    await house.manager.run([order.id])
    assert (house.order(order.id).status, purposes(house, order.id)) == ("cancelled", ["convert"])
    assert house.holdings("treasury:self")["USDC"] > 19_000
    assert house.loss(order.id).total == house.cash(order.id) > 0
    assert_sound(house)


async def test_reports_count_other_currencies_at_their_arrival(tmp_path: Path) -> None:
    house = await routed_house(tmp_path, make_routes_market(usdc="0.98", a="102.04"))
    await house.buy(200)
    await house.sell(50)
    with house.database.read() as connection:
        report = fills_report(connection, 1, None)
    assert {line.symbol for line in report.fills} >= {"AUSDC", "USDCUSDT"}
    for line in report.orders:
        sign = 1 if line.side == "buy" else -1
        assert line.loss == sign * (line.cash - line.arrival_value)
        assert (line.fees, line.loss) == (line.fee, sum((each.loss for each in line.constituents), ZERO))
        assert line.fees == sum((each.fee_value for each in report.fills if each.order == line.order), ZERO)
    a = next(each for each in report.orders[0].constituents if each.asset == "A")
    assert a.average_price is not None
    assert abs(a.average_price - 100) < 1  # and not 102 where it was paid in USDC
    assert {line.venue for line in report.fills} == {"paper"}
    assert_sound(house)


async def test_an_order_that_waits_with_another_currency_is_in_order(tmp_path: Path) -> None:
    # 20 A are cheap enough in USDC; what was exchanged for more than they took waits with the order.
    market = make_routes_market()
    market.set_book("AUSDC", *make_ladders(D(100), D("0.01"), D(20), gap=30))
    house = await routed_house(tmp_path, market)

    def move(order: LimitOrder) -> None:
        if order.symbol == "AUSDC":
            house.venue.before_place = None
            market.set_book("AUSDC", *make_ladders(D(100), D("0.01"), D(9), gap=30))

    house.venue.before_place = move
    order = await house.buy(60, limit_price=D("120.40"), time_in_force="gtc")
    assert order.status == "open"
    assert house.holdings(f"order:{order.id}")["USDC"] > 500
    with house.database.read() as connection:
        (line,) = fills_report(connection, order.position_id, None).orders
    assert line.loss == line.cash - line.arrival_value - line.held_value
    assert_sound(house)


async def test_a_little_too_little_exchanged_is_no_end_of_the_cash(tmp_path: Path) -> None:
    market = make_routes_market()
    market.set_book("AUSDC", *make_ladders(D(100), D("0.01"), D(20), gap=5, levels=50))
    house = await routed_house(tmp_path, market)
    order = await house.buy("150.5", limit_price=D("120.60"))
    with house.database.read() as connection:
        planned = plans_of(connection, order.id)[0].units
    assert (order.status, order.stopped_by) == (IndexOrderStatus.ENDED, ("limit",))
    assert planned - D("0.1") < order.filled
    assert len(purposes(house, order.id)) < 8
    assert_sound(house)
