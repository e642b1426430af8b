"""Rebalances as rows; a store works inside the caller's transaction."""

import json
from collections.abc import Iterable
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import Connection, Row, insert, select

from etf_trader.database import insert_row
from etf_trader.errors import NotFound
from etf_trader.market.symbol import Side
from etf_trader.money import ONE, ZERO, divide
from etf_trader.orders.rebalance_order import KIND, RebalanceOrder, RebalanceRequest, TargetLeg
from etf_trader.orders.status import IndexOrderStatus, Shortfall
from etf_trader.orders.tables import index_orders, rebalance_legs, rebalances
from etf_trader.seal import canonical

_NAV = Decimal("1e-18")


def add_rebalance(
    connection: Connection, account_id: int, request: RebalanceRequest, now: datetime
) -> RebalanceOrder:
    """Write an accepted rebalance, with a row among the orders by which it is queued, followed and cancelled."""
    seal = request.seal()
    order_id = insert_row(connection, index_orders, _order_row(account_id, request, seal, now))
    row = {name: getattr(request, name) for name in _COLUMNS}
    row |= {
        "index_order_id": order_id,
        "due_on": request.due_on.isoformat(),
        "is_forced": int(request.is_forced),
        "determination": canonical(request.determination),
        "seal": seal,
    }
    connection.execute(insert(rebalances), row)
    legs = [_leg_row(order_id, leg) for leg in request.legs]
    if legs:
        connection.execute(insert(rebalance_legs), legs)
    return rebalance_order(connection, order_id)


_COLUMNS = ("index_id", "holder", "rulebook", "basket", "units", "nav", "scale", "reserve", "price_bps")


def _order_row(account_id: int, request: RebalanceRequest, seal: str, now: datetime) -> dict[str, Any]:
    return {
        "account_id": account_id,
        "index_id": request.index_id,
        "kind": KIND,
        "position_id": None,
        "client_key": request.client_key,
        "request": canonical({"index": request.index_id, "due_on": request.due_on.isoformat()}),
        "side": "both",
        "quantity": request.units,
        "filled": ZERO,
        "time_in_force": "gtc",
        "on_shortfall": str(Shortfall.HOLD),
        "status": str(IndexOrderStatus.OPEN),
        "stopped_by": "",
        "accepted_at": now,
        "arrival": canonical(request.arrival),
        "arrival_nav": divide(request.nav, request.units or ONE, _NAV),
        "seal": seal,
    }


def _leg_row(order_id: int, leg: TargetLeg) -> dict[str, Any]:
    row = {name: getattr(leg, name) for name in TargetLeg.__slots__}
    return row | {"index_order_id": order_id, "side": None if leg.side is None else str(leg.side)}


def rebalance_order(connection: Connection, order_id: int) -> RebalanceOrder:
    """Return one rebalance.

    Raises:
        NotFound: there is none with this number.
    """
    found = _orders(connection, [order_id])
    if not found:
        raise NotFound(
            f"there is no rebalance {order_id}", where="--id", hint="etf report rebalance --index N --all"
        )
    return found[0]


def rebalance_on(connection: Connection, index_id: int, due_on: date) -> RebalanceOrder | None:
    """Return the rebalance of an index for a day, if there is one."""
    query = select(rebalances.c.index_order_id).where(
        rebalances.c.index_id == index_id, rebalances.c.due_on == due_on.isoformat()
    )
    number = connection.scalar(query)
    return None if number is None else rebalance_order(connection, number)


def list_rebalances(
    connection: Connection,
    *,
    account_id: int | None = None,
    index_id: int | None = None,
    statuses: Iterable[IndexOrderStatus] | None = None,
) -> list[RebalanceOrder]:
    """Return rebalances, oldest first."""
    query = select(index_orders.c.id).where(index_orders.c.kind == KIND)
    if account_id is not None:
        query = query.where(index_orders.c.account_id == account_id)
    if index_id is not None:
        query = query.where(index_orders.c.index_id == index_id)
    if statuses is not None:
        query = query.where(index_orders.c.status.in_([str(status) for status in statuses]))
    return _orders(connection, list(connection.scalars(query)))


def due_dates(connection: Connection, account_id: int) -> dict[int, set[date]]:
    """Return the days for which there were rebalances, by index."""
    query = (
        select(rebalances.c.index_id, rebalances.c.due_on)
        .join(index_orders, index_orders.c.id == rebalances.c.index_order_id)
        .where(index_orders.c.account_id == account_id)
    )
    found: dict[int, set[date]] = {}
    for index_id, due_on in connection.execute(query):
        found.setdefault(index_id, set()).add(date.fromisoformat(due_on))
    return found


def is_rebalance(connection: Connection, order_id: int) -> bool:
    """Return whether the order with this number is a rebalance."""
    query = select(rebalances.c.index_order_id).where(rebalances.c.index_order_id == order_id)
    return connection.scalar(query) is not None


def _orders(connection: Connection, numbers: list[int]) -> list[RebalanceOrder]:
    if not numbers:
        return []
    query = (
        select(index_orders, *(column for column in rebalances.c if column.name not in _SHARED))
        .join(rebalances, rebalances.c.index_order_id == index_orders.c.id)
        .where(index_orders.c.id.in_(numbers))
        .order_by(index_orders.c.id)
    )
    legs: dict[int, list[TargetLeg]] = {}
    found = select(rebalance_legs).where(rebalance_legs.c.index_order_id.in_(numbers))
    for row in connection.execute(found.order_by(rebalance_legs.c.index_order_id, rebalance_legs.c.asset)):
        legs.setdefault(row.index_order_id, []).append(_leg(row))
    return [_order(row, tuple(legs.get(row.id, ()))) for row in connection.execute(query)]


_SHARED = ("index_order_id", "index_id", "seal")
"""Columns of both rows, which say the same in both."""


def _order(row: Row[tuple[Any, ...]], legs: tuple[TargetLeg, ...]) -> RebalanceOrder:
    request = RebalanceRequest(
        index_id=row.index_id,
        due_on=date.fromisoformat(row.due_on),
        is_forced=bool(row.is_forced),
        holder=row.holder,
        rulebook=row.rulebook,
        basket=row.basket,
        units=row.units,
        nav=row.nav,
        scale=row.scale,
        reserve=row.reserve,
        price_bps=row.price_bps,
        arrival={asset: Decimal(mid) for asset, mid in json.loads(row.arrival).items()},
        determination=json.loads(row.determination),
        legs=legs,
    )
    return RebalanceOrder(
        id=row.id,
        account_id=row.account_id,
        request=request,
        status=IndexOrderStatus(row.status),
        stopped_by=tuple(filter(None, row.stopped_by.split(","))),
        cancel_requested_at=row.cancel_requested_at,
        accepted_at=row.accepted_at,
        ended_at=row.ended_at,
        seal=row.seal,
    )


def _leg(row: Row[tuple[Any, ...]]) -> TargetLeg:
    values = {name: getattr(row, name) for name in TargetLeg.__slots__}
    return TargetLeg(**values | {"side": None if row.side is None else Side(row.side)})
