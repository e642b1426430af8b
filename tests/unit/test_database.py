import os
import sqlite3
import stat
import threading
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Column, Integer, MetaData, Table, insert, select

import etf_trader.database
from etf_trader.database import Database, ExactDecimal, UtcDateTime, after_commit, journal_mode
from etf_trader.errors import ConfigError, DatabaseFailure
from etf_trader.money import plain

SQLITE = Database("sqlite://").engine.dialect
POSTGRESQL = Database("postgresql+psycopg://host/etf").url.get_dialect()()
metadata = MetaData()
things = Table(
    "thing",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("amount", ExactDecimal),
    Column("at", UtcDateTime),
)
NOW = datetime(2026, 11, 21, 4, 5, 6, 7, tzinfo=UTC)


@pytest.fixture
def database(tmp_path: Path) -> Database:
    database = Database(f"sqlite:///{tmp_path / 'test.db'}")
    with database.write() as connection:
        metadata.create_all(connection)
    return database


def count(database: Database) -> int:
    with database.read() as connection:
        return len(connection.execute(select(things.c.id)).all())


@pytest.mark.parametrize(
    "text", ["0.1", "98765432109.87654321", "0.000000000000000001", "-1", "0", "123456789012345678901234567890.1"]
)
def test_a_decimal_comes_back_as_it_went_in(database: Database, text: str) -> None:
    with database.write() as connection:
        connection.execute(insert(things), {"amount": Decimal(text)})
    with database.read() as connection:
        amount = connection.scalar(select(things.c.amount))
    assert isinstance(amount, Decimal)
    assert plain(amount) == text


@given(st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**20), max_value=10**20))
def test_a_decimal_survives_both_databases(value: Decimal) -> None:
    column = ExactDecimal()
    assert column.process_result_value(column.process_bind_param(value, SQLITE), SQLITE) == value
    assert column.process_bind_param(value, POSTGRESQL) == value


@pytest.mark.parametrize("value", [0.1, 1, Decimal("NaN"), Decimal("Infinity"), "1"])
def test_what_is_no_finite_decimal_is_no_amount(value: Decimal) -> None:
    with pytest.raises(ValueError, match="not a finite Decimal"):
        ExactDecimal().process_bind_param(value, SQLITE)


def test_a_time_comes_back_in_utc(database: Database) -> None:
    tokyo = NOW.astimezone(timezone(timedelta(hours=9)))
    with database.write() as connection:
        connection.execute(insert(things), [{"at": tokyo}, {"at": None}])
    with database.read() as connection:
        first, second = connection.scalars(select(things.c.at).order_by(things.c.id))
    assert (first, second) == (NOW, None)
    assert first.utcoffset() == timedelta(0)


def test_a_time_without_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="not an aware time"):
        UtcDateTime().process_bind_param(NOW.replace(tzinfo=None), SQLITE)


def test_the_text_of_times_sorts_as_they_do() -> None:
    column, dialect = UtcDateTime(), SQLITE
    times = [NOW + timedelta(microseconds=step) for step in (0, 1, 999_993, 10**6, 86_400 * 10**6)]
    texts = [column.process_bind_param(time, dialect) for time in times]
    assert texts == sorted(texts)
    assert [column.process_result_value(text, dialect) for text in texts] == times


def test_a_write_scope_commits_at_its_end_and_rolls_back_on_an_error(database: Database) -> None:
    with database.write() as connection:
        connection.execute(insert(things), {"amount": None})
    with pytest.raises(KeyError), database.write() as connection:
        connection.execute(insert(things), {"amount": None})
        raise KeyError
    assert count(database) == 1


def test_a_read_scope_cannot_write(database: Database) -> None:
    with pytest.raises(DatabaseFailure, match="read-only"), database.read() as connection:
        connection.execute(insert(things), {"amount": None})
    assert count(database) == 0
    with database.write() as connection:
        connection.execute(insert(things), {"amount": None})


def test_a_read_scope_sees_one_state(database: Database, tmp_path: Path) -> None:
    with database.write() as connection:
        connection.execute(insert(things), {"amount": None})
    with database.read() as connection:
        assert len(connection.execute(select(things)).all()) == 1
        assert len(connection.execute(select(things)).all()) == 1


def test_callbacks_wait_for_the_commit(database: Database) -> None:
    seen: list[int] = []
    with database.write() as connection:
        connection.execute(insert(things), {"amount": None})
        after_commit(connection, lambda: seen.append(count(database)))
        assert not seen
    assert seen == [1]


def test_callbacks_of_a_scope_that_failed_never_run(database: Database) -> None:
    seen: list[int] = []
    with pytest.raises(KeyError), database.write() as connection:
        after_commit(connection, lambda: seen.append(1))
        raise KeyError
    with database.write():
        pass
    assert not seen


def test_writers_exclude_each_other_and_lose_nothing(database: Database) -> None:
    def add_ten() -> None:
        own = Database(str(database.url))
        for _ in range(10):
            with own.write() as connection:
                known = len(connection.execute(select(things.c.id)).all())
                connection.execute(insert(things), {"id": known + 1})
        own.close()

    threads = [threading.Thread(target=add_ten) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert count(database) == 30


def test_a_held_lock_becomes_a_sentence(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(etf_trader.database, "BUSY_MILLISECONDS", 50)
    other = Database(str(database.url))
    with (
        database.write(),
        pytest.raises(DatabaseFailure, match="another process has held the database"),
        other.write(),
    ):
        pass
    other.close()


def test_a_new_file_is_private_and_journals_safely(database: Database) -> None:
    assert database.path is not None
    assert stat.S_IMODE(database.path.stat().st_mode) == 0o600
    with database.read() as connection:
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == journal_mode()
        assert connection.exec_driver_sql("PRAGMA foreign_keys").scalar() == 1
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 2


def test_the_write_ahead_log_waits_for_a_safe_library(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite3, "sqlite_version_info", (3, 51, 2))
    assert journal_mode() == "delete"
    monkeypatch.setattr(sqlite3, "sqlite_version_info", (3, 51, 3))
    assert journal_mode() == "wal"


def test_a_file_that_is_no_database_is_a_matter_of_configuration(tmp_path: Path) -> None:
    path = tmp_path / "test.db"
    path.write_text("this is a letter, not a database, and it is long enough to be read as one\n" * 20)
    with pytest.raises(ConfigError, match="not a database"), Database(f"sqlite:///{path}").read():
        pass


def test_a_damaged_file_is_named_and_a_backup_is_advised(tmp_path: Path) -> None:
    path = tmp_path / "test.db"
    made = sqlite3.connect(path)
    made.execute("CREATE TABLE letter (text)")
    made.close()
    path.write_bytes(path.read_bytes()[:100] + b"\xff" * 200)
    with (
        pytest.raises(DatabaseFailure, match="damaged") as caught,
        Database(f"sqlite:///{path}").read() as connection,
    ):
        connection.exec_driver_sql("SELECT text FROM letter")
    assert (caught.value.where, caught.value.hint) == (f"sqlite:///{path}", "etf db restore BACKUP")


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path / 'no' / 'test.db'}")
    assert not database.exists()
    with pytest.raises(ConfigError, match="no such folder"), database.write():
        pass


@pytest.mark.skipif(os.geteuid() == 0, reason="platform: root may write everything")
def test_a_read_only_file_becomes_a_sentence(database: Database) -> None:
    assert database.path is not None
    database.close()
    database.path.chmod(0o400)
    with pytest.raises(DatabaseFailure, match="read-only"), database.write() as connection:
        connection.execute(insert(things), {"amount": None})


def test_a_missing_table_points_to_the_upgrade(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path / 'test.db'}")
    with pytest.raises(DatabaseFailure, match="not of this version") as caught, database.read() as connection:
        connection.execute(select(things))
    assert caught.value.hint == "etf db upgrade"


def test_a_password_is_not_shown() -> None:
    database = Database("postgresql+psycopg://desk:secret@host/etf")
    assert str(database) == "postgresql+psycopg://desk:***@host/etf"
    assert "secret" not in repr(database)
    assert database.path is None
    assert not database.is_sqlite
