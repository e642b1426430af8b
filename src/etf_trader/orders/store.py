"""Index orders, plans and asset orders as rows; a store works inside the caller's transaction."""

import json
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, and_, func, insert, select, true, update

from etf_trader.database import insert_row
from etf_trader.errors import NotFound
from etf_trader.market.symbol import Side
from etf_trader.money import ZERO
from etf_trader.orders.asset_order import AssetOrder, Intent, OrderKind, Share, Slice, WaitingOrder
from etf_trader.orders.index_order import IndexOrder, OrderRequest, acceptance_seal, entered_seal
from etf_trader.orders.status import (
    ASSET_ORDER_TRANSITIONS,
    INDEX_ORDER_TRANSITIONS,
    UNFINISHED,
    AssetOrderStatus,
    IndexOrderStatus,
    Shortfall,
)
from etf_trader.orders.stored_schedule import StoredSchedule, read_schedule
from etf_trader.orders.tables import asset_orders, index_orders, markets, plans, shares
from etf_trader.seal import canonical, seal


@dataclass(frozen=True, slots=True)
class StoredPlan:
    """A plan as it was written; `document` is the plan object in canonical JSON."""

    id: int
    index_order_id: int
    basket_id: int
    purpose: str
    status: str
    created_at: datetime
    settled_at: datetime | None
    units: Decimal
    method: str
    cost: Decimal
    bound: Decimal
    gap_bps: Decimal
    book_hash: str
    document: str
    seal: str

    @property
    def is_settled(self) -> bool:
        """Whether units were credited for what it traded."""
        return self.status == "settled"

    def facts_seal(self) -> str:
        """Return the seal that its values should have."""
        return plan_seal(
            {name: getattr(self, name) for name in _SEALED_PLAN_COLUMNS},
        )


UNITS = "units"
"""The kind of an order that buys or sells units."""

_SEALED_PLAN_COLUMNS = (
    "index_order_id",
    "basket_id",
    "purpose",
    "units",
    "method",
    "cost",
    "bound",
    "gap_bps",
    "book_hash",
    "document",
)


def plan_seal(values: Mapping[str, Any]) -> str:
    """Return the SHA-256 over what a plan says."""
    return seal("etf.plan/1", {name: values[name] for name in _SEALED_PLAN_COLUMNS})


def add_index_order(
    connection: Connection,
    request: OrderRequest,
    *,
    account_id: int,
    position_id: int,
    quantity: Decimal,
    expires_at: datetime | None,
    arrival: Mapping[str, Decimal],
    arrival_nav: Decimal,
    now: datetime,
    schedule: StoredSchedule | None = None,
) -> IndexOrder:
    """Write an accepted wish."""
    row = {
        "account_id": account_id,
        "index_id": request.index_id,
        "position_id": position_id,
        "client_key": request.client_key,
        "request": request.canonical_text(),
        "side": str(request.side),
        "quantity": quantity,
        "filled": ZERO,
        "limit_price": request.limit_price,
        "max_loss_bps": request.max_loss_bps,
        "time_in_force": request.time_in_force,
        "expires_at": expires_at,
        "on_shortfall": str(request.on_shortfall),
        "status": str(IndexOrderStatus.OPEN),
        "stopped_by": "",
        "accepted_at": now,
        "arrival": dict(arrival),
        "arrival_nav": arrival_nav,
        "schedule": schedule,
    }
    row |= {
        "seal": acceptance_seal(row),
        "arrival": canonical(arrival),
        "schedule": None if schedule is None else canonical(schedule.document()),
    }
    return index_order(connection, insert_row(connection, index_orders, row))


def index_of_order(connection: Connection, order_id: int) -> int:
    """Return the index that an order is of, a rebalance among them."""
    found: int = connection.execute(
        select(index_orders.c.index_id).where(index_orders.c.id == order_id)
    ).scalar_one()
    return found


def index_order(connection: Connection, order_id: int) -> IndexOrder:
    """Return one index order.

    Raises:
        NotFound: there is none with this number.
    """
    row = connection.execute(select(index_orders).where(index_orders.c.id == order_id)).one_or_none()
    if row is None:
        raise NotFound(f"there is no order {order_id}", where="--order", hint="etf order list shows all")
    if row.kind != UNITS:
        raise NotFound(
            f"order {order_id} is a rebalance", where="--order", hint=f"etf report rebalance --id {order_id}"
        )
    return _index_order(row)


def standing_of(connection: Connection, order_id: int) -> tuple[IndexOrderStatus, tuple[str, ...]]:
    """Return where an order or a rebalance stands, which must exist, and what stopped it."""
    query = select(index_orders.c.status, index_orders.c.stopped_by).where(index_orders.c.id == order_id)
    status, stops = connection.execute(query).one()
    return IndexOrderStatus(status), tuple(filter(None, stops.split(",")))


def index_order_by_key(connection: Connection, client_key: str) -> IndexOrder | None:
    """Return the index order with this client key."""
    row = connection.execute(select(index_orders).where(index_orders.c.client_key == client_key)).one_or_none()
    return None if row is None else _index_order(row)


def list_index_orders(
    connection: Connection,
    *,
    account_id: int | None = None,
    index_id: int | None = None,
    position_id: int | None = None,
    statuses: Iterable[IndexOrderStatus] | None = None,
) -> list[IndexOrder]:
    """Return index orders, oldest first."""
    query = select(index_orders).where(index_orders.c.kind == UNITS).order_by(index_orders.c.id)
    if account_id is not None:
        query = query.where(index_orders.c.account_id == account_id)
    if index_id is not None:
        query = query.where(index_orders.c.index_id == index_id)
    if position_id is not None:
        query = query.where(index_orders.c.position_id == position_id)
    if statuses is not None:
        query = query.where(index_orders.c.status.in_([str(status) for status in statuses]))
    return [_index_order(row) for row in connection.execute(query)]


def move_index_order(
    connection: Connection,
    order_id: int,
    status: IndexOrderStatus,
    *,
    stopped_by: Sequence[str],
    now: datetime,
) -> None:
    """Take an index order, or a rebalance, to another status that its present one permits."""
    present, _ = standing_of(connection, order_id)
    if status not in INDEX_ORDER_TRANSITIONS[present]:
        raise ValueError(f"order {order_id} cannot go from {present} to {status}")
    connection.execute(
        update(index_orders)
        .where(index_orders.c.id == order_id)
        .values(
            status=str(status),
            stopped_by=",".join(stopped_by),
            ended_at=now,
            # The cancel that ended it is done; another one asks to trade back what is stuck.
            **({"cancel_requested_at": None} if status is IndexOrderStatus.STUCK else {}),
        )
    )


def write_filled(connection: Connection, order_id: int, filled: Decimal, stopped_by: Sequence[str]) -> None:
    """Set the units that an order has been credited with, and what held up the rest."""
    connection.execute(
        update(index_orders)
        .where(index_orders.c.id == order_id)
        .values(filled=filled, stopped_by=",".join(stopped_by))
    )


def write_stops(connection: Connection, order_id: int, stopped_by: Sequence[str]) -> None:
    """Set what holds up an order, or a rebalance."""
    connection.execute(
        update(index_orders).where(index_orders.c.id == order_id).values(stopped_by=",".join(stopped_by))
    )


def enter_assets(connection: Connection, index_id: int, mids: Mapping[str, Decimal]) -> None:
    """Give the orders of an index that are not over an arrival mid of each asset which enters its basket."""
    for order in list_index_orders(
        connection, index_id=index_id, statuses=(IndexOrderStatus.OPEN, IndexOrderStatus.STUCK)
    ):
        enter(connection, order, mids)


def enter(connection: Connection, order: IndexOrder, mids: Mapping[str, Decimal]) -> None:
    """Give an order an arrival mid of each of these assets that has none yet; what was accepted stays as it is."""
    new = {asset: mid for asset, mid in mids.items() if asset not in order.arrival}
    if new:
        entered = {**order.entered, **new}
        values = {"entered": canonical(entered), "entered_seal": entered_seal(order.id, entered)}
        connection.execute(update(index_orders).where(index_orders.c.id == order.id).values(**values))


def request_cancel(connection: Connection, order_id: int, now: datetime) -> None:
    """Ask whoever leads the account to end an order, or to trade back what a stuck one holds.

    An order that has ended stays as it is.
    """
    connection.execute(
        update(index_orders)
        .where(
            index_orders.c.id == order_id,
            index_orders.c.cancel_requested_at.is_(None),
            index_orders.c.status.in_((str(IndexOrderStatus.OPEN), str(IndexOrderStatus.STUCK))),
        )
        .values(cancel_requested_at=now)
    )


def add_plan(connection: Connection, values: Mapping[str, Any], now: datetime) -> int:
    """Write a plan, sealed, and return its number."""
    row = dict(values) | {"status": "written", "created_at": now, "seal": plan_seal(values)}
    return insert_row(connection, plans, row)


def add_market(connection: Connection, book_hash: str, market: Mapping[str, Any]) -> None:
    """Keep the books and rules that a plan was made on, once for all plans made on the same."""
    if connection.scalar(select(markets.c.hash).where(markets.c.hash == book_hash)) is None:
        text = zlib.compress(canonical(market).encode())
        connection.execute(insert(markets), {"hash": book_hash, "document": text})


def stored_market(connection: Connection, book_hash: str) -> dict[str, Any] | None:
    """Return the books and rules with this hash; None for a plan of before they were kept."""
    packed = connection.scalar(select(markets.c.document).where(markets.c.hash == book_hash))
    return None if packed is None else _market(packed)


def list_markets(connection: Connection) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the hash and the content of every market that was kept; {} where it cannot be read."""
    for row in connection.execute(select(markets).order_by(markets.c.hash)):
        yield row.hash, _market(row.document)


def stored_plan(connection: Connection, plan_id: int) -> StoredPlan:
    """Return one plan.

    Raises:
        NotFound: there is none with this number.
    """
    row = connection.execute(select(plans).where(plans.c.id == plan_id)).one_or_none()
    if row is None:
        raise NotFound(
            f"there is no plan {plan_id}", where="plan", hint="etf order show N names the plans of an order"
        )
    return StoredPlan(**row._mapping)


def plans_of(connection: Connection, order_id: int) -> list[StoredPlan]:
    """Return the plans of an index order, oldest first."""
    query = select(plans).where(plans.c.index_order_id == order_id).order_by(plans.c.id)
    return [StoredPlan(**row._mapping) for row in connection.execute(query)]


def plans_beside(connection: Connection, plan: StoredPlan) -> list[StoredPlan]:
    """Return the plans that were written in one batch with `plan`, itself among them, oldest first.

    An order has one plan in a batch: a leader that takes over within the same
    moment and on the same books begins another.
    """
    batch: list[StoredPlan] = []
    for found in plans_of_moment(connection, plan):
        if any(found.index_order_id == each.index_order_id for each in batch):
            if any(each.id == plan.id for each in batch):
                break
            batch = []
        batch.append(found)
    return batch


def plans_of_moment(connection: Connection, plan: StoredPlan) -> list[StoredPlan]:
    """Return the plans of the same moment on the same books as `plan`, itself among them, oldest first."""
    query = select(plans).where(plans.c.created_at == plan.created_at, plans.c.book_hash == plan.book_hash)
    return [StoredPlan(**row._mapping) for row in connection.execute(query.order_by(plans.c.id))]


def unsettled_plans(connection: Connection, account_id: int) -> list[StoredPlan]:
    """Return the plans of an account whose trades have not been credited, oldest first."""
    query = (
        select(plans)
        .join(index_orders, index_orders.c.id == plans.c.index_order_id)
        .where(index_orders.c.account_id == account_id, plans.c.status == "written")
        .order_by(plans.c.id)
    )
    return [StoredPlan(**row._mapping) for row in connection.execute(query)]


def indices_in_flight(connection: Connection) -> set[int]:
    """Return the indices whose orders, or rebalance, have a plan that is not settled: their baskets stay."""
    query = (
        select(index_orders.c.index_id)
        .join(plans, plans.c.index_order_id == index_orders.c.id)
        .where(plans.c.status == "written")
        .distinct()
    )
    return set(connection.scalars(query))


def list_plans(connection: Connection) -> list[StoredPlan]:
    """Return every plan, oldest first."""
    return [StoredPlan(**row._mapping) for row in connection.execute(select(plans).order_by(plans.c.id))]


def settle_plan(connection: Connection, plan_id: int, now: datetime) -> None:
    """Take note that a plan's trades have been credited."""
    connection.execute(update(plans).where(plans.c.id == plan_id).values(status="settled", settled_at=now))


def count_asset_orders(connection: Connection, order_id: int) -> int:
    """Return how many asset orders an index order has had: the next one's sequence, less one."""
    # By way of its shares, which are found by index order; in whose name an order is sent has one of it.
    own = (_shared(shares.c.index_order_id == order_id), asset_orders.c.index_order_id == order_id)
    query = select(func.count()).select_from(asset_orders).where(*own)
    return int(connection.execute(query).scalar_one())


def count_unfinished(connection: Connection, account_id: int) -> dict[AssetOrderStatus, int]:
    """Return how many asset orders of an account wait, are in flight, and rest in the venue's book."""
    query = (
        select(asset_orders.c.status, func.count())
        .join(index_orders, index_orders.c.id == asset_orders.c.index_order_id)
        .where(index_orders.c.account_id == account_id, asset_orders.c.status.in_(list(map(str, UNFINISHED))))
        .group_by(asset_orders.c.status)
    )
    found = {AssetOrderStatus(status): number for status, number in connection.execute(query)}
    return {status: found.get(status, 0) for status in UNFINISHED}


def add_asset_orders(connection: Connection, batch: Sequence[tuple[Intent, Sequence[Share]]]) -> None:
    """Write the intents of a batch and for whom each is traded, before anything is sent; the first share leads."""
    if not batch:
        return
    connection.execute(insert(asset_orders), [_intent_row(intent, parts[0]) for intent, parts in batch])
    names = [intent.client_order_id for intent, _ in batch]
    query = select(asset_orders.c.client_order_id, asset_orders.c.id)
    numbers = {row.client_order_id: row.id for row in connection.execute(query.where(_in_names(names)))}
    connection.execute(
        insert(shares),
        [_share_row(numbers[intent.client_order_id], intent, part) for intent, parts in batch for part in parts],
    )


def asset_order(connection: Connection, asset_order_id: int) -> AssetOrder:
    """Return one asset order, which must exist."""
    (found,) = _asset_orders(connection, asset_orders.c.id == asset_order_id)
    return found


def asset_orders_by_id(connection: Connection, numbers: Sequence[int]) -> list[AssetOrder]:
    """Return these asset orders, which must exist, in the order in which they are named."""
    found = {order.id: order for order in _asset_orders(connection, asset_orders.c.id.in_(numbers))}
    return [found[number] for number in numbers]


def waiting_orders(connection: Connection, plan_ids: Sequence[int]) -> list[WaitingOrder]:
    """Return the asset orders for these plans that were written and not sent, in order of writing."""
    query = (
        select(
            asset_orders.c.id,
            asset_orders.c.index_order_id,
            asset_orders.c.side,
            asset_orders.c.next_attempt_at,
        )
        .where(
            _shared(shares.c.plan_id.in_(plan_ids)),
            asset_orders.c.status == str(AssetOrderStatus.WRITTEN),
        )
        .order_by(asset_orders.c.id)
    )
    return [
        WaitingOrder(number, owner, Side(side), next_attempt_at)
        for number, owner, side, next_attempt_at in connection.execute(query)
    ]


def owners_of_plans(connection: Connection, plan_ids: Sequence[int]) -> set[int]:
    """Return the index orders for which the asset orders of these plans trade, of other plans too."""
    mine = select(shares.c.asset_order_id).where(shares.c.plan_id.in_(plan_ids))
    return set(
        connection.scalars(select(shares.c.index_order_id).where(shares.c.asset_order_id.in_(mine)).distinct())
    )


def asset_orders_by_client_id(connection: Connection, names: Sequence[str]) -> dict[str, AssetOrder]:
    """Return the asset orders with these client order ids, by id."""
    return {order.intent.client_order_id: order for order in _asset_orders(connection, _in_names(names))}


def asset_orders_of_plan(connection: Connection, plan_id: int) -> list[AssetOrder]:
    """Return the asset orders that trade for a plan, in order of writing."""
    return _asset_orders(connection, _shared(shares.c.plan_id == plan_id))


def asset_orders_of(connection: Connection, order_id: int) -> list[AssetOrder]:
    """Return the asset orders that trade for an index order, in order of writing."""
    return _asset_orders(connection, _shared(shares.c.index_order_id == order_id))


def asset_orders_with(connection: Connection, account_id: int, status: AssetOrderStatus) -> list[AssetOrder]:
    """Return the asset orders of an account that have this status, in order of writing."""
    own = select(index_orders.c.id).where(index_orders.c.account_id == account_id)
    condition = and_(asset_orders.c.status == str(status), asset_orders.c.index_order_id.in_(own))
    return _asset_orders(connection, condition)


def list_asset_orders(connection: Connection) -> list[AssetOrder]:
    """Return every asset order, in order of writing."""
    return _asset_orders(connection, true())


def move_asset_order(
    connection: Connection, order: AssetOrder, status: AssetOrderStatus, now: datetime, **values: Any
) -> None:
    """Take an asset order to another status that its present one permits, with what is known of it."""
    if status not in ASSET_ORDER_TRANSITIONS[order.status]:
        raise ValueError(f"asset order {order.id} cannot go from {order.status} to {status}")
    if status.is_final:
        values["ended_at"] = now
        ended = replace(order, status=status, **values)
        values["end_seal"] = ended.facts_end_seal()
    connection.execute(
        update(asset_orders).where(asset_orders.c.id == order.id).values(status=str(status), **values)
    )


def note_executed(connection: Connection, order: AssetOrder, status: AssetOrderStatus, **values: Any) -> None:
    """Take note of what a resting order has executed so far."""
    present = asset_order(connection, order.id)
    if present.status is not status and status not in ASSET_ORDER_TRANSITIONS[present.status]:
        return  # it has ended since
    if values["executed_quantity"] < present.executed_quantity:
        return  # late news
    connection.execute(
        update(asset_orders).where(asset_orders.c.id == order.id).values(status=str(status), **values)
    )


def cancelled_orders(connection: Connection, numbers: Iterable[int]) -> set[int]:
    """Return those of these index orders whose cancel was asked for."""
    query = select(index_orders.c.id).where(
        index_orders.c.id.in_(list(numbers)), index_orders.c.cancel_requested_at.is_not(None)
    )
    return set(connection.scalars(query))


def _market(packed: bytes) -> dict[str, Any]:
    try:
        market: dict[str, Any] = json.loads(zlib.decompress(packed))
    except (zlib.error, ValueError):
        return {}  # its hash says the rest
    return market


def _index_order(row: Row[tuple[object, ...]]) -> IndexOrder:
    values: dict[str, Any] = dict(row._mapping)
    values.pop("kind")
    values["side"] = Side(values["side"])
    values["on_shortfall"] = Shortfall(values["on_shortfall"])
    values["status"] = IndexOrderStatus(values["status"])
    values["stopped_by"] = tuple(filter(None, values["stopped_by"].split(",")))
    values["arrival"] = arrival_mids(values["arrival"], values["entered"])
    values["entered"] = _mids(values["entered"])
    values["schedule"] = read_schedule(values["schedule"])
    return IndexOrder(**values)


def arrival_mids(arrival: str, entered: str | None) -> dict[str, Decimal]:
    """Return the arrival mids of an order from its row, those of what has entered its basket since among them."""
    return _mids(arrival) | _mids(entered)


def _mids(text: str | None) -> dict[str, Decimal]:
    return {} if text is None else {asset: Decimal(mid) for asset, mid in json.loads(text).items()}


def _intent_row(intent: Intent, lead: Share) -> dict[str, Any]:
    return {
        "plan_id": lead.plan_id,
        "index_order_id": lead.index_order_id,
        "client_order_id": intent.client_order_id,
        "asset": intent.asset,
        "symbol": intent.symbol,
        "side": str(intent.side),
        "quantity": intent.quantity,
        "price": intent.price,
        "arrival_mid": intent.arrival_mid,
        "mid": intent.mid,
        "touch": intent.touch,
        "seal": intent.seal(lead.plan_id, lead.index_order_id),
        "kind": str(intent.kind),
        "status": str(AssetOrderStatus.WRITTEN),
        "attempts": 0,
        "executed_quantity": ZERO,
        "executed_value": ZERO,
    }


def _share_row(asset_order_id: int, intent: Intent, part: Share) -> dict[str, Any]:
    return {
        "asset_order_id": asset_order_id,
        "index_order_id": part.index_order_id,
        "plan_id": part.plan_id,
        "slices": canonical([list(each) for each in part.slices]),
        "seal": part.seal(intent.client_order_id),
    }


def _shared(condition: ColumnElement[bool]) -> ColumnElement[bool]:
    """Return the condition that an asset order has a share for which `condition` holds."""
    return asset_orders.c.id.in_(select(shares.c.asset_order_id).where(condition))


def _in_names(names: Sequence[str]) -> ColumnElement[bool]:
    return asset_orders.c.client_order_id.in_(names)


def _asset_orders(connection: Connection, condition: ColumnElement[bool]) -> list[AssetOrder]:
    query = (
        select(shares)
        .join(asset_orders, asset_orders.c.id == shares.c.asset_order_id)
        .where(condition)
        .order_by(shares.c.asset_order_id, shares.c.index_order_id)
    )
    parts: dict[int, list[Share]] = {}
    for row in connection.execute(query):
        parts.setdefault(row.asset_order_id, []).append(_share(row))
    rows = connection.execute(select(asset_orders).where(condition).order_by(asset_orders.c.id))
    return [_asset_order(row, tuple(parts.get(row.id, ()))) for row in rows]


def _share(row: Row[tuple[object, ...]]) -> Share:
    slices = tuple(Slice(Decimal(quantity), Decimal(last)) for quantity, last in json.loads(row.slices))
    return Share(row.plan_id, row.index_order_id, slices)


def _asset_order(row: Row[tuple[object, ...]], parts: tuple[Share, ...]) -> AssetOrder:
    intent = Intent(
        client_order_id=row.client_order_id,
        asset=row.asset,
        symbol=row.symbol,
        side=Side(row.side),
        quantity=row.quantity,
        price=row.price,
        arrival_mid=row.arrival_mid,
        mid=row.mid,
        touch=row.touch,
        kind=OrderKind(row.kind),
    )
    return AssetOrder(
        id=row.id,
        plan_id=row.plan_id,
        index_order_id=row.index_order_id,
        intent=intent,
        shares=parts,
        seal=row.seal,
        status=AssetOrderStatus(row.status),
        attempts=row.attempts,
        next_attempt_at=row.next_attempt_at,
        granted_at=row.granted_at,
        venue_order_id=row.venue_order_id,
        executed_quantity=row.executed_quantity,
        executed_value=row.executed_value,
        reason=row.reason,
        ended_at=row.ended_at,
        end_seal=row.end_seal,
    )
