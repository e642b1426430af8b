"""The exchange as a web application, and a runner for it."""

import errno
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from aiohttp import web

from etf_trader.errors import ConfigError
from etf_trader.exchange.paper import PaperExchange
from etf_trader.exchange.server import account, market, session, trading
from etf_trader.exchange.server.calls import Table
from etf_trader.exchange.server.gateway import Gateway, ServerSettings
from etf_trader.exchange.server.rest import Rest
from etf_trader.exchange.server.websocket import WebSocketApi

HOST = "127.0.0.1"
GATEWAY: web.AppKey[Gateway] = web.AppKey("gateway", Gateway)


@dataclass(frozen=True, slots=True)
class Address:
    """Where an exchange is served; the names are those that clients ask for."""

    port: int
    host: str = HOST

    @property
    def _authority(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def url(self) -> str:
        """The address itself."""
        return f"http://{self._authority}"

    @property
    def rest(self) -> str:
        """The base of REST, as python-binance's API_URL."""
        return f"{self.url}/api"

    @property
    def websocket_api(self) -> str:
        """The WebSocket API."""
        return f"ws://{self._authority}/ws-api/v3"

    @property
    def streams(self) -> str:
        """The base of the streams, as python-binance's STREAM_URL."""
        return f"ws://{self._authority}/"


def calls() -> Table:
    """Return everything that can be asked."""
    table = Table()
    for part in (market, trading, account, session):
        part.add_to(table)
    return table


def build(exchange: PaperExchange, settings: ServerSettings | None = None) -> web.Application:
    """Return the exchange as an application."""
    gateway = Gateway(exchange, settings)
    app = web.Application()
    app[GATEWAY] = gateway
    table = calls()
    rest, sockets = Rest(gateway, table), WebSocketApi(gateway, table)
    app.on_startup.append(lambda _: gateway.start())
    app.on_shutdown.append(lambda _: sockets.shut_down())
    app.on_cleanup.append(lambda _: gateway.stop())
    app.router.add_get("/ws-api/v3", sockets.handle)
    app.router.add_route("*", "/{path:.*}", rest.handle)
    return app


@asynccontextmanager
async def serving(
    exchange: PaperExchange, settings: ServerSettings | None = None, *, host: str = HOST, port: int = 0
) -> AsyncIterator[Address]:
    """Serve `exchange` on loopback until the block is left; port 0 takes a free one.

    Raises:
        ConfigError: the port is taken, or may not be.
    """
    runner = web.AppRunner(build(exchange, settings), access_log=None, shutdown_timeout=1)
    await runner.setup()
    try:
        await _listen(runner, host, port)
        bound: tuple[str, int] = runner.addresses[0]
        yield Address(bound[1], host)
    finally:
        await runner.cleanup()


async def _listen(runner: web.AppRunner, host: str, port: int) -> None:
    try:
        await web.TCPSite(runner, host, port).start()
    except OSError as error:
        is_taken = error.errno == errno.EADDRINUSE
        why = "another program listens there" if is_taken else (error.strerror or "it cannot be opened")
        raise ConfigError(
            f"port {port} of {host} cannot be served: {why}",
            where="--port",
            hint="--port 0 takes a free one",
        ) from error
