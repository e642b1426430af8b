"""What holds in a symbol - its filters, orders, modes, fee grids - and how many orders an account may send.

Source:
    Binance Spot API: filters.md, errors.md, enums.md, order_count_decrement.md.
"""

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from etf_trader.exchange.market import MarketBook
from etf_trader.exchange.matching import EXPIRE_MAKER, PREVENTION_MODES
from etf_trader.exchange.parameters import ORDER_TYPES
from etf_trader.exchange.refusal import ExchangeError, filter_failure, unsupported
from etf_trader.money import ZERO

TRADING = "TRADING"
STATUSES = (TRADING, "END_OF_DAY", "HALT", "BREAK", "CANCEL_ONLY")
_FLAGS = ("allowTrailingStop",)
_NOT_OFFERED = ("ocoAllowed", "otoAllowed", "opoAllowed", "amendAllowed", "pegInstructionsAllowed")
_UNSUPPORTED = {
    "MARKET": "Market orders are not supported for this symbol.",
    "STOP_LOSS": "Stop loss orders are not supported for this symbol.",
    "STOP_LOSS_LIMIT": "Stop loss limit orders are not supported for this symbol.",
    "TAKE_PROFIT": "Take profit orders are not supported for this symbol.",
    "TAKE_PROFIT_LIMIT": "Take profit limit orders are not supported for this symbol.",
}

_AT_ONCE = timedelta()

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
    if not most:
        return _AT_ONCE
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


Bands = Mapping[str, tuple[Decimal, Decimal]]
"""How far a price may be below and above a reference, as multiples of it, by the side of the order."""


@dataclass(frozen=True, slots=True)
class Lot:
    """What a quantity may be, base units; a bound or a step of 0 is not set."""

    least: Decimal
    most: Decimal
    step: Decimal

    def holds(self, quantity: Decimal) -> bool:
        """Return whether `quantity` is within it."""
        return within(quantity, self.least, self.most) and not off(quantity, self.step)


@dataclass(frozen=True, slots=True)
class SymbolRules:
    """The filters of one symbol; a bound of 0 is not set, a count of None neither.

    Prices are quote per base, quantities base, notionals quote. `trailing` has the
    least and the most bps above the price, and below it.
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
    market_lot: Lot
    band_filter: str | None
    bands: Bands
    band_minutes: int
    notional_filter: str | None
    min_notional: Decimal
    max_notional: Decimal
    notional_minutes: int
    min_to_market: bool
    max_to_market: bool
    max_orders: int | None
    max_algo_orders: int | None
    max_iceberg_orders: int | None
    iceberg_parts: int | None
    max_position: Decimal | None
    trailing: tuple[int, int, int, int] | None
    execution_range: Bands
    order_types: tuple[str, ...]
    allows: Mapping[str, bool]
    prevention_modes: tuple[str, ...]
    prevention: str

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> "SymbolRules":
        """Read one row of exchangeInfo's `symbols`; it may carry the symbol's `executionRules` too."""
        filters = {entry["filterType"]: entry for entry in row["filters"]}
        price, lot = filters.get("PRICE_FILTER", {}), filters.get("LOT_SIZE", {})
        market_lot = filters.get("MARKET_LOT_SIZE", {})
        band = next((name for name in ("PERCENT_PRICE_BY_SIDE", "PERCENT_PRICE") if name in filters), None)
        notional = next((name for name in ("NOTIONAL", "MIN_NOTIONAL") if name in filters), None)
        amounts = filters.get(notional, {}) if notional else {}
        position = filters.get("MAX_POSITION")
        price_range = [entry for entry in row.get("executionRules", ()) if entry["ruleType"] == "PRICE_RANGE"]
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
            market_lot=Lot(*(_number(market_lot, key) for key in ("minQty", "maxQty", "stepSize"))),
            band_filter=band,
            bands=_bands(filters[band]) if band else {},
            band_minutes=int(filters[band].get("avgPriceMins", 5)) if band else 0,
            notional_filter=notional,
            min_notional=_number(amounts, "minNotional"),
            max_notional=_number(amounts, "maxNotional"),
            notional_minutes=int(amounts.get("avgPriceMins", 5)),
            min_to_market=bool(amounts.get("applyMinToMarket", amounts.get("applyToMarket", False))),
            max_to_market=bool(amounts.get("applyMaxToMarket", False)),
            max_orders=_count(filters, "MAX_NUM_ORDERS", "maxNumOrders"),
            max_algo_orders=_count(filters, "MAX_NUM_ALGO_ORDERS", "maxNumAlgoOrders"),
            max_iceberg_orders=_count(filters, "MAX_NUM_ICEBERG_ORDERS", "maxNumIcebergOrders"),
            iceberg_parts=_count(filters, "ICEBERG_PARTS", "limit"),
            max_position=None if position is None else _number(position, "maxPosition"),
            trailing=_trailing(filters.get("TRAILING_DELTA")),
            execution_range=_bands(price_range[0]) if price_range else {},
            order_types=tuple(each for each in ORDER_TYPES if each in row.get("orderTypes", ORDER_TYPES)),
            allows={key: bool(value) for key, value in row.items() if key.endswith("Allowed") or key in _FLAGS},
            prevention_modes=tuple(each for each in PREVENTION_MODES if each in modes),
            prevention=mode if mode in PREVENTION_MODES else EXPIRE_MAKER,
        )

    def info(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """Return the symbol's `row` of exchangeInfo, which names the orders and modes that are taken here."""
        shown = {key: value for key, value in row.items() if key != "executionRules"}
        return shown | {
            **{key: False for key in _NOT_OFFERED if key in row},
            "status": self.status,
            "orderTypes": list(self.order_types),
            "defaultSelfTradePreventionMode": self.prevention,
            "allowedSelfTradePreventionModes": list(self.prevention_modes),
        }

    @property
    def lot(self) -> Lot:
        """What the quantity of any order may be."""
        return Lot(self.min_quantity, self.max_quantity, self.step)

    @property
    def reference_minutes(self) -> int:
        """Over how many minutes the reference price is a mean."""
        return self.band_minutes if self.band_filter else self.notional_minutes

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
        """Check price and quantity of a limit order against the filters of both.

        Args:
            side: "BUY" or "SELL".
            price: Its limit, quote per base.
            quantity: Its quantity, base.
            reference: The price the bands are multiples of; None leaves them out.

        Raises:
            ExchangeError: -1111 or -1013, naming the first filter that fails.
        """
        check_digits("quantity", quantity, self.quantity_digits)
        check_digits("price", price, self.price_digits)
        self.check_price(price)
        if self.band_filter is not None and reference is not None:
            down, up = self.bands[side]
            if not within(price, reference * down, reference * up):
                raise filter_failure(self.band_filter)
        if quantity <= 0 or not self.lot.holds(quantity):
            raise filter_failure("LOT_SIZE")
        if self.notional_filter and not within(price * quantity, self.min_notional, self.max_notional):
            raise filter_failure(self.notional_filter)

    def check_price(self, price: Decimal) -> None:
        """Check a price, or the price of a stop, against the grid and bounds of prices.

        Raises:
            ExchangeError: -1013.
        """
        if not within(price, self.min_price, self.max_price) or off(price, self.tick):
            raise filter_failure("PRICE_FILTER")

    def check_type(self, kind: str) -> None:
        """Check that the symbol takes orders of this type.

        Raises:
            ExchangeError: -2010, or -1116 for one with a limit.
        """
        if kind not in self.order_types:
            raise (
                unsupported(_UNSUPPORTED[kind])
                if kind in _UNSUPPORTED
                else ExchangeError(-1116, "Invalid orderType.")
            )

    def commission(self, side: str, received: Decimal, rate: Decimal) -> Decimal:
        """Return the fee on `received` (base for a BUY, quote for a SELL), rounded half up to its grid."""
        quantum = self.base_quantum if side == "BUY" else self.quote_quantum
        return min(half_up(received * rate, quantum), received)

    def received(self, side: str) -> str:
        """Return the asset that an order on `side` receives and pays its fee in."""
        return self.base if side == "BUY" else self.quote


def reference_price(book: MarketBook) -> Decimal | None:
    """Return the mid of the market's book, the best price of its only side, or None."""
    best = [side[0].price for side in (book.bids, book.asks) if side]
    return sum(best, ZERO) / len(best) if best else None


def half_up(value: Decimal, quantum: Decimal) -> Decimal:
    """Return the multiple of `quantum` nearest to `value` (not negative), ties up."""
    whole, rest = divmod(value, quantum)
    return (whole + 1 if rest * 2 >= quantum else whole) * quantum


def check_digits(name: str, value: Decimal, most: int) -> None:
    """Check that the parameter `name` has at most so many decimals.

    Raises:
        ExchangeError: -1111.
    """
    if _digits(value) > most:
        raise ExchangeError(-1111, f"Parameter '{name}' has too much precision.")


def within(value: Decimal, low: Decimal, high: Decimal) -> bool:
    """Return whether `value` is from `low` to `high`, where 0 is no bound."""
    return value >= low and (high == 0 or value <= high)


def off(value: Decimal, step: Decimal) -> bool:
    """Return whether `value` is between two multiples of `step`, where 0 is no step."""
    return step != 0 and value % step != 0


def _digits(value: Decimal) -> int:
    exponent = value.normalize().as_tuple().exponent
    return -exponent if isinstance(exponent, int) else 0


def _number(entry: Mapping[str, Any], key: str) -> Decimal:
    return Decimal(str(entry[key])) if key in entry else ZERO


def _count(filters: Mapping[str, Mapping[str, Any]], name: str, key: str) -> int | None:
    return int(filters[name][key]) if name in filters else None


def _trailing(entry: Mapping[str, Any] | None) -> tuple[int, int, int, int] | None:
    if entry is None:
        return None
    above = int(entry["minTrailingAboveDelta"]), int(entry["maxTrailingAboveDelta"])
    return *above, int(entry["minTrailingBelowDelta"]), int(entry["maxTrailingBelowDelta"])


def _bands(entry: Mapping[str, Any]) -> dict[str, tuple[Decimal, Decimal]]:
    if "multiplierUp" in entry:
        both = (_number(entry, "multiplierDown"), _number(entry, "multiplierUp"))
        return {"BUY": both, "SELL": both}
    return {
        "BUY": (_number(entry, "bidMultiplierDown"), _number(entry, "bidMultiplierUp")),
        "SELL": (_number(entry, "askMultiplierDown"), _number(entry, "askMultiplierUp")),
    }
