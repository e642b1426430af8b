"""Orders over time that are quoted: at the touch of their own side, for a share of each slice, then taken."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest
from sqlalchemy import Connection
from tests.factories import (
    House,
    make_definition,
    make_house,
    make_ladders,
    make_market,
    make_request,
)
from tests.invariants import findings, limit_findings

from etf_trader.exchange.static import StaticMarket
from etf_trader.execution.batch import QUOTE, TRADE
from etf_trader.execution.passive import MOST_BEYOND
from etf_trader.execution.state import done_of, order_state
from etf_trader.ledger.audit import audit
from etf_trader.ledger.fill import fills_of
from etf_trader.market.symbol import Side
from etf_trader.orders.asset_order import AssetOrder, OrderKind
from etf_trader.orders.index_order import IndexOrder, OrderRequest
from etf_trader.orders.schedule import Algo
from etf_trader.orders.store import asset_orders_of, plans_of, request_cancel, resting_orders
from etf_trader.orders.stored_schedule import AtEnd, ScheduleRequest
from etf_trader.risk.halts import RECONCILE, TradingState, halt

D = Decimal
QUOTED = ScheduleRequest(Algo.TWAP, 600, passive=D("0.5"))
BIDS = {"A": D("99.99"), "B": D("9.99")}
ASKS = {"A": D("100.01"), "B": D("10.01")}
RULES = {"A": {"step": "0.001"}, "B": {"step": "0.01"}}


def books(a: str = "100", b: str = "10") -> dict[str, tuple[list[tuple[str, str]], list[tuple[str, str]]]]:
    return {
        "A": make_ladders(D(a), D("0.01"), D(500)),
        "B": make_ladders(D(b), D("0.01"), D(500)),
    }


@pytest.fixture
async def house(tmp_path: Path) -> House:
    made = make_house(tmp_path, make_market(books(), rules=RULES))
    await made.create(make_definition())
    return made


def asked(side: Side = Side.BUY, schedule: ScheduleRequest = QUOTED, **changes: object) -> OrderRequest:
    return make_request(side, **({"quantity": D(40), "schedule": schedule} | changes))


def move(house: House, asset: str, mid: str) -> None:
    assert isinstance(house.market, StaticMarket)
    house.market.set_book(f"{asset}USDT", *make_ladders(D(mid), D("0.01"), D(500)))


def sent(house: House, order: IndexOrder, purpose: str = QUOTE) -> list[AssetOrder]:
    with house.database.read() as connection:
        numbers = {plan.id for plan in plans_of(connection, order.id) if plan.purpose == purpose}
        return [each for each in asset_orders_of(connection, order.id) if each.plan_id in numbers]


def purposes(house: House, order: IndexOrder) -> list[str]:
    with house.database.read() as connection:
        return [plan.purpose for plan in plans_of(connection, order.id)]


def units(house: House, order: IndexOrder) -> list[Decimal]:
    with house.database.read() as connection:
        return [each.units for each in done_of(connection, order.id)]


async def lead(house: House, order: IndexOrder, *, stay: bool = True) -> IndexOrder:
    await house.manager.run([order.id], stay=stay)
    return house.order(order.id)


def assert_sound(house: House) -> None:
    assert findings(house.database, house.exchange) == []
    with house.database.read() as connection:
        assert limit_findings(connection) == []
        assert audit(connection, house.account).findings == ()
    assert house.exchange.open_orders("paper") == ()


async def test_quotes_that_nobody_takes_are_taken_after_their_share(house: House) -> None:
    order = await lead(house, await house.desk.accept(asked()))
    assert (order.status, order.filled) == ("filled", D(40))
    assert [each.intent.kind for each in sent(house, order)] == [OrderKind.POST_ONLY] * len(sent(house, order))
    assert {each.intent.price for each in sent(house, order)} == set(BIDS.values())
    assert not any(each.executed_quantity for each in sent(house, order))
    assert {each.intent.kind for each in sent(house, order, TRADE)} == {OrderKind.IOC}
    starts = [plan_at(house, order, plan) for plan in range(len(purposes(house, order)))]
    taken = [at for at, purpose in zip(starts, purposes(house, order), strict=True) if purpose == TRADE]
    assert [at % 60 // 10 for at in taken] == [3] * 10
    assert_sound(house)


def plan_at(house: House, order: IndexOrder, place: int) -> int:
    with house.database.read() as connection:
        made = plans_of(connection, order.id)[place].created_at
    return int((made - order.accepted_at).total_seconds())
