"""Whose books an order touches."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal

from sqlalchemy import Connection

from etf_trader.index.store import Index, index_by_id, position_by_id
from etf_trader.ledger import accounts
from etf_trader.ledger.repository import holder_name
from etf_trader.money import ONE
from etf_trader.orders.index_order import IndexOrder
from etf_trader.orders.rebalance_order import RebalanceOrder
from etf_trader.orders.rebalances import is_rebalance, rebalance_order
from etf_trader.orders.store import index_order


@dataclass(frozen=True, slots=True)
class Parties:
    """Whose books a movement touches: an order, its index and position, and the index's quote and lot method.

    A rebalance has no position (0): its holder is the owner of the float.
    `rates` are what other currencies that the order may pay in were worth at its
    arrival, in the quote; its cash is counted at these.
    """

    order_id: int
    index_id: int
    position_id: int
    holder: str
    quote: str
    lot_method: str
    rates: Mapping[str, Decimal] = field(default_factory=dict)

    @property
    def is_rebalance(self) -> bool:
        """Whether it is a rebalance: everybody's who has units."""
        return not self.position_id

    def rate(self, currency: str) -> Decimal:
        """Return what a currency of the order is worth in the quote."""
        return ONE if currency == self.quote else self.rates[currency]

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
    position = position_by_id(connection, order.position_id)
    return parties_from(
        order, index_by_id(connection, order.index_id), holder_name(connection, position.holder_id)
    )


def parties_from(order: IndexOrder, index: Index, holder: str) -> Parties:
    """Return whose books an order of this index and holder touches. Pure."""
    return Parties(
        order_id=order.id,
        index_id=index.id,
        position_id=order.position_id,
        holder=holder,
        quote=index.quote,
        lot_method=index.lot_method,
        rates={name: order.arrival[name] for name in index.routes if name in order.arrival},
    )


def parties_by_order(connection: Connection, numbers: Iterable[int]) -> dict[int, Parties]:
    """Return whose books these orders touch, by number; rebalances among them."""
    return {
        number: parties_of_rebalance(connection, rebalance_order(connection, number))
        if is_rebalance(connection, number)
        else parties_of(connection, index_order(connection, number))
        for number in numbers
    }


def parties_of_rebalance(connection: Connection, order: RebalanceOrder) -> Parties:
    """Return whose books a rebalance touches."""
    return parties_from_rebalance(order, index_by_id(connection, order.index_id))


def parties_from_rebalance(order: RebalanceOrder, index: Index) -> Parties:
    """Return whose books a rebalance of this index touches. Pure."""
    return Parties(
        order_id=order.id,
        index_id=index.id,
        position_id=0,
        holder=order.request.holder,
        quote=index.quote,
        lot_method=index.lot_method,
    )
