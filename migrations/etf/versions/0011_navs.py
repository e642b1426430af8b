"""What a unit was worth, and the level of the index, over time."""

import sqlalchemy as sa
from alembic import op

from etf_trader.database import ExactDecimal, UtcDateTime

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    op.create_table(
        "nav",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("index_id", sa.Integer, sa.ForeignKey("index.id"), nullable=False),
        sa.Column("at", UtcDateTime, nullable=False),
        sa.Column("reason", sa.String(16), nullable=False),
        sa.Column("units", ExactDecimal, nullable=False),
        sa.Column("nav_per_unit", ExactDecimal, nullable=False),
        sa.Column("basket_version", sa.Integer, nullable=False),
        sa.Column("level", ExactDecimal),
        sa.Column("prices", sa.Text, nullable=False),
        sa.Column("seal", sa.String(64), nullable=False),
        sa.UniqueConstraint("index_id", "at", "reason", "units", "basket_version"),
    )
    op.create_table(
        "benchmark",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("index_id", sa.Integer, sa.ForeignKey("index.id"), nullable=False),
        sa.Column("effective_at", UtcDateTime, nullable=False),
        sa.Column("reason", sa.String(64), nullable=False),
        sa.Column("quantities", sa.Text, nullable=False),
        sa.Column("divisor", ExactDecimal, nullable=False),
        sa.Column("level", ExactDecimal, nullable=False),
        sa.Column("prices", sa.Text, nullable=False),
        sa.Column("seal", sa.String(64), nullable=False),
        sa.UniqueConstraint("index_id", "effective_at", "reason"),
    )
