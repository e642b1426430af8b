"""`--as-of`, `--from`, `--to` and `--year`: which span of time a report is about."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from etf_trader.cli.commands import WHAT
from etf_trader.cli.options import option
from etf_trader.clock import SystemClock
from etf_trader.errors import ConfigError, UsageError

if TYPE_CHECKING:
    from etf_trader.bootstrap import Services
    from etf_trader.reports.period import Period

_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")
_MOMENT = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}(:\d{2}(\.\d{1,6})?)?(Z|[+-]\d{2}:\d{2})?")


def read_moment(text: str) -> datetime:
    """Return the moment that was typed: a date is its beginning in UTC, a time has a zone."""
    wanted = f"{text!r} is not a moment; write a date like 2026-03-01, or a time like 2026-03-01T15:00Z"
    if not (_DAY.fullmatch(text) or _MOMENT.fullmatch(text)):
        raise typer.BadParameter(wanted)
    try:
        moment = datetime.fromisoformat(text)
        if _DAY.fullmatch(text):
            return moment.replace(tzinfo=UTC)
        if moment.tzinfo is None:
            raise typer.BadParameter(f"{text!r} has no zone; write {text}Z for UTC, or {text}+01:00")
        return moment.astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise typer.BadParameter(wanted) from error


def read_year(text: str) -> int:
    """Return the year that was typed."""
    if not re.fullmatch(r"[12]\d{3}", text, re.ASCII):
        raise typer.BadParameter(f"{text!r} is not a year; write it as 2026")
    return int(text)


AsOfOption = Annotated[
    datetime | None,
    option(
        "--as-of",
        WHAT,
        "As it stood just before this moment: a date (its beginning in UTC), or a time with its zone.  "
        "[default: now]",
        "DATE|TIME",
        read_moment,
    ),
]
FromOption = Annotated[
    datetime | None,
    option(
        "--from",
        WHAT,
        "The first moment: a date (its beginning in UTC), or a time with its zone.  [default: the beginning]",
        "DATE|TIME",
        read_moment,
    ),
]
ToOption = Annotated[
    datetime | None,
    option(
        "--to",
        WHAT,
        "The first moment that is left out: a date (its beginning in UTC), or a time with its zone.  "
        "[default: now]",
        "DATE|TIME",
        read_moment,
    ),
]
YearOption = Annotated[int | None, option("--year", WHAT, "A calendar year in UTC.", "YEAR", read_year)]


def period_typed(
    opened: Services, since: datetime | None, until: datetime | None, year: int | None = None
) -> Period:
    """Return the span that was typed.

    Raises:
        UsageError: it is none, lies in the future, or is typed in two ways.
    """
    from etf_trader.reports.period import ALWAYS, period_of, year_period

    if year is not None and (since is not None or until is not None):
        raise UsageError("--year and --from or --to say different things", where="--year", hint="leave one out")
    if year is not None:
        return year_period(year, now_of(opened))
    return ALWAYS if since is None and until is None else period_of(since, until, now_of(opened))


def require_past_moment(opened: Services, moment: datetime | None) -> None:
    """Check that `--as-of` is not later than now.

    Raises:
        UsageError: it is.
    """
    from etf_trader.reports.period import require_past

    if moment is not None:
        require_past("--as-of", moment, now_of(opened))


def span_text(period: Period) -> str:
    """Return a span of time as a report says it."""
    from etf_trader.reports.period import moment_text

    since = "" if period.since is None else f"from {moment_text(period.since)}"
    until = "" if period.until is None else f"up to {moment_text(period.until)}"
    return " ".join(part for part in (since, until) if part) or "since the beginning"


def now_of(opened: Services) -> datetime:
    """Return the time of the venue; of this machine where there is no venue."""
    try:
        return opened.clock.now()
    except ConfigError:
        return SystemClock().now()
