"""An order book as it stood at one moment, in exact decimals."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from operator import itemgetter
from typing import NamedTuple

from etf_trader.errors import CrossedBook, MissingPrice
from etf_trader.market.symbol import Side, SymbolRule

_QUANTITY = itemgetter(1)


class Level(NamedTuple):
    """Everything on offer at one price: quote per base, and base."""

    price: Decimal
    quantity: Decimal


@dataclass(frozen=True, slots=True)
class OrderBook:
    """Both sides of one symbol, best price first.

    `complete` says that nothing lies beyond the last level shown; otherwise the
    levels are a window of a deeper book.
    """

    symbol: str
    bids: tuple[Level, ...]
    asks: tuple[Level, ...]
    update_id: int
    at: datetime
    complete: bool = False

    def offers(self, side: Side) -> tuple[Level, ...]:
        """Return the levels that a trade of ours on `side` would take, best first."""
        return self.asks if side is Side.BUY else self.bids

    def accepted(self, side: Side, rule: SymbolRule) -> tuple[tuple[Level, ...], bool]:
        """Return what a trade of ours on `side` may take, within the venue's price bounds, best first.

        And whether nothing that it could take lies beyond.

        Raises:
            MissingPrice: a side is empty.
            CrossedBook: the best bid is not below the best ask.
        """
        mid, offers = self.mid, self.offers(side)
        if not all(map(_QUANTITY, offers)):
            offers = tuple(level for level in offers if level.quantity)
        if not rule.has_price_bounds:
            return offers, self.complete
        low, high = rule.price_bounds(side, mid)
        levels = tuple(level for level in offers if low <= level.price and (not high or level.price <= high))
        return levels, self.complete or len(levels) < len(offers)

    @property
    def mid(self) -> Decimal:
        """The exact mean of best bid and best ask.

        Raises:
            MissingPrice: a side is empty.
            CrossedBook: the best bid is not below the best ask.
        """
        if not self.bids or not self.asks:
            side = "bids" if not self.bids else "asks"
            raise MissingPrice(f"{self.symbol} has no {side}: there is no price", where=self.symbol)
        bid, ask = self.bids[0].price, self.asks[0].price
        if bid >= ask:
            raise CrossedBook(f"{self.symbol} is crossed: bid {bid} is not below ask {ask}", where=self.symbol)
        return (bid + ask) / 2

    @property
    def price(self) -> Decimal | None:
        """The mid; of a book with one side its best price; None without any.

        Raises:
            CrossedBook: the best bid is not below the best ask.
        """
        if self.bids and self.asks:
            return self.mid
        return next((side[0].price for side in (self.bids, self.asks) if side), None)
