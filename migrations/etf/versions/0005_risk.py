"""Risk limits, and whether an account may trade."""

import sqlalchemy as sa
from alembic import op

from etf_trader.database import ExactDecimal, UtcDateTime

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    op.create_table(
        "risk_limit",
        sa.Column("account_id", sa.Integer, sa.ForeignKey("account.id"), primary_key=True),
        sa.Column("name", sa.String(32), primary_key=True),
        sa.Column("value", ExactDecimal),
        sa.Column("set_at", UtcDateTime, nullable=False),
        sa.Column("set_by", sa.String(255), nullable=False),
    )
    op.create_table(
        "halt",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("account_id", sa.Integer, sa.ForeignKey("account.id"), nullable=False),
        sa.Column("state", sa.String(8), nullable=False),
        sa.Column("cause", sa.String(16), nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("at", UtcDateTime, nullable=False),
        sa.Column("operator", sa.String(255), nullable=False),
        sa.Column("lifted_at", UtcDateTime),
        sa.Column("lifted_by", sa.String(255)),
    )
    op.create_index("halt_in_force", "halt", ["account_id", "lifted_at"])
    # What the orders of a day lost is asked for before each batch.
    op.create_index("fill_of_day", "fill", ["account_id", "at"])
    op.create_index("transaction_of_day", "transaction", ["account_id", "at"])
