"""Whether the basket of an index may change now: not while a batch or a wave of it is on its way."""

from sqlalchemy import Connection, select

from etf_trader.errors import AccountLed
from etf_trader.orders.tables import index_orders, plans


def moving(connection: Connection, index_id: int) -> int | None:
    """Return an order, or a rebalance, of an index that has a plan which is not settled; None: it is at rest."""
    query = (
        select(plans.c.index_order_id)
        .join(index_orders, index_orders.c.id == plans.c.index_order_id)
        .where(index_orders.c.index_id == index_id, plans.c.status == "written")
        .order_by(plans.c.id)
        .limit(1)
    )
    number: int | None = connection.scalar(query)
    return number


def require_at_rest(connection: Connection, index_id: int) -> None:
    """Refuse to change a basket while a plan of its index is on its way.

    Raises:
        AccountLed: one is; names the order.
    """
    if (number := moving(connection, index_id)) is not None:
        raise AccountLed(
            f"order {number} is trading index {index_id} now: what a unit holds cannot be changed meanwhile",
            where="--index",
            hint=f"repeat it in a moment; etf order show {number} tells how far it is, etf worker --once ends it",
        )
