"""How long an order takes to the venue, and so how close to the edge of a window one may be sent."""

from collections import deque
from datetime import timedelta

from etf_trader.execution.budget import MOST_GUARD

REMEMBERED = 200


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
