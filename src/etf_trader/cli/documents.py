"""Results as other programs read them: JSON and CSV, decimals exact, times in UTC."""

import csv
import dataclasses
import io
import json
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from enum import Enum
from pathlib import Path
from typing import Any

from etf_trader.money import plain


def json_document(schema: str, payload: Mapping[str, Any]) -> str:
    """Return a flat envelope: the schema, then what `payload` holds."""
    body = {"schema": schema, **{name: as_data(value) for name, value in payload.items()}}
    return json.dumps(body, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def csv_document(rows: Sequence[Any], columns: Sequence[str] = ()) -> str:
    """Return rows as RFC 4180, with a header; what is nested in a row is named `outer.inner`."""
    flat = [_flat(as_data(row)) for row in rows]
    header = list(columns) or list(dict.fromkeys(name for row in flat for name in row))
    target = io.StringIO()
    writer = csv.DictWriter(target, header, restval="", extrasaction="ignore")
    writer.writeheader()
    writer.writerows(flat)
    return target.getvalue()


def as_data(value: Any) -> Any:
    """Return `value` as JSON knows it: decimals are strings, times UTC, enums their values."""
    if isinstance(value, Enum):
        return as_data(value.value)
    if value is None or isinstance(value, str | bool | int | float):
        return value
    if isinstance(value, Decimal):
        return plain(value)
    if isinstance(value, datetime):
        return utc_text(value)
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, Mapping):
        return {str(as_data(name)): as_data(item) for name, item in value.items()}
    if dataclasses.is_dataclass(value):
        return {part.name: as_data(getattr(value, part.name)) for part in dataclasses.fields(value)}
    if hasattr(value, "__struct_fields__"):
        return {name: as_data(getattr(value, name)) for name in value.__struct_fields__}
    if isinstance(value, list | tuple):
        return [as_data(item) for item in value]
    if isinstance(value, set | frozenset):
        return sorted(as_data(item) for item in value)
    raise TypeError(f"not printable as data: {type(value).__name__}")


def utc_text(value: datetime) -> str:
    """Return a time as `2026-11-21T03:50:00Z`, with its fraction of a second when it has one."""
    if value.tzinfo is None:
        raise ValueError(f"not an aware time: {value!r}")
    return value.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _flat(row: Any, prefix: str = "") -> dict[str, Any]:
    if not isinstance(row, dict):
        return {prefix.rstrip(".") or "value": row}
    flat: dict[str, Any] = {}
    for name, value in row.items():
        if isinstance(value, dict):
            flat |= _flat(value, f"{prefix}{name}.")
        elif isinstance(value, list):
            flat[prefix + name] = "; ".join(map(str, value))
        elif isinstance(value, bool):
            flat[prefix + name] = "true" if value else "false"
        else:
            flat[prefix + name] = "" if value is None else value
    return flat
