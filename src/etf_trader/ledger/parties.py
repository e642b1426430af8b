"""Whose books an order touches."""

from dataclasses import dataclass

from sqlalchemy import Connection

from etf_trader.index.store import index_by_id, position_by_id
from etf_trader.ledger import accounts
from etf_trader.ledger.repository import holder_name
from etf_trader.orders.index_order import IndexOrder


@dataclass(frozen=True, slots=True)
class Parties:
    """Whose books a movement touches: an order, its index and position, and the index's quote and lot method."""

    order_id: int
    index_id: int
    position_id: int
    holder: str
    quote: str
    lot_method: str

    @property
    def order(self) -> str:
        """The order's account."""
        return accounts.order(self.order_id)

    @property
    def index(self) -> str:
        """The index's account."""
        return accounts.index(self.index_id)

    @property
    def float(self) -> str:
        """The float's account."""
        return accounts.index_float(self.index_id)

    @property
    def unit(self) -> str:
        """The name of the index's units."""
        return accounts.unit(self.index_id)

    @property
    def position(self) -> str:
        """The position's account."""
        return accounts.position(self.position_id)


def parties_of(connection: Connection, order: IndexOrder) -> Parties:
    """Return whose books `order` touches."""
    index = index_by_id(connection, order.index_id)
    position = position_by_id(connection, order.position_id)
    return Parties(
        order_id=order.id,
        index_id=index.id,
        position_id=position.id,
        holder=holder_name(connection, position.holder_id),
        quote=index.quote,
        lot_method=index.lot_method,
    )
