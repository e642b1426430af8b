"""Which indices of a database are due, by the calendars of their rulebooks."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy import Connection

from etf_trader.index.history import Version, versions_of
from etf_trader.index.store import Index, list_indices
from etf_trader.rebalance.due import Standing, Term, standing

Done = Mapping[int, Collection[date]]
"""The due dates that are done, by the number of the index."""


@dataclass(frozen=True, slots=True)
class IndexCalendar:
    """An open index, the cron expression in force (None: a fixed basket, never due), and how it stands."""

    index: Index
    cron: str | None
    standing: Standing


def calendars(
    connection: Connection, now: datetime, done: Done, account_id: int | None = None
) -> list[IndexCalendar]:
    """Return how the calendars of the open indices stand, of one account or of all, oldest index first."""
    found = []
    for index in list_indices(connection, account_id):
        if index.is_open:
            terms = terms_of(versions_of(connection, index.id))
            at = standing(terms, done.get(index.id, ()), now)
            found.append(IndexCalendar(index, terms[-1].cron, at))
    return found


def terms_of(versions: Sequence[Version]) -> list[Term]:
    """Return the calendars that an index has had, oldest first."""
    return [Term(each.effective_at, None if each.rules is None else each.rules.calendar.cron) for each in versions]
