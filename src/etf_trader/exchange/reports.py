"""What happened to orders, one row a happening: written in the transaction that made it true."""

from collections.abc import Iterator
from dataclasses import fields, replace
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, func, insert, select

from etf_trader.exchange import tables
from etf_trader.exchange.many import Many
from etf_trader.exchange.matching import Order
from etf_trader.exchange.views import OrderCount, OrderView, ReportView, TradeView

NEW, TRADE, CANCELED, EXPIRED = "NEW", "TRADE", "CANCELED", "EXPIRED"
TRADE_PREVENTION = "TRADE_PREVENTION"

ORDER_COLUMNS = tuple(column.name for column in tables.orders.c if column.name != "is_open")
_TRADE_FIELDS = tuple(field.name for field in fields(TradeView))
_NEW = Many(insert(tables.report))
_AS_IT_STOOD = ("status", "executed", "cumulative_quote", "prevented", "expiry_reason", "triggered_at")


class Reports:
    """What happens during one transaction; `save` writes it."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._rows: list[dict[str, Any]] = []

    def add(self, kind: str, order: Order, now: datetime, *, trade_id: int | None = None) -> None:
        """Note that something happened to `order`, as it stands."""
        row = {name: getattr(order, name) for name in _AS_IT_STOOD}
        row |= {
            "account": order.account,
            "order_id": order.order_id,
            "kind": kind,
            "trade_id": trade_id,
            "at": now,
        }
        self._rows.append(row)

    def save(self) -> None:
        """Write it."""
        _NEW.run(self._connection, self._rows)
        self._rows.clear()


def last_report(connection: Connection, account: str) -> int:
    """Return the sequence of the last thing that happened to an order of `account`; 0 when there is none."""
    report = tables.report.c
    return connection.scalar(select(func.max(report.sequence)).where(report.account == account)) or 0


def reports_after(connection: Connection, account: str, after: int) -> Iterator[ReportView]:
    """Yield what happened to the orders of `account` after the report numbered `after`, in order."""
    report, orders, trade = tables.report, tables.orders, tables.trade
    query = (
        select(report, *(orders.c[name].label(f"order_{name}") for name in ORDER_COLUMNS))
        .add_columns(*(trade.c[name].label(f"trade_{name}") for name in _TRADE_FIELDS))
        .join(orders, orders.c.order_id == report.c.order_id)
        .outerjoin(trade, (trade.c.order_id == report.c.order_id) & (trade.c.trade_id == report.c.trade_id))
        .where(report.c.account == account, report.c.sequence > after)
        .order_by(report.c.sequence)
    )
    return map(_view, connection.execute(query))


def order_of(row: Any, prefix: str = "") -> Order:
    """Return a row of `orders` as an order to work on."""
    return Order(**{name: getattr(row, prefix + name) for name in ORDER_COLUMNS})


def order_view(order: Order, trades: tuple[TradeView, ...], counts: tuple[OrderCount, ...] = ()) -> OrderView:
    """Return what a client sees of `order`."""
    return OrderView(
        symbol=order.symbol,
        order_id=order.order_id,
        client_order_id=order.client_order_id,
        side=order.side,
        type=order.type,
        time_in_force=order.time_in_force,
        price=order.price,
        quantity=order.quantity,
        executed_quantity=order.executed,
        cumulative_quote=order.cumulative_quote,
        status=order.status,
        expiry_reason=order.expiry_reason,
        at=order.at,
        updated=order.updated,
        trades=trades,
        self_trade_prevention=order.self_trade_prevention,
        prevented_quantity=order.prevented,
        counts=counts,
        quote_quantity=order.quote_quantity,
        iceberg_quantity=order.iceberg_quantity,
        stop_price=order.stop_price,
        trailing_delta=order.trailing_delta,
        working_at=order.triggered_at if order.is_conditional else order.at,
        cancel_id=order.cancel_id,
    )


def trade_of(row: Any, prefix: str = "") -> TradeView:
    """Return what a client sees of a row of `trade`."""
    return TradeView(**{name: getattr(row, prefix + name) for name in _TRADE_FIELDS})


def _view(row: Row[Any]) -> ReportView:
    then = {name: getattr(row, name) for name in _AS_IT_STOOD}
    order = replace(order_of(row, "order_"), updated=row.at, **then)
    trade = None if row.trade_id is None else trade_of(row, "trade_")
    return ReportView(row.sequence, row.kind, order_view(order, ()), trade)
