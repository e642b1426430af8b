"""The books of a backtest: the same transactions, lots and chain as a fund's, in memory, audited at the end.

The audit trusts nothing that was computed on the way: it reads the chain from its
beginning, makes every hash again, and follows balances, lots, units and baskets by
what the transactions themselves say.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import NamedTuple

from etf_trader.errors import LedgerError, UnbalancedTransaction
from etf_trader.ledger import accounts
from etf_trader.ledger.lots import LotBook
from etf_trader.ledger.transaction import LotMove, Posting, Transaction, chain_hash
from etf_trader.money import ZERO, plain

GENESIS = "0" * 64
ACCOUNT = 1

BASKET = "basket"
"""The fact of a transaction that puts a basket in force: quantities per unit by asset, cash among them."""


class Entry(NamedTuple):
    """A transaction as it stands in the chain."""

    sequence: int
    key: str
    kind: str
    at: datetime
    narration: str
    evidence: str
    postings: tuple[Posting, ...]
    previous: str
    hash: str

    def expected_hash(self) -> str:
        """Return the hash that its content makes."""
        return chain_hash(
            account_id=ACCOUNT,
            sequence=self.sequence,
            key=self.key,
            kind=self.kind,
            at=self.at,
            index_order_id=None,
            narration=self.narration,
            evidence=self.evidence,
            postings=list(self.postings),
            previous=self.previous,
        )


@dataclass(frozen=True, slots=True)
class Audit:
    """What was checked, and what is off; `head` is the hash of the last transaction."""

    transactions: int
    postings: int
    fills: int
    head: str
    findings: tuple[str, ...]


class Journal:
    """A chain of transactions with the balances and lots that they make."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self.balances: dict[tuple[str, str], Decimal] = {}
        self.lots = LotBook()
        self._keys: set[str] = set()

    @property
    def head(self) -> str:
        """The hash of the last transaction."""
        return self.entries[-1].hash if self.entries else GENESIS

    def post(self, transaction: Transaction) -> None:
        """Write a transaction.

        Raises:
            UnbalancedTransaction: the postings of some asset do not sum to zero.
            LedgerError: its key is in the books, or lots do not suffice.
        """
        if residual := transaction.residual():
            raise UnbalancedTransaction(f"{transaction.key} is off by {residual}")
        if transaction.key in self._keys:
            raise LedgerError(f"{transaction.key} is in the books", where=transaction.key)
        self._keys.add(transaction.key)
        sequence = len(self.entries) + 1
        evidence, previous = transaction.evidence(), self.head
        sealed = chain_hash(
            account_id=ACCOUNT,
            sequence=sequence,
            key=transaction.key,
            kind=transaction.kind,
            at=transaction.at,
            index_order_id=None,
            narration=transaction.narration,
            evidence=evidence,
            postings=list(transaction.postings),
            previous=previous,
        )
        for posting in transaction.postings:
            at = (posting.account, posting.asset)
            self.balances[at] = self.balances.get(at, ZERO) + posting.amount
        for move in transaction.lot_moves:
            self.lots.apply(move, transaction.at, sequence)
        self.lots.forget_changes()
        self.entries.append(
            Entry(
                sequence,
                transaction.key,
                transaction.kind,
                transaction.at,
                transaction.narration,
                evidence,
                transaction.postings,
                previous,
                sealed,
            )
        )

    def balance(self, account: str, asset: str) -> Decimal:
        """Return what `account` holds of `asset`."""
        return self.balances.get((account, asset), ZERO)

    def holdings(self, account: str) -> dict[str, Decimal]:
        """Return everything that `account` holds, by asset, zeros left out."""
        return {asset: amount for (of, asset), amount in self.balances.items() if of == account and amount}


def audit(journal: Journal, index_id: int) -> Audit:
    """Read the chain from its beginning and compare what follows from it with what the journal says.

    At every basket, and at the end, the index holds exactly units x basket; no
    account inside is ever overdrawn; lots are what the account holds.
    """
    replay = _Replay(index_id)
    for entry in journal.entries:
        replay.follow(entry)
    if replay.balances != journal.balances:
        replay.findings.append("balances are not what the postings sum to")
    replay.check_lots(journal.lots)
    replay.check_basket("the end")
    return Audit(
        transactions=len(journal.entries),
        postings=sum(len(entry.postings) for entry in journal.entries),
        fills=sum(entry.kind == "fill" for entry in journal.entries),
        head=journal.head,
        findings=tuple(replay.findings),
    )


class _Replay:
    """The books as they follow from the chain alone."""

    def __init__(self, index_id: int) -> None:
        self.index, self.unit = accounts.index(index_id), accounts.unit(index_id)
        self.issued = accounts.issued(index_id)
        self.balances: dict[tuple[str, str], Decimal] = {}
        self.held: dict[str, Decimal] = {}
        self.lots = LotBook()
        self.basket: Mapping[str, Decimal] = {}
        self.previous = GENESIS
        self.findings: list[str] = []

    def follow(self, entry: Entry) -> None:
        """Take the next transaction of the chain."""
        where = f"transaction {entry.sequence} ({entry.key})"
        if entry.previous != self.previous:
            self.findings.append(f"{where} does not follow the one before it")
        if entry.hash != entry.expected_hash():
            self.findings.append(f"{where}: its content does not match its hash")
        self.previous = entry.hash
        self._follow_postings(entry, where)
        evidence = json.loads(entry.evidence)
        try:
            for values in evidence["lots"]:
                self.lots.apply(LotMove.from_list(values), entry.at, entry.sequence)
        except LedgerError as error:
            self.findings.append(f"{where}: its lots cannot be followed: {error}")
        if (stated := evidence["facts"].get(BASKET)) is not None:
            self.basket = {asset: Decimal(quantity) for asset, quantity in stated.items()}
            self.check_basket(where)

    def _follow_postings(self, entry: Entry, where: str) -> None:
        sums: dict[str, Decimal] = {}
        for posting in entry.postings:
            at = (posting.account, posting.asset)
            sums[posting.asset] = sums.get(posting.asset, ZERO) + posting.amount
            self.balances[at] = self.balances.get(at, ZERO) + posting.amount
        self.findings += [f"{where}: {asset} is off by {plain(off)}" for asset, off in sums.items() if off]
        for posting in entry.postings:
            amount = self.balances[posting.account, posting.asset]
            if amount < 0 and accounts.is_inside(posting.account):
                self.findings.append(f"{where}: {posting.account} is overdrawn: {plain(amount)} {posting.asset}")

    def check_basket(self, where: str) -> None:
        """Compare what the index holds with units x basket."""
        units = -self.balances.get((self.issued, self.unit), ZERO)
        held = {asset: amount for (of, asset), amount in self.balances.items() if of == self.index and amount}
        due = {asset: quantity * units for asset, quantity in self.basket.items() if quantity}
        for asset in sorted(held.keys() | due.keys()):
            if held.get(asset, ZERO) != due.get(asset, ZERO):
                self.findings.append(
                    f"{where}: the index holds {plain(held.get(asset, ZERO))} {asset}, "
                    f"{plain(units)} units of its basket are {plain(due.get(asset, ZERO))}"
                )

    def check_lots(self, kept: LotBook) -> None:
        """Compare the lots with the accounts, with what the journal kept, and disposals with theirs."""
        for (account, asset), amount in self.balances.items():
            if accounts.is_unit(asset) or not account.startswith(("index:", "float:")):
                continue
            quantity, cost = self.lots.quantity(account, asset), self.lots.cost(account, asset)
            if quantity and quantity != amount:
                self.findings.append(
                    f"lots of {account} hold {plain(quantity)} {asset}, the account {plain(amount)}"
                )
            if (kept.quantity(account, asset), kept.cost(account, asset)) != (quantity, cost):
                self.findings.append(f"lots of {account} in {asset} are not what the chain makes them")
        if [(each.quantity, each.gain) for each in kept.disposals] != [
            (each.quantity, each.gain) for each in self.lots.disposals
        ]:
            self.findings.append("disposals are not what the chain makes them")
