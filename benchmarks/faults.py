"""Plays fault seeds and deaths beyond those of the test suite, and prints what they covered.

    python benchmarks/faults.py --seeds 50                     a minute
    python benchmarks/faults.py --seeds 10000 --deaths all     the whole of it, on all cores
    python benchmarks/faults.py --seeds 1 --from 4711          one seed again
    python benchmarks/faults.py --over-the-wire --seeds 300    the same behind real sockets

Ends with 1 when anything was found; a finding is named with the seed, or with
the line and the hit, that brings it back.
"""

import argparse
import multiprocessing
import os
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from tests.integration import harness, wire_harness  # noqa: E402
from tests.integration.deaths import KILL, STOP, die_elsewhere  # noqa: E402

from etf_trader.exchange.server.faults import Fault as WireFault  # noqa: E402
from etf_trader.venue.faulty import Fault  # noqa: E402

CHUNK = 20
KILLED = ("buy", "limited sell", "shared", "routed", "cancelled", "backlog", "rebalance")
STOPPED = ("buy", "shared")


def main() -> int:
    """Play, print, and return the exit code."""
    asked = _arguments()
    start = time.monotonic()
    wrong = _play_seeds(asked.first, asked.seeds, asked.jobs, over_the_wire=asked.over_the_wire)
    wrong += _let_die(asked.deaths, asked.first, asked.jobs)
    for line in wrong:
        print(line)
    print(f"{len(wrong)} findings in {time.monotonic() - start:.0f} s on {asked.jobs} cores")
    return 1 if wrong else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--seeds", type=int, default=50, metavar="N", help="how many fault seeds (50)")
    parser.add_argument("--from", type=int, default=0, dest="first", metavar="N", help="the first seed (0)")
    parser.add_argument("--over-the-wire", action="store_true", help="against a served exchange, by its sockets")
    parser.add_argument("--deaths", default="0", metavar="N|all", help="points of death of each scenario (0)")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="processes (all cores)")
    return parser.parse_args()


def _play_seeds(first: int, count: int, jobs: int, *, over_the_wire: bool) -> list[str]:
    chunks = [range(at, min(at + CHUNK, first + count)) for at in range(first, first + count, CHUNK)]
    played = wire_harness.played if over_the_wire else harness.played
    faults = WireFault if over_the_wire else Fault
    fired: Counter[str] = Counter()
    scenarios: Counter[str] = Counter()
    stops: Counter[str] = Counter()
    wrong = []
    with ProcessPoolExecutor(jobs, mp_context=multiprocessing.get_context("spawn")) as pool:
        for done, results in enumerate(pool.map(played, chunks), start=1):
            for each in results:
                fired.update(each.fired)
                stops += each.stops
                scenarios[each.name.partition(": ")[2]] += 1
                wrong += [f"{each.name}: {finding}" for finding in each.findings]
            _progress(f"{done * CHUNK} of {count} seeds, {len(wrong)} findings")
    print(f"seeds {first} to {first + count - 1}: {fired.total()} faults fired")
    _table(Counter({str(fault): fired[fault] for fault in faults}))
    print("plays:")
    _table(scenarios)
    if stops:
        print("runs that ended with an error and were begun again:")
        _table(stops)
    return wrong


def _let_die(deaths: str, seed: int, jobs: int) -> list[str]:
    count = 0 if deaths == "all" else int(deaths)
    if deaths != "all" and not count:
        return []
    parts = jobs if deaths == "all" else 1
    wanted = [
        (name, kind, count, seed, part, parts)
        for kind, names in ((KILL, KILLED), (STOP, STOPPED))
        for name in names
        for part in range(parts)
    ]
    known: dict[str, int] = Counter()
    reached: dict[str, dict[str, set[int]]] = {KILL: defaultdict(set), STOP: defaultdict(set)}
    woke: Counter[str] = Counter()
    wrong, results = [], []
    with ThreadPoolExecutor(jobs) as pool:
        for done, answer in enumerate(pool.map(die_elsewhere, wanted), start=1):
            results += answer["results"]
            known = {file: max(known.get(file, 0), lines) for file, lines in (known | answer["known"]).items()}
            _progress(f"{done} of {len(wanted)} rounds of deaths")
    for result in results:
        file, line, hit = result["point"]
        place = f"{result['scenario']}, {result['kind']} at {file}:{line} hit {hit}"
        wrong += [f"{place}: {finding}" for finding in result["findings"]]
        if result["happened"]:
            reached[result["kind"]][file].add(line)
        if result["kind"] == STOP:
            woke[result.get("woke", "ended before")] += 1
    _print_deaths(len(results), known, reached, woke)
    return wrong


def _print_deaths(
    count: int, known: dict[str, int], reached: dict[str, dict[str, set[int]]], woke: Counter[str]
) -> None:
    print(f"{count} deaths; lines killed at, stopped at, and most that one run reaches:")
    for file in sorted(known):
        print(f"  {file:34}{len(reached[KILL][file]):6}{len(reached[STOP][file]):6}{known[file]:6}")
    print("stopped and woken:")
    _table(woke)
    sys.stdout.flush()


def _table(counts: Counter[str]) -> None:
    for name, count in _ranked(counts.items()):
        print(f"  {name:44}{count:8}")


def _ranked(items: Iterable[tuple[str, int]]) -> Iterator[tuple[str, int]]:
    yield from sorted(items, key=lambda item: (-item[1], item[0]))


def _progress(text: str) -> None:
    if sys.stderr.isatty():
        print(f"\r{text}\033[K", end="", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
