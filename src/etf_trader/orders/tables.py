"""Index orders, the plans made for them, and the asset orders sent."""

from sqlalchemy import (
    BigInteger,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    String,
    Table,
    Text,
    UniqueConstraint,
)

from etf_trader.database import ExactDecimal, UtcDateTime, metadata

index_orders = Table(
    "index_order",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("account_id", ForeignKey("account.id"), nullable=False),
    Column("index_id", ForeignKey("index.id"), nullable=False),
    Column("kind", String(10), nullable=False, server_default="units"),  # "units" or "rebalance"
    Column("position_id", ForeignKey("position.id")),  # empty: a rebalance, which is everybody's
    Column("client_key", String(64), nullable=False, unique=True),
    Column("request", Text, nullable=False),  # canonical text of what was asked, to recognise a repetition
    Column("side", String(4), nullable=False),
    Column("quantity", ExactDecimal, nullable=False),
    Column("filled", ExactDecimal, nullable=False),
    Column("limit_price", ExactDecimal),
    Column("max_loss_bps", ExactDecimal),
    Column("time_in_force", String(16), nullable=False),
    Column("expires_at", UtcDateTime),
    Column("on_shortfall", String(8), nullable=False, server_default="retry"),  # "retry", "unwind" or "hold"
    Column("status", String(12), nullable=False),
    Column("stopped_by", Text, nullable=False),  # comma separated
    Column("cancel_requested_at", UtcDateTime),
    Column("accepted_at", UtcDateTime, nullable=False),
    Column("ended_at", UtcDateTime),
    Column("arrival", Text, nullable=False),  # canonical JSON: asset -> mid
    Column("arrival_nav", ExactDecimal, nullable=False),
    Column("schedule", Text),  # canonical JSON of an order over time
    Column("seal", String(64), nullable=False),  # SHA-256 of what was accepted
    Column("entered", Text),  # canonical JSON: mids of what has entered the basket since, by asset
    Column("entered_seal", String(64)),
    Index("index_order_open", "account_id", "status"),
    Index("index_order_of_index", "index_id", "status"),
    Index("index_order_of_position", "position_id", "status"),
)

plans = Table(
    "plan",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("index_order_id", ForeignKey("index_order.id"), nullable=False),
    Column("basket_id", ForeignKey("basket.id"), nullable=False),
    Column("purpose", String(8), nullable=False),  # trade, convert, unwind or quote
    Column("status", String(8), nullable=False),  # "written" or "settled"
    Column("created_at", UtcDateTime, nullable=False),
    Column("settled_at", UtcDateTime),
    Column("units", ExactDecimal, nullable=False),
    Column("method", String(16), nullable=False),
    Column("cost", ExactDecimal, nullable=False),
    Column("bound", ExactDecimal, nullable=False),
    Column("gap_bps", ExactDecimal, nullable=False),
    Column("book_hash", String(64), nullable=False),
    Column("document", Text, nullable=False),  # the plan object, canonical JSON
    Column("seal", String(64), nullable=False),  # SHA-256 of the document and the columns above it
    Index("plan_of_order", "index_order_id"),
    Index("plan_unsettled", "status"),
)

markets = Table(
    "market",
    metadata,
    Column("hash", String(64), primary_key=True),  # `book_hash` of the plans made on it
    Column("document", LargeBinary, nullable=False),  # books and rules, canonical JSON, compressed by zlib
)

asset_orders = Table(
    "asset_order",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("plan_id", ForeignKey("plan.id"), nullable=False),
    Column("index_order_id", ForeignKey("index_order.id"), nullable=False),
    Column("client_order_id", String(36), nullable=False, unique=True),
    Column("asset", String(20), nullable=False),
    Column("symbol", String(20), nullable=False),
    Column("side", String(4), nullable=False),
    Column("quantity", ExactDecimal, nullable=False),
    Column("price", ExactDecimal, nullable=False),
    Column("arrival_mid", ExactDecimal, nullable=False),
    Column("mid", ExactDecimal, nullable=False),
    Column("touch", ExactDecimal, nullable=False),
    Column("seal", String(64), nullable=False),  # SHA-256 of the intent: everything above
    Column("kind", String(10), nullable=False, server_default="ioc"),
    Column("status", String(10), nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("next_attempt_at", UtcDateTime),  # not before; empty: at once
    Column("granted_at", UtcDateTime),
    Column("venue_order_id", BigInteger),
    Column("executed_quantity", ExactDecimal, nullable=False),
    Column("executed_value", ExactDecimal, nullable=False),
    Column("reason", Text),
    Column("ended_at", UtcDateTime),
    Column("end_seal", String(64)),  # SHA-256 of what became of it, once that is final
    Index("asset_order_of_plan", "plan_id"),
    Index("asset_order_open", "status"),
)

shares = Table(
    "share",
    metadata,
    Column("asset_order_id", ForeignKey("asset_order.id"), primary_key=True),
    Column("index_order_id", ForeignKey("index_order.id"), primary_key=True),
    Column("plan_id", ForeignKey("plan.id"), nullable=False),
    Column("slices", Text, nullable=False),  # canonical JSON: [[quantity, last price], ...]
    Column("seal", String(64), nullable=False),  # SHA-256 of everything above
    Index("share_of_plan", "plan_id"),
    Index("share_of_order", "index_order_id"),
)

rebalances = Table(
    "rebalance",  # beside its row in index_order, by which it is queued, followed and cancelled
    metadata,
    Column("index_order_id", ForeignKey("index_order.id"), primary_key=True),
    Column("index_id", ForeignKey("index.id"), nullable=False),
    Column("due_on", String(10), nullable=False),  # the day it stands for, UTC: 2026-11-01
    Column("is_forced", Integer, nullable=False),
    Column("holder", String(64), nullable=False),  # the owner: whose the float is
    Column("rulebook", Integer, nullable=False),  # version
    Column("basket", Integer, nullable=False),  # version that it began with
    Column("units", ExactDecimal, nullable=False),
    Column("nav", ExactDecimal, nullable=False),  # of all units, at arrival mids
    Column("scale", ExactDecimal, nullable=False),  # what a turnover cap lets happen of each trade
    Column("reserve", ExactDecimal, nullable=False),  # of NAV, kept in cash
    Column("price_bps", ExactDecimal),  # what being off target costs; empty: targets are exact
    Column("determination", Text, nullable=False),  # canonical JSON: who is in, and why
    Column("seal", String(64), nullable=False),  # SHA-256 of everything above
    UniqueConstraint("index_id", "due_on"),
)

rebalance_legs = Table(
    "rebalance_leg",
    metadata,
    Column("index_order_id", ForeignKey("rebalance.index_order_id"), primary_key=True),
    Column("asset", String(20), primary_key=True),
    Column("symbol", String(20), nullable=False),
    Column("weight", ExactDecimal, nullable=False),  # fractions of NAV, at arrival mids
    Column("target", ExactDecimal, nullable=False),
    Column("width", ExactDecimal, nullable=False),  # of its band
    Column("aim", ExactDecimal),  # where it is brought; empty: left alone
    Column("part", ExactDecimal),  # of what trades and the cash, wanted afterwards; empty: left alone
    Column("holding", ExactDecimal, nullable=False),  # in base, before
    Column("side", String(4)),  # of the first plan; empty: it trades nothing
    Column("quantity", ExactDecimal, nullable=False),  # of the first plan, gross of fee, in base
    Column("price", ExactDecimal, nullable=False),  # its average; 0: it trades nothing
    Column("cost", ExactDecimal, nullable=False),  # of the first plan, in quote
    Column("why_skipped", String(24)),
)
