"""What Binance tells of our orders as it happens: a subscription over its WebSocket API, watched over.

It is a hint. python-binance's own does not subscribe again after it was cut and
then stays silent for good, so this is ours. Whatever may have been missed is
told to `gap` after each subscription: it asks by REST, which is the truth.

Source:
    Binance Spot API: user-data-stream.md, web-socket-api.md.
"""

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable, Mapping
from decimal import Decimal
from itertools import count
from typing import Any

import aiohttp

from etf_trader.errors import ConfigError, EtfError, VenueError
from etf_trader.venue.binance import errors, messages
from etf_trader.venue.binance.client import RECV_WINDOW, BinanceClient, Network
from etf_trader.venue.binance.errors import Refusal
from etf_trader.venue.interface import Report

POLL_SECONDS = 5.0
"""How often it is asked whether our subscription lives."""

ANSWER_SECONDS = 5.0
"""How long an answer on the socket may take."""

REPORT_SECONDS = 5.0
"""How long after an answer to an order its report may come."""

LONGEST_LIFE = 23 * 3600.0
"""The venue ends each connection after 24 hours; ours ends sooner, when it suits us."""

FIRST_PAUSE, LONGEST_PAUSE = 0.5, 30.0
HEARTBEAT = 10.0
MOST_EXPECTED = 1000

_LOG = logging.getLogger(__name__)


class Lost(Exception):
    """The subscription gives nothing more; subscribe again."""


class UserStream:
    """One subscription, renewed for as long as `run` runs."""

    def __init__(
        self,
        client: BinanceClient,
        heard: Callable[[Report], None],
        gap: Callable[[], Awaitable[None]],
    ) -> None:
        self._client = client
        self._heard = heard
        self._gap = gap
        self._ids = count(1)
        self._expected: dict[str, float] = {}
        self._told: dict[str, None] = {}
        self._socket: aiohttp.ClientWebSocketResponse | None = None
        self._answers: dict[int, asyncio.Event] = {}
        self._is_awaited = True
        self.is_subscribed = asyncio.Event()

    async def run(self) -> None:
        """Keep the subscription until cancelled, or until the venue refuses our keys."""
        pause = FIRST_PAUSE
        while True:
            began = self._now()
            try:
                await self._follow()
            except (Lost, *Network) as error:
                _LOG.info(
                    "the user stream was lost: %s", errors.network(error) if not isinstance(error, Lost) else error
                )
            except Refusal as error:
                _LOG.warning("the user stream was refused: %s", error)
                pause = max(pause, error.retry_after or 0.0)
            except ConfigError as error:
                _LOG.warning("there is no user stream: %s", error)
                return
            except VenueError as error:
                _LOG.info("the user stream waits: %s", error)
                pause = max(pause, getattr(error, "retry_after", 0.0))
            finally:
                self._socket = None
                self.is_subscribed.clear()
                self._give_up_answers()
            if self._now() - began > LONGEST_PAUSE:
                pause = FIRST_PAUSE
            await asyncio.sleep(pause)
            pause = min(pause * 2, LONGEST_PAUSE)

    async def hear_out(self) -> None:
        """Return once everything was heard that the venue has sent by now, or the stream is lost; it is asked.

        The answer comes after it on the same connection. A stream that did not
        come, or did not answer, is waited for again once it has been subscribed anew.
        """
        if not self._is_awaited:
            return
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                await self.is_subscribed.wait()
                await self._client.take(1, urgent=True)
                if self._socket is not None:
                    await self._hear_answer(self._socket)
        except (TimeoutError, VenueError, *Network) as error:
            self._is_awaited = False
            _LOG.info("the user stream was not heard out: %s", error)

    async def _hear_answer(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        number, answer = next(self._ids), asyncio.Event()
        self._answers[number] = answer
        await socket.send_str(json.dumps({"id": number, "method": "ping"}))
        await answer.wait()

    def _give_up_answers(self) -> None:
        for answer in self._answers.values():
            answer.set()
        self._answers.clear()

    def expect(self, client_order_id: str) -> None:
        """Take note that the venue has an order: if its report does not come, the stream has stalled."""
        if client_order_id in self._told:
            del self._told[client_order_id]
        elif self.is_subscribed.is_set() and len(self._expected) < MOST_EXPECTED:
            self._expected[client_order_id] = self._now() + REPORT_SECONDS

    async def _follow(self) -> None:
        """Connect, subscribe and listen until it is over.

        Raises:
            Lost: it ended, or it looks as if nothing more comes.
            Refusal: the venue does not want us.
        """
        client = self._client
        if not client.clock.is_known:
            await client.sync()
        await client.take(4, urgent=False)
        async with client.session.ws_connect(
            client.environment.user,
            heartbeat=HEARTBEAT,
            max_msg_size=0,
            timeout=aiohttp.ClientWSTimeout(ws_close=0.5),
        ) as socket:
            subscription = (await self._ask(socket, "userDataStream.subscribe.signature", self._signed()))[
                "subscriptionId"
            ]
            self._expected.clear()
            self._socket, self._is_awaited = socket, True
            self.is_subscribed.set()
            await self._close_gap()
            await self._listen(socket, subscription, self._now() + LONGEST_LIFE)

    async def _listen(self, socket: aiohttp.ClientWebSocketResponse, subscription: int, until: float) -> None:
        polled = self._now()
        while self._now() < until:
            self._require_reports()
            left = polled + POLL_SECONDS - self._now()
            if left <= 0:
                polled = self._now()
                await self._client.take(2, urgent=False)
                alive = await self._ask(socket, "session.subscriptions", {})
                if subscription not in [each["subscriptionId"] for each in alive]:
                    raise Lost("the venue has no subscription of ours any more")
                continue
            try:
                message = await self._receive(socket, min(left, 1.0))
            except TimeoutError:
                continue
            self._take_in(message)
        raise Lost("its day is over")

    async def _ask(
        self, socket: aiohttp.ClientWebSocketResponse, method: str, params: Mapping[str, object]
    ) -> Any:
        """Send a request and return its result; events that come before it are taken in."""
        number = next(self._ids)
        await socket.send_str(json.dumps({"id": number, "method": method, "params": dict(params)}))
        until = self._now() + ANSWER_SECONDS
        while (left := until - self._now()) > 0:
            try:
                message = await self._receive(socket, left)
            except TimeoutError:
                break
            if message.get("id") != number:
                self._take_in(message)
                continue
            if message.get("status") != 200:
                raise _refusal(message, self._client.milliseconds())
            return message["result"]
        raise Lost(f"no answer to {method}")

    async def _receive(self, socket: aiohttp.ClientWebSocketResponse, seconds: float) -> Mapping[str, Any]:
        """Return the next message.

        Raises:
            TimeoutError: none came in time.
            Lost: the connection is over.
        """
        message = await socket.receive(seconds)
        if message.type is not aiohttp.WSMsgType.TEXT:
            raise Lost(f"the connection ended ({message.type.name.lower()})")
        found: Mapping[str, Any] = json.loads(message.data, parse_float=Decimal)
        return found

    def _take_in(self, message: Mapping[str, Any]) -> None:
        if (answer := self._answers.pop(message.get("id", 0), None)) is not None:
            answer.set()
        event = message.get("event", {})
        kind = event.get("e")
        if kind == "executionReport":
            report = messages.report(event)
            self._arrived(report.order.client_order_id)
            self._heard(report)
        elif kind in ("eventStreamTerminated", "serverShutdown"):
            raise Lost(f"the venue said {kind}")

    def _arrived(self, name: str) -> None:
        if self._expected.pop(name, None) is None:
            self._told[name] = None  # it may come before the answer to the order
            while len(self._told) > MOST_EXPECTED:
                del self._told[next(iter(self._told))]

    def _require_reports(self) -> None:
        late = [name for name, until in self._expected.items() if until < self._now()]
        if late:
            raise Lost(f"no report of {late[0]} came")

    async def _close_gap(self) -> None:
        try:
            await self._gap()
        except EtfError as error:
            _LOG.info("what the user stream missed was not learnt: %s", error)

    def _signed(self) -> dict[str, object]:
        params: dict[str, object] = {
            "apiKey": self._client.api_key,
            "recvWindow": RECV_WINDOW,
            "timestamp": self._client.milliseconds(),
        }
        text = "&".join(f"{name}={params[name]}" for name in sorted(params))
        return params | {"signature": self._client.signature(text)}

    def _now(self) -> float:
        return asyncio.get_running_loop().time()


def _refusal(message: Mapping[str, Any], now: int) -> Refusal | ConfigError:
    """Return what a refused request on the socket raises; there `retryAfter` is a time, not a span."""
    found = message.get("error", {})
    code, text = int(found.get("code", 0)), str(found.get("msg", "no reason given"))
    if code in errors.KEYS:
        return ConfigError(text, hint=errors.ADVICE[code])
    until = (found.get("data") or {}).get("retryAfter")
    wait = None if until is None else max((int(until) - now) / 1000, errors.LEAST_WAIT)
    return Refusal(int(message.get("status", 0)), code, text, wait)
