"""The gate before what is sent: batches before they are written, orders before they are accepted."""

import json
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Sequence
from datetime import datetime, timedelta
from decimal import Decimal

from sqlalchemy import Connection, func, select

from etf_trader.clock import Clock
from etf_trader.database import Database
from etf_trader.errors import Refused
from etf_trader.events import EventLog, RiskRefused, events
from etf_trader.execution.batch import Batch, Member, parcels
from etf_trader.execution.day_loss import DayLoss
from etf_trader.execution.fees_apart import fees_beside
from etf_trader.execution.planning import MarketView
from etf_trader.execution.state import OrderState
from etf_trader.execution.together import Together
from etf_trader.index.store import Index, Position
from etf_trader.ledger import accounts
from etf_trader.ledger.repository import Account, Ledger
from etf_trader.market.symbol import Side
from etf_trader.money import ZERO, percentage, spoken_value
from etf_trader.orders.status import IndexOrderStatus
from etf_trader.orders.store import count_unfinished, list_index_orders
from etf_trader.risk.gate import review
from etf_trader.risk.halts import (
    DAILY_LOSS,
    Halt,
    TradingState,
    halt,
    halts,
    lift_past_days,
    refusal,
    trading_state,
)
from etf_trader.risk.limits import RiskLimits, risk_limits
from etf_trader.risk.proposal import Proposal, ProposedIndexOrder, ProposedOrder, ProposedPosition, Violation
from etf_trader.venue import PAPER

SECOND = timedelta(seconds=1)

RECENT_EVENTS = 1000
"""How far back a refusal is looked for that is told again."""

STATES = (str(TradingState.HALTED), str(TradingState.REDUCING))
"""The codes of refusals by the state of the account; all others are names of limits."""


def word_of(violation: Violation) -> str:
    """Return the word for `stopped_by` of an order that was refused."""
    return violation.code if violation.code in STATES else f"risk({violation.code})"


def is_refusal(stop: str) -> bool:
    """Return whether a word of `stopped_by` says that the gate refused."""
    return stop in STATES or stop.startswith("risk(")


class Gate:
    """Reviews what one account would send; kept by whoever leads it."""

    def __init__(self, database: Database, clock: Clock, account: Account, log: EventLog) -> None:
        self._database = database
        self._clock = clock
        self._account = account
        self._log = log
        self._day = DayLoss(account.id)
        self._passed: deque[tuple[datetime, int]] = deque()

    def review_batch(self, batch: Batch, *, finishing: bool = False) -> list[Violation]:
        """Return what keeps a batch from being sent; empty lets it pass, and counts its orders as sent.

        A day that has lost too much leaves the account reducing until it ends.

        Args:
            finishing: It completes or trades back what an order holds already: only bad prices refuse it.
        """
        now = self._clock.now()
        with self._database.read() as connection:
            proposal = self._proposal(connection, batch, now)
            limits = risk_limits(connection, self._account.id)
            found = list(_by_state(connection, self._account.id, batch, now))
            stopped = halts(connection, self._account.id)
        if not finishing:
            self._turn_day(proposal.loss, limits, stopped, now)
        found += review(proposal, limits.while_finishing() if finishing else limits)
        if not found:
            self._passed.append((now, len(proposal.orders)))
        return found

    def review_wave(self, batch: Batch, order_id: int) -> list[Violation]:
        """Return what keeps a wave of a rebalance from being sent; empty lets it pass, and counts its orders.

        It buys and sells, so that it needs an account which may do both.
        """
        now = self._clock.now()
        with self._database.read() as connection:
            proposal = self._proposal(connection, batch, now)
            limits = risk_limits(connection, self._account.id)
            stopped = halts(connection, self._account.id)
        self._turn_day(proposal.loss, limits, stopped, now)
        with self._database.read() as connection:
            state = trading_state(connection, self._account.id, now)
            said = halts(connection, self._account.id, now=now)
        found = list(review(proposal, limits))
        if state is not TradingState.ACTIVE:
            found.insert(0, Violation(str(state), refusal(said, state).message, (order_id,)))
        if not found:
            self._passed.append((now, len(proposal.orders)))
        return found

    def _turn_day(self, lost: Decimal, limits: RiskLimits, stopped: Sequence[Halt], now: datetime) -> None:
        """Lift what a past day left, and let the account only sell when this one has lost too much."""
        most, is_past = limits.daily_loss, any(each.is_over(now) for each in stopped)
        is_known = any(each.cause == DAILY_LOSS and not each.is_over(now) for each in stopped)
        has_lost = most is not None and lost >= most and not is_known
        if not has_lost and not is_past:
            return
        with self._database.write() as connection:
            lift_past_days(connection, self._account.id, now)
            if most is not None and has_lost:
                reason = f"{spoken_value(lost, most)}, and {spoken_value(most)} are allowed"
                halt(connection, self._account.id, TradingState.REDUCING, DAILY_LOSS, reason, now)

    def note(self, connection: Connection, order: int, violation: Violation) -> None:
        """Record, once, that an order was refused."""
        self._log.record(connection, RiskRefused(order, violation.code, violation.message), self._clock.now())

    def is_halted(self, connection: Connection) -> bool:
        """Return whether nothing may be sent."""
        return trading_state(connection, self._account.id, self._clock.now()) is TradingState.HALTED

    def _proposal(self, connection: Connection, batch: Batch, now: datetime) -> Proposal:
        while self._passed and now - self._passed[0][0] >= SECOND:
            self._passed.popleft()
        orders = _orders(batch)
        books = batch.view.books
        is_live = self._account.environment != PAPER
        return Proposal(
            now=now,
            orders=orders,
            index_orders=tuple(_index_order(member, batch.view) for member in batch.members),
            positions=tuple(_positions(connection, batch.members)),
            open_orders=sum(count_unfinished(connection, self._account.id).values()),
            sent=sum(count for _, count in self._passed),
            at_once=batch.view.slots,
            book_ages={
                order.symbol: Decimal(str((now - books[order.symbol].at).total_seconds())) for order in orders
            }
            if is_live
            else {},
            loss=self._day.read(connection, now),
        )


Planned = Callable[[Sequence[OrderState]], Awaitable[Together]]


async def plan_within(
    states: Sequence[OrderState], plan: Planned, gate: Gate
) -> tuple[Together, dict[int, Violation]]:
    """Plan these orders, and again without those that the gate refuses; return the plan and who is refused why."""
    refused: dict[int, Violation] = {}
    while True:
        together = await plan(states)
        if not together.batch.members:
            return together, refused
        violations = gate.review_batch(together.batch)
        if not violations:
            return together, refused
        for violation in violations:
            for number in violation.orders:
                refused.setdefault(number, violation)
        states = [state for state in states if state.order.id not in refused]
        if not states:
            return Together(Batch(together.batch.view, (), ()), (), ()), refused


def require_acceptable(
    connection: Connection,
    account: Account,
    index: Index,
    position: Position | None,
    side: Side,
    quantity: Decimal,
    nav: Decimal,
    now: datetime,
) -> None:
    """Check what is known of an order before it is accepted: its size, its position, the day, the account's state.

    Raises:
        Refused: a limit or a halt is in its way; nothing is written.
    """
    if not (state := trading_state(connection, account.id, now)).permits(side):
        raise refusal(halts(connection, account.id, now=now), state)
    limits = risk_limits(connection, account.id)
    units = quantity
    if position is not None:
        waiting = list_index_orders(connection, position_id=position.id, statuses=[IndexOrderStatus.OPEN])
        units += position.units + sum((each.remaining for each in waiting if each.side is Side.BUY), ZERO)
    issued = Ledger(connection, account.id).units_outstanding(accounts.issued(index.id), index.unit_asset)
    before = ZERO if position is None else position.units
    proposal = Proposal(
        now=now,
        index_orders=(ProposedIndexOrder(0, side, quantity * nav),),
        positions=(ProposedPosition(0, units * nav, percentage(units, issued + units - before), (0,)),)
        if side is Side.BUY
        else (),
        loss=DayLoss(account.id).read(connection, now) if limits.daily_loss is not None else ZERO,
    )
    for violation in review(proposal, limits):
        raise refused(violation)


def refused(violation: Violation) -> Refused:
    """Return the error for an order that the gate does not let in."""
    hint = f"etf risk show lists the limits; etf risk set {violation.code} VALUE changes this one"
    return Refused(violation.message, limit=violation.code, where=violation.code, hint=hint)


def last_refusal(connection: Connection, order_id: int) -> str | None:
    """Return the sentence with which the gate last refused an order; None when that is long ago."""
    newest = connection.scalar(select(func.max(events.c.id))) or 0
    query = (
        select(events.c.document)
        .where(events.c.id > newest - RECENT_EVENTS, events.c.kind == RiskRefused.__name__)
        .order_by(events.c.id.desc())
    )
    for text in connection.scalars(query):
        document = json.loads(text)
        if document["order"] == order_id:
            return str(document["message"])
    return None


def _by_state(connection: Connection, account_id: int, batch: Batch, now: datetime) -> Iterable[Violation]:
    """Yield the refusal of those whose side the account's state does not permit."""
    state = trading_state(connection, account_id, now)
    stopped = tuple(member.order_id for member in batch.members if not state.permits(member.plan.side))
    if stopped:
        message = refusal(halts(connection, account_id, now=now), state).message
        yield Violation(str(state), message, stopped)


def _orders(batch: Batch) -> tuple[ProposedOrder, ...]:
    """Return what would go to the venue, in the pieces that it takes."""
    made = []
    for demand, quantity, own in parcels(batch):
        parts = {number: sum((each.quantity for each in slices), ZERO) for number, slices in own.items()}
        made.append(
            ProposedOrder(demand.asset, demand.symbol, demand.side, quantity, demand.price, demand.mid, parts)
        )
    return tuple(made)


def _index_order(member: Member, view: MarketView) -> ProposedIndexOrder:
    order, loss = member.state.order, member.plan.loss.total + fees_beside(member.plan, view)
    return ProposedIndexOrder(order.id, order.side, order.quantity * order.arrival_nav, loss)


def _positions(connection: Connection, members: Sequence[Member]) -> Iterable[ProposedPosition]:
    """Yield each position that the batch buys for, as it would be."""
    bought: dict[int, list[Member]] = {}
    for member in members:
        if member.plan.side is Side.BUY and member.plan.units:
            bought.setdefault(member.state.position.id, []).append(member)
    for number, own in bought.items():
        state = own[0].state
        units = state.position.units + sum((member.plan.units for member in own), ZERO)
        nav = own[0].problem.nav
        ledger = Ledger(connection, state.order.account_id)
        everyone = ledger.units_outstanding(accounts.issued(state.index.id), state.index.unit_asset)
        share = percentage(units, everyone - state.position.units + units)
        buyers = tuple(sorted(member.order_id for member in own))
        yield ProposedPosition(number, units * nav, share, buyers)
