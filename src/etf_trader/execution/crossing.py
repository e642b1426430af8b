"""Trades among our own orders: what one buys and another sells changes hands at the batch mid, inside."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from sqlalchemy import Connection

from etf_trader.events import EventLog, FillBooked
from etf_trader.ledger.booking import fill_booking
from etf_trader.ledger.fill import INTERNAL, Fill, Part, add_fill, next_cross
from etf_trader.ledger.parties import parties_of
from etf_trader.ledger.repository import Account, Ledger, incarnation
from etf_trader.market.symbol import Side
from etf_trader.money import ZERO
from etf_trader.orders.asset_order import AssetOrder, Intent, Share, Slice, client_order_id
from etf_trader.orders.status import AssetOrderStatus
from etf_trader.orders.store import (
    add_asset_orders,
    asset_order_by_client_id,
    count_asset_orders,
    index_order,
    move_asset_order,
)


@dataclass(frozen=True, slots=True)
class Cross:
    """What a buy takes from a sell: `quantity` in base at `price`, the mid of the book of `symbol`."""

    asset: str
    symbol: str
    buyer: int
    seller: int
    quantity: Decimal
    price: Decimal


def book_crosses(
    connection: Connection,
    log: EventLog,
    account: Account,
    crosses: Sequence[Cross],
    plans: Mapping[int, int],
    now: datetime,
) -> None:
    """Book the inside trades of a batch: an order of each side that is filled at once, never sent, without fee.

    Args:
        plans: The plan under which each index order trades.
    """
    for cross in crosses:
        number = next_cross(connection, account.id)
        for side, order_id in ((Side.SELL, cross.seller), (Side.BUY, cross.buyer)):
            order = _write(connection, cross, side, order_id, plans[order_id], now)
            _book(connection, log, account, order, number, now)


def _write(
    connection: Connection, cross: Cross, side: Side, order_id: int, plan_id: int, now: datetime
) -> AssetOrder:
    sequence = count_asset_orders(connection, order_id) + 1
    intent = Intent(
        client_order_id=client_order_id(incarnation(connection), order_id, sequence),
        asset=cross.asset,
        symbol=cross.symbol,
        side=side,
        quantity=cross.quantity,
        price=cross.price,
        arrival_mid=index_order(connection, order_id).arrival[cross.asset],
        mid=cross.price,
        touch=cross.price,
    )
    add_asset_orders(connection, [(intent, [Share(plan_id, order_id, (Slice(cross.quantity, cross.price),))])])
    order = asset_order_by_client_id(connection, intent.client_order_id)
    move_asset_order(
        connection,
        order,
        AssetOrderStatus.CROSSED,
        now,
        venue_order_id=order.id,
        executed_quantity=cross.quantity,
        executed_value=cross.quantity * cross.price,
    )
    return order


def _book(
    connection: Connection, log: EventLog, account: Account, order: AssetOrder, number: int, now: datetime
) -> None:
    intent = order.intent
    fill = Fill(
        account_id=account.id,
        era=INTERNAL,
        symbol=intent.symbol,
        venue_order_id=order.id,
        trade_id=number,
        asset_order_id=order.id,
        side=intent.side,
        price=intent.price,
        quantity=intent.quantity,
        value=intent.quantity * intent.price,
        fee=ZERO,
        fee_asset=intent.asset,
        is_maker=False,
        at=now,
    )
    part = Part(order.index_order_id, fill.quantity, fill.value, fill.fee)
    parties = parties_of(connection, index_order(connection, order.index_order_id))
    if add_fill(connection, fill, [part]):
        Ledger(connection, account.id).post(fill_booking(fill, [(parties, part)], intent.asset))
        log.record(connection, FillBooked(order.index_order_id, fill.symbol, fill.quantity, fill.price), now)
