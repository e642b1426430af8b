"""Plays the waves of open rebalances: each is settled before anything else is planned."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial

from etf_trader.clock import Clock
from etf_trader.database import Database
from etf_trader.errors import BasketMoved, DataError, SolverError
from etf_trader.events import EventLog
from etf_trader.execution.fee_inventory import mixed, require_apart
from etf_trader.execution.fees_in_kind import accrue_before
from etf_trader.execution.lease import Lease, check
from etf_trader.execution.look import look_and_plan
from etf_trader.execution.planning import MarketView
from etf_trader.execution.queue import Queue
from etf_trader.execution.rebalance_state import RebalanceState, barren_waves, rebalance_state
from etf_trader.execution.risk_review import Gate, word_of
from etf_trader.execution.settings import ExecutionSettings
from etf_trader.execution.settlement import MOVED, Ending
from etf_trader.execution.shift import Shift
from etf_trader.execution.together import stop_of
from etf_trader.execution.trader import Trader
from etf_trader.execution.turns import MOST_BARREN, Failures
from etf_trader.execution.unwinding import Rules
from etf_trader.execution.wave_settlement import end_rebalance, write_wave
from etf_trader.execution.waves import Wave, plan_wave
from etf_trader.ledger.repository import Account
from etf_trader.orders.asset_order import AssetOrder
from etf_trader.orders.rebalances import list_rebalances
from etf_trader.orders.status import AssetOrderStatus, IndexOrderStatus
from etf_trader.orders.store import asset_orders_with, write_stops
from etf_trader.risk.proposal import Violation
from etf_trader.venue.interface import Venue

FILLED = Ending(IndexOrderStatus.FILLED, ("filled",))


@dataclass(slots=True)
class Rebalancer:
    """Brings the rebalances of one account forward; `has_waited` says whether the last turn waited for slots."""

    database: Database
    venue: Venue
    clock: Clock
    account: Account
    settings: ExecutionSettings
    log: EventLog
    queue: Queue
    gate: Gate
    trader: Trader
    shift: Shift
    has_waited: bool = False

    def open(self) -> list[int]:
        """Return the rebalances that are not done, oldest first, those to be cancelled before others."""
        with self.database.read() as connection:
            found = list_rebalances(connection, account_id=self.account.id, statuses=[IndexOrderStatus.OPEN])
        found.sort(key=lambda order: order.cancel_requested_at is None)
        return [order.id for order in found]

    async def play(self, waiting: Sequence[int], rules: Rules, lease: Lease, failures: Failures) -> list[int]:
        """Trade one wave of each of these rebalances; return those that may do more now."""
        self.has_waited = False
        left: list[int] = []
        for order_id in waiting:
            if self.shift.stop():
                return left
            try:
                if await self._turn(order_id, rules, lease):
                    left.append(order_id)
            except (DataError, SolverError) as error:
                failures[order_id] = error
                self._note(order_id, (stop_of(error),), lease)
        return left

    async def _turn(self, order_id: int, rules: Rules, lease: Lease) -> bool:
        """Trade one wave, or end the rebalance where there is none; return whether there may be another now."""
        with self.database.read() as connection:
            state = rebalance_state(connection, order_id)
            barren, refused = barren_waves(connection, order_id)
        if state.order.status.is_final:
            return False
        if state.order.cancel_requested_at is not None:
            return self._end(order_id, Ending(IndexOrderStatus.CANCELLED, ("cancelled",)), lease)
        if not state.left or not state.units:
            return self._end(order_id, FILLED, lease)
        if barren >= MOST_BARREN:
            stops = tuple(f"rejected({asset})" for asset in refused) or MOVED
            return self._end(order_id, Ending(IndexOrderStatus.ENDED, stops), lease)
        slots = await self.queue.room(len(state.left), self.shift.until_news())
        if slots is None:
            self.has_waited = True
            return True
        if accrue_before(self.database, self.account, lease, [state.index.id], self.clock.now()):
            with self.database.read() as connection:
                state = rebalance_state(connection, order_id)
        wave = await self._plan(state, rules, slots)
        if not wave.legs:
            stops = tuple(sorted(wave.kept_out.values()))
            return self._end(order_id, Ending(IndexOrderStatus.ENDED, stops) if stops else FILLED, lease)
        if violations := self.gate.review_wave(wave.batch(), order_id):
            self._refuse(order_id, violations[0], lease)
            return False
        with suppress(BasketMoved):  # it is planned again in the next turn
            await self._trade(wave, lease)
        return True

    async def _plan(self, state: RebalanceState, rules: Rules, slots: int) -> Wave:
        """Look at the books of what is left, and plan it."""
        seen = {*state.left, *state.held}
        symbols = {state.symbols[asset] for asset in seen} & rules.keys()

        async def plan(view: MarketView) -> Wave:
            return await asyncio.to_thread(plan_wave, state, view)

        own = self._resting()
        found = await look_and_plan(self.venue, symbols, self.settings.depth, rules, plan, windows_of, slots, own)
        return found[1]

    async def _trade(self, wave: Wave, lease: Lease) -> None:
        """Write a wave with its intents, send it, and settle what it traded.

        Raises:
            BasketMoved: what a unit holds has changed since the plan; nothing was written or sent.
            ConfigError: fees are paid in what an index holds, or is to; nothing was written or sent.
        """
        await self._require_apart(wave)
        with self.database.write() as connection:
            check(connection, lease)
            plan_id = write_wave(connection, self.log, wave, self.clock.now())
        await self.queue.run([plan_id], lease, self.shift.stop)
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


def windows_of(wave: Wave) -> list[str]:
    """Return the window of each book that the plan of a wave uses up."""
    if wave.plan is None:
        return []
    found = []
    for leg in wave.plan.legs:
        book = wave.view.books[leg.symbol]
        if leg.side is not None and leg.quantity and not book.complete:
            offers = book.offers(leg.side)
            if offers and leg.last_price == offers[-1].price:
                found.append(f"window({leg.symbol})")
    return found
