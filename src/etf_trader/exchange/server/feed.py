"""What happens to accounts, told to who listens: looked up after each change, and a few times a second."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Protocol

from etf_trader.errors import EtfError
from etf_trader.exchange.paper import PaperExchange

EVERY = 0.1
"""Seconds between two looks when nothing was asked of this server: resting orders fill, other processes trade."""

Event = dict[str, Any]
Listener = Callable[[list[Event]], None]


class News(Protocol):
    """What happened to one account since it was last asked."""

    def events(self) -> list[Event]:
        """Return it, in order, in Binance's shapes with times in microseconds."""
        ...


class Silence:
    """The news of an exchange that tells none."""

    def __init__(self, exchange: PaperExchange, account: str) -> None:
        pass

    def events(self) -> list[Event]:
        """Return nothing."""
        return []


@dataclass(slots=True)
class Followed:
    """An account that somebody listens to."""

    news: News
    listeners: dict[object, Listener] = field(default_factory=dict)


class Feed:
    """Tells listeners what happens to their accounts, each thing once and in order."""

    def __init__(self, exchange: PaperExchange, news_of: Callable[[PaperExchange, str], News] = Silence) -> None:
        self._exchange = exchange
        self._news_of = news_of
        self._followed: dict[str, Followed] = {}
        self._woken = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def subscribe(self, account: str, listener: Listener) -> Callable[[], None]:
        """Tell `listener` what happens to `account` from now on, until the returned function is called."""
        if account in self._followed:
            self._tell(account)  # what happened before belongs to those who listened then
        else:
            self._followed[account] = Followed(self._news_of(self._exchange, account))
        key = object()
        self._followed[account].listeners[key] = listener

        def stop() -> None:
            followed = self._followed.get(account)
            if followed is not None:
                followed.listeners.pop(key, None)
                if not followed.listeners:
                    del self._followed[account]

        return stop

    def wake(self) -> None:
        """Look at once: something was changed."""
        self._woken.set()

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
            for account in list(self._followed):
                with suppress(EtfError):  # a database that is busy or full is asked again
                    self._tell(account)

    def _tell(self, account: str) -> None:
        followed = self._followed[account]
        if events := followed.news.events():
            for listener in list(followed.listeners.values()):
                listener(events)
