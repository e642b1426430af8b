"""The one place that reads the time; everything else is given a `Clock` or a `now`."""

from datetime import UTC, datetime, timedelta
from typing import Protocol


class Clock(Protocol):
    """Tells the time and lets it pass."""

    def now(self) -> datetime:
        """Return the current time, aware, UTC."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Return after `seconds` of this clock's time."""
        ...


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        """Return the current time, aware, UTC."""
        return datetime.now(UTC)

    async def sleep(self, seconds: float) -> None:
        """Return after `seconds` of real time."""
        import asyncio  # 20 ms that a command which only reads need not pay

        await asyncio.sleep(seconds)


class SimulatedClock:
    """A clock that stands still until it is moved."""

    def __init__(self, start: datetime) -> None:
        self._now = start

    def now(self) -> datetime:
        """Return the time it was last moved to."""
        return self._now

    async def sleep(self, seconds: float) -> None:
        """Move on by `seconds` at once."""
        self.advance(timedelta(seconds=seconds))

    def advance(self, step: timedelta) -> None:
        """Move on by `step`."""
        self._now += step
