"""The weight of requests: one budget a host and window, with a reserve for what cannot wait."""

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from etf_trader import schema
from etf_trader.clock import SimulatedClock
from etf_trader.database import Database
from etf_trader.errors import RateLimited
from etf_trader.execution.pauses import note_pause
from etf_trader.execution.weights import WeightLimit, Weights

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
MINUTE = WeightLimit(60, 100)


@pytest.fixture
def database(tmp_path: Path) -> Database:
    database = Database(f"sqlite:///{tmp_path / 'etf.db'}")
    schema.upgrade(database, "etf")
    return database


async def test_what_looks_at_the_market_leaves_a_reserve_for_what_cannot_wait(database: Database) -> None:
    clock = SimulatedClock(NOON)
    weights = Weights(database, clock, "here", MINUTE)
    await weights.take(90, urgent=False)
    await weights.take(10, urgent=True)
    assert clock.now() == NOON
    await weights.take(1, urgent=True)
    assert clock.now() == NOON + timedelta(minutes=1)


async def test_processes_of_one_host_share_a_window_and_hosts_do_not(database: Database) -> None:
    clocks = [SimulatedClock(NOON) for _ in range(3)]
    one, same, other = (
        Weights(database, clock, host, MINUTE) for clock, host in zip(clocks, ("a", "a", "b"), strict=True)
    )
    await one.take(80, urgent=False)
    await other.take(80, urgent=False)
    await same.take(20, urgent=False)
    assert [clock.now() - NOON for clock in clocks] == [timedelta(0), timedelta(minutes=1), timedelta(0)]


async def test_the_venues_own_count_is_believed_when_it_is_larger(database: Database) -> None:
    clock = SimulatedClock(NOON)
    weights = Weights(database, clock, "here", MINUTE)
    await weights.take(20, urgent=False)
    weights.told(70, NOON)  # somebody else is at this address
    weights.told(30, NOON)  # an answer of before
    await weights.take(20, urgent=False)
    assert clock.now() == NOON
    await weights.take(5, urgent=False)
    assert clock.now() == NOON + timedelta(minutes=1)


async def test_a_ban_of_the_host_is_waited_out(database: Database) -> None:
    clock = SimulatedClock(NOON)
    weights = Weights(database, clock, "here", MINUTE)
    error = RateLimited("IP banned", retry_after=130, is_of_host=True)
    with database.write() as connection:
        note_pause(connection, 1, "here", error, NOON)
    await weights.take(1, urgent=True)
    assert clock.now() == NOON + timedelta(seconds=130)


async def test_a_request_that_never_fits_is_a_bug(database: Database) -> None:
    with pytest.raises(ValueError, match="never fits"):
        await Weights(database, SimulatedClock(NOON), "here", MINUTE).take(91, urgent=False)


@given(st.lists(st.tuples(st.integers(1, 60), st.booleans(), st.integers(0, 20)), max_size=30))
def test_no_window_is_ever_overdrawn(requests: list[tuple[int, bool, int]]) -> None:
    database = Database("sqlite://")
    clock = SimulatedClock(NOON)
    with database.write() as connection:
        from etf_trader.execution.tables import pauses, weight_uses
        from etf_trader.ledger.tables import accounts

        accounts.metadata.create_all(connection, [accounts, weight_uses, pauses])
    weights = Weights(database, clock, "here", MINUTE)
    taken: dict[datetime, int] = {}
    for weight, urgent, seconds in requests:
        clock.advance(timedelta(seconds=seconds))
        asyncio.run(weights.take(weight, urgent=urgent))
        minute = clock.now().replace(second=0)
        taken[minute] = taken.get(minute, 0) + weight
        assert taken[minute] <= (100 if urgent else 90) or urgent
    assert all(weight <= 100 for weight in taken.values())
