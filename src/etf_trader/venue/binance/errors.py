"""Binance's refusals and the network's failures in our errors, translated once.

An order that may have been sent is one thing, a question another: what is not
known of the first is `OutcomeUnknown`, the second is put again.

Source:
    Binance Spot API: errors.md, rest-api.md (HTTP return codes).
"""

import asyncio
import json
from collections.abc import Mapping
from errno import ECONNREFUSED

from etf_trader.errors import (
    ConfigError,
    DuplicateOrder,
    OrderRejected,
    OutcomeUnknown,
    RateLimited,
    VenueError,
    VenueUnavailable,
)

UNKNOWN_STATUS = (-1000, -1001, -1006, -1007)
TOO_MUCH_WEIGHT = -1003
OVERLOADED = -1008
TOO_MANY_ORDERS = -1015
CLOCK = -1021
BAD_SIGNATURE = -1022
NO_SYMBOL = -1121
REJECTED = -2010
CANCEL_REJECTED = -2011
NO_SUCH_ORDER = -2013
KEYS = (-2008, -2014, -2015, BAD_SIGNATURE)
DUPLICATE = "Duplicate order sent."

LEAST_WAIT = 1.0

ADVICE = {
    BAD_SIGNATURE: "the secret does not belong to the API key: copy both once more, as one pair",
    -2008: "the venue does not know this API key: is it of this environment?",
    -2014: "the API key is not one of this venue's: is it copied whole?",
    -2015: "the key is unknown (is it the API key, not the secret?), is used from another address than it allows, "
    "or may not do this: look at its restrictions at the venue",
    -1002: "the key may not do this: look at its restrictions at the venue",
    403: "the venue's firewall turned the request away: wait some minutes; is this country served?",
    451: "the venue does not serve this place",
}

UNREACHED = "is there a network, and is the address right? etf doctor tells what works"


class Refusal(Exception):
    """An answer that is no result: `code` is Binance's, 0 where the answer had none; `retry_after` in seconds."""

    def __init__(self, status: int, code: int, message: str, retry_after: float | None = None) -> None:
        self.status = status
        self.code = code
        self.message = message
        self.retry_after = retry_after
        super().__init__(f"{code or status}: {message}")


def refusal(status: int, headers: Mapping[str, str], text: str) -> Refusal:
    """Read an answer with a status other than 2XX."""
    code, message = 0, f"HTTP {status}"
    try:
        body = json.loads(text)
        code, message = int(body["code"]), str(body["msg"])
    except (ValueError, KeyError, TypeError):
        pass
    waiting = headers.get("Retry-After", "")
    return Refusal(status, code, message, float(waiting) if waiting.isdecimal() else None)


def is_no_answer(error: Refusal) -> bool:
    """Whether a question that was met by this is still open: it can be put again."""
    return error.status >= 500 or error.code in (*UNKNOWN_STATUS, OVERLOADED, CLOCK)


def of_question(error: Exception, where: str | None = None) -> VenueError | ConfigError:
    """Return what to raise for a request that changes nothing, or may be repeated."""
    if isinstance(error, Refusal):
        if (found := _always(error, where)) is not None:
            return found
        if is_no_answer(error):
            return VenueUnavailable(f"the venue did not answer ({error})", where=where)
        if error.status == 404 and not error.code:
            return VenueError("what answers there does not speak as Binance does (HTTP 404)", where=where)
        return VenueError(_sentence(error), where=where, hint=ADVICE.get(error.code, ADVICE.get(error.status)))
    return VenueUnavailable(f"the venue cannot be reached: {network(error)}", where=where, hint=UNREACHED)


def of_order(error: Exception, symbol: str) -> VenueError | ConfigError:
    """Return what to raise for a new order that was sent, or was to be."""
    if isinstance(error, Refusal):
        if (found := _always(error, symbol)) is not None:
            return found
        if error.code in (OVERLOADED, CLOCK):
            # Refused at receipt: it took no effect, and a new grant brings a new time.
            return VenueUnavailable(f"the venue did not take it ({error})", where=symbol)
        if error.status >= 500 or error.code in UNKNOWN_STATUS or not error.code:
            return OutcomeUnknown(f"the venue may have taken it ({error})", where=symbol)
        if error.code == REJECTED and error.message == DUPLICATE:
            return DuplicateOrder(error.message, where=symbol)
        return OrderRejected(_sentence(error), venue_code=error.code, symbol=symbol)
    if never_sent(error):
        return VenueUnavailable(f"the venue cannot be reached: {network(error)}", where=symbol)
    return OutcomeUnknown(f"the venue did not answer in time ({network(error)})", where=symbol)


def never_sent(error: Exception) -> bool:
    """Whether the request cannot have left this machine: no connection stood."""
    import aiohttp

    return isinstance(error, aiohttp.ClientConnectorError | aiohttp.ConnectionTimeoutError | aiohttp.InvalidURL)


def network(error: Exception) -> str:
    """Return what happened to a connection, without addresses, which hold signatures."""
    import aiohttp

    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return "its name is not known here: is there a network?"
    if isinstance(error, aiohttp.ClientConnectorCertificateError | aiohttp.ClientConnectorSSLError):
        return "its certificate was not accepted"
    if isinstance(error, aiohttp.ClientConnectorError):
        return "nobody listens there" if _is_refused(error) else error.strerror or "no connection"
    if isinstance(error, TimeoutError | asyncio.TimeoutError):
        return "no answer in time"
    if isinstance(error, aiohttp.ServerDisconnectedError | ConnectionError | aiohttp.ClientOSError):
        return "the connection was cut"
    if isinstance(error, aiohttp.ClientPayloadError | ValueError):
        return "the answer is not whole"
    return type(error).__name__


def _is_refused(error: OSError) -> bool:
    return ECONNREFUSED in (error.errno, getattr(error.__cause__, "errno", None))


def _always(error: Refusal, where: str | None) -> VenueError | ConfigError | None:
    """Return what means the same for every request: limits, and keys that are not accepted."""
    if error.code == TOO_MANY_ORDERS:
        return RateLimited(error.message, retry_after=_wait(error), is_of_host=False)
    if error.status in (429, 418) or error.code == TOO_MUCH_WEIGHT:
        return RateLimited(error.message, retry_after=_wait(error), is_of_host=True)
    if error.status == 403 and not error.code:
        return RateLimited(ADVICE[403], retry_after=300, is_of_host=True)
    if error.code in KEYS:
        return ConfigError(_sentence(error), where=where, hint=ADVICE[error.code])
    return None


def _wait(error: Refusal) -> float:
    return max(error.retry_after if error.retry_after is not None else 0.0, LEAST_WAIT)


def _sentence(error: Refusal) -> str:
    return error.message.removesuffix(".") if error.code else str(error)
