"""One subscription to what happens to an account, with the faults of a stream."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from etf_trader.exchange.server.faults import Fault, Faults
from etf_trader.exchange.server.feed import Feed
from etf_trader.exchange.server.user_events import Event


class Subscription:
    """Sends the events of one account over one connection, in order, until it is stopped."""

    def __init__(
        self,
        feed: Feed,
        faults: Faults,
        account: str,
        send: Callable[[Event], Awaitable[None]],
        cut: Callable[[], None],
        *,
        in_microseconds: bool = False,
    ) -> None:
        """`send` sends one event; `cut` ends the connection."""
        self.account = account
        self._faults = faults
        self._send = send
        self._cut = cut
        self._queue: asyncio.Queue[Event] = asyncio.Queue()
        self._held: Event | None = None
        self._is_silent = False
        self._stalled = 0.0
        self._late: set[asyncio.TimerHandle] = set()
        self._unsubscribe = feed.subscribe(account, self._heard, in_microseconds=in_microseconds)
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to send: what happened since it was made comes first."""
        if self._task is None:
            self._task = asyncio.create_task(self._run())

    def stop(self) -> None:
        """Send nothing more."""
        self._unsubscribe()
        if self._task is not None:
            self._task.cancel()
        for timer in self._late:
            timer.cancel()

    async def sent(self) -> None:
        """Return once everything that is due was sent."""
        await self._queue.join()

    async def _run(self) -> None:
        while True:
            event = await self._queue.get()
            if self._stalled:
                await asyncio.sleep(self._stalled)
                self._stalled = 0.0
            await self._send(event)
            self._queue.task_done()

    def _heard(self, events: list[Event]) -> None:
        for event in events:
            self._take(event)

    def _take(self, event: Event) -> None:
        """Pass an event on, or let it suffer what the dice say."""
        if self._is_silent:
            return
        fault = self._faults.of_event()
        if fault is Fault.STREAM_CUT:
            self._cut()
        elif fault is Fault.STREAM_SILENT:
            self._is_silent = True
        elif fault is Fault.REPORT_LATE:
            self._delay(event)
        elif fault is Fault.REPORT_REORDERED and self._held is None:
            self._held = event
        elif fault is not Fault.REPORT_LOST:
            if fault is Fault.STREAM_STALLED:
                self._stalled = self._faults.seconds(self._faults.plan.latest)
            self._pass(event)
            if fault is Fault.REPORT_TWICE:
                self._pass(event)

    def _pass(self, event: Event) -> None:
        self._queue.put_nowait(event)
        if self._held is not None:
            self._queue.put_nowait(self._held)
            self._held = None

    def _delay(self, event: Event) -> None:
        seconds = self._faults.seconds(self._faults.plan.latest)
        timer: Any = None

        def due() -> None:
            self._late.discard(timer)
            self._queue.put_nowait(event)

        timer = asyncio.get_running_loop().call_later(seconds, due)
        self._late.add(timer)
