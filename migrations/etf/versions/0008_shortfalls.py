"""What becomes of an order whose legs do not fill alike: orders of before are completed or traded back."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    op.add_column("index_order", sa.Column("on_shortfall", sa.String(8), nullable=False, server_default="retry"))
