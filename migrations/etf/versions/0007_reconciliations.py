"""Differences between the books and the venue until a person books them, and trades that came late."""

import sqlalchemy as sa
from alembic import op

from etf_trader.database import ExactDecimal, UtcDateTime

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    op.create_table(
        "difference",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("account_id", sa.Integer, sa.ForeignKey("account.id"), nullable=False),
        sa.Column("asset", sa.String(20), nullable=False),
        sa.Column("venue_quantity", ExactDecimal, nullable=False),
        sa.Column("books_quantity", ExactDecimal, nullable=False),
        sa.Column("difference", ExactDecimal, nullable=False),
        sa.Column("explanation", sa.Text, nullable=False),
        sa.Column("found_at", UtcDateTime, nullable=False),
        sa.Column("booked_at", UtcDateTime),
        sa.Column("booked_as", sa.String(16)),
        sa.Column("holder", sa.String(64)),
        sa.Column("operator", sa.String(255)),
        sa.Column("reason", sa.Text),
        sa.Column("transaction_key", sa.String(128)),
    )
    op.create_index("difference_open", "difference", ["account_id", "booked_at"])
    op.create_table(
        "unbooked_trade",
        sa.Column("account_id", sa.Integer, sa.ForeignKey("account.id"), primary_key=True),
        sa.Column("era", sa.String(64), primary_key=True),
        sa.Column("symbol", sa.String(20), primary_key=True),
        sa.Column("trade_id", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("venue_order_id", sa.BigInteger, nullable=False),
        sa.Column("client_order_id", sa.String(64), nullable=False),
        sa.Column("assets", sa.String(64), nullable=False),
        sa.Column("found_at", UtcDateTime, nullable=False),
        sa.Column("explained_at", UtcDateTime),
    )
    op.create_table(
        "late_fill",
        sa.Column("fill_id", sa.Integer, sa.ForeignKey("fill.id"), primary_key=True),
        sa.Column("asset_order_id", sa.Integer, sa.ForeignKey("asset_order.id"), nullable=False),
        sa.Column("found_at", UtcDateTime, nullable=False),
        sa.Column("seal", sa.String(64), nullable=False),
    )
    op.create_index("late_fill_of_asset_order", "late_fill", ["asset_order_id"])
