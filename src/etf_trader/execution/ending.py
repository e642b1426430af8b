"""How an order ends: what it holds beyond its units is completed or traded back, and the rest goes home."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace

from etf_trader.clock import Clock
from etf_trader.database import Database
from etf_trader.errors import DataError, EtfError
from etf_trader.events import EventLog
from etf_trader.execution.batch import CONVERT, TRADE, UNWIND, Batch, batch_of
from etf_trader.execution.lease import Lease, check
from etf_trader.execution.look import look
from etf_trader.execution.planning import (
    completion,
    order_problem,
    settlement_bounds,
    unwinding,
    unwinding_problem,
)
from etf_trader.execution.routed import exchangeable
from etf_trader.execution.settings import ExecutionSettings
from etf_trader.execution.settlement import BatchPrices, Ending, batch_prices, end
from etf_trader.execution.state import order_state
from etf_trader.ledger.repository import Account
from etf_trader.market.symbol import Side, SymbolRule
from etf_trader.money import money_context
from etf_trader.orders.index_order import IndexOrder
from etf_trader.orders.plan import Plan
from etf_trader.orders.store import index_order, plans_of
from etf_trader.solver.order import plan_order
from etf_trader.solver.problem import OrderProblem
from etf_trader.venue.interface import Venue

Rules = Mapping[str, SymbolRule]

COMPLETIONS = 3
UNWINDS = 3


@dataclass(frozen=True, slots=True)
class Finisher:
    """Ends the orders of an account; `trade` writes a batch, sends it and settles what it traded."""

    database: Database
    venue: Venue
    clock: Clock
    account: Account
    settings: ExecutionSettings
    log: EventLog
    trade: Callable[[Batch, Lease], Awaitable[None]]

    async def finish(self, order: IndexOrder, ending: Ending, rules: Rules, lease: Lease) -> None:
        """End an order; what it holds beyond its units is completed where that is cheaper, else traded back."""
        for _ in range(COMPLETIONS):
            if not await self._complete(order.id, rules, lease):
                break
        for _ in range(UNWINDS):
            if not await self._unwind(order.id, rules, lease):
                break
        prices = self._last_prices(order.id)
        with self.database.write() as connection:
            check(connection, lease)
            if not index_order(connection, order.id).status.is_final:
                end(connection, self.log, order.id, ending, prices, self.clock.now())

    async def _complete(self, order_id: int, rules: Rules, lease: Lease) -> bool:
        """Buy what is missing beside the legs that filled; return whether anything was sent.

        The order's limit holds, its loss limit does not: trading back would lose more.
        """
        with self.database.read() as connection:
            state = order_state(connection, order_id)
        if state.order.status.is_final or state.order.side is Side.SELL or not any(state.held.values()):
            return False
        try:
            view = await look(self.venue, state.basket, self.settings.depth, rules)
            bounds = settlement_bounds(state.basket.symbols, view)
            units = completion(state.wish(), state.basket, view, bounds)
            if not units:
                return False
            wish = replace(state.wish(), quantity=units, max_loss_bps=None)
            problem = order_problem(
                wish, state.basket, view, state.float, state.float_cash, self.settings.slack_ticks
            )
        except DataError:
            return False
        plan = await self._solve(problem)
        if not plan.units or not any(leg.quantity for leg in plan.legs):
            return False
        await self.trade(batch_of(state, problem, plan, TRADE, view), lease)
        return True

    async def _solve(self, problem: OrderProblem) -> Plan:
        def solve() -> Plan:
            with money_context():
                return plan_order(problem, self.settings.method)

        return await asyncio.to_thread(solve)

    async def _unwind(self, order_id: int, rules: Rules, lease: Lease) -> bool:
        """Sell what an order holds beyond what the float may take; return whether anything was sent."""
        with self.database.read() as connection:
            state = order_state(connection, order_id)
        foreign = exchangeable(state, rules)
        if not any(state.held.values()) and not foreign:
            return False
        symbols = {**state.basket.symbols, **foreign}
        excess = {**state.held, **{name: state.other_cash[name] for name in foreign}}
        try:
            view = await look(self.venue, state.basket, self.settings.depth, rules, foreign.values())
            wish = replace(state.wish(), held=excess)
            problem = unwinding_problem(wish, state.basket, symbols, view)
            plan = unwinding(wish, symbols, view, excess, settlement_bounds(symbols, view))
        except EtfError:
            return False  # without a price it stays the order's own: the order ends stuck
        if not plan.legs:
            return False
        is_paid_back = all(leg.asset in foreign for leg in plan.legs)
        await self.trade(batch_of(state, problem, plan, CONVERT if is_paid_back else UNWIND, view), lease)
        return True

    def _last_prices(self, order_id: int) -> BatchPrices | None:
        with self.database.read() as connection:
            plans = plans_of(connection, order_id)
            return batch_prices(connection, self.account.id, plans[-1]) if plans else None
