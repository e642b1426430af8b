"""The rules an order must keep, in exact decimals: parameters, filters, order counts, fees.

Source:
    Binance Spot API: filters.md, errors.md, enums.md, order_count_decrement.md.
"""

import hashlib
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from etf_trader.exchange.market import MarketBook
from etf_trader.exchange.matching import EXPIRE_MAKER, PREVENTION_MODES
from etf_trader.exchange.refusal import ExchangeError, filter_failure, illegal, missing, rejected
from etf_trader.exchange.views import OrderRequest
from etf_trader.money import ZERO

CLIENT_ORDER_ID = r"^[a-zA-Z0-9-_]{1,36}$"
DECIMAL = r"^([0-9]{1,20})(\.[0-9]{1,20})?$"
MOST = Decimal("1e20")
LIMIT, LIMIT_MAKER = "LIMIT", "LIMIT_MAKER"
ORDER_TYPES = (LIMIT, LIMIT_MAKER)
TIMES_IN_FORCE = ("GTC", "IOC", "FOK")
AHEAD = timedelta(seconds=1)
LONGEST_WINDOW = 60

TAKER_RETURNS = 1
"""How much of the order count the first fill gives back when it takes."""

MAKER_RETURNS = 5
"""The same when it makes; Binance says "more", and gives 5 as its example."""


@dataclass(frozen=True, slots=True)
class OrderLimit:
    """At most `limit` unfilled orders in each window of `seconds`, the windows fixed on the clock."""

    interval: str
    number: int
    seconds: int
    limit: int

    @property
    def length(self) -> timedelta:
        """How long a window is."""
        return timedelta(seconds=self.seconds)

    def window(self, now: datetime) -> datetime:
        """Return the start of the window that `now` lies in."""
        return datetime.fromtimestamp(math.floor(now.timestamp()) // self.seconds * self.seconds, UTC)

    def ends(self, now: datetime) -> datetime:
        """Return the end of the window that `now` lies in."""
        return self.window(now) + self.length


ORDER_LIMITS = (OrderLimit("SECOND", 10, 10, 100), OrderLimit("DAY", 1, 86_400, 200_000))


def credit_delay(most: int, seed: object, order_id: int) -> timedelta:
    """Return after what time the first fill of an order shows in the count: 0 to `most` ms, the same each time."""
    drawn = hashlib.sha256(f"{seed}:{order_id}".encode()).digest()
    return timedelta(milliseconds=int.from_bytes(drawn[:8], "big") % (most + 1))


def rate_limits() -> list[dict[str, Any]]:
    """Return exchangeInfo's `rateLimits`."""
    rows: list[tuple[str, str, int, int]] = [("REQUEST_WEIGHT", "MINUTE", 1, 6_000)]
    rows += [("ORDERS", each.interval, each.number, each.limit) for each in ORDER_LIMITS]
    rows += [("RAW_REQUESTS", "MINUTE", 5, 300_000)]
    return [
        {"rateLimitType": kind, "interval": interval, "intervalNum": number, "limit": limit}
        for kind, interval, number, limit in rows
    ]


def too_many_orders(limit: OrderLimit, now: datetime) -> ExchangeError:
    """Return the refusal of an order beyond `limit`; it says how many seconds the window has left."""
    interval = limit.interval if limit.number == 1 else f"{limit.number} {limit.interval}"
    return ExchangeError(
        -1015,
        f"Too many new orders; current limit is {limit.limit} orders per {interval}.",
        http_status=429,
        retry_after=(limit.ends(now) - now).total_seconds(),
    )


@dataclass(frozen=True, slots=True)
class SymbolRules:
    """The filters of one symbol; a bound of 0 is not set.

    Prices are quote per base, quantities base, notionals quote; the bands are
    (down, up) multipliers of the reference price, by the side of the order.
    """

    symbol: str
    base: str
    quote: str
    status: str
    price_digits: int
    quantity_digits: int
    base_quantum: Decimal
    quote_quantum: Decimal
    tick: Decimal
    min_price: Decimal
    max_price: Decimal
    step: Decimal
    min_quantity: Decimal
    max_quantity: Decimal
    band_filter: str | None
    bands: Mapping[str, tuple[Decimal, Decimal]]
    notional_filter: str | None
    min_notional: Decimal
    max_notional: Decimal
    max_orders: int | None
    order_types: tuple[str, ...]
    prevention_modes: tuple[str, ...]
    prevention: str

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> "SymbolRules":
        """Read one row of exchangeInfo's `symbols`; filters that no limit order can break are left out."""
        filters = {entry["filterType"]: entry for entry in row["filters"]}
        price, lot = filters.get("PRICE_FILTER", {}), filters.get("LOT_SIZE", {})
        band = next((name for name in ("PERCENT_PRICE_BY_SIDE", "PERCENT_PRICE") if name in filters), None)
        notional = next((name for name in ("NOTIONAL", "MIN_NOTIONAL") if name in filters), None)
        amounts = filters.get(notional, {}) if notional else {}
        count = filters.get("MAX_NUM_ORDERS")
        modes = row.get("allowedSelfTradePreventionModes", PREVENTION_MODES)
        mode = row.get("defaultSelfTradePreventionMode")
        return cls(
            symbol=row["symbol"],
            base=row["baseAsset"],
            quote=row["quoteAsset"],
            status=row["status"],
            price_digits=int(row.get("quoteAssetPrecision", row.get("quotePrecision", 8))),
            quantity_digits=int(row.get("baseAssetPrecision", 8)),
            base_quantum=Decimal(1).scaleb(-int(row.get("baseCommissionPrecision", 8))),
            quote_quantum=Decimal(1).scaleb(-int(row.get("quoteCommissionPrecision", 8))),
            tick=_number(price, "tickSize"),
            min_price=_number(price, "minPrice"),
            max_price=_number(price, "maxPrice"),
            step=_number(lot, "stepSize"),
            min_quantity=_number(lot, "minQty"),
            max_quantity=_number(lot, "maxQty"),
            band_filter=band,
            bands=_bands(filters[band]) if band else {},
            notional_filter=notional,
            min_notional=_number(amounts, "minNotional"),
            max_notional=_number(amounts, "maxNotional"),
            max_orders=None if count is None else int(count["maxNumOrders"]),
            order_types=tuple(each for each in ORDER_TYPES if each in row.get("orderTypes", ORDER_TYPES)),
            prevention_modes=tuple(each for each in PREVENTION_MODES if each in modes),
            prevention=mode if mode in PREVENTION_MODES else EXPIRE_MAKER,
        )

    def info(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """Return the symbol's `row` of exchangeInfo, which names the orders and modes that are taken here."""
        return dict(row) | {
            "orderTypes": list(self.order_types),
            "defaultSelfTradePreventionMode": self.prevention,
            "allowedSelfTradePreventionModes": list(self.prevention_modes),
        }

    def mode(self, asked: str | None) -> str:
        """Return the mode of self-trade prevention of an order that asked for one, or for none.

        Raises:
            ExchangeError: -1013, the symbol does not list it.
        """
        if asked is None:
            return self.prevention
        if asked not in self.prevention_modes:
            raise ExchangeError(-1013, "This symbol does not allow the specified self-trade prevention mode.")
        return asked

    def check(self, side: str, price: Decimal, quantity: Decimal, reference: Decimal | None) -> None:
        """Check a limit order against every filter but the count of orders.

        Args:
            side: "BUY" or "SELL".
            price: Its limit, quote per base.
            quantity: Its quantity, base.
            reference: The price the bands are multiples of; None leaves them out.

        Raises:
            ExchangeError: -1111 or -1013, naming the first filter that fails.
        """
        if _digits(quantity) > self.quantity_digits:
            raise ExchangeError(-1111, "Parameter 'quantity' has too much precision.")
        if _digits(price) > self.price_digits:
            raise ExchangeError(-1111, "Parameter 'price' has too much precision.")
        if not _within(price, self.min_price, self.max_price) or _off(price, self.tick):
            raise filter_failure("PRICE_FILTER")
        if self.band_filter is not None and reference is not None:
            down, up = self.bands[side]
            if not _within(price, reference * down, reference * up):
                raise filter_failure(self.band_filter)
        if quantity <= 0 or not _within(quantity, self.min_quantity, self.max_quantity):
            raise filter_failure("LOT_SIZE")
        if _off(quantity, self.step):
            raise filter_failure("LOT_SIZE")
        if self.notional_filter and not _within(price * quantity, self.min_notional, self.max_notional):
            raise filter_failure(self.notional_filter)

    def commission(self, side: str, received: Decimal, rate: Decimal) -> Decimal:
        """Return the fee on `received` (base for a BUY, quote for a SELL), rounded half up to its grid."""
        quantum = self.base_quantum if side == "BUY" else self.quote_quantum
        return min(half_up(received * rate, quantum), received)

    def received(self, side: str) -> str:
        """Return the asset that an order on `side` receives and pays its fee in."""
        return self.base if side == "BUY" else self.quote


def check_time(request: OrderRequest, now: datetime) -> None:
    """Check that the request is neither from the future nor too old.

    Raises:
        ExchangeError: -1021, or -1131 for a window beyond 60 s.
    """
    if not 0 < request.recv_window <= LONGEST_WINDOW:
        raise ExchangeError(-1131, "recvWindow must be less than 60000")
    if request.timestamp >= now + AHEAD:
        raise ExchangeError(-1021, "Timestamp for this request was 1000ms ahead of the server's time.")
    if now - request.timestamp > timedelta(seconds=request.recv_window):
        raise ExchangeError(-1021, "Timestamp for this request is outside of the recvWindow.")


def check_parameters(request: OrderRequest) -> tuple[Decimal, Decimal]:
    """Check the parameters of a new order, and return its price and quantity.

    Raises:
        ExchangeError: -1100, -1102, -1106, -1115, -1116 or -1117.
    """
    if request.side not in ("BUY", "SELL"):
        raise ExchangeError(-1117, "Invalid side.")
    if request.type not in ORDER_TYPES:
        raise ExchangeError(-1116, "Invalid orderType.")
    if request.type == LIMIT and not request.time_in_force:
        raise missing("timeInForce")
    if request.type == LIMIT and request.time_in_force not in TIMES_IN_FORCE:
        raise ExchangeError(-1115, "Invalid timeInForce.")
    unwanted = {
        "timeInForce": request.time_in_force if request.type == LIMIT_MAKER else None,
        "quoteOrderQty": request.quote_quantity,
        "stopPrice": request.stop_price,
        "icebergQty": request.iceberg_quantity,
    }
    for name, value in unwanted.items():
        if value is not None:
            raise ExchangeError(-1106, f"Parameter '{name}' sent when not required.")
    if not re.fullmatch(CLIENT_ORDER_ID, request.client_order_id):
        raise illegal("newClientOrderId", CLIENT_ORDER_ID)
    return _amount("price", request.price), _amount("quantity", request.quantity)


def check_open(rules: SymbolRules, request: OrderRequest) -> None:
    """Check that the symbol trades, and by orders of this type.

    Raises:
        ExchangeError: -2010, -1116.
    """
    if rules.status != "TRADING":
        raise rejected("Market is closed.")
    if request.type not in rules.order_types:
        raise ExchangeError(-1116, "Invalid orderType.")


def reference_price(book: MarketBook) -> Decimal | None:
    """Return the mid of the market's book, the best price of its only side, or None.

    Binance takes the volume-weighted mean of the last `avgPriceMins` minutes. The
    exchange keeps no tape of trades that the market would have made, and the bands
    (mostly a factor of five) are far too wide for the difference to matter.
    """
    best = [side[0].price for side in (book.bids, book.asks) if side]
    return sum(best, ZERO) / len(best) if best else None


def half_up(value: Decimal, quantum: Decimal) -> Decimal:
    """Return the multiple of `quantum` nearest to `value` (not negative), ties up."""
    whole, rest = divmod(value, quantum)
    return (whole + 1 if rest * 2 >= quantum else whole) * quantum


def _amount(name: str, value: Decimal | None) -> Decimal:
    if value is None:
        raise missing(name)
    if not value.is_finite() or value < 0 or value >= MOST:
        raise illegal(name, DECIMAL)
    return value


def _digits(value: Decimal) -> int:
    exponent = value.normalize().as_tuple().exponent
    return -exponent if isinstance(exponent, int) else 0


def _within(value: Decimal, low: Decimal, high: Decimal) -> bool:
    return value >= low and (high == 0 or value <= high)


def _off(value: Decimal, step: Decimal) -> bool:
    return step != 0 and value % step != 0


def _number(entry: Mapping[str, Any], key: str) -> Decimal:
    return Decimal(str(entry[key])) if key in entry else ZERO


def _bands(entry: Mapping[str, Any]) -> dict[str, tuple[Decimal, Decimal]]:
    if "multiplierUp" in entry:
        both = (_number(entry, "multiplierDown"), _number(entry, "multiplierUp"))
        return {"BUY": both, "SELL": both}
    return {
        "BUY": (_number(entry, "bidMultiplierDown"), _number(entry, "bidMultiplierUp")),
        "SELL": (_number(entry, "askMultiplierDown"), _number(entry, "askMultiplierUp")),
    }
