"""What is started by itself: for which configuration, by which interpreter, at which minutes. Pure.

The line in the crontab ends in a comment that marks it as ours, one for each configuration:

    11 * * * * cd /home/me/fund && /opt/etf/bin/python -P -m etf_trader ... # etf-trader schedule 5fd924625f6a
"""

import hashlib
import shlex
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

from cronsim import CronSim, CronSimError

from etf_trader.errors import UsageError

MARK = "# etf-trader schedule"
CARRIED = ("PYTHONPATH", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME")
"""Variables that say where things lie. Cron does not have those of a shell, so the line brings them along."""

LONGEST_LINE = 990
"""Debian's cron takes 999 characters."""

USUAL_MINUTE = 10
MOST_MINUTES = 12
EVERY_FIVE = "*/5"


@dataclass(frozen=True, slots=True)
class Job:
    """One configuration's scheduled runs.

    `config` is its file, None where the platform's folders and defaults are all there is; `folder` is where runs
    begin. `environment` holds what of `CARRIED` was set. `is_live` says that it was agreed to trade real money:
    the line says so, and one that does not never will.
    """

    interpreter: Path
    folder: Path
    config: Path | None
    environment: Mapping[str, str] = field(default_factory=dict)
    is_live: bool = False

    @property
    def id(self) -> str:
        """What tells this configuration's line, log and lock from those of others."""
        return hashlib.sha256(str(self.config or self.folder).encode()).hexdigest()[:12]

    @property
    def mark(self) -> str:
        """The comment at the end of its line."""
        return f"{MARK} {self.id}"

    @property
    def etf(self) -> list[str]:
        """The words that start `etf` with its configuration, whatever the folder holds."""
        config = () if self.config is None else ("--config", str(self.config))
        return [str(self.interpreter), "-P", "-m", "etf_trader", *config]

    @property
    def run(self) -> list[str]:
        """The words after them that make one run."""
        return ["--quiet", "schedule", "run", *(["--yes"] if self.is_live else [])]

    def shell_words(self, *words: str) -> str:
        """Return a command line for `sh` that runs `etf` with these words where nothing else is set."""
        carried = [f"{name}={value}" for name, value in self.environment.items()]
        return f"cd {shlex.quote(str(self.folder))} && " + shlex.join(
            [*(["/usr/bin/env", *carried] if carried else []), *self.etf, *words]
        )

    def line(self, minutes: str) -> str:
        """Return its line for a crontab.

        Raises:
            UsageError: a path cannot be written so that every cron reads it alike.
        """
        command = self.shell_words(*self.run)
        if "\\" in command or not command.isprintable():
            raise UsageError(
                "a path with a backslash or a line break cannot stand in a crontab",
                where=repr(str(self.config or self.folder)),
                hint="give the folder another name",
            )
        # Cron takes a percent sign for the end of the line.
        line = f"{minutes} * * * * {command.replace('%', chr(92) + '%')} {self.mark}"
        if len(line.encode()) > LONGEST_LINE:
            raise UsageError(
                f"the line would be {len(line.encode())} bytes long, and cron takes {LONGEST_LINE}",
                where=str(self.config or self.folder),
                hint="unset PYTHONPATH, or use shorter paths or etf schedule install --systemd",
            )
        return line


def minutes_for(calendars: Iterable[str], offset: timedelta) -> str:
    """Return the minute field of an hourly line: the minute after each that the calendars name.

    Every hour, though a calendar may name one hour a month: a machine that slept through it is late by less than
    an hour. The minute after, because the clock of the venue may be a moment behind this machine's.

    Args:
        calendars: Cron expressions, in UTC.
        offset: What the machine's zone adds to UTC: some zones are off by half an hour.
    """
    named = {minute for cron in calendars for minute in CronSim(cron, _EPOCH).minutes} or {USUAL_MINUTE}
    if len(named) > MOST_MINUTES:
        return EVERY_FIVE
    shift = int(offset.total_seconds()) // 60 + 1
    return ",".join(map(str, sorted((minute + shift) % 60 for minute in named)))


def next_run(cron: str, after: datetime) -> datetime | None:
    """Return when a line next runs; None where its fields are not five that can be read.

    Args:
        after: In the machine's zone, which cron goes by.
    """
    try:
        return next(CronSim(cron, after), None) if len(cron.split()) == 5 else None
    except CronSimError:
        return None


_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 - only the fields of an expression are read with it
