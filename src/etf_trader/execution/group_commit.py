"""Many small changes in one transaction: a commit waits for the disk, and ten answers need not wait ten times."""

import asyncio
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from sqlalchemy import Connection

from etf_trader.database import Database

MOST_TOGETHER = 4
"""More in one transaction would keep the event loop from everything else for too long."""

Work = Callable[[Connection], None]


class GroupCommit:
    """Does what tasks of one event loop want written, in the order in which they came, several at a time."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._waiting: deque[tuple[Work, asyncio.Future[None]]] = deque()
        self._task: asyncio.Task[None] | None = None
        self._holds = 0

    async def do(self, work: Work) -> None:
        """Return when `work` has been done and committed; raise what it raised, and then nothing of it stands.

        It may be done twice, the first time in vain: another's failure takes down
        the transaction that they share.
        """
        done = asyncio.get_running_loop().create_future()
        self._waiting.append((work, done))
        self._begin()
        await done

    @contextmanager
    def held(self) -> Iterator[None]:
        """Write nothing in here: what is under way goes first, and its answers are written together."""
        self._holds += 1
        try:
            yield
        finally:
            self._holds -= 1
            self._begin()

    async def drained(self) -> bool:
        """Return, once all that waits has been written, whether there was anything."""
        task = self._task
        if task is None or task.done():
            return False
        await task
        return True

    def _begin(self) -> None:
        if self._waiting and not self._holds and (self._task is None or self._task.done()):
            self._task = asyncio.get_running_loop().create_task(self._run())

    async def _run(self) -> None:
        while self._waiting and not self._holds:
            group = [self._waiting.popleft() for _ in range(min(len(self._waiting), MOST_TOGETHER))]
            failures = [self._write([work for work, _ in group])] * len(group)
            if failures[0] is not None and len(group) > 1:
                failures = [self._write([work]) for work, _ in group]
            for (_, done), failure in zip(group, failures, strict=True):
                if done.done():
                    continue  # nobody waits for it any more
                if failure is None:
                    done.set_result(None)
                else:
                    done.set_exception(failure)
            await others_turn()

    def _write(self, group: list[Work]) -> Exception | None:
        try:
            with self._database.write() as connection:
                for work in group:
                    work(connection)
        except Exception as error:  # noqa: BLE001 raised again in the task that waits for it
            return error
        return None


async def others_turn() -> None:
    """Let everything else that is due run: a timer wakes its task in one round, the task runs in the next."""
    await asyncio.sleep(0)
    await asyncio.sleep(0)
