"""When and from what a file was made: what stands at its foot."""

from __future__ import annotations

import dataclasses
import shlex
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from etf_trader.cli.invocation import invocation


def origin(schema: str, payload: Mapping[str, Any], now: datetime) -> list[tuple[str, str]]:
    """Return names with what they say: made when and by what, for which account, from which prices and books."""
    from etf_trader import __version__

    facts = [
        ("made", f"{now.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC by etf {__version__}"),
        ("command", typed()),
        ("account", account()),
        *(("prices of", f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC") for at in _found(payload, "priced_at")),
        *(("ledger head", head) for head in _found(payload, "head")),
        ("data", f"{schema}, with all digits by --json"),
    ]
    return [fact for fact in facts if fact[1]]


def typed() -> str:
    """Return the command as it was typed."""
    return shlex.join(["etf", *invocation().arguments])


def account() -> str:
    """Return of which kind of account a result is, in a word; "" of none, or where no configuration says it."""
    from etf_trader.errors import ConfigError

    if not invocation().is_of_account:
        return ""
    try:
        return str(invocation().settings().environment)
    except ConfigError:
        return ""


def title_of(path: str) -> str:
    """Return the name of a command as a heading: `etf report fills` is `Fills`."""
    words = path.split()[1:]
    name = " ".join(words[1:] if words[:1] == ["report"] and len(words) > 1 else words)
    return name[:1].upper() + name[1:] or "etf"


def _found(payload: Mapping[str, Any], name: str) -> Iterator[Any]:
    """Yield the different values of a name: at the top, or in the records of the lists there."""
    records = [payload, *(row for rows in payload.values() if isinstance(rows, list | tuple) for row in rows)]
    values = [_value(record, name) for record in records]
    yield from dict.fromkeys(value for value in values if value)


def _value(record: Any, name: str) -> Any:
    if isinstance(record, Mapping):
        return record.get(name)
    return getattr(record, name, None) if dataclasses.is_dataclass(record) else None
