"""Risk limits, and whether an account may trade."""

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    pass
