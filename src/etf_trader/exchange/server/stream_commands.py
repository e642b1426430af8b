"""What a client may say on a stream connection, and what it is answered.

Source:
    Binance Spot API, web-socket-streams.md, "Live Subscribing/Unsubscribing to streams"; that errors
    stand in an `error` with the request's id beside it, and `Too many subscriptions`, as seen.
"""

import json
import re
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

MOST_STREAMS = 1024
METHODS = ("SUBSCRIBE", "UNSUBSCRIBE", "LIST_SUBSCRIPTIONS", "SET_PROPERTY", "GET_PROPERTY")
_ID = re.compile(r"[A-Za-z0-9_-]{1,36}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Change:
    """What a command changes: streams to be told of from now on, or no more, and how they are wrapped."""

    joins: tuple[str, ...] = ()
    leaves: tuple[str, ...] = ()
    combined: bool | None = None


NO_CHANGE = Change()


class _BadCommand(Exception):
    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


def obey(text: str, combined: bool, streams: Collection[str]) -> tuple[dict[str, Any], Change]:
    """Return the answer to a message of a client, and what it changes.

    Args:
        text: The message.
        combined: Whether events are wrapped in the name of their stream.
        streams: What the client is subscribed to, oldest first.
    """
    named: dict[str, Any] = {}
    try:
        request = _read(text)
        named = {"id": _id(request)}
        result, change = _result(request, text, combined, streams)
    except _BadCommand as bad:
        return {"error": {"code": bad.code, "msg": bad.message}} | named, NO_CHANGE
    return {"result": result} | named, change


def _read(text: str) -> dict[str, Any]:
    try:
        request = json.loads(text)
    except RecursionError:
        raise _BadCommand(3, "Invalid JSON: recursion limit exceeded at line 1 column 128") from None
    except json.JSONDecodeError as error:
        where = f"at line {error.lineno} column {error.colno}"
        raise _BadCommand(3, f"Invalid JSON: expected value {where}") from None
    if not isinstance(request, dict):
        raise _BadCommand(2, f"Invalid request: missing field `method` {_end(text)}")
    return request


def _id(request: dict[str, Any]) -> int | str | None:
    found: object = request.get("id", request)  # an id that is null is an id, one that is missing is not
    if found is None or (isinstance(found, str) and _ID.fullmatch(found)):
        return found
    if isinstance(found, int) and not isinstance(found, bool) and -(2**63) <= found < 2**63:
        return found
    raise _BadCommand(2, "Invalid request: request ID must be an unsigned integer")


def _result(request: dict[str, Any], text: str, combined: bool, streams: Collection[str]) -> tuple[Any, Change]:
    if "method" not in request:
        raise _BadCommand(2, f"Invalid request: missing field `method` {_end(text)}")
    method, params = request["method"], request.get("params")
    if method == "SUBSCRIBE":
        names = _names(params)
        if len({*streams, *names}) > MOST_STREAMS:
            raise _BadCommand(4, "Too many subscriptions")
        return None, Change(joins=names)
    if method == "UNSUBSCRIBE":
        return None, Change(leaves=_names(params))
    if method == "LIST_SUBSCRIPTIONS":
        if params:
            raise _BadCommand(2, "Invalid request: too many parameters")
        return list(streams), NO_CHANGE
    if method in ("SET_PROPERTY", "GET_PROPERTY"):
        value = _property(params, 2 if method == "SET_PROPERTY" else 1)
        if method == "GET_PROPERTY":
            return combined, NO_CHANGE
        if not isinstance(value, bool):
            raise _BadCommand(1, "Invalid value type: expected Boolean")
        return None, Change(combined=value)
    known = ", ".join(f"`{each}`" for each in METHODS)
    raise _BadCommand(
        2, f"Invalid request: unknown variant `{method}`, expected one of {known} at line 1 column 28"
    )


def _names(params: Any) -> tuple[str, ...]:
    if not isinstance(params, list) or not all(isinstance(each, str) and each for each in params):
        raise _BadCommand(2, "Invalid request: invalid stream")
    return tuple(params)


def _property(params: Any, most: int) -> Any:
    """Return the value given for the one property there is, None where none was."""
    values = params if isinstance(params, list) else []
    if not values or not isinstance(values[0], str):
        raise _BadCommand(2, "Invalid request: property name must be a string")
    if len(values) > most:
        raise _BadCommand(2, "Invalid request: too many parameters")
    if values[0] != "combined":
        raise _BadCommand(0, "Unknown property")
    return values[1] if len(values) == 2 else None


def _end(text: str) -> str:
    lines = text.split("\n")
    return f"at line {len(lines)} column {len(lines[-1])}"
