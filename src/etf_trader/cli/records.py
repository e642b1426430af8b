"""Records as rows: their fields by name."""

from __future__ import annotations

import dataclasses
from typing import Any


def row_of(record: Any) -> dict[str, Any]:
    """Return the fields of a dataclass by name, with their values as they are."""
    return {each.name: getattr(record, each.name) for each in dataclasses.fields(record)}


def columns_of(kind: type[Any]) -> list[str]:
    """Return the names of the fields of a dataclass, as the columns of its rows."""
    return [each.name for each in dataclasses.fields(kind)]
