"""Who leads, and when the lease is free."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any, NoReturn

import pytest
from sqlalchemy import insert
from tests.factories import House, make_house, make_market

from etf_trader.clock import SimulatedClock
from etf_trader.errors import AccountLed, DatabaseFailure
from etf_trader.exchange.static import EPOCH
from etf_trader.execution.lease import Lease, Leases, Owner, check, leader, leads_any, this_host
from etf_trader.execution.tables import leases


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    made = make_house(tmp_path, make_market({"A": ([("99", "1")], [("101", "1")])}))
    yield made
    made.database.close()


@pytest.fixture
def clock() -> SimulatedClock:
    return SimulatedClock(EPOCH)


def lead_as(house: House, **changes: Any) -> None:
    """Write the lease of some process."""
    owner = Owner.this_process(this_host())
    values: dict[str, Any] = {
        "account_id": 1,
        "epoch": 7,
        "host": owner.host,
        "process": owner.process,
        "process_start": owner.process_start,
        "heartbeat_at": EPOCH,
    }
    with house.database.write() as connection:
        connection.execute(insert(leases), values | changes)


def is_free(house: House, clock: SimulatedClock) -> bool:
    return Leases(house.database, clock).take(1) is not None


def test_a_lease_that_nobody_ever_took_is_free(house: House, clock: SimulatedClock) -> None:
    lease = Leases(house.database, clock).take(1)
    assert lease == Lease(1, 1, Owner.this_process(this_host()))
    with house.database.read() as connection:
        assert leader(connection, 1, EPOCH) == leads_any(connection, EPOCH) == Owner.this_process(this_host())


def test_a_lease_given_back_is_free_and_its_next_epoch_is_larger(house: House, clock: SimulatedClock) -> None:
    book = Leases(house.database, clock)
    first = book.take(1)
    assert first is not None and book.take(1) is None
    book.give_back(first)
    with house.database.read() as connection:
        assert leader(connection, 1, EPOCH) is None
        assert leads_any(connection, EPOCH) is None
    second = book.take(1)
    assert second is not None and second.epoch == 2


def test_a_living_process_of_this_host_keeps_its_lease_without_heartbeats(
    house: House, clock: SimulatedClock
) -> None:
    lead_as(house)
    clock.advance(timedelta(days=30))
    assert not is_free(house, clock)


def test_a_process_that_ended_leaves_its_lease_at_once(house: House, clock: SimulatedClock) -> None:
    ended = subprocess.Popen([sys.executable, "-c", "pass"])
    ended.wait()
    lead_as(house, process=ended.pid, process_start="1")
    assert is_free(house, clock)


def test_a_zombie_has_ended(house: House, clock: SimulatedClock) -> None:
    child = os.fork()
    if child == 0:
        os._exit(0)
    os.waitid(os.P_PID, child, os.WEXITED | os.WNOWAIT)
    start = Path(f"/proc/{child}/stat").read_text().rpartition(")")[2].split()[19]
    lead_as(house, process=child, process_start=start)
    assert is_free(house, clock)
    os.waitpid(child, 0)


def test_a_process_number_used_again_is_not_the_owner(house: House, clock: SimulatedClock) -> None:
    lead_as(house, process=os.getpid(), process_start="1")
    assert is_free(house, clock)


@pytest.mark.parametrize(("seconds", "free"), [(0, False), (6, False), (6.001, True)])
def test_another_hosts_lease_is_free_after_three_heartbeats(
    house: House, clock: SimulatedClock, seconds: float, free: bool
) -> None:
    lead_as(house, host=f"not-{socket.gethostname()}", process=1)
    clock.advance(timedelta(seconds=seconds))
    assert is_free(house, clock) is free


def test_a_heartbeat_keeps_the_lease_alive(house: House, clock: SimulatedClock) -> None:
    lead_as(house, host="elsewhere")
    clock.advance(timedelta(seconds=5))
    Leases(house.database, clock).renew(Lease(1, 7, Owner("elsewhere", 1, "")))
    clock.advance(timedelta(seconds=5))
    assert not is_free(house, clock)


def test_whoever_was_taken_over_can_neither_renew_nor_act(house: House, clock: SimulatedClock) -> None:
    lead_as(house, host="elsewhere", heartbeat_at=EPOCH - timedelta(minutes=1))
    old = Lease(1, 7, Owner("elsewhere", 1, ""))
    assert is_free(house, clock)
    with pytest.raises(AccountLed, match="taken over"):
        Leases(house.database, clock).renew(old)
    with pytest.raises(AccountLed, match="taken over"), house.database.write() as connection:
        check(connection, old)
    Leases(house.database, clock).give_back(old)
    with house.database.read() as connection:
        assert leader(connection, 1, EPOCH) == Owner.this_process(this_host())


def test_a_lease_that_could_not_be_given_back_is_this_processs_to_take_again(
    house: House, clock: SimulatedClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    book = Leases(house.database, clock)
    first = book.take(1)
    assert first is not None
    with monkeypatch.context() as full, pytest.raises(DatabaseFailure):
        full.setattr(house.database, "write", disk_full)
        book.give_back(first)
    assert book.is_free(1)
    assert not Leases(house.database, clock).is_free(1)  # nobody else knows that it is done with
    second = book.take(1)
    assert second is not None and second.epoch == 2
    assert not book.is_free(1)


def disk_full() -> NoReturn:
    raise DatabaseFailure("the disk is full")
