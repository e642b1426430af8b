"""Several processes on one database: one leads, others wait; only a dead leader is replaced at once."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest
from tests.factories import House, make_house, make_request
from tests.integration.harness import prepare
from tests.integration.scenarios import SCENARIOS, make_frozen_market
from tests.invariants import findings

from etf_trader.clock import SystemClock
from etf_trader.errors import AccountLed
from etf_trader.execution.budget import note_counts
from etf_trader.execution.lease import Leases, leader
from etf_trader.execution.manager import Manager
from etf_trader.execution.tables import leases
from etf_trader.market.symbol import Side
from etf_trader.orders.status import IndexOrderStatus
from etf_trader.orders.store import list_asset_orders, list_index_orders, request_cancel
from etf_trader.venue.interface import OrderCount, OrderCounts
from etf_trader.venue.paper import PaperVenue

D = Decimal
ROOT = Path(__file__).parents[2]
Submit = subprocess.Popen[str]


@pytest.fixture
def house(tmp_path: Path) -> House:
    prepare(tmp_path, SCENARIOS["buy"])
    return make_house(tmp_path, make_frozen_market())


@pytest.fixture
def started() -> Iterator[list[Submit]]:
    """Submits that a test has started; none outlives it."""
    processes: list[Submit] = []
    yield processes
    for process in processes:
        process.kill()
        process.communicate()


def start(
    folder: Path, started: list[Submit], side: Side, quantity: str, key: str, *, stop: bool = False
) -> Submit:
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.integration.submitting", str(folder), str(side), quantity, key],
        cwd=ROOT,
        env=os.environ | ({"ETF_TEST_STOP": "1"} if stop else {}),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    started.append(process)
    return process


def go(folder: Path, started: list[Submit]) -> None:
    """Let all that was started begin at once."""
    deadline = time.monotonic() + 60
    while len(list(folder.glob("ready-*"))) < len(started):
        for process in started:
            assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline, "the submits did not start"
        time.sleep(0.01)
    (folder / "go").touch()


def test_submits_at_once_all_end_and_every_sum_is_right(
    tmp_path: Path, house: House, started: list[Submit]
) -> None:
    processes = [
        start(tmp_path, started, Side.BUY, "11", "one"),
        start(tmp_path, started, Side.BUY, "7.5", "two"),
        start(tmp_path, started, Side.SELL, "4.25", "three"),
    ]
    go(tmp_path, started)
    answers = [(process.communicate(timeout=120), process.returncode) for process in processes]

    assert [code for _, code in answers] == [0, 0, 0], answers
    with house.database.read() as connection:
        orders = {order.client_key: order for order in list_index_orders(connection)}
        assert leader(connection, 1, house.clock.now()) is None
    assert {key: orders[key].filled for key in ("one", "two", "three")} == {
        "one": D(11),
        "two": D("7.5"),
        "three": D("4.25"),
    }
    assert house.position().units == D("15.5") + 11 + D("7.5") - D("4.25")
    assert findings(house.database, house.exchange) == []


def test_one_client_key_from_two_processes_at_once_is_one_order(
    tmp_path: Path, house: House, started: list[Submit]
) -> None:
    processes = [start(tmp_path, started, Side.BUY, "9", "same") for _ in range(2)]
    go(tmp_path, started)
    answers = [(process.communicate(timeout=120), process.returncode) for process in processes]

    assert [(text[0].strip(), code) for text, code in answers] == [("filled 9", 0)] * 2, answers
    with house.database.read() as connection:
        assert [order.client_key for order in list_index_orders(connection)].count("same") == 1
    assert house.position().units == D("24.5")
    assert findings(house.database, house.exchange) == []


async def test_the_order_limit_of_the_venue_is_kept_by_large_orders(house: House) -> None:
    # 1,250 units need 2,500 B in orders of at most 20: more than the 100 that ten seconds allow.
    market = house.market
    market.set_book("BUSDT", [("9.99", "9000")], [("10.01", "9000")])  # type: ignore[attr-defined]
    market.set_book("AUSDT", [("99.99", "9000")], [("100.01", "9000")])  # type: ignore[attr-defined]
    order = await house.buy(1250)

    assert order.filled == 1250
    with house.database.read() as connection:
        sent = list_asset_orders(connection)
    assert all(each.attempts == 1 for each in sent)
    assert len(house.exchange.orders("paper")) > 120
    assert findings(house.database, house.exchange) == []


def test_the_lease_of_a_dead_process_is_free_at_once_and_of_a_living_one_is_not(
    tmp_path: Path, house: House, started: list[Submit]
) -> None:
    process = start(tmp_path, started, Side.BUY, "5", "killed", stop=True)
    go(tmp_path, started)
    wait_until_stopped(process.pid)

    with house.database.read() as connection:
        owner = leader(connection, 1, house.clock.now())
    assert owner is not None and owner.process == process.pid
    assert Leases(house.database, house.clock).take(1) is None
    process.kill()
    process.wait()
    lease = Leases(house.database, house.clock).take(1)
    assert lease is not None
    Leases(house.database, house.clock).give_back(lease)


async def test_a_stopped_leader_keeps_its_lease_on_its_own_host(
    tmp_path: Path, house: House, started: list[Submit]
) -> None:
    # It may continue at any moment, and a person on its host can see it. Another host waits three heartbeats.
    process = start(tmp_path, started, Side.BUY, "5", "stopped", stop=True)
    go(tmp_path, started)
    wait_until_stopped(process.pid)
    with pytest.raises(AccountLed, match="another process leads"):
        await house.manager.run([], wait=False)

    process.send_signal(signal.SIGCONT)
    assert process.communicate(timeout=60)[0].strip() == "filled 5"
    assert findings(house.database, house.exchange) == []


async def test_a_leader_stopped_past_a_take_over_sends_nothing_when_it_wakes(
    tmp_path: Path, house: House, started: list[Submit]
) -> None:
    process = start(tmp_path, started, Side.BUY, "5", "paused", stop=True)
    go(tmp_path, started)
    wait_until_stopped(process.pid)
    with house.database.write() as connection:  # what another host sees after three heartbeats
        connection.execute(leases.update().values(host="elsewhere", heartbeat_at=house.exchange.now()))
    orders_before = len(house.exchange.orders("paper"))
    await house.manager.run([])
    with house.database.read() as connection:
        assert list_index_orders(connection)[-1].filled == 5
    orders_after = len(house.exchange.orders("paper"))

    process.send_signal(signal.SIGCONT)
    _, complaint = process.communicate(timeout=60)

    assert (process.returncode, "taken over" in complaint) == (8, True), complaint
    assert len(house.exchange.orders("paper")) == orders_after > orders_before
    assert findings(house.database, house.exchange) == []


def wait_until_stopped(process: int) -> None:
    deadline = time.monotonic() + 60
    while Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "T":
        assert time.monotonic() < deadline, "the submit did not stop"
        time.sleep(0.01)


async def test_a_wish_of_another_process_is_taken_along_by_who_leads(tmp_path: Path, house: House) -> None:
    other = make_house(tmp_path, house.market)
    later = await other.desk.accept(make_request(Side.BUY, quantity=D(2)))
    await house.buy(3)
    assert house.order(later.id).filled == 2


async def test_who_waits_for_slots_sees_a_cancel_long_before_the_window_ends(house: House) -> None:
    full = [OrderCount(each.seconds, each.limit) for each in await house.venue.order_limits()]
    with house.database.write() as connection:
        note_counts(connection, house.account.id, house.clock.now(), full, is_last=True)
    venue = StandingVenue(house.exchange, "paper", is_stepped=True)
    manager = Manager(
        house.database, venue, StandingClock(), SystemClock(), house.account, house.settings, house.log
    )
    order = await house.desk.accept(make_request(Side.BUY, quantity=D(2), time_in_force="gtc"))
    working = asyncio.create_task(manager.run([order.id]))
    await asyncio.sleep(0.5)
    assert house.order(order.id).status is IndexOrderStatus.OPEN
    with house.database.write() as connection:
        request_cancel(connection, order.id, house.clock.now())
    await asyncio.wait_for(working, 30)
    assert house.order(order.id).status is IndexOrderStatus.CANCELLED
    assert house.exchange.orders("paper")[-1].client_order_id.split("-")[2] != str(order.id)


class StandingClock(SystemClock):
    """A clock on which no window ends."""

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(3600)


class StandingVenue(PaperVenue):
    """A venue that counts as many orders as it takes."""

    async def order_counts(self) -> OrderCounts:
        limits = await self.order_limits()
        return OrderCounts(
            await self.server_time(), tuple(OrderCount(each.seconds, each.limit) for each in limits)
        )
