"""What a batch would send, in the values that limits are about."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal

from etf_trader.market.symbol import Side
from etf_trader.money import ZERO


@dataclass(frozen=True, slots=True)
class ProposedOrder:
    """An order to the venue: base, quote per base; `parts` is what each index order has of it, in base."""

    asset: str
    symbol: str
    side: Side
    quantity: Decimal
    price: Decimal
    mid: Decimal
    parts: Mapping[int, Decimal]

    @property
    def value(self) -> Decimal:
        """Quantity x price, in the quote of its symbol."""
        return self.quantity * self.price

    @property
    def leader(self) -> int:
        """The index order that has the most of it; of equals the newest."""
        return max(self.parts, key=lambda number: (self.parts[number], number))


@dataclass(frozen=True, slots=True)
class ProposedIndexOrder:
    """An index order that would trade: its whole value at arrival, and what its plan would lose, in quote."""

    number: int
    side: Side
    value: Decimal
    loss: Decimal = ZERO


@dataclass(frozen=True, slots=True)
class ProposedPosition:
    """A position as it would be: its value in quote, its share of all units in percent, and who buys for it."""

    number: int
    value: Decimal
    share: Decimal
    buyers: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Proposal:
    """Everything that a batch would send, and what is there already.

    `open_orders` are the orders at the venue or on their way; `sent` those of
    the last second, `at_once` the most that the venue takes at once (None: any
    number); `book_ages` in seconds by symbol, of a live venue; `loss` what the
    account's orders have lost since the day began.
    """

    now: datetime
    orders: tuple[ProposedOrder, ...] = ()
    index_orders: tuple[ProposedIndexOrder, ...] = ()
    positions: tuple[ProposedPosition, ...] = ()
    open_orders: int = 0
    sent: int = 0
    at_once: int | None = None
    book_ages: Mapping[str, Decimal] = field(default_factory=dict)
    loss: Decimal = ZERO

    def busiest(self) -> int:
        """Return the index order that has a part in the most orders; of equals the newest."""
        numbers = [number for order in self.orders for number in order.parts]
        return max(set(numbers), key=lambda number: (numbers.count(number), number))


@dataclass(frozen=True, slots=True)
class Violation:
    """A limit that a proposal breaks: its code, a sentence, and the index orders that are refused for it."""

    code: str
    message: str
    orders: tuple[int, ...]
