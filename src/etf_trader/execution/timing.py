"""Orders over time in the loop: what is due of each now, when more will be, and the wait until then."""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime

from sqlalchemy import Connection

from etf_trader.clock import Clock
from etf_trader.database import Database
from etf_trader.errors import DataError, VenueError
from etf_trader.execution.pacing import Done, Pace, last_period, next_at, pace, volume_window
from etf_trader.execution.state import OrderState, done_of
from etf_trader.execution.volume import units_of_volume
from etf_trader.market.symbol import Side
from etf_trader.money import ZERO, money_context
from etf_trader.orders.index_order import IndexOrder
from etf_trader.orders.rebalance_order import RebalanceOrder
from etf_trader.orders.rebalances import list_rebalances
from etf_trader.orders.status import IndexOrderStatus
from etf_trader.orders.store import list_index_orders
from etf_trader.orders.stored_schedule import StoredSchedule
from etf_trader.venue.interface import Venue

LOOK_SECONDS = 0.2
"""How often a wait looks whether there is something else to do; real time, whatever the clock."""


async def paced(database: Database, venue: Venue, states: Sequence[OrderState], now: datetime) -> list[OrderState]:
    """Return the orders to plan now: those over time with what is due, without those of which nothing is."""
    found = []
    for state in states:
        if state.order.schedule is None:
            found.append(state)
            continue
        with database.read() as connection:
            done = done_of(connection, state.order.id)
        at = await _pace(venue, state, state.order.schedule, done, now)
        if at.due or _has_unsold(state):
            found.append(replace(state, pace=at))
    return found


def _has_unsold(state: OrderState) -> bool:
    """Return whether a sell has redeemed units whose assets it quoted and has not sold: they are due too."""
    schedule = state.order.schedule
    is_quoted = schedule is not None and schedule.passive is not None
    return is_quoted and state.order.side is Side.SELL and any(state.held.values())


async def _pace(
    venue: Venue, state: OrderState, schedule: StoredSchedule, done: Sequence[Done], now: datetime
) -> Pace:
    order = state.order
    allowed = latest = ZERO
    if (share := schedule.participation) is not None:
        window = volume_window(schedule, order.accepted_at, done, now)
        # A market that tells nothing holds up this order alone, and until its end only.
        with suppress(DataError, VenueError):
            allowed = await units_of_volume(venue, state.basket, share, window)
            latest = await units_of_volume(venue, state.basket, share, last_period(schedule, window))
    with money_context():
        return pace(schedule, order.accepted_at, order.quantity, done, now, allowed, latest)


def next_due(
    connection: Connection, account_id: int, now: datetime, without: Sequence[int] = ()
) -> datetime | None:
    """Return when more becomes due of any open order over time of an account; None when nothing will.

    Those `without` do not count.
    """
    times = [
        next_at(order.schedule, order.accepted_at, now)
        for order in _open_orders(connection, account_id)
        if order.schedule is not None and order.id not in without
    ]
    return min((each for each in times if each is not None), default=None)


def is_working(connection: Connection, account_id: int, orders: Sequence[int]) -> bool:
    """Return whether any of these is an open order over time."""
    return any(order.id in orders and order.schedule is not None for order in _open_orders(connection, account_id))


def work_at_hand(connection: Connection, account_id: int) -> frozenset[tuple[int, bool]]:
    """Return the open orders, each with whether it is to be cancelled: a wait ends when this changes."""
    orders, moving = _open_orders(connection, account_id), _open_rebalances(connection, account_id)
    return frozenset(
        [(each.id, each.cancel_requested_at is not None) for each in orders]
        + [(each.id, each.cancel_requested_at is not None) for each in moving]
    )


async def wait_until(clock: Clock, moment: datetime, is_awake: Callable[[], bool]) -> None:
    """Let the clock reach `moment`; return earlier once `is_awake`, which is asked a few times a second."""
    seconds = (moment - clock.now()).total_seconds()
    sleep = asyncio.ensure_future(clock.sleep(max(seconds, 0.0)))
    try:
        while not sleep.done() and not is_awake():
            await asyncio.wait({sleep}, timeout=LOOK_SECONDS)
    finally:
        sleep.cancel()
    if not sleep.cancelled() and sleep.done():
        sleep.result()


def _open_orders(connection: Connection, account_id: int) -> list[IndexOrder]:
    return list_index_orders(connection, account_id=account_id, statuses=[IndexOrderStatus.OPEN])


def _open_rebalances(connection: Connection, account_id: int) -> list[RebalanceOrder]:
    return list_rebalances(connection, account_id=account_id, statuses=[IndexOrderStatus.OPEN])
