"""Which limits an account has, and what keeps it from trading."""

from sqlalchemy import Column, ForeignKey, Index, Integer, String, Table, Text

from etf_trader.database import ExactDecimal, UtcDateTime, metadata

risk_limits = Table(
    "risk_limit",
    metadata,
    Column("account_id", ForeignKey("account.id"), primary_key=True),
    Column("name", String(32), primary_key=True),
    Column("value", ExactDecimal),  # null: off
    Column("set_at", UtcDateTime, nullable=False),
    Column("set_by", String(255), nullable=False),
)

halts = Table(
    "halt",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("account_id", ForeignKey("account.id"), nullable=False),
    Column("state", String(8), nullable=False),  # "halted" or "reducing"
    Column("cause", String(16), nullable=False),  # "operator", "reconcile", "daily_loss", ...
    Column("reason", Text, nullable=False),
    Column("at", UtcDateTime, nullable=False),
    Column("operator", String(255), nullable=False),  # who typed it; empty: the program itself
    Column("lifted_at", UtcDateTime),
    Column("lifted_by", String(255)),
    Index("halt_in_force", "account_id", "lifted_at"),
)
