"""A rebalance is carried out in waves, and what is held afterwards is the basket."""

import asyncio
import sqlite3
from contextlib import closing
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest
from sqlalchemy import delete
from tests.factories import (
    UID,
    House,
    Ladder,
    make_definition,
    make_house,
    make_ladders,
    make_market,
    make_request,
)
from tests.integration.test_reconciliation import ForgetfulVenue
from tests.invariants import findings, standing_findings

from etf_trader.errors import ConfigError, MissingPrice
from etf_trader.exchange.static import StaticMarket
from etf_trader.execution.answer import Answer
from etf_trader.execution.reconcile import compare
from etf_trader.execution.tables import leases
from etf_trader.index.benchmarks import current_fixing
from etf_trader.index.store import baskets_of, current_basket
from etf_trader.ledger.audit import audit
from etf_trader.ledger.repository import begin_incarnation
from etf_trader.market.symbol import Side
from etf_trader.money import ZERO, round_to
from etf_trader.orders.schedule import Algo
from etf_trader.orders.status import IndexOrderStatus
from etf_trader.orders.store import plans_of, request_cancel, standing_of
from etf_trader.orders.stored_schedule import ScheduleRequest
from etf_trader.reports.rebalance import rebalance_report
from etf_trader.venue.interface import LimitOrder

D = Decimal
HAIR = D("0.00000001")


def ladders(mid: str, depth: str) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
    """A book with one deep level a side, a hair from its mid."""
    return [(str(D(mid) - HAIR), depth)], [(str(D(mid) + HAIR), depth)]


FINE = {"tick": "0.00000001", "step": "0.00000001", "min_quantity": "0.00000001", "min_notional": "0.001"}


@pytest.fixture
async def worked(tmp_path: Path) -> House:
    """The fund of the worked example: 10 units of one A, two B, five C; then it is to be A, B and D."""
    prices = {"A": "20", "B": "5", "C": "2", "D": "10"}
    market = make_market(
        {asset: ladders(price, "100000") for asset, price in prices.items()},
        rules=dict.fromkeys(prices, FINE),
    )
    house = make_house(tmp_path, market)
    house.database.watch = lambda connection: _require_standing(standing_findings(connection))
    await house.create(make_definition(basket={"A": D(1), "B": D(2), "C": D(5)}))
    await house.buy(10)
    weights = {"A": D("0.25"), "B": D("0.5"), "D": D("0.25")}
    await house.administration.edit_index("1", make_definition(basket={}, weights=weights))
    return house


def _require_standing(found: list[str]) -> None:
    assert found == []


async def test_the_worked_example_comes_out(worked: House) -> None:
    order = await worked.rebalance()
    assert order.status is IndexOrderStatus.FILLED
    with worked.database.read() as connection:
        basket = current_basket(connection, 1)
        assert audit(connection, worked.account).findings == ()
    told = {asset: round_to(quantity, D("0.0001")) for asset, quantity in basket.quantities.items()}
    assert told == {"A": D("0.4995"), "B": D("3.9960"), "D": D("0.9990")}
    assert round_to(basket.nav({"A": D(20), "B": D(5), "D": D(10)}), D("0.00001")) == D("39.96")
    assert findings(worked.database, worked.exchange) == []


async def test_every_wave_makes_a_basket_of_what_is_held(worked: House) -> None:
    await worked.rebalance()
    with worked.database.read() as connection:
        versions = baskets_of(connection, 1)
        basket = versions[-1]
    assert [each.version for each in versions] == [1, 2, 3]
    held = worked.holdings("index:1")
    assert held == {**{a: q * 10 for a, q in basket.quantities.items()}, "USDT": basket.cash_per_unit * 10}


async def test_the_same_day_is_rebalanced_once(worked: House) -> None:
    first = await worked.rebalance()
    assert (await worked.accept_rebalance()).id == first.id


async def test_what_leaves_an_index_that_nobody_holds_is_a_part_of_what_its_unit_is_worth(worked: House) -> None:
    await worked.sell(None)
    order = await worked.rebalance()
    assert (order.status, order.request.nav) == (IndexOrderStatus.FILLED, D(40))
    with worked.database.read() as connection:
        assert current_basket(connection, 1).quantities == {"A": D("0.5"), "B": D(4), "D": D(1)}
        assert audit(connection, worked.account).findings == ()
    assert findings(worked.database, worked.exchange) == []


async def test_what_has_no_price_when_a_rebalance_is_accepted_is_left_out_of_it(worked: House) -> None:
    set_book(worked, "D", [], [])
    order = await worked.rebalance()
    assert (order.status, order.stopped_by) == (IndexOrderStatus.ENDED, ("halted(D)",))
    assert order.arrival["D"] == D(0)
    with worked.database.read() as connection:
        followed = current_fixing(connection, 1)
        assert audit(connection, worked.account).findings == ()
    assert followed is not None
    assert followed.benchmark.quantities.keys() == {"A", "B"}
    assert findings(worked.database, worked.exchange) == []


async def with_dust(tmp_path: Path) -> House:
    """Ten units of 0.37 A and one B, to be B alone; of A only whole coins trade."""
    prices = {"A": "20", "B": "5"}
    rules = {"A": FINE | {"step": "1", "min_quantity": "1"}, "B": FINE}
    books = {asset: ladders(price, "100000") for asset, price in prices.items()}
    house = make_house(tmp_path, make_market(books, rules=rules))
    await house.create(make_definition(basket={"A": D("0.37"), "B": D(1)}))
    await house.buy(10)
    await house.administration.edit_index("1", make_definition(basket={}, weights={"B": D(1)}))
    return house


async def test_dust_of_what_left_is_the_floats_at_mid(tmp_path: Path) -> None:
    house = await with_dust(tmp_path)
    before = house.holdings("float:1")
    order = await house.rebalance()
    assert order.status is IndexOrderStatus.FILLED
    with house.database.read() as connection:
        basket, report = current_basket(connection, 1), rebalance_report(connection, order.id)
        assert audit(connection, house.account).findings == ()
    after = house.holdings("float:1")
    assert basket.quantities.keys() == {"B"}
    assert after["A"] - before.get("A", ZERO) == D("0.7")
    assert D(14) - before["USDT"] + after["USDT"] == sum(wave.rounding for wave in report.waves)
    assert report.removed == ("A",)
    assert report.nav_after == report.nav_before - report.cost + report.market + report.flows
    assert all(wave.nav_before - wave.nav_after == wave.cost for wave in report.waves)
    assert findings(house.database, house.exchange) == []


async def test_what_the_venue_lists_no_more_is_rebalanced_around(worked: House) -> None:
    assert isinstance(worked.market, StaticMarket)
    worked.market.delist("CUSDT")
    order = await worked.rebalance()
    assert (order.status, order.stopped_by) == (IndexOrderStatus.ENDED, ("delisted(C)",))
    with worked.database.read() as connection:
        basket = current_basket(connection, 1)
        report = rebalance_report(connection, order.id)
        assert audit(connection, worked.account).findings == ()
    (left,) = (leg for leg in report.legs if leg.asset == "C")
    assert (left.why_skipped, left.quantity_before, left.quantity_after) == ("delisted", D(50), D(50))
    assert (basket.quantities["C"], basket.symbols["C"]) == (D(5), "CUSDT")
    assert basket.quantities.keys() == {"A", "B", "C", "D"}
    assert findings(worked.database, worked.exchange) == []


async def test_an_index_that_nobody_holds_is_written_anew_without_what_the_venue_lists_no_more(
    worked: House,
) -> None:
    await worked.sell(None)
    assert isinstance(worked.market, StaticMarket)
    worked.market.delist("CUSDT")
    order = await worked.rebalance()
    with worked.database.read() as connection:
        basket = current_basket(connection, 1)
        assert audit(connection, worked.account).findings == ()
    assert order.status is IndexOrderStatus.FILLED
    assert basket.quantities.keys() == {"A", "B", "D"}
    assert basket.nav({"A": D(20), "B": D(5), "D": D(10)}) == D(30)


async def test_a_rebalance_whose_units_are_all_sold_between_two_waves_says_so(worked: House) -> None:
    order = await worked.accept_rebalance()
    sold = await worked.desk.accept(make_request(Side.SELL, quantity=None, time_in_force="gtc"))
    await worked.manager.run([order.id, sold.id])
    with worked.database.read() as connection:
        assert standing_of(connection, order.id) == (IndexOrderStatus.ENDED, ("units",))
        assert audit(connection, worked.account).findings == ()
    assert worked.order(sold.id).filled == 10
    assert findings(worked.database, worked.exchange) == []


async def test_what_is_being_sold_counts_until_it_is_sold_and_what_is_left_of_units_is_told(worked: House) -> None:
    def stop(order: LimitOrder) -> None:
        raise RuntimeError

    worked.venue.before_place = stop
    sold = await worked.desk.accept(make_request(Side.SELL, quantity=None, time_in_force="gtc"))
    with pytest.raises(RuntimeError):
        await worked.manager.run([sold.id])
    assert worked.holdings("index:1") == {}  # all of it is out, and the units are not gone yet
    worked.venue.before_place = None
    order = await worked.accept_rebalance()
    assert (order.request.units, order.request.nav) == (D(10), D(400))
    await worked.manager.reconcile()
    await worked.manager.run([order.id, sold.id])
    assert worked.order(sold.id).filled == 10
    with worked.database.read() as connection:
        assert standing_of(connection, order.id) == (IndexOrderStatus.ENDED, ("units",))
        told = rebalance_report(connection, order.id)
        assert audit(connection, worked.account).findings == ()
    assert told.nav_after == told.nav_before - told.cost + told.market + told.flows
    assert findings(worked.database, worked.exchange) == []


async def test_a_wave_counts_the_units_that_a_cancelled_order_was_completed_to(tmp_path: Path) -> None:
    books = {asset: make_ladders(D(mid), D("0.01"), D(10_000)) for asset, mid in (("A", 100), ("B", 10))}
    house = make_house(tmp_path, make_market(books))
    await house.create(make_definition())
    await house.buy(10)
    house.venue.before_place = lambda sent: set_book(house, "B", *make_ladders(D(10), D("0.01"), D(1)))
    bought = await house.buy(20, time_in_force="gtc", limit_price=D("120.5"))
    house.venue.before_place = None
    assert bought.filled < 5
    set_book(house, "B", *make_ladders(D(10), D("0.01"), D(10_000)))
    with house.database.write() as connection:
        request_cancel(connection, bought.id, house.clock.now())
    weights = {"A": D("0.3"), "B": D("0.7")}
    await house.administration.edit_index("1", make_definition(basket={}, weights=weights))
    order = await house.rebalance()
    filled = house.order(bought.id).filled
    assert filled > 19
    with house.database.read() as connection:
        assert plans_of(connection, order.id)[0].units == 10 + filled
        told = rebalance_report(connection, order.id)
        assert audit(connection, house.account).findings == ()
    assert told.nav_after == told.nav_before - told.cost + told.market + told.flows
    assert abs(told.legs[0].weight_after - D("0.3")) < D("0.001")
    assert findings(house.database, house.exchange) == []


async def test_no_quote_rests_between_two_waves(tmp_path: Path) -> None:
    books = {asset: make_ladders(D(mid), D("0.01"), D(10_000)) for asset, mid in (("A", 100), ("B", 10), ("C", 5))}
    house = make_house(tmp_path, make_market(books))
    await house.create(make_definition())
    await house.create(make_definition(symbol="OTHER", basket={"C": D(4)}))
    await house.buy(10)
    await house.administration.edit_index("1", make_definition(basket={}, weights={"C": D(1)}))
    order = await house.accept_rebalance()
    over_time = ScheduleRequest(Algo.TWAP, 60, passive=D("0.5"))
    quoted = await house.desk.accept(make_request(index_id=2, quantity=D(40), schedule=over_time))
    own = await house.desk.accept(make_request(quantity=D(4), schedule=over_time))
    await house.manager.run([order.id, quoted.id, own.id], stay=True)
    with house.database.read() as connection:
        first, second = [plan.created_at for plan in plans_of(connection, order.id)]
        assert audit(connection, house.account).findings == ()
        assert standing_of(connection, order.id)[0] is IndexOrderStatus.FILLED
    assert (second - first).total_seconds() < 5
    assert (house.order(quoted.id).filled, house.order(own.id).filled) == (D(40), D(4))
    assert findings(house.database, house.exchange) == []


async def test_an_index_of_which_nothing_has_a_price_is_not_rebalanced(worked: House) -> None:
    for asset in "ABC":
        set_book(worked, asset, [], [])
    with pytest.raises(MissingPrice, match="nothing that is held has a price now"):
        await worked.accept_rebalance()


@pytest.mark.parametrize("status", ["BREAK", None])
async def test_an_index_that_can_sell_nothing_waits_for_no_wave(tmp_path: Path, status: str | None) -> None:
    house = await of_one_coin(tmp_path)
    order = await house.accept_rebalance()
    assert isinstance(house.market, StaticMarket)
    if status is None:
        house.market.delist("AUSDT")
    else:
        house.market.set_status("AUSDT", status)
    assert await carried_out(house, order.id) == ("ended", (f"{'halted' if status else 'delisted'}(A)",))
    assert house.holdings("index:1") == {"A": D(10)}
    assert findings(house.database, house.exchange) == []


async def test_what_cannot_be_bought_at_first_is_bought_by_a_later_wave_or_told(tmp_path: Path) -> None:
    house = await of_one_coin(tmp_path)
    order = await house.accept_rebalance()
    set_book(house, "C", [], [])
    assert await carried_out(house, order.id) == ("ended", ("price",))
    with pytest.raises(MissingPrice, match="nothing but cash"):
        await house.buy(1)

    set_book(house, "C", *make_ladders(D(5), D("0.01"), D(20)))
    order = await house.accept_rebalance(date(2026, 12, 1))
    assert await carried_out(house, order.id) == ("ended", ("price",))  # all of a thin book, and no more there
    assert house.holdings("index:1")["C"] == 100 * D("0.999")
    with house.database.read() as connection:
        assert rebalance_report(connection, order.id).left == ("C",)
    assert findings(house.database, house.exchange) == []


async def test_an_order_waits_for_the_next_wave_while_its_index_holds_nothing_but_cash(tmp_path: Path) -> None:
    house = await of_one_coin(tmp_path)
    order = await house.accept_rebalance()
    sold = await house.sell(4)
    assert (sold.status, sold.filled) == (IndexOrderStatus.FILLED, D(4))
    assert await carried_out(house, order.id) == ("filled", ("filled",))
    assert house.holdings("index:1").keys() == {"C", "USDT"}
    assert findings(house.database, house.exchange) == []


async def of_one_coin(folder: Path) -> House:
    """Ten units of one A, which is to be C."""
    books = {asset: make_ladders(D(mid), D("0.01"), D(1000)) for asset, mid in (("A", 100), ("C", 5))}
    house = make_house(folder, make_market(books))
    await house.create(make_definition(basket={"A": D(1)}))
    await house.buy(10)
    await house.administration.edit_index("1", make_definition(basket={}, weights={"C": D(1)}))
    return house


async def carried_out(house: House, number: int) -> tuple[str, tuple[str, ...]]:
    """Take a rebalance as far as it goes, and return where it stands and what stopped it."""
    await house.manager.run([number])
    with house.database.read() as connection:
        status, stops = standing_of(connection, number)
        assert audit(connection, house.account).findings == ()
        return str(status), stops


@pytest.mark.parametrize("moment", ["before it is accepted", "under way"])
async def test_no_wave_trades_what_fees_are_paid_in(tmp_path: Path, moment: str) -> None:
    books = {
        asset: make_ladders(D(mid), D("0.01"), D(1000)) for asset, mid in (("A", 100), ("B", 10), ("BNB", 600))
    }
    house = make_house(tmp_path, make_market(books))
    await house.create(make_definition())
    await house.buy(10)
    weights = {"A": D("0.5"), "BNB": D("0.5")}
    await house.administration.edit_index("1", make_definition(basket={}, weights=weights))
    if moment == "under way":
        await house.accept_rebalance()
    house.exchange.set_bnb_burn(UID, True)
    with pytest.raises(ConfigError, match="pays its fees in BNB, and TWO is to hold BNB"):
        await house.rebalance()
    assert house.holdings("index:1") == {"A": D(10), "B": D(20)}
    house.exchange.set_bnb_burn(UID, False)
    assert (await house.rebalance()).status is IndexOrderStatus.FILLED
    assert findings(house.database, house.exchange) == []


def set_book(house: House, asset: str, bids: Ladder, asks: Ladder) -> None:
    assert isinstance(house.market, StaticMarket)
    house.market.set_book(f"{asset}USDT", bids, asks)


async def test_an_order_with_a_late_fill_of_what_has_left_since_is_traded_back(tmp_path: Path) -> None:
    books = {asset: make_ladders(D(mid), D("0.01"), D(1000)) for asset, mid in (("A", 100), ("B", 10), ("C", 5))}
    house = make_house(tmp_path, make_market(books), venue_type=ForgetfulVenue)
    assert isinstance(house.venue, ForgetfulVenue)
    await house.create(make_definition())
    venue = house.venue
    venue.denied = {"AUSDT"}
    venue.before_place = lambda order: venue.denied.clear() if venue.places > 2 else None
    done: list[bool] = []
    leading = asyncio.create_task(house.manager.lead(lambda: bool(done), lambda manager, failure: None))
    order = await house.desk.accept(make_request(quantity=D(5)))
    await until(house, order.id)
    weights = {"B": D("0.5"), "C": D("0.5")}
    await house.administration.edit_index("1", make_definition(basket={}, weights=weights))
    await until(house, (await house.accept_rebalance()).id)
    done.append(True)
    await leading
    house.manager.stop_when(lambda: False)

    await house.manager.reconcile()
    assert house.order(order.id).status is IndexOrderStatus.STUCK
    assert house.holdings(f"order:{order.id}").keys() == {"A"}
    await house.manager.run([])
    assert house.order(order.id).status is IndexOrderStatus.FILLED
    assert findings(house.database, house.exchange) == []
    with house.database.read() as connection:
        assert audit(connection, house.account).findings == ()


async def test_a_database_put_back_to_the_middle_of_a_wave_settles_it_and_goes_on(tmp_path: Path) -> None:
    house = await of_one_coin(tmp_path)
    order = await house.accept_rebalance()
    copy = tmp_path / "backup.db"

    def back_up(sent: LimitOrder) -> None:
        if not copy.exists():
            back_up_file(tmp_path / "etf.db", copy)

    house.venue.before_place = back_up
    assert await carried_out(house, order.id) == ("filled", ("filled",))
    house.database.close()
    back_up_file(copy, tmp_path / "etf.db")
    with house.database.write() as connection:
        begin_incarnation(connection, "restored", house.clock.now())
        connection.execute(delete(leases))

    found = await house.manager.reconcile()
    assert found.booked == (f"plan 2 of order {order.id} was settled",)
    assert len(found.explained) == 1
    assert "bought 199.38 CUSDT at 5.01" in found.explained[0]  # by the second wave, which is lost
    for row in found.differences:
        answer = Answer(row.id, row.kinds[0], "self", "me@here", "bought before the restore")
        await house.manager.book_difference(answer)
    assert await carried_out(house, order.id) == ("filled", ("filled",))
    assert house.holdings("treasury:self")["C"] == D("199.18062")
    assert house.holdings("index:1").keys() == {"C", "USDT"}
    assert await compare(house.database, house.venue, house.account) == []


def back_up_file(source: Path, target: Path) -> None:
    """Copy a database that is in use, as `etf db backup` and `restore` do."""
    with closing(sqlite3.connect(source)) as reading, closing(sqlite3.connect(target)) as writing:
        reading.backup(writing)


async def until(house: House, number: int) -> None:
    """Wait until an order, or a rebalance, has ended."""
    while True:
        with house.database.read() as connection:
            if standing_of(connection, number)[0].is_final:
                return
        await asyncio.sleep(0.01)
