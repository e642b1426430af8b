"""The part of the audit that compares rows with their seals, with each other and with the chain."""

import json
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal

from sqlalchemy import Connection, Row, select

from etf_trader.index.fees import list_accruals
from etf_trader.index.marks import list_marks
from etf_trader.index.store import list_baskets
from etf_trader.ledger.booking import fill_booking
from etf_trader.ledger.corrections import difference_booking, difference_facts, difference_key
from etf_trader.ledger.fill import Allocation, Fill, fill_from
from etf_trader.ledger.late import late_fill_seals
from etf_trader.ledger.parties import Parties, parties_by_order
from etf_trader.ledger.repository import Account
from etf_trader.ledger.tables import allocations, differences, fills
from etf_trader.ledger.transaction import Posting
from etf_trader.ledger.values_audit import audit_values
from etf_trader.market.document import market_hash
from etf_trader.money import ZERO, plain
from etf_trader.orders.asset_order import AssetOrder
from etf_trader.orders.index_order import IndexOrder
from etf_trader.orders.rebalances import list_rebalances
from etf_trader.orders.store import list_asset_orders, list_index_orders, list_markets, list_plans
from etf_trader.orders.tables import shares

Find = Callable[[str, str], None]
Rows = Sequence[Row[tuple[object, ...]]]


def audit_rows(
    connection: Connection,
    account: Account,
    chain: Rows,
    lines: Mapping[int, Rows],
    find: Find,
) -> int:
    """Check baskets, orders, plans, asset orders, fills and allocations; return how many fills there are."""
    orders = {order.id: order for order in list_index_orders(connection, account_id=account.id)}
    arrivals = {number: order.arrival for number, order in orders.items()}
    for rebalance in list_rebalances(connection, account_id=account.id):
        arrivals[rebalance.id] = rebalance.arrival
        if rebalance.seal != rebalance.request.seal():
            find(f"rebalance {rebalance.id}", "what was accepted does not match its seal")
    sent = {order.id: order for order in list_asset_orders(connection) if order.index_order_id in arrivals}
    for basket in list_baskets(connection):
        if basket.seal != basket.facts_seal():
            find(f"basket {basket.version} of index {basket.index_id}", "its content does not match its seal")
    audit_values(connection, account, find)
    for accrual in list_accruals(connection):
        if accrual.seal != accrual.facts_seal():
            find(f"fee of index {accrual.index_id}", "how far it was taken does not match its seal")
    for mark in list_marks(connection):
        if mark.seal != mark.facts_seal():
            find(f"mark {mark.id} of {mark.asset}", "what was said does not match its seal")
    for plan in list_plans(connection):
        if plan.index_order_id in arrivals and plan.seal != plan.facts_seal():
            find(f"plan {plan.id}", "its content does not match its seal")
    for book_hash, market in list_markets(connection):
        if market_hash(market) != book_hash:
            find(f"market {book_hash[:12]}", "the books and rules that plans were made on do not match their hash")
    _check_orders(orders, chain, find)
    _check_asset_orders(sent, arrivals, find)
    _check_shares(connection, sent, find)
    _check_differences(connection, account, chain, find)
    parties = parties_by_order(connection, arrivals)
    return _check_fills(connection, account, parties, sent, chain, lines, find)


def _check_orders(orders: Mapping[int, IndexOrder], chain: Rows, find: Find) -> None:
    credited: dict[int, Decimal] = {}
    for row in chain:
        if row.kind in ("credit", "settle"):
            units = Decimal(json.loads(row.evidence)["facts"]["units"])
            credited[row.index_order_id] = credited.get(row.index_order_id, ZERO) + units
    for order in orders.values():
        entry = f"index order {order.id}"
        if order.seal != order.facts_seal():
            find(entry, "what was accepted does not match its seal")
        if order.entered_seal != order.facts_entered_seal():
            find(entry, "what has entered its basket since does not match its seal")
        if order.filled != credited.get(order.id, ZERO):
            find(
                entry,
                f"it is filled by {plain(order.filled)}, the chain has {plain(credited.get(order.id, ZERO))}",
            )


def _check_asset_orders(
    sent: Mapping[int, AssetOrder], arrivals: Mapping[int, Mapping[str, Decimal]], find: Find
) -> None:
    for asset_order in sent.values():
        entry = f"asset order {asset_order.id} ({asset_order.intent.client_order_id})"
        intent = asset_order.intent
        if asset_order.seal != intent.seal(asset_order.plan_id, asset_order.index_order_id):
            find(entry, "its intent does not match its seal")
        if asset_order.end_seal != (asset_order.facts_end_seal() if asset_order.status.is_final else None):
            find(entry, "what became of it does not match its seal")
        arrival = arrivals[asset_order.index_order_id].get(intent.asset)
        if arrival != intent.arrival_mid:
            find(entry, f"its arrival mid is {plain(intent.arrival_mid)}, its order's is another")


def _check_shares(connection: Connection, sent: Mapping[int, AssetOrder], find: Find) -> None:
    seals = {
        (row.asset_order_id, row.index_order_id): row.seal
        for row in connection.execute(select(shares.c.asset_order_id, shares.c.index_order_id, shares.c.seal))
    }
    for order in sent.values():
        entry = f"asset order {order.id} ({order.intent.client_order_id})"
        for share in order.shares:
            if seals[order.id, share.index_order_id] != share.seal(order.intent.client_order_id):
                find(entry, f"the share of order {share.index_order_id} does not match its seal")
        if sum((share.quantity for share in order.shares), ZERO) != order.intent.quantity:
            find(entry, "its shares do not add up to its quantity")


def _check_fills(
    connection: Connection,
    account: Account,
    parties: Mapping[int, Parties],
    sent: Mapping[int, AssetOrder],
    chain: Rows,
    lines: Mapping[int, Rows],
    find: Find,
) -> int:
    booked = {row.key: row for row in chain if row.kind == "fill"}
    executed: dict[int, list[Fill]] = {}
    found_late: dict[int, list[Fill]] = {}
    late = late_fill_seals(connection)
    parts = _allocations(connection, find)
    rows = connection.execute(select(fills).where(fills.c.account_id == account.id).order_by(fills.c.id)).all()
    for row in rows:
        fill = fill_from(row)
        entry = f"fill {row.id} (trade {fill.trade_id} of {fill.symbol})"
        known = late.get(row.id)
        (executed if known is None else found_late).setdefault(fill.asset_order_id, []).append(fill)
        if known is not None and known[1] != known[0].seal(row.seal):
            find(entry, "that it was found late does not match its seal")
        if row.seal != fill.seal():
            find(entry, "its content does not match its seal")
        _check_parts(entry, fill, parts.get(row.id, []), find)
        transaction = booked.pop(fill.key, None)
        order = sent.get(fill.asset_order_id)
        if transaction is None or order is None:
            find(entry, "it has no transaction in the chain" if transaction is None else "it has no asset order")
            continue
        own = [(parties[part.index_order_id], part.part) for part in parts.get(row.id, [])]
        expected = fill_booking(fill, own, order.intent.asset)
        made = tuple(Posting(line.account, line.asset, line.amount) for line in lines.get(transaction.id, ()))
        if made != expected.postings or transaction.evidence != expected.evidence():
            find(entry, "its transaction books something else")
    for key in booked:
        find(f"transaction {key}", "it books a fill that is not there")
    for order in sent.values():
        _check_executed(order, executed.get(order.id, []), found_late.get(order.id, []), find)
    return len(rows)


def _check_differences(connection: Connection, account: Account, chain: Rows, find: Find) -> None:
    """Check that what a person booked is in the chain, and what the chain has is marked as booked."""
    booked = {row.key: row for row in chain if row.key.startswith("difference:")}
    for row in connection.execute(select(differences).where(differences.c.account_id == account.id)):
        entry = f"difference {row.id} ({row.asset})"
        transaction = booked.pop(difference_key(row.id), None)
        if (row.transaction_key is None) != (transaction is None):
            find(entry, "it is booked in one place and not in the other: its row, or the chain")
        elif transaction is not None:
            said = difference_facts(row)
            booking = difference_booking(
                row.id, row.holder, row.asset, row.difference, row.booked_as, said, at=row.booked_at
            )
            if (transaction.kind, transaction.evidence, transaction.narration, transaction.at) != (
                booking.kind,
                booking.evidence(),
                booking.narration,
                booking.at,
            ):
                find(entry, "its transaction books something else")
    for key in booked:
        find(f"transaction {key}", "it books a difference that is not there")


def _check_parts(entry: str, fill: Fill, parts: Sequence[Allocation], find: Find) -> None:
    for name in ("quantity", "value", "fee", "fee_value"):
        whole = getattr(fill, name) or ZERO
        shared = sum((getattr(part, name) or ZERO for part in parts), ZERO)
        if shared != whole:
            find(entry, f"its allocations share out {plain(shared)} of its {name} of {plain(whole)}")
    if fill.value != fill.price * fill.quantity:
        find(entry, f"its value is {plain(fill.value)}, price x quantity is {plain(fill.price * fill.quantity)}")


def _check_executed(order: AssetOrder, own: Sequence[Fill], late: Sequence[Fill], find: Find) -> None:
    """Check what an order executed by its sealed end against `own`; what was found `late` stands beside it."""
    entry = f"asset order {order.id} ({order.intent.client_order_id})"
    if not order.status.is_final:
        return
    for name, column in (("executed_quantity", "quantity"), ("executed_value", "value")):
        total = sum((getattr(fill, column) for fill in own), ZERO)
        if getattr(order, name) != total:
            find(entry, f"its {name} is {plain(getattr(order, name))}, its fills sum to {plain(total)}")
    whole = order.executed_quantity == order.intent.quantity
    if whole != order.status.is_whole:
        find(entry, f"it is {order.status} with {plain(order.executed_quantity)} executed")
    names = {fill.venue_order_id for fill in (*own, *late)}
    if any(fill.venue_order_id != order.venue_order_id for fill in own) or len(names) > 1:
        find(entry, "its fills belong to another order at the venue")
    if sum((fill.quantity for fill in (*own, *late)), ZERO) > order.intent.quantity:
        find(entry, "its fills are more than it was for")


def _allocations(connection: Connection, find: Find) -> dict[int, list[Allocation]]:
    grouped: dict[int, list[Allocation]] = {}
    for row in connection.execute(select(allocations)):
        part = Allocation(row.fill_id, row.index_order_id, row.quantity, row.value, row.fee, row.fee_value)
        if part.seal() != row.seal:
            find(
                f"allocation of fill {row.fill_id} to order {row.index_order_id}",
                "its content does not match its seal",
            )
        grouped.setdefault(row.fill_id, []).append(part)
    return grouped
