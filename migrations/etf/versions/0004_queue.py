"""The order queue: what is sent when, the venue's own counts, and pauses."""

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    pass
