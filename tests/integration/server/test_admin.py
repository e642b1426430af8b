"""The admin endpoint and the faults that it switches on."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from tests.integration.server.conftest import RawClient, key_of, now_ms
from tests.integration.server.test_websocket_api import Socket

from etf_trader.database import Database
from etf_trader.exchange.paper import ExchangeSettings, PaperExchange
from etf_trader.exchange.server.app import Address, serving
from etf_trader.exchange.static import StaticMarket


@dataclass
class Admin:
    address: Address
    session: aiohttp.ClientSession

    async def __call__(self, verb: str, path: str, /, **document: Any) -> Any:
        headers = {"Authorization": f"Bearer {self.address.admin_token}"}
        url = self.address.admin + path
        async with self.session.request(verb, url, json=document, headers=headers) as answer:
            body = await answer.json()
            assert answer.status == 200, body
            return body


@pytest.fixture
async def served(exchange: PaperExchange) -> AsyncIterator[tuple[RawClient, Admin]]:
    async with serving(exchange, admin_port=0) as address, aiohttp.ClientSession() as session:
        yield RawClient(address, session, key_of(exchange)), Admin(address, session)


async def test_nothing_is_done_without_the_token(served: tuple[RawClient, Admin]) -> None:
    client, admin = served
    for headers in ({}, {"Authorization": "Bearer nonsense"}):
        async with client.session.put(f"{admin.address.admin}/faults", headers=headers) as answer:
            assert answer.status == 401
    assert admin.address.admin_token not in repr(admin.address)
    assert (await client.send("PUT", "/faults")).status == 404  # it is not on the public port


async def test_without_a_port_there_is_no_admin_endpoint(address: Address) -> None:
    assert address.admin_port is None


@pytest.mark.parametrize(
    ("fault", "status", "code", "is_done"),
    [
        ("overloaded", 503, -1008, False),
        ("unexpected_before", 500, -1006, False),
        ("unexpected_after", 500, -1006, True),
        ("timeout_before", 504, -1007, False),
        ("timeout_after", 504, -1007, True),
        ("server_error_before", 502, None, False),
        ("server_error_after", 504, None, True),
        ("cut_before", None, None, False),
        ("cut_after", None, None, True),
        ("slow", 200, None, True),
        ("late_answer", 200, None, True),
    ],
)
async def test_a_fault_does_what_its_name_says(
    served: tuple[RawClient, Admin], fault: str, status: int | None, code: int | None, is_done: bool
) -> None:
    client, admin = served
    await admin("PUT", "/faults", chances={fault: 1}, only=["order.place"], most=1, slowest=0.05)
    if status is None:
        with pytest.raises((aiohttp.ServerDisconnectedError, aiohttp.ClientOSError)):
            await client.buy("1", "90", timeInForce="GTC", newClientOrderId="one")
    else:
        answer = await client.buy("1", "90", timeInForce="GTC", newClientOrderId="one")
        assert answer.status == status
        if code is not None:
            assert answer.json["code"] == code
    found = await client.signed("GET", "/api/v3/order", symbol="BTCUSDT", origClientOrderId="one")
    assert found.status == (200 if is_done else 400)
    assert (await admin("GET", "/"))["fired"] == {fault: 1}
    assert (await admin("DELETE", "/faults"))["fired"] == {fault: 1}


async def test_an_order_may_come_in_after_its_client_gave_up(served: tuple[RawClient, Admin]) -> None:
    client, admin = served
    await admin("PUT", "/faults", chances={"arrives_late": 1}, most=1, latest=0.3)
    with pytest.raises((aiohttp.ServerDisconnectedError, aiohttp.ClientOSError)):
        await client.buy("1", "90", timeInForce="GTC", newClientOrderId="late")
    for _ in range(50):
        found = await client.signed("GET", "/api/v3/order", symbol="BTCUSDT", origClientOrderId="late")
        if found.status == 200:
            break
        await asyncio.sleep(0.02)
    assert found.json["status"] == "NEW"


async def test_an_order_may_be_hidden_for_a_moment(served: tuple[RawClient, Admin]) -> None:
    client, admin = served
    await admin("PUT", "/faults", chances={"hidden": 1}, most=1, seed=3)
    placed = (await client.buy("1", "90", timeInForce="GTC")).json
    name = {"symbol": "BTCUSDT", "orderId": placed["orderId"]}
    assert (await client.signed("GET", "/api/v3/order", **name)).error[1] == -2013
    await asyncio.sleep(0.9)
    assert (await client.signed("GET", "/api/v3/order", **name)).status == 200


@pytest.mark.parametrize(("fault", "status"), [("limited", 429), ("banned", 418)])
async def test_who_is_told_to_wait_is_refused_until_then(
    served: tuple[RawClient, Admin], fault: str, status: int
) -> None:
    client, admin = served
    await admin("PUT", "/faults", chances={fault: 1}, most=1, longest_wait=1)
    answer = await client.get("/api/v3/ping")
    assert (answer.status, answer.headers["Retry-After"]) == (status, "1")
    assert (await client.get("/api/v3/ping")).status == status
    await admin("POST", "/pardon")
    assert (await client.get("/api/v3/ping")).status == 200


async def test_faults_of_the_same_seed_are_the_same(served: tuple[RawClient, Admin]) -> None:
    client, admin = served
    runs = []
    for _ in range(2):
        await admin("PUT", "/faults", chances={"overloaded": 0.3, "timeout_before": 0.3}, seed=5)
        runs.append([(await client.get("/api/v3/ping")).status for _ in range(30)])
    assert runs[0] == runs[1]
    assert len(set(runs[0])) == 3


@pytest.mark.parametrize(
    ("document", "said"),
    [
        ({"chances": {"flood": 1}}, "there is no fault 'flood'"),
        ({"chances": {"slow": 2}}, "slow: 2 is not a probability"),
        ({"chances": 1}, "chances is an object"),
        ({"seed": "x"}, "seed is a whole number"),
        ({"slowest": -1}, "slowest is 0 to 3600 seconds"),
        ({"only": "order.place"}, "only is a list of calls"),
        ({"speed": 1}, "a plan has no 'speed'"),
    ],
    ids=str,
)
async def test_a_plan_that_cannot_be_is_refused_with_a_sentence(
    served: tuple[RawClient, Admin], document: Any, said: str
) -> None:
    _, admin = served
    headers = {"Authorization": f"Bearer {admin.address.admin_token}"}
    url = f"{admin.address.admin}/faults"
    async with admin.session.put(url, json=document, headers=headers) as answer:
        assert answer.status == 400
        assert (await answer.json())["error"].startswith(said)


async def test_a_symbol_is_halted_and_trades_again(served: tuple[RawClient, Admin]) -> None:
    client, admin = served
    await admin("PUT", "/symbols/BTCUSDT", status="HALT")
    info = (await client.get("/api/v3/exchangeInfo", symbol="BTCUSDT")).json
    assert info["symbols"][0]["status"] == "HALT"
    assert (await client.buy()).error == (400, -2010, "Market is closed.")
    await admin("PUT", "/symbols/BTCUSDT", status="TRADING")
    assert (await client.buy()).status == 200


async def test_money_and_delistings_come_from_outside(served: tuple[RawClient, Admin]) -> None:
    client, admin = served
    await admin("POST", "/accounts/paper/deposits", asset="ETH", amount="2.5", id="gift")
    await admin("POST", "/accounts/paper/withdrawals", asset="ETH", amount="1")
    came = (await client.signed("GET", "/sapi/v1/capital/deposit/hisrec", coin="ETH")).json
    assert [(row["amount"], row["txId"], row["status"]) for row in came] == [("2.5", "gift", 1)]
    gone = (await client.signed("GET", "/sapi/v1/capital/withdraw/history")).json
    assert [(row["amount"], row["coin"], row["status"]) for row in gone] == [("1", "ETH", 6)]
    rows = [{"delistTime": 1_800_000_000_000, "symbols": ["ETHUSDT"]}]
    await admin("PUT", "/delistings", delistings=rows)
    assert (await client.signed("GET", "/sapi/v1/spot/delist-schedule")).json == rows


async def test_the_stepped_clock_moves_by_hand(tmp_path: Path, market: StaticMarket) -> None:
    database = Database(f"sqlite:///{tmp_path / 'stepped.db'}")
    exchange = PaperExchange.create(database, ExchangeSettings("stepped", "static", {}), market, tape_ids=True)
    exchange.deposit("paper", "USDT", Decimal(1000), "start")
    async with serving(exchange, admin_port=0) as address, aiohttp.ClientSession() as session:
        client, admin = RawClient(address, session, key_of(exchange)), Admin(address, session)
        before = (await client.get("/api/v3/time")).json["serverTime"]
        await admin("POST", "/clock", seconds="90.5")
        after = (await client.get("/api/v3/time")).json["serverTime"]
        assert after - before == 90_500
        assert (await client.buy("1", "100")).error[1] == -1021
        assert (await client.buy("1", "100", timestamp=after)).json["status"] == "FILLED"
        # Who asked for the time once, and whose clock runs on, is ahead of one that stands still.
        assert (await client.buy("0.1", "101", timestamp=after + 1000)).json["status"] == "FILLED"
        assert (await client.buy("0.1", "101", timestamp=after + 60_000)).error[1] == -1021
    exchange.close()


async def test_user_events_are_lost_doubled_or_late_by_the_plan(served: tuple[RawClient, Admin]) -> None:
    client, admin = served
    assert client.key is not None
    for fault, kinds in (
        ("report_twice", ["NEW", "NEW", None]),
        ("report_lost", [None]),
        ("report_reordered", [None, "NEW"]),
        ("report_late", [None, "NEW"]),
        ("stream_stalled", ["NEW", None]),
    ):
        async with client.session.ws_connect(client.address.websocket_api) as ws:
            socket = Socket(ws, client.key)
            await socket.ask("userDataStream.subscribe.signature", socket.signed())
            await admin("PUT", "/faults", chances={fault: 1}, most=1, latest=0.2, only=["nothing"])
            placed = await client.buy("0.1", "90", timeInForce="GTC")
            for _ in kinds:
                socket.events.append(json.loads(await ws.receive_str(timeout=5)))
            assert [each["event"].get("x") for each in socket.events] == kinds, fault
            await admin("DELETE", "/faults")
            await client.signed("DELETE", "/api/v3/order", symbol="BTCUSDT", orderId=placed.json["orderId"])


async def test_connections_are_ended_as_after_24_hours(served: tuple[RawClient, Admin]) -> None:
    client, admin = served
    async with (
        client.session.ws_connect(client.address.websocket_api) as api,
        client.session.ws_connect(f"{client.address.streams}ws/btcusdt@depth") as stream,
    ):
        assert (await admin("GET", "/"))["api_connections"] == 1
        await admin("POST", "/sockets/disconnect")
        await admin("POST", "/streams/disconnect")
        assert (await api.receive(timeout=5)).type is aiohttp.WSMsgType.CLOSE
        while (message := await stream.receive(timeout=5)).type is aiohttp.WSMsgType.TEXT:
            pass
        assert message.type is aiohttp.WSMsgType.CLOSE


async def test_a_server_that_stops_says_so(exchange: PaperExchange) -> None:
    key = key_of(exchange)
    async with aiohttp.ClientSession() as session:
        async with serving(exchange) as address:
            ws = await session.ws_connect(address.websocket_api)
            assert (await Socket(ws, key).ask("ping"))["status"] == 200
        message = json.loads(await ws.receive_str(timeout=5))
        assert message["event"]["e"] == "serverShutdown"
        assert message["event"]["E"] <= now_ms()
        assert (await ws.receive(timeout=5)).type in (aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.CLOSED)
