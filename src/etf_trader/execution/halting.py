"""Stops an account: the word first, then everything that was under way is brought to its end.

From the commit of the halt on no slot is granted, in no process. What was
granted before may still be on its way, so that the command waits: until every
such order is settled, or until the venue would refuse what comes so late.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection

from etf_trader.clock import Clock
from etf_trader.database import Database
from etf_trader.errors import AccountLed, EtfError
from etf_trader.execution.manager import Manager
from etf_trader.execution.outcomes import FINAL_AFTER
from etf_trader.ledger.repository import Account
from etf_trader.orders.asset_order import PREFIX, AssetOrder
from etf_trader.orders.status import AssetOrderStatus
from etf_trader.orders.store import asset_order, asset_orders_with, move_asset_order
from etf_trader.risk.halts import HALTED_BEFORE_SENDING, OPERATOR, Halt, TradingState, halt, halts
from etf_trader.venue.interface import Venue, VenueOrder

LOOK_SECONDS = 0.05
LONGEST_SETTLING = 15.0
"""Learning what was in flight takes a few questions; a venue that is silent is left to the next run."""


@dataclass(frozen=True, slots=True)
class Halted:
    """What a halt found: orders in flight as they came out, those never sent, and those cancelled at the venue.

    `problem` says what could not be done; the account is halted all the same.
    """

    halt: Halt
    is_new: bool
    in_flight: tuple[AssetOrder, ...]
    withdrawn: tuple[AssetOrder, ...]
    cancelled: tuple[VenueOrder, ...]
    problem: str | None

    @property
    def is_settled(self) -> bool:
        """Whether the end of everything that was in flight is known."""
        return all(order.status.is_final for order in self.in_flight)


@dataclass(frozen=True, slots=True)
class Halting:
    """Halts one account, whoever leads it."""

    database: Database
    venue: Venue
    clock: Clock
    wall_clock: Clock
    account: Account
    manager: Manager

    async def halt(self, state: TradingState, reason: str, operator: str) -> Halted:
        """Halt the account, or let it only sell, and return once nothing can leave for the venue any more."""
        stopped, is_new, withdrawn, sent = self._stop(state, reason, operator)
        problem = await self._guard(sent)
        cancelled: Sequence[VenueOrder] = ()
        try:
            cancelled = await self._cancel_resting(state)
        except EtfError as error:
            problem = error.message
        with self.database.read() as connection:
            learnt = tuple(asset_order(connection, order.id) for order in sent)
        return Halted(stopped, is_new, learnt, tuple(withdrawn), tuple(cancelled), problem)

    def _stop(
        self, state: TradingState, reason: str, operator: str
    ) -> tuple[Halt, bool, list[AssetOrder], list[AssetOrder]]:
        """Write the halt, withdraw what was not sent, and return both with what may be on its way."""
        now = self.clock.now()
        with self.database.write() as connection:
            before = {each.id for each in halts(connection, self.account.id)}
            stopped = halt(connection, self.account.id, state, OPERATOR, reason, now, operator=operator)
            withdrawn = withdraw_written(connection, self.account.id, state, now)
            flying = asset_orders_with(connection, self.account.id, AssetOrderStatus.SENT)
        sent = [order for order in flying if not state.permits(order.intent.side)]
        return stopped, stopped.id not in before, withdrawn, sent

    async def _guard(self, sent: Sequence[AssetOrder]) -> str | None:
        """Wait until what was in flight is settled, or can no longer arrive; return what went wrong."""
        problem = None
        until = self.wall_clock.now() + FINAL_AFTER
        while True:
            try:
                await asyncio.wait_for(self.manager.reconcile(wait=False), LONGEST_SETTLING)
                break  # nobody led: what was in flight is learnt, and nobody can send
            except AccountLed:
                pass
            except (EtfError, TimeoutError) as error:
                problem = str(error) or "the venue does not answer"
                break
            if not self._in_flight(sent):
                return None
            if self.wall_clock.now() > until:
                break
            await self.wall_clock.sleep(LOOK_SECONDS)
        await self._let_windows_pass(self._in_flight(sent))
        return problem

    async def _let_windows_pass(self, flying: Sequence[AssetOrder]) -> None:
        """Wait, by the venue's clock, until it would refuse whatever of these has not arrived yet."""
        granted = [order.granted_at for order in flying if order.granted_at is not None]
        if not granted:
            return
        closed = max(granted) + FINAL_AFTER
        try:
            now = await self.venue.server_time()
        except EtfError:
            now = self.clock.now()
        if now <= closed:
            await self.clock.sleep((closed - now).total_seconds() + LOOK_SECONDS)

    def _in_flight(self, sent: Sequence[AssetOrder]) -> list[AssetOrder]:
        with self.database.read() as connection:
            found = [asset_order(connection, order.id) for order in sent]
        return [order for order in found if not order.status.is_final]

    async def _cancel_resting(self, state: TradingState) -> list[VenueOrder]:
        """Cancel what rests at the venue under a name of ours and may not; its fills are learnt as always."""
        cancelled = []
        for order in await self.venue.open_orders():
            if order.client_order_id.startswith(f"{PREFIX}-") and not state.permits(order.side):
                cancelled.append(await self.venue.cancel(order.symbol, order.client_order_id) or order)
        return cancelled


def withdraw_written(
    connection: Connection, account_id: int, state: TradingState, now: datetime
) -> list[AssetOrder]:
    """Withdraw the orders that `state` keeps from being sent and that were not; return them."""
    written = asset_orders_with(connection, account_id, AssetOrderStatus.WRITTEN)
    stopped = [order for order in written if not state.permits(order.intent.side)]
    for order in stopped:
        move_asset_order(connection, order, AssetOrderStatus.WITHDRAWN, now, reason=HALTED_BEFORE_SENDING)
    return stopped
