"""The admin endpoint: faults, the stepped clock, symbols and money, for tests and rehearsals.

It has a port of its own, on loopback, and a random token that every request brings
(`Authorization: Bearer ...`). What it changes is the served exchange, for everyone.
"""

import hmac
import json
import math
import secrets
from collections.abc import Awaitable, Callable
from decimal import Decimal, InvalidOperation
from typing import Any

from aiohttp import web

from etf_trader.errors import EtfError, UsageError
from etf_trader.exchange.refusal import ExchangeError
from etf_trader.exchange.server.faults import MEANINGS, FaultPlan
from etf_trader.exchange.server.gateway import Gateway
from etf_trader.exchange.server.parameters import instant
from etf_trader.exchange.server.rest import encoded
from etf_trader.exchange.server.websocket import WebSocketApi

STATUSES = ("TRADING", "HALT", "BREAK", "END_OF_DAY", "CANCEL_ONLY")
Handler = Callable[[web.Request, dict[str, Any]], Awaitable[Any]]


class Admin:
    """Changes what a gateway serves, for who has the token."""

    def __init__(self, gateway: Gateway, sockets: WebSocketApi, token: str) -> None:
        self._gateway = gateway
        self._sockets = sockets
        self._token = token

    def application(self) -> web.Application:
        """Return the endpoint as an application."""
        app = web.Application()
        routes: tuple[tuple[str, str, Handler], ...] = (
            ("GET", "/", self._show),
            ("PUT", "/faults", self._follow),
            ("DELETE", "/faults", self._heal),
            ("POST", "/clock", self._advance),
            ("PUT", "/symbols/{symbol}", self._set_status),
            ("PUT", "/delistings", self._announce),
            ("POST", "/accounts/{account}/deposits", self._deposit),
            ("POST", "/accounts/{account}/withdrawals", self._withdraw),
            ("POST", "/streams/{what:hold|let_go|cut|disconnect}", self._streams),
            ("POST", "/sockets/{what:cut|disconnect}", self._end_sockets),
            ("POST", "/pardon", self._pardon),
        )
        for verb, path, handler in routes:
            app.router.add_route(verb, path, self._guarded(handler))
        return app

    def _guarded(self, handler: Handler) -> Callable[[web.Request], Awaitable[web.Response]]:
        async def handle(request: web.Request) -> web.Response:
            sent = request.headers.get("Authorization", "").removeprefix("Bearer ")
            if not hmac.compare_digest(sent.encode(), self._token.encode()):
                return _answer({"error": "the token is missing or wrong"}, 401)
            try:
                return _answer(await handler(request, _document(await request.text())))
            except EtfError as error:
                hint = f" ({error.hint})" if error.hint else ""
                return _answer({"error": f"{error.message}{hint}"}, 400)
            except ExchangeError as error:
                return _answer({"error": error.message, "code": error.code}, 400)

        return handle

    async def _show(self, request: web.Request, document: dict[str, Any]) -> Any:
        gateway = self._gateway
        return {
            "now": gateway.now().isoformat(),
            "clock": "stepped" if gateway.exchange.is_stepped else "wall",
            "era": gateway.exchange.era,
            "weight": gateway.settings.weight,
            "faults": gateway.faults.plan.document(),
            "fired": {str(fault): count for fault, count in gateway.faults.fired.items()},
            "meanings": {str(fault): meaning for fault, meaning in MEANINGS.items()},
            "stream_connections": len(gateway.hub),
            "api_connections": len(self._sockets),
        }

    async def _follow(self, request: web.Request, document: dict[str, Any]) -> Any:
        self._gateway.faults.follow(FaultPlan.read(document))
        return self._gateway.faults.plan.document()

    async def _heal(self, request: web.Request, document: dict[str, Any]) -> Any:
        fired = {str(fault): count for fault, count in self._gateway.faults.fired.items()}
        self._gateway.faults.follow(FaultPlan())
        return {"fired": fired}

    async def _advance(self, request: web.Request, document: dict[str, Any]) -> Any:
        seconds = _number(document, "seconds")
        now = self._gateway.exchange.advance(seconds)
        self._gateway.wake()
        await self._sockets.tell()  # who moves the clock may count on it: what fell due is told by then
        return {"now": now.isoformat()}

    async def _set_status(self, request: web.Request, document: dict[str, Any]) -> Any:
        status = document.get("status")
        if status not in STATUSES:
            raise UsageError(f"a symbol has no status {status!r}", hint=", ".join(STATUSES))
        self._gateway.exchange.set_status(request.match_info["symbol"], status)
        self._gateway.wake()
        return {"symbol": request.match_info["symbol"], "status": status}

    async def _announce(self, request: web.Request, document: dict[str, Any]) -> Any:
        rows = document.get("delistings", [])
        try:
            announced = {instant(int(row["delistTime"])): tuple(row["symbols"]) for row in rows}
        except (KeyError, TypeError, ValueError) as error:
            raise UsageError(
                'delistings are written as [{"delistTime": 1800000000000, "symbols": [...]}]'
            ) from error
        self._gateway.delistings = announced
        return {"delistings": rows}

    async def _deposit(self, request: web.Request, document: dict[str, Any]) -> Any:
        return self._move(request, document, self._gateway.exchange.deposit, "in")

    async def _withdraw(self, request: web.Request, document: dict[str, Any]) -> Any:
        return self._move(request, document, self._gateway.exchange.withdraw, "out")

    def _move(self, request: web.Request, document: dict[str, Any], move: Any, kind: str) -> Any:
        name = str(document.get("id") or f"{kind}-{secrets.token_hex(8)}")
        amount = _number(document, "amount")
        view = move(request.match_info["account"], str(document.get("asset")), amount, name)
        self._gateway.wake()
        return {"id": view.transfer_id, "asset": view.asset, "amount": str(view.amount)}

    async def _streams(self, request: web.Request, document: dict[str, Any]) -> Any:
        hub, what = self._gateway.hub, request.match_info["what"]
        connections = len(hub)
        if what == "hold":
            hub.hold()
        elif what == "let_go":
            hub.let_go()
        elif what == "cut":
            hub.cut()
        else:
            await hub.disconnect()
        return {"connections": connections}

    async def _end_sockets(self, request: web.Request, document: dict[str, Any]) -> Any:
        if request.match_info["what"] == "cut":
            return {"connections": self._sockets.cut()}
        return {"connections": await self._sockets.disconnect()}

    async def _pardon(self, request: web.Request, document: dict[str, Any]) -> Any:
        self._gateway.limits.pardon()
        return {}


def _document(text: str) -> dict[str, Any]:
    if not text.strip():
        return {}
    try:
        document = json.loads(text, parse_float=Decimal)
    except (ValueError, RecursionError) as error:
        raise UsageError("the request is no JSON") from error
    if not isinstance(document, dict):
        raise UsageError("the request is no JSON object")
    return {name: _plain(value) for name, value in document.items()}


def _plain(value: Any) -> Any:
    """Return fractions below the top as floats: chances are no money."""
    if isinstance(value, dict):
        return {name: float(each) if isinstance(each, Decimal) else _plain(each) for name, each in value.items()}
    return value


def _number(document: dict[str, Any], name: str) -> Decimal:
    try:
        value = Decimal(str(document[name]))
    except KeyError:
        raise UsageError(f"{name} is missing") from None
    except InvalidOperation:
        raise UsageError(f"{name} is not a number: {document[name]!r}") from None
    if not math.isfinite(value):
        raise UsageError(f"{name} is not a number: {document[name]!r}")
    return value


def _answer(body: Any, status: int = 200) -> web.Response:
    return web.Response(body=encoded(body), status=status, content_type="application/json")
