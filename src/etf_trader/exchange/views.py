"""What the exchange is asked, and what it shows: frozen records in Binance's words."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, NamedTuple

from etf_trader.exchange.market import Depth
from etf_trader.exchange.refusal import ExchangeError


@dataclass(frozen=True, slots=True)
class ExchangeSettings:
    """What an exchange is made with, once; kept in its database.

    `clock` is "wall" or "stepped"; `market` the kind of market and `parameters`
    what it is made from again (anything that JSON can carry); `start` is where a
    stepped clock begins, the market's own start when None. What a first fill gives
    back of the order count shows after 0 to `credit_delay` milliseconds.
    """

    clock: str
    market: str
    parameters: Mapping[str, Any]
    start: datetime | None = None
    credit_delay: int = 0


@dataclass(frozen=True, slots=True)
class OrderRequest:
    """A new order as a client sends it.

    Quantities are base units, `quote_quantity` quote, prices quote per base, and
    `trailing_delta` bps. `timestamp` is when the client signed it and `recv_window`
    for how many seconds it may be taken. Without a `self_trade_prevention` mode the
    symbol's own holds.
    """

    symbol: str
    side: str
    type: str
    time_in_force: str | None
    quantity: Decimal | None
    price: Decimal | None
    client_order_id: str
    timestamp: datetime
    recv_window: float = 5
    quote_quantity: Decimal | None = None
    stop_price: Decimal | None = None
    iceberg_quantity: Decimal | None = None
    self_trade_prevention: str | None = None
    trailing_delta: int | None = None


@dataclass(frozen=True, slots=True)
class TradeView:
    """One side of one trade; `commission` is not negative, in `commission_asset`: what was received, or BNB."""

    symbol: str
    trade_id: int
    order_id: int
    client_order_id: str
    side: str
    price: Decimal
    quantity: Decimal
    quote_quantity: Decimal
    commission: Decimal
    commission_asset: str
    is_maker: bool
    at: datetime


@dataclass(frozen=True, slots=True)
class OrderCount:
    """How many unfilled orders an account has used of one limit by `at`, and when that window ends."""

    interval: timedelta
    limit: int
    count: int
    at: datetime
    resets_at: datetime


@dataclass(frozen=True, slots=True)
class OrderView:
    """An order and its trades; `status` is Binance's, `cumulative_quote` what was paid or got before fees.

    `prevented_quantity` is what self-trade prevention took from it, base units. A
    price of 0 is that of an order without a limit. `working_at` is when it began to
    work: as it was taken, or once it was triggered; None while it waits. `cancel_id`
    is the name of the request that cancelled it. The answer to a new order carries
    the account's order `counts` after it.
    """

    symbol: str
    order_id: int
    client_order_id: str
    side: str
    type: str
    time_in_force: str
    price: Decimal
    quantity: Decimal
    executed_quantity: Decimal
    cumulative_quote: Decimal
    status: str
    expiry_reason: str | None
    at: datetime
    updated: datetime
    trades: tuple[TradeView, ...]
    self_trade_prevention: str
    prevented_quantity: Decimal
    counts: tuple[OrderCount, ...] = field(default=(), compare=False)
    quote_quantity: Decimal | None = None
    iceberg_quantity: Decimal | None = None
    stop_price: Decimal | None = None
    trailing_delta: int | None = None
    working_at: datetime | None = None
    cancel_id: str | None = None


class ReplaceView(NamedTuple):
    """What came of both halves of a cancel-replace: an order, a refusal, or None where it was not attempted."""

    cancel: OrderView | ExchangeError
    place: OrderView | ExchangeError | None


@dataclass(frozen=True, slots=True)
class ReportView:
    """One thing that happened to an order, as the order stood then: Binance's executionReport.

    `sequence` ascends over all accounts. `kind` is NEW, TRADE, CANCELED, EXPIRED or
    TRADE_PREVENTION; `trade` is set for a TRADE. A stop order is NEW twice: when it
    is taken, and when it is triggered. The order's own list of trades is left out.
    """

    sequence: int
    kind: str
    order: OrderView
    trade: TradeView | None


class BalanceView(NamedTuple):
    """What an account has of one asset: at its disposal, and behind its open orders."""

    free: Decimal
    locked: Decimal


@dataclass(frozen=True, slots=True)
class TransferView:
    """A deposit or a withdrawal; `amount` is positive, `sequence` ascends over all accounts."""

    sequence: int
    transfer_id: str
    kind: str
    asset: str
    amount: Decimal
    at: datetime


@dataclass(frozen=True, slots=True)
class BookView:
    """The book everyone sees: the market's less what was consumed, with the accounts' resting orders.

    `complete` says that nothing lies beyond the last level shown; `finished`
    that a recording is over and holds this book from now on.
    """

    symbol: str
    bids: tuple[Depth, ...]
    asks: tuple[Depth, ...]
    update_id: int
    at: datetime
    complete: bool
    finished: bool = False


class KlineView(NamedTuple):
    """A candle that opened `at`: prices, what was traded in base and in quote, and the ids on the tape of
    its first and its last trade, -1 where nothing was traded."""

    symbol: str
    at: datetime
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: Decimal
    quote_volume: Decimal
    first_id: int = -1
    last_id: int = -1

    @property
    def trade_count(self) -> int:
        """How many trades it has."""
        return self.last_id - self.first_id + 1 if self.last_id >= 0 else 0


class PublicTradeView(NamedTuple):
    """A trade as everyone sees it; `is_buyer_maker` says that the seller took."""

    trade_id: int
    price: Decimal
    quantity: Decimal
    quote_quantity: Decimal
    at: datetime
    is_buyer_maker: bool


@dataclass(frozen=True, slots=True)
class TickerView:
    """What was traded of a symbol in the 24 hours up to `closed`; prices are None where there were none.

    `first_id` and `last_id` are -1 without trades; the best prices are those of the
    book now, None where a side is empty.
    """

    symbol: str
    opened: datetime
    closed: datetime
    open: Decimal | None
    high: Decimal | None
    low: Decimal | None
    last: Decimal | None
    last_quantity: Decimal
    previous_close: Decimal | None
    average: Decimal | None
    volume: Decimal
    quote_volume: Decimal
    first_id: int
    last_id: int
    count: int
    bid: Depth | None
    ask: Depth | None


class AverageView(NamedTuple):
    """The mean price of the last `minutes` by volume, and when the last trade of it was."""

    minutes: int
    price: Decimal
    closed: datetime


class VolumeView(NamedTuple):
    """What was traded in base units, and what an account traded of it."""

    total: Decimal
    own: Decimal
