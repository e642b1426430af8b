"""Asset orders are shared by index orders: every one so far is its index order's alone."""

import hashlib
import json

import sqlalchemy as sa
from alembic import op

from etf_trader.database import ExactDecimal
from etf_trader.money import plain

revision = "0003"
down_revision = "0002"

COLUMNS = ("index_order_id", "plan_id")


def upgrade() -> None:
    op.create_table(
        "share",
        sa.Column("asset_order_id", sa.Integer, sa.ForeignKey("asset_order.id"), primary_key=True),
        sa.Column("index_order_id", sa.Integer, sa.ForeignKey("index_order.id"), primary_key=True),
        sa.Column("plan_id", sa.Integer, sa.ForeignKey("plan.id"), nullable=False),
        sa.Column("slices", sa.Text, nullable=False),
        sa.Column("seal", sa.String(64), nullable=False),
    )
    op.create_index("share_of_plan", "share", ["plan_id"])
    op.create_index("share_of_order", "share", ["index_order_id"])
    op.create_index("posting_of_account", "posting", ["account"])
    connection = op.get_bind()
    share = sa.table("share", *(sa.column(name) for name in ("asset_order_id", *COLUMNS, "slices", "seal")))
    sent = sa.table(
        "asset_order",
        *(sa.column(name) for name in ("id", "client_order_id", *COLUMNS)),
        *(sa.column(name, ExactDecimal) for name in ("quantity", "price")),
    )
    rows = [_whole(row) for row in connection.execute(sa.select(sent).order_by(sent.c.id))]
    if rows:
        connection.execute(sa.insert(share), rows)


def _whole(row):
    """Return the one share of an order that was sent for one index order."""
    slices = [[plain(row.quantity), plain(row.price)]]
    facts = {
        "client_order_id": row.client_order_id,
        "plan": row.plan_id,
        "order": row.index_order_id,
        "slices": slices,
    }
    return {
        "asset_order_id": row.id,
        "index_order_id": row.index_order_id,
        "plan_id": row.plan_id,
        "slices": _text(slices),
        "seal": hashlib.sha256(f"etf.share/1\n{_text(facts)}".encode()).hexdigest(),
    }


def _text(facts):
    return json.dumps(facts, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
