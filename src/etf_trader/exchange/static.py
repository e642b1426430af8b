"""A market whose books never change; what is taken from them stays taken."""

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from etf_trader.exchange.market import Depth, MarketBook, Print
from etf_trader.exchange.parameters import ORDER_TYPES

EPOCH = datetime(2026, 1, 1, tzinfo=UTC)
ALWAYS = datetime.min.replace(tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_SECOND = timedelta(seconds=1)


def symbol_row(symbol: str, base: str, quote: str, **changes: str) -> dict[str, Any]:
    """Return a row of exchangeInfo's `symbols` with plain filters.

    Args:
        symbol: The symbol.
        base: Its base asset.
        quote: Its quote asset.
        changes: Any of tick, min_price, max_price, step, min_quantity, max_quantity, min_notional,
            max_orders, up, down, precision (digits of both commissions), status.
    """
    value = {
        "tick": "0.01",
        "min_price": "0.01",
        "max_price": "1000000.00",
        "step": "0.01",
        "min_quantity": "0.01",
        "max_quantity": "9000000.00",
        "min_notional": "5.00",
        "max_orders": "200",
        "up": "5",
        "down": "0.2",
        "precision": "8",
        "status": "TRADING",
    } | changes
    precision = int(value["precision"])
    return {
        "symbol": symbol,
        "status": value["status"],
        "baseAsset": base,
        "baseAssetPrecision": 8,
        "quoteAsset": quote,
        "quotePrecision": 8,
        "quoteAssetPrecision": 8,
        "baseCommissionPrecision": precision,
        "quoteCommissionPrecision": precision,
        "orderTypes": list(ORDER_TYPES),
        "isSpotTradingAllowed": True,
        "defaultSelfTradePreventionMode": "EXPIRE_MAKER",
        "allowedSelfTradePreventionModes": ["EXPIRE_TAKER", "EXPIRE_MAKER", "EXPIRE_BOTH", "DECREMENT"],
        "filters": [
            {
                "filterType": "PRICE_FILTER",
                "minPrice": value["min_price"],
                "maxPrice": value["max_price"],
                "tickSize": value["tick"],
            },
            {
                "filterType": "LOT_SIZE",
                "minQty": value["min_quantity"],
                "maxQty": value["max_quantity"],
                "stepSize": value["step"],
            },
            {
                "filterType": "PERCENT_PRICE_BY_SIDE",
                "bidMultiplierUp": value["up"],
                "bidMultiplierDown": value["down"],
                "askMultiplierUp": value["up"],
                "askMultiplierDown": value["down"],
                "avgPriceMins": 5,
            },
            {
                "filterType": "NOTIONAL",
                "minNotional": value["min_notional"],
                "applyMinToMarket": True,
                "maxNotional": "9000000.00000000",
                "applyMaxToMarket": False,
                "avgPriceMins": 5,
            },
            {"filterType": "MAX_NUM_ORDERS", "maxNumOrders": int(value["max_orders"])},
        ],
    }


class StaticMarket:
    """Given books, for tests and examples; they move, and symbols stop, only when they are told to."""

    def __init__(
        self,
        symbols: Iterable[Mapping[str, Any]],
        books: Mapping[str, tuple[Iterable[tuple[str, str]], Iterable[tuple[str, str]]]],
        *,
        maker: Decimal = Decimal("0.001"),
        taker: Decimal = Decimal("0.001"),
        free: Iterable[str] = (),
        start: datetime = EPOCH,
        complete: bool = True,
        exchange_filters: Iterable[Mapping[str, Any]] = (),
    ) -> None:
        """Make a market.

        Args:
            symbols: Rows of exchangeInfo.
            books: Bids and asks of each symbol as (price, quantity) texts, best first.
            maker: Rate of makers, a fraction of what is received.
            taker: The same of takers.
            free: Symbols that cost neither.
            start: Where its clock begins.
            complete: Whether nothing lies beyond the levels given.
            exchange_filters: Entries of exchangeInfo's `exchangeFilters`.
        """
        self.start = start
        self.since: datetime | None = None
        self._symbols = tuple(dict(row) for row in symbols)
        self._fees = (maker, taker)
        self._free = frozenset(free)
        self._complete = complete
        self._exchange_filters = tuple(dict(entry) for entry in exchange_filters)
        self._books: dict[str, MarketBook] = {}
        self._rates: dict[str, list[tuple[datetime, Decimal]]] = {}
        """Base units a second, and since when."""
        for symbol, (bids, asks) in books.items():
            self.set_book(symbol, bids, asks)

    def set_book(self, symbol: str, bids: Iterable[tuple[str, str]], asks: Iterable[tuple[str, str]]) -> None:
        """Replace the book of `symbol`."""
        before = self._books.get(symbol)
        self._books[symbol] = MarketBook(
            bids=tuple(Depth(Decimal(price), Decimal(quantity)) for price, quantity in bids),
            asks=tuple(Depth(Decimal(price), Decimal(quantity)) for price, quantity in asks),
            update_id=1 if before is None else before.update_id + 1,
            complete=self._complete,
        )

    def set_status(self, symbol: str, status: str) -> None:
        """Halt `symbol`, or let it trade again; its book stays."""
        self._symbols = tuple(
            {**row, "status": status} if row["symbol"] == symbol else row for row in self._symbols
        )

    def delist(self, symbol: str) -> None:
        """Take `symbol` from the list."""
        self._symbols = tuple(row for row in self._symbols if row["symbol"] != symbol)

    def set_volume(self, symbol: str, per_second: Decimal, since: datetime = ALWAYS) -> None:
        """Let others trade so many base units of `symbol` in each second from `since` on; nothing until it is set.

        Later rates are set later: this one holds until the next one's `since`.
        """
        rates = self._rates.setdefault(symbol, [])
        rates[:] = [rate for rate in rates if rate[0] < since] + [(since, per_second)]

    def symbols(self) -> tuple[dict[str, Any], ...]:
        """Return the rows it was made with, as far as they are still listed."""
        return self._symbols

    def fees(self, symbol: str) -> tuple[Decimal, Decimal]:
        """Return the maker and taker rate it was made with; nothing for a free symbol."""
        return (Decimal(0), Decimal(0)) if symbol in self._free else self._fees

    def book(self, symbol: str, at: datetime) -> MarketBook:
        """Return the book set last."""
        return self._books[symbol]

    def still_consumed(
        self, symbol: str, side: str, price: Decimal, quantity: Decimal, since: datetime, at: datetime
    ) -> Decimal:
        """Return `quantity`: nothing comes back."""
        return quantity

    def mid(self, symbol: str, at: datetime) -> Decimal | None:
        """Return the mid of the book set last; None where a side is empty."""
        book = self.book(symbol, at)
        return (book.bids[0].price + book.asks[0].price) / 2 if book.bids and book.asks else None

    def traded(self, symbol: str, start: datetime, end: datetime) -> Decimal:
        """Return the volume that was set, evenly spread."""
        rates = self._rates.get(symbol, [])
        until = [*(since for since, _ in rates[1:]), end]
        total = Decimal(0)
        for (since, per_second), ends in zip(rates, until, strict=False):
            span = min(ends, end) - max(since, start)
            total += per_second * Decimal(max(0, span // _MICROSECOND)).scaleb(-6)
        return total

    def prints(self, symbol: str, first: int, last: int) -> Iterator[Print]:
        """Yield the volume that was set, a trade a second from the start on, in turn at the best bid and ask."""
        book = self._books[symbol]
        for number in range(max(0, first), last):
            at = self.start + number * _SECOND
            quantity = self.traded(symbol, at, at + _SECOND)
            levels = book.asks if number % 2 else book.bids
            if quantity and levels:
                yield Print(number, self.print_time(symbol, number), levels[0].price, quantity, number % 2 == 0)

    def printed(self, symbol: str, until: datetime) -> int:
        """Return how many seconds had passed at `until`; none count where no volume was ever set."""
        return max(0, (until - self.start) // _SECOND) if symbol in self._rates else 0

    def print_time(self, symbol: str, number: int) -> datetime:
        """Return the last microsecond of the second of that number."""
        return self.start + (number + 1) * _SECOND - _MICROSECOND

    def exchange_filters(self) -> tuple[dict[str, Any], ...]:
        """Return what it was made with."""
        return self._exchange_filters

    def finished(self, at: datetime) -> bool:
        """Return False: it has no end."""
        return False
