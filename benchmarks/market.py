"""Measure what the paper exchange's markets cost a fresh process: import, load, and the first books.

    python benchmarks/market.py [--recordings FOLDER] [--check]

Each figure is the median of several processes. With --check it fails where the
model's 20 books take longer than their budget.
"""

import argparse
import json
import statistics
import subprocess
import sys
from pathlib import Path

RUNS = 7
BUDGET_MILLISECONDS = 60

PROGRAM = """
import json, sys, time
began = time.perf_counter()
from datetime import timedelta
from etf_trader.exchange.markets import market_from
kind, parameters, count, seconds = json.loads(sys.argv[1])
import importlib
importlib.import_module("etf_trader.exchange." + kind)
imported = time.perf_counter()
market = market_from(kind, parameters)
rows = market.symbols()
made = time.perf_counter()
symbols = [row["symbol"] for row in rows if row["quoteAsset"] == "USDT"][:count]
levels = 0
for symbol in symbols:
    book = market.book(symbol, market.start + timedelta(seconds=seconds))
    levels += len(book.bids) + len(book.asks)
read = time.perf_counter()
print(json.dumps([(imported - began) * 1e3, (made - imported) * 1e3, (read - made) * 1e3, len(symbols), levels]))
"""


def measure(kind: str, parameters: dict[str, object], count: int, seconds: int) -> list[float]:
    """Return the medians of import, making and reading in milliseconds, the number of books and of levels."""
    argument = json.dumps([kind, parameters, count, seconds])
    command = [sys.executable, "-c", PROGRAM, argument]
    runs = [
        json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout) for _ in range(RUNS)
    ]
    return [statistics.median(column) for column in zip(*runs, strict=True)]


def main() -> int:
    """Print the table; return 1 where a budget is broken and --check was given."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--recordings", type=Path, help="a folder of recordings to measure too")
    parser.add_argument("--check", action="store_true", help="fail beyond the budget")
    options = parser.parse_args()
    cases: list[tuple[str, str, dict[str, object], int, int]] = [
        ("model, 8 books", "model", {"seed": 1}, 8, 4_000_000),
        ("model, 20 books", "model", {"seed": 1}, 20, 4_000_000),
    ]
    if options.recordings:
        source: dict[str, object] = {"recordings": str(options.recordings)}
        cases += [
            ("recording, at its start", "recording", source, 20, 0),
            ("after 60 s", "recording", source, 20, 60),
        ]
    print(f"{'':24} {'import':>8} {'make':>8} {'read':>8}   ms    books  levels")
    broken = False
    for name, kind, parameters, count, seconds in cases:
        imported, made, read, books, levels = measure(kind, parameters, count, seconds)
        print(f"{name:24} {imported:8.1f} {made:8.1f} {read:8.1f}      {books:8.0f} {levels:7.0f}")
        broken |= kind == "model" and made + read > BUDGET_MILLISECONDS
    if broken and options.check:
        print(f"the model's books take longer than {BUDGET_MILLISECONDS} ms", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
