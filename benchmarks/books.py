"""Measure the local order book: updates a second beside a dict that is searched with min() and max(), and reading.

    python benchmarks/books.py [--recording FILE] [--check]

Both keep exact decimals and are told the same events, made from a seed or, with
--recording, the recorded ones of the busiest symbol of a file; after each event the
best prices are looked at. With --check it fails where the book is not at least
twice as fast as the dict, or an update takes longer than 5 microseconds.
"""

import argparse
import gzip
import json
import random
import sys
import time
from collections import Counter
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from etf_trader.market.book import Level
from etf_trader.venue.binance.depth import DepthEvent, DepthSnapshot, levels_of
from etf_trader.venue.binance.local_book import LocalBook, Outcome

AT = datetime(2026, 1, 1, tzinfo=UTC)
LEVELS = 1000
EVENTS = 4000
RUNS = 5
FASTER, MICROSECONDS = 2, 5


class NaiveBook:
    """A dict a side; the best price is looked for."""

    def __init__(self, snapshot: DepthSnapshot) -> None:
        self.bids = dict(snapshot.bids)
        self.asks = dict(snapshot.asks)

    def apply(self, event: DepthEvent) -> None:
        """Set what the event names."""
        for book, changes in ((self.bids, event.bids), (self.asks, event.asks)):
            for price, quantity in changes:
                if (amount := Decimal(quantity)) > 0:
                    book[Decimal(price)] = amount
                else:
                    book.pop(Decimal(price), None)

    def touch(self) -> tuple[Decimal, Decimal]:
        """Return the best prices."""
        return max(self.bids), min(self.asks)

    def read(self, depth: int) -> tuple[tuple[Level, ...], tuple[Level, ...]]:
        """Return the best levels of both sides."""
        bids = sorted(self.bids.items(), reverse=True)[:depth]
        asks = sorted(self.asks.items())[:depth]
        return tuple(Level(*each) for each in bids), tuple(Level(*each) for each in asks)


def made() -> tuple[DepthSnapshot, list[DepthEvent]]:
    """Return a book of 1000 levels a side around 98,000 and events that change mostly what is near the mid."""
    draw = random.Random(1)
    tick = Decimal("0.01")
    mid = 9_800_000
    bids = [(f"{(mid - 1 - 3 * i) * tick:.8f}", f"{draw.random() + 0.001:.8f}") for i in range(LEVELS)]
    asks = [(f"{(mid + 3 * i) * tick:.8f}", f"{draw.random() + 0.001:.8f}") for i in range(LEVELS)]
    events = []
    for number in range(EVENTS):
        sides = []
        for sign in (-1, 1):
            changes = []
            for _ in range(10):
                price = (mid + sign * (1 + int(draw.expovariate(1 / 400)))) * tick
                gone = draw.random() < 0.45
                changes.append((f"{price:.8f}", "0.00000000" if gone else f"{draw.random() + 0.001:.8f}"))
            sides.append(changes)
        events.append(DepthEvent("BTCUSDT", number + 2, number + 2, *sides))
    return DepthSnapshot("BTCUSDT", LEVELS, 1, levels_of(bids), levels_of(asks), AT), events


def recorded(path: Path) -> tuple[DepthSnapshot, list[DepthEvent]]:
    """Return the first snapshot and the events after it of the symbol with the most events."""
    snapshots: dict[str, dict[str, Any]] = {}
    events: list[dict[str, Any]] = []
    with gzip.open(path, "rt") as lines:
        for line in lines:
            message = json.loads(line[line.index("{") :])
            message = message.get("ws", message)
            data = message.get("data", message)
            if data.get("e") == "depthUpdate":
                events.append(data)
            elif "lastUpdateId" in data:
                snapshots.setdefault(message.get("symbol", ""), data)
    symbol = Counter(data["s"] for data in events).most_common(1)[0][0]
    first = snapshots.get(symbol) or snapshots[""]
    limit = max(len(first["bids"]), len(first["asks"]))
    bids, asks = levels_of(first["bids"]), levels_of(first["asks"])
    own = [data for data in events if data["s"] == symbol and data["u"] > first["lastUpdateId"]]
    chosen = [DepthEvent(symbol, data["U"], data["u"], data["b"], data["a"]) for data in own]
    return DepthSnapshot(symbol, limit, first["lastUpdateId"], bids, asks, AT), chosen


def best_of(work: Any) -> float:
    """Return the shortest time of several runs, in seconds."""
    times = []
    for _ in range(RUNS):
        target = work[0]()
        began = time.perf_counter()
        work[1](target)
        times.append(time.perf_counter() - began)
    return min(times)


def local(snapshot: DepthSnapshot) -> LocalBook:
    """Return a book that knows the snapshot."""
    book = LocalBook(snapshot.symbol)
    book.begin(snapshot, ())
    return book


def main() -> int:
    """Print the table; return 1 where a budget is broken and --check was given."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--recording", type=Path, help="a recorded file to take the events from")
    parser.add_argument("--check", action="store_true", help="fail beyond the budget")
    options = parser.parse_args()
    snapshot, events = recorded(options.recording) if options.recording else made()
    updates = sum(len(event.bids) + len(event.asks) for event in events)

    def follow(book: LocalBook) -> None:
        for event in events:
            assert book.apply(event) is Outcome.APPLIED
            book.bids.touch()
            book.asks.touch()

    def search(book: NaiveBook) -> None:
        for event in events:
            book.apply(event)
            book.touch()

    def convert(_: None) -> None:
        for event in events:
            levels_of(event.bids)
            levels_of(event.asks)

    ours = best_of((lambda: local(snapshot), follow))
    naive = best_of((lambda: NaiveBook(snapshot), search))
    numbers = best_of((lambda: None, convert))
    book, plain = local(snapshot), NaiveBook(snapshot)
    follow(book)
    search(plain)
    deep = len(snapshot.bids)
    assert book.book(10, AT).bids == plain.read(10)[0]
    print(f"{len(events):,} events, {updates:,} levels changed, a window of {deep:,} levels ({snapshot.symbol})")
    print(f"{'':36} {'us/update':>10} {'updates/s':>12} {'events/s':>10}")
    for name, seconds in (
        ("local book, best prices each event", ours),
        ("dict, min() and max() each event", naive),
        ("of both: text to exact decimals", numbers),
    ):
        print(
            f"{name:36} {seconds / updates * 1e6:10.2f} {updates / seconds:12,.0f} {len(events) / seconds:10,.0f}"
        )
    print(f"{'':36} {'us/read':>10}")
    for depth in (10, 100, 1000):
        fast = best_of((lambda: None, lambda _, depth=depth: [book.book(depth, AT) for _ in range(100)])) / 100
        slow = best_of((lambda: None, lambda _, depth=depth: [plain.read(depth) for _ in range(10)])) / 10
        print(f"{f'read {depth:,} levels: local, dict':36} {fast * 1e6:10.1f} {slow * 1e6:12.1f}")
    broken = naive / ours < FASTER or ours / updates * 1e6 > MICROSECONDS
    if broken and options.check:
        print(f"slower than {MICROSECONDS} us an update, or not {FASTER} x the dict", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
