"""Makers of what tests need: a paper exchange on given books, and everything of ours on top of it."""

import atexit
import random
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from functools import cache
from pathlib import Path

from sqlalchemy import Connection

from etf_trader import schema
from etf_trader.clock import Clock, SystemClock
from etf_trader.database import Database
from etf_trader.events import EventLog
from etf_trader.exchange.market import Market
from etf_trader.exchange.paper import ExchangeSettings, PaperExchange
from etf_trader.exchange.static import StaticMarket, symbol_row
from etf_trader.execution.administration import Administration
from etf_trader.execution.desk import Desk
from etf_trader.execution.manager import Manager
from etf_trader.execution.settings import ExecutionSettings
from etf_trader.execution.state import cash_of, order_loss
from etf_trader.execution.transfers import book_transfer
from etf_trader.index.definition import IndexDefinition
from etf_trader.index.store import Index, Position, position_by_id
from etf_trader.ledger.repository import Account, Ledger, account_of, add_account, begin_incarnation
from etf_trader.market.symbol import Side
from etf_trader.orders.index_order import IndexOrder, OrderRequest
from etf_trader.orders.plan import LossParts
from etf_trader.orders.rebalance_order import RebalanceOrder
from etf_trader.orders.rebalances import rebalance_order
from etf_trader.orders.store import index_order
from etf_trader.rebalance.accepting import Wanted, accept_rebalance
from etf_trader.rebalance.determining import Caps
from etf_trader.risk.limits import write_limit
from etf_trader.venue.interface import LimitOrder, Placed, Venue
from etf_trader.venue.paper import PaperVenue, transfer_from

D = Decimal
MILLION = D(1_000_000)
UID = "paper"
LIVELY = ExchangeSettings("stepped", "static", {})

Ladder = Iterable[tuple[str, str]]
Books = Mapping[str, tuple[Ladder, Ladder]]


def make_market(
    books: Books,
    *,
    rules: Mapping[str, Mapping[str, str]] | None = None,
    taker: str = "0.001",
    kind: type[StaticMarket] = StaticMarket,
) -> StaticMarket:
    """Books by asset against USDT, (bids, asks) of (price, quantity) texts; `rules` change filters by asset."""
    rows = [symbol_row(f"{asset}USDT", asset, "USDT", **dict((rules or {}).get(asset, {}))) for asset in books]
    return kind(
        rows,
        {f"{asset}USDT": ladders for asset, ladders in books.items()},
        maker=D(taker),
        taker=D(taker),
    )


def make_ladders(
    mid: Decimal, tick: Decimal, depth: Decimal, *, spread: int = 1, gap: int = 1, levels: int = 5
) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
    """Return bids and asks around `mid`: `depth` at each of `levels` levels, `gap` ticks apart."""
    bids = [(str(mid - tick * (spread + gap * step)), str(depth)) for step in range(levels)]
    asks = [(str(mid + tick * (spread + gap * step)), str(depth)) for step in range(levels)]
    return bids, asks


def make_definition(**changes: object) -> IndexDefinition:
    """An index of one A and two B a unit, with a float of 1,000."""
    values: dict[str, object] = {
        "symbol": "TWO",
        "name": "Two",
        "quote": "USDT",
        "routes": (changes.get("quote", "USDT"),),
        "start_value": D(1000),
        "float_cash": D(1000),
        "lot_method": "fifo",
        "weights": {},
        "basket": {"A": D(1), "B": D(2)},
    }
    return IndexDefinition(**(values | changes))  # type: ignore[arg-type]


def make_request(side: Side = Side.BUY, **changes: object) -> OrderRequest:
    """A buy of 10 units of index 1, for now, without limits, under a key of its own."""
    values: dict[str, object] = {
        "side": side,
        "index_id": 1,
        "quantity": D(10),
        "position": "",
        "limit_price": None,
        "max_loss_bps": None,
        "time_in_force": "now",
        "client_key": f"key-{random.getrandbits(64):x}",
    }
    return OrderRequest(**(values | changes))  # type: ignore[arg-type]


class WatchedDatabase(Database):
    """A database of ours that calls `watch` with a connection after every commit."""

    watch: Callable[[Connection], None] | None = None

    @contextmanager
    def write(self) -> Iterator[Connection]:
        with super().write() as connection:
            yield connection
        if self.watch is not None:
            with self.read() as connection:
                self.watch(connection)


class HookedVenue(PaperVenue):
    """A paper venue that tells a test just before an order arrives."""

    before_place: Callable[[LimitOrder], None] | None = None

    async def place(self, order: LimitOrder) -> Placed:
        if self.before_place is not None:
            self.before_place(order)
        return await super().place(order)


@dataclass(frozen=True, slots=True)
class House:
    """One account at a paper exchange, with all that trades for it, and its first index."""

    market: Market
    exchange: PaperExchange
    database: WatchedDatabase
    venue: HookedVenue
    clock: Clock
    account: Account
    settings: ExecutionSettings
    log: EventLog
    desk: Desk
    manager: Manager
    administration: Administration

    async def submit(self, request: OrderRequest) -> IndexOrder:
        """Accept an order, run it as far as it goes, and return it."""
        order = await self.desk.accept(request)
        await self.manager.run([order.id])
        return self.order(order.id)

    async def buy(self, quantity: str | int | Decimal, **changes: object) -> IndexOrder:
        """Submit a buy."""
        return await self.submit(make_request(Side.BUY, quantity=D(quantity), **changes))

    async def sell(self, quantity: str | int | Decimal | None, **changes: object) -> IndexOrder:
        """Submit a sell; None sells all."""
        wanted = None if quantity is None else D(quantity)
        return await self.submit(make_request(Side.SELL, quantity=wanted, **changes))

    async def create(self, definition: IndexDefinition) -> Index:
        """Create an index."""
        return await self.administration.create_index(definition, 100)

    async def rebalance(self, due_on: date = date(2026, 11, 1), reference: str = "1") -> RebalanceOrder:
        """Accept a rebalance, run it as far as it goes, and return it."""
        order = await self.accept_rebalance(due_on, reference)
        await self.manager.run([order.id])
        with self.database.read() as connection:
            return rebalance_order(connection, order.id)

    async def accept_rebalance(
        self, due_on: date = date(2026, 11, 1), reference: str = "1", caps: Caps | None = None
    ) -> RebalanceOrder:
        """Accept a rebalance."""
        wanted = Wanted(reference, due_on, is_forced=False, holder="self", caps=caps)
        accepted = await accept_rebalance(
            self.database, self.venue, self.clock, self.account, self.log, self.settings.depth, wanted
        )
        return accepted.order

    def order(self, order_id: int) -> IndexOrder:
        """Return an order as it stands."""
        with self.database.read() as connection:
            return index_order(connection, order_id)

    def position(self, position_id: int = 1) -> Position:
        """Return a position as it stands."""
        with self.database.read() as connection:
            return position_by_id(connection, position_id)

    def loss(self, order_id: int) -> LossParts:
        """Return the loss of an order so far."""
        with self.database.read() as connection:
            return order_loss(connection, index_order(connection, order_id))

    def cash(self, order_id: int) -> Decimal:
        """Return what an order paid (sell: received) so far."""
        with self.database.read() as connection:
            return cash_of(connection, index_order(connection, order_id))

    def holdings(self, account: str) -> dict[str, Decimal]:
        """Return what an account of the ledger holds."""
        with self.database.read() as connection:
            return Ledger(connection, self.account.id).holdings(account)

    def limit(self, name: str, value: str | None) -> None:
        """Set a risk limit; None turns it off."""
        with self.database.write() as connection:
            wanted = None if value is None else D(value)
            write_limit(connection, self.account.id, name, wanted, self.clock.now(), by="test")

    def deposit(self, amount: Decimal, name: str, *, asset: str = "USDT") -> None:
        """Pay money into the venue account and book it for the owner."""
        view = self.exchange.deposit(UID, asset, amount, name)
        with self.database.write() as connection:
            book_transfer(connection, self.account.id, transfer_from(view), "self")


def make_house(
    folder: Path,
    market: Market,
    *,
    deposit: Decimal = MILLION,
    settings: ExecutionSettings | None = None,
    venue_type: type[HookedVenue] = HookedVenue,
    url: str | None = None,
) -> House:
    """Make an exchange on `market` and our side of it, each with a database; `url` puts ours elsewhere.

    Files that are in `folder` already are opened as they are.
    """
    if url is None:
        url = f"sqlite:///{folder / 'etf.db'}"
        copy_template("etf", folder / "etf.db")
    copy_template("exchange", folder / "exchange.db")
    exchange = PaperExchange.create(Database(f"sqlite:///{folder / 'exchange.db'}"), LIVELY, market, account=UID)
    database = WatchedDatabase(url)
    with database.write() as connection:
        account = account_of(connection, "paper", UID)
        if account is None:
            account = add_account(connection, "paper", UID, exchange.era, exchange.now())
            begin_incarnation(connection, "init", exchange.now())
            # Books that a test writes down are coarser than any market's: their levels lie far from mid.
            write_limit(connection, account.id, "price_collar", None, exchange.now(), by="test")
    house = open_house(exchange, market, database, account, settings=settings, venue_type=venue_type)
    if deposit and not exchange.transfers(UID):
        house.deposit(deposit, "first")
    return house


def open_house(
    exchange: PaperExchange,
    market: Market,
    database: WatchedDatabase,
    account: Account,
    *,
    settings: ExecutionSettings | None = None,
    venue_type: type[HookedVenue] = HookedVenue,
    through: Callable[[HookedVenue, Clock], Venue] | None = None,
) -> House:
    """Put our services on an exchange and a database that are there; they reach the venue by way of `through`."""
    chosen = settings or ExecutionSettings()
    venue = venue_type(exchange, UID, is_stepped=True)
    clock, log = venue.clock(), EventLog()
    way = venue if through is None else through(venue, clock)
    return House(
        market=market,
        exchange=exchange,
        database=database,
        venue=venue,
        clock=clock,
        account=account,
        settings=chosen,
        log=log,
        desk=Desk(database, way, clock, account, "self", chosen, log),
        manager=Manager(database, way, clock, SystemClock(), account, chosen, log),
        administration=Administration(database, way, clock, account, "self"),
    )


@cache
def _template(section: str) -> Path:
    """Return an empty database of this section, migrated once a process."""
    folder = tempfile.mkdtemp(prefix="etf-template-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    path = Path(folder) / f"{section}.db"
    database = Database(f"sqlite:///{path}")
    schema.upgrade(database, section)
    database.close()
    return path


def copy_template(section: str, path: Path) -> None:
    if not path.exists():
        shutil.copyfile(_template(section), path)
