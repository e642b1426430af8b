"""Books a trade of an order of ours whose end had been sealed without it."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal

from sqlalchemy import Connection

from etf_trader.errors import LedgerError
from etf_trader.events import EventLog
from etf_trader.execution.fee_inventory import is_foreign, valued
from etf_trader.execution.fills import book_fill
from etf_trader.execution.outcomes import fill_from_trade
from etf_trader.ledger import accounts
from etf_trader.ledger.booking import fill_booking
from etf_trader.ledger.corrections import lacking, late_parts, recall
from etf_trader.ledger.fill import Fill, Part
from etf_trader.ledger.late import add_late_fill, allotted
from etf_trader.ledger.parties import Parties, parties_by_order
from etf_trader.ledger.repository import Account, Ledger
from etf_trader.money import plain
from etf_trader.orders.asset_order import AssetOrder
from etf_trader.orders.status import IndexOrderStatus
from etf_trader.orders.store import move_index_order, standing_of
from etf_trader.venue.interface import Trade


def book_late_fill(
    connection: Connection,
    log: EventLog,
    account: Account,
    order: AssetOrder,
    trade: Trade,
    now: datetime,
    prices: Mapping[str, Decimal],
) -> str:
    """Book a trade of a finished asset order that its end does not count; return what prevents it, or nothing.

    The end stays sealed as it was, with a row beside it. What the trade took
    comes out of the order's account, else back out of its holder's treasury.
    An index order that had ended keeps what it got, and is stuck.

    Args:
        prices: What an asset is worth that fees were paid in beside base and quote.
    """
    if not order.status.is_final:
        return "the order is still in flight"
    fill = fill_from_trade(account, order.id, trade)
    parts = late_parts(order, allotted(connection, order.id), fill)
    if parts is None:
        return "it is more than the order was for"
    if is_foreign(fill, order.intent.asset):
        parts = valued(parts, prices[fill.fee_asset])
    parties = parties_by_order(connection, [part.index_order_id for part in parts])
    ledger = Ledger(connection, account.id)
    try:
        recalls = _recalls(ledger, order, fill, parts, parties)
    except LedgerError as error:
        return error.message
    if short := _shortage(ledger, recalls, parties):
        return short
    for part in parts:
        if amounts := recalls[part.index_order_id]:
            owner = parties[part.index_order_id]
            ledger.post(recall(owner, fill, part, amounts, order.intent.asset, at=now))
    book_fill(connection, log, fill, parts, parties, order.intent.asset, prices)
    add_late_fill(connection, fill, now)
    for part in parts:
        _reopen(connection, part.index_order_id, now)
    return ""


def _recalls(
    ledger: Ledger, order: AssetOrder, fill: Fill, parts: Sequence[Part], parties: Mapping[int, Parties]
) -> dict[int, dict[str, Decimal]]:
    """Return, by index order, what its account lacks for the fill."""
    shares = [(parties[part.index_order_id], part) for part in parts]
    booking = fill_booking(fill, shares, order.intent.asset)
    return {
        owner: lacking(booking, accounts.order(owner), ledger.holdings(accounts.order(owner))) for owner in parties
    }


def _shortage(ledger: Ledger, recalls: Mapping[int, Mapping[str, Decimal]], parties: Mapping[int, Parties]) -> str:
    """Say which treasury does not hold what is recalled from it; empty when all do."""
    wanted: dict[tuple[str, str], Decimal] = {}
    for owner, amounts in recalls.items():
        for asset, amount in amounts.items():
            at = parties[owner].holder, asset
            wanted[at] = wanted.get(at, Decimal(0)) + amount
    for (holder, asset), amount in sorted(wanted.items()):
        held = ledger.balance(accounts.treasury(holder), asset)
        if held < amount:
            return f"it took {plain(amount)} {asset}, the treasury of {holder} holds {plain(held)}"
    return ""


def _reopen(connection: Connection, order_id: int, now: datetime) -> None:
    """Show that an index order which had ended holds something again."""
    status, stops = standing_of(connection, order_id)
    if status.is_final and status is not IndexOrderStatus.STUCK:
        move_index_order(connection, order_id, IndexOrderStatus.STUCK, stopped_by=stops, now=now)
