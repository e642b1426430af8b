"""Indices, orders, plans, the ledger and leases."""

import sqlalchemy as sa
from alembic import op

from etf_trader.database import ExactDecimal, UtcDateTime

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.create_table(
        "account",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("environment", sa.String(16), nullable=False),
        sa.Column("uid", sa.String(64), nullable=False),
        sa.Column("era", sa.String(64), nullable=False),
        sa.Column("transfers_seen", sa.Integer, nullable=False),
        sa.Column("created_at", UtcDateTime, nullable=False),
        sa.UniqueConstraint("environment", "uid"),
    )
    op.create_table(
        "event",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("at", UtcDateTime, nullable=False),
        sa.Column("kind", sa.String(64), nullable=False),
        sa.Column("document", sa.Text, nullable=False),
    )
    op.create_table(
        "holder",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("name", sa.String(64), nullable=False, unique=True),
        sa.Column("created_at", UtcDateTime, nullable=False),
    )
    op.create_table(
        "incarnation",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("token", sa.String(8), nullable=False, unique=True),
        sa.Column("reason", sa.String(16), nullable=False),
        sa.Column("created_at", UtcDateTime, nullable=False),
    )
    op.create_table(
        "balance",
        sa.Column("account_id", sa.Integer, sa.ForeignKey("account.id"), primary_key=True),
        sa.Column("account", sa.String(80), primary_key=True),
        sa.Column("asset", sa.String(20), primary_key=True),
        sa.Column("amount", ExactDecimal, nullable=False),
    )
    op.create_table(
        "index",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("account_id", sa.Integer, sa.ForeignKey("account.id"), nullable=False),
        sa.Column("symbol", sa.String(20), nullable=False, unique=True),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("quote", sa.String(20), nullable=False),
        sa.Column("start_value", ExactDecimal, nullable=False),
        sa.Column("lot_method", sa.String(8), nullable=False),
        sa.Column("status", sa.String(8), nullable=False),
        sa.Column("created_at", UtcDateTime, nullable=False),
    )
    op.create_table(
        "lease",
        sa.Column("account_id", sa.Integer, sa.ForeignKey("account.id"), primary_key=True),
        sa.Column("epoch", sa.Integer, nullable=False),
        sa.Column("host", sa.String(255)),
        sa.Column("process", sa.Integer),
        sa.Column("process_start", sa.String(64)),
        sa.Column("heartbeat_at", UtcDateTime),
    )
    op.create_table(
        "slot_use",
        sa.Column("account_id", sa.Integer, sa.ForeignKey("account.id"), primary_key=True),
        sa.Column("seconds", sa.Integer, primary_key=True),
        sa.Column("window_start", UtcDateTime, primary_key=True),
        sa.Column("used", sa.Integer, nullable=False),
    )
    op.create_table(
        "basket",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("index_id", sa.Integer, sa.ForeignKey("index.id"), nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("effective_at", UtcDateTime, nullable=False),
        sa.Column("cash_per_unit", ExactDecimal, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("seal", sa.String(64), nullable=False),
        sa.UniqueConstraint("index_id", "version"),
    )
    op.create_table(
        "methodology",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("index_id", sa.Integer, sa.ForeignKey("index.id"), nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("effective_at", UtcDateTime, nullable=False),
        sa.Column("document", sa.Text, nullable=False),
        sa.UniqueConstraint("index_id", "version"),
    )
    op.create_table(
        "position",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("index_id", sa.Integer, sa.ForeignKey("index.id"), nullable=False),
        sa.Column("holder_id", sa.Integer, sa.ForeignKey("holder.id"), nullable=False),
        sa.Column("opened_at", UtcDateTime, nullable=False),
        sa.Column("units", ExactDecimal, nullable=False),
        sa.Column("cost", ExactDecimal, nullable=False),
        sa.Column("seal", sa.String(64), nullable=False),
    )
    op.create_table(
        "basket_item",
        sa.Column("basket_id", sa.Integer, sa.ForeignKey("basket.id"), primary_key=True),
        sa.Column("asset", sa.String(20), primary_key=True),
        sa.Column("symbol", sa.String(20), nullable=False),
        sa.Column("quantity", ExactDecimal, nullable=False),
    )
    op.create_table(
        "index_order",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("account_id", sa.Integer, sa.ForeignKey("account.id"), nullable=False),
        sa.Column("index_id", sa.Integer, sa.ForeignKey("index.id"), nullable=False),
        sa.Column("position_id", sa.Integer, sa.ForeignKey("position.id"), nullable=False),
        sa.Column("client_key", sa.String(64), nullable=False, unique=True),
        sa.Column("request", sa.Text, nullable=False),
        sa.Column("side", sa.String(4), nullable=False),
        sa.Column("quantity", ExactDecimal, nullable=False),
        sa.Column("filled", ExactDecimal, nullable=False),
        sa.Column("limit_price", ExactDecimal),
        sa.Column("max_loss_bps", ExactDecimal),
        sa.Column("time_in_force", sa.String(16), nullable=False),
        sa.Column("expires_at", UtcDateTime),
        sa.Column("status", sa.String(12), nullable=False),
        sa.Column("stopped_by", sa.Text, nullable=False),
        sa.Column("cancel_requested_at", UtcDateTime),
        sa.Column("accepted_at", UtcDateTime, nullable=False),
        sa.Column("ended_at", UtcDateTime),
        sa.Column("arrival", sa.Text, nullable=False),
        sa.Column("arrival_nav", ExactDecimal, nullable=False),
        sa.Column("seal", sa.String(64), nullable=False),
    )
    op.create_index("index_order_open", "index_order", ["account_id", "status"])
    op.create_table(
        "plan",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("index_order_id", sa.Integer, sa.ForeignKey("index_order.id"), nullable=False),
        sa.Column("basket_id", sa.Integer, sa.ForeignKey("basket.id"), nullable=False),
        sa.Column("purpose", sa.String(8), nullable=False),
        sa.Column("status", sa.String(8), nullable=False),
        sa.Column("created_at", UtcDateTime, nullable=False),
        sa.Column("settled_at", UtcDateTime),
        sa.Column("units", ExactDecimal, nullable=False),
        sa.Column("method", sa.String(16), nullable=False),
        sa.Column("cost", ExactDecimal, nullable=False),
        sa.Column("bound", ExactDecimal, nullable=False),
        sa.Column("gap_bps", ExactDecimal, nullable=False),
        sa.Column("book_hash", sa.String(64), nullable=False),
        sa.Column("document", sa.Text, nullable=False),
        sa.Column("seal", sa.String(64), nullable=False),
    )
    op.create_index("plan_of_order", "plan", ["index_order_id"])
    op.create_table(
        "transaction",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("account_id", sa.Integer, sa.ForeignKey("account.id"), nullable=False),
        sa.Column("sequence", sa.Integer, nullable=False),
        sa.Column("key", sa.String(128), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("at", UtcDateTime, nullable=False),
        sa.Column("index_order_id", sa.Integer, sa.ForeignKey("index_order.id")),
        sa.Column("narration", sa.Text, nullable=False),
        sa.Column("evidence", sa.Text, nullable=False),
        sa.Column("previous_hash", sa.String(64), nullable=False),
        sa.Column("hash", sa.String(64), nullable=False),
        sa.UniqueConstraint("account_id", "sequence"),
        sa.UniqueConstraint("account_id", "key"),
    )
    op.create_index("transaction_of_order", "transaction", ["index_order_id"])
    op.create_table(
        "asset_order",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("plan_id", sa.Integer, sa.ForeignKey("plan.id"), nullable=False),
        sa.Column("index_order_id", sa.Integer, sa.ForeignKey("index_order.id"), nullable=False),
        sa.Column("client_order_id", sa.String(36), nullable=False, unique=True),
        sa.Column("asset", sa.String(20), nullable=False),
        sa.Column("symbol", sa.String(20), nullable=False),
        sa.Column("side", sa.String(4), nullable=False),
        sa.Column("quantity", ExactDecimal, nullable=False),
        sa.Column("price", ExactDecimal, nullable=False),
        sa.Column("arrival_mid", ExactDecimal, nullable=False),
        sa.Column("mid", ExactDecimal, nullable=False),
        sa.Column("touch", ExactDecimal, nullable=False),
        sa.Column("seal", sa.String(64), nullable=False),
        sa.Column("status", sa.String(10), nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("granted_at", UtcDateTime),
        sa.Column("venue_order_id", sa.BigInteger),
        sa.Column("executed_quantity", ExactDecimal, nullable=False),
        sa.Column("executed_value", ExactDecimal, nullable=False),
        sa.Column("reason", sa.Text),
        sa.Column("ended_at", UtcDateTime),
        sa.Column("end_seal", sa.String(64)),
    )
    op.create_index("asset_order_of_plan", "asset_order", ["plan_id"])
    op.create_index("asset_order_open", "asset_order", ["status"])
    op.create_table(
        "lot",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("account_id", sa.Integer, sa.ForeignKey("account.id"), nullable=False),
        sa.Column("transaction_id", sa.Integer, sa.ForeignKey("transaction.id"), nullable=False),
        sa.Column("account", sa.String(80), nullable=False),
        sa.Column("asset", sa.String(20), nullable=False),
        sa.Column("acquired_at", UtcDateTime, nullable=False),
        sa.Column("quantity", ExactDecimal, nullable=False),
        sa.Column("cost", ExactDecimal, nullable=False),
        sa.Column("open_quantity", ExactDecimal, nullable=False),
        sa.Column("open_cost", ExactDecimal, nullable=False),
        sa.Column("is_open", sa.Integer, nullable=False),
    )
    op.create_index("lot_open", "lot", ["account_id", "account", "asset", "is_open"])
    op.create_table(
        "posting",
        sa.Column("transaction_id", sa.Integer, sa.ForeignKey("transaction.id"), primary_key=True),
        sa.Column("line", sa.Integer, primary_key=True),
        sa.Column("account", sa.String(80), nullable=False),
        sa.Column("asset", sa.String(20), nullable=False),
        sa.Column("amount", ExactDecimal, nullable=False),
        sa.Column("balance", ExactDecimal, nullable=False),
    )
    op.create_table(
        "disposal",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("lot_id", sa.Integer, sa.ForeignKey("lot.id"), nullable=False),
        sa.Column("transaction_id", sa.Integer, sa.ForeignKey("transaction.id"), nullable=False),
        sa.Column("acquired_at", UtcDateTime, nullable=False),
        sa.Column("disposed_at", UtcDateTime, nullable=False),
        sa.Column("quantity", ExactDecimal, nullable=False),
        sa.Column("proceeds", ExactDecimal, nullable=False),
        sa.Column("cost", ExactDecimal, nullable=False),
        sa.Column("fee", ExactDecimal, nullable=False),
        sa.Column("gain", ExactDecimal, nullable=False),
        sa.Column("days_held", sa.Integer, nullable=False),
    )
    op.create_table(
        "fill",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("account_id", sa.Integer, sa.ForeignKey("account.id"), nullable=False),
        sa.Column("era", sa.String(64), nullable=False),
        sa.Column("symbol", sa.String(20), nullable=False),
        sa.Column("venue_order_id", sa.BigInteger, nullable=False),
        sa.Column("trade_id", sa.BigInteger, nullable=False),
        sa.Column("asset_order_id", sa.Integer, sa.ForeignKey("asset_order.id"), nullable=False),
        sa.Column("side", sa.String(4), nullable=False),
        sa.Column("price", ExactDecimal, nullable=False),
        sa.Column("quantity", ExactDecimal, nullable=False),
        sa.Column("value", ExactDecimal, nullable=False),
        sa.Column("fee", ExactDecimal, nullable=False),
        sa.Column("fee_asset", sa.String(20), nullable=False),
        sa.Column("is_maker", sa.Integer, nullable=False),
        sa.Column("at", UtcDateTime, nullable=False),
        sa.Column("seal", sa.String(64), nullable=False),
        sa.UniqueConstraint("account_id", "era", "symbol", "venue_order_id", "trade_id"),
    )
    op.create_index("fill_of_asset_order", "fill", ["asset_order_id"])
    op.create_table(
        "allocation",
        sa.Column("fill_id", sa.Integer, sa.ForeignKey("fill.id"), primary_key=True),
        sa.Column("index_order_id", sa.Integer, sa.ForeignKey("index_order.id"), primary_key=True),
        sa.Column("quantity", ExactDecimal, nullable=False),
        sa.Column("value", ExactDecimal, nullable=False),
        sa.Column("fee", ExactDecimal, nullable=False),
        sa.Column("seal", sa.String(64), nullable=False),
    )
