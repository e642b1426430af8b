"""Leads an account: each turn collects the open orders, looks, solves, writes, sends, learns and books.

Starting and recovering are the same code: what an earlier leader left unsettled
is learnt and booked before anything new is planned.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress

from sqlalchemy import Connection

from etf_trader.clock import Clock
from etf_trader.database import Database
from etf_trader.errors import AccountLed, DatabaseFailure, DataError, EtfError, SolverError, VenueError
from etf_trader.events import EventLog
from etf_trader.execution.answer import Answer, as_seen, book_answer
from etf_trader.execution.ending import Finisher
from etf_trader.execution.fees_in_kind import accrue_daily
from etf_trader.execution.lease import HEARTBEAT_SECONDS, Lease, Leases, check, this_host
from etf_trader.execution.queue import Queue
from etf_trader.execution.rebalancing import Rebalancer
from etf_trader.execution.reconcile import Reconciler, Reconciliation
from etf_trader.execution.resting import Quoter
from etf_trader.execution.risk_review import Gate
from etf_trader.execution.settings import ExecutionSettings
from etf_trader.execution.settlement import Ending
from etf_trader.execution.shift import Shift
from etf_trader.execution.timing import is_working, next_due, wait_until
from etf_trader.execution.trader import Trader
from etf_trader.execution.turns import MOST_TURNS, Failures, Turns
from etf_trader.ledger.repository import Account
from etf_trader.market.symbol import SymbolRule
from etf_trader.orders.status import IndexOrderStatus
from etf_trader.orders.store import (
    index_order,
    list_index_orders,
    standing_of,
)
from etf_trader.venue.interface import Venue

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
        host = settings.host or this_host()
        self.rules: Mapping[str, SymbolRule] = {}
        """The markets as they were read last."""
        self._leases = Leases(database, wall_clock, host)
        self._queue = Queue(database, venue, clock, account, log, host)
        self._gate = Gate(database, clock, account, log)
        self._shift = Shift(database, account.id, pause=clock.sleep)
        quoter = Quoter(database, venue, clock, account, self._queue, self._leases, self._shift)
        self._trader = Trader(database, venue, clock, account, log, self._queue, self._gate, quoter, self._shift)
        self._finisher = Finisher(
            database, venue, clock, account, settings, log, self._gate, self._trader, self._shift
        )
        self._turns = Turns(
            database,
            venue,
            clock,
            account,
            settings,
            self._queue,
            self._gate,
            quoter,
            self._trader,
            self._finisher,
            self._shift,
        )
        self._rebalancer = Rebalancer(
            database,
            venue,
            clock,
            account,
            settings,
            log,
            self._queue,
            self._gate,
            self._trader,
            self._turns,
            self._shift,
        )
        self._reconciler = Reconciler(database, venue, clock, account, log, every_seconds=settings.reconcile_every)

    def stop_when(self, stop: Callable[[], bool]) -> None:
        """Begin no new batch once `stop` says so; what is in flight is settled."""
        self._shift.stop = stop

    async def run(self, wanted: Iterable[int], *, wait: bool = True, stay: bool = False) -> None:
        """Bring these orders as far as they go now, leading the account or following who does.

        With `stay`, go on until those of them that are orders over time are done.

        Raises:
            AccountLed: another process leads, and `wait` is False.
            ReconciliationMismatch: the books and the venue differ; nothing was sent.
        """
        orders = list(wanted)
        while not self._shift.stop():
            lease = self._leases.take(self._account.id)
            if lease is not None:
                async with self._leading(lease) as found:
                    found.require_agreement()
                    self._shift.pause, self._shift.stays = (
                        self._clock.sleep,
                        lambda: stay and self._is_working(orders),
                    )
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

    async def alone(self, work: Callable[[Connection], None], *, wait: bool = True) -> None:
        """Write something while nobody trades: the basket of an index is not changed under a plan.

        Raises:
            AccountLed: another process leads, and `wait` is False, or it goes on leading.
        """
        lease = await self._lead(wait=wait)
        try:
            with self._database.write() as connection:
                check(connection, lease)
                work(connection)
        finally:
            self._leases.give_back(lease)

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
            if self._shift.stop() or all(order.status is not IndexOrderStatus.STUCK for order in found):
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
            self._shift.pause, self._shift.stays = (
                self._wall_clock.sleep,
                lambda: True,
            )  # others move a stepped clock
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
        known = self._shift.at_hand()
        for _ in range(round(ROUND_SECONDS / NAP_SECONDS)):
            if stop() or self._shift.at_hand() != known:
                return
            await self._wall_clock.sleep(NAP_SECONDS)

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
        found = await self._trader.settle_rest(lease)
        result = await self._reconciler.run(lease)
        return result.after(Reconciliation(self._account, booked=found))

    async def _work(self, wanted: Sequence[int], lease: Lease) -> None:
        """Take every open order as far as it goes now, all of them together.

        Raises:
            DataError, SolverError: one of the orders wanted could not be planned.
        """
        await self._trader.settle_rest(lease)
        accrue_daily(self._database, self._account, lease, self._clock.now())
        rules = self.rules = await self._venue.rules()
        self._turns.begin()
        await self._finisher.free_stuck(rules, lease)
        waiting = self._open_orders()
        known = set(waiting)
        failures: Failures = {}
        rebalances = self._rebalancer.open()
        known.update(rebalances)
        turns = 0
        while turns < MOST_TURNS:
            if (found := await self._reconciler.periodic(lease)) is not None:
                found.require_agreement()
            # A wave is settled before orders of its index are planned: they go by the basket that it has left.
            moving = await self._rebalancer.play(rebalances, waiting, rules, lease, failures)
            held = [number for number in waiting if number in self._rebalancer.held]
            due = [number for number in waiting if number not in held]
            if self._shift.stop():
                return
            left = await self._turns.play(due, rules, lease, failures, may_quote=not moving)
            if self._shift.stop():
                return
            bare = self._turns.bare if moving else []  # the next wave buys what they trade
            waiting = held + left + bare + [number for number in self._open_orders() if number not in known]
            rebalances = moving + [number for number in self._rebalancer.open() if number not in known]
            known.update(waiting, rebalances)
            if not waiting and not rebalances:
                break
            # quotes and slots take their time
            turns = 0 if self._turns.has_waited or self._rebalancer.has_waited else turns + 1
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
        known = self._shift.at_hand()
        await wait_until(self._clock, moment, lambda: self._shift.stop() or self._shift.at_hand() != known)
        return not self._shift.stop()

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
            return all(standing_of(connection, number)[0].is_final for number in orders)
