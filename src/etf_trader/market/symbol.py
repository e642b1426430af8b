"""A market of the venue and its trading rules, as `exchangeInfo` states them."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Any

from etf_trader.money import ZERO, ceil_to, divide_down, divide_up, floor_to


class Side(StrEnum):
    """Which way a trade goes, seen from us."""

    BUY = "buy"
    SELL = "sell"

    @property
    def sign(self) -> int:
        """+1 for a buy, -1 for a sell."""
        return 1 if self is Side.BUY else -1

    @property
    def opposite(self) -> "Side":
        """The other side."""
        return Side.SELL if self is Side.BUY else Side.BUY


@dataclass(frozen=True, slots=True)
class SymbolRule:
    """What the venue demands of an order in one symbol; 0 means that a bound is not set.

    Prices are quote per base, quantities in base, notionals in quote. `band`
    values multiply the reference price. Fees are fractions of what is received.
    """

    symbol: str
    base: str
    quote: str
    status: str
    tick: Decimal
    min_price: Decimal
    max_price: Decimal
    step: Decimal
    min_quantity: Decimal
    max_quantity: Decimal
    min_notional: Decimal
    max_notional: Decimal
    bid_band: tuple[Decimal, Decimal]
    ask_band: tuple[Decimal, Decimal]
    base_quantum: Decimal
    quote_quantum: Decimal
    maker_fee: Decimal
    taker_fee: Decimal

    @property
    def is_trading(self) -> bool:
        """Whether orders are accepted now."""
        return self.status == "TRADING"

    def fee_quantum(self, side: Side) -> Decimal:
        """Return the smallest amount in which the fee of a trade on `side` is counted."""
        return self.base_quantum if side is Side.BUY else self.quote_quantum

    def least_quantity(self, price: Decimal) -> Decimal:
        """Return the smallest quantity that a limit order at `price` may have: at least one step."""
        least = max(self.min_quantity, self.step)
        if self.min_notional and price > 0:
            least = max(least, divide_up(self.min_notional, price, self.step))
        return ceil_to(least, self.step)

    def most_quantity(self, price: Decimal) -> Decimal:
        """Return the largest quantity that one limit order at `price` may have; larger ones are split. 0: any."""
        bounds = [self.max_quantity] if self.max_quantity else []
        if self.max_notional and price > 0:
            bounds.append(divide_down(self.max_notional, price, self.step))
        return floor_to(min(bounds), self.step) if bounds else ZERO

    def order_count(self, quantity: Decimal, price: Decimal) -> int:
        """Return how many limit orders a quantity at `price` makes: more than one beyond the largest."""
        most = self.most_quantity(price) if quantity else ZERO
        return int(ceil_to(quantity, most) / most) if most else int(quantity > 0)

    @property
    def has_price_bounds(self) -> bool:
        """Whether any price is too low or too high for an order."""
        return bool(self.min_price or self.max_price or any(self.bid_band) or any(self.ask_band))

    def price_bounds(self, side: Side, reference: Decimal) -> tuple[Decimal, Decimal]:
        """Return the lowest and highest price of an order on `side` when the reference price is `reference`."""
        down, up = self.bid_band if side is Side.BUY else self.ask_band
        low = max(self.min_price, reference * down)
        high = reference * up if up else self.max_price
        return low, min(high, self.max_price) if self.max_price else high

    def ticks_beyond(self, side: Side, reference: Decimal, last: Decimal, quantity: Decimal, most: int) -> int:
        """Return how many ticks worse than `last` an order of `quantity` may be priced, `most` at most.

        Within the price bounds at `reference`, and a sell worth the least notional; 0 where there are no ticks.
        """
        if not self.tick:
            return 0
        low, high = self.price_bounds(side, reference)
        if side is Side.BUY:
            return max(min(int((floor_to(high, self.tick) - last) // self.tick), most), 0) if high else most
        low = max(low, self.tick)
        if self.min_notional:
            low = max(low, divide_up(self.min_notional, quantity, self.tick))
        return max(min(int((last - ceil_to(low, self.tick)) // self.tick), most), 0)

    @classmethod
    def from_exchange_info(cls, row: Mapping[str, Any], *, maker_fee: Decimal, taker_fee: Decimal) -> "SymbolRule":
        """Read one entry of `symbols` in the venue's exchangeInfo.

        Source:
            Binance Spot API, filters: PRICE_FILTER, LOT_SIZE, NOTIONAL or MIN_NOTIONAL,
            PERCENT_PRICE_BY_SIDE or PERCENT_PRICE.
        """
        filters = {entry["filterType"]: entry for entry in row["filters"]}
        price, lot = filters.get("PRICE_FILTER", {}), filters["LOT_SIZE"]
        notional = filters.get("NOTIONAL") or filters.get("MIN_NOTIONAL") or {}
        bid_band, ask_band = _bands(filters)
        return cls(
            symbol=row["symbol"],
            base=row["baseAsset"],
            quote=row["quoteAsset"],
            status=row["status"],
            tick=_decimal(price, "tickSize"),
            min_price=_decimal(price, "minPrice"),
            max_price=_decimal(price, "maxPrice"),
            step=_decimal(lot, "stepSize"),
            min_quantity=_decimal(lot, "minQty"),
            max_quantity=_decimal(lot, "maxQty"),
            min_notional=_decimal(notional, "minNotional"),
            max_notional=_decimal(notional, "maxNotional"),
            bid_band=bid_band,
            ask_band=ask_band,
            base_quantum=Decimal(1).scaleb(-int(row.get("baseCommissionPrecision", 8))),
            quote_quantum=Decimal(1).scaleb(-int(row.get("quoteCommissionPrecision", 8))),
            maker_fee=maker_fee,
            taker_fee=taker_fee,
        )


def _bands(
    filters: Mapping[str, Mapping[str, Any]],
) -> tuple[tuple[Decimal, Decimal], tuple[Decimal, Decimal]]:
    if by_side := filters.get("PERCENT_PRICE_BY_SIDE"):
        return (
            (_decimal(by_side, "bidMultiplierDown"), _decimal(by_side, "bidMultiplierUp")),
            (_decimal(by_side, "askMultiplierDown"), _decimal(by_side, "askMultiplierUp")),
        )
    both = filters.get("PERCENT_PRICE", {})
    band = (_decimal(both, "multiplierDown"), _decimal(both, "multiplierUp"))
    return band, band


def _decimal(entry: Mapping[str, Any], key: str) -> Decimal:
    return Decimal(str(entry[key])) if key in entry else ZERO
