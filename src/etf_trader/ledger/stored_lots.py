"""Lots and disposals as rows: read in parts, in the order in which they are wanted; written with a transaction."""

from sqlalchemy import ColumnElement, Connection, Row, Select, insert, select, tuple_, update

from etf_trader.database import insert_row
from etf_trader.ledger.lots import LotBook
from etf_trader.ledger.pile import Lot, LotOrder, Place
from etf_trader.ledger.tables import IS_OPEN, disposals, lots


class StoredLots:
    """The lots of one account at the venue, as the database has them."""

    def __init__(self, connection: Connection, account_id: int) -> None:
        self._connection = connection
        self._account_id = account_id

    def open_lots(self, account: str, asset: str, order: LotOrder, after: Place | None, count: int) -> list[Lot]:
        """Return the next `count` open lots after a place, or the first; fewer only where there are no more."""
        query = self._of(account, asset).where(IS_OPEN).limit(count)
        if order is LotOrder.DEAREST:
            query = query.order_by(lots.c.hifo_rank, lots.c.id)
        else:
            query = query.order_by(lots.c.id if order is LotOrder.OLDEST else lots.c.id.desc())
        if after is not None:
            query = query.where(_behind(order, after))
        return [_lot(row) for row in self._connection.execute(query)]

    def last_lot(self, account: str, asset: str) -> Lot | None:
        """Return the newest lot, open or closed."""
        # Asked for each kind apart: the index has them in order only so.
        newest = self._of(account, asset).order_by(lots.c.id.desc()).limit(1)
        found = [self._connection.execute(newest.where(lots.c.is_open == each)).one_or_none() for each in (0, 1)]
        return max((_lot(row) for row in found if row is not None), key=lambda lot: lot.id or 0, default=None)

    def _of(self, account: str, asset: str) -> Select[tuple[object, ...]]:
        return select(lots).where(
            lots.c.account_id == self._account_id, lots.c.account == account, lots.c.asset == asset
        )


def write_lots(connection: Connection, account_id: int, transaction_id: int, book: LotBook) -> None:
    """Write the lots that a transaction changed or made, and what it disposed of."""
    for lot in book.changed:
        values = {
            "quantity": lot.quantity,
            "cost": lot.cost,
            "open_quantity": lot.open_quantity,
            "open_cost": lot.open_cost,
            "is_open": int(lot.open_quantity != 0),
            "hifo_rank": lot.hifo_rank,
        }
        if lot.id is not None:
            connection.execute(update(lots).where(lots.c.id == lot.id).values(**values))
            continue
        values |= {
            "account_id": account_id,
            "transaction_id": transaction_id,
            "account": lot.account,
            "asset": lot.asset,
            "acquired_at": lot.acquired_at,
        }
        lot.id = insert_row(connection, lots, values)
    rows = [
        {
            "lot_id": disposal.lot.id,
            "transaction_id": transaction_id,
            "acquired_at": disposal.acquired_at,
            "disposed_at": disposal.disposed_at,
            "quantity": disposal.quantity,
            "proceeds": disposal.proceeds,
            "cost": disposal.cost,
            "fee": disposal.fee,
            "gain": disposal.gain,
            "days_held": disposal.days_held,
        }
        for disposal in book.disposals
    ]
    if rows:
        connection.execute(insert(disposals), rows)


def _behind(order: LotOrder, after: Place) -> ColumnElement[bool]:
    if order is LotOrder.OLDEST:
        return lots.c.id > after.id
    if order is LotOrder.NEWEST:
        return lots.c.id < after.id
    return tuple_(lots.c.hifo_rank, lots.c.id) > tuple_(after.hifo_rank, after.id)


def _lot(row: Row[tuple[object, ...]]) -> Lot:
    return Lot(
        id=row.id,
        sequence=0,  # of the chain; only new lots carry it
        account=row.account,
        asset=row.asset,
        acquired_at=row.acquired_at,
        quantity=row.quantity,
        cost=row.cost,
        open_quantity=row.open_quantity,
        open_cost=row.open_cost,
    )
