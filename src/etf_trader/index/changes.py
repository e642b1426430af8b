"""What another version of a rulebook changes, key by key. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from etf_trader.index.history import Version
from etf_trader.index.methodology import Methodology


@dataclass(frozen=True, slots=True)
class Change:
    """A key of an index file, like `weights.BTC`, and what it said and says; None: it does not stand there."""

    key: str
    before: Any
    after: Any


def changes(before: Version, after: Version) -> list[Change]:
    """Return what the later of two versions says otherwise; what stands in neither file counts as its default."""
    was, now = dict(_keys(_whole(before), "")), dict(_keys(_whole(after), ""))
    return [
        Change(key, was.get(key), now.get(key)) for key in sorted({**was, **now}) if was.get(key) != now.get(key)
    ]


def _whole(version: Version) -> Mapping[str, Any]:
    rules = Methodology() if version.rules is None else version.rules
    return {**version.document, **rules.document()}


def _keys(value: Mapping[str, Any], path: str) -> Iterator[tuple[str, Any]]:
    for key, each in value.items():
        name = f"{path}.{key}" if path else key
        if isinstance(each, Mapping):
            yield from _keys(each, name)
        else:
            yield name, list(each) if isinstance(each, Sequence) and not isinstance(each, str) else each
