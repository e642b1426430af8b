"""Requests over HTTP: read, answered, and told with Binance's headers."""

from typing import Any

import msgspec
from aiohttp import web

from etf_trader.exchange.refusal import ExchangeError
from etf_trader.exchange.server import messages
from etf_trader.exchange.server.access import Credentials
from etf_trader.exchange.server.calls import Reply, Table
from etf_trader.exchange.server.gateway import Broken, Cut, Gateway, Request
from etf_trader.exchange.server.parameters import Parameters, from_form
from etf_trader.exchange.server.signing import split_signature

NOT_FOUND = "<html><head><title>404 Not found</title></head><body><h2>404 Not found</h2></body></html>"
BROKEN = "<html><head><title>Bad gateway</title></head><body><h1>Bad gateway</h1></body></html>"
_encode = msgspec.json.Encoder().encode


class Rest:
    """The REST side of a gateway."""

    def __init__(self, gateway: Gateway, table: Table) -> None:
        self._gateway = gateway
        self._table = table

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Answer one request, whatever it is."""
        address = request.remote or ""
        counts: dict[str, str] = {}
        try:
            self._gateway.limits.admit(address, self._gateway.now())
            call = self._table.by_path.get((request.method, request.path))
            if call is None:
                return web.Response(status=404, text=NOT_FOUND, content_type="text/html")
            body = await request.text() if request.can_read_body else ""
            reply = await self._gateway.answer(_read(request, body, call, address))
            counts = messages.count_headers(reply.counts)
        except Cut:
            if request.transport is not None:
                request.transport.abort()
            return web.Response(status=500)
        except Broken as error:
            return web.Response(status=error.status, text=BROKEN, content_type="text/html")
        except ExchangeError as error:
            reply = Reply({"code": error.code, "msg": error.message}, error.http_status)
            if error.retry_after is not None:
                counts["Retry-After"] = str(max(1, -int(-error.retry_after // 1)))
        return self._respond(reply, request, counts)

    def _respond(self, reply: Reply, request: web.Request, more: dict[str, str]) -> web.Response:
        limits, now, address = self._gateway.limits, self._gateway.now(), request.remote or ""
        if request.path.startswith("/sapi/"):
            used = {
                f"X-SAPI-USED-IP-WEIGHT-{limits.wallet.letter}": str(limits.used(address, now, in_wallet=True))
            }
        else:
            weight = str(limits.used(address, now))
            used = {"X-MBX-USED-WEIGHT": weight, f"X-MBX-USED-WEIGHT-{limits.weight.letter}": weight}
        headers = {"Content-Type": "application/json;charset=UTF-8", **used, **more}
        return web.Response(body=encoded(reply.body), status=reply.status, headers=headers)


def _read(request: web.Request, body: str, call: Any, address: str) -> Request:
    """Return a request as it was sent: query and body together, of equal names the query's."""
    query = request.raw_path.partition("?")[2]
    signed_query, in_query = split_signature(query)
    signed_body, in_body = split_signature(body)
    values = from_form(body) | from_form(query)
    credentials = Credentials(
        api_key=request.headers.get("X-MBX-APIKEY"),
        payload=signed_query + signed_body,
        signature=in_query if in_query is not None else in_body,
    )
    unit = request.headers.get("X-MBX-TIME-UNIT", "MILLISECOND").upper()
    return Request(call, Parameters(values), address, credentials, unit == "MICROSECOND")


def encoded(body: Any) -> bytes:
    """Return a body as JSON."""
    return _encode(body)
