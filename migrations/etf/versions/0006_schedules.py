"""Orders over time keep their schedule."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    op.add_column("index_order", sa.Column("schedule", sa.Text))
