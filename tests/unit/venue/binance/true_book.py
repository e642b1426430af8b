"""A venue's book that a test changes, with the feed that tells of it and the snapshots it answers with."""

import random
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from etf_trader.clock import SimulatedClock
from etf_trader.market.book import Level, OrderBook
from etf_trader.venue.binance.depth import DepthEvent, DepthSnapshot

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
START = datetime(2026, 1, 1, tzinfo=UTC)
MILLISECOND = timedelta(milliseconds=1)
Side = dict[Decimal, Decimal]


@dataclass
class TrueBook:
    """One symbol; each change is an update with an id of its own and takes a millisecond."""

    symbol: str
    clock: SimulatedClock
    seed: int = 0
    update_id: int = 1000
    bids: Side = field(default_factory=dict)
    asks: Side = field(default_factory=dict)
    mid: int = 100
    history: dict[int, tuple[Side, Side]] = field(default_factory=dict)
    until: dict[int, datetime] = field(default_factory=dict)
    """When each state was left for the next one."""
    _first: int = 0
    _changed: tuple[Side, Side] = field(default_factory=lambda: ({}, {}))

    def __post_init__(self) -> None:
        self.random = random.Random(self.seed)
        for distance in range(1, 30):
            self.bids[Decimal(self.mid - distance)] = Decimal(distance)
            self.asks[Decimal(self.mid + distance)] = Decimal(distance)
        self._remember()

    def change(self) -> None:
        """Make one update: a level appears, changes or goes, or the mid moves by a tick."""
        self.until[self.update_id] = self.clock.now()
        self.clock.advance(MILLISECOND)
        if not self._first:
            self._first = self.update_id + 1
        self.update_id += 1
        if self.random.random() < 0.2:
            self._move(self.random.choice((-1, 1)))
        else:
            is_bid = self.random.random() < 0.5
            distance = int(self.random.expovariate(1 / 8)) + 1
            price = Decimal(max(self.mid - distance, 1) if is_bid else self.mid + distance)
            self._set(is_bid, price, Decimal(self.random.randint(0, 5)))
        self._remember()

    def event(self) -> DepthEvent | None:
        """Return what changed since the last event, as the venue tells it; None if nothing did."""
        if not self._first:
            return None
        bids, asks = ([(f"{p:f}.00", f"{q:f}.0") for p, q in side.items()] for side in self._changed)
        made = (self.clock.now() - EPOCH) // MILLISECOND
        event = DepthEvent(self.symbol, self._first, self.update_id, bids, asks, made)
        self._first, self._changed = 0, ({}, {})
        return event

    def snapshot(self, limit: int, asked: datetime) -> DepthSnapshot:
        """Return the book as it is now, asked for earlier."""
        book = self.book(limit)
        return DepthSnapshot(self.symbol, limit, self.update_id, book.bids, book.asks, asked)

    def book(self, depth: int, update_id: int | None = None) -> OrderBook:
        """Return `depth` levels a side after an update, the last one unless it says which."""
        bids, asks = self.history[self.update_id if update_id is None else update_id]
        return OrderBook(
            self.symbol,
            tuple(Level(*each) for each in sorted(bids.items(), reverse=True)[:depth]),
            tuple(Level(*each) for each in sorted(asks.items())[:depth]),
            self.update_id if update_id is None else update_id,
            self.clock.now(),
        )

    def _move(self, step: int) -> None:
        self.mid += step
        for price in [price for price in self.bids if price >= self.mid]:
            self._set(True, price, Decimal(0))
        for price in [price for price in self.asks if price <= self.mid]:
            self._set(False, price, Decimal(0))
        self._set(step > 0, Decimal(self.mid - step), Decimal(self.random.randint(1, 5)))

    def _set(self, is_bid: bool, price: Decimal, quantity: Decimal) -> None:
        side, changed = (self.bids, self._changed[0]) if is_bid else (self.asks, self._changed[1])
        if quantity:
            side[price] = quantity
        else:
            side.pop(price, None)
        changed[price] = quantity

    def _remember(self) -> None:
        self.history[self.update_id] = (dict(self.bids), dict(self.asks))
