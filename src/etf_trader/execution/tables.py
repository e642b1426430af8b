"""Who leads an account."""

from sqlalchemy import Column, ForeignKey, Integer, String, Table

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
