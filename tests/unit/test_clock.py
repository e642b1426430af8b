import asyncio
from datetime import UTC, datetime, timedelta

from etf_trader.clock import Clock, SimulatedClock, SystemClock

START = datetime(2026, 11, 21, 4, tzinfo=UTC)


def test_the_system_clock_is_aware_and_in_utc() -> None:
    clock: Clock = SystemClock()
    before = datetime.now(UTC)
    assert clock.now().utcoffset() == timedelta(0)
    assert clock.now() >= before
    asyncio.run(clock.sleep(0))


def test_a_simulated_clock_stands_until_it_is_moved() -> None:
    clock = SimulatedClock(START)
    assert clock.now() == clock.now() == START
    clock.advance(timedelta(hours=1))
    assert clock.now() == START + timedelta(hours=1)


def test_sleeping_on_a_simulated_clock_takes_no_time() -> None:
    clock = SimulatedClock(START)
    before = SystemClock().now()
    asyncio.run(clock.sleep(3600))
    assert clock.now() == START + timedelta(hours=1)
    assert SystemClock().now() - before < timedelta(seconds=5)
