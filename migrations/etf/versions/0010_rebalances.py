"""Rebalances, and what each of their legs was to do. An order that is one belongs to no position."""

import sqlalchemy as sa
from alembic import op

from etf_trader.database import ExactDecimal

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    with op.batch_alter_table("index_order") as batch:
        batch.add_column(sa.Column("kind", sa.String(10), nullable=False, server_default="units"))
        batch.add_column(sa.Column("entered", sa.Text))
        batch.add_column(sa.Column("entered_seal", sa.String(64)))
        batch.alter_column("position_id", existing_type=sa.Integer(), nullable=True)
    op.create_table(
        "rebalance",
        sa.Column("index_order_id", sa.Integer, sa.ForeignKey("index_order.id"), primary_key=True),
        sa.Column("index_id", sa.Integer, sa.ForeignKey("index.id"), nullable=False),
        sa.Column("due_on", sa.String(10), nullable=False),
        sa.Column("is_forced", sa.Integer, nullable=False),
        sa.Column("holder", sa.String(64), nullable=False),
        sa.Column("rulebook", sa.Integer, nullable=False),
        sa.Column("basket", sa.Integer, nullable=False),
        sa.Column("units", ExactDecimal, nullable=False),
        sa.Column("nav", ExactDecimal, nullable=False),
        sa.Column("scale", ExactDecimal, nullable=False),
        sa.Column("reserve", ExactDecimal, nullable=False),
        sa.Column("price_bps", ExactDecimal),
        sa.Column("determination", sa.Text, nullable=False),
        sa.Column("seal", sa.String(64), nullable=False),
        sa.UniqueConstraint("index_id", "due_on"),
    )
    op.create_table(
        "rebalance_leg",
        sa.Column("index_order_id", sa.Integer, sa.ForeignKey("rebalance.index_order_id"), primary_key=True),
        sa.Column("asset", sa.String(20), primary_key=True),
        sa.Column("symbol", sa.String(20), nullable=False),
        sa.Column("weight", ExactDecimal, nullable=False),
        sa.Column("target", ExactDecimal, nullable=False),
        sa.Column("width", ExactDecimal, nullable=False),
        sa.Column("aim", ExactDecimal),
        sa.Column("part", ExactDecimal),
        sa.Column("holding", ExactDecimal, nullable=False),
        sa.Column("side", sa.String(4)),
        sa.Column("quantity", ExactDecimal, nullable=False),
        sa.Column("price", ExactDecimal, nullable=False),
        sa.Column("cost", ExactDecimal, nullable=False),
        sa.Column("why_skipped", sa.String(24)),
    )
