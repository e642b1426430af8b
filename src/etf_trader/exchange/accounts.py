"""Balances, deposits and withdrawals.

Two accounts belong to the exchange itself: the market, everyone's counterparty
where no account is, which may owe; and the fees. With them the balances of an
asset always add up to its deposits less its withdrawals.
"""

import re
from collections.abc import Iterable, Iterator
from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import Connection, Row, Select, bindparam, insert, select, update

from etf_trader.errors import NotFound, UsageError
from etf_trader.exchange import tables
from etf_trader.exchange.many import Many
from etf_trader.exchange.views import BalanceView, TransferView
from etf_trader.money import ZERO, plain

MARKET, FEES = "market", "fees"
OWN = (MARKET, FEES)
GRID = Decimal("1e-8")
_BALANCE = tables.balance.c
_OF_ASSETS: Select[tuple[str, str, Decimal, Decimal]] = select(
    _BALANCE.account, _BALANCE.asset, _BALANCE.free, _BALANCE.locked
).where(_BALANCE.asset.in_(bindparam("assets", expanding=True)))
_NEW = Many(insert(tables.balance))
_UPDATE = Many(
    update(tables.balance)
    .where(*(tables.balance.c[name] == bindparam(f"_{name}") for name in ("account", "asset")))
    .values({name: bindparam(f"_{name}") for name in ("free", "locked")})
)
_ACCOUNT = select(tables.account.c.name).where(tables.account.c.name == bindparam("name"))
_NOTHING = BalanceView(ZERO, ZERO)
DEPOSIT, WITHDRAWAL = "deposit", "withdrawal"


class Balances:
    """The balances of some assets, for as long as nobody else changes them; `save` writes what changed."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._known: dict[tuple[str, str], BalanceView] = {}
        self._stored: set[tuple[str, str]] = set()
        self._loaded: set[str] = set()
        self._changed: set[tuple[str, str]] = set()

    def load(self, *assets: str) -> None:
        """Read all balances of `assets` that are not known yet."""
        unknown = [asset for asset in assets if asset not in self._loaded]
        if not unknown:
            return
        for row in self._connection.execute(_OF_ASSETS, {"assets": unknown}):
            self._known[row.account, row.asset] = BalanceView(row.free, row.locked)
            self._stored.add((row.account, row.asset))
        self._loaded.update(unknown)

    def get(self, account: str, asset: str) -> BalanceView:
        """Return what `account` has of `asset`."""
        if asset not in self._loaded:
            self.load(asset)
        return self._known.get((account, asset), _NOTHING)

    def add(self, account: str, asset: str, *, free: Decimal = ZERO, locked: Decimal = ZERO) -> None:
        """Add to the free and the locked balance; only the market's may fall below zero."""
        before = self.get(account, asset)
        after = BalanceView(before.free + free, before.locked + locked)
        if after.locked < 0 or (after.free < 0 and account != MARKET):
            raise AssertionError(f"{account} would have {after.free} free and {after.locked} locked {asset}")
        self._known[account, asset] = after
        self._changed.add((account, asset))

    def save(self) -> None:
        """Write what changed since it was loaded."""
        known: list[dict[str, Any]] = []
        new: list[dict[str, Any]] = []
        for account, asset in sorted(self._changed):
            free, locked = self._known[account, asset]
            row = {"_account": account, "_asset": asset, "_free": free, "_locked": locked}
            (known if (account, asset) in self._stored else new).append(row)
        _UPDATE.run(self._connection, known)
        _NEW.run(self._connection, [{name[1:]: value for name, value in row.items()} for row in new])
        self._stored |= self._changed
        self._changed.clear()


def open_account(connection: Connection, name: str, now: datetime) -> None:
    """Open the account `name`, unless it is open already.

    Raises:
        UsageError: the name is the exchange's own, or not 1 to 64 letters, digits, `.`, `_` and `-`.
    """
    if name in OWN or not re.fullmatch(r"[A-Za-z0-9._-]{1,64}", name):
        raise UsageError(f"an account cannot be called {name!r}", hint="letters, digits and . _ - are fine")
    _open(connection, name, now)


def open_own_accounts(connection: Connection, now: datetime) -> None:
    """Open the two accounts of the exchange itself."""
    for name in OWN:
        _open(connection, name, now)


def is_account(connection: Connection, name: str) -> bool:
    """Return whether a client's account of this name is open."""
    return name not in OWN and connection.scalar(_ACCOUNT, {"name": name}) is not None


def balances_of(connection: Connection, account: str) -> dict[str, BalanceView]:
    """Return what `account` has, by asset; assets it has nothing of are left out."""
    balance = tables.balance.c
    rows = connection.execute(
        select(balance.asset, balance.free, balance.locked).where(balance.account == account)
    )
    found = {row.asset: BalanceView(row.free, row.locked) for row in rows}
    return {asset: found[asset] for asset in sorted(found) if found[asset] != (ZERO, ZERO)}


def move(
    connection: Connection,
    account: str,
    kind: str,
    asset: str,
    amount: Decimal,
    transfer_id: str,
    now: datetime,
    *,
    assets: Iterable[str],
) -> TransferView:
    """Book a deposit or withdrawal, once, and return it.

    Args:
        connection: A write scope.
        account: Whose.
        kind: "deposit" or "withdrawal".
        asset: Which asset; one of `assets`.
        amount: How much, positive, at most 8 decimals.
        transfer_id: Its name; the same name and content again change nothing.
        now: The exchange's time.
        assets: What the exchange keeps.

    Raises:
        UsageError: something about it cannot be; nothing was booked.
        NotFound: there is no such account.
    """
    if not is_account(connection, account):
        raise NotFound(f"the exchange has no account {account!r}")
    if asset not in assets:
        raise UsageError(f"the exchange does not keep {asset}", hint=f"it keeps {', '.join(sorted(assets))}")
    if not amount.is_finite() or amount <= 0 or amount >= Decimal("1e20") or amount % GRID:
        raise UsageError(
            f"{amount:f} {asset} cannot be moved: an amount is positive, below 1e20, and has at most 8 decimals"
        )
    if not 1 <= len(transfer_id) <= 128:
        raise UsageError("a transfer id has 1 to 128 characters")
    if known := _transfer(connection, account, transfer_id):
        if (known.kind, known.asset, known.amount) != (kind, asset, amount):
            raise UsageError(
                f"transfer {transfer_id} is a {known.kind} of {plain(known.amount)} {known.asset} already",
                hint="take another transfer id",
            )
        return known
    balances = Balances(connection)
    free = balances.get(account, asset).free
    if kind == WITHDRAWAL and amount > free:
        raise UsageError(f"{account} has only {plain(free)} {asset} free, not {plain(amount)}")
    balances.add(account, asset, free=amount if kind == DEPOSIT else -amount)
    balances.save()
    values = {"account": account, "transfer_id": transfer_id, "kind": kind, "asset": asset, "amount": amount}
    connection.execute(insert(tables.transfer).values(at=now, **values))
    booked = _transfer(connection, account, transfer_id)
    assert booked is not None
    return booked


def transfers(connection: Connection, account: str, after: int) -> Iterator[TransferView]:
    """Yield the transfers of `account` with a sequence above `after`, in order."""
    table = tables.transfer.c
    query = select(tables.transfer).where(table.account == account, table.sequence > after)
    return map(_view, connection.execute(query.order_by(table.sequence)))


def _open(connection: Connection, name: str, now: datetime) -> None:
    known = select(tables.account.c.name).where(tables.account.c.name == name)
    if connection.scalar(known) is None:
        connection.execute(insert(tables.account).values(name=name, opened=now))


def _transfer(connection: Connection, account: str, transfer_id: str) -> TransferView | None:
    table = tables.transfer.c
    query = select(tables.transfer).where(table.account == account, table.transfer_id == transfer_id)
    row = connection.execute(query).one_or_none()
    return None if row is None else _view(row)


def _view(row: Row[tuple[object, ...]]) -> TransferView:
    return TransferView(
        sequence=row.sequence,
        transfer_id=row.transfer_id,
        kind=row.kind,
        asset=row.asset,
        amount=row.amount,
        at=row.at,
    )
