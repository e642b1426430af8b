"""Weights, counts, waits and bans over the wire."""

import asyncio

import aiohttp
import pytest
from tests.integration.server.conftest import RawClient, key_of

from etf_trader.exchange.paper import PaperExchange
from etf_trader.exchange.server.app import serving
from etf_trader.exchange.server.gateway import ServerSettings

USED = "X-MBX-USED-WEIGHT-1M"


def used(headers: dict[str, str]) -> int:
    return int(headers[USED])


@pytest.mark.parametrize(
    ("path", "parameters", "weight"),
    [
        ("ping", {}, 1),
        ("time", {}, 1),
        ("exchangeInfo", {"symbol": "BTCUSDT"}, 20),
        ("depth", {"symbol": "BTCUSDT"}, 5),
        ("depth", {"symbol": "BTCUSDT", "limit": 101}, 25),
        ("depth", {"symbol": "BTCUSDT", "limit": 501}, 50),
        ("depth", {"symbol": "BTCUSDT", "limit": 5000}, 250),
        ("trades", {"symbol": "BTCUSDT"}, 25),
        ("aggTrades", {"symbol": "BTCUSDT"}, 4),
        ("klines", {"symbol": "BTCUSDT", "interval": "1m"}, 2),
        ("avgPrice", {"symbol": "BTCUSDT"}, 2),
        ("ticker/24hr", {"symbol": "BTCUSDT"}, 2),
        ("ticker/24hr", {}, 80),
        ("ticker/price", {"symbol": "BTCUSDT"}, 2),
        ("ticker/price", {}, 4),
        ("ticker/bookTicker", {"symbols": '["BTCUSDT","ETHUSDT"]'}, 4),
        ("ticker", {"symbols": '["BTCUSDT","ETHUSDT"]'}, 8),
        ("ticker/tradingDay", {"symbol": "BTCUSDT"}, 4),
    ],
    ids=str,
)
async def test_a_public_call_costs_its_weight(
    client: RawClient, path: str, parameters: dict[str, str], weight: int
) -> None:
    answer = await client.get(f"/api/v3/{path}", **parameters)
    assert answer.status == 200, answer.text
    assert used(answer.headers) == weight


@pytest.mark.parametrize(
    ("path", "parameters", "weight"),
    [
        ("account", {}, 20),
        ("account/commission", {"symbol": "BTCUSDT"}, 20),
        ("openOrders", {"symbol": "BTCUSDT"}, 6),
        ("openOrders", {}, 80),
        ("allOrders", {"symbol": "BTCUSDT"}, 20),
        ("myTrades", {"symbol": "BTCUSDT"}, 20),
        ("myTrades", {"symbol": "BTCUSDT", "orderId": 1}, 5),
        ("rateLimit/order", {}, 40),
    ],
    ids=str,
)
async def test_a_signed_call_costs_its_weight(
    client: RawClient, path: str, parameters: dict[str, str], weight: int
) -> None:
    answer = await client.signed("GET", f"/api/v3/{path}", **parameters)
    assert answer.status == 200, answer.text
    assert used(answer.headers) == weight


async def test_orders_and_cancels_cost_nothing_when_they_succeed_and_their_weight_when_not(
    client: RawClient,
) -> None:
    placed = await client.buy("1", "90", timeInForce="GTC")
    assert used(placed.headers) == 0
    gone = await client.signed("DELETE", "/api/v3/order", symbol="BTCUSDT", orderId=placed.json["orderId"])
    assert used(gone.headers) == 0
    refused = await client.buy("1", "90.001")
    assert (refused.status, used(refused.headers)) == (400, 1)
    found = await client.signed("GET", "/api/v3/order", symbol="BTCUSDT", orderId=placed.json["orderId"])
    assert used(found.headers) == 1 + 4


async def test_too_many_unfilled_orders_are_refused_until_the_window_ends(client: RawClient) -> None:
    seconds = 10 - (await client.get("/api/v3/time")).json["serverTime"] / 1000 % 10
    if seconds < 6:
        await asyncio.sleep(seconds)
    for number in range(100):
        answer = await client.buy("0.1", "90", timeInForce="GTC")
        assert answer.headers["X-MBX-ORDER-COUNT-10S"] == str(number + 1), answer.text
    refused = await client.buy("0.1", "90", timeInForce="GTC")
    assert refused.error == (429, -1015, "Too many new orders; current limit is 100 orders per 10 SECOND.")
    assert 1 <= int(refused.headers["Retry-After"]) <= 10


async def test_who_goes_on_asking_is_banned_and_each_time_for_longer(exchange: PaperExchange) -> None:
    key = key_of(exchange)
    async with serving(exchange, ServerSettings(weight=20)) as address, aiohttp.ClientSession() as session:
        client = RawClient(address, session, key)
        info = (await client.get("/api/v3/exchangeInfo")).json
        assert info["rateLimits"][0]["limit"] == 20
        answer = await client.get("/api/v3/ping")
        assert answer.error[:2] == (429, -1003)
        assert answer.error[2].startswith(
            "Too much request weight used; current limit is 20 request weight per 1 MINUTE."
        )
        assert 1 <= int(answer.headers["Retry-After"]) <= 60
        for _ in range(9):
            assert (await client.get("/api/v3/ping")).status == 429
        banned = await client.get("/api/v3/ping")
        assert banned.error[:2] == (418, -1003)
        assert banned.error[2].startswith("Way too much request weight used; IP banned until ")
        assert int(banned.headers["Retry-After"]) == 120
        assert (await client.signed("GET", "/api/v3/account")).status == 418
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await session.ws_connect(address.websocket_api)
        assert refused.value.status == 418
