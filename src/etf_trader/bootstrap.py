"""From settings to services: the one place that picks adapters."""

import secrets
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from pathlib import Path

from etf_trader import schema
from etf_trader.clock import Clock, SystemClock
from etf_trader.config import Settings
from etf_trader.database import Database
from etf_trader.errors import ConfigError, UsageError
from etf_trader.events import EventLog
from etf_trader.exchange.markets import market_from
from etf_trader.exchange.paper import ExchangeSettings, PaperExchange
from etf_trader.execution.administration import Administration
from etf_trader.execution.desk import Desk
from etf_trader.execution.manager import ExecutionSettings, Manager
from etf_trader.execution.reconcile import book_transfer, transfer_key
from etf_trader.ledger import accounts
from etf_trader.ledger.booking import withdrawal
from etf_trader.ledger.repository import Account, Ledger, account_of, add_account, begin_incarnation
from etf_trader.money import spoken
from etf_trader.venue.paper import ENVIRONMENT, PaperVenue, transfer_from

UID = "paper"
"""The account that `etf` uses at the paper exchange."""


@dataclass(frozen=True, slots=True)
class Services:
    """Everything that commands work with, for one account."""

    settings: Settings
    database: Database
    exchange: PaperExchange
    venue: PaperVenue
    clock: Clock
    account: Account
    log: EventLog
    desk: Desk
    manager: Manager
    administration: Administration

    def close(self) -> None:
        """Give up connections."""
        self.database.close()


def open_services(settings: Settings) -> Services:
    """Open the databases of `settings` and everything on top of them.

    Raises:
        ConfigError: a database is missing or of another version, or belongs to another account.
    """
    database = Database(settings.database)
    schema.require_head(database, "etf")
    exchange = open_exchange(settings)
    with database.read() as connection:
        account = account_of(connection, ENVIRONMENT, UID)
    if account is None:
        raise ConfigError("the database has no account yet", where=str(database), hint="etf init makes it")
    if account.era != exchange.era:
        raise ConfigError(
            "the exchange was made anew since this database was made",
            where=str(database),
            hint="etf exchange reset archives both databases together",
        )
    return _services(settings, database, exchange, account)


def open_exchange(settings: Settings) -> PaperExchange:
    """Open the paper exchange of `settings`.

    Raises:
        ConfigError: there is none, or it is of another version.
    """
    database = Database(settings.exchange.database)
    schema.require_head(database, "exchange")
    return PaperExchange.open(database, market_from)


@dataclass(frozen=True, slots=True)
class Made:
    """What `make` had to do: nothing is done twice."""

    is_new: bool
    deposit: Decimal | None


def make(settings: Settings, *, start: datetime | None = None) -> Made:
    """Make both databases, the account and its first deposit, as far as they do not exist.

    Args:
        start: Where a stepped clock begins; by default where the market does.

    Raises:
        ConfigError: a database exists with other settings, or is of another version.
    """
    database = Database(settings.database)
    for path in (database.path, Database(settings.exchange.database).path):
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
    if not database.exists():
        schema.upgrade(database, "etf")
    schema.require_head(database, "etf")
    exchange = _make_exchange(settings, start)
    clock = PaperVenue(exchange, UID, is_stepped=settings.exchange.clock == "stepped").clock()
    with database.write() as connection:
        account = account_of(connection, ENVIRONMENT, UID)
        is_new = account is None
        if account is None:
            account = add_account(connection, ENVIRONMENT, UID, exchange.era, clock.now())
            begin_incarnation(connection, "init", clock.now())
    if account.era != exchange.era:
        raise ConfigError(
            "the ledger and the exchange do not belong together",
            where=str(database),
            hint="etf exchange reset archives both and makes new ones",
        )
    services = _services(settings, database, exchange, account)
    deposit = None
    if settings.exchange.deposit > 0 and not exchange.transfers(UID):
        deposit = settings.exchange.deposit
        deposit_cash(services, "USDT", deposit, holder="self", transfer_id="first")
    services.close()
    return Made(is_new, deposit)


def deposit_cash(
    services: Services, asset: str, amount: Decimal, *, holder: str, transfer_id: str | None = None
) -> None:
    """Pay money into the exchange account and book it for `holder`; on paper it comes from nowhere.

    Raises:
        UsageError: the exchange does not know the asset, or refuses the amount.
    """
    name = transfer_id or f"in-{secrets.token_hex(8)}"
    view = services.exchange.deposit(UID, asset, amount, name)
    with services.database.write() as connection:
        book_transfer(connection, services.account.id, transfer_from(view), holder)


def withdraw_cash(services: Services, asset: str, amount: Decimal, *, holder: str) -> None:
    """Take a holder's cash out of the exchange account, and of the books.

    Raises:
        UsageError: the treasury holds less.
    """
    name = f"out-{secrets.token_hex(8)}"
    with services.database.write() as connection:
        ledger = Ledger(connection, services.account.id)
        held = ledger.balance(accounts.treasury(holder), asset)
        if amount > held:
            raise UsageError(
                f"the treasury of {holder} holds {spoken(held)} {asset}: {spoken(amount)} cannot be withdrawn",
                where="amount",
                hint="etf treasury show tells what is there",
            )
        # Booked under the lock before the exchange pays: should we die in between, nothing stands here,
        # and the exchange's own record of the transfer is booked by the next reconciliation.
        ledger.post(withdrawal(holder, asset, amount, key=transfer_key(name), at=services.clock.now()))
        services.exchange.withdraw(UID, asset, amount, name)


def archive(settings: Settings, stamp: str) -> list[tuple[Path, Path]]:
    """Move both databases aside under `stamp`; return (from, to) of each file moved."""
    moved = []
    for url in (settings.database, settings.exchange.database):
        path = Database(url).path
        if path is None:
            raise ConfigError(
                "only SQLite databases can be archived",
                where=str(Database(url)),
                hint="use pg_dump and a new database",
            )
        for suffix in ("", "-wal", "-shm", "-journal"):
            old = path.with_name(path.name + suffix)
            if old.exists():
                new = path.with_name(f"{path.stem}.{stamp}{path.suffix}{suffix}")
                old.rename(new)
                moved.append((old, new))
    return moved


def execution_settings(settings: Settings) -> ExecutionSettings:
    """Return the part of the settings that execution needs."""
    return ExecutionSettings(
        depth=settings.solver.depth,
        slack_ticks=settings.trade.slack_ticks,
        reserve_bps=settings.trade.reserve_bps,
        method=settings.solver.method,
    )


def _make_exchange(settings: Settings, start: datetime | None) -> PaperExchange:
    chosen = settings.exchange
    parameters: dict[str, object] = {"seed": chosen.seed}
    if chosen.market == "recording":
        parameters = {
            "recordings": None if chosen.recordings is None else str(chosen.recordings),
            "exchange_info": None if chosen.exchange_info is None else str(chosen.exchange_info),
        }
    market = market_from(chosen.market, parameters)
    return PaperExchange.create(
        Database(chosen.database),
        ExchangeSettings(chosen.clock, chosen.market, parameters, start),
        market,
        account=UID,
    )


def _services(settings: Settings, database: Database, exchange: PaperExchange, account: Account) -> Services:
    is_stepped = PaperExchange.settings(Database(settings.exchange.database)).clock == "stepped"
    venue = PaperVenue(exchange, UID, is_stepped=is_stepped)
    clock, log = venue.clock(), EventLog()
    chosen = execution_settings(settings)
    return Services(
        settings=settings,
        database=database,
        exchange=exchange,
        venue=venue,
        clock=clock,
        account=account,
        log=log,
        desk=Desk(database, venue, clock, account, settings.holder, chosen, log),
        manager=Manager(database, venue, clock, SystemClock(), account, chosen, log),
        administration=Administration(database, venue, clock, account, settings.holder),
    )
