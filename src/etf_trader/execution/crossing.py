"""Trades among our own orders: what one buys and another sells changes hands at the batch mid, inside."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from sqlalchemy import Connection

from etf_trader.events import EventLog
from etf_trader.execution.fills import book_fill
from etf_trader.ledger.fill import INTERNAL, Fill, Part, next_cross
from etf_trader.ledger.parties import parties_by_order
from etf_trader.ledger.repository import Account, incarnation
from etf_trader.market.symbol import Side
from etf_trader.money import ZERO
from etf_trader.orders.asset_order import AssetOrder, Intent, Share, Slice, client_order_id
from etf_trader.orders.status import AssetOrderStatus
from etf_trader.orders.store import (
    add_asset_orders,
    asset_orders_by_client_id,
    count_asset_orders,
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
    arrivals: Mapping[int, Mapping[str, Decimal]],
    now: datetime,
) -> None:
    """Book the inside trades of a batch: an order of each side that is filled at once, never sent, without fee.

    Args:
        plans: The plan under which each index order, or rebalance, trades.
        arrivals: The mids at the arrival of each.
    """
    if not crosses:
        return
    parties = parties_by_order(connection, {number for each in crosses for number in (each.seller, each.buyer)})
    sides = _intents(connection, crosses, arrivals)
    add_asset_orders(
        connection,
        [
            (intent, [Share(plans[number], number, (Slice(intent.quantity, intent.price),))])
            for both in sides
            for number, intent in both
        ],
    )
    written = asset_orders_by_client_id(
        connection, [intent.client_order_id for both in sides for _, intent in both]
    )
    for trade_id, both in enumerate(sides, start=next_cross(connection, account.id)):
        for number, intent in both:
            fill = _fill(account, written[intent.client_order_id], trade_id, now)
            move_asset_order(
                connection,
                written[intent.client_order_id],
                AssetOrderStatus.CROSSED,
                now,
                venue_order_id=fill.venue_order_id,
                executed_quantity=fill.quantity,
                executed_value=fill.value,
            )
            part = Part(number, fill.quantity, fill.value, fill.fee)
            book_fill(connection, log, fill, [part], parties, intent.asset)


def _intents(
    connection: Connection, crosses: Sequence[Cross], arrivals: Mapping[int, Mapping[str, Decimal]]
) -> list[list[tuple[int, Intent]]]:
    """Return what each cross is to its seller and its buyer, in this order: by number of the index order."""
    life = incarnation(connection)
    made = {
        number: count_asset_orders(connection, number)
        for number in {number for each in crosses for number in (each.seller, each.buyer)}
    }
    sides = []
    for cross in crosses:
        both = []
        for side, number in ((Side.SELL, cross.seller), (Side.BUY, cross.buyer)):
            made[number] += 1
            intent = Intent(
                client_order_id=client_order_id(life, number, made[number]),
                asset=cross.asset,
                symbol=cross.symbol,
                side=side,
                quantity=cross.quantity,
                price=cross.price,
                arrival_mid=arrivals[number][cross.asset],
                mid=cross.price,
                touch=cross.price,
            )
            both.append((number, intent))
        sides.append(both)
    return sides


def _fill(account: Account, order: AssetOrder, trade_id: int, now: datetime) -> Fill:
    """Return one side of a cross as a fill of the venue `internal`; both sides carry one trade id."""
    intent = order.intent
    return Fill(
        account_id=account.id,
        era=INTERNAL,
        symbol=intent.symbol,
        venue_order_id=order.id,
        trade_id=trade_id,
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
