"""The ledger as rows: transactions are written once, in a chain, with running balances and lots."""

import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from sqlalchemy import Connection, bindparam, insert, select, update

from etf_trader.database import Database, insert_row
from etf_trader.errors import LedgerError, NotFound, UnbalancedTransaction
from etf_trader.index.store import change_position
from etf_trader.ledger.accounts import is_inside, is_unit, position_of
from etf_trader.ledger.lots import LotBook
from etf_trader.ledger.stored_lots import StoredLots, write_lots
from etf_trader.ledger.tables import (
    IS_HELD,
    accounts,
    balances,
    holders,
    incarnations,
    postings,
    transactions,
)
from etf_trader.ledger.transaction import Posting, Transaction, chain_hash
from etf_trader.money import ZERO

GENESIS = "0" * 64


@dataclass(frozen=True, slots=True)
class Account:
    """What the venue's limits and balances belong to."""

    id: int
    environment: str
    uid: str
    era: str
    transfers_seen: int
    created_at: datetime

    @property
    def name(self) -> str:
        """How it is told from the others: `paper`, and `paper:two` for another one there."""
        return self.environment if self.uid == self.environment else f"{self.environment}:{self.uid}"


class Ledger:
    """The books of one account, inside the transaction that the caller has opened."""

    def __init__(self, connection: Connection, account_id: int) -> None:
        self._connection = connection
        self.account_id = account_id

    def post(self, transaction: Transaction) -> bool:
        """Write `transaction`, once, and return whether it was new.

        A crash between a fill and its booking is cured by replaying the fill, so
        a key that is already in the books is left as it is.

        Raises:
            UnbalancedTransaction: the postings of some asset do not sum to zero.
            LedgerError: the key is in the books with other content, or lots do not suffice.
        """
        if residual := transaction.residual():
            raise UnbalancedTransaction(f"{transaction.key} is off by {residual}")
        self._serialise()
        evidence = transaction.evidence()
        known = self._connection.execute(
            select(transactions.c.id, transactions.c.kind, transactions.c.evidence).where(
                transactions.c.account_id == self.account_id, transactions.c.key == transaction.key
            )
        ).one_or_none()
        if known is not None:
            if (known.kind, known.evidence, self._lines(known.id)) != (
                transaction.kind,
                evidence,
                transaction.postings,
            ):
                raise LedgerError(f"{transaction.key} is in the books with other content", where=transaction.key)
            return False
        sequence, transaction_id = self._append(transaction, evidence)
        self._post_balances(transaction_id, transaction.postings)
        self._post_lots(transaction_id, sequence, transaction)
        return True

    def has(self, key: str) -> bool:
        """Return whether a transaction with this key is in the books."""
        query = select(transactions.c.id).where(
            transactions.c.account_id == self.account_id, transactions.c.key == key
        )
        return self._connection.execute(query).one_or_none() is not None

    def balance(self, account: str, asset: str) -> Decimal:
        """Return what `account` holds of `asset`."""
        amount: Decimal | None = self._connection.scalar(
            select(balances.c.amount).where(
                balances.c.account_id == self.account_id,
                balances.c.account == account,
                balances.c.asset == asset,
            )
        )
        return ZERO if amount is None else amount

    def holdings(self, account: str) -> dict[str, Decimal]:
        """Return everything that `account` holds, by asset, zeros left out."""
        rows = self._connection.execute(
            select(balances.c.asset, balances.c.amount)
            .where(balances.c.account_id == self.account_id, balances.c.account == account)
            .order_by(balances.c.asset)
        )
        return {asset: amount for asset, amount in rows if amount}

    def lot_book(self) -> LotBook:
        """Return the lots as they stand, to compute with; changes to it are not written."""
        return LotBook(StoredLots(self._connection, self.account_id))

    def units_outstanding(self, issued_account: str, unit: str) -> Decimal:
        """Return the units that were created and not cancelled, those being redeemed included."""
        return -self.balance(issued_account, unit)

    def _serialise(self) -> None:
        # One chain has one end: on a server the account's row is the lock (SQLite has BEGIN IMMEDIATE).
        if self._connection.dialect.name == "postgresql":
            self._connection.execute(
                select(accounts.c.id).where(accounts.c.id == self.account_id).with_for_update()
            ).one()

    def _lines(self, transaction_id: int) -> tuple[Posting, ...]:
        query = select(postings).where(postings.c.transaction_id == transaction_id).order_by(postings.c.line)
        return tuple(Posting(row.account, row.asset, row.amount) for row in self._connection.execute(query))

    def _append(self, transaction: Transaction, evidence: str) -> tuple[int, int]:
        last = self._connection.execute(
            select(transactions.c.sequence, transactions.c.hash)
            .where(transactions.c.account_id == self.account_id)
            .order_by(transactions.c.sequence.desc())
            .limit(1)
        ).one_or_none()
        sequence, previous = (1, GENESIS) if last is None else (last.sequence + 1, last.hash)
        row = {
            "account_id": self.account_id,
            "sequence": sequence,
            "key": transaction.key,
            "kind": transaction.kind,
            "at": transaction.at,
            "index_order_id": transaction.index_order_id,
            "narration": transaction.narration,
            "evidence": evidence,
            "previous_hash": previous,
            "hash": chain_hash(
                account_id=self.account_id,
                sequence=sequence,
                key=transaction.key,
                kind=transaction.kind,
                at=transaction.at,
                index_order_id=transaction.index_order_id,
                narration=transaction.narration,
                evidence=evidence,
                postings=list(transaction.postings),
                previous=previous,
            ),
        }
        return sequence, insert_row(self._connection, transactions, row)

    def _post_balances(self, transaction_id: int, lines: Iterable[Posting]) -> None:
        lines = list(lines)
        known = self._balances_of(lines)
        running = dict(known)
        rows = []
        for line, posting in enumerate(lines, start=1):
            at = (posting.account, posting.asset)
            running[at] = running.get(at, ZERO) + posting.amount
            rows.append(
                {
                    "transaction_id": transaction_id,
                    "line": line,
                    "account": posting.account,
                    "asset": posting.asset,
                    "amount": posting.amount,
                    "balance": running[at],
                }
            )
        if rows:
            self._connection.execute(insert(postings), rows)
        mine = {"account_id": self.account_id}
        new = [
            {**mine, "account": account, "asset": asset, "amount": amount}
            for (account, asset), amount in running.items()
            if (account, asset) not in known
        ]
        if new:
            self._connection.execute(insert(balances), new)
        changed = [
            {"of_account": account, "of_asset": asset, "amount": running[account, asset]}
            for account, asset in known
        ]
        if changed:
            self._connection.execute(
                update(balances).where(
                    balances.c.account_id == self.account_id,
                    balances.c.account == bindparam("of_account"),
                    balances.c.asset == bindparam("of_asset"),
                ),
                changed,
            )

    def _balances_of(self, lines: list[Posting]) -> dict[tuple[str, str], Decimal]:
        """Return the balances that exist of the accounts and assets in `lines`."""
        rows = self._connection.execute(
            select(balances.c.account, balances.c.asset, balances.c.amount).where(
                balances.c.account_id == self.account_id,
                balances.c.account.in_({line.account for line in lines}),
                balances.c.asset.in_({line.asset for line in lines}),
            )
        )
        wanted = {(line.account, line.asset) for line in lines}
        return {(row.account, row.asset): row.amount for row in rows if (row.account, row.asset) in wanted}

    def _post_lots(self, transaction_id: int, sequence: int, transaction: Transaction) -> None:
        book = self.lot_book()
        for move in transaction.lot_moves:
            book.apply(move, transaction.at, sequence)
        write_lots(self._connection, self.account_id, transaction_id, book)
        for (account, _), (quantity, cost) in book.differences.items():
            if (number := position_of(account)) is not None:
                change_position(self._connection, number, quantity, cost)


def account_of(connection: Connection, environment: str, uid: str) -> Account | None:
    """Return the account of this venue login; None before `init`."""
    row = connection.execute(
        select(accounts).where(accounts.c.environment == environment, accounts.c.uid == uid)
    ).one_or_none()
    return None if row is None else Account(**row._mapping)


def list_accounts(connection: Connection) -> list[Account]:
    """Return all accounts of the database."""
    return [Account(**row._mapping) for row in connection.execute(select(accounts).order_by(accounts.c.id))]


def add_account(connection: Connection, environment: str, uid: str, era: str, now: datetime) -> Account:
    """Write a new account."""
    row = {"environment": environment, "uid": uid, "era": era, "transfers_seen": 0, "created_at": now}
    return Account(insert_row(connection, accounts, row), environment, uid, era, 0, now)


def set_transfers_seen(connection: Connection, account_id: int, sequence: int) -> None:
    """Remember up to which transfer the venue's record has been booked."""
    connection.execute(update(accounts).where(accounts.c.id == account_id).values(transfers_seen=sequence))


def find_holder(connection: Connection, name: str) -> int | None:
    """Return the number of a holder; None when nobody of this name has had an order."""
    found: int | None = connection.scalar(select(holders.c.id).where(holders.c.name == name))
    return found


def require_known(connection: Connection, account_id: int, name: str) -> None:
    """Check that a holder has ever had money or an order in this account.

    Raises:
        NotFound: nobody of this name has; names who has.
    """
    prefix = "treasury:"
    query = select(balances.c.account).where(
        balances.c.account_id == account_id, balances.c.account.startswith(prefix)
    )
    known = sorted({account.removeprefix(prefix) for account in connection.scalars(query)})
    if name not in known and find_holder(connection, name) is None:
        listing = (
            f"known: {', '.join(known[:10])}" if known else "etf treasury deposit 1000 --holder NAME makes one"
        )
        raise NotFound(f"there is no holder {name!r}", where="--holder", hint=listing)


def holder_id(connection: Connection, name: str, now: datetime) -> int:
    """Return the number of a holder, who is written down at the first mention."""
    found = find_holder(connection, name)
    return found if found is not None else insert_row(connection, holders, {"name": name, "created_at": now})


def holder_name(connection: Connection, number: int) -> str:
    """Return the name of a holder."""
    name: str = connection.execute(select(holders.c.name).where(holders.c.id == number)).scalar_one()
    return name


def holder_names(connection: Connection) -> dict[int, str]:
    """Return the names of all holders, by number."""
    return {row.id: row.name for row in connection.execute(select(holders.c.id, holders.c.name))}


def incarnation(connection: Connection) -> str:
    """Return the token of this life of the database; client order ids carry it."""
    token: str = connection.execute(
        select(incarnations.c.token).order_by(incarnations.c.id.desc()).limit(1)
    ).scalar_one()
    return token


def begin_incarnation(connection: Connection, reason: str, now: datetime) -> str:
    """Start a new life of the database, after `init` or a restore, so that no client order id repeats."""
    token = secrets.token_hex(4)
    insert_row(connection, incarnations, {"token": token, "reason": reason, "created_at": now})
    return token


def renew_incarnation(database: Database, now: datetime) -> None:
    """Start a new life of a database that was restored from a backup."""
    with database.write() as connection:
        begin_incarnation(connection, "restored", now)


def chain_head(connection: Connection, account_id: int) -> tuple[int, str]:
    """Return the number and hash of the last transaction; (0, zeros) before the first."""
    row = connection.execute(
        select(transactions.c.sequence, transactions.c.hash)
        .where(transactions.c.account_id == account_id)
        .order_by(transactions.c.sequence.desc())
        .limit(1)
    ).one_or_none()
    return (0, GENESIS) if row is None else (row.sequence, row.hash)


def holdings_of_asset(connection: Connection, account_id: int, asset: str) -> dict[str, Decimal]:
    """Return what every account whose money lies at the venue holds of an asset, zeros left out."""
    query = (
        select(balances.c.account, balances.c.amount)
        .where(balances.c.account_id == account_id, balances.c.asset == asset, IS_HELD)
        .order_by(balances.c.account)
    )
    return {name: amount for name, amount in connection.execute(query) if amount and is_inside(name)}


def inside_balances(connection: Connection, account_id: int) -> dict[str, Decimal]:
    """Return, by asset, the sum over all accounts whose money lies at the venue."""
    sums: dict[str, Decimal] = {}
    rows = connection.execute(
        select(balances.c.account, balances.c.asset, balances.c.amount).where(
            balances.c.account_id == account_id, IS_HELD
        )
    )
    for account, asset, amount in rows:
        if is_inside(account) and not is_unit(asset):
            sums[asset] = sums.get(asset, ZERO) + amount
    return {asset: amount for asset, amount in sums.items() if amount}
