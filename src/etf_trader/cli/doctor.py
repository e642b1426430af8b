"""`etf doctor`: whether everything is there that etf needs, and what to do where it is not.

A check is a function that yields findings; adding one to `CHECKS` is all it takes.
"""

import os
import platform
import shutil
import sqlite3
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from etf_trader import __version__
from etf_trader.cli.commands import command, single
from etf_trader.cli.invocation import output, settings
from etf_trader.cli.numbers import count
from etf_trader.cli.output import Page, Table, bad, dim, good, look, text
from etf_trader.cli.services import services
from etf_trader.errors import EtfError
from etf_trader.venue import PAPER

if TYPE_CHECKING:
    from etf_trader.config import Settings
    from etf_trader.orders.rebalance_order import RebalanceOrder

app = single()

OK, WARN, FAIL, SKIP = "ok", "warn", "fail", "skip"
MARKS = {OK: good, WARN: look, FAIL: bad, SKIP: dim}

PACKAGES = (
    "rich",
    "binance",
    "websockets",
    "aiohttp",
    "numpy",
    "scipy",
    "pandas",
    "sqlalchemy",
    "alembic",
    "msgspec",
    "tomlkit",
    "platformdirs",
    "dotenv",
    "cronsim",
    "jinja2",
    "xlsxwriter",
)

MEGABYTE = 1024 * 1024
LEAST_FREE = 100 * MEGABYTE
LITTLE_FREE = 1024 * MEGABYTE


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of one check; `advice` says what to do about it."""

    check: str
    state: str
    found: str
    advice: str = ""


@dataclass(frozen=True, slots=True)
class Subject:
    """What is checked; without settings, `problem` says why they cannot be read."""

    settings: "Settings | None"
    problem: EtfError | None = None


Check = Callable[[Subject], Iterator[Finding]]


@command(app, examples=("etf doctor", "etf doctor --json"), csv="checks")
def doctor() -> None:
    """Check that everything etf needs is in order."""
    try:
        subject = Subject(settings())
    except EtfError as error:
        subject = Subject(None, error)
    findings = [finding for check in CHECKS for finding in check(subject)]
    failed = [finding for finding in findings if finding.state == FAIL]
    warned = [finding for finding in findings if finding.state == WARN]

    def draw(page: Page) -> None:
        if failed:
            page.line(f"{count(len(failed), 'thing')} to repair: {', '.join(each.check for each in failed)}.")
        elif warned:
            page.line(f"It works; {count(len(warned), 'thing')} to look at.")
        else:
            page.line("Everything is in order.")
        page.line()
        table = Table(text("check"), text("state"), text("found", wrap=True))
        for each in findings:
            table.row(each.check, MARKS[each.state](each.state), each.found)
            if each.advice:
                table.row("", "", f"-> {each.advice}")
        page.table(table)

    output().emit("etf.doctor/1", {"failed": len(failed), "warned": len(warned), "checks": findings}, draw)
    if failed:
        raise typer.Exit(1)


def check_python(_subject: Subject) -> Iterator[Finding]:
    """The interpreter and the package itself."""
    is_new = sys.version_info >= (3, 11)
    advice = "" if is_new else "install Python 3.11 or newer"
    yield Finding("python", OK if is_new else FAIL, f"{platform.python_version()} in {sys.prefix}", advice)
    missing = [name for name in PACKAGES if find_spec(name) is None]
    if missing:
        yield Finding(
            "package", FAIL, f"missing: {', '.join(missing)}", "pip install --force-reinstall etf-trader"
        )
    else:
        yield Finding("package", OK, f"etf-trader {__version__} in {Path(__file__).parent.parent}")


def check_sqlite(_subject: Subject) -> Iterator[Finding]:
    """SQLite's version, and the journal that is safe with it."""
    from etf_trader.database import WAL_SAFE_FROM, journal_mode

    safe = ".".join(map(str, WAL_SAFE_FROM))
    journal = (
        "write-ahead log" if journal_mode() == "wal" else f"rollback journal (write-ahead is safe from {safe})"
    )
    yield Finding("sqlite", OK, f"{sqlite3.sqlite_version}, {journal}")


def check_configuration(subject: Subject) -> Iterator[Finding]:
    """The files that are in force."""
    if subject.settings is None:
        assert subject.problem is not None
        where = f" ({subject.problem.where})" if subject.problem.where else ""
        yield Finding("configuration", FAIL, subject.problem.message + where, subject.problem.hint or "correct it")
        return
    files = [path for path in (subject.settings.project_file, subject.settings.user_file) if path is not None]
    there = [str(path) for path in files if path.is_file()]
    if there:
        yield Finding("configuration", OK, ", ".join(there))
    else:
        yield Finding("configuration", SKIP, "defaults only, no etf.toml here or above", "etf init makes one")
    for path in files:
        if path.is_file() and path.stat().st_mode & 0o022:
            yield Finding("configuration", WARN, f"{path} can be written by others", f"chmod 600 {path}")


def check_databases(subject: Subject) -> Iterator[Finding]:
    """Where the databases are, whether their version fits, whether they are sound and private."""
    from etf_trader.cli.db import ADVICE, EMPTY, MISSING, UP_TO_DATE, databases, examine

    if subject.settings is None:
        yield Finding("database", SKIP, "not known without the configuration")
        return
    for section, database in databases(subject.settings).items():
        if section == "exchange" and subject.settings.environment != PAPER:
            continue
        name = "database" if section == "etf" else "exchange database"
        found = examine(section, database)
        place = str(found.file or found.url)
        if found.state in (MISSING, EMPTY):
            yield Finding(name, SKIP, f"{place} is {found.state}", ADVICE[found.state])
        elif found.state != UP_TO_DATE:
            problem = found.problem or f"version {found.revision}, this etf needs {found.needed}"
            yield Finding(name, FAIL, f"{place}: {problem}", ADVICE[found.state])
        else:
            yield Finding(name, OK, f"{place}, version {found.revision}, journal {found.journal or '-'}")
        if found.file is not None and found.file.is_file() and found.file.stat().st_mode & 0o077:
            yield Finding(name, WARN, f"{place} can be read by others", f"chmod 600 {place}")


def check_trading(subject: Subject) -> Iterator[Finding]:
    """Whether every account may trade, and what stops it where it may not."""
    from etf_trader.cli.db import UP_TO_DATE, databases, examine
    from etf_trader.cli.trading import since_when
    from etf_trader.ledger.repository import list_accounts
    from etf_trader.risk.halts import MEANING, halts, trading_state, way_out

    if subject.settings is None:
        return
    database = databases(subject.settings)["etf"]
    if examine("etf", database).state != UP_TO_DATE:
        return
    with database.read() as connection:
        for account in list_accounts(connection):
            found, name = halts(connection, account.id), account.name
            if not found:
                yield Finding("trading", OK, f"the account {name} is active")
                continue
            state = trading_state(connection, account.id)
            told = f"the account {name} is {since_when(found)}: {MEANING[state]}"
            yield Finding("trading", WARN, told, f"etf risk show says more; {way_out(found)}")


def check_orders(subject: Subject) -> Iterator[Finding]:
    """Orders that ended and still hold assets."""
    from etf_trader.cli.db import UP_TO_DATE, databases, examine
    from etf_trader.orders.rebalances import list_rebalances
    from etf_trader.orders.status import IndexOrderStatus
    from etf_trader.orders.store import list_index_orders

    if subject.settings is None:
        yield Finding("orders", SKIP, "not known without the configuration")
        return
    database = databases(subject.settings)["etf"]
    if examine("etf", database).state != UP_TO_DATE:
        yield Finding("orders", SKIP, "not known without the database")
        return
    with database.read() as connection:
        stuck = list_index_orders(connection, statuses=[IndexOrderStatus.STUCK])
        moving = list_rebalances(connection, statuses=[IndexOrderStatus.OPEN, IndexOrderStatus.STUCK])
    yield from map(_rebalance_finding, moving)
    if not stuck:
        yield Finding("orders", OK, "none is stuck")
    for order in stuck:
        yield Finding(
            "orders",
            WARN,
            f"order {order.id} is stuck: it ended and holds assets that were not traded",
            f"etf order show {order.id} says which and why; etf cancel --order {order.id} trades them back",
        )


def _rebalance_finding(order: "RebalanceOrder") -> Finding:
    """Return that a rebalance waits for somebody who goes on with it, or is stuck."""
    from etf_trader.cli.stops import in_short

    day = order.request.due_on
    if order.status == "stuck":
        what = f"rebalance {order.id}, of {day}, is stuck: a trade came in after its end"
        return Finding("orders", WARN, what, f"etf order show {order.id} says what it holds")
    why = in_short(order.stopped_by, None, None)
    what = f"rebalance {order.id}, of {day}, is under way" + (f", held up: {why}" if why else "")
    hint = f"etf worker --once goes on with it; etf cancel --order {order.id} ends it"
    return Finding("orders", WARN, what, hint)


def check_markets(subject: Subject) -> Iterator[Finding]:
    """Constituents that cannot be traded now: halted, or gone from the venue."""
    from etf_trader.cli.caveats import frozen_by_index
    from etf_trader.cli.db import UP_TO_DATE, databases, examine
    from etf_trader.cli.output import unmarked

    if subject.settings is None:
        return
    known = [
        each for each in databases(subject.settings).items() if each[0] == "etf" or _is_paper(subject.settings)
    ]
    if any(examine(section, database).state != UP_TO_DATE for section, database in known):
        return
    try:
        with services() as opened:
            told = frozen_by_index(opened)
    except EtfError as error:
        yield Finding("markets", SKIP, f"not known: {error.message}")
        return
    for number, said in told.items():
        yield Finding("markets", WARN, " ".join(map(unmarked, said)), f"etf index show {number} says more")
    if not told:
        yield Finding("markets", OK, "every constituent trades")


def _is_paper(chosen: "Settings") -> bool:
    return chosen.environment == PAPER


def check_clock(_subject: Subject) -> Iterator[Finding]:
    """The machine's clock: a venue refuses requests whose time is off by a second."""
    from etf_trader.cli.numbers import local_time
    from etf_trader.clock import SystemClock

    now = SystemClock().now()
    installed = Path(__file__).stat().st_mtime
    if now.timestamp() < installed - 1:
        yield Finding("clock", FAIL, f"{local_time(now)} is before etf was installed", "set the clock")
    else:
        yield Finding("clock", OK, local_time(now))


def check_disk(subject: Subject) -> Iterator[Finding]:
    """Room for the databases, and the right to write there."""
    from etf_trader.config import data_folder

    if subject.settings is None:
        yield Finding("disk", SKIP, "not known without the configuration")
        return
    folder = data_folder(subject.settings.project_file)
    there = next(path for path in (folder, *folder.parents) if path.is_dir())
    free = shutil.disk_usage(there).free
    told = f"{free // MEGABYTE:,} MB free in {folder}"
    if not os.access(there, os.W_OK):
        yield Finding("disk", FAIL, f"{there} cannot be written", "give yourself the right to write there")
    elif free < LEAST_FREE:
        yield Finding("disk", FAIL, told, "free some space: etf stops trading when the disk is full")
    else:
        yield Finding("disk", OK if free >= LITTLE_FREE else WARN, told)


def check_terminal(_subject: Subject) -> Iterator[Finding]:
    """Whether tables and their signs can be shown."""
    encoding = (sys.stdout.encoding or "").lower().replace("-", "")
    if encoding != "utf8":
        yield Finding("terminal", WARN, f"the encoding is {encoding or 'unknown'}", "export LANG=C.UTF-8")
    elif not sys.stdout.isatty():
        yield Finding("terminal", SKIP, "no terminal: plain text")
    else:
        columns = shutil.get_terminal_size().columns
        advice = "80 columns show every table whole" if columns < 80 else ""
        yield Finding("terminal", OK if columns >= 80 else WARN, f"{columns} columns", advice)


def check_binance(subject: Subject) -> Iterator[Finding]:
    """Keys, permissions, clock, limits, stream, fees and delistings at Binance; on paper nothing is asked."""
    from etf_trader.cli.doctor_binance import binance_rows

    if subject.settings is not None:
        yield from (Finding(*row) for row in binance_rows(subject.settings))


CHECKS: list[Check] = [
    check_python,
    check_sqlite,
    check_configuration,
    check_databases,
    check_trading,
    check_orders,
    check_markets,
    check_clock,
    check_binance,
    check_disk,
    check_terminal,
]
