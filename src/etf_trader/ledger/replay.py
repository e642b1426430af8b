"""The books as the chain makes them up to a moment: the replay that the audit proves rows by.

A transaction counts from when it was booked on: the latest time that it or any
before it in the chain carries. What was found late is dated earlier than it was
known; so the books of a moment are always books that there once were.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import Connection, Row, select

from etf_trader.ledger.accounts import index, issued, unit
from etf_trader.ledger.baskets import WAVE
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
    """What every account holds and which lots there are after some entries; `head` is the hash of the last.

    `versions` are the baskets in force, by index, where it is not the first; `away`
    is what a wave of a rebalance has taken out of an index to trade.
    """

    balances: dict[tuple[str, str], Decimal] = field(default_factory=dict)
    lots: LotBook = field(default_factory=LotBook)
    versions: dict[int, int] = field(default_factory=dict)
    away: dict[int, dict[str, Decimal]] = field(default_factory=dict)
    head: str = GENESIS

    def apply(self, entry: Entry) -> None:
        """Book one entry more, the next of the chain."""
        for posting in entry.postings:
            at = (posting.account, posting.asset)
            self.balances[at] = self.balances.get(at, ZERO) + posting.amount
        for move in entry.moves:
            self.lots.apply(move, entry.at, entry.sequence)
        follow_basket(self.versions, self.away, entry.kind, entry.facts, entry.postings)
        self.head = entry.hash

    def index_holdings(self, index_id: int) -> dict[str, Decimal]:
        """Return what an index holds, what a wave has taken out of it to trade included."""
        held = self.holdings(index(index_id))
        for asset, amount in self.away.get(index_id, {}).items():
            held[asset] = held.get(asset, ZERO) + amount
        return held

    def holdings(self, account: str) -> dict[str, Decimal]:
        """Return everything that `account` holds, by asset, zeros left out."""
        return {asset: amount for (name, asset), amount in self.balances.items() if name == account and amount}

    def units_in_baskets(self, index_id: int) -> Decimal:
        """Return the units that whole baskets lie in an index for: those being redeemed have been given out."""
        name, issuer = unit(index_id), issued(index_id)
        counted = (
            amount
            for (account, asset), amount in self.balances.items()
            if asset == name and (account == issuer or account.startswith("redeemed:"))
        )
        return -sum(counted, ZERO)


def follow_basket(
    versions: dict[int, int],
    away: dict[int, dict[str, Decimal]],
    kind: str,
    facts: Mapping[str, Any],
    lines: Iterable[Posting | Row[Any]],
) -> None:
    """Take note of the basket that a transaction puts in force, and of what a wave takes out of an index."""
    if kind == WAVE:
        number = int(facts["index"])
        out = away.setdefault(number, {})
        for line in lines:
            if line.account == index(number):
                out[line.asset] = out.get(line.asset, ZERO) - line.amount
    if "basket" in facts:
        number = int(facts["index"])
        versions[number] = int(facts["basket"])
        away.pop(number, None)


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
