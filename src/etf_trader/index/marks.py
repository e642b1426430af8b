"""Prices that a person set for assets without a market, with who did and why."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from sqlalchemy import Connection, Row, select, update

from etf_trader.database import insert_row
from etf_trader.index.tables import marks
from etf_trader.seal import seal


@dataclass(frozen=True, slots=True)
class Mark:
    """A price for an asset of an index, in its quote, and who set it when and why.

    A forced one counts beside a live book, too. `removed_at` is None while it is in force.
    """

    id: int
    index_id: int
    asset: str
    price: Decimal
    operator: str
    reason: str
    is_forced: bool
    set_at: datetime
    seal: str
    removed_at: datetime | None
    removed_by: str | None

    def facts_seal(self) -> str:
        """Return the seal that its values should have."""
        return mark_seal(
            self.index_id,
            self.asset,
            self.price,
            self.operator,
            self.reason,
            self.set_at,
            is_forced=self.is_forced,
        )


def mark_seal(
    index_id: int, asset: str, price: Decimal, operator: str, reason: str, set_at: datetime, *, is_forced: bool
) -> str:
    """Return the SHA-256 over what was said."""
    facts = {
        "index": index_id,
        "asset": asset,
        "price": price,
        "operator": operator,
        "reason": reason,
        "is_forced": is_forced,
        "set_at": set_at,
    }
    return seal("etf.mark/1", facts)


def set_mark(
    connection: Connection,
    index_id: int,
    asset: str,
    price: Decimal,
    operator: str,
    reason: str,
    now: datetime,
    *,
    is_forced: bool,
) -> tuple[Mark, bool]:
    """Write a mark in place of the one in force, and return it, and whether it says anything new."""
    before = marks_of(connection, index_id).get(asset)
    if before is not None and (before.price, before.reason, before.is_forced) == (price, reason, is_forced):
        return before, False
    remove_mark(connection, index_id, asset, operator, now)
    row = {
        "index_id": index_id,
        "asset": asset,
        "price": price,
        "operator": operator,
        "reason": reason,
        "is_forced": int(is_forced),
        "set_at": now,
        "seal": mark_seal(index_id, asset, price, operator, reason, now, is_forced=is_forced),
    }
    insert_row(connection, marks, row)
    return marks_of(connection, index_id)[asset], True


def remove_mark(connection: Connection, index_id: int, asset: str, operator: str, now: datetime) -> Mark | None:
    """Take the mark of an asset away, and return it; None: it has none."""
    found = marks_of(connection, index_id).get(asset)
    if found is not None:
        gone = update(marks).where(marks.c.id == found.id).values(removed_at=now, removed_by=operator)
        connection.execute(gone)
    return found


def marks_of(connection: Connection, index_id: int) -> dict[str, Mark]:
    """Return the marks of an index in force, by asset."""
    query = select(marks).where(marks.c.index_id == index_id, marks.c.removed_at.is_(None)).order_by(marks.c.id)
    return {row.asset: _mark(row) for row in connection.execute(query)}


def list_marks(connection: Connection) -> list[Mark]:
    """Return every mark that was ever set, oldest first."""
    return [_mark(row) for row in connection.execute(select(marks).order_by(marks.c.id))]


def _mark(row: Row[tuple[object, ...]]) -> Mark:
    values = dict(row._mapping)
    return Mark(**values | {"is_forced": bool(values["is_forced"])})
