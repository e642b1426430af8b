"""`etf schedule`: lets cron rebalance what is due, and tells how its runs come out."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from etf_trader.cli.commands import HOW, command, group
from etf_trader.cli.invocation import output
from etf_trader.cli.numbers import local_time
from etf_trader.cli.options import LiveYesOption
from etf_trader.cli.output import Page, good, look
from etf_trader.cli.scheduled import (
    calendars_of,
    crontab_lock,
    draw_runs,
    draw_schedule,
    job_here,
    log_of,
    minutes_of,
    scheduled,
    spoken_cron,
)
from etf_trader.cli.services import services
from etf_trader.errors import ConfigError, EtfError
from etf_trader.venue import LIVE

if TYPE_CHECKING:
    from etf_trader.cli.scheduled import Scheduled
    from etf_trader.config import Settings
    from etf_trader.cron.job import Job

app = group()

TYPED = "etf rebalance --due"
SECONDS = 30

SystemdOption = Annotated[
    bool,
    typer.Option("--systemd", help="Print a timer for systemd instead; write nothing.", rich_help_panel=HOW),
]


@command(
    app,
    "install",
    examples=(
        "etf schedule install              one line in your crontab; a second time nothing changes",
        "etf schedule install --systemd    a timer for systemd, printed",
    ),
)
def install(systemd: SystemdOption = False, yes: LiveYesOption = False) -> None:
    """Put one line into your crontab that rebalances, every hour, what is due by its calendar."""
    from etf_trader.cli.real_money import confirm_live
    from etf_trader.cron.crontab import Crontab, with_line

    with services() as opened:
        require_known_to_cron(opened.settings)
        confirm_live(opened, "Rebalance by itself", yes=yes)
        calendars = calendars_of(opened)
    job = job_here(is_live=opened.settings.environment == LIVE)
    if systemd:
        _print_units(job, minutes_of(calendars))
        return
    crontab, line = Crontab.of_this_user(), job.line(minutes_of(calendars))
    require_start(job)
    before, after = crontab.change(lambda text: with_line(text, job.mark, line), crontab_lock(job))
    now = scheduled(opened.settings, calendars, after)

    def draw(page: Page) -> None:
        done = "Installed" if after != before else "Installed already"
        page.line(f"{good(done)}: {_when(now)}")
        draw_schedule(page, now)
        page.line()
        page.line("How its runs come out: etf schedule show. To end them: etf schedule remove.")

    output().emit("etf.schedule/1", {"changed": after != before, **now.document()}, draw)


@command(app, "show", examples=("etf schedule show", "etf schedule show --json"), csv="runs")
def show() -> None:
    """Show whether cron rebalances by itself, when next, what is due when, and how the last runs came out."""
    from etf_trader.cron.crontab import Crontab

    with services() as opened:
        calendars = calendars_of(opened)
    problem: EtfError | None = None
    try:
        crontab = Crontab.of_this_user().read()
    except EtfError as error:
        problem, crontab = error, b""
    now = scheduled(opened.settings, calendars, crontab)
    runs = now.log.runs()

    def draw(page: Page) -> None:
        page.line(_standing(now, problem))
        draw_schedule(page, now)
        draw_runs(page, runs)

    told = None if problem is None else problem.message
    payload = {**now.document(), "problem": told, "runs": [asdict(run) for run in runs]}
    columns = ("process", "began", "state", "ended", "exit", "said")
    output().emit("etf.schedule/1", payload, draw, columns=columns)


@command(app, "remove", examples=("etf schedule remove",))
def remove() -> None:
    """Take the line of this configuration out of your crontab; all others stay as they are."""
    from etf_trader.cron.crontab import Crontab, marked, without_line

    job, crontab = job_here(), Crontab.of_this_user()
    before, _ = crontab.change(lambda text: without_line(text, job.mark), crontab_lock(job))
    found = marked(before, job.mark)

    def draw(page: Page) -> None:
        if found is None:
            page.line("Nothing to remove: your crontab has no line for this configuration.")
        else:
            page.line(f"{good('Removed')} from your crontab: nothing is rebalanced by itself any more.")

    payload = {"changed": found is not None, "id": job.id, "line": None if found is None else found.line}
    output().emit("etf.schedule/1", payload, draw)


@command(app, "run", examples=("etf schedule run    what cron starts",))
def run(yes: LiveYesOption = False) -> None:
    """Run etf rebalance --due once, alone; what it says and its exit code go into the log."""
    job = job_here()
    log = log_of(job)
    code, said = None, ""
    with log.alone() as lock:
        if lock is None:
            log.skip()
        else:
            agreed = ["--yes"] if yes else []
            code, said = log.run([*job.etf, "rebalance", "--due", *agreed], TYPED, lock)

    def draw(page: Page) -> None:
        if code is None:
            page.line("Another run is still at work: nothing was done.")
            return
        page.line(said.rstrip("\n"))
        page.line(f"Exit code {code}. The log is {log.path}")

    # Cron mails what is printed, to who has mail: a run that went well says nothing there.
    if code or not (output().quiet and output().is_table):
        payload = {"ran": code is not None, "exit": code, "said": said, "log": str(log.path)}
        output().emit("etf.schedule_run/1", payload, draw)
    if code:
        raise typer.Exit(code)


def require_known_to_cron(settings: Settings) -> None:
    """Refuse settings that cron would not have: it would work on something else.

    Raises:
        ConfigError: a setting comes from the environment of this shell, or another file would be found.
    """
    from etf_trader.config import PROJECT_FILE, data_folder, find_project_file

    given = [name for name, source in settings.sources.items() if source.startswith("environment")]
    if given:
        raise ConfigError(
            f"{given[0]} is set in this shell, and cron would not know of it",
            where=settings.sources[given[0]],
            hint=f"write it down: etf config set {given[0]} VALUE, and unset the variable",
        )
    if settings.project_file is None:
        other = find_project_file(data_folder(None), None, {})
        if other is not None:
            raise ConfigError(
                f"cron would find another {PROJECT_FILE} than you use here",
                where=str(other),
                hint="name the one that is meant: etf --config FILE schedule install",
            )


def require_start(job: Job) -> None:
    """Refuse a job that does not start where nothing but cron's own variables is set.

    Raises:
        ConfigError: says what it said.
    """
    import os
    import pwd
    import subprocess

    bare = {"HOME": pwd.getpwuid(os.getuid()).pw_dir, "SHELL": "/bin/sh", "PATH": "/usr/bin:/bin"}
    done = subprocess.run(
        ["/bin/sh", "-c", job.shell_words("--version")],
        env=bare,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=SECONDS,
        check=False,
        text=True,
    )
    if done.returncode:
        told = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
        raise ConfigError(
            f"etf does not start the way cron would start it: {told}",
            where=job.shell_words("--version"),
            hint="repair what it says; nothing was installed",
        )


def _print_units(job: Job, minutes: str) -> None:
    from etf_trader.cron.systemd import FOLDER, units

    made = units(job, minutes)
    timer = made[1].name

    def draw(page: Page) -> None:
        for unit in made:
            page.verbatim(f"# {FOLDER}/{unit.name}\n{unit.text}\n")
        page.verbatim(
            "# Nothing was written. With these two files in place:\n"
            f"#   systemctl --user daemon-reload && systemctl --user enable --now {timer}\n"
            "#   loginctl enable-linger    so that it also runs while you are not logged in"
        )

    payload = {"changed": False, "id": job.id, "units": [asdict(unit) for unit in made]}
    output().emit("etf.schedule/1", payload, draw)


def _standing(now: Scheduled, problem: EtfError | None) -> str:
    """Return whether cron rebalances by itself, and what to do about it."""
    if problem is not None:
        hint = (problem.hint or "").replace("\n", " ")
        return f"{look('Nothing is installed')}: {problem.message}. {hint[:1].upper()}{hint[1:]}".rstrip()
    if now.found is None:
        return (
            "Not installed: your crontab has no line for this configuration. To install it: etf schedule install"
        )
    if not now.found.is_on:
        return f"{look('Switched off')}: there is a # before the line. To switch it on: etf schedule install"
    behind = "" if now.is_current else f" {look('It is out of date')}: etf schedule install renews it."
    return f"Installed: {_when(now)}{behind}"


def _when(now: Scheduled) -> str:
    assert now.found is not None
    following = "" if now.next_run is None else f", next at {local_time(now.next_run, seconds=False)}"
    return f"cron runs {TYPED} {spoken_cron(now.found.cron)}{following}."
