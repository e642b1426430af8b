"""An asset order's life at our side, under any interleaving of what can happen to it.

A whole leader runs against a venue whose every request waits at a gate, on a
clock that the machine moves. The machine decides when a request arrives and what is
answered, when reports come and how often, when time passes, when somebody
cancels, and when the leader dies.
"""

import asyncio
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from hypothesis import settings, strategies
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from sqlalchemy import Connection, select
from tests.effort import examples
from tests.factories import make_definition, make_house, make_ladders, make_market, make_request, open_house
from tests.invariants import findings, limit_findings, standing_findings

from etf_trader.clock import Clock, SystemClock
from etf_trader.errors import DuplicateOrder, EtfError, OutcomeUnknown, VenueError, VenueUnavailable
from etf_trader.execution.manager import Manager
from etf_trader.execution.tables import leases
from etf_trader.ledger.audit import audit
from etf_trader.ledger.tables import fills
from etf_trader.market.symbol import Side
from etf_trader.money import ZERO, money_context
from etf_trader.orders.status import ASSET_ORDER_TRANSITIONS, AssetOrderStatus
from etf_trader.orders.store import list_asset_orders, request_cancel
from etf_trader.venue.faulty import FaultPlan, FaultyVenue
from etf_trader.venue.interface import LimitOrder, Listener, Placed, Report, Venue

D = Decimal

SURELY_OVER = 40
"""Turns of the event loop after which whatever can go on has gone on."""


class HeldClock:
    """The exchange's clock; who sleeps wakes when the machine has moved it far enough."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.sleepers: list[tuple[datetime, asyncio.Future[None]]] = []

    def now(self) -> datetime:
        return self._clock.now()

    async def sleep(self, seconds: float) -> None:
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.sleepers.append((self.now() + timedelta(seconds=seconds), future))
        await future

    def wake(self) -> None:
        """Let everybody go on whose time has come."""
        now = self.now()
        for at, future in self.sleepers:
            if at <= now and not future.done():
                future.set_result(None)
        self.sleepers = [(at, future) for at, future in self.sleepers if not future.done()]


@dataclass(slots=True)
class Request:
    """An order on its way: what became of it at the exchange, and who waits for the answer."""

    order: LimitOrder
    answer: asyncio.Future[Placed]
    placed: Placed | VenueError | None = None


@dataclass(slots=True)
class Gates:
    """What waits at the gates of a venue: requests to place, and reports to be told."""

    requests: list[Request] = field(default_factory=list)
    reports: list[Report] = field(default_factory=list)
    listeners: list[Listener] = field(default_factory=list)


class GatedVenue(FaultyVenue):
    """A sound venue but that orders and reports wait until the machine lets them through."""

    def __init__(self, venue: Venue, clock: Clock, gates: Gates) -> None:
        super().__init__(venue, FaultPlan.none(), clock)
        self.gates = gates
        self.inner = venue
        venue.subscribe(gates.reports.append)

    async def place(self, order: LimitOrder) -> Placed:
        request = Request(order, asyncio.get_running_loop().create_future())
        self.gates.requests.append(request)
        return await request.answer

    def subscribe(self, listener: Listener) -> Callable[[], None]:
        self.gates.listeners.append(listener)
        return lambda: self.gates.listeners.remove(listener)


class OrderLife(RuleBasedStateMachine):
    """One buy of an index of A and B, its asset orders, and everything that may happen to them."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="etf-life-"))
        self.seen: list[str] = []
        self.statuses: dict[int, AssetOrderStatus] = {}
        self.all_gates: list[Gates] = []
        self.lost: list[tuple[asyncio.AbstractEventLoop, asyncio.Task[None]]] = []
        self._context = money_context()
        self._context.__enter__()

    @initialize(depth=strategies.sampled_from(["2", "30"]), side=strategies.sampled_from(list(Side)))
    def begin(self, depth: str, side: Side) -> None:
        books = {"A": make_ladders(D(100), D("0.01"), D(depth)), "B": make_ladders(D(10), D("0.01"), D(50))}
        self.house = make_house(self.folder, make_market(books, rules={"B": {"step": "1", "min_quantity": "1"}}))
        asyncio.run(self.house.create(make_definition()))
        if side is Side.SELL:
            asyncio.run(self.house.buy(6))
        self.house.database.watch = self._watch
        self.order = asyncio.run(self.house.desk.accept(make_request(side, quantity=D(5), time_in_force="gtc")))
        self._lead()

    def _lead(self) -> None:
        """Start a leader, as a process that begins with what the database says."""
        house = open_house(self.house.exchange, self.house.market, self.house.database, self.house.account)
        self.clock, self.gates = HeldClock(house.clock), Gates()
        self.all_gates.append(self.gates)
        self.venue = GatedVenue(house.venue, self.clock, self.gates)
        manager = Manager(
            house.database, self.venue, self.clock, SystemClock(), house.account, house.settings, house.log
        )
        self.loop = asyncio.new_event_loop()
        self.leader = self.loop.create_task(manager.run([self.order.id]))
        self._go_on()

    def _go_on(self) -> None:
        """Let the leader run until it waits for the machine, or has ended."""
        for _ in range(2000):
            for _ in range(SURELY_OVER):
                self.loop.run_until_complete(asyncio.sleep(0))
            if self.leader.done() or self.clock.sleepers or any(not r.answer.done() for r in self.gates.requests):
                break
            self.loop.run_until_complete(asyncio.sleep(0.001))  # a solve runs in its thread
        else:
            raise AssertionError("the leader waits for nothing")
        if self.leader.done() and (error := self.leader.exception()) is not None:
            assert isinstance(error, EtfError), error

    def _waiting(self) -> list[Request]:
        return [request for request in self.gates.requests if not request.answer.done()]

    def _on_the_way(self) -> list[Request]:
        """Return what has not arrived, also of leaders that are dead."""
        return [request for gates in self.all_gates for request in gates.requests if request.placed is None]

    def _arrive(self, request: Request) -> None:
        if request.placed is None:
            try:
                request.placed = asyncio.run(self.house.venue.place(request.order))
            except VenueError as error:
                request.placed = error

    @precondition(lambda self: self._on_the_way())
    @rule(data=strategies.data())
    def a_request_reaches_the_venue(self, data: strategies.DataObject) -> None:
        self._arrive(data.draw(strategies.sampled_from(self._on_the_way())))

    @precondition(lambda self: self._waiting())
    @rule(data=strategies.data(), bare=strategies.booleans(), again=strategies.booleans())
    def a_request_is_answered(self, data: strategies.DataObject, bare: bool, again: bool) -> None:
        request = data.draw(strategies.sampled_from(self._waiting()))
        self._arrive(request)
        if isinstance(request.placed, VenueError):
            request.answer.set_exception(request.placed)
        elif again:
            request.answer.set_exception(DuplicateOrder("Duplicate order sent."))
        elif request.placed is not None:
            placed = request.placed
            request.answer.set_result(replace(placed, trades=None, counts=()) if bare else placed)
        self._go_on()

    @precondition(lambda self: self._waiting())
    @rule(data=strategies.data())
    def nobody_knows_what_became_of_a_request(self, data: strategies.DataObject) -> None:
        request = data.draw(strategies.sampled_from(self._waiting()))
        request.answer.set_exception(OutcomeUnknown("no answer in time"))
        self._go_on()

    @precondition(lambda self: any(request.placed is None for request in self._waiting()))
    @rule(data=strategies.data())
    def a_request_is_refused_at_the_door(self, data: strategies.DataObject) -> None:
        fresh = [request for request in self._waiting() if request.placed is None]
        request = data.draw(strategies.sampled_from(fresh))
        request.placed = VenueUnavailable("connection refused")
        request.answer.set_exception(request.placed)
        self._go_on()

    @precondition(lambda self: self.gates.reports)
    @rule(data=strategies.data(), once_more=strategies.booleans())
    def a_report_comes(self, data: strategies.DataObject, once_more: bool) -> None:
        place = data.draw(strategies.integers(0, len(self.gates.reports) - 1))
        report = self.gates.reports[place]
        if not once_more:
            del self.gates.reports[place]
        for listener in tuple(self.gates.listeners):
            listener(report)
        self._go_on()

    @rule(seconds=strategies.sampled_from(["0.1", "0.6", "1.2", "4"]))
    def time_passes(self, seconds: str) -> None:
        self.house.exchange.advance(D(seconds))
        self.clock.wake()
        self._go_on()

    @precondition(lambda self: len(self.statuses) > 2)
    @rule(really=strategies.sampled_from([False, False, True]))
    def somebody_cancels(self, really: bool) -> None:
        if not really:
            return
        with self.house.database.write() as connection:
            request_cancel(connection, self.order.id, self.house.clock.now())

    @precondition(lambda self: not self.leader.done())
    @rule()
    def the_leader_dies_and_another_begins(self) -> None:
        self._bury()
        self._lead()

    @precondition(lambda self: self.leader.done() and not self.house.order(self.order.id).status.is_final)
    @rule()
    def another_leader_begins(self) -> None:
        self._bury()
        self._lead()

    def _bury(self) -> None:
        """Leave a leader as SIGKILL leaves it; what it sent may still arrive."""
        self.lost.append((self.loop, self.leader))
        with self.house.database.write() as connection:
            connection.execute(leases.update().values(host=None))

    def _watch(self, connection: Connection) -> None:
        """Look at every commit: permitted transitions only, and nothing negative."""
        self.seen += standing_findings(connection)
        for each in list_asset_orders(connection):
            before = self.statuses.get(each.id)
            if before not in (None, each.status) and each.status not in ASSET_ORDER_TRANSITIONS[before]:
                self.seen.append(f"asset order {each.id} went from {before} to {each.status}")
            self.statuses[each.id] = each.status

    @invariant()
    def what_is_final_is_true_and_booked_once(self) -> None:
        if not hasattr(self, "house"):
            return
        assert self.seen == []
        traded: Counter[str] = Counter()
        for trade in self.house.exchange.trades("paper"):
            traded[trade.client_order_id] += trade.quantity  # type: ignore[assignment]
        with self.house.database.read() as connection:
            orders = list_asset_orders(connection)
            booked = Counter((row.symbol, row.trade_id) for row in connection.execute(select(fills)))
        assert all(times == 1 for times in booked.values()), booked
        for each in orders:
            if each.status.is_final and each.status is not AssetOrderStatus.CROSSED:
                assert each.executed_quantity == traded.get(each.intent.client_order_id, ZERO), each
        sent = Counter(order.client_order_id for order in self.house.exchange.orders("paper"))
        assert all(times == 1 for times in sent.values()), sent

    def teardown(self) -> None:
        if hasattr(self, "house"):
            self._end()
            self.house.database.close()
        self._context.__exit__(None, None, None)
        shutil.rmtree(self.folder, ignore_errors=True)

    def _end(self) -> None:
        """Let the last leader die too, and a sound one finish; then all must be right."""
        self._bury()
        asyncio.run(self.house.manager.run([self.order.id]))
        self.house.database.watch = None
        assert findings(self.house.database, self.house.exchange) == []
        with self.house.database.read() as connection:
            assert limit_findings(connection) == []
            assert audit(connection, self.house.account).findings == ()
        self.what_is_final_is_true_and_booked_once()
        for loop, task in self.lost:
            _clear(loop, task)


def _clear(loop: asyncio.AbstractEventLoop, task: asyncio.Task[Any]) -> None:
    """Put away what is left of a dead leader, without letting it act."""
    for each in asyncio.all_tasks(loop) | {task}:
        each.cancel()
    loop.run_until_complete(asyncio.gather(*asyncio.all_tasks(loop), task, return_exceptions=True))
    loop.run_until_complete(loop.shutdown_default_executor())
    loop.close()


TestOrderLife = OrderLife.TestCase
TestOrderLife.settings = settings(max_examples=examples(10), stateful_step_count=40, deadline=None)
