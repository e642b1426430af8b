"""Depth and spread as sums by hand."""

from datetime import UTC, datetime
from decimal import Decimal

from etf_trader.market.book import Level, OrderBook
from etf_trader.market.liquidity import depth_within, mid_of, spread_bps

D = Decimal
AT = datetime(2026, 1, 1, tzinfo=UTC)


def book(*, complete: bool = False) -> OrderBook:
    bids = (Level(D("99.95"), D(2)), Level(D("99.80"), D(3)))
    asks = (Level(D("100.05"), D(1)), Level(D("100.10"), D(4)))
    return OrderBook("X", bids, asks, 1, AT, complete)


def test_spread_is_in_bps_of_the_mid() -> None:
    assert mid_of(book()) == 100
    assert spread_bps(book()) == 10


def test_depth_is_what_stands_within_the_distance_the_edge_included() -> None:
    band = depth_within(book(), D(5))
    assert band is not None
    assert (band.bids, band.asks) == (D("199.90"), D("100.05"))
    band = depth_within(book(), D(10))
    assert band is not None
    assert (band.bids, band.asks) == (D("199.90"), D("500.45"))


def test_a_side_is_whole_where_a_level_beyond_was_seen_or_nothing_is_beyond() -> None:
    band = depth_within(book(), D(10))
    assert band is not None
    assert (band.bids_whole, band.asks_whole) == (True, False)
    band = depth_within(book(complete=True), D(10))
    assert band is not None
    assert (band.bids_whole, band.asks_whole) == (True, True)


def test_a_book_without_a_price_has_neither() -> None:
    empty = OrderBook("X", (), book().asks, 1, AT)
    crossed = OrderBook("X", (Level(D(101), D(1)),), book().asks, 1, AT)
    for each in (empty, crossed):
        assert mid_of(each) is None
        assert spread_bps(each) is None
        assert depth_within(each, D(5)) is None
