"""Rebalances, what each of their legs did, and orders that live through one."""

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    pass
