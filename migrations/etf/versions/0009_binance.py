"""Transfers of a venue are numbered by its time, which a server's integers do not hold."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    if op.get_bind().dialect.name != "sqlite":  # whose integers have room already
        op.alter_column("account", "transfers_seen", type_=sa.BigInteger(), existing_nullable=False)
