"""An event loop in which waiting takes no time: real sockets and files, the time of its own.

Whenever nothing is left to do, the loop's time jumps to the next timer. Sockets
between two ends in the same loop lose nothing by that: what was written is there
to read before the loop looks again. While a thread works, time stands still.
"""

import asyncio
import selectors
import time
from collections.abc import Callable, Coroutine
from concurrent.futures import Executor
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar, TypeVarTuple
from unittest import mock

Value = TypeVar("Value")
Given = TypeVarTuple("Given")

PATIENCE = 20.0
"""Real seconds without anything to do, and nothing to come: the play hangs."""


class QuickLoop(asyncio.SelectorEventLoop):
    """A loop whose `time` is its own."""

    def __init__(self) -> None:
        self._reached = time.monotonic()
        self._at_work: set[object] = set()
        super().__init__(_Jumping(self))
        self._clock_resolution = 1e-6  # two sums of floats may part in their last digits

    def time(self) -> float:
        """Return the seconds that this loop has reached."""
        return self._reached

    def jump(self, seconds: float) -> None:
        """Let `seconds` pass."""
        self._reached += seconds

    @property
    def is_waiting_for_threads(self) -> bool:
        """Whether something is done outside of the loop."""
        return bool(self._at_work)

    def run_in_executor(
        self, executor: Executor | None, func: Callable[[*Given], Value], *args: *Given
    ) -> asyncio.Future[Value]:
        """Run `func` in a thread; time stands still until its answer is here."""
        future = super().run_in_executor(executor, func, *args)
        self._at_work.add(future)
        future.add_done_callback(self._at_work.discard)
        return future


class _Jumping(selectors.DefaultSelector):
    """Looks at the sockets without waiting, and lets the loop's time jump where there is nothing."""

    def __init__(self, loop: QuickLoop) -> None:
        super().__init__()
        self._loop = loop

    def select(self, timeout: float | None = None) -> Any:
        """Return what is ready now; else the time up to the next timer has passed."""
        ready = super().select(0)
        if ready or (timeout is not None and timeout <= 0):
            return ready
        if self._loop.is_waiting_for_threads or timeout is None:
            ready = super().select(PATIENCE)
            if not ready:
                raise TimeoutError("nothing is to come any more")
            return ready
        self._loop.jump(timeout)
        return []


class LoopClock:
    """The date that a quick loop has reached, if it began at `start`; `ahead` is how wrong it goes."""

    def __init__(self, loop: QuickLoop, start: datetime, ahead: float = 0.0) -> None:
        self._loop = loop
        self._start = start + timedelta(seconds=ahead)
        self._began = loop.time()

    def now(self) -> datetime:
        """Return the current time, aware, UTC."""
        return (self._start + timedelta(seconds=self._loop.time() - self._began)).astimezone(UTC)

    async def sleep(self, seconds: float) -> None:
        """Return after `seconds` of the loop's time."""
        await asyncio.sleep(seconds)


def run(make: Callable[[QuickLoop], Coroutine[Any, Any, Value]]) -> Value:
    """Run what `make` returns to its end in a loop of its own; `time.monotonic` is the loop's meanwhile."""
    with asyncio.Runner(loop_factory=QuickLoop) as runner:
        loop = runner.get_loop()
        assert isinstance(loop, QuickLoop)
        with mock.patch.object(time, "monotonic", loop.time):
            return runner.run(make(loop))
