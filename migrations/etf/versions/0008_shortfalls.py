"""What becomes of an order whose legs do not fill alike."""

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    pass
