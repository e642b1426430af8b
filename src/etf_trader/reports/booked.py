"""What every booking cost the order that it was made for: the rows under the reports of loss and of costs.

The loss of a fill is defined in `execution/loss.py` and nowhere else; here it is
only told of whom, of what and when it is, and beside what cash it stands.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import Connection, Row, Select, or_, select

from etf_trader.execution.loss import fee_in_quote, fill_loss
from etf_trader.execution.state import settlement_of
from etf_trader.index.store import Index, list_indices, list_positions
from etf_trader.ledger import accounts
from etf_trader.ledger.baskets import WAVE
from etf_trader.ledger.fill import Fill, Part, fill_from
from etf_trader.ledger.parties import Parties, parties_from, parties_from_rebalance
from etf_trader.ledger.repository import holder_names
from etf_trader.ledger.tables import allocations, fills, postings, transactions
from etf_trader.market.symbol import Side
from etf_trader.money import ONE, ZERO
from etf_trader.orders.asset_order import Intent
from etf_trader.orders.plan import NO_LOSS, LossParts
from etf_trader.orders.rebalances import list_rebalances
from etf_trader.orders.store import list_asset_orders, list_index_orders
from etf_trader.reports.period import ALWAYS, Period, within

_SETTLING = ("credit", "settle", "close")
_BASKET = "basket"
_OF_INDEX = ("credit", "redeem", "settle", WAVE, _BASKET)
_HOLDING = ("accept", "release", "recall")
"""What only sets aside, or gives back: no order pays or receives anything by it."""


@dataclass(frozen=True, slots=True)
class Trader:
    """An order for units, or a rebalance (no `side`, no `position`): whose it is and what it is judged by."""

    number: int
    index: Index
    side: Side | None
    position: int | None
    holder: str
    arrival: Mapping[str, Decimal]
    arrival_nav: Decimal
    parties: Parties

    @property
    def bearer(self) -> str:
        """Who bears what it loses."""
        return self.holder if self.side is not None else f"holders of {self.index.symbol}"


@dataclass(frozen=True, slots=True)
class Booked:
    """What one booking was to one order, in the quote of its index; of one asset where it is of one.

    `traded` is the value of a fill; `fee_asset`, `fee_quantity` and `fee_value`
    are the venue's. `cash` was paid (sell: received), `arrival_value` is what the
    units credited or redeemed were worth at arrival, by the basket they were
    credited in (a rebalance may have changed it since), and `held_value` what came
    to lie in the order beyond them. Of a rebalance `moved` is what came to the
    index and it together, at arrival. The sum of `loss` over all bookings of an
    order, or of any span of time, is that of `cash_loss`, exactly.
    """

    trader: Trader
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
    moved: Decimal = ZERO
    is_fill: bool = False

    @property
    def cash_loss(self) -> Decimal:
        """What cash and holdings say of the loss: of a buy what was paid beyond what it was for."""
        if self.trader.side is Side.BUY:
            return self.cash - self.arrival_value - self.held_value
        return self.arrival_value - self.held_value - self.cash - self.moved


Traders = Mapping[int, Trader]


def booked(
    connection: Connection, account_id: int, period: Period = ALWAYS, index_id: int | None = None
) -> list[Booked]:
    """Return what every booking within `period` cost its order: fills first, then what settled them, then cash."""
    all_of_them = traders(connection, account_id)
    known = {number: each for number, each in all_of_them.items() if index_id in (None, each.index.id)}
    return [
        *_fills(connection, account_id, period, known),
        *_roundings(connection, account_id, period, known),
        *_moves(connection, account_id, period, known),
        *_lent(connection, account_id, period, known),
    ]


def traders(connection: Connection, account_id: int) -> dict[int, Trader]:
    """Return all orders and rebalances of an account, by number."""
    indices = {index.id: index for index in list_indices(connection, account_id)}
    positions = [each for each in list_positions(connection) if each.index_id in indices]
    names = holder_names(connection)
    holders = {each.id: names[each.holder_id] for each in positions}
    found = {}
    for order in list_index_orders(connection, account_id=account_id):
        index = indices[order.index_id]
        parties = parties_from(order, index, holders[order.position_id])
        found[order.id] = Trader(
            *(order.id, index, order.side, order.position_id, parties.holder),
            *(order.arrival, order.arrival_nav, parties),
        )
    for rebalance in list_rebalances(connection, account_id=account_id):
        index = indices[rebalance.index_id]
        parties = parties_from_rebalance(rebalance, index)
        found[rebalance.id] = Trader(
            *(rebalance.id, index, None, None, parties.holder), *(rebalance.arrival, ZERO, parties)
        )
    return found


def _fills(connection: Connection, account_id: int, period: Period, known: Traders) -> Iterator[Booked]:
    sent = {order.id: order for order in list_asset_orders(connection)}
    query = (
        select(fills, *(allocations.c[name].label(f"part_{name}") for name in Part._fields))
        .join(allocations, allocations.c.fill_id == fills.c.id)
        .where(fills.c.account_id == account_id, *within(fills.c.at, period))
        .order_by(fills.c.id, allocations.c.index_order_id)
    )
    for row in connection.execute(query):
        trader = known.get(row.part_index_order_id)
        if trader is None:
            continue
        part = Part(*(getattr(row, f"part_{name}") for name in Part._fields))
        yield _filled(trader, part.of(fill_from(row)), sent[row.asset_order_id].intent)


def _filled(trader: Trader, fill: Fill, intent: Intent) -> Booked:
    rate = trader.arrival.get(intent.quote, ONE)
    has_fee = bool(fill.fee) and not fill.is_internal
    return Booked(
        trader,
        fill.at,
        asset=intent.asset,
        symbol=fill.symbol,
        traded=fill.value * rate,
        loss=fill_loss(fill, intent, trader.arrival),
        fee_asset=fill.fee_asset if has_fee else "",
        fee_quantity=fill.fee if has_fee else ZERO,
        fee_value=fee_in_quote(fill, intent.asset) * rate if has_fee else ZERO,
        is_fill=True,
    )


def _roundings(connection: Connection, account_id: int, period: Period, known: Traders) -> Iterator[Booked]:
    """Yield what orders lost on what went to the float; a rebalance gives it what no basket can hold."""
    kinds = (*_SETTLING, _BASKET)
    for row in connection.execute(_transactions(account_id, kinds, period)):
        trader = known.get(row.index_order_id)
        if trader is None:
            continue
        for asset, loss in _rounding(trader, row).items():
            if loss:
                parts = LossParts(ZERO, ZERO, ZERO, ZERO, loss)
                yield Booked(trader, row.at, asset=asset, loss=parts)


def _rounding(trader: Trader, row: Row[Any]) -> dict[str, Decimal]:
    if row.kind != _BASKET:
        return settlement_of(row.evidence).rounding(trader.arrival)
    facts = facts_of(row.evidence)
    left = {asset: Decimal(text) * trader.arrival[asset] for asset, text in facts.get("left", {}).items()}
    return {**left, trader.index.quote: Decimal(facts.get("cash_left", 0))}


def _moves(connection: Connection, account_id: int, period: Period, known: Traders) -> Iterator[Booked]:
    """Yield what moved in and out of the accounts of orders, and between them and their index."""
    query = (
        select(*(postings.c[name] for name in ("account", "asset", "amount")))
        .add_columns(transactions.c.at, transactions.c.kind, transactions.c.index_order_id)
        .join(transactions, transactions.c.id == postings.c.transaction_id)
        .where(
            transactions.c.account_id == account_id,
            transactions.c.kind.not_in(_HOLDING),
            or_(postings.c.account.startswith("order:"), transactions.c.kind.in_(_OF_INDEX)),
            *within(transactions.c.at, period),
        )
        .order_by(postings.c.transaction_id, postings.c.line)
    )
    for row in connection.execute(query):
        kind, _, number = row.account.partition(":")
        trader = known.get(int(number) if kind == "order" else row.index_order_id)
        if trader is not None and kind in ("order", "index") and not accounts.is_unit(row.asset):
            yield _moved(trader, row, is_of_index=kind == "index")


def _moved(trader: Trader, row: Row[Any], *, is_of_index: bool) -> Booked:
    parties = trader.parties
    is_cash = row.asset == parties.quote or row.asset in parties.rates
    value = row.amount * (parties.rate(row.asset) if is_cash else trader.arrival[row.asset])
    if trader.side is None:
        return Booked(trader, row.at, moved=value)
    if is_of_index:  # the baskets of units that were credited, or redeemed
        return Booked(trader, row.at, arrival_value=trader.side.sign * value)
    if is_cash:
        return Booked(trader, row.at, cash=-trader.side.sign * value)
    return Booked(trader, row.at, held_value=value)


def _lent(connection: Connection, account_id: int, period: Period, known: Traders) -> Iterator[Booked]:
    """Yield what of a sell's holdings the float has lent it, from the offer to the settlement."""
    lent: dict[str, Decimal] = {}
    for row in connection.execute(_transactions(account_id, ("redeem", "settle"))):
        trader = known.get(row.index_order_id)
        if trader is None:
            continue
        plan = row.key.partition(":")[2]
        if row.kind == "redeem":
            quantities = facts_of(row.evidence)["lent"]
            lent[plan] = sum((Decimal(text) * trader.arrival[asset] for asset, text in quantities.items()), ZERO)
            value = -lent[plan]
        else:
            value = lent.get(plan, ZERO)
        if value and period.holds(row.at):
            yield Booked(trader, row.at, held_value=value)


def facts_of(evidence: str) -> Mapping[str, Any]:
    """Return the facts that made a transaction true."""
    found: Mapping[str, Any] = json.loads(evidence)["facts"]
    return found


def _transactions(account_id: int, kinds: tuple[str, ...], period: Period = ALWAYS) -> Select[tuple[Any, ...]]:
    names = ("key", "kind", "at", "index_order_id", "evidence")
    return (
        select(*(transactions.c[name] for name in names))
        .where(
            transactions.c.account_id == account_id,
            transactions.c.kind.in_(kinds),
            *within(transactions.c.at, period),
        )
        .order_by(transactions.c.id)
    )
