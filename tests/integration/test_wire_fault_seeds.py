"""A served exchange that fails in every way at once, from seeds, with real sockets between it and us.

ETF_TEST_FAULT_FROM makes it play other seeds; `benchmarks/faults.py --over-the-wire` plays many more.
"""

import os
from collections import Counter

import pytest
from tests.effort import IS_GATE
from tests.integration.harness import workshop
from tests.integration.wire_harness import Weather, played, wire_shop

from etf_trader.exchange.server.faults import Fault

CHUNKS = 8
SEEDS = 2 if IS_GATE else 4
FIRST = int(os.environ.get("ETF_TEST_FAULT_FROM", "0"))


@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_whatever_happens_on_the_wire_every_trade_is_booked_once_and_every_limit_kept(chunk: int) -> None:
    start = FIRST + chunk * SEEDS
    results = played(range(start, start + SEEDS))
    assert {result.name: result.findings for result in results if result.findings} == {}
    assert sum((result.fired for result in results), Counter()).total() > SEEDS
    assert len({result.name for result in results}) == SEEDS


def test_undisturbed_it_ends_over_the_wire_as_it_ends_in_process() -> None:
    for name in ("limited buy", "sell", "shared", "routed", "backlog"):
        ends = {key: end for key, end in wire_shop().calm(name).items() if not key.startswith("key-")}
        inside = {key: end for key, end in workshop().calm(name).items() if not key.startswith("key-")}
        assert ends == inside, name


def test_the_seeds_draw_every_fault_and_every_upset() -> None:
    weathers = [Weather.seeded(seed) for seed in range(FIRST, FIRST + CHUNKS * SEEDS)]
    drawn = Counter(fault for weather in weathers for fault in weather.plan.chances)
    assert drawn.keys() == set(Fault)
    assert {weather.streams_books for weather in weathers} == {True, False}
    assert sum(weather.upset > 0 for weather in weathers) > len(weathers) / 4
