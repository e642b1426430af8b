"""When the venue says wait, everybody of the account, or of the host, waits; it is written down."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, insert, or_, select

from etf_trader.errors import RateLimited
from etf_trader.execution.tables import pauses


@dataclass(frozen=True, slots=True)
class Pause:
    """Until when nothing may be sent, and what the venue said."""

    at: datetime
    until: datetime
    reason: str
    host: str | None


def note_pause(connection: Connection, account_id: int, host: str, error: RateLimited, now: datetime) -> datetime:
    """Write down that the venue wants to be left alone, and return until when.

    A limit on orders is the account's, one on requests the host's.
    """
    until = now + timedelta(seconds=error.retry_after)
    whose = {"account_id": None, "host": host} if error.is_of_host else {"account_id": account_id, "host": None}
    connection.execute(insert(pauses), {"at": now, "until": until, "reason": error.message, **whose})
    return until


def paused_until(connection: Connection, account_id: int | None, host: str, now: datetime) -> datetime | None:
    """Return until when nothing may be sent for this account, if any, from this host; None: it may."""
    query = select(pauses.c.until).where(
        pauses.c.until > now, or_(pauses.c.account_id == account_id, pauses.c.host == host)
    )
    return max(connection.scalars(query), default=None)


def last_pauses(connection: Connection, account_id: int, host: str, most: int) -> list[Pause]:
    """Return what the venue said last, newest first."""
    query = (
        select(pauses)
        .where(or_(pauses.c.account_id == account_id, pauses.c.host == host))
        .order_by(pauses.c.id.desc())
        .limit(most)
    )
    return [Pause(row.at, row.until, row.reason, row.host) for row in connection.execute(query)]
