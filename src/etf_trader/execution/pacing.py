"""How much of an order over time is due, from what is stored and the time of now. Pure.

A slice that was missed, because nobody led or a limit was in the way, is carried
over: the next ones trade up to twice their own quantity until nothing is behind.
A restart changes nothing, since nothing is remembered beside the rows.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from etf_trader.money import UNIT_GRID, ZERO, divide_down
from etf_trader.orders.schedule import Algo
from etf_trader.orders.stored_schedule import AtEnd, StoredSchedule, TimeSlice

_SECOND = timedelta(seconds=1)

MOST_AT_ONCE = 2
"""A slice trades at most so many times its own quantity when others were missed before it."""


@dataclass(frozen=True, slots=True)
class Done:
    """A batch that traded for an order: when it was planned, the units wanted of it and those credited."""

    at: datetime
    wanted: Decimal
    units: Decimal


@dataclass(frozen=True, slots=True)
class Pace:
    """What is due now; `is_end` says that the time is over: what is left now is left for good.

    `quote_until` is when the quoting time of the slice ends; None when it is over,
    or nothing is quoted. `takes` says that in it something has to be taken first.
    """

    due: Decimal
    is_end: bool
    quote_until: datetime | None = None
    takes: bool = False


@dataclass(frozen=True, slots=True)
class SliceDone:
    """A slice with what was credited between its start and the next one's."""

    starts_at: datetime
    quantity: Decimal
    units: Decimal


def pace(
    schedule: StoredSchedule,
    accepted_at: datetime,
    quantity: Decimal,
    done: Sequence[Done],
    now: datetime,
    allowed: Decimal = ZERO,
    latest: Decimal = ZERO,
) -> Pace:
    """Return what of an order is due.

    Args:
        schedule: The schedule of the order.
        accepted_at: When its time began.
        quantity: Units of the order in all.
        done: Its batches so far.
        now: The time of now.
        allowed: For pov, the units that the volume in `volume_window` allows.
        latest: For pov, those that the volume of its last period alone allows.
    """
    remaining = quantity - sum((each.units for each in done), ZERO)
    if now >= schedule.ends_at(accepted_at):
        return Pace(remaining if schedule.at_end is AtEnd.TAKE else ZERO, is_end=True)
    if schedule.algo is Algo.POV:
        due = _due_of_volume(schedule, accepted_at, done, now, allowed, latest)
    else:
        due = _due_of_slices(schedule, accepted_at, done, now)
    due = min(due, remaining)
    # Too little for the venue's least orders: it waits, unless nothing comes after it.
    due = due if due >= schedule.least or due == remaining else ZERO
    return Pace(due, is_end=False, quote_until=quotes_until(schedule, accepted_at, now))


def quotes_until(schedule: StoredSchedule, accepted_at: datetime, now: datetime) -> datetime | None:
    """Return when the quoting time of the slice of now ends; None when it is over, or there is none."""
    span = _slice_span(schedule, accepted_at, now)
    if schedule.passive is None or span is None:
        return None
    start, end = span
    until = start + timedelta(seconds=int((end - start) // _SECOND * schedule.passive))
    return until if now < until else None


def next_at(schedule: StoredSchedule, accepted_at: datetime, now: datetime) -> datetime | None:
    """Return when there is more to do: quotes are over, the next slice begins, else the end; None after that."""
    end = schedule.ends_at(accepted_at)
    if now >= end:
        return None
    if (until := quotes_until(schedule, accepted_at, now)) is not None:
        return until
    return _slice_end(schedule, accepted_at, now)


def _slice_end(schedule: StoredSchedule, accepted_at: datetime, now: datetime) -> datetime:
    end = schedule.ends_at(accepted_at)
    if schedule.algo is Algo.POV:
        step = timedelta(seconds=schedule.period_seconds)
        return min(_period_start(schedule, accepted_at, now) + step, end)
    starts = (_starts_at(each, accepted_at) for each in schedule.slices)
    return min((start for start in starts if start > now), default=end)


def _slice_span(
    schedule: StoredSchedule, accepted_at: datetime, now: datetime
) -> tuple[datetime, datetime] | None:
    """Return when the slice of now began and when the next one does; None outside of all slices."""
    if not accepted_at <= now < schedule.ends_at(accepted_at):
        return None
    if schedule.algo is Algo.POV:
        start = _period_start(schedule, accepted_at, now)
    else:
        begun = [at for each in schedule.slices if (at := _starts_at(each, accepted_at)) <= now]
        if not begun:
            return None
        start = begun[-1]
    return start, _slice_end(schedule, accepted_at, now)


def _starts_at(each: TimeSlice, accepted_at: datetime) -> datetime:
    return accepted_at + timedelta(seconds=each.start_seconds)


def volume_window(
    schedule: StoredSchedule, accepted_at: datetime, done: Sequence[Done], now: datetime
) -> tuple[datetime, datetime]:
    """Return the time whose volume counts for the next slice of pov: whole periods since the last slice.

    Empty (both the same) while the period of the last slice lasts.
    """
    until = _period_start(schedule, accepted_at, now)
    since = _period_start(schedule, accepted_at, done[-1].at) if done else accepted_at
    return min(since, until), until


def last_period(schedule: StoredSchedule, window: tuple[datetime, datetime]) -> tuple[datetime, datetime]:
    """Return the last period of a window of whole periods; empty when that is."""
    since, until = window
    return max(since, until - timedelta(seconds=schedule.period_seconds)), until


def units_allowed(share: Decimal, volumes: Mapping[str, Decimal], per_unit: Mapping[str, Decimal]) -> Decimal:
    """Return min_i share x volume_i / a_i: the units of which no constituent takes more than `share`.

    Args:
        share: The participation, a fraction of one.
        volumes: What others traded of each asset, in base.
        per_unit: Base of each asset in a unit.
    """
    parts = [divide_down(share * volumes[asset], a, UNIT_GRID) for asset, a in per_unit.items() if a]
    return min(parts, default=ZERO)


def slices_done(schedule: StoredSchedule, accepted_at: datetime, done: Sequence[Done]) -> list[SliceDone]:
    """Return every slice with what was credited in its time; what came after the end counts with the last."""
    starts = [_starts_at(each, accepted_at) for each in schedule.slices]
    ends = [*starts[1:], None] if starts else []
    return [
        SliceDone(
            start,
            each.quantity,
            sum((made.units for made in done if start <= made.at and (end is None or made.at < end)), ZERO),
        )
        for each, start, end in zip(schedule.slices, starts, ends, strict=True)
    ]


def _due_of_slices(
    schedule: StoredSchedule, accepted_at: datetime, done: Sequence[Done], now: datetime
) -> Decimal:
    begun = [each for each in schedule.slices if _starts_at(each, accepted_at) <= now]
    if not begun:
        return ZERO
    start = _starts_at(begun[-1], accepted_at)
    before = sum((each.units for each in done if each.at < start), ZERO)
    since = sum((each.units for each in done if each.at >= start), ZERO)
    behind = sum((each.quantity for each in begun), ZERO) - before
    return max(min(MOST_AT_ONCE * begun[-1].quantity, behind) - since, ZERO)


def _due_of_volume(
    schedule: StoredSchedule,
    accepted_at: datetime,
    done: Sequence[Done],
    now: datetime,
    allowed: Decimal,
    latest: Decimal,
) -> Decimal:
    last = [each for each in done if _same_period(schedule, accepted_at, each.at, done[-1].at)]
    # A slice that is quoted is several batches: the first one wanted all of it.
    short = max(last[0].wanted - sum((each.units for each in last), ZERO), ZERO) if last else ZERO
    if last and schedule.passive is not None and _same_period(schedule, accepted_at, last[0].at, now):
        return short
    if not allowed:
        return ZERO
    # Volume that is thin collects over periods until a slice can be traded at all.
    return min(allowed + short, max(MOST_AT_ONCE * latest, schedule.least))


def _same_period(schedule: StoredSchedule, accepted_at: datetime, one: datetime, other: datetime) -> bool:
    return _period_start(schedule, accepted_at, one) == _period_start(schedule, accepted_at, other)


def _period_start(schedule: StoredSchedule, accepted_at: datetime, now: datetime) -> datetime:
    """Return when the period began that `now` lies in; the order's own start for any time before."""
    elapsed = max(int((now - accepted_at).total_seconds()), 0)
    return accepted_at + timedelta(seconds=elapsed - elapsed % schedule.period_seconds)
