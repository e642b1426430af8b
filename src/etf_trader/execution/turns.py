"""A turn of the loop: what is due of all open orders is planned and traded; then each ends, waits or goes on."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial

from etf_trader.clock import Clock
from etf_trader.database import Database
from etf_trader.errors import BasketMoved, DataError, SolverError
from etf_trader.execution.batch import CONVERT, Batch, Member
from etf_trader.execution.ending import Finisher
from etf_trader.execution.fees_apart import as_paid, counted
from etf_trader.execution.fees_in_kind import accrue_before
from etf_trader.execution.frozen import tradable_state
from etf_trader.execution.lease import Lease, check
from etf_trader.execution.look import look_and_plan
from etf_trader.execution.planning import MarketView
from etf_trader.execution.queue import Queue
from etf_trader.execution.resting import Quoter
from etf_trader.execution.risk_review import Gate, is_refusal, plan_within, word_of
from etf_trader.execution.routed import foreign_currencies, symbols_of
from etf_trader.execution.settings import ExecutionSettings
from etf_trader.execution.settlement import SLICE, Ending
from etf_trader.execution.shift import Shift
from etf_trader.execution.state import OrderState, order_state
from etf_trader.execution.timing import paced
from etf_trader.execution.together import Asked, Stopped, Together, ask, plan_together, stop_of, stops_of
from etf_trader.execution.trader import Trader
from etf_trader.execution.unwinding import Rules
from etf_trader.ledger.repository import Account
from etf_trader.orders.asset_order import AssetOrder
from etf_trader.orders.index_order import IndexOrder
from etf_trader.orders.rebalances import list_rebalances
from etf_trader.orders.status import AssetOrderStatus, IndexOrderStatus
from etf_trader.orders.store import (
    asset_orders_of_plan,
    asset_orders_with,
    index_order,
    plans_of,
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


@dataclass(slots=True)
class Turns:
    """Plays the turns of one leader; `has_waited` says whether the last one waited, for slots or for a quote.

    `bare` are the orders that it left alone as their index holds nothing but cash, between two waves.
    """

    database: Database
    venue: Venue
    clock: Clock
    account: Account
    settings: ExecutionSettings
    queue: Queue
    gate: Gate
    quoter: Quoter
    trader: Trader
    finisher: Finisher
    shift: Shift
    has_waited: bool = False
    bare: list[int] = field(default_factory=list)
    # Who has exchanged currencies in this go and not traded since: not twice without trading in between.
    _converted: set[int] = field(default_factory=set)

    def begin(self) -> None:
        """Begin a go."""
        self._converted.clear()

    async def play(
        self, waiting: Sequence[int], rules: Rules, lease: Lease, failures: Failures, *, may_quote: bool = True
    ) -> list[int]:
        """Plan, send and settle one batch for all these orders; return those that may do more now.

        An order whose constituent has no price stops alone; its failure is noted.

        Args:
            may_quote: Whether quotes may rest now: not while a rebalance goes on with its next wave.
        """
        self.has_waited, self.bare = False, []
        ready = await self._ready(waiting, rules, lease)
        if self.shift.stop():
            return []
        # Read when all that is due has ended: what ends gives to the float, or takes of it.
        states, quoting = self.quoter.sorted_out(self._with_assets(await self._states(ready, lease)))
        # An order that may use other currencies is planned alone: its network of books is its own.
        together = [state for state in states if not foreign_currencies(state.index)]
        alone = [state.order.id for state in states if foreign_currencies(state.index)]
        left = await self._batch(together, rules, lease, failures) if together else []
        for order_id in alone:
            if self.shift.stop():
                return left
            # Read again: orders of one index share its float.
            left += await self._batch(await self._again(states, order_id, lease), rules, lease, failures)
        if left or not may_quote or self.shift.stop():
            return left + [state.order.id for state in quoting]
        return await self._quote(quoting, rules, lease)

    def _with_assets(self, states: list[OrderState]) -> list[OrderState]:
        """Return the orders without those that wait for what a rebalance buys: their index has only cash now."""
        if all(state.basket.quantities for state in states):
            return states
        with self.database.read() as connection:
            found = list_rebalances(connection, account_id=self.account.id, statuses=[IndexOrderStatus.OPEN])
        moving = {each.index_id for each in found}
        self.bare = [each.order.id for each in states if not each.basket.quantities and each.index.id in moving]
        return [each for each in states if each.order.id not in self.bare]

    async def due(self, waiting: Sequence[int], rules: Rules, lease: Lease) -> list[OrderState]:
        """Return how those of these orders stand that may be planned with others now; what is to end is ended."""
        states = await self._states(await self._ready(waiting, rules, lease), lease)
        return [
            tradable_state(each, rules)
            for each in states
            if not each.is_quoting and not foreign_currencies(each.index)
        ]

    async def _ready(self, waiting: Sequence[int], rules: Rules, lease: Lease) -> list[int]:
        """Return those of these orders for which there is anything to plan; all ends that are due come first."""
        ready = []
        for order_id in waiting:
            if self.shift.stop():
                return []
            if await self._is_ready(order_id, rules, lease):
                ready.append(order_id)
        return ready

    async def _again(self, states: Sequence[OrderState], order_id: int, lease: Lease) -> list[OrderState]:
        """Read once more how an order stands that is planned alone; what is due of it stays."""
        (before,) = (state for state in states if state.order.id == order_id)
        return [replace(each, pace=before.pace) for each in await self._states([order_id], lease)]

    async def _quote(self, states: Sequence[OrderState], rules: Rules, lease: Lease) -> list[int]:
        """Quote what is due of these orders, as long as that may rest; return those that may do more now."""
        if not states or not self.shift.stays():
            return []
        known = self.shift.at_hand()
        batch = await self.quoter.plan([tradable_state(state, rules) for state in states], rules)
        if batch is None or self.gate.review_batch(batch):
            return []  # what the gate does not let rest is reviewed, and told, when it is to be taken
        with suppress(BasketMoved):  # it is planned again in the next turn
            await self.trader.trade(batch, lease, known=known)
        self.has_waited = True
        return [] if self.quoter.has_given_way else [state.order.id for state in states]

    async def _states(self, orders: Sequence[int], lease: Lease) -> list[OrderState]:
        """Return how these orders stand, fees taken, without those over time of which nothing is due now."""
        with self.database.read() as connection:
            states = [order_state(connection, order_id) for order_id in orders]
        if accrue_before(self.database, self.account, lease, _indices(states), self.clock.now()):
            with self.database.read() as connection:
                states = [order_state(connection, order_id) for order_id in orders]
        return await paced(self.database, self.venue, states, self.clock.now())

    async def _batch(
        self, states: Sequence[OrderState], rules: Rules, lease: Lease, failures: Failures
    ) -> list[int]:
        """Look, plan and trade once for these orders; return those that may do more now."""
        states = [tradable_state(state, rules) for state in states]
        symbols = _symbols(states, rules)
        legs = {symbol for state in states for symbol in state.basket.symbols.values()}
        slots = await self.queue.room(len(legs), self.shift.until_news())
        if slots is None:
            self.has_waited = True  # what is due may be another now, or somebody wants something else
            return [state.order.id for state in states]
        try:
            planned = partial(self._planned, rules=rules, slots=slots)
            together, refused = await plan_within(states, planned, self.gate)
        except DataError:
            fresh = await self.venue.rules()
            if symbols <= fresh.keys():
                raise
            return await self._batch(states, fresh, lease, failures)  # a market has gone since the rules were read
        if together.batch.members and not await self._trade(together.batch, lease):
            return [state.order.id for state in states]
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
        members = together.batch.members
        left = [member.order_id for member in members if await self._goes_on(member, rules, lease)]
        return left + [state.order.id for state in together.later]

    async def _planned(self, states: Sequence[OrderState], *, rules: Rules, slots: int) -> Together:
        """Look at all books of these orders, and plan them together."""
        symbols, depth, own = _symbols(states, rules), self.settings.depth, self._resting()
        used = [rules[symbol] for symbol in symbols & rules.keys()]
        discount = await counted(self.database, self.venue, self.account, [each.index for each in states], used)

        async def plan(view: MarketView) -> Together:
            seen = as_paid(view, discount, [each.order.max_loss_bps for each in states])
            asked, unplanned = self._asked(states, seen)
            return await asyncio.to_thread(plan_together, asked, unplanned, seen, self.settings)

        return (await look_and_plan(self.venue, symbols, depth, rules, plan, stops_of, slots, own))[1]

    def _asked(self, states: Sequence[OrderState], view: MarketView) -> tuple[list[Asked], list[Stopped]]:
        """Return what the solver is asked for each order, and which cannot be planned on these books."""
        asked: list[Asked] = []
        unplanned: list[Stopped] = []
        for state in states:
            try:
                may_convert = state.order.id not in self._converted
                asked.append(ask(state, view, self.settings.slack_ticks, may_convert=may_convert))
            except DataError as error:
                unplanned.append((state, error))
        return asked, unplanned

    async def _trade(self, batch: Batch, lease: Lease) -> bool:
        """Trade a batch; return whether it was traded: not when a basket has changed since it was planned."""
        try:
            await self.trader.trade(batch, lease)
        except BasketMoved:
            return False
        self._converted.difference_update(member.order_id for member in batch.members)
        self._converted.update(member.order_id for member in batch.members if member.purpose == CONVERT)
        return True

    def _resting(self) -> list[AssetOrder]:
        """Return our orders in the books: none, unless a quote could not be cancelled."""
        with self.database.read() as connection:
            return asset_orders_with(connection, self.account.id, AssetOrderStatus.OPEN)

    async def _is_ready(self, order_id: int, rules: Rules, lease: Lease) -> bool:
        """Return whether there is anything to plan for an order; one whose end is due is ended."""
        with self.database.read() as connection:
            order = index_order(connection, order_id)
        if order.status.is_final:
            return False
        ending = self._due_ending(order)
        if ending is None and order.remaining == 0:
            # An earlier leader stopped between its last batch and the order's end.
            ending = Ending(IndexOrderStatus.FILLED, ("filled",))
        if ending is not None:
            accrue_before(self.database, self.account, lease, [order.index_id], self.clock.now())
            await self.finisher.finish(order, ending, rules, lease)
        else:
            await self.finisher.even_out(order, rules, lease)
        return ending is None

    async def _rest(
        self, order: IndexOrder, stopped_by: tuple[str, ...], rules: Rules, lease: Lease, *, stays_open: bool
    ) -> None:
        """Leave an order of which nothing can be traded now for later, or end it when it is for now."""
        if stays_open:
            self._note(order, stopped_by, lease)
        else:
            await self.finisher.finish(order, Ending(IndexOrderStatus.ENDED, stopped_by), rules, lease)

    async def _refuse(self, state: OrderState, violation: Violation, rules: Rules, lease: Lease) -> None:
        """Record that the gate let nothing of an order through; it waits, or ends when it is for now."""
        stop = word_of(violation)
        if stop not in state.order.stopped_by:
            with self.database.write() as connection:
                check(connection, lease)
                self.gate.note(connection, state.order.id, violation)
        await self._rest(state.order, (stop,), rules, lease, stays_open=state.stays_open)

    async def _goes_on(self, member: Member, rules: Rules, lease: Lease) -> bool:
        """Decide, after a batch, whether the order is planned once more in this go."""
        if member.purpose == CONVERT:
            return True
        order_id, plan = member.order_id, member.plan
        with self.database.read() as connection:
            order = index_order(connection, order_id)
        if order.status.is_final:
            return False
        if order.remaining == 0:
            # Filled, but it holds more of some asset than the float may take.
            await self.finisher.finish(order, Ending(IndexOrderStatus.FILLED, ("filled",)), rules, lease)
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
        batches = self._last_batches(order_id)
        if len(batches) < MOST_BARREN or any(sent.executed_quantity for batch in batches for sent in batch):
            return None
        refused = sorted({sent.intent.asset for sent in batches[0] if sent.status is AssetOrderStatus.REJECTED})
        return tuple(f"rejected({asset})" for asset in refused) or ("moved",)

    def _last_batches(self, order_id: int) -> list[list[AssetOrder]]:
        """Return what was sent in the last batches, newest first; what never reached the venue tells nothing."""
        batches: list[list[AssetOrder]] = []
        with self.database.read() as connection:
            for plan in reversed(plans_of(connection, order_id)[-MOST_TURNS:]):
                sent = asset_orders_of_plan(connection, plan.id)
                if any(each.status is not AssetOrderStatus.WITHDRAWN for each in sent):
                    batches.append(sent)
                if len(batches) == MOST_BARREN:
                    break
        return batches

    def _due_ending(self, order: IndexOrder) -> Ending | None:
        if order.cancel_requested_at is not None:
            return Ending(IndexOrderStatus.CANCELLED, ("cancelled",))
        if order.expires_at is not None and order.expires_at <= self.clock.now() and not order.takes_at_end:
            return Ending(IndexOrderStatus.ENDED, (*order.stopped_by, "time"))
        if not order.stays_open and order.remaining and any(map(is_refusal, order.stopped_by)):
            # It was refused while the account was halted and what it held could not be traded back.
            return Ending(IndexOrderStatus.ENDED, order.stopped_by)
        return None

    def _note(self, order: IndexOrder, stopped_by: tuple[str, ...], lease: Lease) -> None:
        with self.database.write() as connection:
            check(connection, lease)
            write_filled(connection, order.id, order.filled, SLICE if stopped_by == ("filled",) else stopped_by)


def _indices(states: Sequence[OrderState]) -> set[int]:
    return {state.index.id for state in states}


def _symbols(states: Sequence[OrderState], rules: Rules) -> set[str]:
    """Return every market that these orders may use."""
    return {symbol for state in states for symbol in symbols_of(state.index, state.basket, rules)}
