"""How fast a backtest is beside `bt`, and that both come to the same returns: ratios measured in one run.

    python benchmarks/backtest.py                          etf alone
    python benchmarks/backtest.py --bt venv/bin/python     beside bt, installed for that Python
    python benchmarks/backtest.py --bt ... --check         exit 1 when a target is not met

Six years of made-up days, 200 coins, the 20 largest capped at 30%, monthly. Each
side is a whole command: start, imports, reading the same files, six years, the
result printed. bt is given the weights that etf decided and reads only the coins
that were ever held; etf decides, plans each trade on a book, books it and audits
the books.

A grid of 50 is judged in the same processes: as many at once on either side, two
on two processors. `bt`, 50 commands has no grid and is what a shell would run, so
many at once; the target is about that. `bt`, one program is 50 strategies in
processes that have imported bt and read the prices once: what somebody would write
who has to have it fast. Beside the seconds on the clock stand those that processors
spent, which other programs on the machine change less.
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import date, timedelta
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

import numpy as np

COINS, DAYS, SEED = 200, 2192, 20
START = date(2020, 1, 1)
LAST = START + timedelta(days=DAYS - 1)
CELLS = 50
GRID = "count=11,12,13,14,15,16,17,18,19,20; cap=0.12,0.15,0.2,0.25,0.3"
CLOSE = 1e-6
SLOWEST, GRID_SPEED = 1.0, 5.0

INDEX = """symbol = "TOP20"

[universe]
caps = "caps.csv"

[selection]
count = 20

[weighting]
by = "capped"
cap = 0.3
"""

BT = """
import json, multiprocessing, sys
import bt
import pandas as pd

folder, processes, runs = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])


def read():
    weights = pd.read_csv(f"{folder}/weights.csv", index_col=0, parse_dates=True)
    files = {name: f"{folder}/candles/{name}USDT_1d.csv" for name in weights.columns}
    closes = {
        name: pd.read_csv(file, index_col=0, parse_dates=True, usecols=[0, 4])["close"]
        for name, file in files.items()
    }
    prices = pd.DataFrame(closes)
    return prices[prices.index >= weights.index[0]], weights


def run(number):
    prices, weights = data
    strategy = bt.Strategy(f"s{number}", [bt.algos.WeighTarget(weights), bt.algos.Rebalance()])
    found = bt.run(bt.Backtest(strategy, prices, integer_positions=False, progress_bar=False))
    return found.prices.iloc[:, 0]


def begin():
    global data
    data = read()


if __name__ == "__main__":
    if runs == 1:
        begin()
        series = run(0)
        print(json.dumps({str(day.date()): value for day, value in series.items()}))
    else:
        with multiprocessing.get_context("fork").Pool(processes, begin) as pool:
            print(len(pool.map(run, range(runs), chunksize=1)))
"""


def make(folder: Path) -> None:
    """Write candles of every day and market caps of every month."""
    random = np.random.default_rng(SEED)
    sizes = 1e12 / np.arange(1, COINS + 1) ** 1.4
    moves = random.normal(0.0003, 0.012, (DAYS, 1)) + random.normal(0, 0.03, (DAYS, COINS))
    paths = np.exp(np.cumsum(moves, axis=0))
    supply = 10.0 ** random.integers(6, 12, COINS)
    closes = paths * sizes / supply
    days = [START + timedelta(days=number) for number in range(DAYS)]
    (folder / "candles").mkdir()
    for coin in range(COINS):
        shown = [f"{value:.8g}" for value in closes[:, coin]]
        rows = (f"{day},{price},{price},{price},{price},1000" for day, price in zip(days, shown, strict=True))
        text = "timestamp,open,high,low,close,volume\n" + "\n".join(rows) + "\n"
        (folder / "candles" / f"C{coin}USDT_1d.csv").write_text(text)
    rows = [
        f"{day},C{coin},Coin {coin},{closes[number, coin] * supply[coin]:.2f},{closes[number, coin]:.8g},1000"
        for number, day in enumerate(days)
        if day.day == 1
        for coin in range(COINS)
    ]
    (folder / "caps.csv").write_text("date,symbol,name,market_cap,price,volume\n" + "\n".join(rows) + "\n")
    (folder / "top20.toml").write_text(INDEX)
    (folder / "bt_side.py").write_text(BT)


def etf(folder: Path, *more: str) -> list[str]:
    """Return the command."""
    return [
        *(sys.executable, "-m", "etf_trader", "backtest", "--index-file", str(folder / "top20.toml")),
        *("--candles", str(folder / "candles"), "--from", str(START), "--to", str(LAST), "--json", *more),
    ]


class Spent(NamedTuple):
    """Seconds on the clock, and of processors in all processes."""

    clock: float
    cpu: float

    def __str__(self) -> str:
        return f"{self.clock:7.2f} s ({self.cpu:.1f} of processors)"


def spent(work: Callable[[], object]) -> Spent:
    """Return what some work takes that ends all processes it starts."""
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    work()
    clock, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    return Spent(clock, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)


def printed(command: Sequence[str]) -> str:
    """Return what a command prints."""
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


def write_weights(folder: Path, told: str) -> None:
    """Write the weights that etf decided, by the day whose close they were set at."""
    steps = json.loads(told)["rebalances"]
    names = sorted({asset for step in steps for asset in step["weights"]}, key=lambda name: int(name[1:]))
    lines = ["day," + ",".join(names)]
    for step in steps:
        on = date.fromisoformat(step["day"]) - timedelta(days=1)
        lines.append(f"{on}," + ",".join(step["weights"].get(name, "0") for name in names))
    (folder / "weights.csv").write_text("\n".join(lines) + "\n")


def furthest(ours: str, theirs: str) -> float:
    """Return the largest relative difference of the two values of a unit on any day."""
    days = {each["day"]: float(each["nav_per_unit"]) / 1000 for each in json.loads(ours)["days"]}
    values = {day: value / 100 for day, value in json.loads(theirs).items() if day in days}
    if len(values) != len(days):
        raise SystemExit(f"bt has {len(values)} days of {len(days)}")
    return max(abs(values[day] / value - 1) for day, value in days.items())


def many_commands(command: Sequence[str], processes: int) -> None:
    """Run 50 commands, so many at once."""
    with ThreadPoolExecutor(processes) as pool:
        list(pool.map(printed, [command] * CELLS))


def main() -> int:
    """Measure, print, judge."""
    parser = argparse.ArgumentParser(description="How fast a backtest is beside bt.")
    parser.add_argument("--bt", help="a Python that has bt", default=sys.executable if find_spec("bt") else None)
    parser.add_argument("--runs", type=int, default=5, help="runs of each command (default: %(default)s)")
    parser.add_argument("--processes", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--check", action="store_true", help="exit 1 when a target is not met")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make(folder)
        return compare(folder, options)


def compare(folder: Path, options: argparse.Namespace) -> int:
    """Run both sides in turns, print ratios, and return the exit code."""
    free = printed(etf(folder, "--no-costs"))
    write_weights(folder, free)
    beside = [options.bt, str(folder / "bt_side.py"), str(folder), str(options.processes)] if options.bt else None
    ours, theirs = [], []
    for _ in range(options.runs):
        ours.append(spent(lambda: printed(etf(folder))))
        if beside:
            theirs.append(spent(lambda: printed([*beside, "1"])))
    mine = middle(ours)
    print(f"etf, one run               {mine}, every trade planned, booked and audited")
    grid = spent(lambda: printed(etf(folder, "--grid", GRID, "--processes", str(options.processes))))
    print(f"etf, a grid of {CELLS}          {grid}, {options.processes} processes")
    if not beside:
        print("bt is not installed here: --bt PYTHON names one that has it")
        return 0
    off, other = furthest(free, printed([*beside, "1"])), middle(theirs)
    print(f"bt, one run                {other}: etf takes {mine.clock / other.clock:.2f} of it, at most {SLOWEST}")
    print(f"values a unit, no costs    differ by at most {off:.1e}, at most {CLOSE:.0e}")
    apart = spent(lambda: many_commands([*beside, "1"], options.processes))
    program = spent(lambda: printed([*beside, str(CELLS)]))
    print(f"bt, {CELLS} commands            {apart}: {faster(grid, apart)}, at least {GRID_SPEED}")
    print(f"bt, one program            {program}: {faster(grid, program)}")
    kept = mine.clock <= SLOWEST * other.clock and off <= CLOSE and apart.clock >= GRID_SPEED * grid.clock
    return 0 if kept or not options.check else 1


def middle(measured: Sequence[Spent]) -> Spent:
    """Return the median of each."""
    return Spent(*(statistics.median(each) for each in zip(*measured, strict=True)))


def faster(ours: Spent, theirs: Spent) -> str:
    """Return how many times as fast etf is, on the clock and by what processors spent."""
    return f"etf is {theirs.clock / ours.clock:.1f} times as fast ({theirs.cpu / ours.cpu:.1f} by processors)"


if __name__ == "__main__":
    sys.exit(main())
