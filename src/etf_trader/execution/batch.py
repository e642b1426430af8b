"""A batch: what one solve chose for the open orders of an account, written down whole before anything is sent."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import Connection

from etf_trader.errors import BasketMoved
from etf_trader.events import BatchPlanned, EventLog
from etf_trader.execution.crossing import Cross, book_crosses
from etf_trader.execution.planning import MarketView, document_for
from etf_trader.execution.state import OrderState
from etf_trader.index.store import Basket, basket_version, current_basket
from etf_trader.ledger.booking import baskets, redemption
from etf_trader.ledger.repository import Account, Ledger, incarnation
from etf_trader.market.document import market_hash
from etf_trader.market.symbol import Side, SymbolRule
from etf_trader.money import ZERO
from etf_trader.orders.asset_order import Intent, OrderKind, Share, Slice, client_order_id
from etf_trader.orders.plan import Plan, PlannedLeg
from etf_trader.orders.store import add_asset_orders, add_market, add_plan, count_asset_orders
from etf_trader.seal import canonical
from etf_trader.solver.problem import OrderProblem

MOST_PIECES = 200
"""A trade is sent in at most so many orders at once, however small the venue's largest order is."""


TRADE, CONVERT, UNWIND, QUOTE, WAVE = "trade", "convert", "unwind", "quote", "wave"
"""What a batch is for.

Units; an exchange of currencies (before a buy, after a sell); trading back; quotes; a wave of a rebalance.
"""

FOR_UNITS = (TRADE, QUOTE)
"""What is credited (sell: redeemed) in whole baskets."""


Slices = tuple[Slice, ...]


@dataclass(frozen=True, slots=True)
class Member:
    """An index order in a batch, what was asked for it, the plan, and what it is for now."""

    state: OrderState
    problem: OrderProblem
    plan: Plan
    purpose: str

    @property
    def order_id(self) -> int:
        """The number of the index order."""
        return self.state.order.id


@dataclass(frozen=True, slots=True)
class Demand:
    """What a batch sends to the venue in one symbol, for all its members together.

    `slices` says, by index order, which part is whose and up to which price.
    """

    asset: str
    symbol: str
    side: Side
    quantity: Decimal
    price: Decimal
    mid: Decimal
    touch: Decimal
    slices: Mapping[int, Slices]
    kind: OrderKind = OrderKind.IOC


@dataclass(frozen=True, slots=True)
class Batch:
    """What is traded together on the books of one look: inside among its members, and at the venue."""

    view: MarketView
    members: tuple[Member, ...]
    demands: tuple[Demand, ...]
    crosses: tuple[Cross, ...] = ()


def batch_of(state: OrderState, problem: OrderProblem, plan: Plan, purpose: str, view: MarketView) -> Batch:
    """Return the batch of one order alone; a buy's conversions go before its legs, in a batch of their own."""
    if purpose == TRADE and plan.side is Side.BUY and plan.conversions:
        purpose = CONVERT
    sides = [(plan.side, leg) for leg in plan.legs]
    if purpose == CONVERT and plan.side is Side.BUY:
        sides = [(each.side, each.leg) for each in plan.conversions]
    demands = tuple(_demand(side, leg, state.order.id) for side, leg in sides if leg.quantity)
    return Batch(view, (Member(state, problem, plan, purpose),), demands)


def _demand(side: Side, leg: PlannedLeg, order_id: int) -> Demand:
    return Demand(
        asset=leg.asset,
        symbol=leg.symbol,
        side=side,
        quantity=leg.quantity,
        price=leg.limit_price,
        mid=leg.mid,
        touch=leg.touch,
        slices={order_id: (Slice(leg.quantity, leg.limit_price),)},
    )


def write_batch(connection: Connection, log: EventLog, account: Account, batch: Batch, now: datetime) -> list[int]:
    """Save plans, asset orders and inside trades, and take a sell's baskets out of its index; return the plans.

    Raises:
        BasketMoved: what a unit holds has changed since; nothing is written.
    """
    numbers, arrivals = add_plans(connection, batch, plan_documents(batch), now), arrivals_of(batch)
    add_asset_orders(connection, intents(connection, batch, numbers, arrivals))
    open_members(connection, log, account, batch, numbers, now)
    book_crosses(connection, log, account, batch.crosses, numbers, arrivals, now)
    return list(numbers.values())


def add_plans(
    connection: Connection, batch: Batch, documents: Mapping[int, Mapping[str, Any]], now: datetime
) -> dict[int, int]:
    """Save the plan of each member; return its number by index order.

    Args:
        documents: The plan objects, by `plan_documents`.

    Raises:
        BasketMoved: what a unit holds has changed since.
    """
    for member in batch.members:
        require_basket(connection, member.state.basket)
    if batch.members:
        market = batch.view.document()
        add_market(connection, market_hash(market), market)
    return {each.order_id: _add_plan(connection, each, documents[each.order_id], now) for each in batch.members}


def plan_documents(batch: Batch) -> dict[int, dict[str, Any]]:
    """Return the plan object of each member, by index order. Pure."""
    market = batch.view.document() if batch.members else {}
    return {member.order_id: _document(member, batch.view, market) for member in batch.members}


def arrivals_of(batch: Batch) -> dict[int, Mapping[str, Decimal]]:
    """Return the mids at the arrival of each member."""
    return {member.order_id: member.state.order.arrival for member in batch.members}


def open_members(
    connection: Connection,
    log: EventLog,
    account: Account,
    batch: Batch,
    numbers: Mapping[int, int],
    now: datetime,
) -> None:
    """Take a sell's baskets out of its index, and tell what was planned."""
    ledger = Ledger(connection, account.id)
    for member in batch.members:
        state, plan, number = member.state, member.plan, numbers[member.order_id]
        if member.purpose in FOR_UNITS and plan.side is Side.SELL:
            whole = current_basket(connection, state.index.id)  # with what cannot be traded now
            given = baskets(plan.units, whole.quantities, whole.cash_per_unit)
            lent = {leg.asset: -leg.surplus for leg in plan.legs if leg.surplus < 0}
            mids = batch.view.mids(state.basket.symbols)
            ledger.post(redemption(state.parties, number, given, lent, mids, state.cash, at=now))
        log.record(connection, BatchPlanned(member.order_id, number, plan.units, len(plan.legs)), now)


def require_basket(connection: Connection, basket: Basket) -> None:
    """Check that a plan was made for the basket that is in force.

    Raises:
        BasketMoved: another has come into force since.
    """
    if basket_version(connection, basket.index_id) != basket.version:
        raise BasketMoved(f"index {basket.index_id} has another basket since this was planned", where="basket")


def pieces(quantity: Decimal, price: Decimal, rule: SymbolRule) -> list[Decimal]:
    """Split a quantity into orders that the venue's largest order allows.

    Beyond `MOST_PIECES` the rest waits for the next batch. Where the largest is
    less than the least the venue takes none: one goes out, and comes back with why.
    """
    most, least = rule.most_quantity(price) or quantity, rule.least_quantity(price)
    if most < least:
        return [quantity]
    parts: list[Decimal] = []
    left = quantity
    while left > 0 and len(parts) < MOST_PIECES:
        part = min(left, most)
        if ZERO < left - part < least:
            part = left - least
        parts.append(part)
        left -= part
    return parts


def parcels(batch: Batch) -> Iterator[tuple[Demand, Decimal, dict[int, Slices]]]:
    """Yield each order that goes to the venue: the demand, its piece of the quantity, and which part is whose."""
    for demand in batch.demands:
        left: Mapping[int, Slices] = demand.slices
        for quantity in pieces(demand.quantity, demand.price, batch.view.rules[demand.symbol]):
            own, left = cut(left, quantity, demand.side.sign)
            yield demand, quantity, own


def _document(member: Member, view: MarketView, market: Mapping[str, Any]) -> dict[str, Any]:
    state, plan, problem = member.state, member.plan, member.problem
    # Trading back asks for what has a price alone; its own sums go by that.
    arrival_nav = problem.arrival_nav if plan.method == "unwind" else state.basket.nav(state.order.arrival)
    return document_for(plan, problem, state.basket, state.index.symbol, arrival_nav, view, market)


def _add_plan(connection: Connection, member: Member, document: Mapping[str, Any], now: datetime) -> int:
    state, plan = member.state, member.plan
    return add_plan(
        connection,
        {
            "index_order_id": member.order_id,
            "basket_id": state.basket.id,
            "purpose": member.purpose,
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


def intents(
    connection: Connection,
    batch: Batch,
    numbers: Mapping[int, int],
    arrivals: Mapping[int, Mapping[str, Decimal]],
) -> list[tuple[Intent, Sequence[Share]]]:
    """Return what will be sent: each demand in pieces, in the name of the first order it is for.

    Args:
        numbers: The plan of each order.
        arrivals: The mids at the arrival of each order.
    """
    life = incarnation(connection)
    sent = {order_id: count_asset_orders(connection, order_id) for order_id in numbers}
    made: list[tuple[Intent, Sequence[Share]]] = []
    for demand, quantity, own in parcels(batch):
        lead = min(own)
        sent[lead] += 1
        intent = Intent(
            client_order_id=client_order_id(life, lead, sent[lead]),
            asset=demand.asset,
            symbol=demand.symbol,
            side=demand.side,
            quantity=quantity,
            price=demand.price,
            arrival_mid=arrivals[lead][demand.asset],
            mid=demand.mid,
            touch=demand.touch,
            kind=demand.kind,
        )
        made.append((intent, [Share(numbers[each], each, own[each]) for each in sorted(own)]))
    return made


def cut(slices: Mapping[int, Slices], quantity: Decimal, sign: int) -> tuple[dict[int, Slices], dict[int, Slices]]:
    """Take `quantity` off what is whose; return (taken, left), each without those who have nothing of it.

    It goes phase by phase, and in each whoever accepts only the better prices is
    served first; places stand for phases and stay where they are.
    """
    ranked = sorted(
        (place, each.last_price * sign, owner) for owner, own in slices.items() for place, each in enumerate(own)
    )
    taken = {owner: [each._replace(quantity=ZERO) for each in own] for owner, own in slices.items()}
    left = {owner: list(own) for owner, own in slices.items()}
    for place, _, owner in ranked:
        each = left[owner][place]
        part = min(each.quantity, quantity)
        quantity -= part
        taken[owner][place] = each._replace(quantity=part)
        left[owner][place] = each._replace(quantity=each.quantity - part)
    return _owned(taken), _owned(left)


def _owned(slices: Mapping[int, Sequence[Slice]]) -> dict[int, Slices]:
    return {owner: tuple(own) for owner, own in slices.items() if any(each.quantity for each in own)}
