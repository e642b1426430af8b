"""Indices, baskets and positions as rows."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from sqlalchemy import ColumnElement, Connection, Row, Select, and_, func, insert, select, true, update

from etf_trader.database import insert_row
from etf_trader.errors import NotFound
from etf_trader.index.tables import basket_items, baskets, indices, methodologies, positions
from etf_trader.money import ZERO
from etf_trader.seal import seal

if TYPE_CHECKING:
    from etf_trader.index.definition import BasketQuantities, IndexDefinition


@dataclass(frozen=True, slots=True)
class Index:
    """A fund's index: its identity, without its basket.

    `routes` are the currencies whose books its orders may use, the quote among them.
    """

    id: int
    account_id: int
    symbol: str
    name: str
    quote: str
    start_value: Decimal
    lot_method: str
    status: str
    created_at: datetime
    routes: tuple[str, ...]

    @property
    def unit_asset(self) -> str:
        """The name of its units in the ledger."""
        return f"unit:{self.id}"

    @property
    def is_open(self) -> bool:
        """Whether units can be bought."""
        return self.status == "open"


@dataclass(frozen=True, slots=True)
class Basket:
    """One version of what a unit holds."""

    id: int
    index_id: int
    version: int
    effective_at: datetime
    cash_per_unit: Decimal
    quantities: Mapping[str, Decimal]
    symbols: Mapping[str, str]
    seal: str
    reason: str = ""

    def nav(self, prices: Mapping[str, Decimal]) -> Decimal:
        """Return NAV per unit at `prices` (quote per base, by asset): defined at zero units too."""
        return sum((quantity * prices[asset] for asset, quantity in self.quantities.items()), self.cash_per_unit)

    def facts_seal(self) -> str:
        """Return the seal that its values should have."""
        return basket_seal(self.index_id, self.version, self.cash_per_unit, self.quantities, self.symbols)


@dataclass(frozen=True, slots=True)
class Position:
    """A holder's stake in one index; `cost` is the cash paid for the units held, loss included."""

    id: int
    index_id: int
    holder_id: int
    opened_at: datetime
    units: Decimal
    cost: Decimal
    seal: str

    def facts_seal(self) -> str:
        """Return the seal that its values should have."""
        return position_seal(self.index_id, self.holder_id, self.opened_at)


def basket_seal(
    index_id: int,
    version: int,
    cash_per_unit: Decimal,
    quantities: Mapping[str, Decimal],
    symbols: Mapping[str, str],
) -> str:
    """Return the SHA-256 over everything a basket version says."""
    facts = {
        "index": index_id,
        "version": version,
        "cash": cash_per_unit,
        "items": {asset: [symbols[asset], quantities[asset]] for asset in quantities},
    }
    return seal("etf.basket/1", facts)


def position_seal(index_id: int, holder_id: int, opened_at: datetime) -> str:
    """Return the SHA-256 over what never changes about a position."""
    return seal("etf.position/1", {"index": index_id, "holder": holder_id, "opened_at": opened_at})


def add_index(
    connection: Connection,
    account_id: int,
    definition: IndexDefinition,
    basket: BasketQuantities,
    symbols: Mapping[str, str],
    now: datetime,
) -> Index:
    """Write a new index with the first version of its rulebook and of its basket."""
    from etf_trader.index.history import add_version  # reading rulebooks costs what only few commands need

    row = {
        "account_id": account_id,
        "symbol": definition.symbol,
        "name": definition.name,
        "quote": definition.quote,
        "start_value": definition.start_value,
        "lot_method": definition.lot_method,
        "status": "open",
        "created_at": now,
    }
    index_id = insert_row(connection, indices, row)
    add_version(connection, index_id, 1, definition.document(), now)
    add_basket(connection, index_id, basket.quantities, symbols, basket.cash, "created", now)
    return index_by_id(connection, index_id)


def add_basket(
    connection: Connection,
    index_id: int,
    quantities: Mapping[str, Decimal],
    symbols: Mapping[str, str],
    cash_per_unit: Decimal,
    reason: str,
    now: datetime,
) -> Basket:
    """Write the next version of what a unit holds, and return it; assets of which it holds nothing are left out.

    An index that has units holds what they hold: the transaction that makes it
    so names the version (`ledger.baskets`).
    """
    newest = connection.scalar(select(func.max(baskets.c.version)).where(baskets.c.index_id == index_id)) or 0
    held = {asset: quantity for asset, quantity in sorted(quantities.items()) if quantity}
    row = {
        "index_id": index_id,
        "version": newest + 1,
        "effective_at": now,
        "cash_per_unit": cash_per_unit,
        "reason": reason,
        "seal": basket_seal(index_id, newest + 1, cash_per_unit, held, symbols),
    }
    basket_id = insert_row(connection, baskets, row)
    if held:
        connection.execute(
            insert(basket_items),
            [
                {"basket_id": basket_id, "asset": asset, "symbol": symbols[asset], "quantity": quantity}
                for asset, quantity in held.items()
            ],
        )
    return current_basket(connection, index_id)


def _indices() -> Select[tuple[Any, ...]]:
    """Return the query for indices, each with the document of its newest methodology."""
    version = select(func.max(methodologies.c.version)).where(methodologies.c.index_id == indices.c.id)
    return (
        select(indices, methodologies.c.document)
        .join(methodologies, methodologies.c.index_id == indices.c.id)
        .where(methodologies.c.version == version.correlate(indices).scalar_subquery())
    )


def find_index(connection: Connection, reference: str) -> Index:
    """Return the index with this number or symbol.

    Raises:
        NotFound: there is none; names those there are.
    """
    text = reference.strip()
    condition = (
        indices.c.id == int(text) if text.isdecimal() and len(text) < 10 else indices.c.symbol == text.upper()
    )
    row = connection.execute(_indices().where(condition)).one_or_none()
    if row is not None:
        return _index(row)
    known = connection.execute(select(indices.c.id, indices.c.symbol).order_by(indices.c.id)).all()
    listing = ", ".join([*(f"{number} ({symbol})" for number, symbol in known[:10]), *["…"][: len(known) > 10]])
    hint = f"known: {listing}" if known else "make one: etf index create --file index.toml"
    raise NotFound(f"there is no index {text!r}", where="--index", hint=hint)


def index_by_id(connection: Connection, index_id: int) -> Index:
    """Return the index with this number, which must exist."""
    return _index(connection.execute(_indices().where(indices.c.id == index_id)).one())


def list_indices(connection: Connection, account_id: int | None = None) -> list[Index]:
    """Return the indices of an account, or of all, oldest first."""
    query = _indices().order_by(indices.c.id)
    if account_id is not None:
        query = query.where(indices.c.account_id == account_id)
    return [_index(row) for row in connection.execute(query)]


def set_status(connection: Connection, index_id: int, status: str) -> None:
    """Open or close an index."""
    connection.execute(update(indices).where(indices.c.id == index_id).values(status=status))


def current_basket(connection: Connection, index_id: int) -> Basket:
    """Return the newest basket version of an index."""
    version = select(func.max(baskets.c.version)).where(baskets.c.index_id == index_id).scalar_subquery()
    row = connection.execute(
        select(baskets).where(baskets.c.index_id == index_id, baskets.c.version == version)
    ).one()
    return _basket(connection, row)


def basket_version(connection: Connection, index_id: int) -> int:
    """Return the version of the basket of an index that is in force."""
    query = select(func.max(baskets.c.version)).where(baskets.c.index_id == index_id)
    return int(connection.execute(query).scalar_one())


def basket_by_id(connection: Connection, basket_id: int) -> Basket:
    """Return one basket version, which must exist."""
    return _basket(connection, connection.execute(select(baskets).where(baskets.c.id == basket_id)).one())


def list_baskets(connection: Connection) -> list[Basket]:
    """Return every basket version of every index, oldest first."""
    return _baskets(connection, true())


def baskets_of(connection: Connection, index_id: int) -> list[Basket]:
    """Return every basket version of an index, oldest first: a fee makes one a day, so there may be thousands."""
    return _baskets(connection, baskets.c.index_id == index_id)


def baskets_by_id(connection: Connection, numbers: Collection[int]) -> dict[int, Basket]:
    """Return basket versions by number, as far as they exist."""
    return {each.id: each for each in _baskets(connection, baskets.c.id.in_(numbers))}


def baskets_by_version(connection: Connection, index_id: int, versions: Collection[int]) -> dict[int, Basket]:
    """Return these versions of what a unit of an index holds, as far as they exist."""
    wanted = and_(baskets.c.index_id == index_id, baskets.c.version.in_(versions))
    return {each.version: each for each in _baskets(connection, wanted)}


def _baskets(connection: Connection, condition: ColumnElement[bool]) -> list[Basket]:
    """Return all basket versions that fulfil a condition, oldest first, in two queries however many they are."""
    items: dict[int, list[Row[tuple[Any, ...]]]] = {}
    query = select(basket_items).join(baskets, baskets.c.id == basket_items.c.basket_id).where(condition)
    for item in connection.execute(query.order_by(basket_items.c.basket_id, basket_items.c.asset)):
        items.setdefault(item.basket_id, []).append(item)
    rows = connection.execute(select(baskets).where(condition).order_by(baskets.c.id)).all()
    return [_made(row, items.get(row.id, ())) for row in rows]


def basket_of_version(connection: Connection, index_id: int, version: int) -> Basket:
    """Return one version of what a unit of an index holds, which must exist."""
    row = connection.execute(
        select(baskets).where(baskets.c.index_id == index_id, baskets.c.version == version)
    ).one()
    return _basket(connection, row)


def symbols_of(connection: Connection, index_id: int) -> dict[str, str]:
    """Return the market of every asset that a unit of an index ever held, by the last basket that had it."""
    newest = func.max(baskets.c.version)
    query = (
        select(basket_items.c.asset, basket_items.c.symbol)
        .join(baskets, baskets.c.id == basket_items.c.basket_id)
        .where(baskets.c.index_id == index_id)
        .group_by(basket_items.c.asset, basket_items.c.symbol)
        .order_by(newest)
    )
    return {row.asset: row.symbol for row in connection.execute(query)}


def basket_at(connection: Connection, index_id: int, moment: datetime) -> Basket:
    """Return the newest version of what a unit of an index held at a moment, at which it existed."""
    newest = select(func.max(baskets.c.version)).where(
        baskets.c.index_id == index_id, baskets.c.effective_at <= moment
    )
    return basket_of_version(connection, index_id, connection.execute(newest).scalar_one())


def open_position(connection: Connection, index_id: int, holder_id: int, now: datetime) -> Position:
    """Write a new, empty position."""
    row = {
        "index_id": index_id,
        "holder_id": holder_id,
        "opened_at": now,
        "units": ZERO,
        "cost": ZERO,
        "seal": position_seal(index_id, holder_id, now),
    }
    position_id = insert_row(connection, positions, row)
    return position_by_id(connection, position_id)


def position_by_id(connection: Connection, position_id: int) -> Position:
    """Return one position.

    Raises:
        NotFound: there is none with this number.
    """
    row = connection.execute(select(positions).where(positions.c.id == position_id)).one_or_none()
    if row is None:
        raise NotFound(
            f"there is no position {position_id}", where="--position", hint="etf position list --all shows them"
        )
    return _position(row)


def list_positions(
    connection: Connection, *, index_id: int | None = None, holder_id: int | None = None
) -> list[Position]:
    """Return positions, oldest first."""
    query = select(positions).order_by(positions.c.id)
    if index_id is not None:
        query = query.where(positions.c.index_id == index_id)
    if holder_id is not None:
        query = query.where(positions.c.holder_id == holder_id)
    return [_position(row) for row in connection.execute(query)]


def change_position(connection: Connection, position_id: int, units: Decimal, cost: Decimal) -> None:
    """Add units and what they cost (negative: take off) to what a position holds."""
    held = connection.execute(
        select(positions.c.units, positions.c.cost).where(positions.c.id == position_id)
    ).one_or_none()
    if held is not None:
        values = {"units": held.units + units, "cost": held.cost + cost}
        connection.execute(update(positions).where(positions.c.id == position_id).values(**values))


def _index(row: Row[tuple[object, ...]]) -> Index:
    values = dict(row._mapping)
    # An index made before routes were known trades in its quote alone.
    routes = json.loads(values.pop("document")).get("routes", [values["quote"]])
    return Index(routes=tuple(routes), **values)


def _position(row: Row[tuple[object, ...]]) -> Position:
    return Position(**row._mapping)


def _basket(connection: Connection, row: Row[tuple[object, ...]]) -> Basket:
    items = connection.execute(
        select(basket_items).where(basket_items.c.basket_id == row.id).order_by(basket_items.c.asset)
    ).all()
    return _made(row, items)


def _made(row: Row[tuple[Any, ...]], items: Sequence[Row[tuple[Any, ...]]]) -> Basket:
    return Basket(
        id=row.id,
        index_id=row.index_id,
        version=row.version,
        effective_at=row.effective_at,
        cash_per_unit=row.cash_per_unit,
        quantities={item.asset: item.quantity for item in items},
        symbols={item.asset: item.symbol for item in items},
        seal=row.seal,
        reason=row.reason,
    )
