"""A venue that fails in every way at once, from seeds: whatever it does, the books end right and limits were kept.

ETF_TEST_FAULT_FROM makes it play other seeds; `benchmarks/faults.py` plays many more.
"""

import os
from collections import Counter

import pytest
from tests.effort import IS_GATE
from tests.integration.harness import played
from tests.integration.scenarios import SCENARIOS

from etf_trader.venue.faulty import Fault, FaultPlan

CHUNKS = 20
SEEDS = 3 if IS_GATE else 25
FIRST = int(os.environ.get("ETF_TEST_FAULT_FROM", "0"))


@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_whatever_the_venue_does_every_trade_is_booked_once_and_every_limit_kept(chunk: int) -> None:
    start = FIRST + chunk * SEEDS
    results = played(range(start, start + SEEDS))
    assert {result.name: result.findings for result in results if result.findings} == {}
    assert sum((result.fired for result in results), Counter()).total() > SEEDS
    assert len({result.name for result in results}) == SEEDS


def test_the_seeds_draw_every_fault_and_every_scenario() -> None:
    seeds = range(FIRST, FIRST + CHUNKS * SEEDS)
    drawn = Counter(fault for seed in seeds for fault in FaultPlan.seeded(seed).chances)
    assert drawn.keys() == set(Fault)
    assert min(drawn.values()) > len(seeds) / 25
    assert len(SCENARIOS) == 15


def test_the_same_seed_fails_in_the_same_way_again() -> None:
    first, second = played([7]), played([7])
    assert first == second
    assert first[0].fired.total() > 0
