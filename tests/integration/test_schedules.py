"""Orders over time on a stepped clock: paced, carried over, ended, and continued by whoever leads next."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from sqlalchemy import update
from tests.factories import (
    HookedVenue,
    House,
    make_definition,
    make_house,
    make_ladders,
    make_market,
    make_request,
)
from tests.invariants import findings

from etf_trader.clock import SystemClock
from etf_trader.errors import UsageError, VenueError
from etf_trader.exchange.static import StaticMarket
from etf_trader.execution.manager import Manager
from etf_trader.execution.proof import prove
from etf_trader.execution.state import done_of
from etf_trader.execution.timing import next_due
from etf_trader.ledger.audit import audit
from etf_trader.market.symbol import Side
from etf_trader.orders.index_order import IndexOrder, OrderRequest
from etf_trader.orders.schedule import Algo
from etf_trader.orders.store import asset_orders_of, list_index_orders, plans_of, request_cancel
from etf_trader.orders.stored_schedule import AtEnd, ScheduleRequest
from etf_trader.orders.tables import index_orders
from etf_trader.seal import canonical

D = Decimal
TEN_MINUTES = ScheduleRequest(Algo.TWAP, 600)


def books(a: str = "100") -> dict[str, tuple[list[tuple[str, str]], list[tuple[str, str]]]]:
    return {
        "A": make_ladders(D(a), D("0.01"), D(500)),
        "B": make_ladders(D(10), D("0.01"), D(500)),
    }


def make_market_at(a: str = "100") -> StaticMarket:
    return make_market(books(a), rules={"A": {"step": "0.001"}, "B": {"step": "0.01"}})


@pytest.fixture
async def house(tmp_path: Path) -> House:
    made = make_house(tmp_path, make_market_at())
    await made.create(make_definition())
    return made


def asked(
    side: Side = Side.BUY, schedule: ScheduleRequest | None = TEN_MINUTES, **changes: object
) -> OrderRequest:
    return make_request(side, **({"quantity": D(100), "schedule": schedule} | changes))


def units(house: House, order: IndexOrder) -> list[Decimal]:
    with house.database.read() as connection:
        return [each.units for each in done_of(connection, order.id)]


def seconds(house: House, order: IndexOrder) -> list[int]:
    with house.database.read() as connection:
        times = [each.at for each in done_of(connection, order.id)]
    return [int((at - order.accepted_at).total_seconds()) for at in times]


def move(house: House, a: str) -> None:
    assert isinstance(house.market, StaticMarket)
    house.market.set_book("AUSDT", *books(a)["A"])


async def lead(house: House, order: IndexOrder, **changes: bool) -> IndexOrder:
    await house.manager.run([order.id], **changes)
    return house.order(order.id)


def assert_sound(house: House, order: IndexOrder) -> None:
    assert findings(house.database, house.exchange) == []
    with house.database.read() as connection:
        for plan in plans_of(connection, order.id):
            assert prove(connection, plan.id).findings == ()


@pytest.mark.parametrize("side", list(Side))
async def test_twap_trades_its_ten_slices_when_they_are_due(house: House, side: Side) -> None:
    await house.buy(200)
    order = await house.desk.accept(asked(side))
    assert order.expires_at == order.schedule.ends_at(order.accepted_at) if order.schedule else False
    order = await lead(house, order, stay=True)
    assert (order.status, order.filled, order.stopped_by) == ("filled", D(100), ("filled",))
    assert units(house, order) == [D(10)] * 10
    assert seconds(house, order) == list(range(0, 600, 60))
    assert_sound(house, order)


async def test_a_turn_trades_one_slice_and_leaves_the_order_open(house: House) -> None:
    order = await house.desk.accept(asked())
    order = await lead(house, order)
    assert (order.status, order.filled, order.stopped_by) == ("open", D(10), ())
    order = await lead(house, order)  # nothing more is due
    assert (order.filled, len(units(house, order))) == (D(10), 1)
    with house.database.read() as connection:
        due = next_due(connection, house.account.id, house.clock.now())
    assert due == order.accepted_at + timedelta(seconds=60)


async def test_whoever_leads_next_goes_on_and_missed_slices_double_the_next(tmp_path: Path, house: House) -> None:
    order = await house.desk.accept(asked())
    await lead(house, order)
    house.exchange.advance(59)
    await lead(house, order)
    house.database.close()  # this one is gone for three slices
    house.exchange.advance(239)
    heir = make_house(tmp_path, house.market)
    order = await lead(heir, order, stay=True)
    assert (order.status, order.filled) == ("filled", D(100))
    assert units(heir, order) == [D(10), D(10), D(20), D(20), D(20), D(10), D(10)]
    assert seconds(heir, order) == [0, 60, 300, 360, 420, 480, 540]
    assert_sound(heir, order)


async def test_an_undisturbed_run_and_a_broken_one_fill_the_same(tmp_path: Path, house: House) -> None:
    """Another process for each slice: what is due does not depend on who asks."""
    order = await house.desk.accept(asked())
    for _ in range(10):
        heir = make_house(tmp_path, house.market)
        await lead(heir, order)
        heir.database.close()
        left = 60 - (house.exchange.now() - order.accepted_at).total_seconds() % 60
        house.exchange.advance(left)
    assert units(house, order) == [D(10)] * 10
    assert house.order(order.id).status == "filled"


async def test_slices_that_a_limit_kept_from_trading_are_carried_over(house: House) -> None:
    order = await house.desk.accept(asked(limit_price=D(121)))
    order = await lead(house, order)
    for _ in range(3):
        move(house, "110")
        house.exchange.advance(60)
        order = await lead(house, order)
        assert (order.status, order.filled, order.stopped_by) == ("open", D(10), ("limit",))
    move(house, "100")
    order = await lead(house, order, stay=True)
    assert (order.status, order.filled) == ("filled", D(100))
    # The third one trades in its own time, doubled by one of the two before it; the other doubles the next.
    assert units(house, order) == [D(each) for each in (10, 20, 20, 10, 10, 10, 10, 10)]
    assert_sound(house, order)


@pytest.mark.parametrize(("at_end", "filled", "status"), [(AtEnd.TAKE, 100, "filled"), (AtEnd.LEAVE, 10, "ended")])
async def test_what_is_left_at_the_end_is_taken_or_left(
    house: House, at_end: AtEnd, filled: int, status: str
) -> None:
    order = await house.desk.accept(asked(schedule=replace(TEN_MINUTES, at_end=at_end)))
    await lead(house, order)
    house.exchange.advance(3600)
    order = await lead(house, order)
    assert (order.status, order.filled) == (status, D(filled))
    assert order.stopped_by == (("filled",) if at_end is AtEnd.TAKE else ("time",))
    assert house.holdings(f"order:{order.id}") == {}
    assert_sound(house, order)


async def test_what_a_limit_forbids_at_the_end_is_given_up(house: House) -> None:
    order = await house.desk.accept(asked(limit_price=D(121)))
    await lead(house, order)
    move(house, "110")
    order = await lead(house, order, stay=True)
    assert (order.status, order.filled, order.stopped_by) == ("ended", D(10), ("limit",))
    assert order.ended_at == order.expires_at
    assert_sound(house, order)


async def test_it_is_cancelled_between_two_slices(house: House) -> None:
    order = await house.desk.accept(asked())
    await lead(house, order)
    with house.database.write() as connection:
        request_cancel(connection, order.id, house.clock.now())
    order = await lead(house, order, stay=True)
    assert (order.status, order.filled) == ("cancelled", D(10))
    assert_sound(house, order)


async def test_a_leader_that_waits_wakes_for_a_cancel_and_for_a_stop(house: House) -> None:
    """On a clock that only moves with the day a wait would never end by itself."""
    order = await house.desk.accept(asked())
    wall = Manager(
        house.database,
        house.venue,
        SlowClock(house),
        SystemClock(),
        house.account,
        house.settings,
        house.log,
    )
    working = asyncio.create_task(wall.run([order.id], stay=True))
    await until(lambda: house.order(order.id).filled == 10, working)
    with house.database.write() as connection:
        request_cancel(connection, order.id, house.clock.now())
    await asyncio.wait_for(working, 10)
    assert house.order(order.id).status == "cancelled"
    other = await house.desk.accept(asked())
    asked_to_stop = False
    wall.stop_when(lambda: asked_to_stop)
    working = asyncio.create_task(wall.run([other.id], stay=True))
    await until(lambda: house.order(other.id).filled == 10, working)
    asked_to_stop = True
    await asyncio.wait_for(working, 10)
    assert house.order(other.id).status == "open"


class SlowClock:
    """The exchange's stepped clock, which does not move for who sleeps."""

    def __init__(self, house: House) -> None:
        self._house = house

    def now(self) -> datetime:
        return self._house.exchange.now()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


async def until(is_so: Callable[[], bool], working: asyncio.Task[None]) -> None:
    """Wait for something that a task does; a task that ends has failed to."""
    while not is_so():
        assert not working.done(), working
        await asyncio.sleep(0.01)


async def test_pov_follows_what_others_trade_of_the_thinnest(house: House) -> None:
    assert isinstance(house.market, StaticMarket)
    house.market.set_volume("AUSDT", D(10))
    house.market.set_volume("BUSDT", D("0.5"))
    quiet = house.exchange.now() + timedelta(seconds=180)
    order = await house.desk.accept(asked(schedule=ScheduleRequest(Algo.POV, 600, participation=D("0.2"))))
    house.market.set_volume("BUSDT", D(0), quiet)
    house.market.set_volume("BUSDT", D(2), quiet + timedelta(seconds=120))
    order = await lead(house, order, stay=True)
    # 0.2 x 0.5 x 60 / 2 a minute until 180 s, nothing until 300 s, then 0.2 x 2 x 60 / 2; all the rest at the end.
    assert seconds(house, order) == [60, 120, 180, 360, 420, 480, 540, 600]
    assert units(house, order) == [D(3), D(3), D(3), D(12), D(12), D(12), D(12), D(43)]
    assert order.status == "filled"
    assert_sound(house, order)


async def test_pov_that_was_not_led_for_long_doubles_one_slice(tmp_path: Path, house: House) -> None:
    assert isinstance(house.market, StaticMarket)
    house.market.set_volume("AUSDT", D(10))
    house.market.set_volume("BUSDT", D(1))
    leave = ScheduleRequest(Algo.POV, 600, AtEnd.LEAVE, D("0.2"))
    order = await house.desk.accept(asked(schedule=leave))
    house.exchange.advance(300)
    heir = make_house(tmp_path, house.market)
    order = await lead(heir, order, stay=True)
    assert units(heir, order) == [D(12), D(6), D(6), D(6), D(6)]
    assert (order.status, order.stopped_by) == ("ended", ("time",))
    assert_sound(heir, order)


async def test_a_market_that_tells_no_volume_holds_up_its_own_order_alone(tmp_path: Path, house: House) -> None:
    pov = await house.desk.accept(asked(schedule=ScheduleRequest(Algo.POV, 300), quantity=D(10)))
    twap = await house.desk.accept(asked(schedule=ScheduleRequest(Algo.TWAP, 300), position="new"))
    mute = make_house(tmp_path, house.market, venue_type=MuteVenue)
    await mute.manager.run([pov.id, twap.id], stay=True)
    assert units(mute, twap) == [D(20)] * 5
    assert (units(mute, pov), seconds(mute, pov)) == ([D(10)], [300])
    assert_sound(mute, pov)


class MuteVenue(HookedVenue):
    """A venue whose volumes cannot be had."""

    async def volume(self, symbol: str, start: datetime, end: datetime) -> Decimal:
        raise VenueError("no volume today", where=symbol)


async def test_vwap_follows_the_hours_of_the_days_before(house: House) -> None:
    """Three times the volume from 12 to 13 o'clock; the order works from 11:50 to 12:10."""
    assert isinstance(house.market, StaticMarket)
    day = house.exchange.now().replace(hour=0, minute=0, second=0, microsecond=0)
    for asset in ("AUSDT", "BUSDT"):
        house.market.set_volume(asset, D(1))
        for back in range(20, 0, -1):
            noon = day - timedelta(days=back) + timedelta(hours=12)
            house.market.set_volume(asset, D(3), noon)
            house.market.set_volume(asset, D(1), noon + timedelta(hours=1))
    ten_to_twelve = day + timedelta(hours=11, minutes=50)
    if ten_to_twelve < house.exchange.now():
        ten_to_twelve += timedelta(days=1)
    house.exchange.advance((ten_to_twelve - house.exchange.now()).total_seconds())
    order = await house.desk.accept(asked(schedule=ScheduleRequest(Algo.VWAP, 1200)))
    order = await lead(house, order, stay=True)
    done = units(house, order)
    assert (order.status, len(done)) == ("filled", 20)
    first, second = sum(done[:10], D(0)), sum(done[10:], D(0))
    assert abs(second - 3 * first) < D("1e-6") and first + second == 100
    assert_sound(house, order)


async def test_optimal_keeps_to_the_slices_it_was_accepted_with(house: House) -> None:
    request = asked(schedule=ScheduleRequest(Algo.OPTIMAL, 600), quantity=D(900))
    order = await lead(house, await house.desk.accept(request), stay=True)
    assert order.status == "filled"
    assert order.schedule is not None
    assert units(house, order) == [each.quantity for each in order.schedule.slices]
    assert sum(units(house, order)) == 900
    assert_sound(house, order)


@pytest.mark.parametrize("algo", [Algo.TWAP, Algo.VWAP, Algo.OPTIMAL])
async def test_the_schedule_of_a_dry_run_is_the_one_that_is_carried_out(house: House, algo: Algo) -> None:
    request = asked(schedule=ScheduleRequest(algo, 720), quantity=D(900))
    assert request.schedule is not None
    dry = await house.desk.schedule(await house.desk.preview(request), request.schedule)
    order = await house.desk.accept(request)
    assert order.schedule is not None
    planned = [(each.start_seconds, each.wanted) for each in dry.periods]
    assert [(each.start_seconds, each.quantity) for each in order.schedule.slices] == planned
    order = await lead(house, order, stay=True)
    assert list(zip(seconds(house, order), units(house, order), strict=True)) == planned


async def test_slices_are_large_enough_to_be_traded(house: House) -> None:
    order = await house.desk.accept(asked(quantity=D("0.5")))
    assert order.schedule is not None
    assert [each.quantity for each in order.schedule.slices] == [D("0.25"), D("0.25")]
    assert min(each.quantity for each in order.schedule.slices) >= order.schedule.least
    order = await lead(house, order, stay=True)
    assert order.status == "filled"
    assert_sound(house, order)


async def test_it_is_netted_against_an_opposite_order(house: House) -> None:
    await house.buy(100)
    buy = await house.desk.accept(asked(position="new"))
    sell = await house.desk.accept(asked(Side.SELL, quantity=D(10), schedule=None, position="1"))
    await house.manager.run([buy.id, sell.id])
    assert (house.order(sell.id).status, house.order(buy.id).filled) == ("filled", D(10))
    with house.database.read() as connection:
        crossed = {str(each.status) for each in asset_orders_of(connection, buy.id)}
    assert crossed == {"crossed"}
    assert findings(house.database, house.exchange) == []


async def test_the_same_key_asks_for_the_same_schedule(house: House) -> None:
    order = await house.desk.accept(asked(client_key="mine"))
    assert (await house.desk.accept(asked(client_key="mine"))).id == order.id
    for other in (None, ScheduleRequest(Algo.TWAP, 1200), replace(TEN_MINUTES, at_end=AtEnd.LEAVE)):
        with pytest.raises(UsageError, match="belongs to order 1"):
            await house.desk.accept(asked(schedule=other, client_key="mine"))


async def test_a_schedule_that_was_changed_is_found(house: House) -> None:
    order = await house.desk.accept(asked())
    with house.database.write() as connection:
        connection.execute(update(index_orders).values(schedule=index_orders.c.schedule + " "))
    assert house.order(order.id).seal == house.order(order.id).facts_seal()  # the same facts, spelt otherwise
    with house.database.write() as connection:
        assert order.schedule is not None
        changed = replace(order.schedule, at_end=AtEnd.LEAVE).document()
        connection.execute(update(index_orders).values(schedule=canonical(changed)))
    with house.database.read() as connection:
        (finding,) = audit(connection, house.account).findings
    assert finding.message == "what was accepted does not match its seal"


@pytest.mark.parametrize(
    ("schedule", "message"),
    [
        (ScheduleRequest(Algo.TWAP, 59), "shorter than one slice of 60 s"),
        (ScheduleRequest(Algo.TWAP, 0), "an order over 0 s cannot be"),
        (ScheduleRequest(Algo.TWAP, 600, participation=D("0.1")), "twap goes by time"),
        (ScheduleRequest(Algo.POV, 600, participation=D(0)), "a participation of 0% cannot be"),
        (ScheduleRequest(Algo.POV, 600, participation=D("1.01")), "a participation of 101% cannot be"),
    ],
)
async def test_a_schedule_that_cannot_be_is_refused_and_nothing_is_written(
    house: House, schedule: ScheduleRequest, message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        await house.desk.accept(asked(schedule=schedule))
    with house.database.read() as connection:
        assert list_index_orders(connection) == []
