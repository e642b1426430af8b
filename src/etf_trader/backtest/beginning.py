"""When a run begins, and on which days something is due: by what was known on each morning, and no more. Pure.

A fund begins on the morning that was asked for, or, where nothing can be decided then,
as soon as it can be, at the latest when its calendar is next due. Without a day it
begins on the first morning on which its rulebook can be followed.
"""

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from typing import NamedTuple

from etf_trader.backtest.decisions import Decider
from etf_trader.errors import DataError, EtfError, StaleCaps, UsageError
from etf_trader.index.methodology import next_due


class Hindrance(NamedTuple):
    """Why nothing could be decided on a morning."""

    morning: int
    error: EtfError

    def told(self) -> str:
        """Return the reason with its day."""
        return f"on {date.fromordinal(self.morning)}, {self.error}"


class Beginning(NamedTuple):
    """The morning on which a fund begins and the day that was due on; `late` tells of one later than the first."""

    due: int
    morning: int
    late: str | None


def beginning(decider: Decider, cron: str, asked: date | None, first: int, end: int) -> Beginning:
    """Return when a run begins.

    Args:
        decider: Of the rulebook.
        cron: Its calendar.
        asked: The morning that was asked for; None: the first that will do.
        first: The first morning that knows anything.
        end: The last morning there is.

    Raises:
        UsageError: the rulebook can be followed, and not when it was asked for; says from when on.
        DataError: it can be followed on no morning; says why.
    """
    start = first if asked is None else asked.toordinal()
    if start > end:
        raise DataError(
            "there is no day between --from and --to that has prices",
            hint="name days that the candles or the market caps reach, or leave both out",
        )
    why: Hindrance | None = None
    for morning in range(start, end + 1):
        try:
            decider.decide(morning - 1, ())
        except (DataError, UsageError) as error:
            why = weightier(why, morning, error)
            continue
        if why is None:
            return Beginning(morning, morning, None)
        day = date.fromordinal(morning)
        late = f"begun on {day}, not on {date.fromordinal(start)}: {why.told()}"
        if asked is None:
            return Beginning(morning, morning, late)
        if morning <= next(due_days(cron, start, end), end):
            return Beginning(start, morning, late)
        raise UsageError(
            f"the rulebook cannot be followed on {asked}, but from {day} on: {why.told()}",
            where="--from",
            hint=f"--from {day}",
        )
    assert why is not None
    raise DataError(
        f"the rulebook cannot be followed on any day from {date.fromordinal(start)} to {date.fromordinal(end)}: "
        f"{why.told()}",
        where=why.error.where,
        hint=why.error.hint,
    )


def weightier(so_far: Hindrance | None, morning: int, error: EtfError) -> Hindrance:
    """Return what tells best why nothing could be decided up to a morning.

    The last reason, for it is what was in the way to the end; that a table of market
    caps has aged says something only where nothing else was in the way while it was new.
    """
    if so_far is not None and isinstance(error, StaleCaps):
        return so_far
    return Hindrance(morning, error.with_traceback(None))  # which would keep all that was made on the way


def due_days(cron: str, after: int, end: int) -> Iterator[int]:
    """Yield the days later than `after` and up to `end` on which a calendar names a time, each once."""
    last, at = after, morning_of(after + 1) - timedelta(microseconds=1)
    while True:
        at = next_due(cron, at)
        if at.toordinal() > end:
            return
        if at.toordinal() > last:
            last = at.toordinal()
            yield last


def morning_of(day: int) -> datetime:
    """Return the first moment of a day."""
    return datetime.combine(date.fromordinal(day), time(), UTC)
