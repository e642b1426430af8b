"""Indices, their baskets by version, and positions in them."""

from sqlalchemy import Column, ForeignKey, Integer, String, Table, Text, UniqueConstraint

from etf_trader.database import ExactDecimal, UtcDateTime, metadata

indices = Table(
    "index",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("account_id", ForeignKey("account.id"), nullable=False),
    Column("symbol", String(20), nullable=False, unique=True),
    Column("name", Text, nullable=False),
    Column("quote", String(20), nullable=False),
    Column("start_value", ExactDecimal, nullable=False),
    Column("lot_method", String(8), nullable=False),
    Column("status", String(8), nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
)

methodologies = Table(
    "methodology",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("index_id", ForeignKey("index.id"), nullable=False),
    Column("version", Integer, nullable=False),
    Column("effective_at", UtcDateTime, nullable=False),
    Column("document", Text, nullable=False),  # the index file as canonical JSON
    UniqueConstraint("index_id", "version"),
)

baskets = Table(
    "basket",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("index_id", ForeignKey("index.id"), nullable=False),
    Column("version", Integer, nullable=False),
    Column("effective_at", UtcDateTime, nullable=False),
    Column("cash_per_unit", ExactDecimal, nullable=False),
    Column("reason", Text, nullable=False),
    Column("seal", String(64), nullable=False),  # SHA-256 of the basket and its items
    UniqueConstraint("index_id", "version"),
)

basket_items = Table(
    "basket_item",
    metadata,
    Column("basket_id", ForeignKey("basket.id"), primary_key=True),
    Column("asset", String(20), primary_key=True),
    Column("symbol", String(20), nullable=False),
    Column("quantity", ExactDecimal, nullable=False),
)

fee_accruals = Table(
    "fee_accrual",  # of every index that has, or had, a management fee
    metadata,
    Column("index_id", ForeignKey("index.id"), primary_key=True),
    Column("accrued_until", UtcDateTime, nullable=False),
    Column("owed", Text, nullable=False),  # canonical JSON: less than a step of the grid a unit, by asset
    Column("seal", String(64), nullable=False),  # SHA-256 of everything above
)

marks = Table(
    "mark",  # a price that a person set for an asset without a market
    metadata,
    Column("id", Integer, primary_key=True),
    Column("index_id", ForeignKey("index.id"), nullable=False),
    Column("asset", String(20), nullable=False),
    Column("price", ExactDecimal, nullable=False),
    Column("operator", String(255), nullable=False),
    Column("reason", Text, nullable=False),
    Column("is_forced", Integer, nullable=False),  # it counts beside a live book, too
    Column("set_at", UtcDateTime, nullable=False),
    Column("seal", String(64), nullable=False),  # SHA-256 of everything above
    Column("removed_at", UtcDateTime),
    Column("removed_by", String(255)),
)

positions = Table(
    "position",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("index_id", ForeignKey("index.id"), nullable=False),
    Column("holder_id", ForeignKey("holder.id"), nullable=False),
    Column("opened_at", UtcDateTime, nullable=False),
    Column("units", ExactDecimal, nullable=False),  # reserved for open sells included
    Column("cost", ExactDecimal, nullable=False),  # of the units held, loss included
    Column("seal", String(64), nullable=False),  # SHA-256 of whose it is, of what, and since when
)

navs = Table(
    "nav",  # what a unit was worth, on every trade and whenever it was recorded
    metadata,
    Column("id", Integer, primary_key=True),
    Column("index_id", ForeignKey("index.id"), nullable=False),
    Column("at", UtcDateTime, nullable=False),
    Column("reason", String(16), nullable=False),  # trade, rebalance, record or fee
    Column("units", ExactDecimal, nullable=False),  # outstanding then
    Column("nav_per_unit", ExactDecimal, nullable=False),
    Column("basket_version", Integer, nullable=False),
    Column("level", ExactDecimal),  # of the index; empty: it has none, or a price was missing
    Column("prices", Text, nullable=False),  # canonical JSON: price, source and time by asset
    Column("seal", String(64), nullable=False),  # SHA-256 of everything above
    UniqueConstraint("index_id", "at", "reason", "units", "basket_version"),
)

benchmarks = Table(
    "benchmark",  # the index that the fund follows, from one change of it to the next
    metadata,
    Column("id", Integer, primary_key=True),
    Column("index_id", ForeignKey("index.id"), nullable=False),
    Column("effective_at", UtcDateTime, nullable=False),
    Column("reason", String(64), nullable=False),
    Column("quantities", Text, nullable=False),  # canonical JSON: quantity by asset
    Column("divisor", ExactDecimal, nullable=False),
    Column("level", ExactDecimal, nullable=False),  # at the fixing: before the change and after it
    Column("prices", Text, nullable=False),  # the fixing, as canonical JSON
    Column("seal", String(64), nullable=False),  # SHA-256 of everything above
    UniqueConstraint("index_id", "effective_at", "reason"),
)
