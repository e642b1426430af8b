"""A stage for the contract: Binance's adapter before the paper exchange, with real sockets between."""

import asyncio
import itertools
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

from tests.contract.suite import CASH, OWNED
from tests.unit.venue.test_paper_venue import BOOKS, make_market

from etf_trader.database import Database
from etf_trader.exchange.paper import ExchangeSettings, OrderRequest, PaperExchange
from etf_trader.exchange.server.app import Address, serving
from etf_trader.exchange.server.gateway import Gateway
from etf_trader.exchange.server.keys import add_key
from etf_trader.exchange.static import StaticMarket
from etf_trader.market.symbol import Side
from etf_trader.venue.binance.environments import LOCAL, environment
from etf_trader.venue.binance.keys import Keys, Secret
from etf_trader.venue.binance.venue import BinanceVenue
from etf_trader.venue.interface import VenueIdentity

D = Decimal
UID, OTHER = "paper", "other"
NUMBERS = itertools.count(1)


@dataclass
class WireStage:
    """A paper exchange behind a socket, and the adapter before it."""

    database: Database
    market: StaticMarket
    exchange: PaperExchange
    served: AsyncExitStack
    address: Address
    keys: Keys
    venue: BinanceVenue

    @property
    def identity(self) -> VenueIdentity:
        return VenueIdentity(LOCAL, str(Gateway(self.exchange).uid(UID)), LOCAL)

    async def rest(self, symbol: str, side: Side, quantity: Decimal, price: Decimal, name: str) -> None:
        self.exchange.place(
            UID, OrderRequest(symbol, side.name, "LIMIT", "GTC", quantity, price, name, self.exchange.now())
        )

    async def take(self, symbol: str, side: Side, quantity: Decimal, price: Decimal) -> None:
        self.exchange.open_account(OTHER)
        for asset in ("A", "USDT"):
            self.exchange.deposit(OTHER, asset, CASH, f"other-{asset}")
        now, name = self.exchange.now(), f"other-{next(NUMBERS)}"
        self.exchange.place(OTHER, OrderRequest(symbol, side.name, "LIMIT", "IOC", quantity, price, name, now))

    async def deposit(self, asset: str, amount: Decimal, name: str) -> None:
        self.exchange.deposit(UID, asset, amount, name)

    async def withdraw(self, asset: str, amount: Decimal, name: str) -> None:
        self.exchange.withdraw(UID, asset, amount, name)

    async def use_up_orders(self) -> float:
        while self.exchange.now().second % 10 > 6:
            await asyncio.sleep(0.2)  # the window must not end while it is used up
        for number in range(100):
            await self.rest("BUSDT", Side.BUY, D(1), D("5"), f"idle-{number}")
        count = self.exchange.order_counts(UID)[0]
        assert count.count == count.limit
        return (count.resets_at - self.exchange.now()).total_seconds()

    async def close_market(self, symbol: str) -> None:
        rows = [row | {"status": "BREAK"} if row["symbol"] == symbol else row for row in self.market.symbols()]
        closed = StaticMarket(rows, BOOKS)
        exchange = PaperExchange.open(self.database, lambda kind, parameters: closed)
        self.served.callback(exchange.close)
        await self.venue.close()
        self.venue = make_venue(await self.served.enter_async_context(serving(exchange)), self.keys)

    async def trade_beside(self, symbol: str, quantity: Decimal) -> None:
        now = self.exchange.now()
        self.market.set_volume(symbol, quantity, now)
        self.market.set_volume(symbol, D(0), now + timedelta(seconds=1))
        await asyncio.sleep(1.05)


def make_venue(address: Address, keys: Keys) -> BinanceVenue:
    return BinanceVenue(environment(LOCAL, address.url), keys)


@asynccontextmanager
async def staged(folder: Path, *, admin_port: int | None = None) -> AsyncIterator[WireStage]:
    """Serve the contract's books on the machine's clock, to an account with a key."""
    market = make_market()
    database = Database(f"sqlite:///{folder / 'exchange.db'}")
    exchange = PaperExchange.create(database, ExchangeSettings("wall", "static", {}), market, account=UID)
    exchange.deposit(UID, "USDT", CASH, "cash")
    exchange.deposit(UID, "A", OWNED, "owned")
    with database.write() as connection:
        made = add_key(connection, UID, exchange.now())
    keys = Keys(Secret(made.api_key), Secret(made.secret), "test")
    async with AsyncExitStack() as served:
        served.callback(exchange.close)
        address = await served.enter_async_context(serving(exchange, admin_port=admin_port))
        stage = WireStage(database, market, exchange, served, address, keys, make_venue(address, keys))
        yield stage
        await stage.venue.close()
