"""How long an order takes to the venue, and so how close to the edge of a window one may be sent."""

import asyncio
from collections import deque
from datetime import datetime, timedelta

from etf_trader.clock import Clock
from etf_trader.execution.budget import MOST_GUARD

REMEMBERED = 200

LONGEST = timedelta(minutes=1)
"""No request takes longer; where a clock says so, it was moved."""


class Stopwatch:
    """How long ago it was made; it does not mind when the clock is set."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._began = clock.now()
        self._loop_began = asyncio.get_running_loop().time()

    def elapsed(self) -> timedelta:
        """Return the time since by its clock, or by the machine's own counter where that clock was set meanwhile.

        A stepped clock stands still while a request is under way: there no time passes, and a run repeats itself.
        """
        told = self._clock.now() - self._began
        if timedelta(0) <= told <= LONGEST:
            return told
        return timedelta(seconds=asyncio.get_running_loop().time() - self._loop_began)

    def since(self, moment: datetime) -> datetime:
        """Return what the clock that told `moment` when this was made says now."""
        return moment + self.elapsed()


class VenueTime:
    """The venue's time, reckoned from what it told last: for when it cannot be asked."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._told: tuple[datetime, Stopwatch] | None = None

    def note(self, now: datetime) -> None:
        """Take note of what the venue tells."""
        self._told = now, Stopwatch(self._clock)

    def now(self) -> datetime:
        """Return its time; ours before it has told any."""
        if self._told is None:
            return self._clock.now()
        told, watch = self._told
        return watch.since(told)


class Latency:
    """The times of the last orders from their grant to their answer."""

    def __init__(self) -> None:
        self._seconds: deque[float] = deque(maxlen=REMEMBERED)

    def note(self, time: timedelta) -> None:
        """Take note of one; what a clock step made negative counts as nothing."""
        self._seconds.append(max(time.total_seconds(), 0.0))

    def guard(self, clock_error: timedelta) -> timedelta:
        """Return how much of a window's edges is left alone: the error of the clock and the 99th percentile.

        Never more than a tenth of a second: beyond that the venue's own count corrects what slips over.
        """
        if not self._seconds:
            return min(clock_error, MOST_GUARD)
        ranked = sorted(self._seconds)
        slowest = ranked[min(len(ranked) - 1, len(ranked) * 99 // 100)]
        return min(clock_error + timedelta(seconds=slowest), MOST_GUARD)
