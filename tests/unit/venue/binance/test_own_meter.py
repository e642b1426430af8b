"""A process without a database keeps to the venue's weight by itself."""

import pytest
from tests.unit.venue.binance.true_book import START

from etf_trader.clock import SimulatedClock
from etf_trader.venue.binance.own_meter import OwnMeter


async def test_what_does_not_fit_waits_for_the_next_window() -> None:
    clock = SimulatedClock(START)
    meter = OwnMeter(clock)
    for _ in range(21):
        await meter.take(250, urgent=False)
    assert clock.now() == START
    await meter.take(250, urgent=False)
    assert (clock.now() - START).total_seconds() == 60


async def test_what_is_urgent_may_use_what_is_kept_back() -> None:
    clock = SimulatedClock(START)
    meter = OwnMeter(clock)
    await meter.take(5400, urgent=False)
    await meter.take(600, urgent=True)
    assert clock.now() == START


async def test_the_venue_is_believed_where_it_counts_more() -> None:
    clock = SimulatedClock(START)
    meter = OwnMeter(clock)
    meter.limited(60, 1000)
    await meter.take(5, urgent=False)
    meter.told(900, clock.now())
    await meter.take(5, urgent=False)
    assert (clock.now() - START).total_seconds() == 60


async def test_a_request_that_never_fits_is_a_bug() -> None:
    with pytest.raises(ValueError, match="never fits"):
        await OwnMeter(SimulatedClock(START)).take(6000, urgent=False)
