"""Makes a ledger old: a million fills with everything that comes with them, copied in bulk from one real fill.

The rows are as many, as wide and as indexed as grown ones, and what the engine reads
of them is as it would be; their seals and hashes are not, so no audit passes.
"""

from collections.abc import Mapping

from sqlalchemy import Connection, Table, func, or_, select, text, update

from etf_trader.database import Database
from etf_trader.events import events
from etf_trader.execution.tables import slot_uses
from etf_trader.index.tables import positions
from etf_trader.ledger.tables import allocations, balances, fills, lots, postings, transactions
from etf_trader.orders.tables import asset_orders, index_orders, plans, shares

FILLS_OF_ORDER = 100
LONG_AGO = "'2026-01-01T00:00:00.000000Z'"
KEPT_SLOTS = 200_000
"""More uses of slots than the venue allows in a day are never kept."""


def grow(database: Database, account_id: int, count: int) -> None:
    """Add `count` fills to an SQLite ledger that has at least one, and an index order for each hundred."""
    orders = count // FILLS_OF_ORDER
    with database.write() as connection:
        first = connection.execute(
            select(fills).where(fills.c.account_id == account_id).order_by(fills.c.id).limit(1)
        ).one()
        asset_order = connection.execute(
            select(asset_orders).where(asset_orders.c.id == first.asset_order_id)
        ).one()
        booking = connection.execute(
            select(transactions).where(transactions.c.account_id == account_id, transactions.c.kind == "fill")
        ).first()
        assert booking is not None
        top = {
            table.name: connection.scalar(select(func.max(table.c.id))) or 0
            for table in (index_orders, plans, asset_orders, transactions, fills, lots)
        }
        owner = f"{top['index_order']} + 1 + i % {orders}"
        plan = f"{top['plan']} + 1 + i % {orders}"
        account = f"'order:' || ({owner})"
        tail = connection.scalar(
            select(func.max(transactions.c.sequence)).where(transactions.c.account_id == account_id)
        )
        old = f"order:{asset_order.index_order_id}"

        whole = {"id": f"{top['index_order']} + i", "client_key": "'grown-' || i", "status": "'filled'"}
        whole |= {"accepted_at": LONG_AGO, "ended_at": LONG_AGO}
        copy(connection, index_orders, {"id": asset_order.index_order_id}, orders, whole)
        whole = {"id": f"{top['plan']} + i", "index_order_id": owner.replace("1 + i", "1 + (i - 1)")}
        copy(connection, plans, {"id": asset_order.plan_id}, orders, whole | {"status": "'settled'"})
        sent = f"{top['asset_order']} + i"
        whole = {"id": sent, "client_order_id": "'grown-' || i", "index_order_id": owner, "plan_id": plan}
        copy(connection, asset_orders, {"id": asset_order.id}, count, whole)
        whole = {"asset_order_id": sent, "index_order_id": owner, "plan_id": plan}
        copy(connection, shares, {"asset_order_id": asset_order.id}, count, whole)
        kept = min(count, KEPT_SLOTS)
        copy(connection, slot_uses, {"asset_order_id": asset_order.id}, kept, {"id": None, "asset_order_id": sent})

        number = f"{top['transaction']} + i"
        digest = "substr('0000000000000000000000000000000000000000000000000000000000000000' || i, -64)"
        whole = {"id": number, "sequence": f"{tail} + i", "key": "'fill:grown:' || i", "hash": digest}
        whole |= {"index_order_id": owner, "previous_hash": digest, "at": LONG_AGO}
        copy(connection, transactions, {"id": booking.id}, count, whole)
        name = f"replace(t.account, '{old}', {account})"
        copy(
            connection,
            postings,
            {"transaction_id": booking.id},
            count,
            {"transaction_id": number, "account": name},
        )
        made = {"id": f"{top['fill']} + i", "trade_id": "1000000 + i", "asset_order_id": sent}
        copy(connection, fills, {"id": first.id}, count, made | {"venue_order_id": "1000000 + i", "at": LONG_AGO})
        whole = {"fill_id": made["id"], "index_order_id": owner}
        copy(connection, allocations, {"fill_id": first.id}, count, whole)
        copy(connection, events, {"id": 1}, count, {"id": None})

        lot = connection.execute(
            select(lots).where(lots.c.account == old, lots.c.account_id == account_id)
        ).first()
        assert lot is not None
        whole = {"id": f"{top['lot']} + i", "transaction_id": number, "account": account}
        copy(connection, lots, {"id": lot.id}, count, whole)
        # What each order bought became one lot of its index, in each asset, and one of units of its position;
        # what was left over, one of the float.
        kept = or_(*(lots.c.account.like(f"{kind}:%") for kind in ("index", "position", "float")))
        for place, held in enumerate(connection.execute(select(lots).where(lots.c.is_open == 1, kept)).all()):
            whole = {"id": f"{top['lot']} + {count + place * orders} + i", "transaction_id": number}
            copy(connection, lots, {"id": held.id}, orders, whole)
            if held.account.startswith("position:"):
                grown = {"units": held.open_quantity * (orders + 1), "cost": held.open_cost * (orders + 1)}
                connection.execute(
                    update(positions).where(positions.c.id == int(held.account.partition(":")[2])).values(**grown)
                )
        copy(connection, balances, {"account": old}, orders, {"account": account, "amount": "'0'"})


def copy(
    connection: Connection,
    table: Table,
    where: Mapping[str, object],
    count: int,
    changes: Mapping[str, str | None],
) -> None:
    """Copy the rows of `table` for which `where` holds `count` times; i = 1, 2, ... in the changed columns."""
    columns = [column.name for column in table.columns if changes.get(column.name, "") is not None]
    values = [changes.get(name) or f't."{name}"' for name in columns]
    found = " AND ".join(f't."{name}" = :{name}' for name in where)
    names = ", ".join(f'"{name}"' for name in columns)
    query = (
        f'INSERT INTO "{table.name}" ({names}) '
        f"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {count}) "
        f'SELECT {", ".join(values)} FROM n CROSS JOIN "{table.name}" AS t WHERE {found}'
    )
    connection.execute(text(query), dict(where))
