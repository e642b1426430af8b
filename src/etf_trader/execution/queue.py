"""The way to the venue: written orders are granted slots, sent, and followed until their end is known."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any, TypeVar

from sqlalchemy import Connection

from etf_trader.clock import Clock
from etf_trader.database import Database
from etf_trader.errors import (
    OrderRejected,
    OutcomeUnknown,
    RateLimited,
    ReconciliationMismatch,
    VenueUnavailable,
)
from etf_trader.events import EventLog
from etf_trader.execution.budget import budget, use
from etf_trader.execution.fills import book_fill
from etf_trader.execution.lease import Lease, check
from etf_trader.execution.sharing import parts_of
from etf_trader.ledger.fill import Fill
from etf_trader.ledger.parties import parties_of
from etf_trader.ledger.repository import Account
from etf_trader.money import ZERO
from etf_trader.orders.asset_order import AssetOrder
from etf_trader.orders.status import AssetOrderStatus
from etf_trader.orders.store import asset_order, asset_orders_of_plan, index_order, move_asset_order
from etf_trader.risk.halts import HALTED_BEFORE_SENDING as HALTED
from etf_trader.risk.halts import require_active, trading_state
from etf_trader.venue.interface import LimitOrder, Trade, Venue, VenueOrder, VenueOrderStatus

WINDOW_SECONDS = 2.0
"""How long after its grant an order may still reach the venue (recvWindow)."""

FINAL_AFTER = timedelta(seconds=WINDOW_SECONDS + 1)
"""The venue's "no such order" is final once this much of its time has passed since the grant."""

MOST_ATTEMPTS = 5
LOOK_AGAIN_SECONDS = 0.5
TRADES_LATE_LOOKS = 20
MOST_QUESTIONS = 120

Answer = TypeVar("Answer")


@dataclass(frozen=True, slots=True)
class Queue:
    """Sends the asset orders of an account; one instance a leader."""

    database: Database
    venue: Venue
    clock: Clock
    account: Account
    log: EventLog

    async def run(self, plan_ids: Sequence[int], lease: Lease) -> None:
        """Send what is written of a batch, as the slots allow, and book it until every order is final."""
        await _all(self._follow(order) for order in self._orders(plan_ids, sent=True))
        while waiting := self._orders(plan_ids, sent=False):
            granted = await self._grant([order.id for order in waiting], lease)
            await _all(self._send(order, lease) for order in granted)

    async def recover(self, plan_id: int, lease: Lease) -> None:
        """Learn what became of a plan whose leader is gone; what was never sent is withdrawn."""
        with self.database.write() as connection:
            check(connection, lease)
            for order in asset_orders_of_plan(connection, plan_id):
                if order.status is AssetOrderStatus.WRITTEN:
                    self._end(
                        connection, order, AssetOrderStatus.WITHDRAWN, "its leader stopped before sending it"
                    )
        for order in self._orders([plan_id], sent=True):
            await self._follow(order)

    def _orders(self, plan_ids: Sequence[int], *, sent: bool) -> list[AssetOrder]:
        wanted = AssetOrderStatus.SENT if sent else AssetOrderStatus.WRITTEN
        with self.database.read() as connection:
            found = {order.id: order for plan in plan_ids for order in asset_orders_of_plan(connection, plan)}
        return [order for _, order in sorted(found.items()) if order.status is wanted]

    async def _grant(self, waiting: Sequence[int], lease: Lease) -> list[AssetOrder]:
        """Take slots for as many of these orders as are free, waiting for a window that has some; return them."""
        limits = await self._ask(self.venue.order_limits)
        while True:
            now = await self._ask(self.venue.server_time)
            with self.database.write() as connection:
                check(connection, lease)
                waiting = self._not_withdrawn(connection, waiting)
                if not waiting:
                    return []
                slots = budget(connection, self.account.id, limits, now)
                chosen = waiting[: slots.free]
                if chosen:
                    use(connection, self.account.id, limits, now, len(chosen))
                    return [self._granted(connection, number, now) for number in chosen]
            left = slots.next_window - await self._ask(self.venue.server_time)
            await self.clock.sleep(max(left.total_seconds(), 0.001))

    def _not_withdrawn(self, connection: Connection, waiting: Sequence[int]) -> list[int]:
        """Return those of `waiting` that a halt has left; it withdraws what was not sent yet."""
        return [number for number in waiting if not asset_order(connection, number).status.is_final]

    def _granted(self, connection: Connection, order_id: int, now: datetime) -> AssetOrder:
        order = asset_order(connection, order_id)
        require_active(connection, self.account.id, [order.intent.side])
        attempts = order.attempts + 1
        move_asset_order(connection, order, AssetOrderStatus.SENT, now, granted_at=now, attempts=attempts)
        return replace(order, status=AssetOrderStatus.SENT, granted_at=now, attempts=attempts)

    async def _send(self, order: AssetOrder, lease: Lease) -> None:
        assert order.granted_at is not None
        intent = order.intent
        if self._is_stopped(order):
            return
        request = LimitOrder(
            symbol=intent.symbol,
            side=intent.side,
            quantity=intent.quantity,
            price=intent.price,
            client_order_id=intent.client_order_id,
            granted_at=order.granted_at,
            window_seconds=WINDOW_SECONDS,
        )
        try:
            state = (await self.venue.place(request)).order
        except OrderRejected as error:
            with self.database.write() as connection:
                self._end(connection, order, AssetOrderStatus.REJECTED, error.message)
        except RateLimited as error:
            await self._again(order, lease, error.retry_after)
        except VenueUnavailable:
            await self._again(order, lease, LOOK_AGAIN_SECONDS)
        except OutcomeUnknown:
            await self._follow(order)
        else:
            await self._learn(order, state)

    def _is_stopped(self, order: AssetOrder) -> bool:
        """Return whether the account was halted since the grant; the order is then withdrawn: it never left."""
        with self.database.read() as connection:
            if trading_state(connection, self.account.id).permits(order.intent.side):
                return False
        with self.database.write() as connection:
            self._end(connection, order, AssetOrderStatus.WITHDRAWN, HALTED)
        return True

    async def _again(self, order: AssetOrder, lease: Lease, seconds: float) -> None:
        """Send once more, in a new slot, an order that the venue says it never took."""
        if order.attempts >= MOST_ATTEMPTS:
            with self.database.write() as connection:
                self._end(connection, order, AssetOrderStatus.WITHDRAWN, "the venue did not take it")
            return
        await self.clock.sleep(seconds)
        for renewed in await self._grant([order.id], lease):
            await self._send(renewed, lease)

    async def _follow(self, order: AssetOrder) -> None:
        """Ask the venue by client order id until it is definite, and book what it says."""
        assert order.granted_at is not None
        intent = order.intent
        while True:
            asked_at = await self._ask(self.venue.server_time)
            state = await self._ask(partial(self.venue.find, intent.symbol, intent.client_order_id))
            if state is not None:
                await self._learn(order, state)
                return
            if asked_at > order.granted_at + FINAL_AFTER:
                with self.database.write() as connection:
                    self._end(connection, order, AssetOrderStatus.WITHDRAWN, "it never reached the venue")
                return
            await self.clock.sleep(LOOK_AGAIN_SECONDS)

    async def _learn(self, order: AssetOrder, state: VenueOrder) -> None:
        """Book the trades of an order and take note of its end."""
        intent = order.intent
        while not state.status.is_final:
            cancelled = await self._ask(partial(self.venue.cancel, intent.symbol, intent.client_order_id))
            state = cancelled or state
            if not state.status.is_final:
                await self.clock.sleep(LOOK_AGAIN_SECONDS)
        trades = await self._trades(state)
        with self.database.write() as connection:
            self._book(connection, order, trades)
            self._end(connection, order, _ended(state), state.reason, state, trades)

    async def _trades(self, state: VenueOrder) -> Sequence[Trade]:
        """Return the trades of a finished order, once they add up to what it executed."""
        if not state.executed_quantity:
            return ()
        for _ in range(TRADES_LATE_LOOKS):
            trades = await self._ask(partial(self.venue.trades_of, state.symbol, state.order_id))
            if sum((trade.quantity for trade in trades), ZERO) == state.executed_quantity:
                return trades
            await self.clock.sleep(LOOK_AGAIN_SECONDS)
        raise ReconciliationMismatch(
            f"the venue executed {state.executed_quantity} of order {state.order_id} but does not list its trades",
            where=state.symbol,
            hint="etf reconcile books them when they appear",
        )

    def _book(self, connection: Connection, order: AssetOrder, trades: Sequence[Trade]) -> None:
        """Book the trades of an order, each to the index orders that it was made for."""
        made = [fill_from_trade(self.account, order.id, trade) for trade in trades]
        parties = {
            share.index_order_id: parties_of(connection, index_order(connection, share.index_order_id))
            for share in order.shares
        }
        for fill, parts in zip(made, parts_of(order, made), strict=True):
            book_fill(connection, self.log, fill, parts, parties, order.intent.asset)

    def _end(
        self,
        connection: Connection,
        order: AssetOrder,
        status: AssetOrderStatus,
        reason: str | None,
        state: VenueOrder | None = None,
        trades: Sequence[Trade] = (),
    ) -> None:
        if asset_order(connection, order.id).status.is_final:
            return  # whoever took over has learnt it
        move_asset_order(
            connection,
            order,
            status,
            self.clock.now(),
            reason=reason,
            venue_order_id=None if state is None else state.order_id,
            executed_quantity=sum((trade.quantity for trade in trades), ZERO),
            executed_value=sum((trade.value for trade in trades), ZERO),
        )

    async def _ask(self, question: Callable[[], Awaitable[Answer]]) -> Answer:
        """Put a question that changes nothing, or may be repeated, until the venue answers it.

        Raises:
            VenueError: it has not answered for long; what is in flight is learnt at the next start.
        """
        for _ in range(MOST_QUESTIONS):
            try:
                return await question()
            except RateLimited as error:
                await self.clock.sleep(error.retry_after)
            except (VenueUnavailable, OutcomeUnknown):
                await self.clock.sleep(LOOK_AGAIN_SECONDS)
        return await question()


async def _all(ways: Iterable[Coroutine[Any, Any, None]]) -> None:
    """Run all to their ends, then raise what went wrong first: nothing is left in flight behind an error."""
    for result in await asyncio.gather(*ways, return_exceptions=True):
        if isinstance(result, BaseException):
            raise result


def fill_from_trade(account: Account, asset_order_id: int, trade: Trade) -> Fill:
    """Return the fill by which the ledger knows a venue trade."""
    return Fill(
        account_id=account.id,
        era=account.era,
        symbol=trade.symbol,
        venue_order_id=trade.order_id,
        trade_id=trade.trade_id,
        asset_order_id=asset_order_id,
        side=trade.side,
        price=trade.price,
        quantity=trade.quantity,
        value=trade.value,
        fee=trade.fee,
        fee_asset=trade.fee_asset,
        is_maker=trade.is_maker,
        at=trade.at,
    )


def _ended(state: VenueOrder) -> AssetOrderStatus:
    if state.status is VenueOrderStatus.FILLED:
        return AssetOrderStatus.FILLED
    if state.status is VenueOrderStatus.REJECTED:
        return AssetOrderStatus.REJECTED
    return AssetOrderStatus.PARTIAL if state.executed_quantity else AssetOrderStatus.UNFILLED
