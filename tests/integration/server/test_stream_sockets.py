"""python-binance's market sockets as they are, against the served exchange."""

import asyncio
import time
import warnings
from collections.abc import AsyncIterator, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from tests.integration.server.following import Follower

from etf_trader.database import Database
from etf_trader.exchange.model import ModelMarket
from etf_trader.exchange.paper import ExchangeSettings, PaperExchange
from etf_trader.exchange.server.app import Address, serving
from etf_trader.exchange.server.keys import add_key

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from binance import AsyncClient, BinanceSocketManager

D = Decimal
MARKET = ModelMarket(2)
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")


@pytest.fixture
def exchange(tmp_path: Path) -> Iterator[PaperExchange]:
    database = Database(f"sqlite:///{tmp_path / 'exchange.db'}")
    settings = ExchangeSettings("stepped", "model", {"seed": 2})
    made = PaperExchange.create(database, settings, MARKET, account="one", tape_ids=True)
    made.deposit("one", "USDT", D(1_000_000), "start")
    made.advance(7200)
    yield made
    made.close()


@pytest.fixture
async def address(exchange: PaperExchange) -> AsyncIterator[Address]:
    async with serving(exchange) as served:
        yield served


@pytest.fixture
async def client(exchange: PaperExchange, address: Address) -> AsyncIterator[Any]:
    class Local(AsyncClient):  # type: ignore[misc]
        API_URL = address.rest

    with exchange.database.write() as connection:
        key = add_key(connection, "one", exchange.now())
    made = await Local.create(key.api_key, key.secret)
    yield made
    await made.close_connection()


@pytest.fixture
def sockets(address: Address, client: Any) -> Any:
    class Local(BinanceSocketManager):  # type: ignore[misc]
        STREAM_URL = address.streams

    return Local(client, max_queue_size=10_000)


# A socket of python-binance ends once it has heard something more: the clock is moved before each is left.


async def receive(socket: Any) -> Any:
    return await asyncio.wait_for(socket.recv(), 5)


SINGLE: dict[str, tuple[str, tuple[Any, ...], str]] = {
    "depth": ("depth_socket", ("BTCUSDT",), "depthUpdate"),
    "depth@100ms": ("depth_socket", ("BTCUSDT", None, 100), "depthUpdate"),
    "kline": ("kline_socket", ("BTCUSDT", "15m"), "kline"),
    "trade": ("trade_socket", ("BTCUSDT",), "trade"),
    "aggTrade": ("aggtrade_socket", ("BTCUSDT",), "aggTrade"),
    "miniTicker": ("symbol_miniticker_socket", ("BTCUSDT",), "24hrMiniTicker"),
    "ticker": ("symbol_ticker_socket", ("BTCUSDT",), "24hrTicker"),
}


@pytest.mark.parametrize("name", SINGLE)
async def test_each_socket_of_a_symbol_hears_its_events(exchange: PaperExchange, sockets: Any, name: str) -> None:
    method, arguments, event = SINGLE[name]
    async with getattr(sockets, method)(*arguments) as socket:
        exchange.advance(1)
        heard = await receive(socket)
        assert (heard["e"], heard["s"]) == (event, "BTCUSDT")
        exchange.advance(1)


async def test_its_partial_book_and_best_price_are_the_books(exchange: PaperExchange, sockets: Any) -> None:
    book = exchange.depth("BTCUSDT", 20)
    async with sockets.depth_socket("BTCUSDT", depth="20") as partial:
        levels = await receive(partial)
        assert [(D(price), D(quantity)) for price, quantity in levels["bids"]] == list(book.bids)
        assert levels["lastUpdateId"] == book.update_id
        exchange.advance(1)
    book = exchange.depth("BTCUSDT", 1)
    async with sockets.symbol_book_ticker_socket("BTCUSDT") as best:
        touch = await receive(best)
        assert (D(touch["b"]), D(touch["A"])) == (book.bids[0].price, book.asks[0].quantity)
        exchange.advance(1)


@pytest.mark.parametrize("method", ["ticker_socket", "miniticker_socket"])
async def test_its_sockets_of_all_symbols_hear_arrays(exchange: PaperExchange, sockets: Any, method: str) -> None:
    async with getattr(sockets, method)() as socket:
        assert {each["s"] for each in await receive(socket)} == {
            row["symbol"] for row in exchange.exchange_info()["symbols"]
        }
        exchange.advance(1)


async def test_a_client_that_follows_the_book_over_the_wire_ends_with_the_servers(
    exchange: PaperExchange, client: Any, sockets: Any
) -> None:
    names = ["btcusdt@depth@100ms", "ethusdt@depth"]
    followers = {name: Follower() for name in names}
    async with sockets.multiplex_socket(names) as socket:
        for step in range(40):
            exchange.advance(D(["1", "0.4", "30", "600"][step % 4]))
            client.timestamp_offset = (await client.get_server_time())["serverTime"] - int(time.time() * 1000)
            book = await client.get_order_book(symbol="BTCUSDT", limit=5)
            price = D(book["asks"][0][0]) if step % 3 else D(book["bids"][0][0])
            await client.create_order(
                symbol="BTCUSDT",
                side="BUY",
                type="LIMIT",
                timeInForce="GTC",
                quantity="0.05",
                price=str(price),
                newClientOrderId=f"order-{step}",
            )
            if step % 5 == 4:
                for order in await client.get_open_orders(symbol="BTCUSDT"):
                    await client.cancel_order(symbol="BTCUSDT", orderId=order["orderId"])
            if step == 3:
                for name, follower in followers.items():
                    symbol = name.partition("@")[0].upper()
                    assert follower.begin(await client.get_order_book(symbol=symbol, limit=5000))
        await settle(exchange, socket, followers)
        exchange.advance(1)


async def settle(exchange: PaperExchange, socket: Any, followers: dict[str, Follower]) -> None:
    """Hear events until every follower has the book of the server."""

    def missing() -> list[str]:
        return [
            name
            for name, follower in followers.items()
            if follower.book_id != exchange.depth(name.partition("@")[0].upper()).update_id
        ]

    while missing():
        message = await receive(socket)
        followers[message["stream"]].hear(message["data"])
    for name, follower in followers.items():
        book = exchange.depth(name.partition("@")[0].upper(), 5000)
        assert follower.levels() == (list(book.bids), list(book.asks))
