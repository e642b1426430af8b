"""Orders over time on a stepped clock: paced, carried over, ended, and continued by whoever leads next."""

from decimal import Decimal
from pathlib import Path

import pytest
from tests.factories import House, make_definition, make_house, make_ladders, make_market, make_request
from tests.invariants import findings

from etf_trader.exchange.static import StaticMarket
from etf_trader.execution.proof import prove
from etf_trader.execution.settings import ExecutionSettings
from etf_trader.execution.state import done_of
from etf_trader.market.symbol import Side
from etf_trader.orders.index_order import IndexOrder, OrderRequest
from etf_trader.orders.schedule import Algo
from etf_trader.orders.store import plans_of
from etf_trader.orders.stored_schedule import ScheduleRequest

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
    made = make_house(tmp_path, make_market_at(), settings=ExecutionSettings())
    await made.create(make_definition())
    return made


def asked(side: Side = Side.BUY, schedule: ScheduleRequest = TEN_MINUTES, **changes: object) -> OrderRequest:
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
