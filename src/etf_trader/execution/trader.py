"""Carries a batch out: written whole, sent, followed to its end, and settled."""

import json
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial

from etf_trader.clock import Clock
from etf_trader.database import Database
from etf_trader.errors import BasketMoved
from etf_trader.events import EventLog
from etf_trader.execution.batch import QUOTE, WAVE, Batch, write_batch
from etf_trader.execution.fee_inventory import require_apart
from etf_trader.execution.fees_apart import say_fees
from etf_trader.execution.lease import Lease, check
from etf_trader.execution.queue import Queue
from etf_trader.execution.resting import Quoter
from etf_trader.execution.risk_review import Gate
from etf_trader.execution.settlement import MOVED, batch_prices, settle
from etf_trader.execution.shift import Shift
from etf_trader.execution.wave_settlement import settle_wave
from etf_trader.ledger.repository import Account
from etf_trader.orders.store import stored_plan, unsettled_plans
from etf_trader.venue.interface import Venue


@dataclass(frozen=True, slots=True)
class Trader:
    """Trades the batches of one account; one instance a leader."""

    database: Database
    venue: Venue
    clock: Clock
    account: Account
    log: EventLog
    queue: Queue
    gate: Gate
    quoter: Quoter
    shift: Shift

    async def trade(
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

        Raises:
            BasketMoved: what a unit holds has changed since the plan; nothing was written or sent.
            ConfigError: fees are paid in what an index holds; nothing was written or sent.
        """
        batch = await self._with_fees(batch)
        with self.database.write() as connection:
            check(connection, lease)
            plans = write_batch(connection, self.log, self.account, batch, self.clock.now())
        await self.queue.run(plans, lease, self.shift.stop, is_ending=is_ending)
        if any(member.purpose == QUOTE for member in batch.members):
            await self.quoter.rest(batch, plans, lease, known)
        for plan_id in plans:
            self.settle(plan_id, lease)
        await self.venue.batch_done()

    async def _with_fees(self, batch: Batch) -> Batch:
        """Return a batch whose plans say in what fees are paid beside what is traded, and its price."""
        ask = self.queue.outcomes.ask
        discount = await ask(partial(require_apart, self.database, self.venue, self.account))
        plans = [each.plan for each in batch.members]
        told = await ask(partial(say_fees, self.venue, discount, plans, batch.view))
        members = (replace(each, plan=plan) for each, plan in zip(batch.members, told, strict=True))
        return replace(batch, members=tuple(members))

    async def trade_to_end(self, batch: Batch, lease: Lease) -> bool:
        """Trade a batch that ends its order, or makes it even: a cancel does not stop it, the gate may."""
        if self.gate.review_batch(batch, finishing=True):
            return False
        with suppress(BasketMoved):  # it is planned again when its order is looked at next
            await self.trade(batch, lease, is_ending=True)
            return True
        return False

    async def settle_rest(self, lease: Lease) -> tuple[str, ...]:
        """Learn and settle what is not settled: of an earlier leader, or of before the venue fell silent."""
        with self.database.read() as connection:
            pending = unsettled_plans(connection, self.account.id)
        found = []
        for plan in pending:
            await self.queue.recover(plan.id, lease)
            self.settle(plan.id, lease)
            found.append(f"plan {plan.id} of order {plan.index_order_id} was settled")
        return tuple(found)

    def settle(self, plan_id: int, lease: Lease) -> None:
        """Credit the units of a batch whose orders are all final, once."""
        with self.database.write() as connection:
            check(connection, lease)
            plan = stored_plan(connection, plan_id)
            if plan.is_settled:
                return
            if plan.purpose == WAVE:
                settle_wave(connection, self.log, plan, self.clock.now())
                return
            prices = batch_prices(connection, self.account.id, plan)
            settle(connection, self.log, plan, prices, _stops(plan.document), self.clock.now())


def _stops(document: str) -> tuple[str, ...]:
    """Return what stopped a stored plan.

    What was exchanged before may not suffice when lots are counted again: that
    is no end of the order's cash, it may exchange more.
    """
    plan = json.loads(document)
    stops = tuple(plan["stopped_by"])
    return MOVED if "cash" in stops and plan.get("may_convert") is False else stops
