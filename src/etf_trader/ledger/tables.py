"""Accounts at venues, who holds what, and the chain of transactions."""

from sqlalchemy import BigInteger, Column, ForeignKey, Index, Integer, String, Table, Text, UniqueConstraint, text

from etf_trader.database import ExactDecimal, UtcDateTime, metadata

accounts = Table(
    "account",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("environment", String(16), nullable=False),
    Column("uid", String(64), nullable=False),
    Column("era", String(64), nullable=False),
    Column("transfers_seen", BigInteger().with_variant(Integer(), "sqlite"), nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    UniqueConstraint("environment", "uid"),
)

incarnations = Table(
    "incarnation",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("token", String(8), nullable=False, unique=True),
    Column("reason", String(16), nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
)

holders = Table(
    "holder",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("name", String(64), nullable=False, unique=True),
    Column("created_at", UtcDateTime, nullable=False),
)

transactions = Table(
    "transaction",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("account_id", ForeignKey("account.id"), nullable=False),
    Column("sequence", Integer, nullable=False),  # 1, 2, 3 ... within the account's chain
    Column("key", String(128), nullable=False),
    Column("kind", String(16), nullable=False),
    Column("at", UtcDateTime, nullable=False),
    Column("index_order_id", ForeignKey("index_order.id")),
    Column("narration", Text, nullable=False),
    Column("evidence", Text, nullable=False),  # canonical JSON: facts and lot moves
    Column("previous_hash", String(64), nullable=False),
    Column("hash", String(64), nullable=False),
    UniqueConstraint("account_id", "sequence"),
    UniqueConstraint("account_id", "key"),
    Index("transaction_of_order", "index_order_id"),
    Index("transaction_of_day", "account_id", "at"),
)

postings = Table(
    "posting",
    metadata,
    Column("transaction_id", ForeignKey("transaction.id"), primary_key=True),
    Column("line", Integer, primary_key=True),
    Column("account", String(80), nullable=False),
    Column("asset", String(20), nullable=False),
    Column("amount", ExactDecimal, nullable=False),
    Column("balance", ExactDecimal, nullable=False),  # of (account, asset) after this line
    Index("posting_of_account", "account"),
)

IS_HELD = text("amount <> '0'")
"""Of a balance: it is not zero. Most are, for good: of orders that have ended."""

balances = Table(
    "balance",
    metadata,
    Column("account_id", ForeignKey("account.id"), primary_key=True),
    Column("account", String(80), primary_key=True),
    Column("asset", String(20), primary_key=True),
    Column("amount", ExactDecimal, nullable=False),
    Index("balance_held", "account_id", sqlite_where=IS_HELD, postgresql_where=IS_HELD),
)

IS_OPEN = text("is_open = 1")
"""Of a lot: something is left of it. A literal, as an index over these rows alone needs it."""

lots = Table(
    "lot",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("account_id", ForeignKey("account.id"), nullable=False),
    Column("transaction_id", ForeignKey("transaction.id"), nullable=False),
    Column("account", String(80), nullable=False),
    Column("asset", String(20), nullable=False),
    Column("acquired_at", UtcDateTime, nullable=False),
    Column("quantity", ExactDecimal, nullable=False),  # as acquired
    Column("cost", ExactDecimal, nullable=False),  # as acquired, in quote, fee included
    Column("open_quantity", ExactDecimal, nullable=False),
    Column("open_cost", ExactDecimal, nullable=False),
    Column("is_open", Integer, nullable=False),
    Column("hifo_rank", String(62)),  # digits: those of dearer lots sort first; empty: closed
    # Ascending by id within: the order in which the oldest go, and backwards the newest.
    Index("lot_open", "account_id", "account", "asset", "is_open", "id"),
    Index(
        "lot_dearest",
        "account_id",
        "account",
        "asset",
        "hifo_rank",
        "id",
        sqlite_where=IS_OPEN,
        postgresql_where=IS_OPEN,
    ),
)

disposals = Table(
    "disposal",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("lot_id", ForeignKey("lot.id"), nullable=False),
    Column("transaction_id", ForeignKey("transaction.id"), nullable=False),
    Column("acquired_at", UtcDateTime, nullable=False),
    Column("disposed_at", UtcDateTime, nullable=False),
    Column("quantity", ExactDecimal, nullable=False),
    Column("proceeds", ExactDecimal, nullable=False),  # net of fee
    Column("cost", ExactDecimal, nullable=False),
    Column("fee", ExactDecimal, nullable=False),  # in quote; already out of proceeds
    Column("gain", ExactDecimal, nullable=False),
    Column("days_held", Integer, nullable=False),
)

fills = Table(
    "fill",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("account_id", ForeignKey("account.id"), nullable=False),
    Column("era", String(64), nullable=False),
    Column("symbol", String(20), nullable=False),
    Column("venue_order_id", BigInteger, nullable=False),
    Column("trade_id", BigInteger, nullable=False),
    Column("asset_order_id", ForeignKey("asset_order.id"), nullable=False),
    Column("side", String(4), nullable=False),
    Column("price", ExactDecimal, nullable=False),
    Column("quantity", ExactDecimal, nullable=False),  # gross, base
    Column("value", ExactDecimal, nullable=False),  # price x quantity, quote
    Column("fee", ExactDecimal, nullable=False),
    Column("fee_asset", String(20), nullable=False),
    Column("fee_value", ExactDecimal),  # quote, paid to the fee inventory; empty: the fee is base or quote
    Column("is_maker", Integer, nullable=False),
    Column("at", UtcDateTime, nullable=False),
    Column("seal", String(64), nullable=False),  # SHA-256 of everything above
    UniqueConstraint("account_id", "era", "symbol", "venue_order_id", "trade_id"),
    Index("fill_of_asset_order", "asset_order_id"),
    Index("fill_of_day", "account_id", "at"),
)

allocations = Table(
    "allocation",
    metadata,
    Column("fill_id", ForeignKey("fill.id"), primary_key=True),
    Column("index_order_id", ForeignKey("index_order.id"), primary_key=True),
    Column("quantity", ExactDecimal, nullable=False),
    Column("value", ExactDecimal, nullable=False),
    Column("fee", ExactDecimal, nullable=False),
    Column("fee_value", ExactDecimal),
    Column("seal", String(64), nullable=False),
)

late_fills = Table(
    "late_fill",  # fills found after their asset order's end had been sealed
    metadata,
    Column("fill_id", ForeignKey("fill.id"), primary_key=True),
    Column("asset_order_id", ForeignKey("asset_order.id"), nullable=False),
    Column("found_at", UtcDateTime, nullable=False),
    Column("seal", String(64), nullable=False),  # SHA-256 of the fill's seal and the columns above
    Index("late_fill_of_asset_order", "asset_order_id"),
)

differences = Table(
    "difference",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("account_id", ForeignKey("account.id"), nullable=False),
    Column("asset", String(20), nullable=False),
    Column("venue_quantity", ExactDecimal, nullable=False),
    Column("books_quantity", ExactDecimal, nullable=False),
    Column("difference", ExactDecimal, nullable=False),  # the venue less the books
    Column("explanation", Text, nullable=False),
    Column("found_at", UtcDateTime, nullable=False),
    Column("booked_at", UtcDateTime),  # empty: open
    Column("booked_as", String(16)),  # "deposit", ...; "gone" when it went away by itself
    Column("holder", String(64)),
    Column("operator", String(255)),
    Column("reason", Text),
    Column("transaction_key", String(128)),
    Index("difference_open", "account_id", "booked_at"),
)

unbooked_trades = Table(
    "unbooked_trade",  # trades at the venue that explain a difference and are not booked by themselves
    metadata,
    Column("account_id", ForeignKey("account.id"), primary_key=True),
    Column("era", String(64), primary_key=True),
    Column("symbol", String(20), primary_key=True),
    Column("trade_id", BigInteger, primary_key=True, autoincrement=False),
    Column("venue_order_id", BigInteger, nullable=False),
    Column("client_order_id", String(64), nullable=False),  # empty: the venue does not tell
    Column("assets", String(64), nullable=False),  # comma separated: what it moved
    Column("found_at", UtcDateTime, nullable=False),
    Column("explained_at", UtcDateTime),  # since when none of these assets differs: a person has answered for it
)
