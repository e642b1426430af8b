import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import Connection, text

from etf_trader.database import Database
from etf_trader.execution.group_commit import MOST_TOGETHER, GroupCommit


class CountingDatabase(Database):
    commits = 0

    @contextmanager
    def write(self) -> Iterator[Connection]:
        self.commits += 1
        with super().write() as connection:
            yield connection


@pytest.fixture
def database(tmp_path: Path) -> CountingDatabase:
    made = CountingDatabase(f"sqlite:///{tmp_path / 'some.db'}")
    with made.write() as connection:
        connection.execute(text("CREATE TABLE said (word TEXT)"))
    made.commits = 0
    return made


def say(word: str) -> Callable[[Connection], None]:
    def work(connection: Connection) -> None:
        connection.execute(text("INSERT INTO said VALUES (:word)"), {"word": word})
        if word == "wrong":
            raise ValueError(word)

    return work


def said(database: Database) -> list[str]:
    with database.read() as connection:
        return [str(word) for word in connection.scalars(text("SELECT word FROM said ORDER BY rowid"))]


async def test_what_waits_at_one_time_is_written_together_and_in_order(database: CountingDatabase) -> None:
    commits, words = GroupCommit(database), [str(number) for number in range(3 * MOST_TOGETHER)]
    await asyncio.gather(*(commits.do(say(word)) for word in words))
    assert said(database) == words
    assert database.commits == 3


async def test_a_failure_is_its_own_tasks_alone(database: CountingDatabase) -> None:
    commits = GroupCommit(database)
    ends = await asyncio.gather(*(commits.do(say(word)) for word in ("a", "wrong", "b")), return_exceptions=True)
    assert [type(end) for end in ends] == [type(None), ValueError, type(None)]
    assert said(database) == ["a", "b"]


async def test_nothing_is_written_while_it_is_held(database: CountingDatabase) -> None:
    commits = GroupCommit(database)
    with commits.held():
        task = asyncio.create_task(commits.do(say("later")))
        await asyncio.sleep(0.01)
        assert said(database) == []
    assert await commits.drained()
    assert said(database) == ["later"]
    await task
    assert not await commits.drained()
