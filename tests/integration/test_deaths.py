"""Runs that are killed, or stopped past their lease, at any line: nothing lost, nothing doubled.

ETF_TEST_KILL_SEED makes it try other lines, ETF_TEST_KILL_FACTOR more of them;
`benchmarks/faults.py --deaths all` tries every one.
"""

import os
from collections import Counter

import pytest
from tests.effort import IS_GATE
from tests.integration.deaths import KILL, STOP, TRACED, die_elsewhere

SEED = int(os.environ.get("ETF_TEST_KILL_SEED", "1"))
FACTOR = float(os.environ.get("ETF_TEST_KILL_FACTOR", "1"))
IN_GATE = {KILL: 0.15, STOP: 0.5}
"""The parts of these that the gate plays."""

KILLED = {
    "buy": 52,
    "limited sell": 12,
    "shared": 8,
    "routed": 8,
    "cancelled": 5,
    "backlog": 5,
    "quoted buy": 6,
    "rebalance": 12,
    "rebalance among others": 8,
}
STOPPED = {"buy": 20, "shared": 6, "rebalance": 5}


def tries(number: int, ending: str) -> int:
    """Return at how many lines a run is ended where `number` are wanted."""
    return max(int(number * FACTOR * (IN_GATE[ending] if IS_GATE else 1)), 1)


@pytest.mark.parametrize("name", KILLED)
def test_a_run_killed_at_any_line_is_completed_as_if_nothing_had_happened(name: str) -> None:
    answer = die_elsewhere([name, KILL, tries(KILLED[name], KILL), SEED])
    results = answer["results"]
    assert [result for result in results if result["findings"]] == [], answer["stderr"]
    assert sum(result["happened"] for result in results) > 0.9 * len(results)
    if len(results) > len(answer["known"]):
        assert {result["point"][0] for result in results} == answer["known"].keys()
    assert all(any(file.startswith(part) for file in answer["known"]) for part in TRACED)


@pytest.mark.parametrize("name", STOPPED)
def test_a_leader_that_is_stopped_and_taken_over_sends_nothing_when_it_wakes(name: str) -> None:
    answer = die_elsewhere([name, STOP, tries(STOPPED[name], STOP), SEED])
    results = answer["results"]
    assert [result for result in results if result["findings"]] == [], answer["stderr"]
    woke = Counter(result.get("woke", "not stopped") for result in results)
    assert woke["led, exit 8"] > 0, woke
