"""The venue's order budget: how many orders may still be sent, by what we granted and by what the venue counts.

The venue counts unfilled orders in windows fixed on its clock; the first fill of
an order gives its slot back, a little later. Its own count comes with each
answer. What it cannot have in it - what was granted since, or may still arrive -
is added; fills that came after it are taken off once they are a second old. So
what we think used is never less than what the venue counts, foreign orders
between two answers apart.

Source:
    Binance Spot API: order_count_decrement.md, limits.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlalchemy import ColumnElement, Connection, delete, func, insert, select, update

from etf_trader.execution.tables import slot_uses, venue_counts
from etf_trader.venue.interface import OrderCount, OrderLimit, Venue

SHOWN_AFTER = timedelta(seconds=1)
"""A slot that a fill gives back is in the venue's count at the latest this long after the fill."""

MOST_GUARD = timedelta(milliseconds=100)
"""The edges of a window that are left alone are at most so wide."""

WORTH_WAITING = 60
"""For a window of so many seconds at most a batch waits until it can be sent whole."""

SILENT_LIMITS = (OrderLimit(10, 100), OrderLimit(86_400, 200_000))
"""What holds where the venue names no limit on orders."""

KEPT = timedelta(days=2)

NO_TIME = timedelta(0)
_INSTANT = timedelta(microseconds=1)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_TOLD = (venue_counts.c.seconds, venue_counts.c["count"].label("told"), venue_counts.c.counted_at)


@dataclass(frozen=True, slots=True)
class Window:
    """What is known of one limit in the window that holds now.

    `count` is the venue's, as of `counted_at`; of what it does not show,
    `in_flight` orders have not been answered, `answered` were after it, and
    `returned` slots came back after it.
    """

    limit: OrderLimit
    start: datetime
    count: int
    counted_at: datetime
    in_flight: int
    answered: int
    returned: int

    @property
    def end(self) -> datetime:
        """When it ends, and the count begins again."""
        return self.start + timedelta(seconds=self.limit.seconds)

    @property
    def used(self) -> int:
        """Return the most that the venue can count now."""
        return max(0, self.count + self.in_flight + self.answered - self.returned)

    @property
    def free(self) -> int:
        """Return how many orders may be sent."""
        return max(0, self.limit.limit - self.used)


@dataclass(frozen=True, slots=True)
class Budget:
    """How many slots are free; if not enough, when to look again, and whether the venue's count may show more."""

    free: int
    next_look: datetime
    may_ask: bool
    is_enough: bool


async def limits_of(venue: Venue) -> Sequence[OrderLimit]:
    """Return the venue's limits on orders, or what is taken for them where it is silent."""
    return await venue.order_limits() or SILENT_LIMITS


def window_start(now: datetime, seconds: int) -> datetime:
    """Return when the venue's window of this length that holds `now` began; windows are fixed on its clock."""
    return _EPOCH + (now - _EPOCH) // timedelta(seconds=seconds) * timedelta(seconds=seconds)


def windows(connection: Connection, account_id: int, limits: Sequence[OrderLimit], now: datetime) -> list[Window]:
    """Return what is known of each limit of the account."""
    mine = slot_uses.c.account_id == account_id
    in_flight = _count(connection, mine, slot_uses.c.answered_at.is_(None))
    venues = select(*_TOLD).where(venue_counts.c.account_id == account_id)
    told = {row.seconds: row for row in connection.execute(venues)}
    found = []
    for limit in limits:
        start = window_start(now, limit.seconds)
        row = told.get(limit.seconds)
        count, counted_at = 0, start - _INSTANT
        if row is not None and row.counted_at >= start:
            count, counted_at = row.told, row.counted_at
        answered = _count(connection, mine, slot_uses.c.answered_at > counted_at)
        filled = slot_uses.c.filled_at
        returned = _count(connection, mine, filled > counted_at, filled <= now - SHOWN_AFTER)
        found.append(Window(limit, start, count, counted_at, in_flight, answered, returned))
    return found


def budget(
    connection: Connection,
    account_id: int,
    limits: Sequence[OrderLimit],
    now: datetime,
    guard: timedelta = NO_TIME,
    wanted: int = 1,
) -> Budget:
    """Return the free slots of the account under all limits together.

    Args:
        guard: What is sent so close to a window's edge may be counted in its neighbour.
        wanted: How many are enough; of a limit that few remain of until midnight, one is.
    """
    known = windows(connection, account_id, limits, now)
    if not known:
        return Budget(10**9, now, may_ask=False, is_enough=True)
    closed = [_opens(window, now, guard) for window in known]
    if opens := [at for at in closed if at is not None]:
        return Budget(0, max(opens), may_ask=False, is_enough=False)
    tightest = min(known, key=lambda window: (window.free, -window.limit.seconds))
    soonest = min(limit.limit for limit in limits)
    if tightest.free >= (min(wanted, soonest) if tightest.limit.seconds <= WORTH_WAITING else 1):
        return Budget(tightest.free, now, may_ask=False, is_enough=True)
    return _full(connection, account_id, tightest, now, guard)


def grant(connection: Connection, account_id: int, asset_orders: Iterable[int], now: datetime) -> None:
    """Take a slot for each of these orders."""
    rows = [
        {"account_id": account_id, "asset_order_id": number, "granted_at": now, "answered_at": None}
        for number in asset_orders
    ]
    connection.execute(insert(slot_uses), rows)


def note_answer(
    connection: Connection, asset_order_id: int, at: datetime, filled_at: datetime | None, *, has_counts: bool
) -> None:
    """Take note that the venue has an order since `at`, and when it filled first.

    Args:
        has_counts: Whether the venue's counts came with the answer; if not, a count of the very moment may
            not have it in.
    """
    mine = slot_uses.c.asset_order_id == asset_order_id
    known_from = at if has_counts else at + _INSTANT
    connection.execute(
        update(slot_uses).where(mine, slot_uses.c.answered_at.is_(None)).values(answered_at=known_from)
    )
    if filled_at is not None:
        connection.execute(
            update(slot_uses).where(mine, slot_uses.c.filled_at.is_(None)).values(filled_at=filled_at)
        )


def give_back(connection: Connection, asset_order_id: int) -> None:
    """Free the slot of an order that never reached the venue."""
    connection.execute(
        delete(slot_uses).where(slot_uses.c.asset_order_id == asset_order_id, slot_uses.c.answered_at.is_(None))
    )


def note_counts(
    connection: Connection, account_id: int, at: datetime, counts: Sequence[OrderCount], *, is_last: bool
) -> bool:
    """Take note of the venue's own counts as of its time `at`, and return whether they were news.

    Args:
        is_last: Whether nothing was answered after it; of several counts of one moment that came with
            answers the largest stands.
    """
    is_news = False
    for each in counts:
        mine = (venue_counts.c.account_id == account_id, venue_counts.c.seconds == each.seconds)
        known = connection.execute(select(*_TOLD).where(*mine)).one_or_none()
        values = {"count": each.count, "counted_at": at}
        if known is None:
            connection.execute(insert(venue_counts), {"account_id": account_id, "seconds": each.seconds} | values)
            is_news = True
        elif at > known.counted_at or (at == known.counted_at and (is_last or each.count > known.told)):
            connection.execute(update(venue_counts).where(*mine).values(**values))
            is_news = True
    return is_news


def forget(connection: Connection, account_id: int, now: datetime) -> None:
    """Delete what no window can hold any more."""
    connection.execute(
        delete(slot_uses).where(slot_uses.c.account_id == account_id, slot_uses.c.answered_at < now - KEPT)
    )


def _opens(window: Window, now: datetime, guard: timedelta) -> datetime | None:
    """Return when the window may be sent in again if `now` is too close to an edge of it."""
    if now < window.start + guard:
        return window.start + guard
    if guard and window.end - now <= guard:
        return window.end + guard
    return None


def _full(connection: Connection, account_id: int, window: Window, now: datetime, guard: timedelta) -> Budget:
    """Return when a full window may have a slot: when a fill is old enough, or with the next window."""
    filled = slot_uses.c.filled_at
    query = select(func.min(filled), func.max(filled)).where(
        slot_uses.c.account_id == account_id,
        filled > max(window.counted_at - SHOWN_AFTER, window.start - _INSTANT),
    )
    first, last = connection.execute(query).one()
    opens = window.end + guard
    if first is None:
        return Budget(window.free, opens, may_ask=False, is_enough=False)
    # Fills of the last second before the venue counted may not have been in its count: it can be asked again.
    may_ask = last + SHOWN_AFTER <= now
    comes_back = (first if first + SHOWN_AFTER > now else last) + SHOWN_AFTER
    return Budget(window.free, min(opens, comes_back), may_ask=may_ask, is_enough=False)


def _count(connection: Connection, *conditions: ColumnElement[bool]) -> int:
    query = select(func.count()).select_from(slot_uses).where(*conditions)
    return int(connection.execute(query).scalar_one())
