"""The rulebooks of an index, version by version, as they were written down."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import Connection, insert, select

from etf_trader.index.fees import begin
from etf_trader.index.methodology import TABLES, Methodology, read_methodology
from etf_trader.index.tables import methodologies
from etf_trader.seal import canonical


@dataclass(frozen=True, slots=True)
class Version:
    """One version: what stands in its file, and its rules; None for an index that is never brought back to any."""

    index_id: int
    version: int
    effective_at: datetime
    document: Mapping[str, Any]
    rules: Methodology | None


def versions_of(connection: Connection, index_id: int) -> list[Version]:
    """Return the versions of an index, oldest first."""
    query = select(methodologies).where(methodologies.c.index_id == index_id).order_by(methodologies.c.version)
    return [
        Version(row.index_id, row.version, row.effective_at, document, rules_of(document))
        for row in connection.execute(query)
        for document in [json.loads(row.document)]
    ]


def rules_of(document: Mapping[str, Any]) -> Methodology | None:
    """Return the rulebook in a document that was written down.

    An index of weights that was made before there were rulebooks has the one that
    its weights imply; an index of a basket has none.
    """
    weights = {asset: Decimal(weight) for asset, weight in document.get("weights", {}).items()}
    tables = {key: document[key] for key in TABLES if key in document}
    if not tables and not weights:
        return None
    return read_methodology(tables | ({"weights": weights} if weights else {}), "the rulebook in the database")


def add_version(
    connection: Connection, index_id: int, version: int, document: Mapping[str, Any], now: datetime
) -> Version:
    """Write down a version of a rulebook, in force from `now` on, and return it."""
    text = canonical(document)
    connection.execute(
        insert(methodologies),
        {"index_id": index_id, "version": version, "effective_at": now, "document": text},
    )
    kept = json.loads(text)
    begin(connection, index_id, kept, now)
    return Version(index_id, version, now, kept, rules_of(kept))
