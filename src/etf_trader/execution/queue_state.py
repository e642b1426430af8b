"""How the queue to the venue stands: what waits, what is in flight, the slots, and what was refused last."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from sqlalchemy import Connection, select

from etf_trader.execution.budget import Window, windows
from etf_trader.execution.lease import Owner, leader
from etf_trader.execution.pauses import Pause, last_pauses, paused_until
from etf_trader.market.symbol import Side
from etf_trader.orders.status import UNFINISHED, AssetOrderStatus
from etf_trader.orders.store import count_unfinished
from etf_trader.orders.tables import asset_orders, index_orders
from etf_trader.venue.interface import OrderLimit

MOST_REFUSALS = 5
MOST_QUEUED = 20


@dataclass(frozen=True, slots=True)
class Queued:
    """An order that waits, is in flight, or rests in the venue's book."""

    id: int
    index_order_id: int
    client_order_id: str
    symbol: str
    side: Side
    quantity: Decimal
    price: Decimal
    status: AssetOrderStatus
    attempts: int
    next_attempt_at: datetime | None
    granted_at: datetime | None


@dataclass(frozen=True, slots=True)
class Refusal:
    """An order that the venue rejected, and what it said."""

    client_order_id: str
    symbol: str
    reason: str
    at: datetime


@dataclass(frozen=True, slots=True)
class QueueState:
    """The queue of one account at `now`, the venue's time; `queued` are the first that will be sent."""

    now: datetime
    counts: dict[AssetOrderStatus, int]
    queued: tuple[Queued, ...]
    windows: tuple[Window, ...]
    leader: Owner | None
    paused_until: datetime | None
    pauses: tuple[Pause, ...]
    refusals: tuple[Refusal, ...]

    @property
    def seconds_to_drain(self) -> float:
        """Return how long it takes at least to send all that waits, if no fill gives a slot back."""
        waiting = self.counts[AssetOrderStatus.WRITTEN]
        pause = (self.paused_until - self.now).total_seconds() if self.paused_until is not None else 0.0
        return max([pause, *(_drained(window, waiting, self.now) for window in self.windows)])


def queue_state(
    connection: Connection,
    account_id: int,
    limits: Sequence[OrderLimit],
    now: datetime,
    host: str,
    wall: datetime,
) -> QueueState:
    """Read how the queue of an account stands; changes nothing.

    Args:
        now: The venue's time.
        wall: The time that leases are judged by.
    """
    return QueueState(
        now=now,
        counts=count_unfinished(connection, account_id),
        queued=_queued(connection, account_id),
        windows=tuple(windows(connection, account_id, limits, now)),
        leader=leader(connection, account_id, wall, host),
        paused_until=paused_until(connection, account_id, host, now),
        pauses=tuple(last_pauses(connection, account_id, host, MOST_REFUSALS)),
        refusals=_refusals(connection, account_id),
    )


def _drained(window: Window, waiting: int, now: datetime) -> float:
    """Return in how many seconds the last of `waiting` orders has a slot of this limit."""
    beyond = waiting - window.free
    if beyond <= 0:
        return 0.0
    more_windows = -(-beyond // window.limit.limit) - 1
    return (window.end - now).total_seconds() + more_windows * window.limit.seconds


_MINE = asset_orders.join(index_orders, index_orders.c.id == asset_orders.c.index_order_id)


def _queued(connection: Connection, account_id: int) -> tuple[Queued, ...]:
    names = Queued.__slots__
    query = (
        select(*(asset_orders.c[name] for name in names))
        .select_from(_MINE)
        .where(index_orders.c.account_id == account_id, asset_orders.c.status.in_(list(map(str, UNFINISHED))))
        .order_by(asset_orders.c.id)
        .limit(MOST_QUEUED)
    )
    return tuple(
        Queued(**(dict(row._mapping) | {"side": Side(row.side), "status": AssetOrderStatus(row.status)}))
        for row in connection.execute(query)
    )


def _refusals(connection: Connection, account_id: int) -> tuple[Refusal, ...]:
    column = asset_orders.c
    query = (
        select(column.client_order_id, column.symbol, column.reason, column.ended_at)
        .select_from(_MINE)
        .where(index_orders.c.account_id == account_id, column.status == str(AssetOrderStatus.REJECTED))
        .order_by(column.id.desc())
        .limit(MOST_REFUSALS)
    )
    return tuple(Refusal(*row) for row in connection.execute(query))
