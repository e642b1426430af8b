"""Deposits and withdrawals that the venue records become part of the books."""

from dataclasses import dataclass

from sqlalchemy import Connection, select

from etf_trader.database import Database
from etf_trader.ledger.accounts import treasury
from etf_trader.ledger.booking import deposit, withdrawal
from etf_trader.ledger.repository import Account, Ledger, set_transfers_seen
from etf_trader.ledger.tables import accounts
from etf_trader.money import plain
from etf_trader.venue.interface import Transfer, Venue

OWNER = "self"
"""Whose treasury takes money that came into the venue account with nobody named."""


def transfer_key(transfer_id: str) -> str:
    """Return the ledger's key of a venue transfer."""
    return f"transfer:{transfer_id}"


@dataclass(frozen=True, slots=True)
class Transferred:
    """What the venue's record came to, in sentences: what was booked, and by asset what could not be."""

    booked: tuple[str, ...] = ()
    uncovered: tuple[tuple[str, str], ...] = ()


async def book_transfers(database: Database, venue: Venue, account: Account) -> Transferred:
    """Book deposits and withdrawals that the venue records and the books do not.

    A withdrawal that the owner's treasury does not cover is not booked: it may be
    another holder's. It stays a difference until a person says whose it was.
    """
    with database.read() as connection:
        seen = transfers_seen(connection, account.id)
    booked, uncovered = [], []
    for transfer in await venue.transfers(seen):
        what = "deposit" if transfer.amount > 0 else "withdrawal"
        told = f"{what} of {plain(abs(transfer.amount))} {transfer.asset}"
        with database.write() as connection:
            if not _is_covered(connection, account.id, transfer):
                uncovered.append(
                    (
                        transfer.asset,
                        f"{told} ({transfer.transfer_id}), which the treasury of {OWNER} does not cover",
                    )
                )
            elif book_transfer(connection, account.id, transfer, OWNER):
                booked.append(f"{told} booked for {OWNER}")
            set_transfers_seen(
                connection, account.id, max(transfer.sequence, transfers_seen(connection, account.id))
            )
    return Transferred(tuple(booked), tuple(uncovered))


def _is_covered(connection: Connection, account_id: int, transfer: Transfer) -> bool:
    ledger = Ledger(connection, account_id)
    held = ledger.balance(treasury(OWNER), transfer.asset)
    return transfer.amount > 0 or ledger.has(transfer_key(transfer.transfer_id)) or held + transfer.amount >= 0


def book_transfer(connection: Connection, account_id: int, transfer: Transfer, holder: str) -> bool:
    """Book one transfer of the venue's record, once; return whether it was new."""
    ledger, key = Ledger(connection, account_id), transfer_key(transfer.transfer_id)
    if ledger.has(key):
        return False
    if transfer.amount > 0:
        return ledger.post(deposit(holder, transfer.asset, transfer.amount, key=key, at=transfer.at))
    return ledger.post(withdrawal(holder, transfer.asset, -transfer.amount, key=key, at=transfer.at))


def transfers_seen(connection: Connection, account_id: int) -> int:
    """Return up to which transfer the venue's record has been booked."""
    seen: int = connection.execute(
        select(accounts.c.transfers_seen).where(accounts.c.id == account_id)
    ).scalar_one()
    return seen
