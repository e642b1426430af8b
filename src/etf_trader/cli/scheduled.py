"""How a configuration stands with cron: its line, its indices and its runs, gathered and drawn."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from etf_trader.cli.invocation import invocation
from etf_trader.cli.numbers import count, duration, joined, local_time
from etf_trader.cli.output import Page, Table, bad, good, look, right, text

if TYPE_CHECKING:
    from etf_trader.bootstrap import Services
    from etf_trader.config import Settings
    from etf_trader.cron.crontab import Marked
    from etf_trader.cron.job import Job
    from etf_trader.cron.runs import Run, RunLog
    from etf_trader.rebalance.calendars import IndexCalendar

SHOWN_RUNS = 5


@dataclass(frozen=True, slots=True)
class Scheduled:
    """A configuration's job, the minutes that its calendars ask for, its marked line, and what it rebalances.

    `others` is how many lines of other configurations run.
    """

    job: Job
    minutes: str
    found: Marked | None
    calendars: Sequence[IndexCalendar]
    warnings: Sequence[str]
    log: RunLog
    others: int

    @property
    def is_current(self) -> bool:
        """Whether the line is the one that would be installed now."""
        return self.found is not None and self.found.line == self.job.line(self.minutes)

    @property
    def next_run(self) -> datetime | None:
        """When cron starts it next; None where it does not."""
        from etf_trader.clock import SystemClock
        from etf_trader.cron.job import next_run

        if self.found is None or not self.found.is_on:
            return None
        return next_run(self.found.cron, SystemClock().now().astimezone())

    def document(self) -> dict[str, Any]:
        """Return it as plain values."""
        return {
            "id": self.job.id,
            "installed": self.found is not None,
            "enabled": self.found is not None and self.found.is_on,
            "current": self.is_current,
            "line": None if self.found is None else self.found.line,
            "next_run": self.next_run,
            "log": str(self.log.path),
            "others": self.others,
            "warnings": list(self.warnings),
            "indices": [_facts(each) for each in self.calendars],
        }


def job_here(*, is_live: bool = False) -> Job:
    """Return what cron would start for the configuration of this command."""
    import pwd

    from etf_trader.config import data_folder, find_project_file
    from etf_trader.cron.job import CARRIED, Job

    project = find_project_file(Path.cwd(), invocation().config, os.environ)
    carried = {name: os.environ[name] for name in CARRIED if os.environ.get(name)}
    if "PYTHONPATH" in carried:
        parts = carried["PYTHONPATH"].split(os.pathsep)
        carried["PYTHONPATH"] = os.pathsep.join(str(Path(part).resolve()) for part in parts)
    if os.environ.get("HOME", "") not in ("", pwd.getpwuid(os.getuid()).pw_dir):
        carried["HOME"] = os.environ["HOME"]
    config = None if project is None else project.resolve()
    return Job(Path(sys.executable), data_folder(project).resolve(), config, carried, is_live)


def log_of(job: Job) -> RunLog:
    """Return the log of a job's runs, in the platform's folder for what programs leave behind."""
    import platformdirs

    from etf_trader.clock import SystemClock
    from etf_trader.config import APP
    from etf_trader.cron.runs import RunLog

    return RunLog(Path(platformdirs.user_state_dir(APP)) / "schedule", job.id, SystemClock())


def crontab_lock(job: Job) -> Path:
    """Return the file that keeps two of us from changing the crontab at the same time."""
    return log_of(job).path.with_name("crontab.lock")


def calendars_of(opened: Services) -> list[IndexCalendar]:
    """Return how the calendars of the account's open indices stand, by the clock that they go by."""
    from etf_trader.clock import SystemClock
    from etf_trader.orders.rebalances import due_dates
    from etf_trader.rebalance.calendars import calendars
    from etf_trader.venue import PAPER

    # The clock of a venue elsewhere is this machine's until it has been asked, for which keys are needed.
    now = opened.clock.now() if opened.account.environment == PAPER else SystemClock().now()
    with opened.database.read() as connection:
        return calendars(connection, now, due_dates(connection, opened.account.id), opened.account.id)


def scheduled(settings: Settings, calendars: Sequence[IndexCalendar], crontab: bytes) -> Scheduled:
    """Return how the configuration stands with this crontab."""
    from etf_trader.cron.crontab import marked, other_lines
    from etf_trader.venue import LIVE

    job = job_here(is_live=settings.environment == LIVE)
    found = marked(crontab, job.mark)
    others = len(other_lines(crontab, job.mark))
    return Scheduled(job, minutes_of(calendars), found, calendars, _warnings(settings, found), log_of(job), others)


def minutes_of(calendars: Sequence[IndexCalendar]) -> str:
    """Return the minutes of an hour at which these indices may become due, in the machine's zone."""
    from etf_trader.clock import SystemClock
    from etf_trader.cron.job import minutes_for

    offset = SystemClock().now().astimezone().utcoffset()
    assert offset is not None
    return minutes_for([each.cron for each in calendars if each.cron is not None], offset)


def _warnings(settings: Settings, found: Marked | None) -> list[str]:
    """Return what keeps an installed line from doing its work."""
    from etf_trader.bootstrap import key_file
    from etf_trader.cron.crontab import is_served
    from etf_trader.venue import PAPER

    warnings = []
    if found is not None and not is_served():
        warnings.append(
            "No cron service seems to run on this machine: nothing starts the line. Start it, for example with "
            "sudo systemctl enable --now cron, or service cron start."
        )
    if settings.environment == PAPER:
        if settings.exchange.clock == "stepped":
            warnings.append("The clock of this exchange moves by steps: no date falls due by itself.")
        return warnings
    from etf_trader.venue.binance.keys import variables

    names = variables(settings.environment)
    if any(os.environ.get(name) for name in names):
        warnings.append(
            f"{joined(names)} are set in this shell, and cron does not have them: write them into "
            f"{key_file(settings)} (chmod 600)."
        )
    return warnings


def spoken_cron(cron: str) -> str:
    """Return when a line runs, in words where it is one that we install."""
    from etf_trader.cron.job import EVERY_FIVE

    minutes, _, others = cron.partition(" ")
    if cron == f"{EVERY_FIVE} * * * *":
        return "every five minutes"
    each = minutes.split(",")
    if others != "* * * *" or not all(minute.isdecimal() for minute in each):
        return f"at {cron!r}"
    return f"at minute{'s' if len(each) > 1 else ''} {joined(each)} of every hour"


def draw_schedule(page: Page, now: Scheduled) -> None:
    """Draw the line, its log, what is wrong with it, and when each index is rebalanced next."""
    if now.found is not None:
        page.fields([("line", now.found.line), ("log", str(now.log.path))])
    if now.others:
        lines = count(now.others, "line of another configuration", "lines of other configurations")
        page.line(f"Your crontab has {lines} too; crontab -l shows all.")
    for warning in now.warnings:
        page.line(look(warning))
    if now.calendars:
        table = Table(text("index"), text("calendar (UTC)"), text("next rebalance", wrap=True))
        for each in now.calendars:
            table.row(each.index.symbol, each.cron or "-", next_rebalance(each))
        page.line()
        page.table(table)


def next_rebalance(calendar: IndexCalendar) -> str:
    """Return when an index is rebalanced next, in words."""
    at = calendar.standing
    if at.due_at is not None:
        return look(f"due now, since {local_time(at.due_at, seconds=False)}")
    return "never: a fixed basket" if at.next_at is None else local_time(at.next_at, seconds=False)


def draw_runs(page: Page, runs: Sequence[Run]) -> None:
    """Draw the last runs, newest first."""
    if not runs:
        return
    table = Table(text("last runs"), right("took"), text("result"), text("what it said", shrink=True, optional=1))
    for run in runs[:SHOWN_RUNS]:
        took = "" if run.ended is None else duration(run.ended - run.began)
        table.row(local_time(run.began), took, _result(run), run.said)
    page.line()
    page.table(table)


def _result(run: Run) -> str:
    from etf_trader.cron.runs import RunState

    words: Mapping[RunState, str] = {
        RunState.RUNNING: look("still at work"),
        RunState.SKIPPED: "skipped: another was at work",
        RunState.LOST: bad("broken off"),
    }
    if run.state is not RunState.ENDED:
        return words[run.state]
    return (good if run.exit == 0 else bad)(f"exit {run.exit}")


def _facts(calendar: IndexCalendar) -> dict[str, Any]:
    return {
        "index": calendar.index.id,
        "symbol": calendar.index.symbol,
        "calendar": calendar.cron,
        "due": calendar.standing.due,
        "due_at": calendar.standing.due_at,
        "next_at": calendar.standing.next_at,
    }
