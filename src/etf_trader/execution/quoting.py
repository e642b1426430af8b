"""What an order would cost, at any size: all that can be said about a trade without writing anything."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import TypeVar

from sqlalchemy import Connection

from etf_trader.clock import Clock
from etf_trader.database import Database
from etf_trader.errors import DataError, SolverError, UsageError
from etf_trader.execution.budget import windows
from etf_trader.execution.desk import CENT
from etf_trader.execution.fee_inventory import InFlight, require_apart
from etf_trader.execution.fees_apart import (
    as_paid,
    asked_with_fees,
    counted,
    discounted,
    outlook_with_fees,
    say_fees,
)
from etf_trader.execution.fees_in_kind import basket_due
from etf_trader.execution.frozen import frozen_of, without_frozen
from etf_trader.execution.look import (
    DEEPER,
    FIRST_LOOK,
    look,
    look_and_plan,
    require_listed,
    require_open,
    require_own,
)
from etf_trader.execution.planning import MarketView, Wish, cash_to_reserve, document_for, order_problem
from etf_trader.execution.quote import Answer, Quote, QuoteRequest, Window
from etf_trader.execution.routed import foreign_currencies, open_ends, plan_of, routed_problem, symbols_of
from etf_trader.execution.routing import OtherBooks, Rules, other_currencies, route_problem, route_symbols
from etf_trader.execution.settings import ExecutionSettings
from etf_trader.index.store import Basket, Index, index_by_id, list_positions
from etf_trader.ledger import accounts
from etf_trader.ledger.repository import Account, Ledger, find_holder
from etf_trader.market.book import Level
from etf_trader.market.symbol import Side
from etf_trader.money import ONE, UNIT_GRID, ZERO, ceil_to, floor_to, money_context
from etf_trader.orders.plan import Plan
from etf_trader.solver.order import plan_order, smallest_quantity
from etf_trader.solver.problem import OrderProblem
from etf_trader.solver.quote import (
    book_ends,
    even_sizes,
    float_for_any_size,
    limits_by_asset,
    market_orders,
    round_sizes,
    size_costs,
    unlimited,
)
from etf_trader.solver.route_problem import RouteSaving
from etf_trader.solver.routes import plan_routes, route_savings
from etf_trader.venue.interface import FeeDiscount, OrderLimit, Venue

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class _State:
    """What our books say, at one moment."""

    request: QuoteRequest
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
        frozen = tuple(frozen_of(state.basket, rules))
        state = replace(state, basket=without_frozen(state.basket, rules))
        require_listed(state.basket, rules)
        answer, other = None, None
        if state.quantity is not None:
            answer, near, discount = await self._answer(state, rules)
            # What is weighed against the answer pays its fees as it does.
            rules = rules if discount is None else discounted(rules, discount)
            other = await self._look_elsewhere(state, rules, near)
        view = await self._to_the_end(state, rules)
        quote = await asyncio.to_thread(self._quote, state, view, answer, other)
        return replace(quote, frozen=frozen)

    async def _answer(self, state: _State, rules: Rules) -> tuple[Answer, MarketView, FeeDiscount | None]:
        """Read and plan as the desk does; return also what was read, and in what fees are paid beside, if so."""

        async def planned(view: MarketView) -> tuple[Plan, MarketView]:
            seen = await self._as_paid(state, view)
            return await asyncio.to_thread(self._on, view, state, lambda each: self._best(each, state, seen)), seen

        symbols, depth = symbols_of(state.index, state.basket, rules), self._settings.depth
        view, (plan, seen) = await look_and_plan(
            self._venue, symbols, depth, rules, planned, lambda made: open_ends(*made)
        )
        discount = await require_apart(self._database, self._venue, self._account)
        (told,) = await say_fees(self._venue, discount, [plan], seen)
        answer = await asyncio.to_thread(self._on, view, state, lambda each: self._told(each, state, seen, told))
        return answer, view, None if seen.fees_apart is None else discount

    async def _as_paid(self, state: _State, view: MarketView) -> MarketView:
        """Return the view that an order of this size would be planned on, as the desk sees it."""
        worth = self._on(view, state, lambda problem: problem.quantity * problem.nav)
        tried = InFlight({state.index.quote: worth})
        rules = view.rules.values()
        discount = await counted(self._database, self._venue, self._account, [state.index], rules, tried)
        return as_paid(view, discount, [state.request.max_loss_bps])

    async def _look_elsewhere(self, state: _State, rules: Rules, near: MarketView) -> OtherBooks | None:
        """Read the books of other currencies, as deep as `near` the index's own; None where the venue has none."""
        quote, assets = state.index.quote, state.basket.quantities
        others = other_currencies(quote, state.index.routes, assets, rules)
        if not others:
            return None
        symbols, side = route_symbols(quote, others, assets, rules), state.request.side
        deepest = max(len(near.books[symbol].offers(side)) for symbol in state.basket.symbols.values())
        depth = min(self._settings.depth, max(deepest, FIRST_LOOK))
        return OtherBooks(others, await self._venue.books(symbols, depth), rules)

    async def _to_the_end(self, state: _State, rules: Rules) -> MarketView:
        """Read books until the one that gives out first is known to the end, or as deep as books are read."""
        read = min(FIRST_LOOK, self._settings.depth)
        view = await look(self._venue, state.basket, read, rules)
        while read < self._settings.depth and (windows := self._on(view, state, _windows_before_the_end)):
            read = min(read * DEEPER, self._settings.depth)
            view = replace(view, books={**view.books, **await self._venue.books(windows, read)})
        return view

    def _state(self, connection: Connection, request: QuoteRequest, limits: Sequence[OrderLimit]) -> _State:
        index = index_by_id(connection, request.index_id)
        require_own(index, self._account.id)
        require_open(index, request.side)
        ledger = Ledger(connection, self._account.id)
        now = self._clock.now()
        return _State(
            request=request,
            index=index,
            basket=basket_due(connection, self._account.id, index.id, now),
            quantity=self._free_units(connection, index) if request.is_all else request.quantity,
            treasuries=ledger.holdings(accounts.treasury(self._holder)),
            in_float=ledger.holdings(accounts.index_float(index.id)),
            windows=tuple(
                Window(each.limit.limit, each.limit.seconds, each.free, (each.end - now).total_seconds())
                for each in windows(connection, self._account.id, limits, now)
            ),
        )

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

    def _on(self, view: MarketView, state: _State, work: Callable[[OrderProblem], Result]) -> Result:
        """Do `work` on what was asked for, without a bound on cash; one unit where no size was."""
        request = state.request
        with money_context():
            wish = Wish(
                side=request.side,
                quantity=ONE if state.quantity is None else state.quantity,
                limit_price=request.limit_price,
                max_loss_bps=request.max_loss_bps,
                arrival=view.mids(state.basket.symbols),
                cash=None,
            )
            slack = self._settings.slack_ticks
            return work(order_problem(wish, state.basket, view, state.in_float, state.float_cash, slack))

    def _quote(self, state: _State, view: MarketView, answer: Answer | None, other: OtherBooks | None) -> Quote:
        return self._on(view, state, lambda problem: self._quoted(problem, state, view, answer, other))

    def _quoted(
        self,
        problem: OrderProblem,
        state: _State,
        view: MarketView,
        answer: Answer | None,
        other: OtherBooks | None,
    ) -> Quote:
        ends, back = book_ends(problem), _other_side(problem, view)
        everything = replace(problem, quantity=ends[0].units + ONE)
        largest = self._plan(everything)
        most, least = _all_there_is(everything, largest), smallest_quantity(problem)
        low = _smallest_shown(state.quantity, least, most)
        sizes = {size for size in (*round_sizes(low, most), state.quantity, most) if size and size <= most}
        routes, unknown = _routes(problem, answer, other, state.treasuries)
        is_limited = answer is not None and {"limit", "loss"} & set(answer.plan.stopped_by)
        seen = (
            view if answer is None else replace(view, rules=answer.view.rules, fees_apart=answer.view.fees_apart)
        )
        is_alone = len(state.index.routes) == 1  # of several currencies the quote's books say too little
        return Quote(
            request=state.request,
            environment=self._account.environment,
            index=state.index,
            nav=problem.nav,
            answer=answer,
            outlook=outlook_with_fees(problem, seen, self._settings.method) if is_limited and is_alone else None,
            treasury=state.treasury,
            largest=largest,
            least=least,
            float_cash=state.float_cash,
            float_needed=ceil_to(float_for_any_size(problem), CENT),
            curve=tuple(size_costs(problem, sorted(sizes))),
            shape=tuple(size_costs(problem, even_sizes(low, most))),
            ends=tuple(ends),
            market=None if answer is None else market_orders(problem, back),
            compared=None if answer is None else self._in_kind(problem, answer),
            by_asset=None if answer is None else limits_by_asset(problem, back),
            routes=routes,
            routes_unknown=unknown,
            windows=state.windows,
        )

    def _in_kind(self, problem: OrderProblem, answer: Answer) -> Plan:
        """Return the answer's plan with its fees in what is received, as in all that it is weighed against."""
        return answer.plan if answer.view.fees_apart is None else self._plan(self._funded(problem))

    def _told(self, problem: OrderProblem, state: _State, view: MarketView, plan: Plan) -> Answer:
        funded, payable = asked_with_fees(self._funded(problem), view), None
        if problem.side is Side.BUY and state.treasury <= 0:
            payable = ZERO
        elif problem.side is Side.BUY:
            payable = self._plan(asked_with_fees(self._funded(problem, state.treasury), view)).units
        return Answer(
            quantity=problem.quantity,
            plan=plan,
            document=document_for(plan, funded, state.basket, state.index.symbol, problem.arrival_nav, view),
            view=view,
            payable=payable,
        )

    def _funded(self, problem: OrderProblem, treasury: Decimal | None = None) -> OrderProblem:
        """Return a buy with the cash that the desk would set aside for it, of a treasury or of plenty."""
        if problem.side is Side.SELL:
            return problem
        estimate = self._plan(replace(problem, cash=treasury))
        reserve = ceil_to(cash_to_reserve(problem, estimate, self._settings.reserve_bps), CENT)
        return replace(problem, cash=reserve if treasury is None else min(treasury, reserve))

    def _best(self, problem: OrderProblem, state: _State, view: MarketView) -> Plan:
        """Return the plan that a dry run makes on `view`, in other currencies too if the index names some."""
        funded = self._funded(problem)
        others = foreign_currencies(state.index)
        if not others:
            return self._plan(asked_with_fees(funded, view))
        held = {name: state.treasuries[name] for name in others if name in state.treasuries}
        routed = routed_problem(funded, state.index, view, held, {}, may_convert=True)
        return plan_of(plan_routes(routed), routed)

    def _plan(self, problem: OrderProblem) -> Plan:
        return plan_order(problem, self._settings.method)


def _windows_before_the_end(problem: OrderProblem) -> list[str]:
    """Return the symbols of books that are known in part, and may give out before the first known end does."""
    ends = book_ends(problem)
    known = min((end.units for end in ends if end.is_complete), default=None)
    return sorted(end.symbol for end in ends if not end.is_complete and (known is None or end.units < known))


def _all_there_is(everything: OrderProblem, largest: Plan) -> Decimal:
    """Return the units that the books hold; `largest` is the plan of them within the limits and the float."""
    if all(stop.startswith(("depth(", "window(")) for stop in largest.stopped_by):
        return largest.units
    return plan_order(unlimited(everything)).units


def _other_side(problem: OrderProblem, view: MarketView) -> dict[str, Sequence[Level]]:
    """Return the levels on which what was traded is traded back, by asset."""
    opposite = Side.SELL if problem.side is Side.BUY else Side.BUY
    return {leg.asset: view.books[leg.rule.symbol].offers(opposite) for leg in problem.legs}


def _routes(
    problem: OrderProblem, answer: Answer | None, other: OtherBooks | None, held: Mapping[str, Decimal]
) -> tuple[tuple[RouteSaving, ...], str]:
    """Return what trading the answer's units in other currencies too would save, or why that cannot be told."""
    if answer is None or other is None or not answer.plan.units:
        return (), ""
    try:
        whole = replace(problem, quantity=answer.plan.units)
        return route_savings(route_problem(whole, other, held)), ""
    except (DataError, SolverError) as error:
        return (), error.message


def _smallest_shown(quantity: Decimal | None, least: Decimal | None, most: Decimal) -> Decimal:
    """Return where the curve begins: a decade below what was asked, or four below where the books end."""
    low = most.scaleb(-4) if quantity is None or quantity > most else quantity.scaleb(-1)
    return max(floor_to(low, UNIT_GRID), min(least or ZERO, most), UNIT_GRID)
