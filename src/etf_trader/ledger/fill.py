"""A venue trade of ours, and how it was shared out among index orders."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from sqlalchemy import Connection, Row, insert, select

from etf_trader.database import insert_row
from etf_trader.errors import LedgerError
from etf_trader.ledger.tables import allocations, fills
from etf_trader.market.symbol import Side
from etf_trader.seal import seal


@dataclass(frozen=True, slots=True)
class Fill:
    """An execution: `quantity` gross in base, `value` in quote, `fee` in `fee_asset`."""

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

    @property
    def key(self) -> str:
        """Its identity within the account; a venue that starts again is a new era."""
        return f"fill:{self.era}:{self.symbol}:{self.venue_order_id}:{self.trade_id}"

    def seal(self) -> str:
        """Return the SHA-256 over everything it says."""
        facts = {name: getattr(self, name) for name in self.__slots__}
        return seal("etf.fill/1", facts)


@dataclass(frozen=True, slots=True)
class Allocation:
    """The part of a fill that belongs to one index order."""

    fill_id: int
    index_order_id: int
    quantity: Decimal
    value: Decimal
    fee: Decimal

    def seal(self) -> str:
        """Return the SHA-256 over everything it says."""
        return seal("etf.allocation/1", {name: getattr(self, name) for name in self.__slots__})


def add_fill(connection: Connection, fill: Fill, index_order_id: int) -> bool:
    """Write a fill and its allocation to one order; False when it is known.

    Raises:
        LedgerError: it is known with other content.
    """
    known = connection.execute(
        select(fills.c.seal).where(
            fills.c.account_id == fill.account_id,
            fills.c.era == fill.era,
            fills.c.symbol == fill.symbol,
            fills.c.venue_order_id == fill.venue_order_id,
            fills.c.trade_id == fill.trade_id,
        )
    ).one_or_none()
    if known is not None:
        if known.seal != fill.seal():
            raise LedgerError(
                f"the venue tells trade {fill.trade_id} of {fill.symbol} differently now", where=fill.key
            )
        return False
    row = {name: getattr(fill, name) for name in fill.__slots__}
    row |= {"side": str(fill.side), "is_maker": int(fill.is_maker), "seal": fill.seal()}
    fill_id = insert_row(connection, fills, row)
    part = Allocation(fill_id, index_order_id, fill.quantity, fill.value, fill.fee)
    connection.execute(
        insert(allocations), {name: getattr(part, name) for name in part.__slots__} | {"seal": part.seal()}
    )
    return True


def fills_of_asset_orders(connection: Connection, asset_order_ids: Sequence[int]) -> list[Fill]:
    """Return the fills of these asset orders, in order of booking."""
    query = select(fills).where(fills.c.asset_order_id.in_(asset_order_ids)).order_by(fills.c.id)
    return [fill_from(row) for row in connection.execute(query)]


def fill_from(row: Row[tuple[object, ...]]) -> Fill:
    """Read a fill from its row."""
    values = {name: getattr(row, name) for name in Fill.__slots__}
    values |= {"side": Side(row.side), "is_maker": bool(row.is_maker)}
    return Fill(**values)
