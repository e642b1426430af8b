"""The books as the chain makes them up to a moment: the replay that the audit proves rows by.

A transaction counts from when it was booked on: the latest time that it or any
before it in the chain carries. What was found late is dated earlier than it was
known; so the books of a moment are always books that there once were.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import Connection, select

from etf_trader.ledger.lots import LotBook
from etf_trader.ledger.repository import GENESIS
from etf_trader.ledger.tables import postings, transactions
from etf_trader.ledger.transaction import LotMove, Posting
from etf_trader.money import ZERO


@dataclass(frozen=True, slots=True)
class Entry:
    """A transaction of the chain, as it stands there; `booked_at` is when it came to count."""

    sequence: int
    key: str
    kind: str
    at: datetime
    booked_at: datetime
    order: int | None
    narration: str
    facts: Mapping[str, Any]
    moves: tuple[LotMove, ...]
    postings: tuple[Posting, ...]
    balances: tuple[Decimal, ...]
    previous_hash: str
    hash: str


@dataclass(slots=True)
class Books:
    """What every account holds and which lots there are after some entries; `head` is the hash of the last."""

    balances: dict[tuple[str, str], Decimal] = field(default_factory=dict)
    lots: LotBook = field(default_factory=LotBook)
    head: str = GENESIS

    def apply(self, entry: Entry) -> None:
        """Book one entry more, the next of the chain."""
        for posting in entry.postings:
            at = (posting.account, posting.asset)
            self.balances[at] = self.balances.get(at, ZERO) + posting.amount
        for move in entry.moves:
            self.lots.apply(move, entry.at, entry.sequence)
        self.head = entry.hash

    def holdings(self, account: str) -> dict[str, Decimal]:
        """Return everything that `account` holds, by asset, zeros left out."""
        return {asset: amount for (name, asset), amount in self.balances.items() if name == account and amount}

    def units_outstanding(self, issued_account: str, unit: str) -> Decimal:
        """Return the units that were created and not cancelled, those being redeemed included."""
        return -self.balances.get((issued_account, unit), ZERO)


def entries(connection: Connection, account_id: int) -> Iterator[Entry]:
    """Yield the chain of an account from its beginning."""
    lines: dict[int, list[tuple[Posting, Decimal]]] = {}
    query = (
        select(postings)
        .join(transactions, transactions.c.id == postings.c.transaction_id)
        .where(transactions.c.account_id == account_id)
        .order_by(postings.c.transaction_id, postings.c.line)
    )
    for row in connection.execute(query):
        said = Posting(row.account, row.asset, row.amount), row.balance
        lines.setdefault(row.transaction_id, []).append(said)
    chain = select(transactions).where(transactions.c.account_id == account_id).order_by(transactions.c.sequence)
    booked_at: datetime | None = None
    for row in connection.execute(chain):
        evidence = json.loads(row.evidence)
        own = lines.get(row.id, [])
        booked_at = row.at if booked_at is None else max(booked_at, row.at)
        yield Entry(
            sequence=row.sequence,
            key=row.key,
            kind=row.kind,
            at=row.at,
            booked_at=booked_at,
            order=row.index_order_id,
            narration=row.narration,
            facts=evidence["facts"],
            moves=tuple(LotMove.from_list(values) for values in evidence["lots"]),
            postings=tuple(posting for posting, _ in own),
            balances=tuple(balance for _, balance in own),
            previous_hash=row.previous_hash,
            hash=row.hash,
        )


def books_before(connection: Connection, account_id: int, moment: datetime | None = None) -> Books:
    """Return the books of an account as they stood just before `moment`; None: as they stand."""
    books = Books()
    for entry in entries(connection, account_id):
        if moment is not None and entry.booked_at >= moment:
            break
        books.apply(entry)
    return books
