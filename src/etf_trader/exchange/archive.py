"""What stands written of orders and trades: looked up, never changed."""

from collections.abc import Iterator

from sqlalchemy import ColumnElement, Connection, bindparam, select

from etf_trader.exchange import tables
from etf_trader.exchange.matching import Order
from etf_trader.exchange.reports import order_of, order_view, trade_of
from etf_trader.exchange.views import OrderView, TradeView

_COLUMN = tables.orders.c
_HERE = select(tables.orders).where(_COLUMN.account == bindparam("account"), _COLUMN.symbol == bindparam("symbol"))
_LAST = _COLUMN.order_id.desc()
_BY_ID = _HERE.where(_COLUMN.order_id == bindparam("order_id")).order_by(_LAST).limit(1)
_BY_NAME = _HERE.where(_COLUMN.client_order_id == bindparam("name")).order_by(_LAST).limit(1)
_BY_BOTH = _BY_NAME.where(_COLUMN.order_id == bindparam("order_id"))
_IS_OPEN = _COLUMN.is_open.is_(True)
_OPEN = {query: query.where(_IS_OPEN) for query in (_BY_ID, _BY_NAME, _BY_BOTH)}
_TRADES_OF = (
    select(tables.trade).where(tables.trade.c.order_id == bindparam("order_id")).order_by(tables.trade.c.sequence)
)


def find(
    connection: Connection,
    account: str,
    symbol: str,
    order_id: int | None,
    client_order_id: str | None,
    *,
    only_open: bool = False,
) -> Order | None:
    """Return the order of that id and that name, or of the one that is given; of several of a name the last."""
    query = _BY_NAME if order_id is None else _BY_ID if client_order_id is None else _BY_BOTH
    asked = {"account": account, "symbol": symbol, "order_id": order_id, "name": client_order_id}
    wanted = {name: value for name, value in asked.items() if value is not None}
    row = connection.execute(_OPEN[query] if only_open else query, wanted).one_or_none()
    return None if row is None else order_of(row)


def trades_of(connection: Connection, order_id: int) -> tuple[TradeView, ...]:
    """Return the trades of an order, in the order they happened."""
    return tuple(map(trade_of, connection.execute(_TRADES_OF, {"order_id": order_id})))


def trades(connection: Connection, *conditions: ColumnElement[bool]) -> Iterator[TradeView]:
    """Yield the trades that keep `conditions`, in the order they happened."""
    query = select(tables.trade).where(*conditions).order_by(tables.trade.c.sequence)
    return map(trade_of, connection.execute(query))


def orders(connection: Connection, *conditions: ColumnElement[bool]) -> tuple[OrderView, ...]:
    """Return the orders that keep `conditions` with their trades, oldest first."""
    found = [order_of(row) for row in connection.execute(select(tables.orders).where(*conditions))]
    which = select(_COLUMN.order_id).where(*conditions)
    made: dict[int, list[TradeView]] = {}
    for trade in trades(connection, tables.trade.c.order_id.in_(which)):
        made.setdefault(trade.order_id, []).append(trade)
    found.sort(key=lambda each: each.order_id)
    return tuple(order_view(order, tuple(made.get(order.order_id, ()))) for order in found)
