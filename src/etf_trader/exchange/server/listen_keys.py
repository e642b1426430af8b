"""Listen keys, which Binance has no more: refused, unless a switch lets old clients have them."""

from contextlib import suppress
from typing import TYPE_CHECKING

from aiohttp import web

from etf_trader.exchange.refusal import ExchangeError, missing
from etf_trader.exchange.server import refusals
from etf_trader.exchange.server.calls import Ask, Call, Reply, Security, Table
from etf_trader.exchange.server.keys import random_key
from etf_trader.exchange.server.rest import encoded
from etf_trader.exchange.server.user_events import Event
from etf_trader.exchange.server.user_stream import Subscription

if TYPE_CHECKING:
    from etf_trader.exchange.server.gateway import Gateway

PATH, OLD_PATH = "/api/v3/userDataStream", "/api/v1/userDataStream"
GONE = 410


def create(ask: Ask) -> Reply:
    """Return the listen key of the account."""
    keys = _listen_keys(ask)
    known = next((key for key, account in keys.items() if account == ask.account), None)
    if known is None:
        known = random_key()
        keys[known] = ask.account
    return Reply({"listenKey": known})


def keep(ask: Ask) -> Reply:
    """Keep a listen key alive; here they do not end by themselves."""
    _known(ask)
    return Reply({})


def close(ask: Ask) -> Reply:
    """End a listen key."""
    del _listen_keys(ask)[_known(ask)]
    return Reply({})


def _listen_keys(ask: Ask) -> dict[str, str]:
    if not ask.gateway.settings.listen_keys:
        raise refusals.unsupported(GONE)
    return ask.gateway.listen_keys


def _known(ask: Ask) -> str:
    keys = _listen_keys(ask)
    key = ask.parameters.raw("listenKey")
    if not key:
        raise missing("listenKey")
    if keys.get(key) != ask.account:
        raise ExchangeError(-1125, "This listenKey does not exist.")
    return key


class ListenKeyStreams:
    """Serves `/ws/<listen key>`; other names are market streams."""

    def __init__(self, gateway: "Gateway") -> None:
        self._gateway = gateway

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Serve one connection until it ends."""
        gateway = self._gateway
        account = gateway.listen_keys.get(request.match_info["names"])
        if account is None:
            return await gateway.hub.handle(request)
        socket = web.WebSocketResponse(heartbeat=40)
        await socket.prepare(request)

        async def send(event: Event) -> None:
            with suppress(ConnectionError):
                await socket.send_str(encoded(event).decode())

        def cut() -> None:
            if request.transport is not None:
                request.transport.abort()

        told = Subscription(gateway.feed, gateway.faults, account, send, cut)
        told.start()
        try:
            async for _ in socket:
                pass
        finally:
            told.stop()
        return socket


def add_to(table: Table) -> None:
    """Add these calls."""
    takes = frozenset(("listenKey",))
    for verb, method, handler in (
        ("POST", "start", create),
        ("PUT", "ping", keep),
        ("DELETE", "stop", close),
    ):
        table.add(Call(handler, takes, 2, Security.KEY, verb, PATH, f"userDataStream.{method}"))
        table.add(Call(handler, takes, 2, Security.KEY, verb, OLD_PATH))
