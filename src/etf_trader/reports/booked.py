"""What every booking cost the order that it was made for: the rows under the reports of loss and of costs.

The loss of a fill is defined in `execution/loss.py` and nowhere else; here it is
only told of whom, of what and when it is, and beside what cash it stands.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import Connection, Row, Select, select

from etf_trader.execution.loss import fee_in_quote, fill_loss
from etf_trader.execution.state import settlement_of
from etf_trader.index.store import Index, list_indices
from etf_trader.ledger import accounts
from etf_trader.ledger.fill import INTERNAL, Part, fill_from
from etf_trader.ledger.parties import Parties, parties_of
from etf_trader.ledger.tables import allocations, fills, postings, transactions
from etf_trader.market.symbol import Side
from etf_trader.money import ONE, ZERO
from etf_trader.orders.index_order import IndexOrder
from etf_trader.orders.plan import NO_LOSS, LossParts
from etf_trader.orders.store import list_asset_orders, list_index_orders
from etf_trader.reports.period import ALWAYS, Period

_SETTLING = ("credit", "settle", "close")
_HOLDING = ("accept", "release", "recall")
"""What only sets aside, or gives back: no order pays or receives anything by it."""


@dataclass(frozen=True, slots=True)
class Booked:
    """What one booking was to one order, in the quote of its index; of one asset where it is of one.

    `traded` is the value of a fill; `fee_asset`, `fee_quantity` and `fee_value`
    are the venue's. `cash` was paid (sell: received), `arrival_value` is what the
    units credited or redeemed were worth at arrival, and `held_value` what came
    to lie in the order beyond them. Over all bookings of an order, or of any
    span of time: buy, loss = cash - arrival_value - held_value; sell, loss =
    arrival_value - held_value - cash.
    """

    order: IndexOrder
    index: Index
    holder: str
    at: datetime
    asset: str = ""
    symbol: str = ""
    traded: Decimal = ZERO
    loss: LossParts = NO_LOSS
    fee_asset: str = ""
    fee_quantity: Decimal = ZERO
    fee_value: Decimal = ZERO
    cash: Decimal = ZERO
    arrival_value: Decimal = ZERO
    held_value: Decimal = ZERO
    is_fill: bool = False


@dataclass(frozen=True, slots=True)
class _Orders:
    """The orders of an account, with what a booking needs to know of them."""

    blanks: Mapping[int, Booked]
    parties: Mapping[int, Parties]

    def booked(self, order: int, at: datetime, **facts: Any) -> Booked:
        return replace(self.blanks[order], at=at, **facts)


def booked(
    connection: Connection, account_id: int, period: Period = ALWAYS, index_id: int | None = None
) -> list[Booked]:
    """Return what every booking within `period` cost its order: fills first, then what settled them, then cash."""
    orders = _orders(connection, account_id, index_id)
    return [
        *_fills(connection, account_id, period, orders),
        *_roundings(connection, account_id, period, orders),
        *_ties(connection, account_id, period, orders),
    ]


def _orders(connection: Connection, account_id: int, index_id: int | None) -> _Orders:
    indices = {index.id: index for index in list_indices(connection, account_id)}
    found = [
        order
        for order in list_index_orders(connection, account_id=account_id)
        if index_id is None or order.index_id == index_id
    ]
    parties = {order.id: parties_of(connection, order) for order in found}
    blanks = {
        order.id: Booked(order, indices[order.index_id], parties[order.id].holder, order.accepted_at)
        for order in found
    }
    return _Orders(blanks, parties)


def _fills(connection: Connection, account_id: int, period: Period, orders: _Orders) -> Iterator[Booked]:
    sent = {order.id: order for order in list_asset_orders(connection)}
    query = (
        select(fills, *(allocations.c[name].label(f"part_{name}") for name in Part._fields))
        .join(allocations, allocations.c.fill_id == fills.c.id)
        .where(fills.c.account_id == account_id, *_within(fills.c.at, period))
        .order_by(fills.c.id, allocations.c.index_order_id)
    )
    for row in connection.execute(query):
        if row.part_index_order_id not in orders.blanks:
            continue
        part = Part(*(getattr(row, f"part_{name}") for name in Part._fields))
        fill, intent = part.of(fill_from(row)), sent[row.asset_order_id].intent
        arrival = orders.blanks[part.index_order_id].order.arrival
        rate = arrival.get(intent.quote, ONE)
        has_fee = fill.fee and row.era != INTERNAL
        yield orders.booked(
            part.index_order_id,
            fill.at,
            asset=intent.asset,
            symbol=fill.symbol,
            traded=fill.value * rate,
            loss=fill_loss(fill, intent, arrival),
            fee_asset=fill.fee_asset if has_fee else "",
            fee_quantity=fill.fee if has_fee else ZERO,
            fee_value=fee_in_quote(fill, intent.asset) * rate if has_fee else ZERO,
            is_fill=True,
        )


def _roundings(connection: Connection, account_id: int, period: Period, orders: _Orders) -> Iterator[Booked]:
    query = _transactions(account_id, period).where(transactions.c.kind.in_(_SETTLING))
    for row in connection.execute(query):
        if row.index_order_id not in orders.blanks:
            continue
        arrival = orders.blanks[row.index_order_id].order.arrival
        for asset, loss in settlement_of(row.evidence).rounding(arrival).items():
            if loss:
                parts = LossParts(ZERO, ZERO, ZERO, ZERO, loss)
                yield orders.booked(row.index_order_id, row.at, asset=asset, loss=parts)


def _ties(connection: Connection, account_id: int, period: Period, orders: _Orders) -> Iterator[Booked]:
    """Yield what moved in and out of the accounts of orders, and the units that it was for."""
    query = (
        select(postings.c.account, postings.c.asset, postings.c.amount, transactions.c.at)
        .join(transactions, transactions.c.id == postings.c.transaction_id)
        .where(
            transactions.c.account_id == account_id,
            transactions.c.kind.not_in(_HOLDING),
            postings.c.account.startswith("order:"),
            *_within(transactions.c.at, period),
        )
        .order_by(postings.c.transaction_id, postings.c.line)
    )
    for row in connection.execute(query):
        number = int(row.account.partition(":")[2])
        if number in orders.blanks:
            yield _moved(orders, number, row)
    for order, at, units in _units(connection, account_id, period, orders):
        nav = orders.blanks[order].order.arrival_nav
        yield orders.booked(order, at, arrival_value=units * nav)
    yield from _lent(connection, account_id, period, orders)


def _moved(orders: _Orders, number: int, row: Row[Any]) -> Booked:
    order, parties = orders.blanks[number].order, orders.parties[number]
    if accounts.is_unit(row.asset):  # of a sell: offered, or given back
        return orders.booked(number, row.at, arrival_value=-row.amount * order.arrival_nav)
    if row.asset == parties.quote or row.asset in parties.rates:
        paid = -order.side.sign * row.amount * parties.rate(row.asset)
        return orders.booked(number, row.at, cash=paid)
    return orders.booked(number, row.at, held_value=row.amount * order.arrival[row.asset])


def _units(
    connection: Connection, account_id: int, period: Period, orders: _Orders
) -> Iterator[tuple[int, datetime, Decimal]]:
    """Yield the units that buys were credited."""
    query = (
        select(transactions.c.index_order_id, transactions.c.at, postings.c.asset, postings.c.amount)
        .join(postings, postings.c.transaction_id == transactions.c.id)
        .where(
            transactions.c.account_id == account_id,
            transactions.c.kind == "credit",
            postings.c.account.startswith("position:"),
            *_within(transactions.c.at, period),
        )
        .order_by(transactions.c.id)
    )
    for row in connection.execute(query):
        if row.index_order_id in orders.blanks and accounts.is_unit(row.asset):
            yield row.index_order_id, row.at, row.amount


def _lent(connection: Connection, account_id: int, period: Period, orders: _Orders) -> Iterator[Booked]:
    """Yield what of a sell's holdings the float has lent it, from the offer to the settlement."""
    query = (
        select(transactions.c.key, transactions.c.at, transactions.c.index_order_id, transactions.c.evidence)
        .where(transactions.c.account_id == account_id, transactions.c.kind.in_(("redeem", "settle")))
        .order_by(transactions.c.id)
    )
    lent: dict[str, Decimal] = {}
    for row in connection.execute(query):
        if row.index_order_id not in orders.blanks:
            continue
        plan, order = row.key.partition(":")[2], orders.blanks[row.index_order_id].order
        if row.key.startswith("redeem:"):
            quantities = facts_of(row.evidence)["lent"]
            lent[plan] = sum((Decimal(text) * order.arrival[name] for name, text in quantities.items()), ZERO)
            value = -lent[plan]
        else:
            value = lent.get(plan, ZERO)
        if value and period.holds(row.at):
            yield orders.booked(order.id, row.at, held_value=value)


def facts_of(evidence: str) -> Mapping[str, Any]:
    """Return the facts that made a transaction true."""
    import json

    found: Mapping[str, Any] = json.loads(evidence)["facts"]
    return found


def loss_by_cash(side: Side, cash: Decimal, arrival_value: Decimal, held_value: Decimal) -> Decimal:
    """Return the loss as cash tells it; the sum of its parts is the same, exactly."""
    return cash - arrival_value - held_value if side is Side.BUY else arrival_value - held_value - cash


def _transactions(account_id: int, period: Period) -> Select[tuple[Any, ...]]:
    return (
        select(transactions.c.index_order_id, transactions.c.at, transactions.c.evidence)
        .where(transactions.c.account_id == account_id, *_within(transactions.c.at, period))
        .order_by(transactions.c.id)
    )


def _within(column: Any, period: Period) -> list[Any]:
    """Return the conditions that a column of times lies in a period."""
    found = [column >= period.since] if period.since is not None else []
    return [*found, column < period.until] if period.until is not None else found
