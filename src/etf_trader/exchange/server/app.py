"""The exchange as a web application, and a runner for it."""

import errno
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace

from aiohttp import web

from etf_trader.errors import ConfigError
from etf_trader.exchange.paper import PaperExchange
from etf_trader.exchange.server import absent, account, listen_keys, market, session, trading, wallet
from etf_trader.exchange.server.admin import Admin
from etf_trader.exchange.server.calls import Table
from etf_trader.exchange.server.gateway import Gateway, ServerSettings
from etf_trader.exchange.server.listen_keys import ListenKeyStreams
from etf_trader.exchange.server.rest import Rest
from etf_trader.exchange.server.websocket import WebSocketApi

HOST = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class Address:
    """Where an exchange is served; the names are those that clients ask for."""

    port: int
    host: str = HOST
    admin_port: int | None = None
    admin_token: str = field(default="", repr=False)

    @property
    def _authority(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def admin(self) -> str:
        """The admin endpoint."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.admin_port}"

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
    for part in (market, trading, account, wallet, listen_keys, session, absent):
        part.add_to(table)
    return table


def build(
    exchange: PaperExchange, settings: ServerSettings | None = None, admin_token: str = ""
) -> tuple[web.Application, web.Application]:
    """Return the exchange as an application, and its admin endpoint as another."""
    gateway, table = Gateway(exchange, settings), calls()
    rest, sockets = Rest(gateway, table), WebSocketApi(gateway, table)
    app = web.Application()
    app.on_startup.append(lambda _: gateway.start())
    app.on_shutdown.append(lambda _: sockets.shut_down())
    app.on_cleanup.append(lambda _: gateway.stop())
    app.router.add_get("/ws-api/v3", sockets.handle)
    if gateway.settings.listen_keys:
        app.router.add_get("/ws/{names:.*}", ListenKeyStreams(gateway).handle)
    gateway.hub.mount(app)
    for path in {path for _, path in table.by_path}:  # what is found by name needs no search
        app.router.add_route("*", path, rest.handle)
    app.router.add_route("*", "/{path:.*}", rest.handle)
    return app, Admin(gateway, sockets, admin_token).application()


@asynccontextmanager
async def serving(
    exchange: PaperExchange,
    settings: ServerSettings | None = None,
    *,
    host: str = HOST,
    port: int = 0,
    admin_port: int | None = None,
) -> AsyncIterator[Address]:
    """Serve `exchange` on loopback until the block is left; port 0 takes a free one.

    With an `admin_port` the admin endpoint is served there, to who has the token
    of the address.

    Raises:
        ConfigError: a port is taken, or may not be.
    """
    token = secrets.token_urlsafe(32)
    app, admin = build(exchange, settings, token)
    runner, admin_runner = (
        web.AppRunner(each, access_log=None, shutdown_timeout=1, handle_signals=False) for each in (app, admin)
    )
    try:
        bound = await _listen(runner, host, port, "--port")
        address = Address(bound, host)
        if admin_port is not None:
            bound = await _listen(admin_runner, host, admin_port, "--admin-port")
            address = replace(address, admin_port=bound, admin_token=token)
        yield address
    finally:
        await admin_runner.cleanup()
        await runner.cleanup()


async def _listen(runner: web.AppRunner, host: str, port: int, option: str) -> int:
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port).start()
    except OSError as error:
        is_taken = error.errno == errno.EADDRINUSE
        why = "another program listens there" if is_taken else (error.strerror or "it cannot be opened")
        raise ConfigError(
            f"port {port} of {host} cannot be served: {why}",
            where=option,
            hint=f"{option} 0 takes a free one",
        ) from error
    return int(runner.addresses[0][1])
