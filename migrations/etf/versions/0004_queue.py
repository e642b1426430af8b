"""The order queue: what is sent when, which slots it took, the venue's own counts, and pauses."""

import sqlalchemy as sa
from alembic import op

from etf_trader.database import ExactDecimal, UtcDateTime
from etf_trader.ledger.pile import hifo_rank
from etf_trader.money import money_context

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    connection = op.get_bind()
    old = sa.table(
        "slot_use",
        *(sa.column(name) for name in ("account_id", "seconds", "used")),
        sa.column("window_start", UtcDateTime),
    )
    used = {
        (row.account_id, row.seconds): row
        for row in connection.execute(sa.select(old).order_by(old.c.window_start))
    }
    op.drop_table("slot_use")
    op.create_table(
        "slot_use",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("account_id", sa.Integer, sa.ForeignKey("account.id"), nullable=False),
        sa.Column("asset_order_id", sa.Integer, sa.ForeignKey("asset_order.id"), nullable=False),
        sa.Column("granted_at", UtcDateTime, nullable=False),
        sa.Column("answered_at", UtcDateTime),
        sa.Column("filled_at", UtcDateTime),
    )
    op.create_index("slot_use_answered", "slot_use", ["account_id", "answered_at"])
    op.create_index("slot_use_filled", "slot_use", ["account_id", "filled_at"])
    op.create_index("slot_use_of_order", "slot_use", ["asset_order_id"])
    counts = op.create_table(
        "venue_count",
        sa.Column("account_id", sa.Integer, sa.ForeignKey("account.id"), primary_key=True),
        sa.Column("seconds", sa.Integer, primary_key=True),
        sa.Column("count", sa.Integer, nullable=False),
        sa.Column("counted_at", UtcDateTime, nullable=False),
    )
    rows = [
        {"account_id": row.account_id, "seconds": row.seconds, "count": row.used, "counted_at": row.window_start}
        for row in used.values()
    ]
    if rows:
        connection.execute(sa.insert(counts), rows)
    op.create_table(
        "pause",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("account_id", sa.Integer, sa.ForeignKey("account.id")),
        sa.Column("host", sa.String(255)),
        sa.Column("at", UtcDateTime, nullable=False),
        sa.Column("until", UtcDateTime, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
    )
    op.create_index("pause_until", "pause", ["until"])
    op.create_table(
        "weight_use",
        sa.Column("host", sa.String(255), primary_key=True),
        sa.Column("seconds", sa.Integer, primary_key=True),
        sa.Column("window_start", UtcDateTime, nullable=False),
        sa.Column("used", sa.Integer, nullable=False),
    )
    with op.batch_alter_table("asset_order") as table:
        table.add_column(sa.Column("kind", sa.String(10), nullable=False, server_default="ioc"))
        table.add_column(sa.Column("next_attempt_at", UtcDateTime))
    op.create_index("plan_unsettled", "plan", ["status"])
    op.create_index("index_order_of_index", "index_order", ["index_id", "status"])
    op.create_index("index_order_of_position", "index_order", ["position_id", "status"])
    _rank_lots(connection)
    held = sa.text("amount <> '0'")
    op.create_index("balance_held", "balance", ["account_id"], sqlite_where=held, postgresql_where=held)


def _rank_lots(connection: sa.Connection) -> None:
    op.add_column("lot", sa.Column("hifo_rank", sa.String(62)))
    lots = sa.table(
        "lot",
        *(sa.column(name) for name in ("id", "is_open", "hifo_rank")),
        *(sa.column(name, ExactDecimal) for name in ("open_quantity", "open_cost")),
    )
    with money_context():
        ranked = [
            {"of": row.id, "rank": hifo_rank(row.open_quantity, row.open_cost)}
            for row in connection.execute(sa.select(lots).where(lots.c.is_open == 1))
        ]
    if ranked:
        query = sa.update(lots).where(lots.c.id == sa.bindparam("of"))
        connection.execute(query.values(hifo_rank=sa.bindparam("rank")), ranked)
    op.drop_index("lot_open", "lot")
    op.create_index("lot_open", "lot", ["account_id", "account", "asset", "is_open", "id"])
    is_open = sa.text("is_open = 1")
    columns = ["account_id", "account", "asset", "hifo_rank", "id"]
    op.create_index("lot_dearest", "lot", columns, sqlite_where=is_open, postgresql_where=is_open)
