"""How `etf` keeps rows: exact decimals, aware times, short read scopes and exclusive write scopes.

SQLite serves one host with several processes, PostgreSQL several hosts; nothing
else differs between the two but the URL.
"""

import sqlite3
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from sqlalchemy import (
    Connection,
    Engine,
    MetaData,
    Numeric,
    Table,
    Text,
    create_engine,
    event,
    insert,
    inspect,
    make_url,
    text,
)
from sqlalchemy.engine import URL, Dialect
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.types import DateTime, TypeDecorator, TypeEngine

from etf_trader.errors import ConfigError, DatabaseFailure
from etf_trader.money import plain

WAL_SAFE_FROM = (3, 51, 3)
"""Older SQLite can corrupt a WAL database that several processes write and checkpoint together."""

BUSY_MILLISECONDS = 30_000

WRITE_LOCK = 0x657466
"""The number of the advisory lock that write scopes on a server take; it counts within one database."""

metadata = MetaData()
"""The tables of our own database; each package adds its own (`tables.py`)."""


class ExactDecimal(TypeDecorator[Decimal]):
    """A decimal that comes back as it went in: text in SQLite, NUMERIC in PostgreSQL."""

    impl = Text
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        return dialect.type_descriptor(Numeric() if dialect.name == "postgresql" else Text())

    def process_bind_param(self, value: Decimal | None, dialect: Dialect) -> Any:
        if value is None:
            return None
        if not isinstance(value, Decimal) or not value.is_finite():
            raise ValueError(f"not a finite Decimal: {value!r}")
        return value if dialect.name == "postgresql" else plain(value)

    def process_result_value(self, value: Any, dialect: Dialect) -> Decimal | None:
        return None if value is None else Decimal(value)


class UtcDateTime(TypeDecorator[datetime]):
    """An aware time in UTC, to the microsecond; its text in SQLite sorts as time does."""

    impl = Text
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        return dialect.type_descriptor(DateTime(timezone=True) if dialect.name == "postgresql" else Text())

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> Any:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"not an aware time: {value!r}")
        utc = value.astimezone(UTC)
        if dialect.name == "postgresql":
            return utc
        return utc.replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if isinstance(value, datetime):
            return value.astimezone(UTC)
        return datetime.fromisoformat(value)


class Database:
    """One database: read scopes that never write, write scopes that exclude each other."""

    def __init__(self, url: str) -> None:
        self.url: URL = make_url(url)
        self._engine: Engine | None = None

    @property
    def is_sqlite(self) -> bool:
        """Whether this is an SQLite file."""
        return self.url.get_backend_name() == "sqlite"

    @property
    def path(self) -> Path | None:
        """The SQLite file; None for a server or a database in memory."""
        name = self.url.database
        return Path(name) if self.is_sqlite and name and name != ":memory:" else None

    @property
    def engine(self) -> Engine:
        """The SQLAlchemy engine, made when first asked for."""
        if self._engine is None:
            self._engine = _sqlite_engine(self) if self.is_sqlite else _server_engine(self.url)
        return self._engine

    def __str__(self) -> str:
        return self.url.render_as_string(hide_password=True)

    def exists(self) -> bool:
        """Whether there is a database with tables in it."""
        if self.path is not None and not self.path.exists():
            return False
        with self.read() as connection:
            return bool(inspect(connection).get_table_names())

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """Yield a connection that sees one consistent state and cannot write."""
        with self._translated(), self.engine.connect() as connection:
            if self.is_sqlite:
                _driver(connection).execute("PRAGMA query_only = ON")
            else:
                connection.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
            try:
                yield connection
            finally:
                connection.rollback()
                if self.is_sqlite:
                    _driver(connection).execute("PRAGMA query_only = OFF")

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """Yield a connection that holds the write lock; commit at the end, or roll back on an error.

        Callbacks left with `after_commit` run once the commit stands.
        """
        with self._translated(), self.engine.connect() as connection:
            connection.info.pop("after_commit", None)
            with self._locked(connection):
                yield connection
            callbacks = connection.info.pop("after_commit", [])
        for callback in callbacks:
            callback()

    @contextmanager
    def rebuild(self) -> Iterator[Connection]:
        """Yield a connection as `write` does, on which tables may be made anew while others refer to them.

        Raises:
            DatabaseFailure: afterwards a row refers to one that is not there; everything is as it was.
        """
        with self._translated(), self.engine.connect() as connection:
            if not self.is_sqlite:
                with self._locked(connection):
                    yield connection
                return
            # SQLite drops the table that is replaced, and checks references as it does unless told not to.
            _driver(connection).execute("PRAGMA foreign_keys = OFF")
            try:
                with self._locked(connection):
                    yield connection
                    if broken := connection.exec_driver_sql("PRAGMA foreign_key_check").fetchone():
                        raise DatabaseFailure(
                            f"a row of {broken[0]} refers to one of {broken[2]} that is not there",
                            where=str(self),
                            hint="etf db restore BACKUP",
                        )
            finally:
                _driver(connection).execute("PRAGMA foreign_keys = ON")

    @contextmanager
    def write_on(self, connection: Connection) -> Iterator[None]:
        """Hold the write lock on a connection that stays open between such scopes; no callbacks are run."""
        with self._translated(), self._locked(connection):
            yield

    @contextmanager
    def _locked(self, connection: Connection) -> Iterator[None]:
        with connection.execution_options(etf_write=True).begin():
            if not self.is_sqlite:
                # What BEGIN IMMEDIATE is on SQLite: what a scope reads stands until it commits.
                connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": WRITE_LOCK})
            yield

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except OperationalError as error:
            raise DatabaseFailure(_sentence(error), where=str(self), hint=_hint(error)) from error
        except DBAPIError as error:
            cause = str(error.orig) if isinstance(error.orig, sqlite3.DatabaseError) else ""
            if "not a database" in cause:
                raise ConfigError(
                    "the file is not a database", where=str(self), hint="restore a backup"
                ) from error
            if "malformed" in cause:
                raise DatabaseFailure(
                    "the database file is damaged", where=str(self), hint="etf db restore BACKUP"
                ) from error
            raise

    def close(self) -> None:
        """Give up pooled connections."""
        if self._engine is not None:
            self._engine.dispose()


def insert_row(connection: Connection, table: Table, values: Mapping[str, Any]) -> int:
    """Insert one row and return its number."""
    key = connection.execute(insert(table), dict(values)).inserted_primary_key
    assert key is not None
    return int(key[0])


def after_commit(connection: Connection, callback: Callable[[], None]) -> None:
    """Run `callback` once the write scope of `connection` has been committed."""
    connection.info.setdefault("after_commit", []).append(callback)


def journal_mode() -> str:
    """Return the SQLite journal that is safe for several processes with this library's version."""
    return "wal" if sqlite3.sqlite_version_info >= WAL_SAFE_FROM else "delete"


def _server_engine(url: URL) -> Engine:
    """Return an engine whose transactions do not wait, or keep others waiting, for ever."""
    limits = f"-c lock_timeout={BUSY_MILLISECONDS} -c idle_in_transaction_session_timeout={BUSY_MILLISECONDS}"
    return create_engine(url, pool_pre_ping=True, connect_args={"options": limits})


def _sqlite_engine(database: Database) -> Engine:
    path = database.path
    if path is not None and not path.parent.is_dir():
        raise ConfigError(f"no such folder: {path.parent}", where=str(database), hint="etf init makes it")
    engine = create_engine(database.url, connect_args={"timeout": BUSY_MILLISECONDS / 1000})

    @event.listens_for(engine, "connect")
    def connected(connection: sqlite3.Connection, _record: object) -> None:
        # The driver's own BEGIN would be deferred and come late; ours is below.
        connection.isolation_level = None
        connection.execute(f"PRAGMA busy_timeout = {BUSY_MILLISECONDS}")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA foreign_keys = ON")
        if path is not None and path.stat().st_size == 0:
            path.chmod(0o600)
            connection.execute(f"PRAGMA journal_mode = {journal_mode()}")

    @event.listens_for(engine, "begin")
    def began(connection: Connection) -> None:
        if connection.get_execution_options().get("etf_write", False):
            connection.exec_driver_sql("BEGIN IMMEDIATE")
        else:
            _driver(connection).execute("BEGIN")

    return engine


def _driver(connection: Connection) -> sqlite3.Connection:
    """Return what takes a statement that cannot fail at a tenth of the price: scopes are opened all the time."""
    driver = connection.connection.driver_connection
    assert isinstance(driver, sqlite3.Connection)
    return driver


def _sentence(error: OperationalError) -> str:
    cause = str(error.orig)
    if "locked" in cause or "lock timeout" in cause:
        return f"another process has held the database for {BUSY_MILLISECONDS // 1000} s"
    if "readonly" in cause or "read-only" in cause:
        return "the database, or its folder, is read-only"
    if "full" in cause:
        return "the disk is full"
    if "unable to open" in cause:
        return "the database cannot be opened"
    if "no such table" in cause or "no such column" in cause:
        return f"the database is not of this version ({cause})"
    return f"the database failed: {cause.strip().splitlines()[0] if cause.strip() else 'no message'}"


def _hint(error: OperationalError) -> str:
    cause = str(error.orig)
    if "no such table" in cause or "no such column" in cause:
        return "etf db upgrade"
    return "nothing was sent; repair it and repeat the command"


def server_now(connection: Connection) -> datetime | None:
    """Return PostgreSQL's clock, the one clock of several hosts; None on SQLite."""
    if connection.dialect.name != "postgresql":
        return None
    now: datetime = connection.scalar(text("SELECT clock_timestamp()"))
    return now.astimezone(UTC)
