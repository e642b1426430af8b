"""Quotes in the loop: written and sent as any batch, watched while they rest, and cancelled before anything else.

While a quote rests nothing else is planned for the account. It ends with its
time, when all of it is filled, when a price has left it behind, when its leaders
are too far ahead, and as soon as somebody wants something else; whatever it
traded by then is booked, and settled as the trades of any batch.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from etf_trader.clock import Clock
from etf_trader.database import Database
from etf_trader.errors import DataError, VenueError
from etf_trader.execution.batch import Batch
from etf_trader.execution.lease import Lease, Leases
from etf_trader.execution.look import look_at, without_own
from etf_trader.execution.passive import compatible, is_lopsided, quote_batch, taking, touch_moved
from etf_trader.execution.queue import Queue
from etf_trader.execution.shift import Shift
from etf_trader.execution.state import OrderState
from etf_trader.execution.timing import next_due, work_at_hand
from etf_trader.execution.unwinding import Rules
from etf_trader.ledger.repository import Account
from etf_trader.orders.asset_order import AssetOrder
from etf_trader.orders.rebalances import list_rebalances
from etf_trader.orders.status import AssetOrderStatus, IndexOrderStatus
from etf_trader.orders.store import asset_orders_of_plan, list_index_orders
from etf_trader.risk.halts import trading_state
from etf_trader.venue.interface import Venue

TOUCH_LEVELS = 5
"""What is read of a book to quote at its touch; a venue's smallest window."""

LOOK_SECONDS = 0.5
"""How often a resting quote is looked at."""

BOOKS_SECONDS = 2.0
"""How often the books are read meanwhile, to see whether it still stands at the touch."""

ASK_SECONDS = 10.0
"""How often the venue is asked what became of it: the stream may have lost something."""

LEAST_SECONDS = 5.0
"""A quote stays for so long before it follows the touch."""

GIVE_WAY_SECONDS = 10.0
"""How long it stays where other orders wait for their prices."""

PAUSE_SECONDS = 1.0
"""The wait after a quote of which nothing rested: the venue took none of its orders."""

TAKEN_ON = (AssetOrderStatus.OPEN, AssetOrderStatus.FILLED, AssetOrderStatus.PARTIAL)
"""What the venue took on; an order that rests in a book, or traded."""


@dataclass(slots=True)
class Watch:
    """What a resting quote is held against: when it has to end, and what has been looked at."""

    batch: Batch
    plans: Sequence[int]
    began: datetime
    until: datetime
    known: frozenset[tuple[int, bool]]
    looked_at: datetime
    asked_at: datetime


@dataclass(frozen=True, slots=True)
class Sight:
    """A resting quote at one moment: its orders, whether somebody wants something else, and who is lopsided."""

    sent: tuple[AssetOrder, ...]
    is_disturbed: bool
    lopsided: frozenset[int]


@dataclass(slots=True)
class Quoter:
    """Quotes for the orders of one account; one instance a leader."""

    database: Database
    venue: Venue
    clock: Clock
    account: Account
    queue: Queue
    leases: Leases
    shift: Shift
    has_given_way: bool = False
    _lagging: set[int] = field(default_factory=set)

    def sorted_out(self, states: Sequence[OrderState]) -> tuple[list[OrderState], list[OrderState]]:
        """Return the orders to take for now, and those to quote; of some the laggards are taken first."""
        found = [taking(state) if state.order.id in self._lagging else state for state in states]
        self._lagging.difference_update(state.order.id for state in states)
        return [s for s in found if not s.is_quoting], [s for s in found if s.is_quoting]

    async def plan(self, states: Sequence[OrderState], rules: Rules) -> Batch | None:
        """Return the quotes to make now for as many of these orders as can stand beside each other."""
        with self.database.read() as connection:
            trading = trading_state(connection, self.account.id, self.clock.now())
        listed = [
            state
            for state in states
            if trading.permits(state.order.side) and set(state.basket.symbols.values()) <= rules.keys()
        ]
        chosen = compatible(listed)
        symbols = {symbol for state in chosen for symbol in state.basket.symbols.values()}
        slots = await self.queue.room(len(symbols), self.shift.until_news()) if symbols else 0
        if not slots or self.shift.stop():
            return None
        try:
            view = await look_at(self.venue, symbols, TOUCH_LEVELS, rules, slots)
        except DataError:
            return None
        batch = await asyncio.to_thread(quote_batch, chosen, view)
        return batch if batch.members else None

    async def rest(
        self, batch: Batch, plans: Sequence[int], lease: Lease, known: frozenset[tuple[int, bool]]
    ) -> None:
        """Let the orders of a quote rest until it has to end, then take them out of the books.

        Args:
            known: What was wanted when it was planned; whatever is new since then ends it.

        Raises:
            AccountLed: another process has taken over; it has cancelled them.
            VenueError: the venue has not answered for long; the next leader cancels them.
        """
        self.has_given_way = False
        try:
            watch = self._watch(batch, plans, known)
            if not any(order.status in TAKEN_ON for order in self._see(watch).sent):
                await self.shift.pause(PAUSE_SECONDS)
            while not await self._is_over(watch):
                self.leases.require(lease)
                await self.shift.pause(LOOK_SECONDS)
                await self._learn(watch)
        finally:
            await self.queue.take_out(plans)

    def _watch(self, batch: Batch, plans: Sequence[int], known: frozenset[tuple[int, bool]]) -> Watch:
        now = self.clock.now()
        members = [member.order_id for member in batch.members]
        ends = [pace.quote_until for member in batch.members if (pace := member.state.pace) is not None]
        until = min(end for end in ends if end is not None)
        with self.database.read() as connection:
            others = next_due(connection, self.account.id, now, without=members)
        is_waited_for = self._is_waited_for(members)
        if others is not None:
            until = min(until, others)
        if is_waited_for and now + timedelta(seconds=GIVE_WAY_SECONDS) < until:
            until, self.has_given_way = now + timedelta(seconds=GIVE_WAY_SECONDS), True
        return Watch(batch, plans, now, until, known, now, now)

    def _is_waited_for(self, members: Sequence[int]) -> bool:
        """Return whether a rebalance, or an order that is not over time, waits for its prices beside these."""
        account, still = self.account.id, [IndexOrderStatus.OPEN]
        with self.database.read() as connection:
            if list_rebalances(connection, account_id=account, statuses=still):
                return True
            found = list_index_orders(connection, account_id=account, statuses=still)
        return any(order.schedule is None for order in found if order.id not in members)

    async def _is_over(self, watch: Watch) -> bool:
        """Return whether a quote has to end now; of lopsided orders it is noted that laggards are to be taken."""
        if self.shift.stop() or self.clock.now() >= watch.until:
            return True
        sight = self._see(watch)
        self._lagging |= sight.lopsided
        if sight.is_disturbed or sight.lopsided or not _resting(sight.sent):
            return True
        return await self._is_left_behind(watch, sight)

    def _see(self, watch: Watch) -> Sight:
        """Read what became of a quote so far, and whether somebody wants something: an order, a cancel, a halt."""
        with self.database.read() as connection:
            news = work_at_hand(connection, self.account.id) - watch.known
            trading = trading_state(connection, self.account.id, self.clock.now())
            sent = {plan: asset_orders_of_plan(connection, plan) for plan in watch.plans}
        pairs = zip(watch.batch.members, watch.plans, strict=True)
        return Sight(
            sent=tuple(order for own in sent.values() for order in own),
            is_disturbed=bool(news) or not all(trading.permits(demand.side) for demand in watch.batch.demands),
            lopsided=frozenset(member.order_id for member, plan in pairs if is_lopsided(member, sent[plan])),
        )

    async def _is_left_behind(self, watch: Watch, sight: Sight) -> bool:
        """Return whether a price has moved away, or was refused, and the quote has stood for long enough."""
        now = self.clock.now()
        if _seconds(now, watch.began) < LEAST_SECONDS or _seconds(now, watch.looked_at) < BOOKS_SECONDS:
            return False
        watch.looked_at = now
        if any(order.status is AssetOrderStatus.REJECTED for order in sight.sent):
            return True
        resting = _resting(sight.sent)
        symbols = sorted({order.intent.symbol for order in resting})
        try:
            books = without_own(await self.venue.books(symbols, TOUCH_LEVELS), resting)
        except (DataError, VenueError):
            return True  # what cannot be seen is not quoted
        return any(touch_moved(order, books[order.intent.symbol]) for order in resting)

    async def _learn(self, watch: Watch) -> None:
        """Book what has traded; the venue is asked from time to time."""
        outcomes, now = self.queue.outcomes, self.clock.now()
        told, is_asking = outcomes.news(), _seconds(now, watch.asked_at) >= ASK_SECONDS
        if is_asking:
            watch.asked_at = now
        for order in self.queue.resting(watch.plans) if told or is_asking else ():
            await (outcomes.look_up(order) if is_asking else outcomes.take_in(order))


def _resting(sent: Sequence[AssetOrder]) -> list[AssetOrder]:
    return [order for order in sent if order.status is AssetOrderStatus.OPEN]


def _seconds(now: datetime, since: datetime) -> float:
    return (now - since).total_seconds()
