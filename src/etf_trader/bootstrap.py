"""From settings to services: the one place that picks adapters."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, NamedTuple

from msgspec import structs

from etf_trader import schema
from etf_trader.clock import Clock, SystemClock
from etf_trader.config import DatabaseUrl, ExchangeSettings, Settings
from etf_trader.database import Database
from etf_trader.errors import ConfigError, EtfError, UsageError
from etf_trader.ledger import accounts
from etf_trader.ledger.repository import (
    Account,
    Ledger,
    account_of,
    add_account,
    begin_incarnation,
    list_accounts,
)
from etf_trader.market.currency import CURRENCIES
from etf_trader.money import floor_to, spoken, spoken_cash
from etf_trader.venue import LIVE, PAPER

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from etf_trader.events import EventLog
    from etf_trader.exchange.market import Market
    from etf_trader.exchange.paper import PaperExchange
    from etf_trader.execution.administration import Administration
    from etf_trader.execution.desk import Desk
    from etf_trader.execution.manager import Manager
    from etf_trader.execution.quoting import Quoter
    from etf_trader.execution.settings import ExecutionSettings
    from etf_trader.venue.binance.stepper import Stepper
    from etf_trader.venue.binance.venue import BinanceVenue
    from etf_trader.venue.interface import Meter
    from etf_trader.venue.market_data import MarketData
    from etf_trader.venue.paper import PaperVenue

EIGHT_PLACES = Decimal("1e-8")


class Slots(NamedTuple):
    """How many orders of a window are used, and how long it is."""

    used: int
    limit: int
    seconds: int


class Services:
    """Everything that commands work with, for one account; made when first asked for.

    A command that only reads rows pays for the database alone: the exchange, the
    solver and the managers are imported with the service that needs them.
    """

    def __init__(self, settings: Settings, database: Database, account: Account) -> None:
        self.settings = settings
        self.database = database
        self.account = account

    @cached_property
    def log(self) -> EventLog:
        """What happens, told to whoever subscribes."""
        from etf_trader.events import EventLog

        return EventLog()

    @cached_property
    def exchange(self) -> PaperExchange:
        """The paper exchange that the account is at.

        Raises:
            ConfigError: there is none, it is not the one that the ledger belongs to, or orders go elsewhere.
        """
        if self.account.environment != PAPER:
            raise ConfigError(
                f"orders go to Binance {self.account.environment}: there is no paper exchange here",
                where="environment",
                hint="money comes and goes at the venue; etf reconcile books it",
            )
        exchange = open_exchange(self.settings)
        if self.account.era != exchange.era:
            raise ConfigError(
                "the exchange was made anew since this database was made",
                where=str(self.database),
                hint="etf exchange reset archives both databases together",
            )
        return exchange

    @cached_property
    def venue(self) -> PaperVenue | BinanceVenue:
        """Where orders go.

        Raises:
            ConfigError: the paper exchange is missing, or there are no keys.
        """
        if self.account.environment != PAPER:
            return self.binance
        from etf_trader.venue.paper import PaperVenue

        return PaperVenue(self.exchange, self.account.uid, is_stepped=self.exchange.is_stepped)

    @cached_property
    def binance(self) -> BinanceVenue:
        """The account at Binance; only where orders go there."""
        return binance_venue(self.settings, self.database)

    @cached_property
    def clock(self) -> Clock:
        """The venue's clock."""
        return self.venue.clock()

    @cached_property
    def desk(self) -> Desk:
        """Where orders come in."""
        from etf_trader.execution.desk import Desk

        chosen = execution_settings(self.settings)
        return Desk(self.database, self.venue, self.clock, self.account, self.settings.holder, chosen, self.log)

    @cached_property
    def quoter(self) -> Quoter:
        """What tells costs before anything is asked for."""
        from etf_trader.execution.quoting import Quoter

        chosen = execution_settings(self.settings)
        return Quoter(self.database, self.venue, self.clock, self.account, self.settings.holder, chosen)

    @cached_property
    def manager(self) -> Manager:
        """What gets orders done."""
        from etf_trader.execution.manager import Manager

        chosen = execution_settings(self.settings)
        return Manager(self.database, self.venue, self.clock, SystemClock(), self.account, chosen, self.log)

    @cached_property
    def administration(self) -> Administration:
        """The owner's work."""
        from etf_trader.execution.administration import Administration

        return Administration(self.database, self.venue, self.clock, self.account, self.settings.holder)

    def require_switched_on(self) -> None:
        """Check that orders may be sent: live ones only where the configuration says so.

        Raises:
            ConfigError: it does not.
        """
        if self.account.environment == LIVE and not self.settings.live:
            raise ConfigError(
                "the environment is live and live trading is not switched on",
                where=self.settings.sources["live"],
                hint="this is real money: etf config set live true",
            )

    def slots(self) -> Slots:
        """Return how many slots of the shortest window are used, as far as is known without asking the venue."""
        if self.account.environment == PAPER:
            told = self.exchange.order_counts(self.account.uid)[0]
            return Slots(told.count, told.limit, int(told.interval.total_seconds()))
        from etf_trader.execution.budget import SILENT_LIMITS, windows

        limits = self.binance.known_limits() or SILENT_LIMITS
        with self.database.read() as connection:
            window = windows(connection, self.account.id, limits[:1], self.clock.now())[0]
        return Slots(window.used, window.limit.limit, window.limit.seconds)

    def close(self) -> None:
        """Give up connections."""
        self.database.close()
        if "exchange" in self.__dict__:  # made when it was first asked for
            self.exchange.close()


def open_services(settings: Settings) -> Services:
    """Open the database of `settings`, and everything on top of it as it is needed.

    Raises:
        ConfigError: the database is missing, of another version, or without an account.
    """
    database = Database(settings.database)
    schema.require_head(database, "etf")
    with database.read() as connection:
        account = _account(connection, settings)
    if account is None:
        name = settings.exchange.account if settings.environment == PAPER else f"at Binance {settings.environment}"
        raise ConfigError(f"the database has no account {name} yet", where=str(database), hint="etf init makes it")
    return Services(settings, database, account)


def _account(connection: Connection, settings: Settings) -> Account | None:
    """Return the account that orders go to: by its name on paper, elsewhere the only one of its environment."""
    if settings.environment == PAPER:
        return account_of(connection, PAPER, settings.exchange.account)
    known = [each for each in list_accounts(connection) if each.environment == settings.environment]
    return known[0] if known else None


def open_all(settings: Settings) -> list[Services]:
    """Open every account of the database that these settings can trade on, their own first.

    Raises:
        ConfigError: the database is missing, of another version, or without an account.
    """
    first = open_services(settings)
    with first.database.read() as connection:
        others = [
            each
            for each in list_accounts(connection)
            if each.environment == PAPER == settings.environment and each.id != first.account.id
        ]
    return [first, *(Services(settings, first.database, account) for account in others)]


def open_exchange(settings: Settings, *, tape_ids: bool = False) -> PaperExchange:
    """Open the paper exchange of `settings`; with `tape_ids` trades have the ids that everyone sees.

    Raises:
        ConfigError: there is none, or it is of another version.
    """
    from etf_trader.exchange.markets import market_from
    from etf_trader.exchange.paper import PaperExchange

    database = Database(settings.exchange.database)
    schema.require_head(database, "exchange")
    return PaperExchange.open(database, market_from, tape_ids=tape_ids)


def binance_venue(settings: Settings, database: Database | None = None) -> BinanceVenue:
    """Return the account at Binance that the configuration and its keys name.

    Args:
        database: Where the processes of this machine share out the weight of their requests.

    Raises:
        ConfigError: there are no keys, or others may read live ones.
    """
    from etf_trader.venue.binance.environments import environment
    from etf_trader.venue.binance.keys import find_keys
    from etf_trader.venue.binance.rest_depth import RestDepth
    from etf_trader.venue.binance.streamed_books import StreamedBooks
    from etf_trader.venue.binance.timekeeping import MeasuredTime, SteppedTime
    from etf_trader.venue.binance.venue import BinanceVenue

    chosen = environment(settings.environment, settings.binance.url)
    keys = find_keys(chosen.name, os.environ, key_file(settings))
    stepper = _stepper(settings)
    clock = MeasuredTime() if stepper is None else SteppedTime(stepper.move, stepper.now)
    venue = BinanceVenue(
        chosen,
        keys,
        meter=None if database is None else _meter(settings, database, clock, stepper),
        clock=clock,
        allows_withdraw_key=settings.binance.allow_withdraw_key,
        may_send=settings.live or not chosen.is_live,
        kept_in=_kept_in(settings),
    )
    books = StreamedBooks(chosen.streams, RestDepth(venue), clock, are_followed=stepper is None)
    venue.read_books_from(books)
    if isinstance(clock, SteppedTime):
        clock.call_when_moved(venue.hear_out)  # as in process: a move is over when what fell due is told
    return venue


def _stepper(settings: Settings) -> Stepper | None:
    """Return what moves the clock of a local server; None where time passes by itself.

    Raises:
        ConfigError: `binance.admin` is not on this machine.
    """
    from etf_trader.venue.binance.environments import LOCAL, loopback
    from etf_trader.venue.binance.stepper import Stepper

    chosen = settings.binance
    if settings.environment != LOCAL or chosen.admin is None or chosen.admin_token is None:
        return None
    return Stepper(loopback(chosen.admin, "binance.admin"), chosen.admin_token)


def _meter(settings: Settings, database: Database, clock: Clock, stepper: Stepper | None = None) -> Meter:
    from etf_trader.execution.lease import this_host
    from etf_trader.execution.weights import USUAL_LIMIT, USUAL_SECONDS, WeightLimit, Weights

    limit = USUAL_LIMIT
    if stepper is not None:
        # Here waiting moves the clock, so it is known beforehand. What is wrong is told to who asks for the time.
        with suppress(EtfError):
            limit = stepper.weight()
    return Weights(database, clock, settings.host or this_host(), WeightLimit(USUAL_SECONDS, limit))


def _kept_in(settings: Settings) -> Path:
    """Return where markets and fees are kept between processes: beside our database, or etf.toml."""
    from etf_trader.config import data_folder

    path = Database(settings.database).path
    return path.parent if path is not None else data_folder(settings.project_file)


def key_file(settings: Settings) -> Path:
    """Return where keys may stand: `.env` beside etf.toml."""
    from etf_trader.config import data_folder
    from etf_trader.venue.binance.keys import ENV_FILE

    return data_folder(settings.project_file) / ENV_FILE


@dataclass(frozen=True, slots=True)
class Made:
    """What `make` had to do: nothing is done twice."""

    is_new: bool
    deposit: Decimal | None


def make(settings: Settings, *, start: datetime | None = None, era: str | None = None) -> Made:
    """Make both databases, the account and its first deposit, as far as they do not exist.

    Args:
        start: Where a stepped clock begins; by default where the market does.
        era: The exchange's era, for a run that repeats bit for bit; random by default.

    Raises:
        ConfigError: a database exists with other settings, or is of another version.
    """
    if settings.environment != PAPER:
        return _make_at_binance(settings)
    database = Database(settings.database)
    for path in (database.path, Database(settings.exchange.database).path):
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
    # The exchange first: a market that cannot be made leaves nothing behind.
    exchange = make_exchange(settings, start=start, era=era)
    if not database.exists():
        schema.upgrade(database, "etf")
    schema.require_head(database, "etf")
    now, uid = exchange.now(), settings.exchange.account
    with database.write() as connection:
        account = account_of(connection, PAPER, uid)
        is_new = account is None
        if account is None:
            if not list_accounts(connection):
                begin_incarnation(connection, "init", now)
            account = add_account(connection, PAPER, uid, exchange.era, now)
    if account.era != exchange.era:
        raise ConfigError(
            "the ledger and the exchange do not belong together",
            where=str(database),
            hint="etf exchange reset archives both and makes new ones",
        )
    services = Services(settings, database, account)
    deposit = None
    if settings.exchange.deposit > 0 and not exchange.transfers(uid):
        deposit = settings.exchange.deposit
        deposit_cash(services, "USDT", deposit, holder=settings.holder, transfer_id="first")
    services.close()
    return Made(is_new, deposit)


def _make_at_binance(settings: Settings) -> Made:
    """Make our database and its account at Binance; what the account holds already is for a person to book."""
    import asyncio

    from etf_trader.ledger.repository import set_transfers_seen
    from etf_trader.venue.binance.history import IN_A_MILLISECOND

    # The venue first: keys that are refused leave nothing behind.
    venue = binance_venue(settings)
    identity = asyncio.run(venue.identity())
    database = Database(settings.database)
    if database.path is not None:
        database.path.parent.mkdir(parents=True, exist_ok=True)
    if not database.exists():
        schema.upgrade(database, "etf")
    schema.require_head(database, "etf")
    now = venue.clock().now()
    with database.write() as connection:
        known = _account(connection, settings)
        if known is not None and (known.uid, known.era) != (identity.uid, identity.era):
            raise ConfigError(
                f"this database belongs to the account {known.uid}, since {known.era}; the keys are those of "
                f"{identity.uid}, since {identity.era}",
                where=str(database),
                hint="take the keys of that account, or another database",
            )
        if known is None:
            if not list_accounts(connection):
                begin_incarnation(connection, "init", now)
            made = add_account(connection, identity.environment, identity.uid, identity.era, now)
            # What came before is in the balance that is booked first.
            set_transfers_seen(connection, made.id, int(now.timestamp() * 1000) * IN_A_MILLISECOND)
    return Made(known is None, None)


def deposit_cash(
    services: Services, asset: str, amount: Decimal, *, holder: str, transfer_id: str | None = None
) -> None:
    """Pay money into the exchange account and book it for `holder`; on paper it comes from nowhere.

    Raises:
        UsageError: the exchange does not know the asset, or refuses the amount.
    """
    from etf_trader.execution.transfers import book_transfer
    from etf_trader.venue.paper import transfer_from

    name = transfer_id or f"in-{secrets.token_hex(8)}"
    view = services.exchange.deposit(services.account.uid, asset, amount, name)
    with services.database.write() as connection:
        book_transfer(connection, services.account.id, transfer_from(view), holder)


def withdraw_cash(services: Services, asset: str, amount: Decimal, *, holder: str) -> None:
    """Take a holder's cash out of the exchange account, and of the books.

    Raises:
        UsageError: the treasury holds less.
    """
    from etf_trader.execution.transfers import transfer_key
    from etf_trader.ledger.booking import withdrawal

    name = f"out-{secrets.token_hex(8)}"
    with services.database.write() as connection:
        ledger = Ledger(connection, services.account.id)
        held = ledger.balance(accounts.treasury(holder), asset)
        if amount > held:
            has = spoken_cash(held) if asset in CURRENCIES else spoken(floor_to(held, EIGHT_PLACES))
            raise UsageError(
                f"the treasury of {holder} holds {has} {asset}: {spoken(amount)} cannot be withdrawn",
                where="amount",
                hint="etf treasury show tells what is there",
            )
        # Booked under the lock before the exchange pays: should we die in between, nothing stands here,
        # and the exchange's own record of the transfer is booked by the next reconciliation.
        ledger.post(withdrawal(holder, asset, amount, key=transfer_key(name), at=services.clock.now()))
        services.exchange.withdraw(services.account.uid, asset, amount, name)


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
    from etf_trader.execution.settings import ExecutionSettings
    from etf_trader.orders.schedule import Assumptions

    return ExecutionSettings(
        depth=settings.solver.depth,
        slack_ticks=settings.trade.slack_ticks,
        reserve_bps=settings.trade.reserve_bps,
        max_cross_spread=settings.trade.max_cross_spread,
        method=settings.solver.method,
        period_seconds=settings.schedule.period,
        assumed=Assumptions(
            recovery_seconds=settings.schedule.recovery,
            waiting_bps=settings.schedule.waiting,
            turnover=settings.schedule.turnover,
            participation=settings.schedule.participation / 100,
        ),
        reconcile_every=settings.trade.reconcile_every,
        host=settings.host or "",
    )


def make_market(settings: Settings) -> tuple[Market, dict[str, object]]:
    """Make the market that a new exchange would have, and return it with what it was made from.

    Raises:
        ConfigError: it cannot be made from these settings.
    """
    from etf_trader.exchange.markets import market_from

    chosen = settings.exchange
    parameters: dict[str, object] = {"seed": chosen.seed} | ({"fees": chosen.fees} if chosen.fees else {})
    if chosen.market == "recording":
        parameters = {
            "recordings": None if chosen.recordings is None else str(chosen.recordings),
            "exchange_info": None if chosen.exchange_info is None else str(chosen.exchange_info),
        }
    return market_from(chosen.market, parameters), parameters


def make_exchange(settings: Settings, *, start: datetime | None = None, era: str | None = None) -> PaperExchange:
    """Make the paper exchange and its account, as far as they do not exist, and open it; nothing is deposited.

    Raises:
        ConfigError: it exists with other settings, or its market cannot be made.
    """
    from etf_trader.exchange.paper import ExchangeSettings, PaperExchange

    market, parameters = make_market(settings)
    market.symbols()  # reads what its rules come from: what is wrong there is known before a file is made
    chosen = settings.exchange
    return PaperExchange.create(
        Database(chosen.database),
        ExchangeSettings(chosen.clock, chosen.market, parameters, start),
        market,
        account=chosen.account,
        era=era,
    )


@contextmanager
def open_market_data(
    settings: Settings, told: Callable[[str], None], *, ahead: bool = False
) -> Iterator[MarketData]:
    """Open the order books of the environment; `etf init` need not have been there.

    Args:
        told: Is told what a person should know of where the books come from.
        ahead: Where a stepped clock stands still, show the time to come on a copy of the exchange; the
            exchange itself stays where it is.

    Raises:
        ConfigError: the exchange cannot be opened, or made from these settings.
    """
    if settings.environment != PAPER:
        yield _binance_market_data(settings, told)
        return
    from etf_trader.venue.paper import paper_market_data

    with TemporaryDirectory(prefix="etf-market-") as folder:
        if Database(settings.exchange.database).exists():
            exchange = open_exchange(settings)
            is_copy = ahead and exchange.is_stepped
            if is_copy:
                exchange = _copy_of(exchange, settings, Path(folder))
        else:
            told(f"There is no exchange here yet: these are books of the {settings.exchange.market} market.")
            exchange, is_copy = _exchange_for_now(settings, Path(folder)), ahead
        try:
            yield paper_market_data(exchange, settings.exchange.account, may_move=is_copy)
        finally:
            exchange.close()


def _binance_market_data(settings: Settings, told: Callable[[str], None]) -> MarketData:
    """Return the books of Binance; they are public, so that no key is looked for."""
    from etf_trader.venue.binance.environments import environment
    from etf_trader.venue.binance.market_data import BinanceMarketData
    from etf_trader.venue.binance.own_meter import OwnMeter
    from etf_trader.venue.binance.timekeeping import MeasuredTime
    from etf_trader.venue.binance.venue import BinanceVenue

    clock, database = MeasuredTime(), Database(settings.database)
    # With a database the processes of this machine share one budget; public books need none.
    meter = _meter(settings, database, clock) if schema.is_at_head(database, "etf") else OwnMeter(clock)
    chosen = environment(settings.environment, settings.binance.url)
    venue = BinanceVenue(chosen, None, meter=meter, clock=clock)
    return BinanceMarketData(venue, told=lambda switch: told(str(switch)))


def _copy_of(exchange: PaperExchange, settings: Settings, folder: Path) -> PaperExchange:
    """Return a copy of an exchange that is in a file, else another one of the same market and time."""
    from etf_trader.backup import back_up

    database = Database(settings.exchange.database)
    if database.path is None:
        now = exchange.now()
        exchange.close()
        return _exchange_for_now(settings, folder, now)
    exchange.close()
    copy = back_up({"exchange": database}, folder / "copy")["exchange"]
    return open_exchange(structs.replace(settings, exchange=_in_file(settings, copy)))


def _exchange_for_now(settings: Settings, folder: Path, start: datetime | None = None) -> PaperExchange:
    path = folder / "exchange.db"
    return make_exchange(structs.replace(settings, exchange=_in_file(settings, path)), start=start)


def _in_file(settings: Settings, path: Path) -> ExchangeSettings:
    return structs.replace(settings.exchange, database=DatabaseUrl(f"sqlite:///{path}"))
