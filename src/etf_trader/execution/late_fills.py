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
from etf_trader.execution.rebalance_state import rebalance_state
from etf_trader.execution.wave_settlement import bring_back
from etf_trader.ledger import accounts
from etf_trader.ledger.baskets import wave
from etf_trader.ledger.booking import fill_booking
from etf_trader.ledger.corrections import lacking, late_parts, recall
from etf_trader.ledger.fill import Fill, Part
from etf_trader.ledger.late import add_late_fill, allotted
from etf_trader.ledger.parties import Parties, parties_by_order
from etf_trader.ledger.repository import Account, Ledger
from etf_trader.money import ZERO, plain
from etf_trader.orders.asset_order import AssetOrder
from etf_trader.orders.status import IndexOrderStatus
from etf_trader.orders.store import indices_in_flight, move_index_order, standing_of, stored_plan
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
    An index order that had ended keeps what it got, and is stuck. A rebalance
    trades it out of its index, whose basket is what is held then.

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
    short = _shortage(ledger, recalls, parties) or _not_at_rest(connection, parties)
    if short:
        return short
    for part in parts:
        amounts, owner = recalls[part.index_order_id], parties[part.index_order_id]
        if owner.is_rebalance:
            cash = amounts.pop(owner.quote, ZERO)
            ledger.post(wave(owner, order.plan_id, amounts, cash, at=now, late=fill.key))
        elif amounts:
            ledger.post(recall(owner, fill, part, amounts, order.intent.asset, at=now))
    book_fill(connection, log, fill, parts, parties, order.intent.asset, prices)
    add_late_fill(connection, fill, now)
    for part in parts:
        if parties[part.index_order_id].is_rebalance:
            state = rebalance_state(connection, part.index_order_id)
            bring_back(connection, state, stored_plan(connection, order.plan_id), now)
        else:
            _reopen(connection, part.index_order_id, now)
    return ""


def _not_at_rest(connection: Connection, parties: Mapping[int, Parties]) -> str:
    """Say that a basket which a rebalance is to change is being traded now; empty when none is."""
    busy = {owner.index_id for owner in parties.values() if owner.is_rebalance} & indices_in_flight(connection)
    return f"orders of index {min(busy)} are in flight" if busy else ""


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
    """Say which treasury, or index, does not hold what is recalled from it; empty when all do."""
    wanted: dict[tuple[str, str], Decimal] = {}
    for number, amounts in recalls.items():
        for asset, amount in amounts.items():
            at = _source(parties[number]), asset
            wanted[at] = wanted.get(at, ZERO) + amount
    for (source, asset), amount in sorted(wanted.items()):
        held = ledger.balance(source, asset)
        if held < amount:
            kind, _, name = source.partition(":")
            whose = f"the treasury of {name}" if kind == "treasury" else f"index {name}"
            return f"it took {plain(amount)} {asset}, {whose} holds {plain(held)}"
    return ""


def _source(owner: Parties) -> str:
    """Return where that is which an order had given back: with its holder, or in the index that is rebalanced."""
    return owner.index if owner.is_rebalance else accounts.treasury(owner.holder)


def _reopen(connection: Connection, order_id: int, now: datetime) -> None:
    """Show that an index order which had ended holds something again."""
    status, stops = standing_of(connection, order_id)
    if status.is_final and status is not IndexOrderStatus.STUCK:
        move_index_order(connection, order_id, IndexOrderStatus.STUCK, stopped_by=stops, now=now)
