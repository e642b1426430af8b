"""Where the liquidity of the simulated exchange comes from.

A market shows books, and what is traded beside the accounts, as a pure function
of symbol and time; what accounts take from the books is kept by the exchange, and
the market only says how fast it comes back.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, NamedTuple, Protocol


class Depth(NamedTuple):
    """One price level: quote units per base unit, and base units for sale or wanted there."""

    price: Decimal
    quantity: Decimal


@dataclass(frozen=True, slots=True)
class MarketBook:
    """The market's own book of one symbol at one time, before what accounts consumed.

    `bids` and `asks` stand best first with positive quantities and distinct
    prices, uncrossed. `update_id` grows with every change. `complete` is False
    when there may be levels beyond those shown.
    """

    bids: tuple[Depth, ...]
    asks: tuple[Depth, ...]
    update_id: int
    complete: bool


class Print(NamedTuple):
    """A trade among others than accounts; `number` counts those of its symbol, upwards in time, from 0 or later.

    `is_buyer_maker` says that the seller took.
    """

    number: int
    at: datetime
    price: Decimal
    quantity: Decimal
    is_buyer_maker: bool


class Market(Protocol):
    """A source of books: the seeded model or a recording."""

    start: datetime
    """Where a stepped clock begins, aware, UTC."""
    since: datetime | None
    """From when on prices and volumes are known; None: there is no beginning."""

    def symbols(self) -> tuple[dict[str, Any], ...]:
        """Return the rows of exchangeInfo's `symbols`: Binance's keys, filters with decimals as strings."""
        ...

    def exchange_filters(self) -> tuple[dict[str, Any], ...]:
        """Return exchangeInfo's `exchangeFilters`: how many orders an account may have open everywhere."""
        ...

    def fees(self, symbol: str) -> tuple[Decimal, Decimal]:
        """Return the maker and the taker rate of `symbol` as fractions of what is received."""
        ...

    def book(self, symbol: str, at: datetime) -> MarketBook:
        """Return the book of `symbol` at time `at`; the same arguments give the same book."""
        ...

    def still_consumed(
        self, symbol: str, side: str, price: Decimal, quantity: Decimal, since: datetime, at: datetime
    ) -> Decimal:
        """Return how much of `quantity` that accounts took at `since` is still missing at `at`.

        Args:
            symbol: The symbol.
            side: "BID" or "ASK": which side of the market's book the level stands on.
            price: The price of the level.
            quantity: What was missing at `since`, base units, not negative.
            since: When it was taken.
            at: The time asked about, not before `since`.

        Returns:
            Base units between 0 and `quantity`.
        """
        ...

    def mid(self, symbol: str, at: datetime) -> Decimal | None:
        """Return the mean of the best prices of `book`; None where a side is empty."""
        ...

    def traded(self, symbol: str, start: datetime, end: datetime) -> Decimal:
        """Return what others than accounts traded in [start, end), base units, 0 or more.

        The same arguments give the same volume, and adjoining spans add up exactly:
        traded(a, b) + traded(b, c) == traded(a, c).
        """
        ...

    def prints(self, symbol: str, first: int, last: int) -> Iterator[Print]:
        """Yield the trades that make up `traded`, those numbered from `first` until before `last`, in order.

        A number may be left out. Between two moments at which nothing is half told
        their quantities sum up to what was traded.
        """
        ...

    def printed(self, symbol: str, until: datetime) -> int:
        """Return the number of the first trade that is not before `until`."""
        ...

    def print_time(self, symbol: str, number: int) -> datetime:
        """Return when the trade of that number is made, or would be."""
        ...

    def finished(self, at: datetime) -> bool:
        """Return whether a recording is over at `at` and holds its last book; a model never is."""
        ...
