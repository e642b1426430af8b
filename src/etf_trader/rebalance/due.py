"""When an index is to be rebalanced: by its calendars, by what is done already, and by the time. Pure.

A rebalance belongs to a due date: the UTC date of a moment that the calendar names. Whatever asks, however often
and however late, gets the newest due date, once: older ones that were missed are not made up for one by one.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time

from cronsim import CronSim

from etf_trader.index.methodology import next_due


@dataclass(frozen=True, slots=True)
class Term:
    """A calendar in force: from after `since` to where the next term begins; without a `cron` nothing is due."""

    since: datetime
    cron: str | None


@dataclass(frozen=True, slots=True)
class Standing:
    """What the calendars ask for at a moment.

    `due` is the date that is open now and `due_at` the moment that named it; `next_at` is the first moment after
    now that opens another date. Each is None where there is none.
    """

    due: date | None
    due_at: datetime | None
    next_at: datetime | None


def standing(terms: Sequence[Term], done: Collection[date], now: datetime) -> Standing:
    """Return which due date is open at `now`, and when the next one opens.

    Args:
        terms: The calendars of an index, oldest first; the first begins when the index was created. What one
            calendar named stays due when another takes its place.
        done: The due dates of the rebalances there were, in any order. One that lies beyond the next due moment
            was done by a clock that ran ahead and was set back: it closes its own date and no other.
        now: Aware, UTC.
    """
    named, coming = _last_named(terms, now), _next_named(terms, now)
    known = [each for each in done if coming is None or each <= coming.date()]
    is_open = named is not None and named.date() not in done and (not known or max(known) < named.date())
    due = named if is_open else None
    taken = set(done) if due is None else {*done, due.date()}
    while coming is not None and coming.date() in taken:
        coming = _next_named(terms, datetime.combine(coming.date(), time.max, UTC))
    return Standing(None if due is None else due.date(), due, coming)


def _last_named(terms: Sequence[Term], until: datetime) -> datetime | None:
    """Return the last moment up to `until` that a calendar named while it was in force."""
    for term in reversed(terms):
        if term.cron is not None and term.since < until:
            moment = _last_of(term.cron, until)
            if moment is not None and moment > term.since:
                return moment
        until = min(until, term.since)
    return None


def _next_named(terms: Sequence[Term], after: datetime) -> datetime | None:
    """Return the first moment after `after` that a calendar names while it is in force."""
    for number, term in enumerate(terms):
        end = terms[number + 1].since if number + 1 < len(terms) else None
        if term.cron is None or (end is not None and end <= after):
            continue
        moment = next_due(term.cron, max(after, term.since))
        if end is None or moment <= end:
            return moment
    return None


def _last_of(cron: str, until: datetime) -> datetime | None:
    """Return the last moment that an expression names, `until` included."""
    # Backwards a fraction of a second counts as not yet begun: with one the whole second itself is found.
    return next(CronSim(cron, until.replace(microsecond=1), reverse=True), None)
