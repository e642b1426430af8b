"""Fills that were found after the end of their asset order had been sealed.

The sealed end stays what was known then; the row beside it says what came later.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from sqlalchemy import Connection, func, insert, select

from etf_trader.ledger.fill import Fill, fill_from
from etf_trader.ledger.tables import allocations, fills, late_fills
from etf_trader.money import ZERO
from etf_trader.seal import seal


@dataclass(frozen=True, slots=True)
class LateFill:
    """A fill that its asset order's sealed end does not count."""

    fill_id: int
    asset_order_id: int
    found_at: datetime

    def seal(self, fill_seal: str) -> str:
        """Return the SHA-256 over the fill and when it was found."""
        facts = {name: getattr(self, name) for name in self.__slots__}
        return seal("etf.late-fill/1", facts | {"fill": fill_seal})


def add_late_fill(connection: Connection, fill: Fill, now: datetime) -> None:
    """Take note that a fill, which is booked, was found after its order's end."""
    fill_id = connection.execute(
        select(fills.c.id).where(
            fills.c.account_id == fill.account_id,
            fills.c.era == fill.era,
            fills.c.symbol == fill.symbol,
            fills.c.venue_order_id == fill.venue_order_id,
            fills.c.trade_id == fill.trade_id,
        )
    ).scalar_one()
    late = LateFill(fill_id, fill.asset_order_id, now)
    row = {name: getattr(late, name) for name in late.__slots__}
    connection.execute(insert(late_fills), row | {"seal": late.seal(fill.seal())})


def late_fill_seals(connection: Connection) -> Mapping[int, tuple[LateFill, str]]:
    """Return every late fill with the seal it has, by fill."""
    return {
        row.fill_id: (LateFill(row.fill_id, row.asset_order_id, row.found_at), row.seal)
        for row in connection.execute(select(late_fills))
    }


def late_keys(connection: Connection, asset_orders: Iterable[int]) -> set[str]:
    """Return the keys of the fills of these asset orders that were found late."""
    query = select(fills).join(late_fills, late_fills.c.fill_id == fills.c.id)
    rows = connection.execute(query.where(late_fills.c.asset_order_id.in_(list(asset_orders))))
    return {fill_from(row).key for row in rows}


def allotted(connection: Connection, asset_order_id: int) -> dict[int, Decimal]:
    """Return what each index order has of an asset order's booked fills, in base."""
    query = (
        select(allocations.c.index_order_id, allocations.c.quantity)
        .join(fills, fills.c.id == allocations.c.fill_id)
        .where(fills.c.asset_order_id == asset_order_id)
    )
    sums: dict[int, Decimal] = {}
    for owner, quantity in connection.execute(query):
        sums[owner] = sums.get(owner, ZERO) + quantity
    return sums


def last_trades(connection: Connection, account_id: int, era: str) -> dict[str, int]:
    """Return the id of the last trade that is booked, by symbol."""
    query = (
        select(fills.c.symbol, func.max(fills.c.trade_id))
        .where(fills.c.account_id == account_id, fills.c.era == era)
        .group_by(fills.c.symbol)
    )
    return {symbol: int(trade_id) for symbol, trade_id in connection.execute(query)}
