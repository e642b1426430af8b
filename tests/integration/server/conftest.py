"""A served exchange with still books, and clients of it."""

import hmac
import json
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from hashlib import sha256
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import aiohttp
import pytest

from etf_trader.database import Database
from etf_trader.exchange.paper import ExchangeSettings, PaperExchange
from etf_trader.exchange.server.app import Address, serving
from etf_trader.exchange.server.keys import ApiKey, add_key
from etf_trader.exchange.static import StaticMarket, symbol_row

D = Decimal
BIDS = (("99", "1"), ("98", "2"), ("96", "4"))
ASKS = (("100", "1"), ("101", "2"), ("103", "4"))


@pytest.fixture
def market() -> StaticMarket:
    return StaticMarket(
        [
            symbol_row("BTCUSDT", "BTC", "USDT"),
            symbol_row("ETHUSDT", "ETH", "USDT"),
            symbol_row("OLDUSDT", "OLD", "USDT", status="BREAK"),
        ],
        {
            "BTCUSDT": (BIDS, ASKS),
            "ETHUSDT": ((("9.90", "100"),), (("10.10", "100"),)),
            "OLDUSDT": ((), ()),
        },
    )


@pytest.fixture
def exchange(tmp_path: Path, market: StaticMarket) -> Iterator[PaperExchange]:
    """An exchange on the wall clock with two accounts of 1000 USDT and 10 BTC."""
    database = Database(f"sqlite:///{tmp_path / 'exchange.db'}")
    made = PaperExchange.create(database, ExchangeSettings("wall", "static", {"seed": 7}), market, tape_ids=True)
    made.open_account("other")
    for account in ("paper", "other"):
        made.deposit(account, "USDT", D(1000), "start")
        made.deposit(account, "BTC", D(10), "more")
    yield made
    made.close()


def key_of(exchange: PaperExchange, account: str = "paper", **rights: Any) -> ApiKey:
    """Make a key for an account."""
    with exchange.database.write() as connection:
        return add_key(connection, account, exchange.now(), **rights)


@pytest.fixture
def key(exchange: PaperExchange) -> ApiKey:
    return key_of(exchange)


@pytest.fixture
async def address(exchange: PaperExchange) -> AsyncIterator[Address]:
    async with serving(exchange) as served:
        yield served


@dataclass
class Answer:
    """What came back."""

    status: int
    headers: dict[str, str]
    text: str

    @property
    def json(self) -> Any:
        return json.loads(self.text)

    @property
    def error(self) -> tuple[int, int, str]:
        return self.status, self.json["code"], self.json["msg"]


@dataclass
class RawClient:
    """Sends what it is told to, signed by hand."""

    address: Address
    session: aiohttp.ClientSession
    key: ApiKey | None = None
    headers: dict[str, str] = field(default_factory=dict)

    async def send(self, verb: str, path: str, query: str = "", body: str | None = None) -> Answer:
        """Send a request as it is."""
        from yarl import URL

        url = URL(f"{self.address.url}{path}{'?' + query if query else ''}", encoded=True)
        headers = dict(self.headers)
        if self.key is not None:
            headers.setdefault("X-MBX-APIKEY", self.key.api_key)
        if body is not None:
            headers["Content-Type"] = "application/x-www-form-urlencoded"
        async with self.session.request(verb, url, data=body, headers=headers) as answer:
            return Answer(answer.status, dict(answer.headers), await answer.text())

    async def get(self, path: str, /, **parameters: Any) -> Answer:
        return await self.send("GET", path, urlencode(parameters))

    async def signed(self, verb: str, path: str, /, **parameters: Any) -> Answer:
        """Send a signed request, all of it in the query."""
        query = urlencode({"timestamp": now_ms()} | parameters)
        return await self.send(verb, path, f"{query}&signature={self.sign(query)}")

    def sign(self, payload: str) -> str:
        assert self.key is not None
        return hmac.new(self.key.secret.encode(), payload.encode(), sha256).hexdigest()

    async def buy(self, quantity: str = "1", price: str = "100", /, **changes: Any) -> Answer:
        """Send an immediate-or-cancel buy of BTCUSDT, changed as told."""
        order = {
            "symbol": "BTCUSDT",
            "side": "BUY",
            "type": "LIMIT",
            "timeInForce": "IOC",
            "quantity": quantity,
            "price": price,
        }
        wanted = {name: value for name, value in (order | changes).items() if value is not None}
        return await self.signed("POST", "/api/v3/order", **wanted)


@pytest.fixture
async def client(address: Address, key: ApiKey) -> AsyncIterator[RawClient]:
    async with aiohttp.ClientSession() as session:
        yield RawClient(address, session, key)


def now_ms() -> int:
    """Return the machine's time in milliseconds."""
    return int(datetime.now(UTC).timestamp() * 1000)
