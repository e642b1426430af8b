"""Copies of the databases: taken while others work, put back whole or not at all.

SQLite's own backup copies a database page by page under its locks, so a copy
is one consistent state and a restore is seen by other processes all at once.
"""

import os
import shutil
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path

from etf_trader.database import BUSY_MILLISECONDS, Database
from etf_trader.errors import ConfigError, DatabaseFailure, NotFound, UsageError

SECTIONS = ("etf", "exchange")
"""Our database first: what the exchange did after its copy was taken is booked by reconciliation."""

_OURS = "index_order"
_COMPANIONS = ("", "-journal", "-wal", "-shm")


def back_up(databases: Mapping[str, Database], folder: Path) -> dict[str, Path]:
    """Copy the databases that exist into a new folder, and return the copies by section.

    The folder appears when all copies are complete.

    Raises:
        UsageError: the folder exists, or a database is not an SQLite file.
        ConfigError: there is no database.
        DatabaseFailure: a copy failed; nothing is left of it.
    """
    sources = {name: path_of(databases[name]) for name in SECTIONS if name in databases}
    present = {name: path for name, path in sources.items() if path.is_file()}
    if not present:
        where = ", ".join(str(path) for path in sources.values())
        raise ConfigError("there is no database yet", where=where, hint="etf init makes it")
    if folder.exists():
        raise UsageError(f"{folder} exists already", hint="name a folder that does not exist")
    partial = folder.with_name(f".{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True, mode=0o700)
    try:
        for name, path in present.items():
            _copy(path, partial / f"{name}.db")
        partial.rename(folder)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    return {name: folder / f"{name}.db" for name in present}


def backup_folder(database: Database, now: datetime, suffix: str = "") -> Path:
    """Return the folder of a backup made `now`, beside the database."""
    parent = path_of(database).parent / "backups"
    stamp = now.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ") + suffix
    folder, number = parent / stamp, 1
    while folder.exists():
        number += 1
        folder = parent / f"{stamp}-{number}"
    return folder


def found_in(source: Path) -> dict[str, Path]:
    """Return the databases of a backup by section: those of a folder, or the one that a file is.

    Raises:
        NotFound: there is nothing at `source`.
        ConfigError: it is no backup, or it is damaged.
    """
    if source.is_dir():
        files = {name: source / f"{name}.db" for name in SECTIONS if (source / f"{name}.db").is_file()}
        if not files:
            raise ConfigError("there is no backup in this folder", where=str(source))
    elif source.is_file():
        files = {_section_of(source): source}
    else:
        raise NotFound("there is no such backup", where=str(source), hint="etf db backup makes one")
    for name, path in files.items():
        if _section_of(path) != name:
            raise ConfigError(f"the file is not the {name} database it is named after", where=str(path))
    return files


def restore(source: Path, database: Database, replaced: Path) -> Path | None:
    """Put a backup in the place of `database`; return where the old one is kept, None if there was none.

    Raises:
        DatabaseFailure: it could not be copied; the old database stands.
    """
    target = path_of(database)
    database.close()
    kept = None
    if target.is_file():
        replaced.mkdir(parents=True, exist_ok=True, mode=0o700)
        kept = replaced / target.name
        if _is_sound(target):
            _copy(target, kept)
        else:
            for companion in _COMPANIONS:
                old = target.with_name(target.name + companion)
                if old.exists():
                    old.rename(replaced / old.name)
    target.parent.mkdir(parents=True, exist_ok=True)
    _copy(source, target)
    return kept


def path_of(database: Database) -> Path:
    """Return the file of an SQLite database.

    Raises:
        UsageError: it is not in a file.
    """
    if database.path is None:
        hint = "back it up and restore it with pg_dump and pg_restore" if not database.is_sqlite else None
        raise UsageError(f"{database} is not a file", hint=hint)
    return database.path


def _copy(source: Path, target: Path) -> None:
    with _translated(target):
        if not target.exists():
            os.close(os.open(target, os.O_CREAT | os.O_WRONLY, 0o600))
        timeout = BUSY_MILLISECONDS / 1000
        with (
            closing(
                sqlite3.connect(f"{source.absolute().as_uri()}?mode=rw", uri=True, timeout=timeout)
            ) as reading,
            closing(sqlite3.connect(target, timeout=timeout)) as writing,
        ):
            reading.backup(writing)
    target.chmod(0o600)


def _is_sound(path: Path) -> bool:
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=rw", uri=True)) as connection:
            return bool(connection.execute("PRAGMA quick_check").fetchone()[0] == "ok")
    except sqlite3.DatabaseError:
        return False


def _section_of(path: Path) -> str:
    if not _is_sound(path):
        raise ConfigError("the file is no database, or it is damaged", where=str(path))
    with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=rw", uri=True)) as connection:
        names = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    if "alembic_version" not in names:
        raise ConfigError("the file is no database of etf", where=str(path))
    return "etf" if _OURS in names else "exchange"


@contextmanager
def _translated(target: Path) -> Iterator[None]:
    try:
        yield
    except sqlite3.DatabaseError as error:
        raise DatabaseFailure(
            f"the copy failed: {error}", where=str(target), hint="nothing was replaced"
        ) from error
