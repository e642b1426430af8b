"""What happened to orders, in order; what orders of other types say; fees in BNB; statuses; late order counts."""

import sqlalchemy as sa
from alembic import op

from etf_trader.database import ExactDecimal, UtcDateTime

revision = "0002"
down_revision = "0001"

ID = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    op.add_column("exchange", sa.Column("credit_delay", sa.Integer, nullable=False, server_default="0"))
    op.add_column("orders", sa.Column("prevented", ExactDecimal, nullable=False, server_default="0"))
    op.add_column(
        "orders",
        sa.Column("self_trade_prevention", sa.String(16), nullable=False, server_default="EXPIRE_MAKER"),
    )
    for column in (
        sa.Column("quote_quantity", ExactDecimal),
        sa.Column("iceberg_quantity", ExactDecimal),
        sa.Column("shown", ExactDecimal, nullable=False, server_default="0"),
        sa.Column("place", sa.BigInteger, nullable=False, server_default="0"),
        sa.Column("stop_price", ExactDecimal),
        sa.Column("trailing_delta", sa.Integer),
        sa.Column("trail", ExactDecimal),
        sa.Column("reserve", ExactDecimal),
        sa.Column("triggered_at", UtcDateTime),
        sa.Column("cancel_id", sa.String(36)),
    ):
        op.add_column("orders", column)
    op.add_column("account", sa.Column("bnb_burn", sa.Boolean, nullable=False, server_default=sa.false()))
    op.add_column("symbol_state", sa.Column("status", sa.String(16)))
    op.create_index("trade_tape", "trade", ["symbol", "at"])
    op.create_table(
        "report",
        sa.Column("sequence", ID, primary_key=True, autoincrement=True),
        sa.Column("account", sa.String(64), nullable=False),
        sa.Column("order_id", ID, sa.ForeignKey("orders.order_id"), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("status", sa.String(32), nullable=False),
        sa.Column("executed", ExactDecimal, nullable=False),
        sa.Column("cumulative_quote", ExactDecimal, nullable=False),
        sa.Column("prevented", ExactDecimal, nullable=False),
        sa.Column("expiry_reason", sa.String(64)),
        sa.Column("trade_id", sa.BigInteger),
        sa.Column("at", UtcDateTime, nullable=False),
        sa.Column("triggered_at", UtcDateTime),
    )
    op.create_index("report_account", "report", ["account", "sequence"])
    op.create_table(
        "credit",
        sa.Column("order_id", ID, sa.ForeignKey("orders.order_id"), primary_key=True, autoincrement=False),
        sa.Column("account", sa.String(64), nullable=False),
        sa.Column("returned", sa.Integer, nullable=False),
        sa.Column("due", UtcDateTime, nullable=False),
    )
    op.create_index("credit_due", "credit", ["account", "due"])
    op.create_table(
        "api_key",
        sa.Column("api_key", sa.String(64), primary_key=True),
        sa.Column("account", sa.String(64), sa.ForeignKey("account.name"), nullable=False),
        sa.Column("kind", sa.String(8), nullable=False),
        sa.Column("secret", sa.Text, nullable=False),
        sa.Column("may_trade", sa.Boolean, nullable=False),
        sa.Column("may_withdraw", sa.Boolean, nullable=False),
        sa.Column("is_ip_restricted", sa.Boolean, nullable=False),
        sa.Column("made", UtcDateTime, nullable=False),
    )
