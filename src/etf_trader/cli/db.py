"""`etf db`: the two databases, their versions and their copies."""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from etf_trader.cli.commands import WHAT, command, group
from etf_trader.cli.invocation import output, settings
from etf_trader.cli.output import Page, Table, bad, good, look, text
from etf_trader.errors import AccountLed, ConfigError, EtfError

if TYPE_CHECKING:
    from etf_trader.config import Settings
    from etf_trader.database import Database

app = group()

UP_TO_DATE = "up to date"
MISSING = "not there yet"
EMPTY = "empty"
BEHIND = "behind"
NEWER = "newer than etf"
UNREADABLE = "unreadable"
ADVICE = {
    MISSING: "etf init makes it",
    EMPTY: "etf init fills it",
    BEHIND: "etf db upgrade",
    NEWER: "install a newer etf-trader",
    UNREADABLE: "etf db restore BACKUP",
}


@dataclass(frozen=True, slots=True)
class DatabaseState:
    """What is known of one database without changing it."""

    section: str
    url: str
    file: Path | None
    size: int | None
    revision: str | None
    needed: str
    journal: str | None
    state: str
    problem: str | None = None


@command(app, "status", examples=("etf db status", "etf db status --json"), csv="databases")
def status() -> None:
    """Show where the databases are and whether their version fits."""
    import sqlite3

    states = [examine(section, database) for section, database in databases(settings()).items()]

    def draw(page: Page) -> None:
        marks = {UP_TO_DATE: good, MISSING: look, EMPTY: look}
        table = Table(
            text("database"),
            text("where", shrink=True),
            text("version", optional=1),
            text("journal", optional=2),
            text("state"),
        )
        for each in states:
            version = f"{each.revision or '-'} of {each.needed}"
            state = marks.get(each.state, bad)(each.state)
            table.row(each.section, str(each.file or each.url), version, each.journal or "-", state)
        page.table(table)
        for each in states:
            if each.state in ADVICE:
                page.line(f"{each.section}: {each.problem or each.state}; {ADVICE[each.state]}")

    payload = {"sqlite": sqlite3.sqlite_version, "databases": states}
    output().emit("etf.databases/1", payload, draw)
    if any(each.state in (BEHIND, NEWER, UNREADABLE) for each in states):
        raise typer.Exit(ConfigError.exit_code)


@command(app, "upgrade", examples=("etf db upgrade", "etf db upgrade --json"))
def upgrade() -> None:
    """Bring the databases to this version, after a backup."""
    from etf_trader import schema
    from etf_trader.backup import back_up, backup_folder

    known = databases(settings())
    before = {section: examine(section, database) for section, database in known.items()}
    for each in before.values():
        if each.state in (NEWER, UNREADABLE):
            raise ConfigError(each.problem or each.state, where=each.url, hint=ADVICE[each.state])
    if all(each.state == MISSING for each in before.values()):
        raise ConfigError("there is no database yet", where=before["etf"].url, hint=ADVICE[MISSING])
    due = {section: known[section] for section, each in before.items() if each.state in (BEHIND, EMPTY)}
    folder = None
    if due:
        require_unled(known["etf"])
        files = {section: database for section, database in known.items() if database.path is not None}
        if len(files) < len(known):
            output().note("A PostgreSQL database is not backed up here: pg_dump does it.")
        if any(before[section].state == BEHIND for section in files):
            folder = backup_folder(files[min(files)], _now())
            back_up(files, folder)
            output().note(f"Backup in {folder}.")
        for section, database in due.items():
            schema.upgrade(database, section)
    after = [examine(section, database) for section, database in known.items()]

    def draw(page: Page) -> None:
        for each in after:
            old = before[each.section].revision
            if each.state == MISSING:
                page.line(f"{each.section}: {MISSING}; {ADVICE[MISSING]}.")
            elif each.section in due:
                page.line(f"{each.section}: upgraded from {old or EMPTY} to {each.revision}.")
            else:
                page.line(f"{each.section}: up to date ({each.revision}).")

    output().emit("etf.databases/1", {"backup": folder, "databases": after}, draw)


@command(app, "backup", examples=("etf db backup", "etf db backup --out /backup/etf-monday"))
def backup(
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            help="The folder to make; by default backups/TIME beside the database.",
            metavar="FOLDER",
            rich_help_panel=WHAT,
        ),
    ] = None,
) -> None:
    """Copy both databases, while others may work with them."""
    from etf_trader.backup import back_up, backup_folder

    known = databases(settings())
    folder = (Path.cwd() / out) if out is not None else backup_folder(known["etf"], _now())
    files = back_up(known, folder)

    def draw(page: Page) -> None:
        page.line(f"Backup in {folder}: {', '.join(path.name for path in files.values())}.")
        page.line(f"To put it back: etf db restore {folder}")

    output().emit("etf.backup/1", {"folder": folder, "files": list(files.values())}, draw)


@command(app, "restore", examples=("etf db restore backups/20261121T040000Z", "etf db restore /backup/etf.db"))
def restore(
    backup: Annotated[Path, typer.Argument(help="A backup's folder, or one file of it.", metavar="BACKUP")],
) -> None:
    """Put a backup in the place of the databases; what it replaces is kept."""
    from etf_trader.backup import backup_folder, found_in
    from etf_trader.backup import restore as put_back

    known = databases(settings())
    files = found_in(Path.cwd() / backup)
    require_unled(known["etf"])
    replaced = backup_folder(known["etf"], _now(), "-replaced")
    kept = {section: put_back(path, known[section], replaced) for section, path in files.items()}
    if "etf" in files:
        renew_incarnation(known["etf"])
    states = [examine(section, known[section]) for section in files]
    old = [path for path in kept.values() if path is not None]

    def draw(page: Page) -> None:
        page.line(f"Restored {', '.join(files)} from {backup}.")
        if old:
            page.line(f"What was there is kept in {replaced}.")
        behind = any(each.state == BEHIND for each in states)
        page.line(f"Next: {'etf db upgrade, then ' if behind else ''}etf reconcile")

    output().emit("etf.restore/1", {"databases": states, "replaced": old}, draw)


def databases(settings: "Settings") -> dict[str, "Database"]:
    """Return the databases of the configuration by section."""
    from etf_trader.database import Database

    return {"etf": Database(settings.database), "exchange": Database(settings.exchange.database)}


def examine(section: str, database: "Database") -> DatabaseState:
    """Return what is known of a database; reading it changes nothing."""
    from etf_trader import schema

    path, needed = database.path, schema.HEADS[section]

    def state(
        word: str, revision: str | None = None, journal: str | None = None, problem: str | None = None
    ) -> DatabaseState:
        size = path.stat().st_size if path is not None and path.is_file() else None
        return DatabaseState(section, str(database), path, size, revision, needed, journal, word, problem)

    if path is not None and not path.is_file():
        return state(MISSING)
    if path is not None and path.stat().st_size == 0:
        return state(EMPTY)
    try:
        with database.read() as connection:
            revision = schema.revision(connection)
            journal = (
                str(connection.exec_driver_sql("PRAGMA journal_mode").scalar()) if database.is_sqlite else None
            )
    except EtfError as error:
        return state(UNREADABLE, problem=error.message)
    if revision is None:
        return state(EMPTY, journal=journal)
    word = UP_TO_DATE if revision == needed else BEHIND if revision < needed else NEWER
    return state(word, revision, journal)


def require_unled(database: "Database") -> None:
    """Check that nobody trades on the database.

    Raises:
        AccountLed: a process leads an account of it.
    """
    from sqlalchemy import inspect

    from etf_trader.execution.lease import leads_any

    if examine("etf", database).state not in (UP_TO_DATE, BEHIND):
        return
    with database.read() as connection:
        owner = leads_any(connection, _now()) if inspect(connection).has_table("lease") else None
    if owner is not None:
        raise AccountLed(
            f"process {owner.process} on {owner.host} trades on this database",
            where=str(database),
            hint="end it first: Ctrl-C, or wait until it is done",
        )


def renew_incarnation(database: "Database") -> None:
    """Give a restored database a new life, so that no client order id of the old one repeats."""
    from sqlalchemy import inspect

    from etf_trader.ledger import repository

    with database.read() as connection:
        known = inspect(connection).has_table("incarnation")
    if known:
        repository.renew_incarnation(database, _now())


def _now() -> datetime:
    from etf_trader.clock import SystemClock

    return SystemClock().now()
