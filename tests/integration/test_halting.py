"""`etf halt` against real processes that send: not one order leaves after it has returned."""

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
from tests.factories import UID, House, make_definition, make_house, make_ladders, make_market
from tests.integration.test_processes import wait_until_stopped
from tests.invariants import findings

from etf_trader.clock import SystemClock
from etf_trader.exchange.static import StaticMarket
from etf_trader.execution.halting import Halted, Halting
from etf_trader.market.symbol import Side
from etf_trader.money import money_context
from etf_trader.orders.store import list_asset_orders, list_index_orders
from etf_trader.risk.halts import TradingState, resume

D = Decimal
ROOT = Path(__file__).parents[2]
UNITS = "2000"
"""4,000 B in orders of at most 20: two hundred orders, and A, in windows of a hundred."""

SLOW = "0.01"


def deep_market() -> StaticMarket:
    """Books that take it all, with orders of at most 20 B."""
    return make_market(
        {
            "A": make_ladders(D(100), D("0.01"), D(9000)),
            "B": make_ladders(D(10), D("0.01"), D(90000)),
        },
        rules={"A": {"step": "0.001"}, "B": {"step": "1", "min_quantity": "1", "max_quantity": "20"}},
    )


@pytest.fixture
def house(tmp_path: Path) -> House:
    made = make_house(tmp_path, deep_market())
    asyncio.run(made.create(make_definition()))
    return made


@pytest.fixture
def processes(tmp_path: Path) -> Iterator[list["subprocess.Popen[str]"]]:
    """What a test has started; none outlives it."""
    started: list[subprocess.Popen[str]] = []
    yield started
    for process in started:
        process.kill()
        process.communicate()


def start(folder: Path, processes: list["subprocess.Popen[str]"], key: str, **environment: str) -> None:
    """Begin a submit of hundreds of orders in a process of its own."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.integration.halting", str(folder), str(Side.BUY), UNITS, key],
        cwd=ROOT,
        env=os.environ | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    processes.append(process)
    (folder / "go").touch()


def wait_for_orders(house: House, count: int) -> None:
    deadline = time.monotonic() + 60
    while len(house.exchange.orders(UID)) < count:
        assert time.monotonic() < deadline, "it never came to the point"
        time.sleep(0.002)


def stop(house: House) -> Halted:
    halting = Halting(house.database, house.venue, house.clock, SystemClock(), house.account, house.manager)
    return asyncio.run(halting.halt(TradingState.HALTED, "test", "test"))


def arrived(house: House) -> list[str]:
    return sorted(order.client_order_id for order in house.exchange.orders(UID))


@pytest.mark.parametrize("when", [1, 60, 101])
def test_not_one_order_leaves_after_a_halt_has_returned(
    tmp_path: Path, house: House, processes: list["subprocess.Popen[str]"], when: int
) -> None:
    start(tmp_path, processes, "many", ETF_TEST_SLOW=SLOW)
    wait_for_orders(house, when)
    done = stop(house)
    there = arrived(house)
    assert done.is_new and done.is_settled

    (process,) = processes
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    assert arrived(house) == there
    assert when <= len(there) < 201
    assert out.split()[0] in ("ended", "open")
    with house.database.read() as connection:
        (order,) = list_index_orders(connection)
        written = list_asset_orders(connection)
    assert order.stopped_by[-1] == "halted"
    assert all(each.status.is_final for each in written)
    assert {each.intent.client_order_id for each in written if each.executed_quantity} == set(there)
    assert findings(house.database, house.exchange) == []


def test_a_leader_that_was_asleep_sends_nothing_when_it_wakes_after_a_halt(
    tmp_path: Path, house: House, processes: list["subprocess.Popen[str]"]
) -> None:
    # It stops itself after the last check, before its first order arrives.
    start(tmp_path, processes, "asleep", ETF_TEST_STOP="1")
    (process,) = processes
    wait_until_stopped(process.pid)
    before = time.monotonic()
    done = stop(house)
    assert 3 <= time.monotonic() - before < 20
    assert not done.is_settled  # the command says so
    assert arrived(house) == []

    process.send_signal(signal.SIGCONT)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out.split()[0]) == (0, "ended"), err
    assert arrived(house) == []
    assert findings(house.database, house.exchange) == []


def test_a_halt_settles_what_a_killed_leader_left(
    tmp_path: Path, house: House, processes: list["subprocess.Popen[str]"]
) -> None:
    start(tmp_path, processes, "killed", ETF_TEST_SLOW=SLOW)
    wait_for_orders(house, 20)
    (process,) = processes
    process.kill()
    process.communicate()
    done = stop(house)
    assert done.is_settled
    assert done.in_flight
    there = arrived(house)
    assert {order.intent.client_order_id for order in done.in_flight if order.executed_quantity} <= set(there)
    with house.database.read() as connection:
        assert all(each.status.is_final for each in list_asset_orders(connection))
    with house.database.write() as connection:
        resume(connection, 1, None, house.clock.now())
    with money_context():
        asyncio.run(house.manager.run([]))
    assert findings(house.database, house.exchange) == []


def test_two_halts_at_once_are_one(house: House) -> None:
    first, second = stop(house), stop(house)
    assert (first.is_new, second.is_new) == (True, False)
    assert first.halt == second.halt
    assert (second.in_flight, second.withdrawn, second.problem) == ((), (), None)
