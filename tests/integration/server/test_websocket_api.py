"""The WebSocket API, message by message."""

import hmac
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

import aiohttp
import pytest

from etf_trader.exchange.server.app import Address
from etf_trader.exchange.server.keys import ApiKey


@dataclass
class Socket:
    """A connection, which keeps what was pushed."""

    ws: aiohttp.ClientWebSocketResponse
    key: ApiKey
    events: list[Any] = field(default_factory=list)

    async def ask(self, method: str, params: Any = None, name: Any = 1) -> Any:
        """Send a request and return its answer."""
        await self.ws.send_json({"id": name, "method": method, "params": params or {}})
        return await self.answer()

    async def raw(self, text: str) -> Any:
        await self.ws.send_str(text)
        return await self.answer()

    async def answer(self) -> Any:
        while True:
            message = json.loads(await self.ws.receive_str(timeout=5))
            if "event" not in message:
                return message
            self.events.append(message)

    def signed(self, **params: Any) -> dict[str, Any]:
        from etf_trader.clock import SystemClock
        from etf_trader.exchange.server.parameters import milliseconds

        params = {"apiKey": self.key.api_key, "timestamp": milliseconds(SystemClock().now())} | params
        payload = "&".join(f"{name}={params[name]}" for name in sorted(params))
        signature = hmac.new(self.key.secret.encode(), payload.encode(), sha256).hexdigest()
        return params | {"signature": signature}


@pytest.fixture
async def socket(address: Address, key: ApiKey) -> AsyncIterator[Socket]:
    async with aiohttp.ClientSession() as session, session.ws_connect(address.websocket_api) as ws:
        yield Socket(ws, key)


async def test_a_request_is_answered_under_its_id(socket: Socket) -> None:
    for name in (1, "abc-1", None, -7):
        answer = await socket.ask("ping", name=name)
        assert (answer["id"], answer["status"], answer["result"]) == (name, 200, {})
    assert answer["rateLimits"] == [
        {"rateLimitType": "REQUEST_WEIGHT", "interval": "MINUTE", "intervalNum": 1, "limit": 6000, "count": 6}
    ]


async def test_an_order_is_placed_found_and_cancelled(socket: Socket) -> None:
    order = {
        "symbol": "BTCUSDT",
        "side": "BUY",
        "type": "LIMIT",
        "timeInForce": "GTC",
        "quantity": "1",
        "price": "90",
    }
    placed = await socket.ask("order.place", socket.signed(**order))
    assert placed["status"] == 200, placed
    assert [row["rateLimitType"] for row in placed["rateLimits"]] == ["ORDERS", "ORDERS", "REQUEST_WEIGHT"]
    number = placed["result"]["orderId"]
    found = await socket.ask("order.status", socket.signed(symbol="BTCUSDT", orderId=number))
    assert found["result"]["status"] == "NEW"
    gone = await socket.ask("order.cancel", socket.signed(symbol="BTCUSDT", orderId=number))
    assert gone["result"]["status"] == "CANCELED"
    again = await socket.ask("order.cancel", socket.signed(symbol="BTCUSDT", orderId=number))
    assert (again["status"], again["error"]["code"]) == (400, -2011)


async def test_user_events_come_over_the_connection_that_asked(socket: Socket) -> None:
    answer = await socket.ask("userDataStream.subscribe.signature", socket.signed())
    assert answer["result"] == {"subscriptionId": 0}
    order = {
        "symbol": "BTCUSDT",
        "side": "BUY",
        "type": "LIMIT",
        "timeInForce": "IOC",
        "quantity": "2",
        "price": "100",
    }
    placed = (await socket.ask("order.place", socket.signed(**order)))["result"]
    assert placed["status"] == "EXPIRED"
    while len(socket.events) < 4:
        socket.events.append(json.loads(await socket.ws.receive_str(timeout=5)))
    events = [each["event"] for each in socket.events]
    assert {each["subscriptionId"] for each in socket.events} == {0}
    assert [each.get("x") for each in events] == ["NEW", "TRADE", "EXPIRED", None]
    assert events[3]["e"] == "outboundAccountPosition"
    twice = await socket.ask("userDataStream.subscribe.signature", socket.signed())
    assert twice["error"]["code"] == -2035
    assert (await socket.ask("userDataStream.unsubscribe", {"subscriptionId": 0}))["result"] == {}
    gone = await socket.ask("userDataStream.unsubscribe", {"subscriptionId": 0})
    assert gone["error"]["code"] == -2036
