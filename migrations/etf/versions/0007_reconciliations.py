"""Differences between the books and the venue, until a person books them."""

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    pass
