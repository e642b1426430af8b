"""What a unit was worth, and the level of the index, over time."""

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    pass
