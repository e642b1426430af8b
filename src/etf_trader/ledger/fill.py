"""A venue trade of ours, and how it was shared out among index orders."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from typing import NamedTuple

from sqlalchemy import Connection, Row, func, insert, select

from etf_trader.database import insert_row
from etf_trader.errors import LedgerError
from etf_trader.ledger.tables import allocations, fills
from etf_trader.market.symbol import Side
from etf_trader.money import ZERO
from etf_trader.orders.tables import shares
from etf_trader.seal import seal

_PARTED = ("quantity", "value", "fee", "fee_value")

INTERNAL = "internal"
"""The venue, and the era, of trades among our own orders; both sides carry one trade id."""


@dataclass(frozen=True, slots=True)
class Fill:
    """An execution: `quantity` gross in base, `value` in quote, `fee` in `fee_asset`.

    `fee_value` is set of a fee in neither base nor quote: what the orders pay the
    fee inventory for it, in quote.
    """

    account_id: int
    era: str
    symbol: str
    venue_order_id: int
    trade_id: int
    asset_order_id: int
    side: Side
    price: Decimal
    quantity: Decimal
    value: Decimal
    fee: Decimal
    fee_asset: str
    is_maker: bool
    at: datetime
    fee_value: Decimal | None = None

    @property
    def key(self) -> str:
        """Its identity within the account; a venue that starts again is a new era."""
        return f"fill:{self.era}:{self.symbol}:{self.venue_order_id}:{self.trade_id}"

    @property
    def is_internal(self) -> bool:
        """Whether it was traded among our own orders, and not at the venue."""
        return self.era == INTERNAL

    def seal(self) -> str:
        """Return the SHA-256 over everything it says."""
        return seal("etf.fill/1", _said(self))


class Part(NamedTuple):
    """What of a fill is one index order's: gross base, quote, fee in its asset, and what it pays for that."""

    index_order_id: int
    quantity: Decimal
    value: Decimal
    fee: Decimal
    fee_value: Decimal | None = None

    def of(self, fill: Fill) -> Fill:
        """Return the fill as that index order sees it."""
        return replace(fill, quantity=self.quantity, value=self.value, fee=self.fee, fee_value=self.fee_value)


@dataclass(frozen=True, slots=True)
class Allocation:
    """The part of a fill that belongs to one index order, as a row."""

    fill_id: int
    index_order_id: int
    quantity: Decimal
    value: Decimal
    fee: Decimal
    fee_value: Decimal | None = None

    @property
    def part(self) -> Part:
        """What it says."""
        return Part(self.index_order_id, self.quantity, self.value, self.fee, self.fee_value)

    def seal(self) -> str:
        """Return the SHA-256 over everything it says."""
        return seal("etf.allocation/1", _said(self))


def _said(row: Fill | Allocation) -> dict[str, object]:
    """Return what a seal covers; a fee of the usual kind says no more than before there was another."""
    facts = {name: getattr(row, name) for name in row.__slots__}
    return facts if row.fee_value is not None else {name: facts[name] for name in facts if name != "fee_value"}


def add_fill(connection: Connection, fill: Fill, parts: Sequence[Part]) -> bool:
    """Write a fill and whose parts it is; False when it is known.

    A venue may date one trade twice: its answer to an order carries the time of
    the answer, its list of trades the trade's own. The time first told stays,
    and with it the seal; so does what its fee was valued at.

    Raises:
        LedgerError: it is known with other content.
    """
    known = connection.execute(
        select(fills.c.seal, fills.c.at, fills.c.fee_value).where(
            fills.c.account_id == fill.account_id,
            fills.c.era == fill.era,
            fills.c.symbol == fill.symbol,
            fills.c.venue_order_id == fill.venue_order_id,
            fills.c.trade_id == fill.trade_id,
        )
    ).one_or_none()
    if known is not None:
        if known.seal != replace(fill, at=known.at, fee_value=known.fee_value).seal():
            raise LedgerError(
                f"the venue tells trade {fill.trade_id} of {fill.symbol} differently now", where=fill.key
            )
        return False
    row = {name: getattr(fill, name) for name in fill.__slots__}
    row |= {"side": str(fill.side), "is_maker": int(fill.is_maker), "seal": fill.seal()}
    fill_id = insert_row(connection, fills, row)
    rows = [Allocation(fill_id, *part) for part in parts]
    connection.execute(
        insert(allocations),
        [{name: getattr(each, name) for name in each.__slots__} | {"seal": each.seal()} for each in rows],
    )
    return True


def pays_apart(connection: Connection, account_id: int) -> bool:
    """Return whether the account's last fill at the venue paid its fee in neither base nor quote."""
    query = select(fills.c.fee_value).where(
        fills.c.account_id == account_id, fills.c.era != INTERNAL, fills.c.fee != ZERO
    )
    return connection.execute(query.order_by(fills.c.id.desc()).limit(1)).scalar() is not None


def next_cross(connection: Connection, account_id: int) -> int:
    """Return the trade id of the next trade among our own orders."""
    query = select(func.max(fills.c.trade_id)).where(fills.c.account_id == account_id, fills.c.era == INTERNAL)
    return (connection.execute(query).scalar() or 0) + 1


def fills_of(connection: Connection, index_order_id: int) -> list[Fill]:
    """Return the fills of an index order, each as far as it is its own, in order of booking."""
    query = (
        select(
            fills,
            *(allocations.c[name].label(f"part_{name}") for name in _PARTED),
        )
        .join(allocations, allocations.c.fill_id == fills.c.id)
        .where(
            allocations.c.index_order_id == index_order_id,
            # Who has a part of a fill has a share of its asset order; only these are found by index order.
            fills.c.asset_order_id.in_(
                select(shares.c.asset_order_id).where(shares.c.index_order_id == index_order_id)
            ),
        )
        .order_by(fills.c.id)
    )
    return [
        Part(index_order_id, *(getattr(row, f"part_{name}") for name in _PARTED)).of(fill_from(row))
        for row in connection.execute(query)
    ]


def fill_from(row: Row[tuple[object, ...]]) -> Fill:
    """Read a fill from its row."""
    values = {name: getattr(row, name) for name in Fill.__slots__}
    values |= {"side": Side(row.side), "is_maker": bool(row.is_maker)}
    return Fill(**values)
