"""Plays the waves of open rebalances, beside open orders: each is settled before anything else is planned."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial

from etf_trader.clock import Clock
from etf_trader.database import Database
from etf_trader.errors import BasketMoved, DataError, SolverError
from etf_trader.events import EventLog
from etf_trader.execution.beside import asked_of, wave_symbols
from etf_trader.execution.fee_inventory import mixed, require_apart
from etf_trader.execution.fees_in_kind import accrue_before
from etf_trader.execution.lease import Lease, check
from etf_trader.execution.look import look_and_plan
from etf_trader.execution.netting import Netted, plan_with_orders
from etf_trader.execution.planning import MarketView
from etf_trader.execution.queue import Queue
from etf_trader.execution.rebalance_state import RebalanceState, barren_waves, rebalance_state
from etf_trader.execution.risk_review import Gate, word_of
from etf_trader.execution.settings import ExecutionSettings
from etf_trader.execution.settlement import MOVED, Ending
from etf_trader.execution.shift import Shift
from etf_trader.execution.state import OrderState
from etf_trader.execution.together import stop_of
from etf_trader.execution.trader import Trader
from etf_trader.execution.turns import MOST_BARREN, Failures, Turns
from etf_trader.execution.unwinding import Rules
from etf_trader.execution.wave_settlement import end_rebalance, write_wave
from etf_trader.execution.waves import Wave
from etf_trader.ledger.repository import Account
from etf_trader.orders.asset_order import AssetOrder
from etf_trader.orders.rebalances import list_rebalances
from etf_trader.orders.status import AssetOrderStatus, IndexOrderStatus
from etf_trader.orders.store import asset_orders_with, write_stops
from etf_trader.risk.proposal import Violation
from etf_trader.venue.interface import Venue

UNITS = ("units",)
"""What stops a rebalance whose units were all sold before it was done: there is nothing left to trade."""


@dataclass(slots=True)
class Rebalancer:
    """Brings the rebalances of one account forward, and open orders that can trade with them.

    `has_waited` says whether the last turn waited for slots; `held` are the orders that wait for a later wave.
    """

    database: Database
    venue: Venue
    clock: Clock
    account: Account
    settings: ExecutionSettings
    log: EventLog
    queue: Queue
    gate: Gate
    trader: Trader
    turns: Turns
    shift: Shift
    has_waited: bool = False
    held: frozenset[int] = frozenset()

    def open(self) -> list[int]:
        """Return the rebalances that are not done, oldest first, those to be cancelled before others."""
        with self.database.read() as connection:
            found = list_rebalances(connection, account_id=self.account.id, statuses=[IndexOrderStatus.OPEN])
        found.sort(key=lambda order: order.cancel_requested_at is None)
        return [order.id for order in found]

    async def play(
        self, waiting: Sequence[int], orders: Sequence[int], rules: Rules, lease: Lease, failures: Failures
    ) -> list[int]:
        """Trade one wave of each of these rebalances, with those of the open orders that it can trade with.

        Returns:
            The rebalances that may do more now.
        """
        self.has_waited, self.held = False, frozenset()
        left: list[int] = []
        for order_id in waiting:
            if self.shift.stop():
                return left
            try:
                if await self._turn(order_id, orders, rules, lease):
                    left.append(order_id)
            except (DataError, SolverError) as error:
                failures[order_id] = error
                self._note(order_id, (stop_of(error),), lease)
        return left

    async def _turn(self, order_id: int, orders: Sequence[int], rules: Rules, lease: Lease) -> bool:
        """Trade one wave, or end the rebalance where there is none; return whether there may be another now."""
        state, ending = self._look(order_id)
        if state.order.status.is_final:
            return False
        if ending is not None:
            return self._end(order_id, ending, lease)
        beside = await self._beside(orders, rules, lease)
        if self.shift.stop():
            return True
        slots = await self.queue.room(len(wave_symbols(state, beside)), self.shift.until_news())
        if slots is None:
            self.has_waited = True
            return True
        accrue_before(self.database, self.account, lease, [state.index.id], self.clock.now())
        state, ending = self._look(order_id)  # orders of the index have ended meanwhile, and its fee was taken
        if ending is not None:
            return self._end(order_id, ending, lease)
        netted, violation = await self._within_limits(state, beside, rules, slots)
        if violation is not None:
            self._refuse(order_id, violation, lease)
            return False
        if not netted.wave.legs:
            stops = tuple(sorted(netted.wave.kept_out.values()))
            return self._end(order_id, Ending(IndexOrderStatus.ENDED, stops) if stops else _done(state), lease)
        self.held |= netted.held
        with suppress(BasketMoved):  # it is planned again in the next turn
            await self._trade(netted, lease)
        return True

    def _look(self, order_id: int) -> tuple[RebalanceState, Ending | None]:
        """Return how a rebalance stands, and how it ends now; None: it goes on."""
        with self.database.read() as connection:
            state = rebalance_state(connection, order_id)
            barren, refused = barren_waves(connection, order_id)
        if state.order.cancel_requested_at is not None:
            return state, Ending(IndexOrderStatus.CANCELLED, ("cancelled",))
        if not state.units:
            return state, Ending(IndexOrderStatus.ENDED, UNITS)
        if not state.left:
            return state, _done(state)
        if barren >= MOST_BARREN:
            return state, Ending(IndexOrderStatus.ENDED, tuple(f"rejected({each})" for each in refused) or MOVED)
        return state, None

    async def _within_limits(
        self, state: RebalanceState, beside: Sequence[OrderState], rules: Rules, slots: int
    ) -> tuple[Netted, Violation | None]:
        """Plan a wave with those of the orders that the gate lets trade; and what keeps it from trading alone."""
        while True:
            try:
                netted = await self._plan(state, beside, rules, slots)
            except (DataError, SolverError):
                if not beside:
                    raise
                beside = []  # what keeps an order from being planned is told when it is planned itself
                continue
            violations = self.gate.review_wave(netted.both, state.order.id) if netted.wave.legs else []
            if not violations:
                return netted, None
            if not netted.batch.members:
                return netted, violations[0]
            beside = _without(beside, netted, violations)

    async def _beside(self, orders: Sequence[int], rules: Rules, lease: Lease) -> list[OrderState]:
        """Return the open orders that may trade in one batch with a wave.

        Units are credited on the basket that they were planned with: orders of
        an index that is being rebalanced go by what its wave has left.
        """
        with self.database.read() as connection:
            found = list_rebalances(connection, account_id=self.account.id, statuses=[IndexOrderStatus.OPEN])
        moving = {each.index_id for each in found}
        if not orders or await self.venue.fee_discount() is not None:
            return []  # where fees are paid beside, orders and waves count on different ones
        try:
            due = await self.turns.due(orders, rules, lease)
        except (DataError, SolverError):
            return []  # told when the orders are played themselves
        return [state for state in due if state.index.id not in moving]

    async def _plan(self, state: RebalanceState, beside: Sequence[OrderState], rules: Rules, slots: int) -> Netted:
        """Look at the books of what is left, and of the orders, and plan them."""

        async def plan(view: MarketView) -> Netted:
            asked = asked_of(beside, view, self.settings.slack_ticks)
            return await asyncio.to_thread(plan_with_orders, state, asked, view, self.settings)

        symbols = (wave_symbols(state, beside) | {state.symbols[asset] for asset in state.held}) & rules.keys()
        depth, own = self.settings.depth, self._resting()
        found = await look_and_plan(self.venue, symbols, depth, rules, plan, lambda each: each.stops, slots, own)
        return found[1]

    async def _trade(self, netted: Netted, lease: Lease) -> None:
        """Write a wave and the orders that trade with it, send them, and settle what they traded.

        Raises:
            BasketMoved: what a unit holds has changed since the plan; nothing was written or sent.
            ConfigError: fees are paid in what an index holds, or is to; nothing was written or sent.
        """
        await self._require_apart(netted.wave)
        with self.database.write() as connection:
            check(connection, lease)
            plans = write_wave(connection, self.log, self.account, netted, self.clock.now())
        await self.queue.run(plans, lease, self.shift.stop)
        for plan_id in plans:
            self.trader.settle(plan_id, lease)
        await self.venue.batch_done()

    async def _require_apart(self, wave: Wave) -> None:
        """Check that fees are not paid in what an index holds, or what a wave of this rebalance is to trade."""
        ask = self.queue.outcomes.ask
        discount = await ask(partial(require_apart, self.database, self.venue, self.account))
        if discount is not None and discount.asset in wave.state.symbols:
            raise mixed(discount.asset, wave.state.index.symbol, self.account, verb="is to hold")

    def _resting(self) -> list[AssetOrder]:
        with self.database.read() as connection:
            return asset_orders_with(connection, self.account.id, AssetOrderStatus.OPEN)

    def _end(self, order_id: int, ending: Ending, lease: Lease) -> bool:
        """End a rebalance; return that there is no more to do."""
        with self.database.write() as connection:
            check(connection, lease)
            state = rebalance_state(connection, order_id)
            if not state.order.status.is_final:
                end_rebalance(connection, self.log, state, ending, self.clock.now())
        return False

    def _refuse(self, order_id: int, violation: Violation, lease: Lease) -> None:
        """Record that the gate let nothing of a rebalance through; it waits for the next leader."""
        stop = word_of(violation)
        with self.database.write() as connection:
            check(connection, lease)
            if stop not in rebalance_state(connection, order_id).order.stopped_by:
                self.gate.note(connection, order_id, violation)
            write_stops(connection, order_id, (stop,))

    def _note(self, order_id: int, stops: tuple[str, ...], lease: Lease) -> None:
        with self.database.write() as connection:
            check(connection, lease)
            write_stops(connection, order_id, stops)


def _without(beside: Sequence[OrderState], netted: Netted, violations: Sequence[Violation]) -> list[OrderState]:
    """Return the orders without those that the gate does not let trade; without all where it names none."""
    members = {each.order_id for each in netted.batch.members}
    named = members.intersection(*[{number for each in violations for number in each.orders}]) or members
    return [each for each in beside if each.order.id not in named]


def _done(state: RebalanceState) -> Ending:
    """Return how a rebalance ends that has traded all it could; not whole where a market is halted or gone."""
    stuck = tuple(
        f"{leg.why_skipped}({leg.asset})"
        for leg in state.order.request.legs
        if leg.why_skipped in ("halted", "delisted")
    )
    return Ending(IndexOrderStatus.ENDED, stuck) if stuck else Ending(IndexOrderStatus.FILLED, ("filled",))
