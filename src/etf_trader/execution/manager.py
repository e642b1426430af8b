"""Leads an account: each turn collects the open orders, looks, solves, writes, sends, learns and books.

Starting and recovering are the same code: what an earlier leader left unsettled
is learnt and booked before anything new is planned.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from decimal import Decimal

from etf_trader.clock import Clock
from etf_trader.database import Database
from etf_trader.errors import AccountLed, DataError, EtfError
from etf_trader.events import BatchPlanned, EventLog
from etf_trader.execution.lease import HEARTBEAT_SECONDS, Lease, Leases, check
from etf_trader.execution.look import look
from etf_trader.execution.planning import (
    MarketView,
    completion,
    document_for,
    order_problem,
    settlement_bounds,
    unwinding,
    unwinding_problem,
)
from etf_trader.execution.queue import Queue
from etf_trader.execution.reconcile import reconcile
from etf_trader.execution.settings import ExecutionSettings
from etf_trader.execution.settlement import BatchPrices, Ending, batch_prices, end, settle
from etf_trader.execution.state import OrderState, order_state
from etf_trader.ledger.booking import baskets, redemption
from etf_trader.ledger.repository import Account, Ledger, incarnation
from etf_trader.market.symbol import Side, SymbolRule
from etf_trader.money import ZERO, money_context
from etf_trader.orders.asset_order import Intent, client_order_id
from etf_trader.orders.index_order import IndexOrder
from etf_trader.orders.plan import Plan, PlannedLeg
from etf_trader.orders.status import AssetOrderStatus, IndexOrderStatus
from etf_trader.orders.store import (
    add_asset_order,
    add_market,
    add_plan,
    asset_orders_of_plan,
    count_asset_orders,
    index_order,
    list_index_orders,
    plans_of,
    stored_plan,
    unsettled_plans,
    write_filled,
)
from etf_trader.seal import canonical
from etf_trader.solver.order import plan_order
from etf_trader.solver.problem import OrderProblem
from etf_trader.venue.interface import Venue

MOST_TURNS = 50
"""An order that meets moving books this often in one go is left for later, or ended when it is for now."""

MOST_BARREN = 3
"""An order whose batches executed nothing so often in a row gets nowhere by being sent again."""

MOST_PIECES = 200
"""A leg is sent in at most so many orders at once, however small the venue's largest order is."""

COMPLETIONS = 3
UNWINDS = 3
FOLLOW_SECONDS = 0.2


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
        self._leases = Leases(database, wall_clock)
        self._queue = Queue(database, venue, clock, account, log)
        self._stop: Callable[[], bool] = lambda: False

    def stop_when(self, stop: Callable[[], bool]) -> None:
        """Begin no new batch once `stop` says so; what is in flight is settled."""
        self._stop = stop

    async def run(self, wanted: Iterable[int], *, wait: bool = True) -> None:
        """Bring these orders as far as they go now, leading the account or following who does.

        Raises:
            AccountLed: another process leads, and `wait` is False.
            ReconciliationMismatch: the books and the venue differ; nothing was sent.
        """
        orders = list(wanted)
        while not self._stop():
            lease = self._leases.take(self._account.id)
            if lease is not None:
                async with self._leading(lease):
                    await self._work(lease)
                return
            if not wait:
                raise AccountLed(
                    "another process leads this account",
                    hint="it runs the order; etf order list shows how far it is",
                )
            if orders and self._all_final(orders):
                return
            await self._wall_clock.sleep(FOLLOW_SECONDS)

    async def reconcile(self, *, wait: bool = True) -> list[str]:
        """Learn what is missing from the books, without trading; return what was found and booked.

        Raises:
            AccountLed: another process leads, and `wait` is False.
            ReconciliationMismatch: a difference that nothing explains.
        """
        while True:
            lease = self._leases.take(self._account.id)
            if lease is not None:
                async with self._leading(lease) as found:
                    return found
            if not wait:
                raise AccountLed("another process leads this account", hint="it reconciles at its start")
            await self._wall_clock.sleep(FOLLOW_SECONDS)

    @asynccontextmanager
    async def _leading(self, lease: Lease) -> AsyncIterator[list[str]]:
        """Lead: reconcile first, keep the heartbeat, give the lease back at the end."""
        heartbeat = asyncio.create_task(self._beat(lease))
        try:
            yield await self._recover(lease)
        finally:
            heartbeat.cancel()
            with suppress(asyncio.CancelledError):
                await heartbeat
            self._leases.give_back(lease)

    async def _beat(self, lease: Lease) -> None:
        while True:
            await asyncio.sleep(HEARTBEAT_SECONDS)
            self._leases.renew(lease)

    async def _recover(self, lease: Lease) -> list[str]:
        with self._database.read() as connection:
            pending = unsettled_plans(connection, self._account.id)
        found = []
        for plan in pending:
            with self._database.read() as connection:
                state = order_state(connection, plan.index_order_id)
            await self._queue.recover(plan.id, state.parties, lease)
            self._settle(plan.id, lease)
            found.append(f"plan {plan.id} of order {plan.index_order_id} was settled")
        return found + await reconcile(self._database, self._venue, self._account)

    async def _work(self, lease: Lease) -> None:
        """Take every open order as far as it goes now."""
        rules = await self._venue.rules()
        again = self._open_orders()
        known = set(again)
        for _ in range(MOST_TURNS):
            left = []
            for order_id in again:
                if self._stop():
                    return
                if await self._turn(order_id, rules, lease):
                    left.append(order_id)
            again = left + [number for number in self._open_orders() if number not in known]
            known.update(again)
            if not again:
                return
        for order_id in again:
            with self._database.read() as connection:
                order = index_order(connection, order_id)
            if not order.stays_open:
                await self._finish(order, Ending(IndexOrderStatus.ENDED, ("moved",)), rules, lease)

    def _open_orders(self) -> list[int]:
        with self._database.read() as connection:
            found = list_index_orders(connection, account_id=self._account.id, statuses=[IndexOrderStatus.OPEN])
        # Cancels first: they free cash and units, and nobody who cancels wants to wait.
        found.sort(key=lambda order: order.cancel_requested_at is None)
        return [order.id for order in found]

    def _all_final(self, orders: list[int]) -> bool:
        with self._database.read() as connection:
            return all(index_order(connection, number).status.is_final for number in orders)

    async def _turn(self, order_id: int, rules: Mapping[str, SymbolRule], lease: Lease) -> bool:
        """Plan, send and settle one batch of an order; return whether another may do more now."""
        with self._database.read() as connection:
            state = order_state(connection, order_id)
        order = state.order
        if order.status.is_final:
            return False
        if (ending := self._due_ending(order)) is not None:
            await self._finish(order, ending, rules, lease)
            return False
        if order.remaining == 0:
            # An earlier leader stopped between its last batch and the order's end.
            await self._finish(order, Ending(IndexOrderStatus.FILLED, ("filled",)), rules, lease)
            return False
        try:
            view = await look(self._venue, state.basket, self._settings.depth, rules)
            problem = order_problem(
                state.wish(), state.basket, view, state.float, state.float_cash, self._settings.slack_ticks
            )
        except DataError as error:
            if order.stays_open:
                self._note(order, ("price",), lease)
                return False
            await self._finish(order, Ending(IndexOrderStatus.ENDED, ("price",)), rules, lease)
            raise error
        plan = await self._solve(problem)
        if not any(leg.quantity for leg in plan.legs) and plan.units == 0:
            if order.stays_open:
                self._note(order, plan.stopped_by, lease)
            else:
                await self._finish(order, Ending(IndexOrderStatus.ENDED, plan.stopped_by), rules, lease)
            return False
        await self._trade(state, plan, problem, view, lease, "trade")
        return await self._goes_on(order_id, plan, rules, lease)

    async def _goes_on(self, order_id: int, plan: Plan, rules: Mapping[str, SymbolRule], lease: Lease) -> bool:
        """Decide, after a batch, whether the order is planned once more in this go."""
        with self._database.read() as connection:
            order = index_order(connection, order_id)
        if order.status.is_final:
            return False
        if order.remaining == 0:
            # Filled, but it holds more of some asset than the float may take.
            await self._finish(order, Ending(IndexOrderStatus.FILLED, ("filled",)), rules, lease)
            return False
        stops = plan.stopped_by
        if order.stopped_by == ("moved",):
            barren = self._barren_stops(order_id)
            if barren is None:
                return True
            stops = barren
        if not order.stays_open:
            await self._finish(order, Ending(IndexOrderStatus.ENDED, stops), rules, lease)
        return False

    def _barren_stops(self, order_id: int) -> tuple[str, ...] | None:
        """Return what stops an order whose last batches executed nothing at all; None while it gets on."""
        with self._database.read() as connection:
            batches = [
                asset_orders_of_plan(connection, p.id) for p in plans_of(connection, order_id)[-MOST_BARREN:]
            ]
        if len(batches) < MOST_BARREN or any(sent.executed_quantity for batch in batches for sent in batch):
            return None
        refused = sorted({sent.intent.asset for sent in batches[-1] if sent.status is AssetOrderStatus.REJECTED})
        return tuple(f"rejected({asset})" for asset in refused) or ("moved",)

    def _due_ending(self, order: IndexOrder) -> Ending | None:
        if order.cancel_requested_at is not None:
            return Ending(IndexOrderStatus.CANCELLED, ("cancelled",))
        if order.expires_at is not None and order.expires_at <= self._clock.now():
            return Ending(IndexOrderStatus.ENDED, (*order.stopped_by, "time"))
        return None

    async def _solve(self, problem: OrderProblem) -> Plan:
        def solve() -> Plan:
            with money_context():
                return plan_order(problem, self._settings.method)

        return await asyncio.to_thread(solve)

    async def _trade(
        self,
        state: OrderState,
        plan: Plan,
        problem: OrderProblem,
        view: MarketView,
        lease: Lease,
        purpose: str,
    ) -> None:
        """Write a batch with its intents, send it, and settle what it traded."""
        plan_id = self._write(state, plan, problem, view, lease, purpose)
        await self._queue.run(plan_id, state.parties, lease)
        self._settle(plan_id, lease)
        await self._venue.batch_done()

    def _write(
        self,
        state: OrderState,
        plan: Plan,
        problem: OrderProblem,
        view: MarketView,
        lease: Lease,
        purpose: str,
    ) -> int:
        """Save a plan and its asset orders, before anything is sent; a sell's baskets leave the index with it."""
        order, basket, now = state.order, state.basket, self._clock.now()
        mids = view.mids(basket.symbols)
        market = view.document()
        document = document_for(plan, problem, basket, state.index.symbol, order.arrival_nav, view, market)
        with self._database.write() as connection:
            check(connection, lease)
            add_market(connection, document["book_hash"], market)
            plan_id = add_plan(
                connection,
                {
                    "index_order_id": order.id,
                    "basket_id": basket.id,
                    "purpose": purpose,
                    "units": plan.units,
                    "method": plan.method,
                    "cost": plan.cost,
                    "bound": plan.bound,
                    "gap_bps": plan.gap_bps,
                    "book_hash": document["book_hash"],
                    "document": canonical(document),
                },
                now,
            )
            life, sequence = incarnation(connection), count_asset_orders(connection, order.id)
            side = plan.side
            for leg in plan.legs:
                for quantity in _pieces(leg, view.rules[leg.symbol]):
                    sequence += 1
                    intent = Intent(
                        client_order_id=client_order_id(life, order.id, sequence),
                        asset=leg.asset,
                        symbol=leg.symbol,
                        side=side,
                        quantity=quantity,
                        price=leg.limit_price,
                        arrival_mid=order.arrival[leg.asset],
                        mid=leg.mid,
                        touch=leg.touch,
                    )
                    add_asset_order(connection, plan_id, order.id, intent)
            if purpose == "trade" and side is Side.SELL:
                given = baskets(plan.units, basket.quantities, basket.cash_per_unit)
                lent = {leg.asset: max(-leg.surplus, ZERO) for leg in plan.legs}
                Ledger(connection, self._account.id).post(
                    redemption(state.parties, plan_id, given, lent, mids, state.cash, at=now)
                )
            self._log.record(connection, BatchPlanned(order.id, plan_id, plan.units, len(plan.legs)), now)
        return plan_id

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
            write_filled(connection, order.id, order.filled, stopped_by)

    async def _finish(
        self, order: IndexOrder, ending: Ending, rules: Mapping[str, SymbolRule], lease: Lease
    ) -> None:
        """End an order; what it holds beyond its units is completed where that is cheaper, else traded back."""
        for _ in range(COMPLETIONS):
            if not await self._complete(order.id, rules, lease):
                break
        for _ in range(UNWINDS):
            if not await self._unwind(order.id, rules, lease):
                break
        prices = self._last_prices(order.id)
        with self._database.write() as connection:
            check(connection, lease)
            if not index_order(connection, order.id).status.is_final:
                end(connection, self._log, order.id, ending, prices, self._clock.now())

    async def _complete(self, order_id: int, rules: Mapping[str, SymbolRule], lease: Lease) -> bool:
        """Buy what is missing beside the legs that filled; return whether anything was sent.

        The order's limit holds, its loss limit does not: trading back would lose more.
        """
        with self._database.read() as connection:
            state = order_state(connection, order_id)
        if state.order.status.is_final or state.order.side is Side.SELL or not any(state.held.values()):
            return False
        try:
            view = await look(self._venue, state.basket, self._settings.depth, rules)
            bounds = settlement_bounds(state.basket, view)
            units = completion(state.wish(), state.basket, view, bounds)
            if not units:
                return False
            wish = replace(state.wish(), quantity=units, max_loss_bps=None)
            problem = order_problem(
                wish, state.basket, view, state.float, state.float_cash, self._settings.slack_ticks
            )
        except DataError:
            return False
        plan = await self._solve(problem)
        if not plan.units or not any(leg.quantity for leg in plan.legs):
            return False
        await self._trade(state, plan, problem, view, lease, "trade")
        return True

    async def _unwind(self, order_id: int, rules: Mapping[str, SymbolRule], lease: Lease) -> bool:
        """Sell what an order holds beyond what the float may take; return whether anything was sent."""
        with self._database.read() as connection:
            state = order_state(connection, order_id)
        if not any(state.held.values()):
            return False
        try:
            view = await look(self._venue, state.basket, self._settings.depth, rules)
            bounds = settlement_bounds(state.basket, view)
            problem = unwinding_problem(state.wish(), state.basket, view)
            plan = unwinding(state.wish(), state.basket, view, state.held, bounds)
        except EtfError:
            return False  # without a price it stays the order's own: the order ends stuck
        if not plan.legs:
            return False
        await self._trade(state, plan, problem, view, lease, "unwind")
        return True

    def _last_prices(self, order_id: int) -> BatchPrices | None:
        with self._database.read() as connection:
            plans = plans_of(connection, order_id)
            return batch_prices(connection, self._account.id, plans[-1]) if plans else None


def _stops(document: str) -> tuple[str, ...]:
    return tuple(json.loads(document)["stopped_by"])


def _pieces(leg: PlannedLeg, rule: SymbolRule) -> list[Decimal]:
    """Split a leg's quantity into orders that the venue's largest order allows.

    Beyond `MOST_PIECES` the rest waits for the next batch.
    """
    most = rule.most_quantity(leg.limit_price) or leg.quantity
    pieces: list[Decimal] = []
    left = leg.quantity
    while left > 0 and len(pieces) < MOST_PIECES:
        piece = min(left, most)
        if ZERO < left - piece < rule.least_quantity(leg.limit_price):
            piece = left - rule.least_quantity(leg.limit_price)
        pieces.append(piece)
        left -= piece
    return pieces
