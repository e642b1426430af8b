"""Canonical text of facts, and the SHA-256 that shows whether a digit was changed afterwards."""

import hashlib
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from functools import lru_cache
from typing import Any

from etf_trader.money import plain


def canonical(facts: Any) -> str:
    """Return `facts` as JSON with sorted keys and decimals and times in one spelling."""
    return _spelled(facts)


def spelled_time(at: datetime) -> str:
    """Return the canonical text of a time: in UTC, with microseconds."""
    return _spelled_utc(at if at.tzinfo is UTC else at.astimezone(UTC))


@lru_cache(maxsize=256)
def _spelled_utc(at: datetime) -> str:
    return at.isoformat(timespec="microseconds").replace("+00:00", "Z")


def seal(kind: str, facts: Mapping[str, Any]) -> str:
    """Return the SHA-256 of the canonical text of `facts` of this `kind` (a name with a version)."""
    return hashlib.sha256(f"{kind}\n{canonical(facts)}".encode()).hexdigest()


def _spell(value: Any) -> str:
    if isinstance(value, Decimal):
        return plain(value)
    if isinstance(value, datetime):
        return spelled_time(value)
    raise TypeError(f"no canonical spelling for {type(value).__name__}")


_spelled = json.JSONEncoder(sort_keys=True, separators=(",", ":"), default=_spell, ensure_ascii=False).encode
