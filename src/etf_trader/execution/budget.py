"""The venue's order budget: how many orders may still be sent in each window, counted in the database."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlalchemy import Connection, Select, insert, select, update

from etf_trader.orders.tables import slot_uses
from etf_trader.venue.interface import OrderLimit

GUARD = timedelta(milliseconds=100)
"""Nothing is granted so shortly before a window ends that the venue may count it in the next."""


@dataclass(frozen=True, slots=True)
class Budget:
    """How many slots are free now, and when more are."""

    free: int
    next_window: datetime


def window_start(now: datetime, seconds: int) -> datetime:
    """Return when the venue's window of this length that holds `now` began; windows are fixed on its clock."""
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    return epoch + (now - epoch) // timedelta(seconds=seconds) * timedelta(seconds=seconds)


def budget(connection: Connection, account_id: int, limits: Sequence[OrderLimit], now: datetime) -> Budget:
    """Return the free slots of the account under all limits together."""
    free, opens = None, now
    for limit in limits:
        start = window_start(now, limit.seconds)
        end = start + timedelta(seconds=limit.seconds)
        used = connection.scalar(_used(account_id, limit, start)) or 0
        left = 0 if end - now <= GUARD else max(0, limit.limit - used)
        if free is None or left < free:
            free, opens = left, end
        elif left == free:
            opens = max(opens, end)
    return Budget(10**9 if free is None else free, opens)


def use(connection: Connection, account_id: int, limits: Sequence[OrderLimit], now: datetime, count: int) -> None:
    """Take `count` slots in every window that holds `now`."""
    for limit in limits:
        start = window_start(now, limit.seconds)
        used = connection.scalar(_used(account_id, limit, start))
        if used is None:
            row = {"account_id": account_id, "seconds": limit.seconds, "window_start": start, "used": count}
            connection.execute(insert(slot_uses), row)
        else:
            connection.execute(
                update(slot_uses)
                .where(
                    slot_uses.c.account_id == account_id,
                    slot_uses.c.seconds == limit.seconds,
                    slot_uses.c.window_start == start,
                )
                .values(used=used + count)
            )


def _used(account_id: int, limit: OrderLimit, start: datetime) -> Select[int]:
    return select(slot_uses.c.used).where(
        slot_uses.c.account_id == account_id,
        slot_uses.c.seconds == limit.seconds,
        slot_uses.c.window_start == start,
    )
