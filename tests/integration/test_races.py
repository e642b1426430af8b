"""Processes that want the same thing at the same moment: one gets it, on both databases."""

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest
from sqlalchemy import func, insert, select
from tests.factories import House, make_definition, make_house, make_request
from tests.integration.racing import KEY, LIMIT
from tests.integration.scenarios import make_frozen_market
from tests.invariants import findings

from etf_trader.execution.tables import leases, slot_uses
from etf_trader.index.store import current_basket
from etf_trader.ledger.repository import incarnation
from etf_trader.ledger.tables import transactions
from etf_trader.market.symbol import Side
from etf_trader.money import ZERO
from etf_trader.orders.asset_order import Intent, Share, Slice, client_order_id
from etf_trader.orders.status import AssetOrderStatus, IndexOrderStatus
from etf_trader.orders.store import add_asset_orders, add_plan, asset_orders_of_plan, list_index_orders

D = Decimal
ROOT = Path(__file__).parents[2]
WAITING = 45
Racer = subprocess.Popen[str]


@pytest.fixture
def house(tmp_path: Path, url: str) -> Iterator[House]:
    made = make_house(tmp_path, make_frozen_market(), url=url)

    async def story() -> None:
        await made.create(make_definition())
        await made.buy("15.5")

    asyncio.run(story())
    yield made
    made.database.close()


@pytest.fixture
def racers() -> Iterator[list[Racer]]:
    started: list[Racer] = []
    yield started
    for process in started:
        process.kill()
        process.communicate()


def race(racers: list[Racer], folder: Path, url: str, what: str, count: int = 2) -> list[list[int]]:
    """Let processes begin at once, and return what each got."""
    command = [sys.executable, "-m", "tests.integration.racing", str(folder), url, what]
    for _ in range(count):
        pipe = subprocess.PIPE
        racers.append(subprocess.Popen(command, cwd=ROOT, stdin=pipe, stdout=pipe, text=True))
    for process in racers:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in racers:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    return [[int(word) for word in process.stdout.readline().split()] for process in racers if process.stdout]


def write_waiting(house: House, count: int) -> int:
    """Write asset orders that wait, and return their plan."""
    order = asyncio.run(house.desk.accept(make_request(Side.BUY, quantity=D(50), time_in_force="gtc")))
    with house.database.write() as connection:
        values = {
            "index_order_id": order.id,
            "basket_id": current_basket(connection, order.index_id).id,
            "purpose": "trade",
            "units": D(50),
            "method": "test",
            "cost": ZERO,
            "bound": ZERO,
            "gap_bps": ZERO,
            "book_hash": "0" * 64,
            "document": "{}",
        }
        plan, life = add_plan(connection, values, house.clock.now()), incarnation(connection)
        price = order.arrival["A"]
        intents = [
            Intent(
                client_order_id(life, order.id, place), "A", "AUSDT", Side.BUY, D(1), price, price, price, price
            )
            for place in range(1, count + 1)
        ]
        add_asset_orders(connection, [(each, [Share(plan, order.id, (Slice(D(1), price),))]) for each in intents])
        connection.execute(leases.delete())
        connection.execute(insert(leases), {"account_id": house.account.id, "epoch": 1})
    return plan


def test_of_processes_that_take_a_lease_at_once_one_gets_it(
    house: House, tmp_path: Path, url: str, racers: list[Racer]
) -> None:
    with house.database.write() as connection:
        connection.execute(leases.delete())
    assert sorted(race(racers, tmp_path, url, "lease", count=4)) == [[], [], [], [1]]


def test_the_last_slots_are_given_out_once(house: House, tmp_path: Path, url: str, racers: list[Racer]) -> None:
    with house.database.write() as connection:
        connection.execute(slot_uses.delete())
    taken = race(racers, tmp_path, url, "slots")
    assert sum(count for (count,) in taken) == LIMIT, taken


def test_an_order_is_claimed_once(house: House, tmp_path: Path, url: str, racers: list[Racer]) -> None:
    plan = write_waiting(house, WAITING)
    claimed = race(racers, tmp_path, url, "claims")
    with house.database.read() as connection:
        orders = asset_orders_of_plan(connection, plan)
        used = connection.scalar(
            select(func.count())
            .select_from(slot_uses)
            .where(slot_uses.c.asset_order_id.in_([order.id for order in orders]))
        )
    assert sorted([*claimed[0], *claimed[1]]) == [order.id for order in orders]
    assert {(order.status, order.attempts) for order in orders} == {(AssetOrderStatus.SENT, 1)}
    assert used == WAITING


def test_an_order_cancelled_by_two_ends_once(house: House, tmp_path: Path, url: str, racers: list[Racer]) -> None:
    request = make_request(Side.BUY, quantity=D(2), limit_price=D(100), time_in_force="gtc")
    order = asyncio.run(house.submit(request))
    assert order.status is IndexOrderStatus.OPEN
    assert race(racers, tmp_path, url, "cancel") == [[1], [1]]
    with house.database.read() as connection:
        released = connection.scalar(
            select(func.count())
            .select_from(transactions)
            .where(transactions.c.kind == "release", transactions.c.index_order_id == order.id)
        )
    assert released == 1
    assert findings(house.database, house.exchange) == []


def test_one_client_key_is_one_order(house: House, tmp_path: Path, url: str, racers: list[Racer]) -> None:
    numbers = race(racers, tmp_path, url, "client_key", count=3)
    assert len({number for (number,) in numbers}) == 1
    with house.database.read() as connection:
        assert [order.client_key for order in list_index_orders(connection)].count(KEY) == 1
    asyncio.run(house.manager.run([numbers[0][0]]))
    assert house.position().units == D("25.5")
    assert findings(house.database, house.exchange) == []
