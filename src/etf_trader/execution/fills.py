"""A fill becomes part of the books: its row, its one transaction, and what is told of it."""

from collections.abc import Mapping, Sequence

from sqlalchemy import Connection

from etf_trader.events import EventLog, FillBooked
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
) -> None:
    """Book a fill to the index orders whose parts it is, once: one that is known changes nothing.

    Args:
        parties: Whose books are touched, by index order.
        asset: The base of the fill's symbol.
    """
    if not add_fill(connection, fill, parts):
        return
    shares = [(parties[part.index_order_id], part) for part in parts]
    Ledger(connection, fill.account_id).post(fill_booking(fill, shares, asset))
    for part in parts:
        log.record(connection, FillBooked(part.index_order_id, fill.symbol, part.quantity, fill.price), fill.at)
