"""The venue's time, as we reckon it between two questions, and how far it may be off."""

import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from etf_trader.clock import Clock, SystemClock
from etf_trader.errors import EtfError

GOOD_FOR = 60.0
"""Seconds after which the venue is asked again."""

DRIFT = 1e-4
"""How much faster or slower than another a machine's counter runs at most."""

JUMP = 0.25
"""Seconds by which clock and counter of this machine part where one was set, or the machine slept."""

RESOLUTION = 0.001
"""Seconds: the venue tells whole milliseconds."""

SAMPLES = 3
"""So often the time is asked for when it is not known; the quickest answer is the surest."""

LOOK_EVERY = 0.2
"""Seconds of real time after which a stepped server is asked anew."""

BATCH_SECONDS = 1.0
"""How far a stepped server moves on after each batch."""

Counter = Callable[[], float]


@dataclass(frozen=True, slots=True)
class Measured:
    """The venue said `server` while this machine's counter stood at `counted`, give or take `error` seconds."""

    server: datetime
    counted: float
    wall: datetime
    error: float


class Timekeeping(Protocol):
    """What knows the venue's time; it is a `Clock` too, for everything that is dated."""

    def now(self) -> datetime:
        """Return the venue's time as far as it is known."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Return after `seconds` of the venue's time."""
        ...

    def seconds(self) -> float:
        """Return a count of the seconds by which the venue's waits end; it only grows."""
        ...

    def sent(self) -> float:
        """Return a mark for `note`: a question about the time leaves now."""
        ...

    def note(self, server: datetime, sent: float) -> None:
        """Take note of the venue's answer to a question that left at `sent`."""
        ...

    def doubt(self) -> None:
        """Believe nothing any more: the venue said that our time is wrong."""
        ...

    async def batch_done(self) -> None:
        """Let the time of a batch pass, where it does not pass by itself."""
        ...

    @property
    def is_known(self) -> bool:
        """Whether the venue need not be asked again yet."""
        ...

    @property
    def samples(self) -> int:
        """How often the venue is asked in a row."""
        ...

    @property
    def error(self) -> timedelta:
        """How far `now` may be from the venue's clock."""
        ...


class MeasuredTime:
    """Reckons with this machine's counter, which nobody sets, from what the venue told last."""

    def __init__(self, wall: Clock | None = None, counter: Counter = time.monotonic) -> None:
        self._wall = wall or SystemClock()
        self._counter = counter
        self._measured: Measured | None = None

    def now(self) -> datetime:
        """Return the venue's time; before it has told any, this machine's."""
        if self._measured is None:
            return self._wall.now()
        return self._measured.server + timedelta(seconds=self._counter() - self._measured.counted)

    async def sleep(self, seconds: float) -> None:
        """Return after `seconds` of real time."""
        await self._wall.sleep(seconds)

    def seconds(self) -> float:
        """Return where the counter stands."""
        return self._counter()

    def sent(self) -> float:
        """Return where the counter stands."""
        return self._counter()

    def note(self, server: datetime, sent: float) -> None:
        """Take the venue's answer, unless a better one is still good: the shorter the way, the surer the time."""
        received = self._counter()
        found = Measured(
            server,
            (sent + received) / 2,
            self._wall.now() - timedelta(seconds=(received - sent) / 2),
            (received - sent) / 2 + RESOLUTION,
        )
        if not self.is_known or found.error <= self._error():
            self._measured = found

    def doubt(self) -> None:
        """Forget what the venue told, but reckon with it until it tells anew."""
        if self._measured is not None:
            old = self._measured
            self._measured = Measured(old.server, old.counted, old.wall, error=float("inf"))

    @property
    def is_known(self) -> bool:
        """Whether the venue told the time within a minute, and this machine's clocks agree since then."""
        known = self._measured
        if known is None or known.error == float("inf"):
            return False
        passed = self._counter() - known.counted
        by_wall = (self._wall.now() - known.wall).total_seconds()
        return passed <= GOOD_FOR and abs(by_wall - passed) <= JUMP

    async def batch_done(self) -> None:
        """Nothing is to be done: time passes by itself."""

    @property
    def samples(self) -> int:
        """How often the venue is asked in a row: a few times where nothing is known."""
        return 1 if self.is_known else SAMPLES

    @property
    def offset(self) -> timedelta:
        """How far the venue's clock is ahead of this machine's."""
        return self.now() - self._wall.now()

    @property
    def error(self) -> timedelta:
        """How far `now` may be from the venue's clock; a second where it is not known."""
        return timedelta(seconds=min(self._error(), 1.0))

    def _error(self) -> float:
        if self._measured is None:
            return float("inf")
        return self._measured.error + DRIFT * max(self._counter() - self._measured.counted, 0.0)


class SteppedTime:
    """The time of a local server whose clock only moves by steps: it is asked each time, and never reckoned.

    `move` tells that server to go on by some seconds, and may return its time then; `ask` returns its
    time, and raises what is wrong with it.
    """

    def __init__(
        self,
        move: Callable[[float], datetime | Awaitable[datetime] | None],
        ask: Callable[[], datetime] | None = None,
        counter: Counter = time.monotonic,
    ) -> None:
        self._told: datetime | None = None
        self._heard = float("-inf")
        self._wall = SystemClock()
        self._counter = counter
        self._move = move
        self._ask = ask
        self._moved: Callable[[], Awaitable[None]] | None = None

    def call_when_moved(self, moved: Callable[[], Awaitable[None]]) -> None:
        """Have `moved` called after each move of ours, before it counts as done."""
        self._moved = moved

    def now(self) -> datetime:
        """Return what the server told last: others move its clock too, so it is asked a few times a second."""
        if self._ask is not None and self._counter() - self._heard > LOOK_EVERY:
            self._look(self._ask)
        return self._wall.now() if self._told is None else self._told

    def _look(self, ask: Callable[[], datetime]) -> None:
        try:
            self._hear(ask())
        except EtfError:
            if self._told is None:
                raise
            self._heard = self._counter()  # it stands as far as we know, and who sends something finds out

    async def sleep(self, seconds: float) -> None:
        """Have the server move on by `seconds`."""
        before, moved = self._told, self._move(seconds)
        at = await moved if isinstance(moved, Awaitable) else moved
        if at is None and before is not None:
            at = before + timedelta(seconds=seconds)
        if at is not None:
            self._hear(at)
        if self._moved is not None:
            await self._moved()

    async def batch_done(self) -> None:
        """Have the server move on by a second, so that the next batch finds other books."""
        await self.sleep(BATCH_SECONDS)

    def seconds(self) -> float:
        """Return the server's time as seconds: its windows end when somebody moves it, and not before."""
        return self.now().timestamp()

    def sent(self) -> float:
        """Return nothing of use: no time passes under way."""
        return 0.0

    def note(self, server: datetime, sent: float) -> None:
        """Take note of the server's time, once it is known that it moves by steps."""
        if self._told is None:
            self.now()
        self._hear(server)

    def doubt(self) -> None:
        """Nothing was taken for granted."""

    @property
    def is_known(self) -> bool:
        """It is asked each time."""
        return False

    @property
    def samples(self) -> int:
        """What the server tells is exact."""
        return 1

    @property
    def error(self) -> timedelta:
        """None: what the server tells is exact."""
        return timedelta(0)

    def _hear(self, server: datetime) -> None:
        """Believe the latest: an answer may arrive after a move that came after it."""
        self._told = server if self._told is None else max(self._told, server)
        self._heard = self._counter()
