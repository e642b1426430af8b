"""How long commands take to start, as ratios measured in one run.

    python benchmarks/startup.py           print medians and ratios
    python benchmarks/startup.py --check   exit 1 when a budget is not kept

Milliseconds differ from machine to machine; how much a command adds to what it
cannot do without does not. Runs are interleaved, so that a busy moment hits all
alike, and judged by their medians.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

ETF = str(Path(sys.executable).with_name("etf"))

BASES = {
    "import typer": [sys.executable, "-c", "import typer"],
    "import typer, sqlalchemy": [sys.executable, "-c", "import typer, sqlalchemy"],
}
BUDGETS = {
    "etf --help": ("import typer", 2.2),
    "etf order list": ("import typer, sqlalchemy", 1.5),
    "etf report fills": ("import typer, sqlalchemy", 1.5),
}


def environment(home: str) -> dict[str, str]:
    """Return variables under which `etf` finds nothing of its user."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("ETF_", "XDG_"))}
    return kept | {"HOME": home}


def measure(commands: Mapping[str, list[str]], runs: int, folder: str) -> dict[str, float]:
    """Return the median milliseconds of each command, their runs interleaved."""
    variables = environment(folder)
    times: dict[str, list[float]] = {name: [] for name in commands}
    for turn in range(runs + 1):
        for name, command in commands.items():
            started = time.perf_counter()
            subprocess.run(command, cwd=folder, env=variables, check=True, stdout=subprocess.DEVNULL)
            if turn:  # the first turn fills the caches
                times[name].append((time.perf_counter() - started) * 1000)
    return {name: statistics.median(each) for name, each in times.items()}


def prepare(folder: str) -> None:
    """Make an index and one position to report on."""
    for arguments in (["init"], ["submit", "buy", "--index", "1", "--qty", "1"]):
        subprocess.run(
            [ETF, *arguments, "-q"], cwd=folder, env=environment(folder), check=True, stdout=subprocess.DEVNULL
        )


def main() -> int:
    """Measure, print, judge."""
    parser = argparse.ArgumentParser(description="How long commands take to start.")
    parser.add_argument("--check", action="store_true", help="exit 1 when a budget is not kept")
    parser.add_argument("--runs", type=int, default=15, help="runs of each command (default: %(default)s)")
    parser.add_argument("--only", help="measure this command alone, e.g. 'etf --help'")
    options = parser.parse_args()
    budgets = {name: budget for name, budget in BUDGETS.items() if options.only in (None, name)}
    with tempfile.TemporaryDirectory() as folder:
        if any(name != "etf --help" for name in budgets):
            prepare(folder)
        commands = {name: BASES[name] for name, _ in budgets.values()}
        commands |= {name: [ETF, *name.split()[1:]] for name in budgets}
        medians = measure(commands, options.runs, folder)
    kept = True
    for name, (base, most) in budgets.items():
        ratio = medians[name] / medians[base]
        kept &= ratio <= most
        verdict = "" if ratio <= most else "   over budget"
        against = f"{ratio:4.2f} x {base} ({medians[base]:.0f} ms), at most {most}"
        print(f"{name:<18} {medians[name]:6.0f} ms   {against}{verdict}")
    return 0 if kept or not options.check else 1


if __name__ == "__main__":
    sys.exit(main())
