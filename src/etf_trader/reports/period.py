"""A span of time that a report is about: from its beginning up to its end, which is no part of it."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from etf_trader.errors import UsageError


@dataclass(frozen=True, slots=True)
class Period:
    """All moments `since` or later and before `until`; None: without a bound on that side."""

    since: datetime | None = None
    until: datetime | None = None

    @property
    def is_always(self) -> bool:
        """Whether it has no bounds."""
        return self.since is None and self.until is None

    def holds(self, at: datetime) -> bool:
        """Whether a moment lies in it."""
        return (self.since is None or at >= self.since) and (self.until is None or at < self.until)


ALWAYS = Period()


def moment_text(at: datetime) -> str:
    """Return a moment as it is typed: a day where it is the beginning of one, in UTC."""
    at = at.astimezone(UTC)
    is_day = not (at.hour or at.minute or at.second or at.microsecond)
    return at.strftime("%Y-%m-%d") if is_day else at.isoformat().replace("+00:00", "Z")


def period_of(since: datetime | None, until: datetime | None, now: datetime) -> Period:
    """Return the span from `since` up to `until`.

    Raises:
        UsageError: it ends before it begins, or a moment lies in the future.
    """
    for name, moment in (("--from", since), ("--to", until)):
        require_past(name, moment, now)
    if since is not None and until is not None and since >= until:
        raise UsageError(
            f"--from {moment_text(since)} is not before --to {moment_text(until)}: nothing lies between them",
            where="--to",
            hint="--to is the first moment that is left out: all of January is --from 2026-01-01 --to 2026-02-01",
        )
    return Period(since, until)


def year_period(year: int, now: datetime) -> Period:
    """Return a calendar year in UTC; the present one up to now.

    Raises:
        UsageError: it has not begun.
    """
    begins = datetime(year, 1, 1, tzinfo=UTC)
    if begins > now:
        raise UsageError(f"{year} has not begun: it is {moment_text(now)}", where="--year")
    return Period(begins, datetime(year + 1, 1, 1, tzinfo=UTC))


def require_past(name: str, moment: datetime | None, now: datetime) -> None:
    """Check that a moment that was typed is not later than now.

    Raises:
        UsageError: it is.
    """
    if moment is not None and moment > now:
        raise UsageError(
            f"{name} {moment_text(moment)} lies in the future: it is {moment_text(now)}",
            where=name,
            hint=f"leave {name} out for all up to now",
        )


def within(column: Any, period: Period) -> list[Any]:
    """Return the conditions that a column of times lies in a period."""
    found = [column >= period.since] if period.since is not None else []
    return [*found, column < period.until] if period.until is not None else found
