"""Streams served in a test, and a plain client of them."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
from aiohttp import web

from etf_trader.exchange.paper import PaperExchange
from etf_trader.exchange.server.stream_connection import StreamSettings
from etf_trader.exchange.server.streams import Hub

NEVER = 1e9
BY_HAND = StreamSettings(messages=1_000_000, tick=NEVER)
"""The exchange is looked at when the test says so."""
PATIENCE = 5.0


@asynccontextmanager
async def streams(exchange: PaperExchange, settings: StreamSettings = BY_HAND) -> AsyncIterator[tuple[Hub, str]]:
    """Serve the streams alone; yields the hub and the address, with a slash at its end."""
    hub = Hub(exchange, settings)
    app = web.Application()
    hub.mount(app)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield hub, f"ws://127.0.0.1:{runner.addresses[0][1]}/"
    finally:
        await runner.cleanup()


class StreamClient:
    """One connection, and what came over it."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.socket = socket
        self._asked = 0

    async def ask(self, method: str, *params: Any) -> tuple[Any, list[Any]]:
        """Send a command; return its answer, and the events that came before it."""
        self._asked += 1
        request = {"method": method, "id": self._asked} | ({"params": list(params)} if params else {})
        await self.socket.send_str(json.dumps(request))
        events: list[Any] = []
        while True:
            message = await self.next()
            if isinstance(message, dict) and message.get("id") == self._asked:
                return message, events
            events.append(message)

    async def heard(self) -> list[Any]:
        """Return the events that were sent by now: an answer comes after all that went before it."""
        _, events = await self.ask("LIST_SUBSCRIPTIONS")
        return events

    async def next(self) -> Any:
        """Return the next message."""
        message = await asyncio.wait_for(self.socket.receive(), PATIENCE)
        assert message.type is aiohttp.WSMsgType.TEXT, message
        return json.loads(message.data)

    async def closed(self) -> int | None:
        """Return the code with which the connection was closed; None where it was cut."""
        while True:
            message = await asyncio.wait_for(self.socket.receive(), PATIENCE)
            if message.type is not aiohttp.WSMsgType.TEXT:
                return self.socket.close_code


@asynccontextmanager
async def connected(address: str, path: str = "ws", **options: Any) -> AsyncIterator[StreamClient]:
    """Connect to `path`, as it is."""
    from yarl import URL

    async with (
        aiohttp.ClientSession() as session,
        session.ws_connect(URL(address + path, encoded=True), **options) as socket,
    ):
        yield StreamClient(socket)
