"""API keys: who may act for an account, and how they sign."""

import secrets
import string
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import Connection, insert, select

from etf_trader.database import Database
from etf_trader.errors import UsageError
from etf_trader.exchange import accounts, tables
from etf_trader.exchange.server.signing import ED25519, HMAC, is_public_key

LETTERS = string.ascii_letters + string.digits
LENGTH = 64


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A credential of an account; `secret` is the shared secret, or the public key as PEM."""

    account: str
    api_key: str
    kind: str
    may_trade: bool
    may_withdraw: bool
    is_ip_restricted: bool
    made: datetime
    secret: str = field(repr=False)


def add_key(
    connection: Connection,
    account: str,
    now: datetime,
    *,
    public_key: str | None = None,
    may_trade: bool = True,
    may_withdraw: bool = False,
    is_ip_restricted: bool = True,
) -> ApiKey:
    """Make a key for `account` and write it: HMAC, or Ed25519 when a public key is given.

    Raises:
        UsageError: there is no such account, or the text is no Ed25519 public key.
    """
    if not accounts.is_account(connection, account):
        raise UsageError(f"the exchange has no account {account!r}")
    if public_key is not None:
        check_public_key(public_key)
    key = ApiKey(
        account=account,
        api_key=random_key(),
        kind=HMAC if public_key is None else ED25519,
        may_trade=may_trade,
        may_withdraw=may_withdraw,
        is_ip_restricted=is_ip_restricted,
        made=now,
        secret=public_key or random_key(),
    )
    row = {name: getattr(key, name) for name in ApiKey.__slots__}
    connection.execute(insert(tables.api_key).values(row))
    return key


def check_public_key(pem: str, where: str | None = None) -> None:
    """Check that a text can be the key of an account.

    Raises:
        UsageError: it is no Ed25519 public key in PEM.
    """
    if not is_public_key(pem):
        raise UsageError(
            "this is no Ed25519 public key in PEM",
            where=where,
            hint="openssl pkey -in private.pem -pubout -out public.pem writes one",
        )


class Keys:
    """The keys of an exchange; they never change, so that each is read once."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._known: dict[str, ApiKey] = {}

    def get(self, api_key: str) -> ApiKey | None:
        """Return a key; None when there is none."""
        if api_key not in self._known:
            with self._database.read() as connection:
                row = connection.execute(
                    select(tables.api_key).where(tables.api_key.c.api_key == api_key)
                ).one_or_none()
            if row is None:
                return None
            self._known[api_key] = ApiKey(**row._mapping)
        return self._known[api_key]


def is_well_formed(api_key: str) -> bool:
    """Return whether a text can be a key at all."""
    return len(api_key) == LENGTH and api_key.isascii() and api_key.isalnum()


def random_key() -> str:
    """Return 64 letters and digits that nobody can guess."""
    return "".join(secrets.choice(LETTERS) for _ in range(LENGTH))
