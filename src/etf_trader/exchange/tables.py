"""The tables of the exchange's own database."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    false,
)

from etf_trader.database import ExactDecimal, UtcDateTime

metadata = MetaData()

_Id = BigInteger().with_variant(Integer, "sqlite")

exchange = Table(
    "exchange",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("era", String(32), nullable=False),
    Column("clock", String(8), nullable=False),
    Column("time", UtcDateTime),
    Column("market", String(32), nullable=False),
    Column("parameters", Text, nullable=False),
    Column("start", UtcDateTime),
    Column("made", UtcDateTime, nullable=False),
    Column("credit_delay", Integer, nullable=False, server_default="0"),
)
"""One row: what the exchange was made with, and where a stepped clock stands."""

account = Table(
    "account",
    metadata,
    Column("name", String(64), primary_key=True),
    Column("opened", UtcDateTime, nullable=False),
    Column("bnb_burn", Boolean, nullable=False, server_default=false()),
)

balance = Table(
    "balance",
    metadata,
    Column("account", String(64), ForeignKey("account.name"), primary_key=True),
    Column("asset", String(32), primary_key=True),
    Column("free", ExactDecimal, nullable=False),
    Column("locked", ExactDecimal, nullable=False),
)

transfer = Table(
    "transfer",
    metadata,
    Column("sequence", _Id, primary_key=True, autoincrement=True),
    Column("account", String(64), ForeignKey("account.name"), nullable=False),
    Column("transfer_id", String(128), nullable=False),
    Column("kind", String(16), nullable=False),
    Column("asset", String(32), nullable=False),
    Column("amount", ExactDecimal, nullable=False),
    Column("at", UtcDateTime, nullable=False),
    UniqueConstraint("account", "transfer_id", name="transfer_once"),
)

orders = Table(
    "orders",
    metadata,
    Column("order_id", _Id, primary_key=True, autoincrement=False),
    Column("account", String(64), ForeignKey("account.name"), nullable=False),
    Column("symbol", String(32), nullable=False),
    Column("client_order_id", String(36), nullable=False),
    Column("side", String(4), nullable=False),
    Column("type", String(32), nullable=False),
    Column("time_in_force", String(3), nullable=False),
    Column("price", ExactDecimal, nullable=False),
    Column("quantity", ExactDecimal, nullable=False),
    Column("executed", ExactDecimal, nullable=False),
    Column("cumulative_quote", ExactDecimal, nullable=False),
    Column("ahead", ExactDecimal, nullable=False),
    Column("status", String(32), nullable=False),
    Column("is_open", Boolean, nullable=False),
    Column("expiry_reason", String(64)),
    Column("at", UtcDateTime, nullable=False),
    Column("updated", UtcDateTime, nullable=False),
    Column("prevented", ExactDecimal, nullable=False, server_default="0"),
    Column("self_trade_prevention", String(16), nullable=False, server_default="EXPIRE_MAKER"),
    Column("quote_quantity", ExactDecimal),
    Column("iceberg_quantity", ExactDecimal),
    Column("shown", ExactDecimal, nullable=False, server_default="0"),
    Column("place", BigInteger, nullable=False, server_default="0"),
    Column("stop_price", ExactDecimal),
    Column("trailing_delta", Integer),
    Column("trail", ExactDecimal),
    Column("reserve", ExactDecimal),
    Column("triggered_at", UtcDateTime),
    Column("cancel_id", String(36)),
    Index("orders_open", "is_open", "symbol"),
    Index("orders_client", "account", "client_order_id"),
    Index("orders_account", "account", "order_id"),
)
# A client order id is unique among open orders by a partial index, which stands in the migration alone:
# declared here it would load every database driver at each start.

trade = Table(
    "trade",
    metadata,
    Column("sequence", _Id, primary_key=True, autoincrement=True),
    Column("symbol", String(32), nullable=False),
    Column("trade_id", BigInteger, nullable=False),
    Column("order_id", _Id, ForeignKey("orders.order_id"), nullable=False),
    Column("account", String(64), nullable=False),
    Column("client_order_id", String(36), nullable=False),
    Column("side", String(4), nullable=False),
    Column("price", ExactDecimal, nullable=False),
    Column("quantity", ExactDecimal, nullable=False),
    Column("quote_quantity", ExactDecimal, nullable=False),
    Column("commission", ExactDecimal, nullable=False),
    Column("commission_asset", String(32), nullable=False),
    Column("is_maker", Boolean, nullable=False),
    Column("at", UtcDateTime, nullable=False),
    UniqueConstraint("symbol", "trade_id", "order_id", name="trade_once"),
    Index("trade_order", "order_id"),
    Index("trade_account", "account", "symbol", "trade_id"),
    Index("trade_tape", "symbol", "at"),
)
"""One row for each account's side of a trade; the market's own side has none."""

report = Table(
    "report",
    metadata,
    Column("sequence", _Id, primary_key=True, autoincrement=True),
    Column("account", String(64), nullable=False),
    Column("order_id", _Id, ForeignKey("orders.order_id"), nullable=False),
    Column("kind", String(16), nullable=False),
    Column("status", String(32), nullable=False),
    Column("executed", ExactDecimal, nullable=False),
    Column("cumulative_quote", ExactDecimal, nullable=False),
    Column("prevented", ExactDecimal, nullable=False),
    Column("expiry_reason", String(64)),
    Column("trade_id", BigInteger),
    Column("at", UtcDateTime, nullable=False),
    Column("triggered_at", UtcDateTime),
    Index("report_account", "account", "sequence"),
)
"""What happened to the orders, in the order in which it did: what a user stream tells."""

consumption = Table(
    "consumption",
    metadata,
    Column("symbol", String(32), primary_key=True),
    Column("side", String(3), primary_key=True),
    Column("price", ExactDecimal, primary_key=True),
    Column("quantity", ExactDecimal, nullable=False),
    Column("at", UtcDateTime, nullable=False),
)
"""How much of the market's level accounts had taken as of `at`; the market says what came back since."""

symbol_state = Table(
    "symbol_state",
    metadata,
    Column("symbol", String(32), primary_key=True),
    Column("changes", BigInteger, nullable=False),
    Column("last_trade_id", BigInteger, nullable=False),
    Column("status", String(16)),
)
"""How often accounts changed the book of a symbol, the last trade in it, and a status other than the market's."""

order_count = Table(
    "order_count",
    metadata,
    Column("account", String(64), ForeignKey("account.name"), primary_key=True),
    Column("seconds", Integer, primary_key=True),
    Column("window_start", UtcDateTime, nullable=False),
    Column("count", Integer, nullable=False),
)
"""Unfilled orders in the window of each limit that an account used last."""

credit = Table(
    "credit",
    metadata,
    Column("order_id", _Id, ForeignKey("orders.order_id"), primary_key=True, autoincrement=False),
    Column("account", String(64), nullable=False),
    Column("returned", Integer, nullable=False),
    Column("due", UtcDateTime, nullable=False),
    Index("credit_due", "account", "due"),
)
"""What first fills give back of the order count, until it shows there."""

api_key = Table(
    "api_key",
    metadata,
    Column("api_key", String(64), primary_key=True),
    Column("account", String(64), ForeignKey("account.name"), nullable=False),
    Column("kind", String(8), nullable=False),
    Column("secret", Text, nullable=False),
    Column("may_trade", Boolean, nullable=False),
    Column("may_withdraw", Boolean, nullable=False),
    Column("is_ip_restricted", Boolean, nullable=False),
    Column("made", UtcDateTime, nullable=False),
)
"""Who may act for an account over the wire: `secret` is the shared one (HMAC), or a public key (ED25519)."""
