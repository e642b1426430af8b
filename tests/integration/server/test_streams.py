"""The market streams as a plain client sees them."""

import asyncio
import json
import socket as sockets
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from tests.integration.server.following import Follower
from tests.integration.server.stream_clients import NEVER, connected, streams

from etf_trader.database import Database
from etf_trader.exchange.paper import ExchangeSettings, OrderRequest, PaperExchange
from etf_trader.exchange.server.messages import depth
from etf_trader.exchange.server.stream_connection import StreamSettings
from etf_trader.exchange.static import StaticMarket, symbol_row

D = Decimal
BIDS = (("99", "1"), ("98", "2"), ("96", "4"))
ASKS = (("100", "1"), ("101", "2"), ("103", "4"))
NOW_MS = 1_767_225_600_000
SECOND = 1_000


@pytest.fixture
def market() -> StaticMarket:
    return StaticMarket(
        [symbol_row("BTCUSDT", "BTC", "USDT"), symbol_row("ETHUSDT", "ETH", "USDT")],
        {"BTCUSDT": (BIDS, ASKS), "ETHUSDT": ((("9.90", "100"),), (("10.10", "100"),))},
    )


@pytest.fixture
def exchange(tmp_path: Path, market: StaticMarket) -> Iterator[PaperExchange]:
    """An exchange on the stepped clock with two accounts of 1000 USDT and 10 BTC."""
    yield from opened(tmp_path, market, "stepped")


@pytest.fixture
def wall_exchange(tmp_path: Path, market: StaticMarket) -> Iterator[PaperExchange]:
    yield from opened(tmp_path, market, "wall")


def opened(folder: Path, market: StaticMarket, clock: str) -> Iterator[PaperExchange]:
    database = Database(f"sqlite:///{folder / 'exchange.db'}")
    made = PaperExchange.create(database, ExchangeSettings(clock, "static", {}), market, account="one")
    made.open_account("two")
    for account in ("one", "two"):
        made.deposit(account, "USDT", D(1000), "start")
        made.deposit(account, "BTC", D(10), "more")
    yield made
    made.close()


def place(exchange: PaperExchange, side: str, quantity: str, price: str, /, **changes: Any) -> int:
    order = {
        "symbol": "BTCUSDT",
        "side": side,
        "type": "LIMIT",
        "time_in_force": "GTC",
        "quantity": D(quantity),
        "price": D(price),
        "client_order_id": f"order-{exchange.last_report('one')}",
        "timestamp": exchange.now(),
    }
    return exchange.place(changes.pop("account", "one"), OrderRequest(**(order | changes))).order_id


# Who listens to what


async def test_a_raw_connection_tells_events_as_they_are_and_a_combined_one_says_whose(
    exchange: PaperExchange,
) -> None:
    async with (
        streams(exchange) as (hub, address),
        connected(address, "ws/btcusdt@depth") as raw,
        connected(address, "stream?streams=btcusdt@depth/ethusdt@depth") as combined,
    ):
        place(exchange, "BUY", "0.4", "100")
        await hub.look()
        event = {
            "e": "depthUpdate",
            "E": NOW_MS,
            "s": "BTCUSDT",
            "U": 2,
            "u": 2,
            "b": [],
            "a": [["100.00000000", "0.60000000"]],
        }
        assert await raw.heard() == [event]
        assert await combined.heard() == [{"stream": "btcusdt@depth", "data": event}]


async def test_streams_are_subscribed_listed_and_left_over_one_connection(exchange: PaperExchange) -> None:
    async with streams(exchange) as (hub, address), connected(address, "ws") as client:
        assert await client.ask("LIST_SUBSCRIPTIONS") == ({"result": [], "id": 1}, [])
        await client.ask("SUBSCRIBE", "btcusdt@depth", "ethusdt@depth@100ms", "no@such", "btcusdt@depth")
        assert (await client.ask("LIST_SUBSCRIPTIONS"))[0]["result"] == [
            "btcusdt@depth",
            "ethusdt@depth@100ms",
            "no@such",
        ]
        await client.ask("UNSUBSCRIBE", "btcusdt@depth", "never@was")
        place(exchange, "BUY", "0.4", "100")
        await hub.look()
        assert await client.heard() == []
        await client.ask("SUBSCRIBE", "btcusdt@depth")
        place(exchange, "BUY", "0.4", "100")
        await hub.look()
        assert [(event["U"], event["u"]) for event in await client.heard()] == [(3, 3)]


async def test_several_streams_may_stand_in_a_raw_address_and_signs_be_escaped(exchange: PaperExchange) -> None:
    async with (
        streams(exchange) as (_, address),
        connected(address, "ws/btcusdt@depth/ethusdt%40depth") as raw,
        connected(address, "stream?streams=btcusdt%40depth%2Fethusdt%40depth") as combined,
        connected(address, "stream") as empty,
    ):
        for client, names in ((raw, 2), (combined, 2), (empty, 0)):
            assert len((await client.ask("LIST_SUBSCRIPTIONS"))[0]["result"]) == names


async def test_the_wrapping_is_a_property_that_can_be_changed(exchange: PaperExchange) -> None:
    async with streams(exchange) as (hub, address), connected(address, "ws/btcusdt@depth") as client:
        assert (await client.ask("GET_PROPERTY", "combined"))[0]["result"] is False
        await client.ask("SET_PROPERTY", "combined", True)
        place(exchange, "BUY", "0.4", "100")
        await hub.look()
        assert [event["stream"] for event in await client.heard()] == ["btcusdt@depth"]


async def test_unknown_names_are_accepted_and_stay_silent(exchange: PaperExchange) -> None:
    names = (
        "nosuch@depth",
        "btcusdt@nosuch",
        "btcusdt@kline_7m",
        "nosuch@trade",
        "nosuch@ticker",
        "nosuch@kline_1m",
    )
    async with streams(exchange) as (hub, address), connected(address, "ws") as client:
        answer, _ = await client.ask("SUBSCRIBE", *names)
        assert answer["result"] is None
        exchange.advance(60)
        place(exchange, "BUY", "0.4", "100")
        await hub.look()
        assert await client.heard() == []


async def test_a_symbol_that_is_delisted_falls_silent_and_the_others_go_on(
    exchange: PaperExchange, market: StaticMarket
) -> None:
    async with (
        streams(exchange) as (hub, address),
        connected(address, "stream?streams=ethusdt@depth/btcusdt@depth/ethusdt@bookTicker") as client,
    ):
        await client.heard()
        market.delist("ETHUSDT")
        place(exchange, "BUY", "0.4", "100")
        await hub.look()
        assert [event["stream"] for event in await client.heard()] == ["btcusdt@depth"]


async def test_times_are_microseconds_for_who_asks(exchange: PaperExchange) -> None:
    exchange.advance(D("0.123456"))
    async with (
        streams(exchange) as (hub, address),
        connected(address, "ws/btcusdt@depth?timeUnit=MICROSECOND") as fine,
        connected(address, "ws/btcusdt@depth?timeUnit=millisecond") as coarse,
    ):
        place(exchange, "BUY", "0.4", "100")
        await hub.look()
        assert [event["E"] for event in await fine.heard()] == [NOW_MS * 1000 + 123_456]
        assert [event["E"] for event in await coarse.heard()] == [NOW_MS + 123]


# What they tell


async def test_updates_are_numbered_without_a_gap_and_an_idle_symbol_says_nothing(
    exchange: PaperExchange, market: StaticMarket
) -> None:
    async with streams(exchange) as (hub, address), connected(address, "ws/btcusdt@depth") as client:
        await hub.look()
        exchange.advance(100)
        await hub.look()
        assert await client.heard() == []
        order = place(exchange, "BUY", "0.4", "99.5")
        exchange.cancel("one", "BTCUSDT", order_id=order)
        await hub.look()  # came and went: there is nothing to tell, and its ids belong to the next event
        market.set_book("BTCUSDT", (("99", "1"), ("97", "2")), ASKS)
        await hub.look()
        place(exchange, "BUY", "1.5", "101")
        await hub.look()
        first, second = await client.heard()
        assert (first["U"], first["u"]) == (2, 4)
        assert first["b"] == [
            ["97.00000000", "2.00000000"],
            ["98.00000000", "0.00000000"],
            ["96.00000000", "0.00000000"],
        ]
        assert (second["U"], second["u"]) == (5, 5) == (5, exchange.depth("BTCUSDT").update_id)
        assert second["a"] == [["101.00000000", "1.50000000"], ["100.00000000", "0.00000000"]]


async def test_a_fill_that_was_due_and_is_not_any_more_never_hides_behind_its_update_id(
    exchange: PaperExchange, market: StaticMarket
) -> None:
    place(exchange, "SELL", "0.5", "100")
    async with streams(exchange) as (hub, address), connected(address, "ws/btcusdt@depth") as client:
        market.set_book("BTCUSDT", (("100", "2"),), (("104", "4"),))  # reaches the order...
        follower = Follower()
        assert follower.begin(depth(hub.book("BTCUSDT", 5000)))
        market.set_book("BTCUSDT", BIDS, (("104", "4"),))  # ...and leaves it before the streams look
        await hub.look()
        for event in await client.heard():
            follower.hear(event)
        book = exchange.depth("BTCUSDT", 5000)
        assert follower.levels() == (list(book.bids), list(book.asks))
        assert [each.order.status for each in exchange.reports("one")] == ["NEW", "FILLED"]


async def test_a_level_that_came_and_went_between_two_looks_is_told_to_who_was_shown_it(
    exchange: PaperExchange,
) -> None:
    async with streams(exchange) as (hub, address), connected(address, "ws/btcusdt@depth") as client:
        order = place(exchange, "BUY", "0.4", "99.5")
        follower = Follower()
        assert follower.begin(depth(hub.book("BTCUSDT", 5000)))
        exchange.cancel("one", "BTCUSDT", order_id=order)
        await hub.look()
        (event,) = await client.heard()
        follower.hear(event)
        assert event["b"] == [["99.50000000", "0.00000000"]]
        assert follower.levels()[0][0] == (D(99), D(1))


async def test_a_snapshot_is_cut_to_the_levels_that_were_asked_for(exchange: PaperExchange) -> None:
    async with streams(exchange) as (hub, _):
        book = hub.book("BTCUSDT", 2)
        assert [len(book.bids), len(book.asks), book.complete] == [2, 2, False]
        assert hub.book("BTCUSDT", 3) == exchange.depth("BTCUSDT", 3)


async def test_a_partial_book_stands_at_once_and_is_told_when_its_levels_change(exchange: PaperExchange) -> None:
    exchange.deposit("one", "USDT", D(100_000), "rich")
    async with streams(exchange) as (hub, address), connected(address, "ws/btcusdt@depth5@100ms") as client:
        for step in range(6):
            place(exchange, "BUY", "0.1", f"9{step}.5", client_order_id=f"b{step}")
        await hub.look()
        standing, changed = await client.heard()
        assert standing == {
            "lastUpdateId": 1,
            "bids": [[f"{price}.00000000", f"{quantity}.00000000"] for price, quantity in BIDS],
            "asks": [[f"{price}.00000000", f"{quantity}.00000000"] for price, quantity in ASKS],
        }
        assert [price for price, _ in changed["bids"]] == [
            "99.00000000",
            "98.00000000",
            "96.00000000",
            "95.50000000",
            "94.50000000",
        ]
        exchange.cancel("one", "BTCUSDT", client_order_id="b0")  # far below the fifth
        await hub.look()
        assert await client.heard() == []


async def test_best_prices_are_told_when_they_change(exchange: PaperExchange, market: StaticMarket) -> None:
    async with streams(exchange) as (hub, address), connected(address, "ws/btcusdt@bookTicker") as client:
        place(exchange, "BUY", "1", "90")
        await hub.look()
        place(exchange, "BUY", "0.25", "99.5")
        await hub.look()
        market.set_book("BTCUSDT", BIDS, ())
        await hub.look()
        standing, better, empty = await client.heard()
        assert standing == {
            "u": 1,
            "s": "BTCUSDT",
            "b": "99.00000000",
            "B": "1.00000000",
            "a": "100.00000000",
            "A": "1.00000000",
        }
        assert (better["u"], better["b"], better["B"]) == (3, "99.50000000", "0.25000000")
        assert (empty["a"], empty["A"]) == ("0.00000000", "0.00000000")


async def test_a_look_that_comes_late_tells_everything_up_to_then(exchange: PaperExchange) -> None:
    async with streams(exchange) as (hub, address), connected(address, "ws/btcusdt@depth@100ms") as client:
        follower = Follower()
        assert follower.begin(depth(hub.book("BTCUSDT", 5000)))
        for _ in range(5):
            exchange.advance(720)
            place(exchange, "BUY", "0.3", "101", time_in_force="IOC")
        await hub.look()
        (event,) = await client.heard()
        follower.hear(event)
        assert (event["U"], event["u"]) == (2, 6)
        assert event["E"] == NOW_MS + 3600 * SECOND
        assert follower.levels()[1][0] == (D(101), D("1.5"))


# The clockwork


async def test_on_a_stepped_clock_a_move_is_told_without_being_asked(exchange: PaperExchange) -> None:
    settings = StreamSettings(messages=100, tick=0.02)
    async with streams(exchange, settings) as (_, address), connected(address, "ws/btcusdt@depth") as client:
        place(exchange, "BUY", "0.4", "100")
        assert (await client.next())["u"] == 2


async def test_in_real_time_a_slow_stream_takes_part_in_every_tenth_tick(wall_exchange: PaperExchange) -> None:
    settings = StreamSettings(messages=100, tick=0.02)
    async with (
        streams(wall_exchange, settings) as (_, address),
        connected(address, "ws/btcusdt@depth@100ms") as fast,
        connected(address, "ws/btcusdt@depth") as slow,
    ):
        for _ in range(10):
            place(wall_exchange, "BUY", "0.05", "100", time_in_force="IOC")
            await asyncio.sleep(0.06)
        await asyncio.sleep(0.25)
        fast_ones, slow_ones = await fast.heard(), await slow.heard()
        assert 2 <= len(slow_ones) <= 6 < len(fast_ones) <= 10
        assert {fast_ones[-1]["u"], slow_ones[-1]["u"]} == {11}


async def test_a_database_that_fails_once_is_asked_again(
    exchange: PaperExchange, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    looked = 0
    real = exchange.depths

    def depths(*arguments: Any, **options: Any) -> Any:
        nonlocal looked
        looked += 1
        if looked == 2:
            raise OSError("disk")
        return real(*arguments, **options)

    monkeypatch.setattr(exchange, "depths", depths)
    settings = StreamSettings(messages=100, tick=0.02)
    async with streams(exchange, settings) as (_, address), connected(address, "ws/btcusdt@depth") as client:
        place(exchange, "BUY", "0.4", "100")
        assert (await client.next())["U"] == 2
    assert "could not be told" in caplog.text


# The life of a connection


async def test_a_sixth_message_within_a_second_ends_the_connection(exchange: PaperExchange) -> None:
    settings = StreamSettings(tick=NEVER)
    async with streams(exchange, settings) as (hub, address), connected(address) as client:
        for _ in range(2):
            await client.heard()
        await client.socket.ping()
        await client.socket.pong(b"unasked")
        await client.heard()
        await client.socket.ping()
        assert await client.closed() == 1008
        await until_gone(hub)


async def test_five_messages_a_second_are_heard_for_as_long_as_one_likes(exchange: PaperExchange) -> None:
    async with streams(exchange, StreamSettings(tick=NEVER)) as (_, address), connected(address) as client:
        for _ in range(3):
            for _ in range(5):
                await client.heard()
            await asyncio.sleep(1.01)


async def test_a_client_that_answers_pings_stays_and_one_that_does_not_is_dropped(exchange: PaperExchange) -> None:
    settings = StreamSettings(messages=1000, tick=NEVER, ping_every=0.1, pong_within=0.3)
    async with (
        streams(exchange, settings) as (hub, address),
        connected(address) as good,
        connected(address, autoping=False) as deaf,
    ):
        began = asyncio.get_running_loop().time()
        pings = 0
        with pytest.raises((AssertionError, ConnectionError)):
            while True:
                message = await asyncio.wait_for(deaf.socket.receive(), 5)
                assert message.type is aiohttp.WSMsgType.PING
                pings += 1
                await deaf.socket.pong(b"another payload")  # a pong that nobody asked for
                reading = asyncio.create_task(good.heard())
                await reading
        assert pings >= 2 and 0.3 <= asyncio.get_running_loop().time() - began < 2
        assert len(hub) == 1
        assert await good.heard() == []


async def test_a_connection_ends_when_its_day_is_over(exchange: PaperExchange) -> None:
    settings = StreamSettings(tick=NEVER, life=0.3)
    async with streams(exchange, settings) as (_, address), connected(address, "ws/btcusdt@depth") as client:
        assert await client.closed() == 1008


async def test_a_server_that_stops_says_so_first(exchange: PaperExchange) -> None:
    heard: dict[str, Any] = {}
    async with aiohttp.ClientSession() as session:
        async with streams(exchange) as (_, address):
            raw = await session.ws_connect(f"{address}ws/btcusdt@depth")
            combined = await session.ws_connect(f"{address}stream?streams=btcusdt@depth")

            async def listen(name: str, socket: aiohttp.ClientWebSocketResponse) -> None:
                heard[name] = [json.loads(message.data) async for message in socket], socket.close_code

            listeners = [
                asyncio.create_task(listen("raw", raw)),
                asyncio.create_task(listen("combined", combined)),
            ]
            await asyncio.sleep(0)
        await asyncio.gather(*listeners)
    event = {"e": "serverShutdown", "E": NOW_MS}
    assert heard["raw"] == ([event], 1001)
    assert heard["combined"] == ([{"stream": "!serverShutdown", "data": event}], 1001)


async def test_who_reads_too_slowly_is_dropped_and_the_others_hear_everything(
    exchange: PaperExchange, market: StaticMarket
) -> None:
    settings = StreamSettings(messages=1000, tick=NEVER, backlog=5)

    def quote(quantity: int) -> None:
        """Change thousands of levels, so that an event is large."""
        levels = [(str(100_000 - number), str(quantity)) for number in range(4000)]
        market.set_book("BTCUSDT", levels, ())

    async with streams(exchange, settings) as (hub, address), connected(address, "ws/btcusdt@depth") as good:
        slow = await asyncio.to_thread(upgraded, address)
        with slow:
            assert len(hub) == 2
            told = 0
            while len(hub) == 2 and told < 300:
                quote(1 + told % 2)
                await hub.look()
                (event,) = await good.heard()
                told += 1
                assert len(event["b"]) >= 4000
            assert len(hub) == 1
            assert told > 5
            quote(7)
            await hub.look()
            assert len(await good.heard()) == 1


def upgraded(address: str) -> sockets.socket:
    """Connect to a stream with a small buffer, and never read from it."""
    host, port = address.removeprefix("ws://").rstrip("/").split(":")
    socket = sockets.socket()
    socket.setsockopt(sockets.SOL_SOCKET, sockets.SO_RCVBUF, 4096)
    socket.connect((host, int(port)))
    lines = (
        "GET /stream?streams=btcusdt@depth HTTP/1.1",
        f"Host: {host}:{port}",
        "Upgrade: websocket",
        "Connection: Upgrade",
        "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==",
    )
    socket.sendall(("\r\n".join(lines) + "\r\n\r\n").encode())
    assert socket.recv(1000).startswith(b"HTTP/1.1 101")
    return socket


async def until_gone(hub: Any) -> None:
    async with asyncio.timeout(5):
        while len(hub):
            await asyncio.sleep(0.01)
