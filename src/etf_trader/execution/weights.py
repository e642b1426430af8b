"""The weight of requests that a host may put on the venue, shared by all its processes.

The venue counts weight by IP in windows fixed on its clock. What looks at the
market leaves a reserve, so that cancels and questions about orders in flight
are never kept waiting by it.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, insert, select, update

from etf_trader.clock import Clock
from etf_trader.database import Database
from etf_trader.execution.budget import window_start
from etf_trader.execution.pauses import paused_until
from etf_trader.execution.tables import weight_uses

RESERVE = 10
"""One part in so many of a window is kept for cancels and look-ups."""

SHORTEST_WAIT = 0.001


USUAL_SECONDS, USUAL_LIMIT = 60, 6000
"""What holds until the venue has told its limit."""


@dataclass(frozen=True, slots=True)
class WeightLimit:
    """At most `limit` of weight in each window of `seconds`."""

    seconds: int
    limit: int

    def room(self, used: int, *, urgent: bool) -> int:
        """Return how much weight is left; only what is urgent may use the reserve."""
        reserve = 0 if urgent else self.limit // RESERVE
        return self.limit - reserve - used


class Weights:
    """Takes weight for the requests of one host, and waits where there is none left."""

    def __init__(self, database: Database, clock: Clock, host: str, limit: WeightLimit) -> None:
        self._database = database
        self._clock = clock
        self._host = host
        self._limit = limit

    async def take(self, weight: int, *, urgent: bool) -> None:
        """Take the weight of a request that is about to be sent, once there is room for it.

        Raises:
            ValueError: no window has so much room.
        """
        if weight > self._limit.room(0, urgent=urgent):
            raise ValueError(f"a request of weight {weight} never fits in {self._limit.limit}")
        while (until := self._try(weight, self._clock.now(), urgent=urgent)) is not None:
            await self._clock.sleep(max((until - self._clock.now()).total_seconds(), SHORTEST_WAIT))

    def limited(self, seconds: int, limit: int) -> None:
        """Take note of the venue's limit."""
        self._limit = WeightLimit(seconds, limit)

    def told(self, used: int, at: datetime) -> None:
        """Take note of what the venue says was used in the window of its time `at`.

        It knows of everybody at this address; what we took since it answered may not be in it, so
        within a window the larger number stands.
        """
        with self._database.write() as connection:
            known = self._used(connection, at)
            if used > known:
                self._write(connection, at, used)

    def _try(self, weight: int, now: datetime, *, urgent: bool) -> datetime | None:
        """Take the weight and return None, or return when there may be room."""
        with self._database.write() as connection:
            until = paused_until(connection, None, self._host, now)
            if until is not None:
                return until
            used = self._used(connection, now)
            if weight > self._limit.room(used, urgent=urgent):
                return window_start(now, self._limit.seconds) + timedelta(seconds=self._limit.seconds)
            self._write(connection, now, used + weight)
            return None

    def _used(self, connection: Connection, now: datetime) -> int:
        row = connection.execute(
            select(weight_uses).where(
                weight_uses.c.host == self._host, weight_uses.c.seconds == self._limit.seconds
            )
        ).one_or_none()
        return row.used if row is not None and row.window_start == window_start(now, self._limit.seconds) else 0

    def _write(self, connection: Connection, now: datetime, used: int) -> None:
        mine = (weight_uses.c.host == self._host, weight_uses.c.seconds == self._limit.seconds)
        values = {"window_start": window_start(now, self._limit.seconds), "used": used}
        if not connection.execute(update(weight_uses).where(*mine).values(**values)).rowcount:
            connection.execute(insert(weight_uses), {"host": self._host, "seconds": self._limit.seconds, **values})
