"""Room for a venue that numbers transfers by its time, and what fees in another asset cost the orders."""

import sqlalchemy as sa
from alembic import op

from etf_trader.database import ExactDecimal

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    if op.get_bind().dialect.name != "sqlite":  # whose integers have room already
        op.alter_column("account", "transfers_seen", type_=sa.BigInteger(), existing_nullable=False)
    for table in ("fill", "allocation"):
        op.add_column(table, sa.Column("fee_value", ExactDecimal))
