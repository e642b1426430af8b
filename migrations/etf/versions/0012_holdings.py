"""What is done to a basket between rebalances: fees in kind, marks, swaps."""

import sqlalchemy as sa
from alembic import op

from etf_trader.database import ExactDecimal, UtcDateTime

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    op.create_table(
        "fee_accrual",
        sa.Column("index_id", sa.Integer, sa.ForeignKey("index.id"), primary_key=True),
        sa.Column("accrued_until", UtcDateTime, nullable=False),
        sa.Column("owed", sa.Text, nullable=False),
        sa.Column("seal", sa.String(64), nullable=False),
    )
    op.create_table(
        "mark",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("index_id", sa.Integer, sa.ForeignKey("index.id"), nullable=False),
        sa.Column("asset", sa.String(20), nullable=False),
        sa.Column("price", ExactDecimal, nullable=False),
        sa.Column("operator", sa.String(255), nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("is_forced", sa.Integer, nullable=False),
        sa.Column("set_at", UtcDateTime, nullable=False),
        sa.Column("seal", sa.String(64), nullable=False),
        sa.Column("removed_at", UtcDateTime),
        sa.Column("removed_by", sa.String(255)),
    )
