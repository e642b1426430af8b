"""One symbol's order book, kept from a snapshot and the differences after it.

The documented algorithm: an event that ends before the book's id is old and
ignored; one that begins after the next id leaves a gap, and the book is lost until
a new snapshot; any other sets the quantities it names, absolutely.

A snapshot is a window. From its last price inwards every level is known, then and
after every event; beyond it levels are unknown until they change, so that what
events say of them is no book, and is left out.
"""

from bisect import bisect_left, insort
from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal
from enum import Enum

from etf_trader.errors import VenueUnavailable
from etf_trader.market.book import Level, OrderBook
from etf_trader.venue.binance.depth import DepthEvent, DepthSnapshot, Pairs

ZERO = Decimal(0)
MOST_READ = 20_000
"""Prices that are remembered as they were written, of one side."""


class Outcome(Enum):
    """What an event was to the book."""

    APPLIED = "applied"
    OLD = "old"
    GAP = "gap"


class BookSide:
    """The levels of one side: what is at each price, and the prices in ascending order."""

    __slots__ = ("_is_bids", "_read", "edge", "prices", "quantities")

    def __init__(self, *, is_bids: bool) -> None:
        self._is_bids = is_bids
        self.edge: Decimal | None = None
        """The last price that is known; None: the whole side is."""
        self.prices: list[Decimal] = []
        self.quantities: dict[Decimal, Decimal] = {}
        self._read: dict[str, Decimal] = {}

    def load(self, levels: Iterable[Level], edge: Decimal | None) -> None:
        """Begin anew."""
        self.edge = edge
        self.quantities = {level.price: level.quantity for level in levels if level.quantity}
        self.prices = sorted(self.quantities)

    def update(self, changes: Pairs) -> None:
        """Set quantities, absolutely; 0 removes a level, also one that is not there.

        Raises:
            ValueError, ArithmeticError: a number makes no sense; the side is in disorder.
        """
        quantities, prices, edge, read = self.quantities, self.prices, self.edge, self._read
        for price_text, quantity_text in changes:
            price = read.get(price_text) or self._price(price_text)
            quantity = Decimal(quantity_text)
            if edge is not None and (price < edge if self._is_bids else price > edge):
                continue
            if quantity > ZERO:
                if price not in quantities:
                    insort(prices, price)
                quantities[price] = quantity
            elif quantity < ZERO:
                raise ValueError(f"a quantity of {quantity} at {price}")
            elif quantities.pop(price, None) is not None:
                del prices[bisect_left(prices, price)]

    def best(self, depth: int) -> tuple[Level, ...]:
        """Return at most `depth` levels, best first."""
        chosen = self.prices[: -depth - 1 : -1] if self._is_bids else self.prices[:depth]
        return tuple(map(Level, chosen, map(self.quantities.__getitem__, chosen)))

    def _price(self, text: str) -> Decimal:
        """Read a price, and remember it: the same ones come again and again."""
        price = Decimal(text)
        if price <= ZERO:
            raise ValueError(f"a price of {price}")
        if len(self._read) >= MOST_READ:
            self._read.clear()
        self._read[text] = price
        return price

    def touch(self) -> Decimal | None:
        """Return the best price; None where nothing is known."""
        return (self.prices[-1] if self._is_bids else self.prices[0]) if self.prices else None


class LocalBook:
    """The book of one symbol as far as it is known; without a snapshot nothing is."""

    def __init__(self, symbol: str) -> None:
        self.symbol = symbol
        self.update_id: int | None = None
        """The last update in it; None: it is not known."""
        self.bids = BookSide(is_bids=True)
        self.asks = BookSide(is_bids=False)

    @property
    def is_known(self) -> bool:
        """Whether it has a snapshot, and every event since."""
        return self.update_id is not None

    def begin(self, snapshot: DepthSnapshot, held: Iterable[DepthEvent]) -> bool:
        """Take a snapshot and the events that came since before it was asked for, oldest first.

        Return whether they fit together; if not, the snapshot is older than the first of them, and
        the book is not known.
        """
        self.bids.load(snapshot.bids, snapshot.edge(snapshot.bids))
        self.asks.load(snapshot.asks, snapshot.edge(snapshot.asks))
        self.update_id = snapshot.update_id
        return all(self.apply(event) is not Outcome.GAP for event in held)

    def apply(self, event: DepthEvent) -> Outcome:
        """Take the next event; after a gap the book is not known.

        Raises:
            VenueUnavailable: the event makes no sense; the book is not known any more.
        """
        known = self.update_id
        if known is None:
            return Outcome.GAP
        if event.last <= known:
            return Outcome.OLD
        self.update_id = None
        if event.first > known + 1:
            return Outcome.GAP
        try:
            self.bids.update(event.bids)
            self.asks.update(event.asks)
        except (ArithmeticError, ValueError) as error:
            raise VenueUnavailable(f"an event of {self.symbol} makes no sense: {error}") from error
        self.update_id = event.last
        return Outcome.APPLIED

    def forget(self) -> None:
        """Know nothing any more."""
        self.update_id = None

    @property
    def is_crossed(self) -> bool:
        """Whether the best bid is not below the best ask: no venue shows such a book, so it is not right."""
        bid, ask = self.bids.touch(), self.asks.touch()
        return bid is not None and ask is not None and bid >= ask

    def window(self) -> int:
        """Return how many levels are known on the side that shows fewer, of the sides that go on beyond."""
        return min(
            (len(side.prices) for side in (self.bids, self.asks) if side.edge is not None),
            default=max(len(self.bids.prices), len(self.asks.prices)),
        )

    def shows(self, depth: int) -> bool:
        """Whether `depth` levels a side can be shown, or all there are."""
        return all(side.edge is None or len(side.prices) >= depth for side in (self.bids, self.asks))

    def book(self, depth: int, at: datetime) -> OrderBook:
        """Return at most `depth` levels a side as they were `at`; the book is known.

        It is complete where both sides are, and nothing was cut off.
        """
        assert self.update_id is not None
        return OrderBook(
            symbol=self.symbol,
            bids=self.bids.best(depth),
            asks=self.asks.best(depth),
            update_id=self.update_id,
            at=at,
            complete=all(side.edge is None and len(side.prices) <= depth for side in (self.bids, self.asks)),
        )
