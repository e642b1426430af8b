"""What the orders of an account have lost since the UTC day began: the sum of what reports show."""

from datetime import UTC, datetime
from decimal import Decimal

from sqlalchemy import Connection, select

from etf_trader.execution.loss import fill_loss
from etf_trader.execution.state import settlement_of
from etf_trader.ledger.fill import Part, fill_from
from etf_trader.ledger.tables import allocations, fills, transactions
from etf_trader.market.symbol import Side
from etf_trader.money import ZERO
from etf_trader.orders.asset_order import Intent
from etf_trader.orders.store import arrival_mids
from etf_trader.orders.tables import asset_orders, index_orders
from etf_trader.risk.halts import DAILY_LOSS, halts

_SETTLEMENTS = ("credit", "settle", "close")


class DayLoss:
    """Sums the loss of a day; each reading adds only what was booked since the last.

    The loss is that of the orders: against the mids at their arrival, all parts,
    in the quotes of their indices with currencies at par. What the market does
    to units that are held is no part of it. Who lifts a halt for the day's loss
    lets it begin again at nothing.
    """

    def __init__(self, account_id: int) -> None:
        self._account_id = account_id
        self._since: datetime | None = None
        self._fill = self._transaction = 0
        self._sum = ZERO

    def read(self, connection: Connection, now: datetime) -> Decimal:
        """Return the loss so far; positive is a cost."""
        since = day_began(connection, self._account_id, now)
        if since != self._since:
            self._since, self._fill, self._transaction, self._sum = since, 0, 0, ZERO
        self._add_fills(connection, since)
        self._add_settlements(connection, since)
        return self._sum

    def _add_fills(self, connection: Connection, since: datetime) -> None:
        query = (
            select(
                fills,
                *(allocations.c[name].label(f"part_{name}") for name in ("index_order_id", *_PARTS)),
                *(asset_orders.c[name].label(f"sent_{name}") for name in _INTENT),
                index_orders.c.arrival,
                index_orders.c.entered,
            )
            .join(allocations, allocations.c.fill_id == fills.c.id)
            .join(asset_orders, asset_orders.c.id == fills.c.asset_order_id)
            .join(index_orders, index_orders.c.id == allocations.c.index_order_id)
            .where(fills.c.account_id == self._account_id, fills.c.at >= since, fills.c.id > self._fill)
            .order_by(fills.c.id)
        )
        for row in connection.execute(query):
            part = Part(row.part_index_order_id, *(getattr(row, f"part_{name}") for name in _PARTS))
            values = {name: getattr(row, f"sent_{name}") for name in _INTENT}
            intent = Intent(**(values | {"side": Side(row.sent_side)}))
            self._sum += fill_loss(part.of(fill_from(row)), intent, arrival_mids(row.arrival, row.entered)).total
            self._fill = row.id

    def _add_settlements(self, connection: Connection, since: datetime) -> None:
        query = (
            select(transactions.c.id, transactions.c.evidence, index_orders.c.arrival, index_orders.c.entered)
            .join(index_orders, index_orders.c.id == transactions.c.index_order_id)
            .where(
                transactions.c.account_id == self._account_id,
                transactions.c.at >= since,
                transactions.c.id > self._transaction,
                transactions.c.kind.in_(_SETTLEMENTS),
            )
            .order_by(transactions.c.id)
        )
        for row in connection.execute(query):
            rounding = settlement_of(row.evidence).rounding(arrival_mids(row.arrival, row.entered))
            self._sum += sum(rounding.values(), ZERO)
            self._transaction = row.id


_PARTS = ("quantity", "value", "fee")
_INTENT = Intent.__slots__


def day_began(connection: Connection, account_id: int, now: datetime) -> datetime:
    """Return since when losses count: midnight UTC, or when a halt for the day's loss was lifted after it."""
    midnight = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    lifted = [
        each.lifted_at
        for each in halts(connection, account_id, lifted=True)
        if each.cause == DAILY_LOSS and each.lifted_at is not None
    ]
    return max([midnight, *lifted])
