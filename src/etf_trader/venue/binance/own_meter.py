"""The weight of requests of one process that shares no database with others: counted by the venue's windows."""

from datetime import datetime, timedelta

from etf_trader.clock import Clock

USUAL_SECONDS, USUAL_LIMIT = 60, 6000
RESERVE = 10
"""One part in so many is left to others at this address."""

_EPOCH_SECOND = timedelta(seconds=1)


class OwnMeter:
    """Counts what this process takes, and believes the venue where it counts more."""

    def __init__(self, clock: Clock) -> None:
        """`clock` is the venue's, as far as we know it."""
        self._clock = clock
        self._seconds = USUAL_SECONDS
        self._limit = USUAL_LIMIT
        self._window: datetime | None = None
        self._used = 0

    async def take(self, weight: int, *, urgent: bool) -> None:
        """Return once a request of this weight may be sent.

        Raises:
            ValueError: no window has so much room.
        """
        room = self._limit if urgent else self._limit - self._limit // RESERVE
        if weight > room:
            raise ValueError(f"a request of weight {weight} never fits in {self._limit}")
        while True:
            now = self._clock.now()
            self._turn(now)
            if self._used + weight <= room:
                self._used += weight
                return
            assert self._window is not None
            over = self._window + timedelta(seconds=self._seconds) - now
            await self._clock.sleep(max(over / _EPOCH_SECOND, 0.001))

    def told(self, used: int, at: datetime) -> None:
        """Take note of what the venue says was used in the window of its time `at`."""
        if self._start(at) == self._window:
            self._used = max(self._used, used)

    def limited(self, seconds: int, limit: int) -> None:
        """Take note of the venue's limit."""
        self._seconds, self._limit = seconds, limit

    def _turn(self, now: datetime) -> None:
        start = self._start(now)
        if self._window is None or start > self._window:
            self._window, self._used = start, 0

    def _start(self, at: datetime) -> datetime:
        midnight = at.replace(hour=0, minute=0, second=0, microsecond=0)
        return at - (at - midnight) % timedelta(seconds=self._seconds)
