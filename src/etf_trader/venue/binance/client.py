"""One connection to Binance's REST interface: python-binance, told when and what to sign.

What it does by itself is switched off: it does not ping when it is made, stamp
an order anew, follow a redirect, or keep the last answer for all to share.
"""

import asyncio
import json
import warnings
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from urllib.parse import quote, urlencode

import aiohttp

from etf_trader import __version__
from etf_trader.errors import ConfigError, RateLimited
from etf_trader.venue.binance import errors
from etf_trader.venue.binance.environments import Environment
from etf_trader.venue.binance.errors import Refusal
from etf_trader.venue.binance.keys import Keys
from etf_trader.venue.binance.timekeeping import Timekeeping
from etf_trader.venue.binance.weight import Allowance, is_urgent, weight_of

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)  # it imports a part of websockets that is to go
    from binance.async_client import AsyncClient

RECV_WINDOW = 5000
"""Milliseconds that a question may take to arrive."""

TIMEOUT = aiohttp.ClientTimeout(total=12, connect=4, sock_connect=4)
"""Seconds; the venue itself gives up after 10."""

PAUSES = (0.05, 0.2, 0.8)
"""Seconds between the tries of a question that was not answered."""

PATIENCE = 15.0
"""Seconds after which it is not put again."""

MOST_CONNECTIONS = 40
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)

Network = (aiohttp.ClientError, TimeoutError, asyncio.TimeoutError, ConnectionError, ValueError)
"""What a request may raise beside a refusal."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What the venue answered, with the headers of this very answer."""

    body: Any
    headers: Mapping[str, str]

    def order_counts(self) -> dict[str, int]:
        """Return the unfilled orders that the venue counts, by window as it writes them (`10S`, `1D`)."""
        return _numbers(self.headers, "X-MBX-ORDER-COUNT-")

    def used_weight(self) -> int | None:
        """Return the weight that this address has used this minute."""
        return _numbers(self.headers, "X-MBX-USED-WEIGHT-").get("1M")


class BinanceClient(AsyncClient):  # type: ignore[misc]  # it has no types
    """Sends requests for one account; it belongs to the event loop that it was made in."""

    REQUEST_RECVWINDOW = RECV_WINDOW

    def __init__(
        self, environment: Environment, keys: Keys | None, clock: Timekeeping, allowance: Allowance
    ) -> None:
        self.API_URL = environment.api
        self.MARGIN_API_URL = environment.wallet or ""
        self.WS_API_URL = environment.user
        self.environment = environment
        self.clock = clock
        self._keys = keys
        self._allowance = allowance
        self._signing_key = _private_key(keys) if keys is not None and keys.is_ed25519 else None
        self._silent_until: float | None = None
        self._asking: asyncio.Task[None] | None = None
        self._unreached: Exception | None = None
        super().__init__(None if keys is None else keys.api_key, None if keys is None else keys.secret)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.environment.name})"

    async def get(self, path: str, *, signed: bool = False, **params: object) -> Answer:
        """Ask a question, again if no answer comes: it changes nothing.

        Raises:
            Refusal: the venue answered that it does not.
        """
        return await self._patiently(lambda: self._call("get", path, signed, params))

    async def post(self, path: str, **params: object) -> Answer:
        """Send what changes something; `timestamp` and `recvWindow` are signed as they are given."""
        return await self._call("post", path, True, params)

    async def delete(self, path: str, **params: object) -> Answer:
        """Take back; what is taken back already can be taken back again."""
        return await self._patiently(lambda: self._call("delete", path, True, params))

    async def wallet(self, path: str, **params: object) -> Answer:
        """Ask the wallet, `/sapi/v1`; only where the environment has one."""
        assert self.environment.wallet is not None

        async def ask() -> Answer:
            await self._know_the_time()
            await self._may_send(1, urgent=False)
            return await self._answered(self._request_margin_api("get", path, True, data=_given(params)))

        return await self._patiently(ask)

    async def sync(self) -> None:
        """Ask the venue for its time, and reckon from then on; who asks meanwhile shares the answer."""
        if self._asking is None or self._asking.done():
            self._asking = asyncio.create_task(self._told_time())
        await asyncio.shield(self._asking)

    def signature(self, text: str) -> str:
        """Return what proves that `text` is ours: hexadecimal for a shared secret, base64 for a private key."""
        if self._signing_key is not None:
            self.PRIVATE_KEY = self._signing_key
            try:
                return str(self._ed25519_signature(text))
            finally:
                self.PRIVATE_KEY = None  # with it set, requests are put together in another way
        if self._keys is None:
            raise ConfigError("this needs API keys", hint="etf doctor tells where they are looked for")
        return str(self._hmac_signature(text))

    def milliseconds(self) -> int:
        """Return the venue's time as its requests write it."""
        return milliseconds(self.clock.now())

    @property
    def api_key(self) -> str:
        """The key itself, for a request that has to name it."""
        return "" if self._keys is None else self._keys.api_key.revealed()

    async def take(self, weight: int, *, urgent: bool) -> None:
        """Wait until something of this weight may be sent by another way."""
        await self._may_send(weight, urgent=urgent)

    def limited(self, seconds: int, limit: int) -> None:
        """Take note of how much weight the venue allows in each window."""
        self._allowance.limited(seconds, limit)

    async def _measure(self) -> None:
        for _ in range(self.clock.samples):
            await self._may_send(1, urgent=True)
            sent = self.clock.sent()
            answer = await self._answered(self._request_api("get", "time"))
            self.clock.note(moment(answer.body["serverTime"]), sent)

    async def _told_time(self) -> None:
        """Measure, again where no answer comes; each try has its own times."""
        for pause in PAUSES:
            try:
                return await self._measure()
            except (Refusal, *Network) as error:
                if isinstance(error, Refusal) and not errors.is_no_answer(error):
                    raise
                await asyncio.sleep(pause)
        try:
            return await self._measure()
        except Network as error:
            self._unreached = error
            raise

    async def _call(self, method: str, path: str, signed: bool, params: Mapping[str, object]) -> Answer:
        if signed:
            await self._know_the_time()
        given = _given(params)
        await self._may_send(weight_of(method, path, **given), urgent=is_urgent(path) or method != "get")
        return await self._answered(self._request_api(method, path, signed, data=given))

    async def _know_the_time(self) -> None:
        if not self.clock.is_known:
            await self.sync()

    async def _patiently(self, ask: Callable[[], Awaitable[Answer]]) -> Answer:
        """Ask until an answer comes, a few times; a refusal is one."""
        began = asyncio.get_running_loop().time()
        for pause in PAUSES:
            try:
                return await ask()
            except (Refusal, *Network) as error:
                is_late = asyncio.get_running_loop().time() - began > PATIENCE
                if error is self._unreached:
                    raise  # the time was asked for as often already, and nobody answered
                if is_late or (isinstance(error, Refusal) and not errors.is_no_answer(error)):
                    raise
                await asyncio.sleep(pause)
        return await ask()

    async def _may_send(self, weight: int, *, urgent: bool) -> None:
        """Wait for weight; while the venue wants to be left alone nothing is sent at all."""
        if self._silent_until is not None:
            left = self._silent_until - self.clock.seconds()
            if left > 0:
                raise RateLimited("the venue wants to be left alone", retry_after=left, is_of_host=True)
            self._silent_until = None
        await self._allowance.take(weight, urgent=urgent)

    async def _answered(self, request: Any) -> Answer:
        try:
            answer: Answer = await request
        except Refusal as error:
            self._learn(error)
            raise
        if (used := answer.used_weight()) is not None:
            self._allowance.told(used)
        return answer

    def _learn(self, error: Refusal) -> None:
        if error.code == errors.CLOCK:
            self.clock.doubt()
        if error.status in (418, 429) and error.code != errors.TOO_MANY_ORDERS:
            wait = error.retry_after or errors.LEAST_WAIT
            self._silent_until = self.clock.seconds() + wait

    # What follows takes the place of python-binance's own.

    def _init_session(self) -> aiohttp.ClientSession:
        connector = aiohttp.TCPConnector(limit=MOST_CONNECTIONS)
        return aiohttp.ClientSession(connector=connector, headers=self._get_headers(), timeout=TIMEOUT)

    def _get_headers(self) -> dict[str, str]:
        headers = {"Accept": "application/json", "User-Agent": f"etf-trader/{__version__}"}
        return headers | ({} if self._keys is None else {"X-MBX-APIKEY": self.api_key})

    def _get_request_kwargs(
        self, method: str, signed: bool, force_params: bool = False, **kwargs: Any
    ) -> dict[str, Any]:
        """Put a request together: what is signed is, letter for letter, what is sent."""
        params = {name: str(value) for name, value in (kwargs.get("data") or {}).items()}
        if signed:
            params.setdefault("timestamp", str(self.milliseconds()))
            params.setdefault("recvWindow", str(self.REQUEST_RECVWINDOW))
        text = urlencode(sorted(params.items()))
        if signed:
            text += f"&signature={quote(self.signature(text), safe='')}"
        made: dict[str, Any] = {"timeout": TIMEOUT, "allow_redirects": False}
        return made | ({"params" if method == "get" else "data": text} if text else {})

    async def _handle_response(self, response: aiohttp.ClientResponse) -> Answer:
        self.response = None
        text = await response.text()
        if not 200 <= response.status < 300:
            raise errors.refusal(response.status, response.headers, text)
        return Answer(json.loads(text, parse_float=Decimal) if text else {}, response.headers)


def milliseconds(at: datetime) -> int:
    """Return a time as the venue writes it, rounded down: an order is never dated after its grant."""
    return (at - _EPOCH) // _MILLISECOND


def moment(value: object) -> datetime:
    """Return the time that the venue wrote."""
    return _EPOCH + int(str(value)) * _MILLISECOND


def _given(params: Mapping[str, object]) -> dict[str, object]:
    return {name: value for name, value in params.items() if value is not None}


def _numbers(headers: Mapping[str, str], prefix: str) -> dict[str, int]:
    found = {
        name.upper().removeprefix(prefix): value
        for name, value in headers.items()
        if name.upper().startswith(prefix)
    }
    return {name: int(value) for name, value in found.items() if value.isdecimal()}


def _private_key(keys: Keys) -> Any:
    from Crypto.PublicKey import ECC

    try:
        key = ECC.import_key(keys.secret.revealed())
    except (ValueError, IndexError, TypeError):
        key = None
    if key is None or key.curve not in ("Ed25519", "ed25519") or not key.has_private():
        raise ConfigError(
            "the private key is not an Ed25519 key", where=keys.source, hint="only HMAC and Ed25519 keys are used"
        )
    return key
