"""What changes the exchange, in the order it came: new orders that wait together are one transaction.

While the disk takes a transaction (in a thread: nothing of it is the exchange's own
work) requests go on being read, and what they bring is the next one.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial

from etf_trader.exchange.paper import ExchangeError, PaperExchange
from etf_trader.exchange.server.calls import Placing, Reply

MOST = 100
"""How many orders one transaction takes: the loop stands still for as long as they trade."""


def _future() -> "asyncio.Future[Reply]":
    return asyncio.get_running_loop().create_future()


@dataclass(slots=True)
class Waiting:
    """Something that is to be done, and who waits for it."""

    work: Placing | Callable[[], Reply]
    done: "asyncio.Future[Reply]" = field(default_factory=_future)

    def settle(self, made: Callable[[], Reply]) -> None:
        """Tell who waits what became of it."""
        try:
            reply = made()
        except Exception as error:  # noqa: BLE001 - it is raised again where the answer is waited for
            self.fail(error)
        else:
            if not self.done.done():
                self.done.set_result(reply)

    def fail(self, error: BaseException) -> None:
        """Tell who waits that it failed."""
        if not self.done.done():
            self.done.set_exception(error)


class Writer:
    """Does what changes the exchange, one thing after the other."""

    def __init__(self, exchange: PaperExchange) -> None:
        self._exchange = exchange
        self._waiting: deque[Waiting] = deque()
        self._woken = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._is_over = False
        self._disk = ThreadPoolExecutor(1, "disk")

    def start(self) -> None:
        """Begin to work."""
        self._exchange.remember()
        self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """Finish what was begun, and work no more."""
        self._is_over = True
        self._woken.set()
        if self._task is not None:
            await self._task
        self._disk.shutdown()

    async def do(self, work: Placing | Callable[[], Reply]) -> Reply:
        """Do `work` when its turn comes, and return what came of it.

        Raises:
            ExchangeError: it is refused.
        """
        waiting = Waiting(work)
        self._waiting.append(waiting)
        self._woken.set()
        return await waiting.done

    async def _run(self) -> None:
        while self._waiting or not self._is_over:
            if not self._waiting:
                self._woken.clear()
                await self._woken.wait()
            await asyncio.sleep(0)  # what is being read in this moment comes along
            if orders := self._orders():
                await self._place(orders)
            elif not self._waiting:
                continue
            else:
                first = self._waiting.popleft()
                assert not isinstance(first.work, Placing)
                first.settle(first.work)

    def _orders(self) -> list[Waiting]:
        """Take the new orders that stand at the head of the queue."""
        orders: list[Waiting] = []
        while self._waiting and isinstance(self._waiting[0].work, Placing) and len(orders) < MOST:
            orders.append(self._waiting.popleft())
        return orders

    async def _place(self, orders: Sequence[Waiting]) -> None:
        """Place orders in one transaction; who waits is told once it stands."""
        placings = [(each, each.work) for each in orders if isinstance(each.work, Placing)]
        try:
            views, commit = self._exchange.begin_all([(work.account, work.request) for _, work in placings])
            await asyncio.get_running_loop().run_in_executor(self._disk, commit)
        except Exception as error:  # noqa: BLE001 - as above
            for each in orders:
                each.fail(error)
            return
        for (each, work), view in zip(placings, views, strict=True):
            if isinstance(view, ExchangeError):
                each.fail(view)
            else:
                each.settle(partial(work.told, view))
