"""Leads an account: each turn collects the open orders, looks, solves, writes, sends, learns and books.

Starting and recovering are the same code: what an earlier leader left unsettled
is learnt and booked before anything new is planned.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from functools import partial

from etf_trader.clock import Clock
from etf_trader.database import Database
from etf_trader.errors import AccountLed, DatabaseFailure, DataError, EtfError, SolverError, VenueError
from etf_trader.events import EventLog
from etf_trader.execution.answer import Answer, as_seen, book_answer
from etf_trader.execution.batch import CONVERT, QUOTE, Batch, Member, write_batch
from etf_trader.execution.ending import Finisher
from etf_trader.execution.lease import HEARTBEAT_SECONDS, Lease, Leases, check, this_host
from etf_trader.execution.look import look_and_plan
from etf_trader.execution.planning import MarketView
from etf_trader.execution.queue import Queue
from etf_trader.execution.reconcile import Reconciler, Reconciliation
from etf_trader.execution.resting import Pause, Quoter
from etf_trader.execution.risk_review import Gate, is_refusal, plan_within, word_of
from etf_trader.execution.routed import foreign_currencies, symbols_of
from etf_trader.execution.settings import ExecutionSettings
from etf_trader.execution.settlement import MOVED, SLICE, Ending, batch_prices, settle
from etf_trader.execution.state import OrderState, order_state
from etf_trader.execution.timing import is_working, next_due, paced, wait_until, work_at_hand
from etf_trader.execution.together import Asked, Stopped, Together, ask, plan_together, stop_of, stops_of
from etf_trader.execution.unwinding import Rules
from etf_trader.ledger.repository import Account
from etf_trader.orders.asset_order import AssetOrder
from etf_trader.orders.index_order import IndexOrder
from etf_trader.orders.status import AssetOrderStatus, IndexOrderStatus
from etf_trader.orders.store import (
    asset_orders_of_plan,
    asset_orders_with,
    index_order,
    list_index_orders,
    plans_of,
    stored_plan,
    unsettled_plans,
    write_filled,
)
from etf_trader.risk.proposal import Violation
from etf_trader.venue.interface import Venue

Failures = dict[int, DataError | SolverError]
"""Why orders for now could not be planned, by order."""

MOST_TURNS = 50
"""An order that meets moving books this often in one go is left for later, or ended when it is for now."""

MOST_BARREN = 3
"""An order whose batches executed nothing so often in a row gets nowhere by being sent again."""

FOLLOW_SECONDS = 0.2
FREE_LOOKS = 25
PATIENCE_SECONDS = 20.0
"""How long a command that only reconciles waits for a leader that is at work."""

ROUND_SECONDS = 1.0
NAP_SECONDS = 0.1


class Manager:
    """Gets the orders of one account done."""

    def __init__(
        self,
        database: Database,
        venue: Venue,
        clock: Clock,
        wall_clock: Clock,
        account: Account,
        settings: ExecutionSettings,
        log: EventLog,
    ) -> None:
        self._database = database
        self._venue = venue
        self._clock = clock
        self._wall_clock = wall_clock
        self._account = account
        self._settings = settings
        self._log = log
        host = settings.host or this_host()
        self._leases = Leases(database, wall_clock, host)
        self._queue = Queue(database, venue, clock, account, log, host)
        self._gate = Gate(database, clock, account, log)
        self._finisher = Finisher(
            database, venue, clock, account, settings, log, self._gate, self._trade_to_end, lambda: self._stop()
        )
        self._reconciler = Reconciler(database, venue, clock, account, log, every_seconds=settings.reconcile_every)
        self._stop: Callable[[], bool] = lambda: False
        self._quoter = Quoter(database, venue, clock, account, self._queue, self._leases)
        # How a quote waits, and whether somebody stays to watch it: else what is due is taken after its time.
        self._pause: Pause = clock.sleep
        self._stays: Callable[[], bool] = lambda: False
        # Who has exchanged currencies in this go and not traded since: not twice without trading in between.
        self._converted: set[int] = set()
        self._has_waited = False

    def stop_when(self, stop: Callable[[], bool]) -> None:
        """Begin no new batch once `stop` says so; what is in flight is settled."""
        self._stop = stop

    async def run(self, wanted: Iterable[int], *, wait: bool = True, stay: bool = False) -> None:
        """Bring these orders as far as they go now, leading the account or following who does.

        With `stay`, go on until those of them that are orders over time are done.

        Raises:
            AccountLed: another process leads, and `wait` is False.
            ReconciliationMismatch: the books and the venue differ; nothing was sent.
        """
        orders = list(wanted)
        while not self._stop():
            lease = self._leases.take(self._account.id)
            if lease is not None:
                async with self._leading(lease) as found:
                    found.require_agreement()
                    self._pause, self._stays = self._clock.sleep, lambda: stay and self._is_working(orders)
                    await self._work(orders, lease)
                    while stay and await self._next_slice(orders):
                        await self._work(orders, lease)
                return
            if not wait:
                accepted = f", and works order {orders[0]}, which is accepted" if orders else ""
                raise AccountLed(
                    f"another process leads this account{accepted}",
                    hint="do not repeat it: etf order list shows how far it is",
                )
            if self._all_final(orders):
                return
            await self._wall_clock.sleep(FOLLOW_SECONDS)

    async def reconcile(self, *, wait: bool = True) -> Reconciliation:
        """Learn what is missing from the books, without trading; return what was found.

        Raises:
            AccountLed: another process leads, and `wait` is False.
        """
        lease = await self._lead(wait=wait)
        async with self._leading(lease) as found:
            return found

    async def book_difference(self, answer: Answer, *, wait: bool = True) -> tuple[bool, Reconciliation]:
        """Book a difference as a person says; return whether it was open until now, and how it stands after it.

        Raises:
            AccountLed: another process leads, and `wait` is False.
            NotFound, UsageError: the answer cannot be meant.
            ReconciliationMismatch: the difference has changed; nothing was booked.
        """
        with self._database.read() as connection:
            seen = as_seen(connection, self._account, answer)
        lease = await self._lead(wait=wait)
        async with self._leading(lease) as found:
            is_new = await book_answer(
                self._database, self._venue, self._clock, self._account, seen, answer, lease
            )
            return is_new, (await self._reconciler.run(lease)).after(found)

    async def _lead(self, *, wait: bool) -> Lease:
        """Take the lease, waiting a while for who has it: a worker that trades does not give it back."""
        for _ in range(round(PATIENCE_SECONDS / FOLLOW_SECONDS) if wait else 1):
            if lease := self._leases.take(self._account.id):
                return lease
            if wait:
                await self._wall_clock.sleep(FOLLOW_SECONDS)
        raise AccountLed(
            "another process leads this account",
            hint=f"it compares the books with the venue at its start and every {self._settings.reconcile_every} s",
        )

    async def free(self, wanted: Sequence[int], *, wait: bool = True) -> None:
        """Try to trade back what stuck orders hold, and do nothing else; or watch for a while how the leader does.

        Raises:
            AccountLed: another process leads, and `wait` is False.
        """
        for _ in range(FREE_LOOKS):
            lease = self._leases.take(self._account.id)
            if lease is not None:
                async with self._leading(lease):
                    await self._finisher.free_stuck(await self._venue.rules(), lease)
                return
            if not wait:
                raise AccountLed("another process leads this account", hint="it tries next")
            with self._database.read() as connection:
                found = [index_order(connection, number) for number in wanted]
            if self._stop() or all(order.status is not IndexOrderStatus.STUCK for order in found):
                return
            await self._wall_clock.sleep(FOLLOW_SECONDS)

    @property
    def account_id(self) -> int:
        """The account whose orders it gets done."""
        return self._account.id

    def is_free(self) -> bool:
        """Return whether nobody leads the account."""
        return self._leases.is_free(self._account.id)

    async def lead(self, stop: Callable[[], bool], told: Callable[["Manager", EtfError | None], None]) -> None:
        """Lead the account, round after round, until `stop` says so; nothing if another process leads it.

        What keeps orders from being worked now - a price, the venue - is told, and tried again.

        Raises:
            AccountLed: another process has taken over.
            ReconciliationMismatch: the books and the venue differ.
        """
        self.stop_when(stop)
        lease = self._leases.take(self._account.id)
        if lease is None:
            return
        async with self._leading(lease) as found:
            found.require_agreement()
            self._pause, self._stays = self._wall_clock.sleep, lambda: True  # others move a stepped clock
            while not stop():
                # With nothing to do, nothing else would tell one that was paused past a take-over.
                self._leases.require(lease)
                failure: EtfError | None = None
                try:
                    await self._work((), lease)
                except (DataError, VenueError, SolverError) as error:
                    failure = error
                told(self, failure)
                await self._nap(stop)

    async def _nap(self, stop: Callable[[], bool]) -> None:
        """Wait for the next round, but not past a stop, and not while somebody asks for something new."""
        known = self._at_hand()
        for _ in range(round(ROUND_SECONDS / NAP_SECONDS)):
            if stop() or self._at_hand() != known:
                return
            await self._wall_clock.sleep(NAP_SECONDS)

    def _until_news(self) -> Callable[[], bool]:
        """Return what tells whether to stop waiting: asked to stop, or somebody wants something new."""
        known = self._at_hand()
        return lambda: self._stop() or self._at_hand() != known

    def _at_hand(self) -> frozenset[tuple[int, bool]]:
        with self._database.read() as connection:
            return work_at_hand(connection, self._account.id)

    @asynccontextmanager
    async def _leading(self, lease: Lease) -> AsyncIterator[Reconciliation]:
        """Lead: reconcile first, keep the heartbeat, give the lease back at the end."""
        heartbeat = asyncio.create_task(self._beat(lease))
        try:
            deaf = self._queue.outcomes.listen()
            try:
                await self._queue.begin(lease)
                self._finisher.begin()
                yield await self._recover(lease)
            finally:
                deaf()
        finally:
            heartbeat.cancel()
            with suppress(asyncio.CancelledError, EtfError):
                await heartbeat
            self._leases.give_back(lease)

    async def _beat(self, lease: Lease) -> None:
        while True:
            await asyncio.sleep(HEARTBEAT_SECONDS)
            with suppress(DatabaseFailure):  # a beat may be missed, and the next one comes
                self._leases.renew(lease)

    async def _recover(self, lease: Lease) -> Reconciliation:
        found = await self._settle_rest(lease)
        result = await self._reconciler.run(lease)
        return result.after(Reconciliation(self._account, booked=found))

    async def _settle_rest(self, lease: Lease) -> tuple[str, ...]:
        """Learn and settle what is not settled: of an earlier leader, or of before the venue fell silent."""
        with self._database.read() as connection:
            pending = unsettled_plans(connection, self._account.id)
        found = []
        for plan in pending:
            await self._queue.recover(plan.id, lease)
            self._settle(plan.id, lease)
            found.append(f"plan {plan.id} of order {plan.index_order_id} was settled")
        return tuple(found)

    async def _work(self, wanted: Sequence[int], lease: Lease) -> None:
        """Take every open order as far as it goes now, all of them together.

        Raises:
            DataError, SolverError: one of the orders wanted could not be planned.
        """
        await self._settle_rest(lease)
        rules = await self._venue.rules()
        self._converted.clear()
        await self._finisher.free_stuck(rules, lease)
        waiting = self._open_orders()
        known = set(waiting)
        failures: Failures = {}
        turns = 0
        while turns < MOST_TURNS:
            self._has_waited = False
            if (found := await self._reconciler.periodic(lease)) is not None:
                found.require_agreement()
            left = await self._turn(waiting, rules, lease, failures)
            if self._stop():
                return
            waiting = left + [number for number in self._open_orders() if number not in known]
            known.update(waiting)
            if not waiting:
                break
            turns = 0 if self._has_waited else turns + 1  # quotes and slots take their time
        for order_id in waiting:
            with self._database.read() as connection:
                order = index_order(connection, order_id)
            if order.is_last_chance(self._clock.now()):
                await self._finisher.finish(order, Ending(IndexOrderStatus.ENDED, ("moved",)), rules, lease)
        for order_id in wanted:  # what stops another order is told where that is followed
            if order_id in failures:
                raise failures[order_id]

    async def _next_slice(self, orders: Sequence[int]) -> bool:
        """Wait until more is due of any order over time; False when none of `orders` is at work any more."""
        with self._database.read() as connection:
            moment = next_due(connection, self._account.id, self._clock.now())
            if moment is None or not is_working(connection, self._account.id, orders):
                return False
        known = self._at_hand()
        await wait_until(self._clock, moment, lambda: self._stop() or self._at_hand() != known)
        return not self._stop()

    def _is_working(self, orders: Sequence[int]) -> bool:
        with self._database.read() as connection:
            return is_working(connection, self._account.id, orders)

    def _open_orders(self) -> list[int]:
        with self._database.read() as connection:
            found = list_index_orders(connection, account_id=self._account.id, statuses=[IndexOrderStatus.OPEN])
        # Cancels first: they free cash and units, and nobody who cancels wants to wait.
        found.sort(key=lambda order: order.cancel_requested_at is None)
        return [order.id for order in found]

    def _all_final(self, orders: list[int]) -> bool:
        with self._database.read() as connection:
            return all(index_order(connection, number).status.is_final for number in orders)

    async def _turn(self, waiting: Sequence[int], rules: Rules, lease: Lease, failures: Failures) -> list[int]:
        """Plan, send and settle one batch for all these orders; return those that may do more now.

        An order whose constituent has no price stops alone; its failure is noted.
        """
        ready = []
        for order_id in waiting:
            if self._stop():
                return []
            if await self._is_ready(order_id, rules, lease):
                ready.append(order_id)
        # Read when all that is due has ended: what ends gives to the float, or takes of it.
        states, quoting = self._quoter.sorted_out(await self._states(ready))
        # An order that may use other currencies is planned alone: its network of books is its own.
        together = [state for state in states if not foreign_currencies(state.index)]
        alone = [state.order.id for state in states if foreign_currencies(state.index)]
        left = await self._batch(together, rules, lease, failures) if together else []
        for order_id in alone:
            if self._stop():
                return left
            # Read again: orders of one index share its float.
            left += await self._batch(await self._again(states, order_id), rules, lease, failures)
        if left or self._stop():
            return left + [state.order.id for state in quoting]
        return await self._quote(quoting, rules, lease)

    async def _again(self, states: Sequence[OrderState], order_id: int) -> list[OrderState]:
        """Read once more how an order stands that is planned alone; what is due of it stays."""
        (before,) = (state for state in states if state.order.id == order_id)
        return [replace(each, pace=before.pace) for each in await self._states([order_id])]

    async def _quote(self, states: Sequence[OrderState], rules: Rules, lease: Lease) -> list[int]:
        """Quote what is due of these orders, as long as that may rest; return those that may do more now."""
        if not states or not self._stays():
            return []
        known = self._at_hand()
        batch = await self._quoter.plan(states, rules, self._until_news())
        if batch is None or self._gate.review_batch(batch):
            return []  # what the gate does not let rest is reviewed, and told, when it is to be taken
        await self._trade(batch, lease, known=known)
        self._has_waited = True
        return [] if self._quoter.has_given_way else [state.order.id for state in states]

    async def _states(self, orders: Sequence[int]) -> list[OrderState]:
        """Return how these orders stand, without those over time of which nothing is due now."""
        with self._database.read() as connection:
            states = [order_state(connection, order_id) for order_id in orders]
        return await paced(self._database, self._venue, states, self._clock.now())

    async def _batch(
        self,
        states: Sequence[OrderState],
        rules: Rules,
        lease: Lease,
        failures: Failures,
    ) -> list[int]:
        """Look, plan and trade once for these orders; return those that may do more now."""

        async def plan(states: Sequence[OrderState], view: MarketView) -> Together:
            asked: list[Asked] = []
            unplanned: list[Stopped] = []
            for state in states:
                try:
                    may_convert = state.order.id not in self._converted
                    asked.append(ask(state, view, self._settings.slack_ticks, may_convert=may_convert))
                except DataError as error:
                    unplanned.append((state, error))
            return await asyncio.to_thread(plan_together, asked, unplanned, view, self._settings)

        symbols = {symbol for state in states for symbol in symbols_of(state.index, state.basket, rules)}
        legs = {symbol for state in states for symbol in state.basket.symbols.values()}
        slots = await self._queue.room(len(legs), self._until_news())
        if slots is None:
            self._has_waited = True  # what is due may be another now, or somebody wants something else
            return [state.order.id for state in states]

        async def look_at(left: Sequence[OrderState]) -> Together:
            needed = {symbol for state in left for symbol in symbols_of(state.index, state.basket, rules)}
            depth, way = self._settings.depth, partial(plan, left)
            own = self._resting()
            return (await look_and_plan(self._venue, needed, depth, rules, way, stops_of, slots, own))[1]

        try:
            together, refused = await plan_within(states, look_at, self._gate)
        except DataError:
            fresh = await self._venue.rules()
            if symbols <= fresh.keys():
                raise
            return await self._batch(states, fresh, lease, failures)  # a market has gone since the rules were read
        batch = together.batch
        if batch.members:
            await self._trade(batch, lease)
            self._converted.difference_update(member.order_id for member in batch.members)
            self._converted.update(member.order_id for member in batch.members if member.purpose == CONVERT)
        # Whatever ends may trade back what it holds, which moves the books: after the batch.
        for state in states:
            if (violation := refused.get(state.order.id)) is not None:
                await self._refuse(state, violation, rules, lease)
        for state, idle in together.idle:
            await self._rest(state.order, idle.stopped_by, rules, lease, stays_open=state.stays_open)
        for state, error in together.unplanned:
            await self._rest(state.order, (stop_of(error),), rules, lease, stays_open=state.stays_open)
            if not state.stays_open:
                failures[state.order.id] = error
        left = [member.order_id for member in batch.members if await self._goes_on(member, rules, lease)]
        return left + [state.order.id for state in together.later]

    def _resting(self) -> list[AssetOrder]:
        """Return our orders in the books: none, unless a quote could not be cancelled."""
        with self._database.read() as connection:
            return asset_orders_with(connection, self._account.id, AssetOrderStatus.OPEN)

    async def _is_ready(self, order_id: int, rules: Rules, lease: Lease) -> bool:
        """Return whether there is anything to plan for an order; one whose end is due is ended."""
        with self._database.read() as connection:
            order = index_order(connection, order_id)
        if order.status.is_final:
            return False
        ending = self._due_ending(order)
        if ending is None and order.remaining == 0:
            # An earlier leader stopped between its last batch and the order's end.
            ending = Ending(IndexOrderStatus.FILLED, ("filled",))
        if ending is not None:
            await self._finisher.finish(order, ending, rules, lease)
        else:
            await self._finisher.even_out(order, rules, lease)
        return ending is None

    async def _rest(
        self, order: IndexOrder, stopped_by: tuple[str, ...], rules: Rules, lease: Lease, *, stays_open: bool
    ) -> None:
        """Leave an order of which nothing can be traded now for later, or end it when it is for now."""
        if stays_open:
            self._note(order, stopped_by, lease)
        else:
            await self._finisher.finish(order, Ending(IndexOrderStatus.ENDED, stopped_by), rules, lease)

    async def _refuse(self, state: OrderState, violation: Violation, rules: Rules, lease: Lease) -> None:
        """Record that the gate let nothing of an order through; it waits, or ends when it is for now."""
        stop = word_of(violation)
        if stop not in state.order.stopped_by:
            with self._database.write() as connection:
                check(connection, lease)
                self._gate.note(connection, state.order.id, violation)
        await self._rest(state.order, (stop,), rules, lease, stays_open=state.stays_open)

    async def _goes_on(self, member: Member, rules: Rules, lease: Lease) -> bool:
        """Decide, after a batch, whether the order is planned once more in this go."""
        if member.purpose == CONVERT:
            return True
        order_id, plan = member.order_id, member.plan
        with self._database.read() as connection:
            order = index_order(connection, order_id)
        if order.status.is_final:
            return False
        if order.remaining == 0:
            # Filled, but it holds more of some asset than the float may take.
            await self._finisher.finish(order, Ending(IndexOrderStatus.FILLED, ("filled",)), rules, lease)
            return False
        stops = plan.stopped_by
        if order.stopped_by == SLICE:
            return member.state.pace is not None and member.state.pace.takes  # it is quoted further
        if order.stopped_by == ("moved",):
            barren = self._barren_stops(order_id)
            if barren is None:
                return True
            stops = barren
        await self._rest(order, stops, rules, lease, stays_open=member.state.stays_open)
        return False

    def _barren_stops(self, order_id: int) -> tuple[str, ...] | None:
        """Return what stops an order whose last batches executed nothing at all; None while it gets on."""
        with self._database.read() as connection:
            plans = plans_of(connection, order_id)[-MOST_TURNS:]
            sent = [asset_orders_of_plan(connection, plan.id) for plan in plans]
        # What never reached the venue tells nothing of the books.
        batches = [
            batch for batch in sent if any(each.status is not AssetOrderStatus.WITHDRAWN for each in batch)
        ][-MOST_BARREN:]
        if len(batches) < MOST_BARREN or any(sent.executed_quantity for batch in batches for sent in batch):
            return None
        refused = sorted({sent.intent.asset for sent in batches[-1] if sent.status is AssetOrderStatus.REJECTED})
        return tuple(f"rejected({asset})" for asset in refused) or ("moved",)

    def _due_ending(self, order: IndexOrder) -> Ending | None:
        if order.cancel_requested_at is not None:
            return Ending(IndexOrderStatus.CANCELLED, ("cancelled",))
        if order.expires_at is not None and order.expires_at <= self._clock.now() and not order.takes_at_end:
            return Ending(IndexOrderStatus.ENDED, (*order.stopped_by, "time"))
        if not order.stays_open and order.remaining and any(map(is_refusal, order.stopped_by)):
            # It was refused while the account was halted and what it held could not be traded back.
            return Ending(IndexOrderStatus.ENDED, order.stopped_by)
        return None

    async def _trade_to_end(self, batch: Batch, lease: Lease) -> bool:
        """Trade a batch that ends its order, or makes it even: a cancel does not stop it, the gate may."""
        if self._gate.review_batch(batch, finishing=True):
            return False
        await self._trade(batch, lease, is_ending=True)
        return True

    async def _trade(
        self,
        batch: Batch,
        lease: Lease,
        *,
        is_ending: bool = False,
        known: frozenset[tuple[int, bool]] = frozenset(),
    ) -> None:
        """Write a batch with its intents, send it, let it rest if it quotes, and settle what it traded.

        Args:
            known: What was wanted when a quote was planned.
        """
        with self._database.write() as connection:
            check(connection, lease)
            plans = write_batch(connection, self._log, self._account, batch, self._clock.now())
        await self._queue.run(plans, lease, self._stop, is_ending=is_ending)
        if any(member.purpose == QUOTE for member in batch.members):
            await self._quoter.rest(batch, plans, lease, self._stop, self._pause, known)
        for plan_id in plans:
            self._settle(plan_id, lease)
        await self._venue.batch_done()

    def _settle(self, plan_id: int, lease: Lease) -> None:
        with self._database.write() as connection:
            check(connection, lease)
            plan = stored_plan(connection, plan_id)
            if plan.is_settled:
                return
            prices = batch_prices(connection, self._account.id, plan)
            settle(connection, self._log, plan, prices, _stops(plan.document), self._clock.now())

    def _note(self, order: IndexOrder, stopped_by: tuple[str, ...], lease: Lease) -> None:
        with self._database.write() as connection:
            check(connection, lease)
            write_filled(connection, order.id, order.filled, SLICE if stopped_by == ("filled",) else stopped_by)


def _stops(document: str) -> tuple[str, ...]:
    """Return what stopped a stored plan.

    What was exchanged before may not suffice when lots are counted again: that
    is no end of the order's cash, it may exchange more.
    """
    plan = json.loads(document)
    stops = tuple(plan["stopped_by"])
    return MOVED if "cash" in stops and plan.get("may_convert") is False else stops
