"""What happens to accounts, told to who listens: looked up after each change, and a few times a second."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field

from etf_trader.errors import EtfError
from etf_trader.exchange.paper import PaperExchange
from etf_trader.exchange.server.parameters import microseconds, milliseconds
from etf_trader.exchange.server.user_events import AccountNews, Event

EVERY = 0.1
"""Seconds between two looks when nothing was asked of this server: resting orders fill, other processes trade."""

Listener = Callable[[list[Event]], None]


@dataclass(slots=True)
class Followed:
    """An account that somebody listens to, in one unit of time."""

    news: AccountNews
    listeners: dict[object, Listener] = field(default_factory=dict)


class Feed:
    """Tells listeners what happens to their accounts, each thing once and in order."""

    def __init__(self, exchange: PaperExchange) -> None:
        self._exchange = exchange
        self._followed: dict[tuple[str, bool], Followed] = {}
        self._woken = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def subscribe(self, account: str, listener: Listener, *, in_microseconds: bool = False) -> Callable[[], None]:
        """Tell `listener` what happens to `account` from now on, until the returned function is called."""
        name = account, in_microseconds
        if name in self._followed:
            self._tell(self._followed[name])  # what happened before belongs to those who listened then
        else:
            unit = microseconds if in_microseconds else milliseconds
            self._followed[name] = Followed(AccountNews(self._exchange, account, unit))
        key = object()
        self._followed[name].listeners[key] = listener

        def stop() -> None:
            followed = self._followed.get(name)
            if followed is not None:
                followed.listeners.pop(key, None)
                if not followed.listeners:
                    del self._followed[name]

        return stop

    def wake(self) -> None:
        """Look at once: something was changed."""
        self._woken.set()

    def look(self) -> None:
        """Look now, and tell what is new."""
        for followed in list(self._followed.values()):
            with suppress(EtfError):  # a database that is busy or full is asked again
                self._tell(followed)

    async def start(self) -> None:
        """Begin to look."""
        self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """Look no more."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task

    async def _run(self) -> None:
        while True:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._woken.wait(), EVERY)
            self._woken.clear()
            self.look()

    def _tell(self, followed: Followed) -> None:
        if events := followed.news.events():
            for listener in list(followed.listeners.values()):
                listener(events)
