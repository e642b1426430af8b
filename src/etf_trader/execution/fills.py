"""A fill becomes part of the books: its row, its one transaction, and what is told of it."""

from collections.abc import Mapping, Sequence
from decimal import Decimal

from sqlalchemy import Connection

from etf_trader.events import EventLog, FillBooked
from etf_trader.execution.fee_inventory import affordable, is_foreign, supply, valued
from etf_trader.ledger.booking import fill_booking
from etf_trader.ledger.fill import Fill, Part, add_fill
from etf_trader.ledger.parties import Parties
from etf_trader.ledger.repository import Ledger


def book_fill(
    connection: Connection,
    log: EventLog,
    fill: Fill,
    parts: Sequence[Part],
    parties: Mapping[int, Parties],
    asset: str,
    prices: Mapping[str, Decimal] | None = None,
) -> None:
    """Book a fill to the index orders whose parts it is, once: one that is known changes nothing.

    Args:
        parties: Whose books are touched, by index order.
        asset: The base of the fill's symbol.
        prices: What an asset is worth that fees were paid in beside base and quote, in the fill's quote.

    Raises:
        LedgerError: the fee was taken in an asset of which the inventory has too little.
    """
    ledger, is_paid_apart = Ledger(connection, fill.account_id), is_foreign(fill, asset)
    price = (prices or {}).get(fill.fee_asset)
    if is_paid_apart and price is not None:
        fill, parts = affordable(connection, fill, valued(parts, price), parties, asset)
    if not add_fill(connection, fill, parts):
        return
    if is_paid_apart and price is not None:
        supply(ledger, fill, price)
    shares = [(parties[part.index_order_id], part) for part in parts]
    ledger.post(fill_booking(fill, shares, asset))
    for part in parts:
        log.record(connection, FillBooked(part.index_order_id, fill.symbol, part.quantity, fill.price), fill.at)
