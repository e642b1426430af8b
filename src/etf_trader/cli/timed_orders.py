"""Orders over time as commands show them: what will happen, slices with what became of them, the document."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from etf_trader.cli.numbers import count, few_digits, local_time, percent, spoken_duration, unit_count, units
from etf_trader.cli.output import Table, dim, number, right, text
from etf_trader.money import ZERO, percentage

if TYPE_CHECKING:
    from datetime import datetime

    from etf_trader.execution.pacing import Done, SliceDone
    from etf_trader.orders.index_order import IndexOrder
    from etf_trader.orders.stored_schedule import StoredSchedule


def schedule_payload(order: IndexOrder, done: Sequence[Done], quoting: int = 0) -> dict[str, Any] | None:
    """Return the schedule of an order with what is done of it; None for an order at once.

    Args:
        quoting: How many of its asset orders rest in the books now.
    """
    from etf_trader.execution.pacing import slices_done

    schedule = order.schedule
    if schedule is None:
        return None
    resting = {} if schedule.passive is None else {"quoting": quoting}
    return (
        schedule.document()
        | resting
        | {
            "ends_at": schedule.ends_at(order.accepted_at),
            "slices": [
                {
                    "start_seconds": planned.start_seconds,
                    "at": each.starts_at,
                    "quantity": each.quantity,
                    "units": each.units,
                }
                for planned, each in zip(
                    schedule.slices, slices_done(schedule, order.accepted_at, done), strict=True
                )
            ],
            "batches": [{"at": each.at, "due": each.wanted, "units": each.units} for each in done],
        }
    )


def manner(schedule: StoredSchedule) -> str:
    """Return how an order is spread: `over 2 h in 24 slices (twap)`."""
    time = spoken_duration(timedelta(seconds=schedule.seconds))
    if is_at_once(schedule):
        return f"at once: spreading it over {time} gains nothing ({schedule.algo})"
    quoted = "" if schedule.passive is None else f", quoted for {units(schedule.passive * 100)}% of the time"
    if schedule.participation is not None:
        share = f"{units(schedule.participation * 100)}%"
        every = spoken_duration(timedelta(seconds=schedule.period_seconds))
        return f"over {time} at {share} of what others trade, every {every} ({schedule.algo}){quoted}"
    return f"over {time} in {count(len(schedule.slices), 'slice')} ({schedule.algo}){quoted}"


def is_at_once(schedule: StoredSchedule) -> bool:
    """Return whether the best way to spread an order was found to be not to."""
    is_one = len(schedule.slices) == 1 and schedule.slices[0].start_seconds == 0
    return schedule.algo == "optimal" and is_one and schedule.passive is None


def quoting_sentence(share: Decimal) -> str:
    """Return what a schedule does that quotes for this fraction of its time."""
    part = percent(share * 100)
    if share == 1:
        return "What is due is quoted at the touch (post-only) until the end; nothing is taken before."
    return (
        f"For {part} of each slice's time what is due is quoted at the touch (post-only); then the rest is taken."
    )


def announcement(order: IndexOrder, schedule: StoredSchedule, symbol: str) -> str:
    """Return what will happen: `Buying 100 units of TOP8 over 2 h in 24 slices (twap), until 14:30.`"""
    doing = "Buying" if order.side.sign > 0 else "Selling"
    until = local_time(schedule.ends_at(order.accepted_at), seconds=False)
    told = f"{doing} {unit_count(order.quantity)} of {symbol} {manner(schedule)}"
    return f"{told}. What does not fill has until {until}." if is_at_once(schedule) else f"{told}, until {until}."


def at_its_end(schedule: StoredSchedule) -> str:
    """Return what becomes of the rest when the time is over."""
    return "what is left then is taken at once" if schedule.at_end == "take" else "what is left then is given up"


def slices_table(order: IndexOrder, schedule: StoredSchedule, done: Sequence[Done], now: datetime | None) -> Table:
    """Return the slices, planned and done; pov has none, and shows its batches.

    Without `now`, as for an order that has ended, no slice is still to come.
    """
    from etf_trader.execution.pacing import slices_done

    if not schedule.slices:
        return _batches_table(done)
    table = Table(text("slice at"), number("units"), number("done"), right("%", optional=1), text("", optional=2))
    for each in slices_done(schedule, order.accepted_at, done):
        lies_ahead = now is not None and each.starts_at > now
        table.row(
            local_time(each.starts_at),
            few_digits(each.quantity),
            "-" if lies_ahead else few_digits(each.units),
            "" if lies_ahead else percent(percentage(each.units, each.quantity)).rstrip("%"),
            dim("to come") if lies_ahead else "",
        )
    return table


def _batches_table(done: Sequence[Done]) -> Table:
    table = Table(text("slice at"), number("units due"), number("done"))
    for each in done:
        table.row(local_time(each.at), few_digits(each.wanted), few_digits(each.units))
    return table


def slices_begun(slices: Sequence[SliceDone], now: datetime) -> int:
    """Return how many slices have become due."""
    return sum(1 for each in slices if each.starts_at <= now)


def planned_until(order: IndexOrder, slices: Sequence[SliceDone], now: datetime) -> Decimal | None:
    """Return the units that the schedule has planned until now; None where it goes by volume."""
    if not slices:
        return None
    return min(sum((each.quantity for each in slices if each.starts_at <= now), ZERO), order.quantity)
