"""How an order ends: what it holds beyond its units is completed or traded back, and the rest goes home."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import Decimal

from sqlalchemy import Connection

from etf_trader.clock import Clock
from etf_trader.database import Database
from etf_trader.errors import DataError, SolverError
from etf_trader.events import EventLog
from etf_trader.execution.batch import CONVERT, TRADE, UNWIND, batch_of
from etf_trader.execution.lease import Lease, check
from etf_trader.execution.look import look_at, require_listed
from etf_trader.execution.planning import MarketView, completion, order_problem, settlement_bounds
from etf_trader.execution.risk_review import Gate
from etf_trader.execution.routed import foreign_currencies, symbols_of
from etf_trader.execution.settings import ExecutionSettings
from etf_trader.execution.settlement import HELD, BatchPrices, Ending, batch_prices, end, has_excess
from etf_trader.execution.shift import Shift
from etf_trader.execution.state import OrderState, order_state
from etf_trader.execution.together import Asked, plan_alone
from etf_trader.execution.trader import Trader
from etf_trader.execution.unwinding import Markets, Rules, markets_of, plan_unwinding, routes_of, valuation
from etf_trader.ledger.repository import Account
from etf_trader.market.symbol import Side
from etf_trader.money import ZERO, money_context
from etf_trader.orders.index_order import IndexOrder
from etf_trader.orders.plan import Plan
from etf_trader.orders.status import AssetOrderStatus, IndexOrderStatus, Shortfall
from etf_trader.orders.store import (
    asset_orders_of_plan,
    index_order,
    list_index_orders,
    plans_of,
    write_filled,
)
from etf_trader.venue.interface import Venue

COMPLETIONS = 3
UNWINDS = 3
"""Batches to complete an order at its end, or to trade back what it holds, on one currency's books."""

AGAIN = timedelta(minutes=1)
"""How long one leader waits before it tries again to trade back what is stuck."""


@dataclass(frozen=True, slots=True)
class Finisher:
    """Ends the orders of an account.

    Once its leader is to stop nothing more is sent: an order that still holds
    something is left to the next one.
    """

    database: Database
    venue: Venue
    clock: Clock
    account: Account
    settings: ExecutionSettings
    log: EventLog
    gate: Gate
    trader: Trader
    shift: Shift
    _tried: dict[int, datetime] = field(default_factory=dict)

    def begin(self) -> None:
        """Begin as a new leader: whatever is stuck is tried once more."""
        self._tried.clear()

    async def finish(self, order: IndexOrder, ending: Ending, rules: Rules, lease: Lease) -> None:
        """End an order, with what it holds beyond its units as its `--on-shortfall` wants it.

        "retry": completed where that is cheaper, else traded back. "unwind": traded
        back. "hold": kept. What a sell was paid in other currencies is exchanged back.
        """
        if order.on_shortfall is Shortfall.RETRY:
            await self._complete_all(order.id, rules, lease)
        await self._trade_back(order.id, rules, lease, assets=order.on_shortfall is not Shortfall.HOLD)
        prices = self._last_prices(order.id)
        with self.database.write() as connection:
            check(connection, lease)
            if self.shift.stop() and any(order_state(connection, order.id).held.values()):
                return
            if self._waits_for_resume(connection, order, prices):
                stops = (*(stop for stop in ending.stopped_by if stop not in ("filled", "halted")), "halted")
                write_filled(connection, order.id, order.filled, stops)
            elif not index_order(connection, order.id).status.is_final:
                end(connection, self.log, order.id, ending, prices, self.clock.now())

    def _waits_for_resume(self, connection: Connection, order: IndexOrder, prices: BatchPrices | None) -> bool:
        """Return whether an order stays open because a halt alone keeps what it holds from being traded back."""
        is_kept = order.on_shortfall is Shortfall.HOLD
        return not is_kept and self.gate.is_halted(connection) and has_excess(connection, order.id, prices)

    async def even_out(self, order: IndexOrder, rules: Rules, lease: Lease) -> None:
        """Trade back what legs that filled unequally left over, before an order that wants that goes on."""
        if order.on_shortfall is Shortfall.UNWIND:
            await self._trade_back(order.id, rules, lease, currencies=False)

    async def free_stuck(self, rules: Rules, lease: Lease) -> None:
        """Try once more to trade back what stuck orders hold, and end those that hold nothing any more.

        An order that was to hold it is left alone, unless it was cancelled since. A
        leader tries at its start, when somebody asks for it, and every minute.
        """
        with self.database.read() as connection:
            found = list_index_orders(connection, account_id=self.account.id, statuses=[IndexOrderStatus.STUCK])
        for order in found:
            if not self._is_due(order):
                continue
            self._tried[order.id] = self.clock.now()
            await self._trade_back(order.id, rules, lease)
            prices = await self._prices_now(order.id, rules)
            with self.database.write() as connection:
                check(connection, lease)
                order = index_order(connection, order.id)
                if order.status is IndexOrderStatus.STUCK:
                    end(connection, self.log, order.id, _late_ending(order), prices, self.clock.now())

    def _is_due(self, order: IndexOrder) -> bool:
        asked, tried = order.cancel_requested_at, self._tried.get(order.id)
        if order.on_shortfall is Shortfall.HOLD and asked is None:
            return False
        is_asked_anew = tried is not None and asked is not None and asked >= tried
        return tried is None or is_asked_anew or self.clock.now() - tried >= AGAIN

    async def _complete_all(self, order_id: int, rules: Rules, lease: Lease) -> None:
        with self.database.read() as connection:
            currencies = 1 + len(foreign_currencies(order_state(connection, order_id).index))
        may_convert = True
        for _ in range(COMPLETIONS * currencies):
            if self.shift.stop():
                return
            sent = await self._complete(order_id, rules, lease, may_convert=may_convert)
            if sent is None:
                return
            may_convert = sent != CONVERT

    async def _complete(self, order_id: int, rules: Rules, lease: Lease, *, may_convert: bool) -> str | None:
        """Buy what is missing beside the legs that filled; return what the batch was for; None: nothing was sent.

        The order's limit holds, its loss limit does not: trading back would lose more.
        """
        with self.database.read() as connection:
            state = order_state(connection, order_id)
        if state.order.status.is_final or state.order.side is Side.SELL or not any(state.held.values()):
            return None
        try:
            require_listed(state.basket, rules)
            symbols = symbols_of(state.index, state.basket, rules)
            view = await look_at(self.venue, symbols, self.settings.depth, rules)
            asked = self._completing(state, rules, view, may_convert=may_convert)
            if asked is None:
                return None
            plan = await self._solve(asked, view)
        except (DataError, SolverError):
            return None
        batch = batch_of(state, asked.problem, plan, TRADE, view)
        if not plan.units or not batch.demands:
            return None
        return batch.members[0].purpose if await self.trader.trade_to_end(batch, lease) else None

    def _completing(self, state: OrderState, rules: Rules, view: MarketView, *, may_convert: bool) -> Asked | None:
        """Return what is asked to complete an order; None where trading back is better."""
        with money_context():
            bounds = settlement_bounds(state.basket.symbols, view)
            routes = routes_of(state, markets_of(state, rules), view)
            units = completion(state.wish(), state.basket, view, bounds, routes)
            if not units:
                return None
            wish = replace(state.wish(), quantity=units, max_loss_bps=None)
            problem = order_problem(
                wish, state.basket, view, state.float, state.float_cash, self.settings.slack_ticks
            )
        return Asked(state, problem, may_convert)

    async def _solve(self, asked: Asked, view: MarketView) -> Plan:
        def solve() -> Plan:
            with money_context():
                return plan_alone(asked, view, self.settings.method)

        return await asyncio.to_thread(solve)

    async def _trade_back(
        self, order_id: int, rules: Rules, lease: Lease, *, assets: bool = True, currencies: bool = True
    ) -> None:
        """Sell what an order holds beyond what the float may take, and exchange what it was paid elsewhere."""
        with self.database.read() as connection:
            state = order_state(connection, order_id)
        for _ in range(UNWINDS * (1 + len(foreign_currencies(state.index)))):
            if self.shift.stop() or not await self._unwind(
                order_id, rules, lease, assets=assets, currencies=currencies
            ):
                return

    async def _unwind(self, order_id: int, rules: Rules, lease: Lease, *, assets: bool, currencies: bool) -> bool:
        """Trade back once; return whether anything was sent."""
        with self.database.read() as connection:
            state = order_state(connection, order_id)
        markets = markets_of(state, rules)
        excess = {asset: quantity for asset, quantity in state.held.items() if quantity and assets}
        if currencies:
            excess |= {name: state.other_cash[name] for name in markets.by_asset if name in state.other_cash}
        if not any(markets.by_asset.get(asset) for asset in excess):
            return False  # without a market it stays the order's own: the order ends stuck
        try:
            view = await self._look(markets, rules)
            with money_context():
                problem, plan, is_exchange = plan_unwinding(state, excess, markets, view)
        except DataError:
            return False
        if not plan.legs:
            return False
        batch = batch_of(state, problem, plan, CONVERT if is_exchange else UNWIND, view)
        return await self.trader.trade_to_end(batch, lease) and self._was_sent(order_id)

    def _was_sent(self, order_id: int) -> bool:
        """Return whether anything of an order's last batch reached the venue: an account may be halted."""
        with self.database.read() as connection:
            sent = asset_orders_of_plan(connection, plans_of(connection, order_id)[-1].id)
        return any(each.status is not AssetOrderStatus.WITHDRAWN for each in sent)

    async def _look(self, markets: Markets, rules: Rules) -> MarketView:
        return await look_at(self.venue, markets.symbols, self.settings.depth, rules)

    def _last_prices(self, order_id: int) -> BatchPrices | None:
        """Return what the last batches were settled by: an asset that had no price lately has an earlier one."""
        with self.database.read() as connection:
            found = [batch_prices(connection, self.account.id, plan) for plan in plans_of(connection, order_id)]
        return _merged(found) if found else None

    async def _prices_now(self, order_id: int, rules: Rules) -> BatchPrices | None:
        """Return the prices of now, and earlier ones where there are none."""
        last = self._last_prices(order_id)
        with self.database.read() as connection:
            state = order_state(connection, order_id)
        markets = markets_of(state, rules)
        try:
            view = await self._look(markets, rules)
        except DataError:
            return last
        with money_context():
            mids, bounds = valuation(state, markets, view)
        now = BatchPrices(mids, bounds, lent={}, cash_before=ZERO)
        return now if last is None else _merged([last, now])


def _merged(found: Sequence[BatchPrices]) -> BatchPrices:
    mids: dict[str, Decimal] = {}
    bounds: dict[str, Decimal] = {}
    for each in found:
        mids |= each.mids
        bounds |= each.bounds
    return replace(found[-1], mids=mids, bounds=bounds)


def _late_ending(order: IndexOrder) -> Ending:
    """Return how an order ends that was stuck until now."""
    stops = tuple(stop for stop in order.stopped_by if stop != HELD)
    if order.remaining == ZERO:
        return Ending(IndexOrderStatus.FILLED, ("filled",))
    if order.cancel_requested_at is not None or "cancelled" in stops:
        return Ending(IndexOrderStatus.CANCELLED, tuple(dict.fromkeys((*stops, "cancelled"))))
    return Ending(IndexOrderStatus.ENDED, stops)
