"""What happened, typed: written with the transaction that made it true, told to subscribers after the commit.

Progress, logs and strategies subscribe; none of them stands in the way of an order.
"""

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import datetime
from decimal import Decimal
from functools import partial

from sqlalchemy import Column, Connection, Integer, String, Table, Text, insert

from etf_trader.database import UtcDateTime, after_commit, metadata
from etf_trader.money import plain

events = Table(
    "event",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("at", UtcDateTime, nullable=False),
    Column("kind", String(64), nullable=False),
    Column("document", Text, nullable=False),
)


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened to an index order, or to a rebalance."""

    order: int


@dataclass(frozen=True, slots=True)
class OrderAccepted(Event):
    """A wish was written down and its cash or units reserved."""

    side: str
    index: str
    quantity: Decimal


@dataclass(frozen=True, slots=True)
class BatchPlanned(Event):
    """A solve chose these units; its asset orders are written and will be sent."""

    plan: int
    units: Decimal
    asset_orders: int


@dataclass(frozen=True, slots=True)
class FillBooked(Event):
    """A venue trade is in the ledger."""

    symbol: str
    quantity: Decimal
    price: Decimal


@dataclass(frozen=True, slots=True)
class BatchSettled(Event):
    """Units were credited (sell: redeemed) for what a batch traded."""

    plan: int
    units: Decimal
    filled: Decimal
    wanted: Decimal


@dataclass(frozen=True, slots=True)
class RebalanceAccepted(Event):
    """A rebalance was written down; `due_on` is the day it stands for."""

    index: str
    due_on: str
    legs: int


@dataclass(frozen=True, slots=True)
class WavePlanned(Event):
    """The next wave of a rebalance is written and will be sent."""

    plan: int
    wave: int
    asset_orders: int


@dataclass(frozen=True, slots=True)
class WaveSettled(Event):
    """What a wave left is what a unit holds: the basket of this version."""

    plan: int
    basket: int


@dataclass(frozen=True, slots=True)
class RebalanceEnded(Event):
    """Nothing more will be traded for this rebalance."""

    status: str
    stopped_by: str


@dataclass(frozen=True, slots=True)
class RiskRefused(Event):
    """A limit or a halt kept an order from being traded; `code` says which."""

    code: str
    message: str


@dataclass(frozen=True, slots=True)
class OrderEnded(Event):
    """Nothing more will be done for this order."""

    status: str
    stopped_by: str
    filled: Decimal


Subscriber = Callable[[Event], None]


class EventLog:
    """Writes events and tells whoever subscribed."""

    def __init__(self) -> None:
        self._subscribers: list[Subscriber] = []

    def subscribe(self, subscriber: Subscriber) -> None:
        """Call `subscriber` with each event once its transaction stands."""
        self._subscribers.append(subscriber)

    def record(self, connection: Connection, event: Event, at: datetime) -> None:
        """Write `event` in the open transaction; subscribers hear of it after the commit."""
        document = {name: plain(v) if isinstance(v, Decimal) else v for name, v in asdict(event).items()}
        connection.execute(
            insert(events),
            {"at": at, "kind": type(event).__name__, "document": json.dumps(document, sort_keys=True)},
        )
        for subscriber in self._subscribers:
            after_commit(connection, partial(_tell, subscriber, event))


def _tell(subscriber: Subscriber, event: Event) -> None:
    """Tell one subscriber; what it makes of it must not come between an order and its books."""
    try:
        subscriber(event)
    except Exception:
        import logging

        logging.getLogger(__name__).exception("a subscriber failed on %s", type(event).__name__)
