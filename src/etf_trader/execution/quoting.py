"""What an order would cost, at any size: all that can be said about a trade without writing anything."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any, NamedTuple

from sqlalchemy import Connection

from etf_trader.clock import Clock
from etf_trader.database import Database
from etf_trader.errors import DataError, SolverError, UsageError
from etf_trader.execution.budget import budget
from etf_trader.execution.desk import CENT
from etf_trader.execution.look import look
from etf_trader.execution.outlook import Outlook, outlook
from etf_trader.execution.planning import MarketView, Wish, cash_to_reserve, document_for, order_problem
from etf_trader.execution.routing import OtherBooks, other_currencies, route_problem, route_symbols
from etf_trader.execution.settings import ExecutionSettings
from etf_trader.index.store import Basket, Index, current_basket, index_by_id, list_positions
from etf_trader.ledger import accounts
from etf_trader.ledger.repository import Account, Ledger, find_holder
from etf_trader.market.symbol import Side, SymbolRule
from etf_trader.money import ONE, UNIT_GRID, ZERO, ceil_to, floor_to, money_context
from etf_trader.orders.index_order import OrderRequest
from etf_trader.orders.plan import Plan
from etf_trader.solver.order import plan_order, smallest_quantity
from etf_trader.solver.problem import OrderProblem
from etf_trader.solver.quote import (
    BookEnd,
    Naive,
    SizeCost,
    book_ends,
    float_for_any_size,
    limits_by_asset,
    market_orders,
    round_sizes,
    shape,
    unlimited,
)
from etf_trader.solver.route_problem import RouteSaving
from etf_trader.venue.interface import OrderLimit, Venue

ROUTE_DEPTH = 100
"""Levels that are read of the books in other currencies: they are many, and the best levels decide."""


@dataclass(frozen=True, slots=True)
class QuoteRequest:
    """What somebody would like to know.

    `quantity` is in units, or `is_all` of the holder's; neither asks for the curve alone.
    """

    side: Side
    index_id: int
    quantity: Decimal | None
    is_all: bool
    limit_price: Decimal | None
    max_loss_bps: Decimal | None

    def check(self) -> None:
        """Check what can be checked without the books, as for an order.

        Raises:
            UsageError: a value cannot be; says which and what to write.
        """
        quantity = ONE if self.quantity is None else self.quantity
        OrderRequest(
            side=self.side,
            index_id=self.index_id,
            quantity=quantity,
            position="",
            limit_price=self.limit_price,
            max_loss_bps=self.max_loss_bps,
            time_in_force="now",
            client_key="quote",
        ).check()


class Window(NamedTuple):
    """A limit of the venue: `most` orders in each `seconds`, `free` of them until it begins anew in `opens_in`."""

    most: int
    seconds: float
    free: int
    opens_in: float

    def wait(self, orders: int) -> float:
        """Return the seconds until the last of `orders` may be sent."""
        if orders <= self.free:
            return 0.0
        windows = -(-(orders - self.free) // self.most)
        return self.opens_in + (windows - 1) * self.seconds


@dataclass(frozen=True, slots=True)
class Answer:
    """What the size that was asked for comes to.

    `plan` is what a dry run of the same size makes when the treasury pays for
    it; `payable` are the units for which it does (None: a sell). `outlook` is
    there when a limit stops the plan. `market` and `by_asset` are the naive
    ways: a market order an asset, and (None without a limit) a limit an asset.
    `routes` says what other currencies would save for the plan's units, the quote
    alone in front; none where the venue has none, or for the reason that `routes_unknown` tells.
    """

    quantity: Decimal
    plan: Plan
    document: dict[str, Any]
    outlook: Outlook | None
    payable: Decimal | None
    market: Naive
    by_asset: Naive | None
    routes: tuple[RouteSaving, ...]
    routes_unknown: str


@dataclass(frozen=True, slots=True)
class Quote:
    """What trading an index costs on the books of now.

    `answer` is None when no size was asked for. `largest` is the plan of the
    largest size within the limits; `least` the least size that the float of now
    allows (None: none), `float_needed` the float cash that allows every size.
    `curve` holds plans of growing sizes that the books alone bound, the last as
    large as the first book to give out allows; `shape` the same, denser, for a
    chart. `windows` are the venue's limits on orders with what is left of each.
    """

    request: QuoteRequest
    index: Index
    view: MarketView
    nav: Decimal
    answer: Answer | None
    treasury: Decimal
    largest: Plan
    least: Decimal | None
    float_cash: Decimal
    float_needed: Decimal
    curve: tuple[Plan, ...]
    shape: tuple[SizeCost, ...]
    ends: tuple[BookEnd, ...]
    windows: tuple[Window, ...]

    @property
    def free_slots(self) -> int:
        """Orders that may be sent at once."""
        return min((window.free for window in self.windows), default=10**9)

    def seconds_for(self, orders: int) -> float:
        """Return how long it takes until the venue lets the last of `orders` through; 0 when it does at once."""
        return max((window.wait(orders) for window in self.windows), default=0.0)


@dataclass(frozen=True, slots=True)
class _State:
    """What our books say, at one moment."""

    index: Index
    basket: Basket
    quantity: Decimal | None
    treasuries: Mapping[str, Decimal]
    in_float: Mapping[str, Decimal]
    windows: tuple[Window, ...]

    @property
    def treasury(self) -> Decimal:
        return self.treasuries.get(self.index.quote, ZERO)

    @property
    def float_cash(self) -> Decimal:
        return self.in_float.get(self.index.quote, ZERO)


class Quoter:
    """Answers what trading would cost one holder; reads and never writes."""

    def __init__(
        self,
        database: Database,
        venue: Venue,
        clock: Clock,
        account: Account,
        holder: str,
        settings: ExecutionSettings,
    ) -> None:
        self._database = database
        self._venue = venue
        self._clock = clock
        self._account = account
        self._holder = holder
        self._settings = settings

    async def quote(self, request: QuoteRequest) -> Quote:
        """Return what `request` comes to on the books of now.

        Raises:
            UsageError: what was asked cannot be.
            DataError: a constituent has no price.
        """
        request.check()
        limits = await self._venue.order_limits()
        with self._database.read() as connection:
            state = self._state(connection, request, limits)
        rules = await self._venue.rules()
        view = await look(self._venue, state.basket, self._settings.depth, rules)
        other = None if state.quantity is None else await self._look_elsewhere(state, rules)
        return await asyncio.to_thread(self._quote, request, state, view, other)

    async def _look_elsewhere(self, state: _State, rules: Mapping[str, SymbolRule]) -> OtherBooks | None:
        """Read the books of the other currencies; None where the venue has none."""
        quote, assets = state.index.quote, state.basket.quantities
        others = other_currencies(quote, state.index.routes, assets, rules)
        if not others:
            return None
        symbols = route_symbols(quote, others, assets, rules)
        depth = min(self._settings.depth, ROUTE_DEPTH)
        return OtherBooks(others, await self._venue.books(symbols, depth), rules)

    def _state(self, connection: Connection, request: QuoteRequest, limits: Sequence[OrderLimit]) -> _State:
        index = index_by_id(connection, request.index_id)
        if not index.is_open and request.side is Side.BUY:
            raise UsageError(f"{index.symbol} is closed: its units can only be sold", where="--index")
        ledger = Ledger(connection, self._account.id)
        return _State(
            index=index,
            basket=current_basket(connection, index.id),
            quantity=self._free_units(connection, index) if request.is_all else request.quantity,
            treasuries=ledger.holdings(accounts.treasury(self._holder)),
            in_float=ledger.holdings(accounts.index_float(index.id)),
            windows=tuple(self._window(connection, limit) for limit in limits),
        )

    def _window(self, connection: Connection, limit: OrderLimit) -> Window:
        now = self._clock.now()
        left = budget(connection, self._account.id, [limit], now)
        return Window(limit.limit, limit.seconds, left.free, (left.next_window - now).total_seconds())

    def _free_units(self, connection: Connection, index: Index) -> Decimal:
        """Return all units of the holder that no open order offers already."""
        ledger, holder = Ledger(connection, self._account.id), find_holder(connection, self._holder)
        mine = [] if holder is None else list_positions(connection, index_id=index.id, holder_id=holder)
        units = sum((ledger.balance(accounts.position(each.id), index.unit_asset) for each in mine), ZERO)
        if not units:
            raise UsageError(
                f"{self._holder} holds no units of {index.symbol} that could be sold",
                where="--qty",
                hint="a number of units needs no holdings: --qty 100",
            )
        return units

    def _quote(self, request: QuoteRequest, state: _State, view: MarketView, other: OtherBooks | None) -> Quote:
        with money_context():
            wish = Wish(
                side=request.side,
                quantity=ONE if state.quantity is None else state.quantity,
                limit_price=request.limit_price,
                max_loss_bps=request.max_loss_bps,
                arrival=view.mids(state.basket.symbols),
                cash=None,
            )
            problem = order_problem(
                wish, state.basket, view, state.in_float, state.float_cash, self._settings.slack_ticks
            )
            ends = book_ends(problem)
            everything = replace(problem, quantity=ends[0].units + ONE)
            most = plan_order(unlimited(everything)).units
            least = smallest_quantity(problem)
            low = _smallest_shown(state.quantity, least, most)
            return Quote(
                request=request,
                index=state.index,
                view=view,
                nav=problem.nav,
                answer=None if state.quantity is None else self._answer(problem, state, view, other),
                treasury=state.treasury,
                largest=self._plan(everything),
                least=least,
                float_cash=state.float_cash,
                float_needed=ceil_to(float_for_any_size(problem), CENT),
                curve=tuple(_curve(problem, state.quantity, low, most)),
                shape=tuple(shape(problem, low, most)) if most else (),
                ends=tuple(ends),
                windows=state.windows,
            )

    def _answer(self, problem: OrderProblem, state: _State, view: MarketView, other: OtherBooks | None) -> Answer:
        opposite = Side.SELL if problem.side is Side.BUY else Side.BUY
        back = {leg.asset: view.books[leg.rule.symbol].offers(opposite) for leg in problem.legs}
        payable = None
        if problem.side is Side.BUY:
            payable = ZERO if state.treasury <= 0 else self._plan(self._funded(problem, state.treasury)).units
        funded = self._funded(problem) if problem.side is Side.BUY else problem
        plan = self._plan(funded)
        routes, unknown = _routes(replace(problem, quantity=plan.units), other, state.treasuries)
        is_limited = {"limit", "loss"} & set(plan.stopped_by)
        return Answer(
            quantity=problem.quantity,
            plan=plan,
            document=document_for(plan, funded, state.basket, state.index.symbol, problem.arrival_nav, view),
            outlook=outlook(problem, self._settings.method) if is_limited else None,
            payable=payable,
            market=market_orders(problem, back),
            by_asset=limits_by_asset(problem, back),
            routes=routes,
            routes_unknown=unknown,
        )

    def _funded(self, problem: OrderProblem, treasury: Decimal | None = None) -> OrderProblem:
        """Return a buy with the cash that the desk would set aside for it, of a treasury or of plenty."""
        estimate = self._plan(replace(problem, cash=treasury))
        reserve = ceil_to(cash_to_reserve(problem, estimate, self._settings.reserve_bps), CENT)
        return replace(problem, cash=reserve if treasury is None else min(treasury, reserve))

    def _plan(self, problem: OrderProblem) -> Plan:
        return plan_order(problem, self._settings.method)


def _routes(
    problem: OrderProblem, other: OtherBooks | None, held: Mapping[str, Decimal]
) -> tuple[tuple[RouteSaving, ...], str]:
    """Return what trading in other currencies too would save, or why that cannot be told."""
    if other is None or not problem.quantity:
        return (), ""
    from etf_trader.solver.routes import route_savings  # NumPy is imported only where there are routes

    try:
        return route_savings(route_problem(problem, other, held)), ""
    except (DataError, SolverError) as error:
        return (), error.message


def _smallest_shown(quantity: Decimal | None, least: Decimal | None, most: Decimal) -> Decimal:
    """Return where the curve begins: a decade below what was asked, or four below where the books end."""
    low = most.scaleb(-4) if quantity is None or quantity > most else quantity.scaleb(-1)
    return max(floor_to(low, UNIT_GRID), min(least or ZERO, most), UNIT_GRID)


def _curve(problem: OrderProblem, quantity: Decimal | None, low: Decimal, most: Decimal) -> list[Plan]:
    """Return a plan for every round size, for the size that was asked for and for the largest."""
    sizes = {size for size in (*round_sizes(low, most), quantity, most) if size and size <= most}
    books_alone = unlimited(problem)
    return [plan_order(replace(books_alone, quantity=size)) for size in sorted(sizes)]
