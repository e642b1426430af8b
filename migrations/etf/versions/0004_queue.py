"""The order queue: what is sent when, which slots it took, the venue's own counts, and pauses."""

import sqlalchemy as sa
from alembic import op

from etf_trader.database import UtcDateTime

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
