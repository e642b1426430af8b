"""How much a book holds near its mid: what a trade would meet."""

from dataclasses import dataclass
from decimal import Decimal

from etf_trader.errors import DataError
from etf_trader.market.book import Level, OrderBook
from etf_trader.money import BPS, ONE, ZERO, bps

BANDS = tuple(map(Decimal, (5, 10, 25, 50, 100)))
"""Distances from the mid, in bps, that depth is told for."""


@dataclass(frozen=True, slots=True)
class BandDepth:
    """What each side holds within `distance_bps` of the mid, in the quote asset.

    A side that is not whole has at least so much: the levels shown end inside the band.
    """

    distance_bps: Decimal
    bids: Decimal
    asks: Decimal
    bids_whole: bool
    asks_whole: bool


def mid_of(book: OrderBook) -> Decimal | None:
    """Return the mid, or None where the book has no price: one-sided, empty or crossed."""
    try:
        return book.mid
    except DataError:
        return None


def spread_bps(book: OrderBook) -> Decimal | None:
    """Return best ask less best bid in bps of the mid; None where there is no price."""
    mid = mid_of(book)
    return None if mid is None else bps(book.asks[0].price - book.bids[0].price, mid)


def depth_within(book: OrderBook, distance_bps: Decimal) -> BandDepth | None:
    """Return what stands within a distance of the mid; None where there is no price."""
    mid = mid_of(book)
    if mid is None:
        return None
    low, high = mid * (ONE - distance_bps / BPS), mid * (ONE + distance_bps / BPS)
    return BandDepth(
        distance_bps,
        _value([level for level in book.bids if level.price >= low]),
        _value([level for level in book.asks if level.price <= high]),
        bids_whole=book.complete or book.bids[-1].price < low,
        asks_whole=book.complete or book.asks[-1].price > high,
    )


def _value(levels: list[Level]) -> Decimal:
    return sum((level.price * level.quantity for level in levels), ZERO)
