"""Accounts, balances, transfers, orders, trades, and what was taken from the market."""

import sqlalchemy as sa
from alembic import op

from etf_trader.database import ExactDecimal, UtcDateTime

revision = "0001"
down_revision = None

ID = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    op.create_table(
        "exchange",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("era", sa.String(32), nullable=False),
        sa.Column("clock", sa.String(8), nullable=False),
        sa.Column("time", UtcDateTime),
        sa.Column("market", sa.String(32), nullable=False),
        sa.Column("parameters", sa.Text, nullable=False),
        sa.Column("start", UtcDateTime),
        sa.Column("made", UtcDateTime, nullable=False),
    )
    op.create_table(
        "account",
        sa.Column("name", sa.String(64), primary_key=True),
        sa.Column("opened", UtcDateTime, nullable=False),
    )
    op.create_table(
        "balance",
        sa.Column("account", sa.String(64), sa.ForeignKey("account.name"), primary_key=True),
        sa.Column("asset", sa.String(32), primary_key=True),
        sa.Column("free", ExactDecimal, nullable=False),
        sa.Column("locked", ExactDecimal, nullable=False),
    )
    op.create_table(
        "transfer",
        sa.Column("sequence", ID, primary_key=True, autoincrement=True),
        sa.Column("account", sa.String(64), sa.ForeignKey("account.name"), nullable=False),
        sa.Column("transfer_id", sa.String(128), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("asset", sa.String(32), nullable=False),
        sa.Column("amount", ExactDecimal, nullable=False),
        sa.Column("at", UtcDateTime, nullable=False),
        sa.UniqueConstraint("account", "transfer_id", name="transfer_once"),
    )
    op.create_table(
        "orders",
        sa.Column("order_id", ID, primary_key=True, autoincrement=False),
        sa.Column("account", sa.String(64), sa.ForeignKey("account.name"), nullable=False),
        sa.Column("symbol", sa.String(32), nullable=False),
        sa.Column("client_order_id", sa.String(36), nullable=False),
        sa.Column("side", sa.String(4), nullable=False),
        sa.Column("type", sa.String(32), nullable=False),
        sa.Column("time_in_force", sa.String(3), nullable=False),
        sa.Column("price", ExactDecimal, nullable=False),
        sa.Column("quantity", ExactDecimal, nullable=False),
        sa.Column("executed", ExactDecimal, nullable=False),
        sa.Column("cumulative_quote", ExactDecimal, nullable=False),
        sa.Column("ahead", ExactDecimal, nullable=False),
        sa.Column("status", sa.String(32), nullable=False),
        sa.Column("is_open", sa.Boolean, nullable=False),
        sa.Column("expiry_reason", sa.String(64)),
        sa.Column("at", UtcDateTime, nullable=False),
        sa.Column("updated", UtcDateTime, nullable=False),
    )
    op.create_index("orders_open", "orders", ["is_open", "symbol"])
    op.create_index("orders_client", "orders", ["account", "client_order_id"])
    op.create_index("orders_account", "orders", ["account", "order_id"])
    op.create_index(
        "orders_client_open",
        "orders",
        ["account", "client_order_id"],
        unique=True,
        sqlite_where=sa.text("is_open"),
        postgresql_where=sa.text("is_open"),
    )
    op.create_table(
        "trade",
        sa.Column("sequence", ID, primary_key=True, autoincrement=True),
        sa.Column("symbol", sa.String(32), nullable=False),
        sa.Column("trade_id", sa.BigInteger, nullable=False),
        sa.Column("order_id", ID, sa.ForeignKey("orders.order_id"), nullable=False),
        sa.Column("account", sa.String(64), nullable=False),
        sa.Column("client_order_id", sa.String(36), nullable=False),
        sa.Column("side", sa.String(4), nullable=False),
        sa.Column("price", ExactDecimal, nullable=False),
        sa.Column("quantity", ExactDecimal, nullable=False),
        sa.Column("quote_quantity", ExactDecimal, nullable=False),
        sa.Column("commission", ExactDecimal, nullable=False),
        sa.Column("commission_asset", sa.String(32), nullable=False),
        sa.Column("is_maker", sa.Boolean, nullable=False),
        sa.Column("at", UtcDateTime, nullable=False),
        sa.UniqueConstraint("symbol", "trade_id", "order_id", name="trade_once"),
    )
    op.create_index("trade_order", "trade", ["order_id"])
    op.create_index("trade_account", "trade", ["account", "symbol", "trade_id"])
    op.create_table(
        "consumption",
        sa.Column("symbol", sa.String(32), primary_key=True),
        sa.Column("side", sa.String(3), primary_key=True),
        sa.Column("price", ExactDecimal, primary_key=True),
        sa.Column("quantity", ExactDecimal, nullable=False),
        sa.Column("at", UtcDateTime, nullable=False),
    )
    op.create_table(
        "symbol_state",
        sa.Column("symbol", sa.String(32), primary_key=True),
        sa.Column("changes", sa.BigInteger, nullable=False),
        sa.Column("last_trade_id", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "order_count",
        sa.Column("account", sa.String(64), sa.ForeignKey("account.name"), primary_key=True),
        sa.Column("seconds", sa.Integer, primary_key=True),
        sa.Column("window_start", UtcDateTime, nullable=False),
        sa.Column("count", sa.Integer, nullable=False),
    )
