"""What is done to a basket between rebalances: fees in kind, marks, swaps."""

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    pass
