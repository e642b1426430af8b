"""Clocks that step by an hour while orders are under way, ours or the venue's, forward and back."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from tests.factories import House, make_house, make_request
from tests.integration.harness import prepare
from tests.integration.scenarios import SCENARIOS, make_frozen_market
from tests.invariants import findings

from etf_trader.clock import Clock
from etf_trader.exchange import tables as exchange_tables
from etf_trader.execution.manager import Manager
from etf_trader.ledger.audit import audit
from etf_trader.market.symbol import Side
from etf_trader.orders.status import IndexOrderStatus
from etf_trader.orders.store import list_asset_orders
from etf_trader.venue.faulty import Fault, FaultPlan, FaultyVenue
from etf_trader.venue.interface import LimitOrder

D = Decimal
HOUR = timedelta(hours=1)
REQUEST = make_request(Side.BUY, quantity=D(30), client_key="clock")

steps = pytest.mark.parametrize("step", [HOUR, -HOUR], ids=["an hour forward", "an hour back"])


class SteppedClock:
    """Another clock, off by `offset`."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.offset = timedelta(0)

    def now(self) -> datetime:
        return self._clock.now() + self.offset

    async def sleep(self, seconds: float) -> None:
        await self._clock.sleep(seconds)


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    prepare(tmp_path, SCENARIOS["buy"])
    made = make_house(tmp_path, make_frozen_market())
    yield made
    made.database.close()


def assert_filled_and_sound(house: House) -> None:
    with house.database.read() as connection:
        assert audit(connection, house.account).findings == ()
        assert all(each.status.is_final for each in list_asset_orders(connection))
    order = house.order(2)
    assert (order.status, order.filled) == (IndexOrderStatus.FILLED, D(30))
    assert findings(house.database, house.exchange) == []


def step_venue(house: House, step: timedelta) -> None:
    """Set the exchange's clock, as an operator does; the market it trades on stands still."""
    exchange = house.exchange._database
    with exchange.write() as connection:
        connection.execute(exchange_tables.exchange.update().values(time=house.exchange.now() + step))


@steps
@pytest.mark.parametrize("arrivals", [1, 3])
async def test_the_venues_clock_steps_while_orders_are_under_way(
    house: House, step: timedelta, arrivals: int
) -> None:
    seen = 0

    def arrives(_: LimitOrder) -> None:
        nonlocal seen
        seen += 1
        if seen == arrivals:
            step_venue(house, step)

    house.venue.before_place = arrives
    await house.submit(REQUEST)
    assert seen > arrivals
    assert_filled_and_sound(house)


def with_clock(house: House, clock: SteppedClock, plan: FaultPlan) -> tuple[FaultyVenue, Manager]:
    """A leader with a clock of its own, before a venue that fails."""
    venue = FaultyVenue(house.venue, plan, house.clock)
    manager = Manager(house.database, venue, clock, clock, house.account, house.settings, house.log)
    return venue, manager


AHEAD = pytest.mark.xfail(
    strict=True, reason="Queue._again and _wait_out count from our clock what the claim compares with the venue's"
)


@pytest.mark.parametrize(
    ("step", "fault"),
    [
        (HOUR, Fault.CUT_BEFORE),
        (-HOUR, Fault.CUT_BEFORE),
        (HOUR, Fault.CUT_AFTER),
        (-HOUR, Fault.CUT_AFTER),
        pytest.param(HOUR, Fault.REFUSED, marks=AHEAD),
        (-HOUR, Fault.REFUSED),
        pytest.param(HOUR, Fault.LIMITED, marks=AHEAD),
        (-HOUR, Fault.LIMITED),
    ],
    ids=str,
)
async def test_our_clock_steps_while_orders_are_under_way(house: House, step: timedelta, fault: Fault) -> None:
    clock = SteppedClock(house.clock)
    venue, manager = with_clock(house, clock, FaultPlan(1, {fault: 0.7}, questions=0.0, most=4))

    def arrives(_: LimitOrder) -> None:
        clock.offset = step

    house.venue.before_place = arrives
    order = await house.desk.accept(REQUEST)
    started = house.exchange.now()
    clock.offset = step if fault in (Fault.REFUSED, Fault.LIMITED) else timedelta(0)
    await manager.run([order.id])
    assert venue.incidents.fired[fault] > 0
    assert venue.incidents.hurried == 0
    assert house.exchange.now() - started < timedelta(minutes=5)
    assert_filled_and_sound(house)
