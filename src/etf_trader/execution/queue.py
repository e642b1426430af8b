"""The way to the venue: written orders are claimed with their slots, sent, and followed to their ends."""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial

from sqlalchemy import Connection

from etf_trader.clock import Clock
from etf_trader.database import Database
from etf_trader.errors import DuplicateOrder, OrderRejected, OutcomeUnknown, RateLimited, VenueUnavailable
from etf_trader.events import EventLog
from etf_trader.execution.budget import budget, forget, give_back, grant, limits_of, note_counts
from etf_trader.execution.group_commit import others_turn
from etf_trader.execution.latency import Latency, Stopwatch
from etf_trader.execution.lease import Lease, check
from etf_trader.execution.outcomes import FIRST_PATIENCE, LOOK_AGAIN_SECONDS, WINDOW_SECONDS, Outcomes, all_of
from etf_trader.execution.pauses import paused_until
from etf_trader.ledger.repository import Account
from etf_trader.market.symbol import Side
from etf_trader.orders.asset_order import AssetOrder, OrderKind, WaitingOrder
from etf_trader.orders.status import AssetOrderStatus
from etf_trader.orders.store import (
    asset_order,
    asset_orders_by_id,
    asset_orders_of_plan,
    cancelled_orders,
    move_asset_order,
    owners_of_plans,
    waiting_orders,
)
from etf_trader.risk.halts import TradingState, trading_state
from etf_trader.venue.interface import LimitOrder, OrderLimit, Venue

MOST_ATTEMPTS = 5

MOST_AT_ONCE = 20
"""So many are granted together at most: the last of them is on its way well before its grant is too old."""

SHORTEST_WAIT = 0.001
LONGEST_WAIT = 1.0
"""A window may last a day; cancels, halts and who asks to stop are looked at meanwhile."""

Stop = Callable[[], bool]


@dataclass(frozen=True, slots=True)
class Claim:
    """What may be sent now, how many orders wait beside it, and when to look again if any do."""

    granted: Sequence[AssetOrder]
    waiting: int
    next_look: datetime | None
    may_ask: bool


class Queue:
    """Sends the asset orders of an account; one instance a leader."""

    def __init__(
        self, database: Database, venue: Venue, clock: Clock, account: Account, log: EventLog, host: str
    ) -> None:
        self._database = database
        self._venue = venue
        self._clock = clock
        self._account = account
        self._host = host
        self._latency = Latency()
        self.outcomes = Outcomes(database, venue, clock, account, log, host)

    async def run(self, plan_ids: Sequence[int], lease: Lease, stop: Stop, *, is_ending: bool = False) -> None:
        """Send what is written of a batch, as the slots allow, and book it until every order is final.

        Once `stop` says so nothing more is sent: what waits is withdrawn, what is in flight settled.
        A batch that ends its order is sent though that was cancelled: it is how the cancel is carried out.
        """
        limits = await self.limits()
        tasks = {
            asyncio.create_task(self.outcomes.follow(order))
            for order in self._orders(plan_ids, AssetOrderStatus.SENT)
        }
        try:
            while not any(task.done() and task.exception() for task in tasks):
                now = await self.outcomes.venue_time()
                claim = self._claim(plan_ids, lease, limits, now, stop, is_ending=is_ending)
                tasks |= await self._begin(claim.granted)
                running = [task for task in tasks if not task.done()]
                if claim.granted:
                    continue  # what ended at once may have to be sent again
                if not claim.waiting and not running:
                    break
                await self._rest(claim, now, running)
        finally:
            await all_of(list(tasks))

    async def _begin(self, granted: Sequence[AssetOrder]) -> set[asyncio.Task[None]]:
        """Set these orders on their way one after the other; everything else gets its turn in between."""
        begun = set()
        with self.outcomes.commits.held():
            for order in granted:
                begun.add(asyncio.create_task(self._send(order)))
                await others_turn()
        return begun

    async def recover(self, plan_id: int, lease: Lease) -> None:
        """Learn what became of a plan whose leader is gone; what was never sent is withdrawn."""
        with self._database.write() as connection:
            check(connection, lease)
            for order in asset_orders_of_plan(connection, plan_id):
                if order.status is AssetOrderStatus.WRITTEN:
                    _withdraw(connection, order, "its leader stopped before sending it", self._clock.now())
        sent = self._orders([plan_id], AssetOrderStatus.SENT)
        await all_of([asyncio.create_task(self.outcomes.follow(order)) for order in sent])
        await self.take_out([plan_id])

    async def take_out(self, plan_ids: Sequence[int]) -> None:
        """Cancel whatever of these plans rests in a book, and book it to its end."""
        tasks = [asyncio.create_task(self.outcomes.take_out(order)) for order in self.resting(plan_ids)]
        await all_of(tasks)

    def resting(self, plan_ids: Sequence[int]) -> list[AssetOrder]:
        """Return the orders of these plans that rest in a book."""
        return self._orders(plan_ids, AssetOrderStatus.OPEN)

    async def begin(self, lease: Lease) -> None:
        """Ask the venue what it counts, as a new leader."""
        counts = await self.outcomes.ask(self._venue.order_counts, FIRST_PATIENCE)
        with self._database.write() as connection:
            check(connection, lease)
            forget(connection, self._account.id, counts.at)
            note_counts(connection, self._account.id, counts.at, counts.counts, is_last=True)

    async def limits(self) -> Sequence[OrderLimit]:
        """Return the limits on orders."""
        return await self.outcomes.ask(partial(limits_of, self._venue))

    async def room(self, wanted: int, stop: Stop) -> int | None:
        """Return how many slots are free when a batch of `wanted` orders can be sent now; None after waiting.

        A batch that waited for its slots would trade on books of before; so it is planned when there are some.
        And what was to be planned before the wait may be due, or wanted, no more.
        """
        limits, has_waited = await self.limits(), False
        while True:
            now = await self.outcomes.venue_time()
            with self._database.read() as connection:
                until = paused_until(connection, self._account.id, self._host, now)
                slots = budget(connection, self._account.id, limits, now, self._guard(), wanted)
            if until is None and slots.is_enough:
                return None if has_waited else slots.free
            if stop():
                return None
            has_waited = True
            await self._rest(Claim((), wanted, until or slots.next_look, slots.may_ask), now, [])

    def _guard(self) -> timedelta:
        return self._latency.guard(self._venue.clock_error())

    def _orders(self, plan_ids: Iterable[int], status: AssetOrderStatus) -> list[AssetOrder]:
        with self._database.read() as connection:
            return _in_status(connection, plan_ids, status)

    def _claim(
        self,
        plan_ids: Sequence[int],
        lease: Lease,
        limits: Sequence[OrderLimit],
        now: datetime,
        stop: Stop,
        *,
        is_ending: bool,
    ) -> Claim:
        """Take slots for as many waiting orders as may be sent now, in one transaction with their grant."""
        with self._database.write() as connection:
            check(connection, lease)
            waiting = self._still_wanted(connection, plan_ids, stop, is_ending=is_ending)
            if not waiting:
                return Claim((), 0, None, may_ask=False)
            if (until := paused_until(connection, self._account.id, self._host, now)) is not None:
                return Claim((), len(waiting), until, may_ask=False)
            due = [order for order in waiting if order.next_attempt_at is None or order.next_attempt_at <= now]
            if not due:
                next_look = min(order.next_attempt_at for order in waiting if order.next_attempt_at is not None)
                return Claim((), len(waiting), next_look, may_ask=False)
            slots = budget(connection, self._account.id, limits, now, self._guard())
            chosen = [order.id for order in ranked(due)[: min(slots.free, MOST_AT_ONCE)]]
            granted = [_granted(connection, order, now) for order in asset_orders_by_id(connection, chosen)]
            if granted:
                grant(connection, self._account.id, [order.id for order in granted], now)
            return Claim(granted, len(waiting) - len(granted), slots.next_look, slots.may_ask)

    def _still_wanted(
        self, connection: Connection, plan_ids: Sequence[int], stop: Stop, *, is_ending: bool
    ) -> list[WaitingOrder]:
        """Return what waits of a batch; orders that nobody wants sent any more are withdrawn."""
        waiting = waiting_orders(connection, plan_ids)
        if not waiting:
            return []
        is_stopped, state = stop(), trading_state(connection, self._account.id, self._clock.now())
        owners = set() if is_ending else owners_of_plans(connection, plan_ids)
        cancelled = cancelled_orders(connection, owners)
        if not is_stopped and not cancelled and all(state.permits(side) for side in Side):
            return waiting
        for order in _in_status(connection, plan_ids, AssetOrderStatus.WRITTEN):
            reason = _why_not(order, state, cancelled, is_stopped=is_stopped)
            if reason is not None:
                _withdraw(connection, order, reason, self._clock.now())
        return waiting_orders(connection, plan_ids)

    async def _rest(self, claim: Claim, now: datetime, running: Sequence[asyncio.Task[None]]) -> None:
        """Wait until something in flight ends or there may be slots again; ask for them where that may help."""
        if await self.outcomes.commits.drained():
            return  # answers that are there already may have freed slots
        if claim.may_ask:
            counts = await self.outcomes.ask(self._venue.order_counts)
            with self._database.write() as connection:
                is_news = note_counts(connection, self._account.id, counts.at, counts.counts, is_last=not running)
            if not is_news:
                await self._clock.sleep(LOOK_AGAIN_SECONDS)
            return
        tasks: set[asyncio.Task[None]] = set(running)
        if claim.next_look is not None:
            seconds = max((claim.next_look - now).total_seconds(), SHORTEST_WAIT)
            nap = asyncio.create_task(self._nap(seconds))
            await asyncio.wait({nap, *tasks}, timeout=LONGEST_WAIT, return_when=asyncio.FIRST_COMPLETED)
            nap.cancel()
        elif tasks:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)

    async def _nap(self, seconds: float) -> None:
        await self._clock.sleep(seconds)

    async def _send(self, order: AssetOrder) -> None:
        assert order.granted_at is not None
        intent = order.intent
        with self._database.read() as connection:
            state = trading_state(connection, self._account.id, self._clock.now())
        if not state.permits(intent.side):
            self.outcomes.withdraw(order, f"the account is {state}")
            return
        request = LimitOrder(
            symbol=intent.symbol,
            side=intent.side,
            quantity=intent.quantity,
            price=intent.price,
            client_order_id=intent.client_order_id,
            granted_at=order.granted_at,
            window_seconds=WINDOW_SECONDS,
            kind=intent.kind,
        )
        watch = Stopwatch(self._clock)
        try:
            placed = await self._venue.place(request)
        except OrderRejected as error:
            await self.outcomes.reject(order, error.message)
        except RateLimited as error:
            self._wait_out(order, error, watch.since(order.granted_at))
        except VenueUnavailable:
            self._again(order, watch.since(order.granted_at) + timedelta(seconds=LOOK_AGAIN_SECONDS))
        except (OutcomeUnknown, DuplicateOrder):
            await self.outcomes.follow(order)
        else:
            self._latency.note(watch.elapsed())
            await self.outcomes.learn(order, placed.order, placed.trades, placed.counts)

    def _wait_out(self, order: AssetOrder, error: RateLimited, now: datetime) -> None:
        """Write down that everybody has to wait, and queue the order once more; `now` is the venue's time."""
        self._again(order, self.outcomes.pause(error, now))

    def _again(self, order: AssetOrder, next_attempt: datetime) -> None:
        """Queue an order once more that the venue says it never took, for `next_attempt` by its clock."""
        if order.attempts >= MOST_ATTEMPTS or order.intent.kind is OrderKind.POST_ONLY:
            # The other legs of a quote are not left alone in the books while one waits.
            self.outcomes.withdraw(order, "the venue did not take it")
            return
        with self._database.write() as connection:
            present = asset_order(connection, order.id)
            if present.status is AssetOrderStatus.SENT:
                give_back(connection, order.id)
                move_asset_order(
                    connection,
                    present,
                    AssetOrderStatus.WRITTEN,
                    self._clock.now(),
                    next_attempt_at=next_attempt,
                )


def ranked(waiting: Iterable[WaitingOrder]) -> list[WaitingOrder]:
    """Return waiting orders as they are sent: what brings cash first, then one of each index order in turn."""
    places: Counter[int] = Counter()
    ranks = []
    for order in waiting:
        places[order.index_order_id] += 1
        ranks.append((order.priority, places[order.index_order_id], order.id, order))
    return [order for *_, order in sorted(ranks, key=lambda rank: rank[:3])]


def _why_not(order: AssetOrder, state: TradingState, cancelled: set[int], *, is_stopped: bool) -> str | None:
    """Return why a waiting order is not sent any more; None: it is."""
    if is_stopped:
        return "its leader was asked to stop"
    if not state.permits(order.intent.side):
        return f"the account is {state}"
    if all(share.index_order_id in cancelled for share in order.shares):
        return "its order was cancelled"
    return None


def _in_status(connection: Connection, plan_ids: Iterable[int], status: AssetOrderStatus) -> list[AssetOrder]:
    found = {order.id: order for plan in plan_ids for order in asset_orders_of_plan(connection, plan)}
    return [order for _, order in sorted(found.items()) if order.status is status]


def _granted(connection: Connection, order: AssetOrder, now: datetime) -> AssetOrder:
    attempts = order.attempts + 1
    move_asset_order(connection, order, AssetOrderStatus.SENT, now, granted_at=now, attempts=attempts)
    return replace(order, status=AssetOrderStatus.SENT, granted_at=now, attempts=attempts)


def _withdraw(connection: Connection, order: AssetOrder, reason: str, now: datetime) -> None:
    move_asset_order(connection, order, AssetOrderStatus.WITHDRAWN, now, reason=reason)
