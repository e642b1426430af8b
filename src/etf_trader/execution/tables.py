"""Who leads an account, and what is known of the venue's limits."""

from sqlalchemy import Column, ForeignKey, Index, Integer, String, Table, Text

from etf_trader.database import UtcDateTime, metadata

leases = Table(
    "lease",
    metadata,
    Column("account_id", ForeignKey("account.id"), primary_key=True),
    Column("epoch", Integer, nullable=False),  # grows with every take-over
    Column("host", String(255)),  # empty: nobody leads
    Column("process", Integer),
    Column("process_start", String(64)),
    Column("heartbeat_at", UtcDateTime),
)

slot_uses = Table(
    "slot_use",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("account_id", ForeignKey("account.id"), nullable=False),
    Column("asset_order_id", ForeignKey("asset_order.id"), nullable=False),
    Column("granted_at", UtcDateTime, nullable=False),  # all three by the venue's clock
    Column("answered_at", UtcDateTime),  # empty: it may reach the venue, or has, and we do not know
    Column("filled_at", UtcDateTime),  # its first fill: the venue gives the slot back
    Index("slot_use_answered", "account_id", "answered_at"),
    Index("slot_use_filled", "account_id", "filled_at"),
    Index("slot_use_of_order", "asset_order_id"),
)

venue_counts = Table(
    "venue_count",
    metadata,
    Column("account_id", ForeignKey("account.id"), primary_key=True),
    Column("seconds", Integer, primary_key=True),  # length of the venue's window
    Column("count", Integer, nullable=False),  # unfilled orders, as the venue told last
    Column("counted_at", UtcDateTime, nullable=False),  # by its clock
)

pauses = Table(
    "pause",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("account_id", ForeignKey("account.id")),  # who must not send; empty: the whole host
    Column("host", String(255)),
    Column("at", UtcDateTime, nullable=False),
    Column("until", UtcDateTime, nullable=False),
    Column("reason", Text, nullable=False),
    Index("pause_until", "until"),
)

weight_uses = Table(
    "weight_use",
    metadata,
    Column("host", String(255), primary_key=True),
    Column("seconds", Integer, primary_key=True),  # length of the venue's window
    Column("window_start", UtcDateTime, nullable=False),
    Column("used", Integer, nullable=False),
)
