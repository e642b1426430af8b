"""The WebSocket API, message by message."""

import base64
import hmac
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

import aiohttp
import pytest
from Crypto.PublicKey import ECC
from Crypto.Signature import eddsa
from tests.integration.server.conftest import key_of, now_ms

from etf_trader.exchange.paper import PaperExchange
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
        params = {"apiKey": self.key.api_key, "timestamp": now_ms()} | params
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


async def test_a_session_logs_on_with_an_ed25519_key_alone(
    address: Address, exchange: PaperExchange, key: ApiKey
) -> None:
    private = ECC.generate(curve="Ed25519")
    mine = key_of(exchange, public_key=private.public_key().export_key(format="PEM"))

    def signed(**params: Any) -> dict[str, Any]:
        params = {"apiKey": mine.api_key, "timestamp": now_ms()} | params
        payload = "&".join(f"{name}={params[name]}" for name in sorted(params))
        signature = eddsa.new(private, "rfc8032").sign(payload.encode())
        return params | {"signature": base64.b64encode(signature).decode()}

    async with aiohttp.ClientSession() as session, session.ws_connect(address.websocket_api) as ws:
        socket = Socket(ws, key)
        assert (await socket.ask("session.logon", socket.signed()))["error"]["code"] == -2015
        assert (await socket.ask("session.status"))["result"]["apiKey"] is None
        assert (await socket.ask("userDataStream.subscribe"))["error"]["code"] == -2015
        on = await socket.ask("session.logon", signed())
        assert on["result"]["apiKey"] == mine.api_key
        assert (await socket.ask("account.status", {"timestamp": now_ms()}))["status"] == 200
        assert (await socket.ask("account.status"))["error"]["code"] == -1102
        assert (await socket.ask("userDataStream.subscribe"))["result"] == {"subscriptionId": 0}
        assert (await socket.ask("session.status"))["result"]["userDataStream"] is True
        assert (await socket.ask("session.subscriptions"))["result"] == [{"subscriptionId": 0}]
        assert (await socket.ask("session.logout"))["result"]["apiKey"] is None
        assert (await socket.ask("account.status", {"timestamp": now_ms()}))["error"]["code"] == -2014


async def test_what_was_signed_is_the_text_of_the_request(socket: Socket) -> None:
    """Numbers are signed as they are written, also those that another writer would write differently."""
    payload = f"apiKey={socket.key.api_key}&recvWindow=5000.50&timestamp={now_ms()}"
    signature = hmac.new(socket.key.secret.encode(), payload.encode(), sha256).hexdigest()
    params = ",".join(
        f'"{name}":{value}' if name != "apiKey" else f'"{name}":"{value}"'
        for name, value in (part.split("=") for part in payload.split("&"))
    )
    text = f'{{"id":1,"method":"account.status","params":{{{params},"signature":"{signature}"}}}}'
    assert (await socket.raw(text))["status"] == 200


async def test_whether_limits_are_shown_is_signed_like_everything_else(socket: Socket) -> None:
    payload = f"apiKey={socket.key.api_key}&returnRateLimits=false&timestamp={now_ms()}"
    signature = hmac.new(socket.key.secret.encode(), payload.encode(), sha256).hexdigest()
    params: dict[str, Any] = dict(part.split("=") for part in payload.split("&"))
    params |= {"returnRateLimits": False, "timestamp": int(params["timestamp"]), "signature": signature}
    answer = await socket.ask("account.status", params)
    assert answer["status"] == 200, answer
    assert "rateLimits" not in answer


async def test_limits_are_shown_unless_they_are_not_wanted(address: Address, key: ApiKey) -> None:
    async with aiohttp.ClientSession() as session:
        async with session.ws_connect(f"{address.websocket_api}?returnRateLimits=false") as ws:
            socket = Socket(ws, key)
            assert "rateLimits" not in await socket.ask("ping")
            assert "rateLimits" in await socket.ask("time", {"returnRateLimits": True})
        async with session.ws_connect(f"{address.websocket_api}?timeUnit=MICROSECOND") as ws:
            assert (await Socket(ws, key).ask("time"))["result"]["serverTime"] > 10**15


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("nonsense", -1135),
        ("[]", -1135),
        ('{"id":1}', -1135),
        ('{"id":1,"method":"ping","params":[]}', -1135),
        ('{"id":{},"method":"ping"}', -1100),
        ('{"id":"a b","method":"ping"}', -1100),
        ('{"id":1,"method":"nothing"}', -1020),
        ('{"id":1,"method":"ping","params":{"wish":1}}', -1104),
        ('{"id":1,"method":"depth","params":{"symbol":NaN}}', -1135),
        ('{"id":1,"method":"depth"}', -1102),
        ('{"id":1,"method":"userDataStream.start","params":{"apiKey":"short"}}', -2014),
    ],
)
async def test_a_message_that_is_no_request_is_refused_and_the_next_one_taken(
    socket: Socket, text: str, code: int
) -> None:
    assert (await socket.raw(text))["error"]["code"] == code
    assert (await socket.ask("ping"))["status"] == 200


async def test_many_orders_at_once_are_all_taken_once(socket: Socket) -> None:
    order = {"symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT", "timeInForce": "GTC", "price": "90"}
    for number in range(40):
        quantity = "0.1" if number % 4 else "0.001"
        params = socket.signed(**order, quantity=quantity, newClientOrderId=f"o{number}")
        await socket.ws.send_json({"id": number, "method": "order.place", "params": params})
    answers = {each["id"]: each["status"] for each in [await socket.answer() for _ in range(40)]}
    assert answers == {number: 200 if number % 4 else 400 for number in range(40)}
    standing = (await socket.ask("openOrders.status", socket.signed(symbol="BTCUSDT")))["result"]
    assert [each["clientOrderId"] for each in standing] == [f"o{number}" for number in range(40) if number % 4]
    gone = await socket.ask("openOrders.cancelAll", socket.signed(symbol="BTCUSDT"))
    assert len(gone["result"]) == 30
