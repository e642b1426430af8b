"""Three limiters under the venue's own windows: ours, pyrate-limiter, and hummingbot's style of throttle.

Each grants as fast as it can in processes of its own; a grant arrives a seeded 0 to
50 ms later. What arrives is counted in the windows that the venue counts, fixed on
its clock. Nobody is told the venue's counts here: it is the limiters alone.

hummingbot's throttle (`core/api_throttler`, Apache 2.0) is written anew from its
description: a log of tasks in the process, of which those younger than the interval
and a margin of 5% count, and a look every 0.1 s. pyrate-limiter takes part when it
is installed: in memory for one process, its SQLite bucket with a file lock for several.
"""

import random
import time
from collections import deque
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from importlib.util import find_spec

from etf_trader.database import Database
from etf_trader.execution.budget import MOST_GUARD, budget, grant, note_answer
from etf_trader.venue.interface import OrderLimit

LIMIT, SECONDS = 100, 10
MOST_LATENCY = 0.05
SAFETY_MARGIN = 0.05
RETRY_SECONDS = 0.1
IDLE_SECONDS = 0.005

Grants = Iterator[Callable[[float], None] | None]
"""Yields, for each grant, what to call with the time of its arrival; None while there is none."""


def ours(url: str, account_id: int, asset_orders: list[int]) -> Grants:
    """Grant by the rows of a database that all processes share."""
    database, limits, guard = Database(url), [OrderLimit(SECONDS, LIMIT)], timedelta(seconds=MOST_LATENCY)

    def arrived(number: int, at: float) -> None:
        with database.write() as connection:
            note_answer(connection, number, datetime.fromtimestamp(at, UTC), None)

    waiting = deque(asset_orders)
    while waiting:
        with database.write() as connection:
            now = datetime.now(UTC)
            slots = budget(connection, account_id, limits, now, min(guard, MOST_GUARD))
            granted = [waiting.popleft() for _ in range(min(slots.free, 10, len(waiting)))]
            if granted:
                grant(connection, account_id, granted, now)
        for number in granted:
            yield lambda at, number=number: arrived(number, at)  # type: ignore[misc]
        if not granted:
            yield None


def hummingbots() -> Grants:
    """Grant by a log of this process alone."""
    log: deque[float] = deque()
    while True:
        now = time.time()
        while log and now - log[0] > SECONDS * (1 + SAFETY_MARGIN):
            log.popleft()
        if len(log) < LIMIT:
            log.append(now)
            yield lambda _: None
        else:
            time.sleep(RETRY_SECONDS)
            yield None


def pyrates(shared: str | None) -> Grants:
    """Grant by pyrate-limiter: with its SQLite bucket where several processes share, else in memory."""
    from pyrate_limiter import Duration, InMemoryBucket, Rate, RateItem, SQLiteBucket

    rates = [Rate(LIMIT, Duration.SECOND * SECONDS)]
    bucket = (
        InMemoryBucket(rates)
        if shared is None
        else SQLiteBucket.init_from_file(rates, db_path=shared, use_file_lock=True)
    )
    # The bucket by itself: version 4.5's limiter hands the lock a value that newer file locks refuse.
    while True:
        now = time.time_ns() // 1_000_000
        bucket.leak(now)
        if bucket.put(RateItem("orders", now)):
            yield lambda _: None
        else:
            yield None


def is_there() -> bool:
    """Return whether pyrate-limiter is installed, and what its bucket for several processes needs."""
    return find_spec("pyrate_limiter") is not None and find_spec("filelock") is not None


def arrivals(grants: Grants, until: float, seed: int) -> list[float]:
    """Take grants until `until` (epoch seconds) and return when each arrives at the venue."""
    chance = random.Random(seed)
    under_way: list[tuple[float, Callable[[float], None]]] = []
    found: list[float] = []
    for arrived in grants:
        now = time.time()
        if now >= until:
            break
        if arrived is not None:
            under_way.append((now + chance.uniform(0, MOST_LATENCY), arrived))
        for at, tell in [each for each in under_way if each[0] <= now]:
            tell(at)
            found.append(at)
        under_way = [each for each in under_way if each[0] > now]
        if arrived is None:
            time.sleep(IDLE_SECONDS)
    return found + [at for at, _ in under_way]


def judged(times: list[float], first: float, windows: int) -> tuple[int, float]:
    """Return how many grants were over the limit of their window, and the least share of a whole window used.

    Args:
        times: Arrivals of all processes, epoch seconds.
        first: The start of the first window that was there from its beginning to its end.
        windows: How many of those there were.
    """
    counts: dict[int, int] = {}
    for at in times:
        counts[int(at // SECONDS)] = counts.get(int(at // SECONDS), 0) + 1
    over = sum(max(0, count - LIMIT) for count in counts.values())
    whole = [min(counts.get(int(first // SECONDS) + place, 0), LIMIT) for place in range(windows)]
    return over, sum(whole) / (LIMIT * windows)
