"""What every venue can do for us, in our own words."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Protocol

from etf_trader.market.book import OrderBook
from etf_trader.market.candle import Candle
from etf_trader.market.symbol import Side, SymbolRule
from etf_trader.orders.asset_order import OrderKind as OrderKind


@dataclass(frozen=True, slots=True)
class VenueIdentity:
    """Which account at which venue; a new `era` means that its history started again."""

    environment: str
    uid: str
    era: str


@dataclass(frozen=True, slots=True)
class FeeDiscount:
    """Fees are taken in `asset` where the account has enough of it: `part` of what they are otherwise."""

    asset: str
    part: Decimal


@dataclass(frozen=True, slots=True)
class OrderLimit:
    """At most `limit` orders in each window of `seconds`, windows fixed on the venue's clock."""

    seconds: int
    limit: int


@dataclass(frozen=True, slots=True)
class VenueBalance:
    """What the venue holds for the account of one asset."""

    free: Decimal
    locked: Decimal

    @property
    def total(self) -> Decimal:
        """Free and locked together."""
        return self.free + self.locked


@dataclass(frozen=True, slots=True)
class OrderCount:
    """How many of our orders the venue counts as unfilled in the present window of `seconds`."""

    seconds: int
    count: int


@dataclass(frozen=True, slots=True)
class OrderCounts:
    """The venue's own counts, one for each of its limits, and its time when it made them."""

    at: datetime
    counts: tuple[OrderCount, ...]


@dataclass(frozen=True, slots=True)
class LimitOrder:
    """A limit order as it is sent.

    `granted_at` is the venue's time at which its slot was granted; the venue
    refuses it when it arrives later than `window_seconds` after that.
    """

    symbol: str
    side: Side
    quantity: Decimal
    price: Decimal
    client_order_id: str
    granted_at: datetime
    window_seconds: float
    kind: OrderKind = OrderKind.IOC


@dataclass(frozen=True, slots=True)
class Trade:
    """One execution at the venue; `fee` is in `fee_asset`, `value` = price x quantity in quote."""

    symbol: str
    trade_id: int
    order_id: int
    side: Side
    price: Decimal
    quantity: Decimal
    value: Decimal
    fee: Decimal
    fee_asset: str
    is_maker: bool
    at: datetime


class VenueOrderStatus(StrEnum):
    """Where an order stands at the venue."""

    OPEN = "open"
    FILLED = "filled"
    CANCELLED = "cancelled"
    EXPIRED = "expired"
    REJECTED = "rejected"

    @property
    def is_final(self) -> bool:
        """Whether nothing more can happen to it."""
        return self is not VenueOrderStatus.OPEN


@dataclass(frozen=True, slots=True)
class VenueOrder:
    """An order as the venue knows it; `at` is the venue's time of its last change.

    What traded stays, however it ended. `reason` says why it expired, in the venue's
    word: EXPIRED_IN_MATCH where it met another order of ours (self-trade prevention).
    """

    symbol: str
    order_id: int
    client_order_id: str
    side: Side
    status: VenueOrderStatus
    reason: str | None
    executed_quantity: Decimal
    executed_value: Decimal
    at: datetime


@dataclass(frozen=True, slots=True)
class Placed:
    """The answer to an order: where it stands, its trades if they are told, and the venue's counts if they are."""

    order: VenueOrder
    trades: tuple[Trade, ...] | None
    counts: tuple[OrderCount, ...]


@dataclass(frozen=True, slots=True)
class Report:
    """Something that happened to an order of ours, from the user stream; `trade` is set when it traded."""

    order: VenueOrder
    trade: Trade | None


Listener = Callable[[Report], None]


@dataclass(frozen=True, slots=True)
class Transfer:
    """Money that came into the venue account (`amount` > 0) or left it, by the venue's record."""

    sequence: int
    transfer_id: str
    asset: str
    amount: Decimal
    at: datetime


class Meter(Protocol):
    """Shares out the weight of requests that this machine may put on a venue, among all its processes."""

    async def take(self, weight: int, *, urgent: bool) -> None:
        """Take the weight of a request that is about to be sent, once there is room for it."""
        ...

    def told(self, used: int, at: datetime) -> None:
        """Take note of what the venue says was used in the window of its time `at`."""
        ...

    def limited(self, seconds: int, limit: int) -> None:
        """Take note of the venue's limit: so much weight in each window of `seconds`."""
        ...


class Venue(Protocol):
    """An exchange account; every call may raise VenueUnavailable, RateLimited or OutcomeUnknown."""

    async def identity(self) -> VenueIdentity:
        """Return which account this is."""
        ...

    async def server_time(self) -> datetime:
        """Return the venue's clock."""
        ...

    def clock_error(self) -> timedelta:
        """Return how far `server_time` may be from the clock that the venue counts by."""
        ...

    async def require_ready(self) -> None:
        """Check that the account, as it is set up at the venue, can be traded on and accounted for.

        Raises:
            ConfigError: it cannot; says what to change at the venue.
        """
        ...

    async def fee_discount(self) -> FeeDiscount | None:
        """Return in what the account pays its fees where it has enough of it; None: in what it receives."""
        ...

    async def delistings(self) -> Mapping[str, datetime] | None:
        """Return when markets will end, by symbol; None where the venue does not tell."""
        ...

    async def rules(self) -> Mapping[str, SymbolRule]:
        """Return the trading rules and our fee rates of every symbol."""
        ...

    async def order_limits(self) -> Sequence[OrderLimit]:
        """Return the venue's limits on orders per window."""
        ...

    async def books(self, symbols: Sequence[str], depth: int) -> Mapping[str, OrderBook]:
        """Return the books of `symbols`, `depth` levels a side, as of one moment where the venue can."""
        ...

    async def balances(self) -> Mapping[str, VenueBalance]:
        """Return what the account holds of each asset, zeros left out."""
        ...

    async def order_counts(self) -> OrderCounts:
        """Return how many unfilled orders the venue counts in the present windows."""
        ...

    def subscribe(self, listener: Listener) -> Callable[[], None]:
        """Tell `listener` of what happens to our orders, until the returned function is called.

        A hint: reports may come late, twice, in another order, or not at all.
        """
        ...

    async def place(self, order: LimitOrder) -> Placed:
        """Send `order` and return where it stands.

        Raises:
            OrderRejected: refused for good; a POST_ONLY order also when it would trade at once.
            OutcomeUnknown: it may live; ask with `find`.
        """
        ...

    async def find(self, symbol: str, client_order_id: str) -> VenueOrder | None:
        """Return the order with our id; None when the venue knows no such order."""
        ...

    async def order(self, symbol: str, order_id: int) -> VenueOrder | None:
        """Return the order with the venue's own id, whosever it is; None when the venue knows no such order."""
        ...

    async def cancel(self, symbol: str, client_order_id: str) -> VenueOrder | None:
        """Cancel the order if it is open, and return where it stands; None when unknown."""
        ...

    async def open_orders(self) -> Sequence[VenueOrder]:
        """Return all open orders of the account."""
        ...

    async def trades_of(self, symbol: str, order_id: int) -> Sequence[Trade]:
        """Return the executions of one order, oldest first."""
        ...

    async def trades_after(self, symbol: str, trade_id: int) -> Sequence[Trade]:
        """Return the account's executions in `symbol` with a larger id, oldest first."""
        ...

    async def transfers(self, after: int) -> Sequence[Transfer]:
        """Return deposits and withdrawals with a larger sequence number, oldest first."""
        ...

    async def batch_done(self) -> None:
        """Take note that a batch has ended; a stepped exchange moves on by a second."""
        ...

    async def candles(self, symbol: str, seconds: int, start: datetime, end: datetime) -> Sequence[Candle]:
        """Return the candles of 60, 3600 or 86,400 s that open in [start, end), oldest first.

        The last may be running. Their volume is everybody's, ours too.
        """
        ...

    async def volume(self, symbol: str, start: datetime, end: datetime) -> Decimal:
        """Return the base units that others than us traded in [start, end), up to now.

        Spans that adjoin add up.
        """
        ...
