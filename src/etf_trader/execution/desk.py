"""Where wishes come in: previewed on the books of now, or accepted with their cash or units reserved."""

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

from sqlalchemy import Connection

from etf_trader.clock import Clock
from etf_trader.database import Database
from etf_trader.errors import BasketMoved, DataError, Refused, SolverError, UsageError
from etf_trader.events import EventLog, OrderAccepted
from etf_trader.execution.batch import require_basket
from etf_trader.execution.fee_inventory import InFlight, require_apart
from etf_trader.execution.fees_apart import as_paid, asked_with_fees, counted, say_fees
from etf_trader.execution.fees_in_kind import basket_due
from etf_trader.execution.frozen import require_creatable, tradable, tradable_state
from etf_trader.execution.look import look_and_plan, require_listed, require_open, require_own, slots_for
from etf_trader.execution.planning import MarketView, Wish, cash_to_reserve, document_for, order_problem
from etf_trader.execution.risk_review import require_acceptable
from etf_trader.execution.routed import (
    foreign_currencies,
    open_ends,
    plan_of,
    rates_of,
    routed_problem,
    symbols_of,
)
from etf_trader.execution.scheduling import schedule_of, time_of
from etf_trader.execution.settings import ExecutionSettings
from etf_trader.execution.state import OrderState
from etf_trader.execution.timing import paced
from etf_trader.execution.together import Asked, ask, plan_beside
from etf_trader.execution.valuing import frozen_prices
from etf_trader.execution.volume import volume_profile
from etf_trader.execution.waiting import open_states
from etf_trader.index.store import (
    Basket,
    Index,
    Position,
    index_by_id,
    list_positions,
    open_position,
    position_by_id,
)
from etf_trader.ledger import accounts
from etf_trader.ledger.booking import reservation
from etf_trader.ledger.parties import parties_of
from etf_trader.ledger.repository import Account, Ledger, find_holder, holder_id
from etf_trader.market.symbol import Side
from etf_trader.money import UNIT_GRID, ZERO, ceil_to, money_context, spoken, spoken_cash
from etf_trader.orders.index_order import IndexOrder, OrderRequest, lifetime
from etf_trader.orders.plan import Plan
from etf_trader.orders.schedule import Algo, Schedule
from etf_trader.orders.status import IndexOrderStatus
from etf_trader.orders.store import add_index_order, index_order_by_key, list_index_orders
from etf_trader.orders.stored_schedule import ScheduleRequest, StoredSchedule, stored_schedule
from etf_trader.risk.halts import DAILY_LOSS, TradingState, halt, require_active
from etf_trader.solver.order import float_needed, plan_order, smallest_quantity
from etf_trader.solver.problem import OrderProblem
from etf_trader.venue.interface import Venue
from etf_trader.venue.money_in import how_to_deposit

CENT = Decimal("0.01")
NEW = "new"

TRIES = 5
"""How often an order is looked at again as its index is rebalanced meanwhile."""


@dataclass(frozen=True, slots=True)
class Preview:
    """What an order would do on the books of now; nothing is written.

    `position` is None when the order would open one. `reserved` is the cash a buy
    sets aside, by currency; `document` the plan object, `market` the books and rules it was
    made on. With `view.fees_apart` the plan's cash and loss are without fees, which are paid beside.
    """

    request: OrderRequest
    index: Index
    basket: Basket
    position: Position | None
    quantity: Decimal
    reserved: Mapping[str, Decimal]
    arrival: Mapping[str, Decimal]
    arrival_nav: Decimal
    plan: Plan
    view: MarketView
    document: dict[str, Any]
    market: dict[str, Any]


@dataclass(frozen=True, slots=True)
class _Tried:
    """A plan, what was asked for it and on which view; what a buy reserves for it, and the prices at arrival."""

    plan: Plan
    problem: OrderProblem
    view: MarketView
    reserved: Mapping[str, Decimal]
    arrival: Mapping[str, Decimal]


@dataclass(frozen=True, slots=True)
class _Means:
    """What stands behind an order when it comes in; `others` are the open orders it is planned beside."""

    index: Index
    basket: Basket
    position: Position | None
    quantity: Decimal
    treasury: Decimal
    other_cash: Mapping[str, Decimal]
    float: Mapping[str, Decimal]
    float_cash: Decimal
    others: Sequence[OrderState] = ()


class Desk:
    """Takes the orders of one holder."""

    def __init__(
        self,
        database: Database,
        venue: Venue,
        clock: Clock,
        account: Account,
        holder: str,
        settings: ExecutionSettings,
        log: EventLog,
    ) -> None:
        self._database = database
        self._venue = venue
        self._clock = clock
        self._account = account
        self._holder = holder
        self._settings = settings
        self._log = log

    async def preview(self, request: OrderRequest) -> Preview:
        """Plan an order on the books of now, without writing anything.

        Raises:
            UsageError: the order cannot be; says why, and what could.
            DataError: a constituent has no price.
        """
        request.check()
        with self._database.read() as connection:
            means = self._means(connection, request)
            others = (
                ()
                if foreign_currencies(means.index)
                else open_states(connection, self._account.id, self._clock.now())
            )
        means = replace(means, others=await paced(self._database, self._venue, others, self._clock.now()))
        rules = await self._venue.rules()
        if request.side is Side.BUY:
            require_creatable(means.basket, rules)
        whole = means.basket
        means = replace(means, basket=tradable(whole, request.side, rules))
        means = replace(means, others=[tradable_state(state, rules) for state in means.others])
        require_listed(means.basket, rules)

        async def plan(view: MarketView) -> _Tried:
            seen = await self._as_paid(request, means, view)
            return await asyncio.to_thread(self._plan, request, means, view, seen)

        symbols = set(symbols_of(means.index, means.basket, rules))
        for state in means.others:
            symbols |= set(symbols_of(state.index, state.basket, rules))
        baskets = [means.basket, *(state.basket for state in means.others)]
        legs = {symbol for basket in baskets for symbol in basket.symbols.values()}
        slots = await slots_for(self._database, self._venue, self._account.id, len(legs))
        depth = self._settings.depth
        _, tried = await look_and_plan(self._venue, symbols, depth, rules, plan, _open_ends, slots)
        discount = await require_apart(self._database, self._venue, self._account)
        (told,) = await say_fees(self._venue, discount, [tried.plan], tried.view)
        kept = await frozen_prices(self._database, self._venue, whole, rules) if whole != means.basket else {}
        return await asyncio.to_thread(_preview, request, means, replace(tried, plan=told), whole, kept)

    async def _as_paid(self, request: OrderRequest, means: _Means, view: MarketView) -> MarketView:
        """Return the view that the order would be planned on: with fees apart where its turn counts on that."""
        with money_context():
            worth = means.quantity * means.basket.nav(view.mids(means.basket.symbols))
        indices = [means.index, *(state.index for state in means.others)]
        tried = InFlight({means.index.quote: worth})
        discount = await counted(self._database, self._venue, self._account, indices, view.rules.values(), tried)
        most = [request.max_loss_bps, *(state.order.max_loss_bps for state in means.others)]
        return as_paid(view, discount, most)

    async def schedule(self, preview: Preview, asked: ScheduleRequest) -> Schedule:
        """Plan how a previewed order is spread over time, without writing anything.

        Raises:
            UsageError: the time is shorter than one slice.
        """
        limits = await self._venue.order_limits()
        time = time_of(asked, limits, len(preview.basket.quantities), self._settings)
        with self._database.read() as connection:
            in_float = Ledger(connection, self._account.id).holdings(accounts.index_float(preview.index.id))
        profile = None
        if asked.algo is Algo.VWAP:
            now = self._clock.now()
            profile = await volume_profile(self._venue, preview.basket, preview.arrival, now, time)
        return await asyncio.to_thread(schedule_of, preview, asked, in_float, time, self._settings, profile)

    async def accept(self, request: OrderRequest) -> IndexOrder:
        """Write an order down with its arrival and its client key, and reserve its cash or units.

        The same key with the same request returns the order that is there.

        Raises:
            UsageError: the order cannot be, or the key belongs to another request.
            Refused: a limit is in its way, or the account is halted; nothing is written.
            DataError: a constituent has no price.
        """
        request.check()
        with self._database.read() as connection:
            if (known := self._repeated(connection, request)) is not None:
                return known
            # What cannot be sent is not looked at; the rest is checked with the price, under the lock.
            require_active(connection, self._account.id, [request.side], self._clock.now())
        for _ in range(TRIES):
            with suppress(BasketMoved):
                return await self._accept(request)
        raise BasketMoved(
            "what a unit holds changes all the time: the order finds no moment", where="basket", hint="try again"
        )

    async def _accept(self, request: OrderRequest) -> IndexOrder:
        """Look, and write the order down, unless the basket has changed meanwhile."""
        preview = await self.preview(request)
        schedule = None
        if request.schedule is not None:
            schedule = stored_schedule(await self.schedule(preview, request.schedule), request.schedule)
        try:
            with self._database.write() as connection:
                if (known := self._repeated(connection, request)) is not None:
                    return known
                self._require_basket(connection, preview.basket)
                self._require_acceptable(connection, preview)
                return self._write(connection, preview, schedule)
        except Refused as error:
            self._note_day(error)
            raise

    def _require_basket(self, connection: Connection, basket: Basket) -> None:
        """Check that an order was planned for the basket in force, or for the one once its fee is taken."""
        due = basket_due(connection, self._account.id, basket.index_id, self._clock.now())
        if due.version != basket.version:
            require_basket(connection, basket)

    def _note_day(self, error: Refused) -> None:
        """Let the account only sell until the day ends where it is the loss of the day that refuses."""
        if error.limit == DAILY_LOSS:
            with self._database.write() as connection:
                now = self._clock.now()
                halt(connection, self._account.id, TradingState.REDUCING, DAILY_LOSS, error.message, now)

    def refusal(self, preview: Preview) -> str | None:
        """Return why an order that was only tried would be refused before it is accepted; None if it would not."""
        with self._database.read() as connection:
            try:
                self._require_acceptable(connection, preview)
            except Refused as error:
                return error.message
        return None

    def _require_acceptable(self, connection: Connection, preview: Preview) -> None:
        require_acceptable(
            connection,
            self._account,
            preview.index,
            preview.position,
            preview.request.side,
            preview.quantity,
            preview.arrival_nav,
            self._clock.now(),
        )

    def _repeated(self, connection: Connection, request: OrderRequest) -> IndexOrder | None:
        known = index_order_by_key(connection, request.client_key)
        if known is not None and known.request != request.canonical_text():
            raise UsageError(
                f"the client key {request.client_key} belongs to order {known.id}, which asked for something else",
                where="--client-key",
                hint="choose another key, or repeat the order as it was",
            )
        return known

    def _means(self, connection: Connection, request: OrderRequest) -> _Means:
        index = index_by_id(connection, request.index_id)
        require_own(index, self._account.id)
        require_open(index, request.side)
        ledger = Ledger(connection, self._account.id)
        position = self._position(connection, index, request)
        in_float = ledger.holdings(accounts.index_float(index.id))
        held = ledger.holdings(accounts.treasury(self._holder))
        return _Means(
            index=index,
            basket=basket_due(connection, self._account.id, index.id, self._clock.now()),
            position=position,
            quantity=self._quantity(ledger, index, position, request),
            treasury=held.get(index.quote, ZERO),
            other_cash={name: held[name] for name in foreign_currencies(index) if name in held},
            float=in_float,
            float_cash=in_float.get(index.quote, ZERO),
        )

    def _asked(self, state: OrderState, view: MarketView) -> Asked | None:
        """Return what is asked for an open order; None when a constituent of it has no price."""
        try:
            return ask(state, view, self._settings.slack_ticks, may_convert=False)
        except DataError:
            return None

    def _position(self, connection: Connection, index: Index, request: OrderRequest) -> Position | None:
        holder = find_holder(connection, self._holder)
        mine = [] if holder is None else list_positions(connection, index_id=index.id, holder_id=holder)
        if request.position == NEW:
            if request.side is Side.SELL:
                raise UsageError("a new position has nothing to sell", where="--position")
            return None
        if request.position:
            position = position_by_id(connection, int(request.position))
            if all(position.id != each.id for each in mine):
                raise UsageError(
                    f"position {position.id} is not one of {self._holder}'s in {index.symbol}",
                    where="--position",
                    hint="etf position list shows whose they are",
                )
            return position
        busy = {
            order.position_id
            for order in list_index_orders(connection, index_id=index.id, statuses=[IndexOrderStatus.OPEN])
        }
        still_open = [position for position in mine if position.units or position.id in busy]
        if len(still_open) > 1:
            listing = ", ".join(f"{position.id} ({spoken(position.units)} units)" for position in still_open)
            raise UsageError(
                f"{self._holder} has {len(still_open)} open positions in {index.symbol}: {listing}",
                where="--position",
                hint="say which: --position N" + (", or --position new" if request.side is Side.BUY else ""),
            )
        if not still_open and request.side is Side.SELL:
            raise UsageError(
                f"{self._holder} holds no units of {index.symbol}",
                where="--index",
                hint=f"etf submit buy --index {index.id} --qty 100 buys some",
            )
        return still_open[0] if still_open else None

    def _quantity(self, ledger: Ledger, index: Index, position: Position | None, request: OrderRequest) -> Decimal:
        if request.side is Side.BUY or position is None:
            assert request.quantity is not None
            return request.quantity
        free = ledger.balance(accounts.position(position.id), index.unit_asset)
        quantity = free if request.quantity is None else request.quantity
        if quantity > free or quantity == 0:
            reserved = position.units - free
            also = f", {spoken(reserved)} of them offered by open orders" if reserved else ""
            raise UsageError(
                f"position {position.id} holds {spoken(position.units)} units of {index.symbol}{also}: "
                f"{spoken(request.quantity) if request.quantity is not None else 'all'} cannot be sold",
                where="--qty",
                hint=f"sell at most {spoken(free)}" if free else "etf order list shows the open orders",
            )
        return quantity

    def _plan(self, request: OrderRequest, means: _Means, view: MarketView, seen: MarketView) -> _Tried:
        """Plan an order on what is `seen`; the cash for it is reserved with all fees of `view`."""
        with money_context():
            arrival = view.mids(means.basket.symbols)
            wish = Wish(
                side=request.side,
                quantity=means.quantity,
                limit_price=request.limit_price,
                max_loss_bps=request.max_loss_bps,
                arrival=arrival,
                cash=means.treasury if request.side is Side.BUY else None,
            )
            problem = order_problem(
                wish, means.basket, view, means.float, means.float_cash, self._settings.slack_ticks
            )
            reserved: dict[str, Decimal] = {}
            if request.side is Side.BUY:
                reserved[means.index.quote] = self._reserve(means, problem)
                problem = replace(problem, cash=reserved[means.index.quote])
            if foreign_currencies(means.index):
                plan, rates, wanted = self._over_currencies(problem, means, seen)
                arrival |= rates
                reserved |= wanted
            else:
                problem = asked_with_fees(problem, seen)
                plan = self._in_one_currency(problem, means, seen)
            _require_size(plan, problem, means)
            _require_proceeds(plan, means)
            return _Tried(plan, problem, seen, reserved, arrival)

    def _over_currencies(
        self, problem: OrderProblem, means: _Means, view: MarketView
    ) -> tuple[Plan, Mapping[str, Decimal], Mapping[str, Decimal]]:
        """Return the plan over all currencies of the index, their rates, and the cash a buy reserves in each."""
        from etf_trader.solver.routes import plan_routes  # brings NumPy, which most orders do without

        routed = routed_problem(problem, means.index, view, means.other_cash, {}, may_convert=True)
        answer = plan_routes(routed)
        reserved: dict[str, Decimal] = {}
        if problem.side is Side.BUY:
            wanted = {each.currency: each.quantity for each in answer.reserved}
            reserved = {name: min(held, wanted.get(name, ZERO)) for name, held in means.other_cash.items()}
        return plan_of(answer, routed), rates_of(routed), reserved

    def _in_one_currency(self, problem: OrderProblem, means: _Means, view: MarketView) -> Plan:
        """Return the plan of the order, made together with the open orders if there are any."""
        others = [asked for state in means.others if (asked := self._asked(state, view)) is not None]
        if not others:
            return plan_order(problem, self._settings.method)
        try:
            return plan_beside(problem, means.index, means.basket, others, view, self._settings.max_cross_spread)
        except SolverError:  # one of the others may be the reason: it stops alone
            return plan_order(problem, self._settings.method)

    def _reserve(self, means: _Means, problem: OrderProblem) -> Decimal:
        if means.treasury <= 0:
            raise UsageError(
                f"the treasury of {self._holder} has no free {means.index.quote} to buy with",
                where="treasury",
                hint=how_to_deposit(means.index.quote, self._account.environment),
            )
        estimate = plan_order(problem, self._settings.method)
        worst = cash_to_reserve(problem, estimate, self._settings.reserve_bps)
        return min(means.treasury, ceil_to(worst, CENT))

    def _write(
        self, connection: Connection, preview: Preview, schedule: StoredSchedule | None = None
    ) -> IndexOrder:
        request, now = preview.request, self._clock.now()
        holder = holder_id(connection, self._holder, now)
        # The state may have moved since it was read: what is reserved is checked once more, under the lock.
        means = self._means(connection, request)
        free = {means.index.quote: means.treasury, **means.other_cash}
        for name, amount in preview.reserved.items():
            if free.get(name, ZERO) < amount:
                raise UsageError(
                    f"another order took the cash: the treasury holds {spoken_cash(free.get(name, ZERO))} {name}",
                    where="treasury",
                    hint="repeat the command",
                )
        position = means.position or open_position(connection, means.index.id, holder, now)
        span = timedelta(seconds=schedule.seconds) if schedule else lifetime(request.time_in_force)
        order = add_index_order(
            connection,
            request,
            account_id=self._account.id,
            position_id=position.id,
            quantity=means.quantity,
            expires_at=None if span is None else now + span,
            arrival=preview.arrival,
            arrival_nav=preview.arrival_nav,
            now=now,
            schedule=schedule,
        )
        parties = parties_of(connection, order)
        amounts = preview.reserved if request.side is Side.BUY else {parties.unit: means.quantity}
        Ledger(connection, self._account.id).post(reservation(parties, amounts, at=now))
        self._log.record(
            connection, OrderAccepted(order.id, str(order.side), means.index.symbol, order.quantity), now
        )
        return order


def _open_ends(tried: _Tried) -> list[str]:
    return open_ends(tried.plan, tried.view)


def _preview(
    request: OrderRequest, means: _Means, tried: _Tried, whole: Basket, kept: Mapping[str, Decimal]
) -> Preview:
    """Return what was tried; `kept` is what those of the whole basket's assets are valued at that are frozen."""
    plan, problem, view = tried.plan, tried.problem, tried.view
    with money_context():
        market, nav = view.document(), problem.arrival_nav
        document = document_for(plan, problem, means.basket, means.index.symbol, nav, view, market)
        arrival_nav = nav + sum((whole.quantities[asset] * price for asset, price in kept.items()), ZERO)
    return Preview(
        request=request,
        index=means.index,
        basket=means.basket,
        position=means.position,
        quantity=means.quantity,
        reserved={name: amount for name, amount in tried.reserved.items() if amount},
        arrival={**tried.arrival, **kept},
        arrival_nav=arrival_nav,
        plan=plan,
        view=view,
        document=document,
        market=market,
    )


def _require_size(plan: Plan, problem: OrderProblem, means: _Means) -> None:
    """Refuse an order of which nothing can be traded because it is too small for lots, minimums and the float."""
    if plan.units or not {"float", "minimum"} & set(plan.stopped_by):
        return
    quote, symbol = means.index.quote, means.index.symbol
    worth = spoken_cash(problem.quantity * problem.nav)
    needed = ceil_to(float_needed(problem), CENT)
    least = smallest_quantity(problem)
    fund = f"etf index fund {means.index.id} {format(ceil_to(max(needed, CENT), Decimal(100)), 'f')}"
    has = spoken_cash(means.float_cash)
    if least is not None and least > problem.quantity:
        raise UsageError(
            f"{spoken(problem.quantity)} units ({worth} {quote}) is below the least order of "
            f"{spoken(ceil_to(least, UNIT_GRID))} units while the float of {symbol} is {has} {quote}",
            where="--qty",
            hint=f"give the index a float once ({fund}), or trade at least {spoken(ceil_to(least, UNIT_GRID))}",
        )
    if needed <= means.float_cash:
        return  # another limit keeps it from the size that the float would allow
    units = "unit needs" if problem.quantity == 1 else "units need"
    raise UsageError(
        f"{spoken(problem.quantity)} {units} a float of {spoken_cash(needed)} {quote} for lot steps and least "
        f"orders; the float of {symbol} holds {has}",
        where="--qty",
        hint=f"give the index a float once: {fund}",
    )


def _require_proceeds(plan: Plan, means: _Means) -> None:
    """Refuse a sell so small that the lots it makes the float sell cost more than its units bring."""
    if plan.side is Side.SELL and plan.units and plan.cash < 0:
        raise UsageError(
            f"selling {spoken(plan.units)} units of {means.index.symbol} would cost {spoken(-plan.cash)} "
            f"{means.index.quote} more than it brings: its lots are larger than the units",
            where="--qty",
            hint="sell more at once",
        )
