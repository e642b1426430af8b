"""Compares the books with the venue: books what explains a difference, names what nothing explains."""

import asyncio
from collections.abc import Mapping
from decimal import Decimal

from sqlalchemy import Connection, select

from etf_trader.database import Database
from etf_trader.errors import ConfigError, ReconciliationMismatch
from etf_trader.ledger.booking import deposit, withdrawal
from etf_trader.ledger.repository import Account, Ledger, inside_balances, set_transfers_seen
from etf_trader.ledger.tables import accounts, fills
from etf_trader.money import ZERO, plain
from etf_trader.orders.tables import asset_orders
from etf_trader.venue.interface import Transfer, Venue, VenueBalance

LOOKS = 3
LOOK_AGAIN_SECONDS = 0.1

OWNER = "self"
"""Whose treasury takes money that came into the venue account with nobody named."""


def transfer_key(transfer_id: str) -> str:
    """Return the ledger's key of a venue transfer."""
    return f"transfer:{transfer_id}"


async def reconcile(database: Database, venue: Venue, account: Account) -> list[str]:
    """Book transfers the books do not know, and compare all balances; return what was booked, in sentences.

    The caller leads the account and has settled what was in flight.

    Raises:
        ConfigError: the venue's account is another one, or its history started again.
        ReconciliationMismatch: a difference that nothing explains; nothing is invented.
    """
    await require_identity(venue, account)
    found: list[str] = []
    differences: list[str] = []
    for look in range(LOOKS):
        if look:
            await asyncio.sleep(LOOK_AGAIN_SECONDS)  # money may have moved between two of our questions
        found += await book_transfers(database, venue, account)
        differences = await compare(database, venue, account)
        if not differences:
            return found
    raise _mismatch(account, differences)


async def require_agreement(database: Database, venue: Venue, account: Account) -> None:
    """Check, without writing, that nothing but transfers not booked yet lies between the books and the venue.

    Raises:
        ReconciliationMismatch: a difference that nothing explains.
    """
    with database.read() as connection:
        seen = _transfers_seen(connection, account.id)
    if await venue.transfers(seen):
        return  # who leads next books them, and compares
    if differences := await compare(database, venue, account):
        raise _mismatch(account, differences)


def _mismatch(account: Account, differences: list[str]) -> ReconciliationMismatch:
    return ReconciliationMismatch(
        "the books and the venue differ: " + "; ".join(differences),
        where=f"{account.environment}:{account.uid}",
        hint="find out what moved this money; nothing is traded until the two agree",
    )


async def require_identity(venue: Venue, account: Account) -> None:
    """Check that the database belongs to this venue account and this era of it.

    Raises:
        ConfigError: it does not.
    """
    identity = await venue.identity()
    if (identity.environment, identity.uid) != (account.environment, account.uid):
        raise ConfigError(
            f"this database belongs to {account.environment}:{account.uid}, "
            f"the venue says {identity.environment}:{identity.uid}",
            hint="use the database of that account",
        )
    if identity.era != account.era:
        raise ConfigError(
            "the venue's history started again since this database was made",
            where=f"{account.environment}:{account.uid}",
            hint="etf exchange reset archives both databases together",
        )


async def book_transfers(database: Database, venue: Venue, account: Account) -> list[str]:
    """Book deposits and withdrawals that the venue records and the books do not; return them in sentences."""
    with database.read() as connection:
        seen = _transfers_seen(connection, account.id)
    transfers = await venue.transfers(seen)
    found = []
    for transfer in transfers:
        with database.write() as connection:
            if book_transfer(connection, account.id, transfer, OWNER):
                what = "deposit" if transfer.amount > 0 else "withdrawal"
                found.append(f"{what} of {plain(abs(transfer.amount))} {transfer.asset} booked for {OWNER}")
            set_transfers_seen(
                connection, account.id, max(transfer.sequence, _transfers_seen(connection, account.id))
            )
    return found


def book_transfer(connection: Connection, account_id: int, transfer: Transfer, holder: str) -> bool:
    """Book one transfer of the venue's record, once; return whether it was new."""
    ledger, key = Ledger(connection, account_id), transfer_key(transfer.transfer_id)
    if ledger.has(key):
        return False
    if transfer.amount > 0:
        return ledger.post(deposit(holder, transfer.asset, transfer.amount, key=key, at=transfer.at))
    return ledger.post(withdrawal(holder, transfer.asset, -transfer.amount, key=key, at=transfer.at))


async def compare(database: Database, venue: Venue, account: Account) -> list[str]:
    """Return every difference between the books and the venue, in sentences; changes nothing."""
    held = await venue.balances()
    with database.read() as connection:
        inside = inside_balances(connection, account.id)
    differences = [
        f"{asset}: the venue holds {plain(_total(held, asset))}, the books {plain(inside.get(asset, ZERO))}"
        for asset in sorted(held.keys() | inside.keys())
        if _total(held, asset) != inside.get(asset, ZERO)
    ]
    return differences + [
        f"{order.symbol}: order {order.client_order_id} is open at the venue"
        for order in await venue.open_orders()
    ]


async def unbooked(database: Database, venue: Venue, account: Account) -> list[str]:
    """Return, in sentences, trades and transfers of the venue's record that the books lack; changes nothing."""
    with database.read() as connection:
        symbols = set(connection.scalars(select(asset_orders.c.symbol).distinct()))
        query = select(fills.c.symbol, fills.c.trade_id, fills.c.venue_order_id).where(
            fills.c.account_id == account.id, fills.c.era == account.era
        )
        known = {(row.symbol, row.trade_id, row.venue_order_id) for row in connection.execute(query)}
        seen = _transfers_seen(connection, account.id)
    missing = []
    for symbol in sorted(symbols):
        for trade in await venue.trades_after(symbol, -1):
            if (symbol, trade.trade_id, trade.order_id) not in known:
                missing.append(
                    f"trade {trade.trade_id} of {symbol} ({trade.side} {plain(trade.quantity)} at "
                    f"{plain(trade.price)}) is not in the books"
                )
    with database.read() as connection:
        ledger = Ledger(connection, account.id)
        for transfer in await venue.transfers(seen):
            if not ledger.has(transfer_key(transfer.transfer_id)):
                missing.append(
                    f"transfer {transfer.transfer_id} ({plain(transfer.amount)} {transfer.asset}) "
                    "is not in the books"
                )
    return missing


def _transfers_seen(connection: Connection, account_id: int) -> int:
    seen: int = connection.execute(
        select(accounts.c.transfers_seen).where(accounts.c.id == account_id)
    ).scalar_one()
    return seen


def _total(held: Mapping[str, VenueBalance], asset: str) -> Decimal:
    balance = held.get(asset)
    return ZERO if balance is None else balance.total
