"""What the books say about an order right now, read in one transaction."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, select

from etf_trader.execution.loss import fill_loss, rounding_loss
from etf_trader.execution.pacing import Done, Pace
from etf_trader.index.store import (
    Basket,
    Index,
    Position,
    basket_by_id,
    basket_version,
    current_basket,
    index_by_id,
    position_by_id,
    symbols_of,
)
from etf_trader.ledger import accounts
from etf_trader.ledger.fill import Fill, fills_of
from etf_trader.ledger.parties import Parties, parties_of
from etf_trader.ledger.repository import Ledger
from etf_trader.ledger.tables import postings, transactions
from etf_trader.market.symbol import Side
from etf_trader.money import ZERO
from etf_trader.orders.asset_order import AssetOrder
from etf_trader.orders.index_order import IndexOrder
from etf_trader.orders.plan import NO_LOSS, LossParts, total_loss
from etf_trader.orders.store import asset_orders_of, index_order
from etf_trader.orders.tables import plans

if TYPE_CHECKING:
    from etf_trader.execution.planning import Wish


@dataclass(frozen=True, slots=True)
class Settlement:
    """What went between an order and the float when units were credited.

    `cash` is what the units of this settlement carry, `surplus` what the float
    took of each asset (negative: gave), at `mids`, in quote per base.
    """

    cash: Decimal
    surplus: Mapping[str, Decimal]
    mids: Mapping[str, Decimal]

    def rounding(self, arrival: Mapping[str, Decimal]) -> dict[str, Decimal]:
        """Return the rounding loss of each asset."""
        return rounding_loss(self.surplus, self.mids, arrival)


@dataclass(frozen=True, slots=True)
class OrderState:
    """An order, its parties, and what its account and the float hold.

    `pace` is how much of an order over time is due now; None: all that is wanted.
    `past` are the markets of what it holds that has left the basket since.
    """

    order: IndexOrder
    index: Index
    basket: Basket
    position: Position
    parties: Parties
    held: Mapping[str, Decimal]
    held_cost: Mapping[str, Decimal]
    cash: Decimal
    other_cash: Mapping[str, Decimal]
    units_reserved: Decimal
    float: Mapping[str, Decimal]
    float_cash: Decimal
    loss: LossParts
    pace: Pace | None = None
    past: Mapping[str, str] = field(default_factory=dict)

    @property
    def markets(self) -> dict[str, str]:
        """The market of each constituent, and of what the order holds that is none any more.

        What entered when the order had ended is none of its business: a late fill makes it stuck after that.
        """
        found = {**self.basket.symbols, **self.past}
        return {
            asset: symbol for asset, symbol in found.items() if asset in self.order.arrival or asset in self.past
        }

    @property
    def stays_open(self) -> bool:
        """Whether what is not traded of it in this turn waits for later."""
        return self.order.stays_open and not (self.pace is not None and self.pace.is_end)

    @property
    def is_quoting(self) -> bool:
        """Whether what is due of it is to be quoted now, and not taken."""
        return self.pace is not None and self.pace.quote_until is not None and not self.pace.takes

    def wish(self) -> Wish:
        """Return what is still to be traded: now, when it is an order over time that was paced."""
        from etf_trader.execution.planning import Wish  # reports read states and never plan

        return Wish(
            side=self.order.side,
            quantity=self.order.remaining if self.pace is None else self.pace.due,
            limit_price=self.order.limit_price,
            max_loss_bps=self.order.max_loss_bps,
            arrival=self.order.arrival,
            cash=self.cash if self.order.side is Side.BUY else None,
            held={asset: self.held[asset] for asset in self.basket.quantities},
            held_cost=self.held_cost,
            units_done=self.order.filled,
            loss_done=self.loss.total,
        )


def order_state(connection: Connection, order_id: int) -> OrderState:
    """Read everything about an order that a turn of the loop needs."""
    order = index_order(connection, order_id)
    index = index_by_id(connection, order.index_id)
    basket = current_basket(connection, index.id)
    position = position_by_id(connection, order.position_id)
    parties = parties_of(connection, order)
    ledger = Ledger(connection, order.account_id)
    lots = ledger.lot_book()
    own = ledger.holdings(parties.order)
    in_float = ledger.holdings(parties.float)
    cash = {index.quote, parties.unit, *parties.rates}
    held = {asset: own.get(asset, ZERO) for asset in sorted({*basket.quantities, *(own.keys() - cash)})}
    past = held.keys() - basket.quantities.keys()
    return OrderState(
        order=order,
        index=index,
        basket=basket,
        position=position,
        parties=parties,
        held=held,
        held_cost={asset: lots.cost(parties.order, asset) for asset, quantity in held.items() if quantity},
        cash=own.get(index.quote, ZERO),
        other_cash={name: own[name] for name in parties.rates if name in own},
        units_reserved=own.get(parties.unit, ZERO),
        float={asset: in_float.get(asset, ZERO) for asset in basket.quantities},
        float_cash=in_float.get(index.quote, ZERO),
        # Exchanging currencies loses before anything is held.
        loss=order_loss(connection, order) if order.filled or any(held.values()) or parties.rates else NO_LOSS,
        past=past_symbols(connection, index.id, past) if past else {},
    )


def past_symbols(connection: Connection, index_id: int, assets: Collection[str]) -> dict[str, str]:
    """Return the market of each of these assets by the last basket of the index that had it."""
    known = symbols_of(connection, index_id)
    return {asset: known[asset] for asset in assets if asset in known}


def fills_with_orders(connection: Connection, order_id: int) -> list[tuple[Fill, AssetOrder]]:
    """Return the fills of an index order, as far as they are its own, with the asset orders they belong to."""
    sent = {order.id: order for order in asset_orders_of(connection, order_id)}
    return [(fill, sent[fill.asset_order_id]) for fill in fills_of(connection, order_id)]


def done_of(connection: Connection, order_id: int) -> list[Done]:
    """Return the batches that traded units for an order, oldest first, with what was credited for each."""
    from etf_trader.execution.batch import FOR_UNITS  # brings the solver's problem, which reads do without

    query = select(transactions.c.evidence).where(
        transactions.c.index_order_id == order_id, transactions.c.kind.in_(("credit", "settle"))
    )
    credited: dict[int, Decimal] = {}
    for evidence in connection.scalars(query):
        facts = json.loads(evidence)["facts"]
        credited[facts["plan"]] = Decimal(facts["units"])
    made = select(plans.c.id, plans.c.created_at, plans.c.document).where(
        plans.c.index_order_id == order_id, plans.c.purpose.in_(FOR_UNITS)
    )
    return [
        Done(row.created_at, _wanted(json.loads(row.document)), credited.get(row.id, ZERO))
        for row in connection.execute(made.order_by(plans.c.id))
    ]


def _wanted(document: Mapping[str, Any]) -> Decimal:
    """Return the units that were due when a batch was planned: a quote may be for a part of them."""
    return Decimal(document.get("due", document["quantity"]))


def settlements_of(connection: Connection, order_id: int) -> list[Settlement]:
    """Return every exchange between an order and the float, in order."""
    query = (
        select(transactions.c.evidence)
        .where(
            transactions.c.index_order_id == order_id,
            transactions.c.kind.in_(("credit", "settle", "close")),
        )
        .order_by(transactions.c.id)
    )
    return [settlement_of(evidence) for evidence in connection.scalars(query)]


def settlement_of(evidence: str) -> Settlement:
    """Read the exchange with the float that a transaction booked from its evidence."""
    return _settlement(json.loads(evidence)["facts"])


def order_loss(connection: Connection, order: IndexOrder) -> LossParts:
    """Return the loss of what an order traded so far, by part."""
    parts = [fill_loss(fill, sent.intent, order.arrival) for fill, sent in fills_with_orders(connection, order.id)]
    for settlement in settlements_of(connection, order.id):
        rounding = sum(settlement.rounding(order.arrival).values(), ZERO)
        parts.append(LossParts(ZERO, ZERO, ZERO, ZERO, rounding))
    return total_loss(parts)


def arrival_value(connection: Connection, order: IndexOrder) -> Decimal:
    """Return what the units of an order were worth at its arrival: each by the basket it was credited with."""
    if basket_version(connection, order.index_id) == 1:
        return order.filled * order.arrival_nav
    query = select(transactions.c.evidence).where(
        transactions.c.index_order_id == order.id, transactions.c.kind.in_(("credit", "settle"))
    )
    facts = [json.loads(evidence)["facts"] for evidence in connection.scalars(query)]
    numbers = select(plans.c.id, plans.c.basket_id).where(plans.c.id.in_([each["plan"] for each in facts]))
    basket_of = {row.id: row.basket_id for row in connection.execute(numbers)}
    navs = {
        number: basket_by_id(connection, number).nav(order.arrival) for number in sorted(set(basket_of.values()))
    }
    return sum((Decimal(each["units"]) * navs[basket_of[each["plan"]]] for each in facts), ZERO)


def released_of(connection: Connection, order: IndexOrder) -> dict[str, Decimal]:
    """Return the cash and units that went back to the holder when an order ended, by asset."""
    query = (
        select(postings.c.asset, postings.c.amount)
        .join(transactions, transactions.c.id == postings.c.transaction_id)
        .where(
            transactions.c.index_order_id == order.id,
            transactions.c.kind == "release",
            postings.c.account == accounts.order(order.id),
        )
    )
    found: dict[str, Decimal] = {}
    for asset, amount in connection.execute(query):
        found[asset] = found.get(asset, ZERO) - amount
    return found


def cash_of(connection: Connection, order: IndexOrder) -> Decimal:
    """Return the cash an order has paid so far (sell: received), float settlement and basket cash included.

    In the index's quote; other currencies count at what they were worth at arrival.
    """
    parties = parties_of(connection, order)
    query = (
        select(postings.c.asset, postings.c.amount)
        .join(transactions, transactions.c.id == postings.c.transaction_id)
        .where(
            transactions.c.account_id == order.account_id,
            transactions.c.kind.not_in(("accept", "release", "recall")),
            postings.c.account == accounts.order(order.id),
            postings.c.asset.in_((parties.quote, *parties.rates)),
        )
    )
    moved = sum((amount * parties.rate(asset) for asset, amount in connection.execute(query)), ZERO)
    return -order.side.sign * moved


def _settlement(facts: Mapping[str, Any]) -> Settlement:
    def decimals(name: str) -> dict[str, Decimal]:
        return {asset: Decimal(text) for asset, text in facts[name].items()}

    return Settlement(cash=Decimal(facts["cash"]), surplus=decimals("surplus"), mids=decimals("mids"))
