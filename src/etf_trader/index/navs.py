"""What a unit of an index was worth, moment by moment, as it was written down."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, Row, Select, select

from etf_trader.database import insert_row
from etf_trader.index.prices import Price, prices_from, prices_text
from etf_trader.index.tables import navs
from etf_trader.seal import seal


class Reason(StrEnum):
    """Why the value of a unit was written down."""

    TRADE = "trade"
    REBALANCE = "rebalance"
    RECORD = "record"
    FEE = "fee"


@dataclass(frozen=True, slots=True)
class Nav:
    """A unit at one moment: its worth at `prices`, how many there were, and the index level; None: it has none.

    `prices_text` are the prices as they were written down, and sealed.
    """

    id: int
    index_id: int
    at: datetime
    reason: str
    units: Decimal
    nav_per_unit: Decimal
    basket_version: int
    level: Decimal | None
    prices_text: str
    seal: str

    @property
    def value(self) -> Decimal:
        """What all units were worth together."""
        return self.units * self.nav_per_unit

    @property
    def prices(self) -> dict[str, Price]:
        """The prices it was told at, by asset, of what the fund holds and of what the index does."""
        return prices_from(self.prices_text)

    def facts_seal(self) -> str:
        """Return the seal that its values should have."""
        facts = {
            "index": self.index_id,
            "at": self.at,
            "reason": self.reason,
            "units": self.units,
            "nav": self.nav_per_unit,
            "basket": self.basket_version,
            "level": self.level,
            "prices": self.prices_text,
        }
        return seal("etf.nav/1", facts)


def add_nav(
    connection: Connection,
    index_id: int,
    reason: str,
    units: Decimal,
    nav_per_unit: Decimal,
    basket_version: int,
    level: Decimal | None,
    prices: Mapping[str, Price],
    now: datetime,
) -> Nav:
    """Write down what a unit is worth and return it; what stands there for the same state already is left."""
    known = connection.execute(
        select(navs).where(
            navs.c.index_id == index_id,
            navs.c.at == now,
            navs.c.reason == reason,
            navs.c.units == units,
            navs.c.basket_version == basket_version,
        )
    ).one_or_none()
    if known is not None:
        return _nav(known)
    said = (index_id, now, str(reason), units, nav_per_unit, basket_version, level, prices_text(prices))
    sealed = Nav(0, *said, seal="").facts_seal()
    columns = ("index_id", "at", "reason", "units", "nav_per_unit", "basket_version", "level", "prices")
    number = insert_row(connection, navs, dict(zip(columns, said, strict=True)) | {"seal": sealed})
    return Nav(number, *said, seal=sealed)


def navs_of(
    connection: Connection, index_id: int, start: datetime | None = None, end: datetime | None = None
) -> list[Nav]:
    """Return what was written down from `start` on and before `end`, oldest first."""
    query = _of(index_id).order_by(navs.c.at, navs.c.id)
    if start is not None:
        query = query.where(navs.c.at >= start)
    if end is not None:
        query = query.where(navs.c.at < end)
    return [_nav(row) for row in connection.execute(query)]


def last_nav(connection: Connection, index_id: int, before: datetime | None = None) -> Nav | None:
    """Return what was written down last, or last before a moment; None when nothing was."""
    query = _of(index_id).order_by(navs.c.at.desc(), navs.c.id.desc()).limit(1)
    if before is not None:
        query = query.where(navs.c.at < before)
    row = connection.execute(query).one_or_none()
    return None if row is None else _nav(row)


def first_and_last(
    connection: Connection, index_id: int, start: datetime, basket_version: int
) -> tuple[Nav, Nav] | None:
    """Return what was first and last written down from `start` on, with a level and at least this basket."""
    query = _of(index_id).where(
        navs.c.at >= start, navs.c.level.is_not(None), navs.c.basket_version >= basket_version
    )
    first = connection.execute(query.order_by(navs.c.at, navs.c.id).limit(1)).one_or_none()
    last = connection.execute(query.order_by(navs.c.at.desc(), navs.c.id.desc()).limit(1)).one_or_none()
    return None if first is None or last is None else (_nav(first), _nav(last))


def _of(index_id: int) -> Select[Any]:
    return select(navs).where(navs.c.index_id == index_id)


def _nav(row: Row[tuple[object, ...]]) -> Nav:
    values = dict(row._mapping)
    return Nav(prices_text=values.pop("prices"), **values)
