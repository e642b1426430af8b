"""What an exchange is made with, once: its row, its accounts, and whether they are those that were asked for."""

import json
import secrets
from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, Row, insert, select

from etf_trader import schema
from etf_trader.clock import Clock
from etf_trader.database import Database
from etf_trader.errors import ConfigError, UsageError
from etf_trader.exchange import accounts, tables
from etf_trader.exchange.market import Market
from etf_trader.exchange.views import ExchangeSettings

WALL, STEPPED = "wall", "stepped"


def make(
    database: Database, settings: ExchangeSettings, market: Market, account: str, clock: Clock, era: str | None
) -> None:
    """Make the exchange and open `account`; where it exists with equal settings, open the account alone.

    Raises:
        UsageError: the settings cannot be.
        ConfigError: it exists with other settings, or its database is of another version.
    """
    if settings.clock not in (WALL, STEPPED):
        raise UsageError(f"no such clock: {settings.clock!r}", hint="wall or stepped")
    if settings.clock == WALL and settings.market == "recording":
        raise UsageError("a recording has its own time: it runs on the stepped clock only")
    if settings.credit_delay < 0:
        raise UsageError(f"a count cannot come back {-settings.credit_delay} ms before its fill")
    if not database.exists():
        schema.upgrade(database, "exchange")
    schema.require_head(database, "exchange")
    with database.write() as connection:
        row = _row(connection)
        if row is None:
            connection.execute(insert(tables.exchange).values(_made(settings, market, clock, era)))
            accounts.open_own_accounts(connection, clock.now())
        elif _differs(settings_of(row), settings):
            raise ConfigError(
                f"the exchange was made with other settings ({_describe(settings_of(row))})",
                where=str(database),
                hint="etf exchange reset archives it and makes a new one",
            )
        accounts.open_account(connection, account, clock.now())


def stored(database: Database) -> Row[Any]:
    """Return the row of the exchange in `database`.

    Raises:
        ConfigError: there is none.
    """
    schema.require_head(database, "exchange")
    with database.read() as connection:
        row = _row(connection)
    if row is None:
        raise ConfigError("the database has no exchange in it yet", where=str(database), hint="etf init makes it")
    return row


def settings_of(row: Row[Any]) -> ExchangeSettings:
    """Return what an exchange was made with, from its row."""
    return ExchangeSettings(row.clock, row.market, json.loads(row.parameters), row.start, row.credit_delay)


def _row(connection: Connection) -> Row[Any] | None:
    return connection.execute(select(tables.exchange)).one_or_none()


def _made(settings: ExchangeSettings, market: Market, clock: Clock, era: str | None) -> dict[str, Any]:
    return {
        "id": 1,
        "era": era or secrets.token_hex(8),
        "clock": settings.clock,
        "time": None if settings.clock == WALL else settings.start or market.start,
        "market": settings.market,
        "parameters": _canonical(settings.parameters),
        "start": settings.start,
        "made": clock.now(),
        "credit_delay": settings.credit_delay,
    }


def _differs(stored: ExchangeSettings, asked: ExchangeSettings) -> bool:
    return (
        (stored.clock, stored.market, stored.credit_delay) != (asked.clock, asked.market, asked.credit_delay)
        or _canonical(stored.parameters) != _canonical(asked.parameters)
        or asked.start not in (None, stored.start)
    )


def _describe(settings: ExchangeSettings) -> str:
    return f"market {settings.market} {_canonical(settings.parameters)}, {settings.clock} clock"


def _canonical(parameters: Mapping[str, Any]) -> str:
    return json.dumps(dict(parameters), sort_keys=True, separators=(",", ":"), allow_nan=False)
