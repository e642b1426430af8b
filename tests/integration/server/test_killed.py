"""A server that is killed under load: what it answered stands, and its books are in order."""

import asyncio
import hmac
import os
import random
import signal
import time
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import aiohttp
import pytest
from sqlalchemy import select
from tests.integration.test_exchange_properties import ACCOUNTS, audit, make_exchange, make_market

from etf_trader.database import Database
from etf_trader.exchange import tables
from etf_trader.exchange.paper import PaperExchange
from etf_trader.exchange.server.app import serving
from etf_trader.exchange.server.keys import ApiKey, add_key

CONNECTIONS = 12


def opened(path: Path) -> PaperExchange:
    return PaperExchange.open(Database(f"sqlite:///{path}"), lambda *_: make_market())


def serve(path: Path, ready: int) -> None:
    """Serve until killed, after telling the port."""

    async def run() -> None:
        async with serving(opened(path)) as address:
            os.write(ready, f"{address.port:5}".encode())
            await asyncio.Event().wait()

    asyncio.run(run())


def fork_server(path: Path) -> tuple[int, int]:
    """Return the process that serves, and its port."""
    listening, ready = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            serve(path, ready)
        finally:
            os._exit(1)
    os.close(ready)
    port = int(os.read(listening, 5))
    os.close(listening)
    return child, port


class Load:
    """Clients that place and cancel as fast as they are answered, and remember what was answered."""

    def __init__(self, port: int, keys: list[ApiKey], chance: random.Random, now: float) -> None:
        self.address = f"http://127.0.0.1:{port}/api/v3/order"
        self.keys, self.chance, self.now = keys, chance, now
        self.answered: dict[int, dict[str, Any]] = {}

    async def run(self, until: float, path: Path, child: int) -> None:
        """Send until the server dies; meanwhile another process moves the clock of the same database."""
        async with aiohttp.ClientSession() as session:
            clients = [asyncio.create_task(self._send(session)) for _ in range(CONNECTIONS)]
            elsewhere = opened(path)
            while time.monotonic() < until or (not self.answered and time.monotonic() < until + 10):
                moved = await asyncio.to_thread(elsewhere.advance, 3)
                self.now = moved.timestamp()
                await asyncio.sleep(self.chance.uniform(0, 0.1))
            os.kill(child, signal.SIGKILL)
            elsewhere.close()
            await asyncio.gather(*clients)

    async def _send(self, session: aiohttp.ClientSession) -> None:
        with suppress(aiohttp.ClientError):
            while True:
                verb, key, asked = self._drawn()
                payload = urlencode(asked | {"timestamp": int(self.now * 1000), "recvWindow": 60_000})
                signature = hmac.new(key.secret.encode(), payload.encode(), sha256).hexdigest()
                url, headers = f"{self.address}?{payload}&signature={signature}", {"X-MBX-APIKEY": key.api_key}
                async with session.request(verb, url, headers=headers) as response:
                    answer = await response.json()
                    if response.status == 200:
                        self.answered[answer["orderId"]] = answer

    def _drawn(self) -> tuple[str, ApiKey, dict[str, Any]]:
        key = self.chance.choice(self.keys)
        if self.answered and self.chance.random() < 0.2:
            known = self.answered[self.chance.choice(list(self.answered))]
            return "DELETE", key, {"symbol": known["symbol"], "orderId": known["orderId"]}
        asked = {
            "symbol": "BTCUSDT",
            "side": self.chance.choice(("BUY", "SELL")),
            "type": "LIMIT",
            "timeInForce": self.chance.choice(("GTC", "IOC", "IOC", "IOC")),
            "quantity": "0.1",
            "price": str(self.chance.randint(98, 102)),
        }
        return "POST", key, asked


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")  # Python 3.12 on forking beside threads
def test_what_a_killed_server_answered_stands(tmp_path: Path) -> None:
    path, chance = tmp_path / "exchange.db", random.Random(5)
    made = make_exchange(Database(f"sqlite:///{path}"))
    with made.database.write() as connection:
        keys = [add_key(connection, account, made.now()) for account in ACCOUNTS]
    made.close()
    for _ in range(4):
        child, port = fork_server(path)
        exchange = opened(path)
        load = Load(port, keys, chance, exchange.now().timestamp())
        exchange.close()
        asyncio.run(load.run(time.monotonic() + chance.uniform(0.2, 0.8), path, child))
        _, status = os.waitpid(child, 0)
        assert os.WIFSIGNALED(status)
        after = opened(path)
        with after.database.read() as connection:
            rows = {row.order_id: row for row in connection.execute(select(tables.orders))}
        assert load.answered
        for order_id, answer in load.answered.items():
            row = rows[order_id]
            assert row.executed >= type(row.executed)(answer["executedQty"])
            if answer["status"] != "NEW":
                assert row.status != "NEW"
            if answer["status"] in ("FILLED", "CANCELED", "EXPIRED"):
                assert row.status == answer["status"]
        audit(after, after.database)
        after.close()
