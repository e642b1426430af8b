"""The local book is the venue's, as far as it is known, or it says that it is not known."""

import gzip
import json
import os
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.venue.binance.true_book import START, TrueBook

from etf_trader.clock import SimulatedClock
from etf_trader.errors import VenueUnavailable
from etf_trader.market.book import Level
from etf_trader.venue.binance.depth import (
    DepthEvent,
    DepthSnapshot,
    Pairs,
    event_from,
    levels_of,
    limit_for,
    snapshot_from,
)
from etf_trader.venue.binance.local_book import LocalBook, Outcome

D = Decimal
DATA = Path(os.environ.get("ETF_TEST_DATA", Path(__file__).parents[4].parent / "shared" / "data"))
RECORDINGS = DATA / "recordings-2024"


def snapshot(limit: int = 3, update_id: int = 10) -> DepthSnapshot:
    bids = (Level(D("99"), D(1)), Level(D("98"), D(2)), Level(D("97"), D(3)))
    asks = (Level(D("100"), D(1)), Level(D("101"), D(2)), Level(D("102"), D(3)))
    return DepthSnapshot("X", limit, update_id, bids, asks, START)


def event(first: int, last: int, bids: Pairs | None = None, asks: Pairs | None = None) -> DepthEvent:
    return DepthEvent("X", first, last, bids or [], asks or [])


def known(limit: int = 3) -> LocalBook:
    book = LocalBook("X")
    assert book.begin(snapshot(limit), ())
    return book


def test_nothing_is_known_before_a_snapshot() -> None:
    book = LocalBook("X")
    assert not book.is_known
    assert book.apply(event(1, 2)) is Outcome.GAP


def test_events_set_quantities_and_zero_removes_a_level_whatever_its_decimals() -> None:
    book = known()
    assert book.apply(event(11, 12, [("99.00", "5.0")], [("100.00", "0.00")])) is Outcome.APPLIED
    shown = book.book(5, START)
    assert shown.bids[0] == (D(99), D(5))
    assert shown.asks[0] == (D(101), D(2))
    assert shown.update_id == 12


def test_removing_a_level_that_is_not_there_is_normal() -> None:
    book = known()
    assert book.apply(event(11, 11, [("98.5", "0.00000000")])) is Outcome.APPLIED
    assert len(book.book(5, START).bids) == 3


def test_an_event_that_ends_before_the_book_is_old_and_one_that_overlaps_is_taken() -> None:
    book = known()
    assert book.apply(event(5, 10, [("99", "7")])) is Outcome.OLD
    assert book.apply(event(8, 11, [("99", "8")])) is Outcome.APPLIED
    assert book.book(1, START).bids[0].quantity == 8


def test_a_gap_makes_the_book_unknown_until_a_snapshot() -> None:
    book = known()
    assert book.apply(event(12, 13)) is Outcome.GAP
    assert not book.is_known
    assert book.apply(event(14, 14)) is Outcome.GAP
    assert book.begin(snapshot(update_id=20), [event(14, 18), event(19, 21, [("99", "4")])])
    assert book.book(1, START).bids[0].quantity == 4


def test_a_snapshot_older_than_its_first_event_does_not_fit() -> None:
    book = LocalBook("X")
    assert not book.begin(snapshot(update_id=10), [event(12, 14)])
    assert not book.is_known


@pytest.mark.parametrize(("price", "quantity"), [("nonsense", "1"), ("99", "NaN"), ("99", "-1")])
def test_an_event_that_makes_no_sense_makes_the_book_unknown(price: str, quantity: str) -> None:
    book = known()
    with pytest.raises(VenueUnavailable, match="makes no sense"):
        book.apply(event(11, 11, [(price, quantity)]))
    assert not book.is_known


def test_what_lies_beyond_the_window_stays_unknown() -> None:
    book = known(limit=3)
    book.apply(event(11, 11, [("50", "9"), ("98.5", "1")], [("180", "9")]))
    shown = book.book(10, START)
    assert [level.price for level in shown.bids] == [D(99), D("98.5"), D(98), D(97)]
    assert [level.price for level in shown.asks] == [D(100), D(101), D(102)]
    assert not shown.complete
    assert book.shows(3)
    assert not book.shows(4)


def test_a_side_with_fewer_levels_than_asked_for_is_known_whole() -> None:
    book = known(limit=100)
    book.apply(event(11, 11, [("50", "9")]))
    shown = book.book(10, START)
    assert shown.complete
    assert shown.bids[-1].price == 50
    assert not book.book(2, START).complete


def test_crossed_prices_are_noticed() -> None:
    book = known()
    assert not book.is_crossed
    book.apply(event(11, 11, [("100.5", "1")]))
    assert book.is_crossed


def test_snapshots_are_asked_for_as_deep_as_costs_no_more() -> None:
    asked = {1: 100, 100: 100, 101: 500, 501: 1000, 1001: 5000, 9000: 5000}
    assert {depth: limit_for(depth) for depth in asked} == asked


def test_messages_that_are_something_else_are_refused() -> None:
    with pytest.raises(VenueUnavailable):
        event_from('{"e":"trade"}')
    with pytest.raises(VenueUnavailable):
        snapshot_from("X", 5, '{"lastUpdateId":1,"bids":[["1","x"]],"asks":[]}', START)


@given(seed=st.integers(0, 10_000), limit=st.integers(1, 40), sizes=st.lists(st.integers(1, 4), max_size=60))
def test_a_whole_feed_gives_the_true_book_level_by_level(seed: int, limit: int, sizes: list[int]) -> None:
    truth = TrueBook("X", SimulatedClock(START), seed)
    book = LocalBook("X")
    assert book.begin(truth.snapshot(limit, START), ())
    for size in sizes:
        for _ in range(size):
            truth.change()
        change = truth.event()
        assert change is not None
        assert book.apply(change) is Outcome.APPLIED
        shown, right = book.book(1000, START), truth.book(1000)
        assert shown.update_id == truth.update_id
        assert shown.bids == right.bids[: len(shown.bids)]
        assert shown.asks == right.asks[: len(shown.asks)]
        if book.bids.edge is None:
            assert shown.bids == right.bids
        else:
            assert all(level.price < book.bids.edge for level in right.bids[len(shown.bids) :])


@pytest.mark.skipif(
    not RECORDINGS.is_dir(), reason="recordings absent: set ETF_TEST_DATA to the folder that holds recordings-2024"
)
@pytest.mark.parametrize("symbol", ["BTCUSDT", "ETHUSDT"])
def test_a_recorded_feed_gives_the_best_prices_that_the_venue_told_beside_it(symbol: str) -> None:
    book, checked = LocalBook(symbol), 0
    held: list[DepthEvent] = []
    tickers: dict[int, tuple[str, str, str, str]] = {}
    with gzip.open(RECORDINGS / f"spot_{symbol.lower()}_20240808.gz", "rt") as lines:
        for line in lines:
            message = json.loads(line.partition(" ")[2])
            data = message.get("data", message)
            if "lastUpdateId" in data:
                bids, asks = levels_of(data["bids"]), levels_of(data["asks"])
                assert book.begin(DepthSnapshot(symbol, 1000, data["lastUpdateId"], bids, asks, START), held)
            elif data.get("e") == "depthUpdate":
                change = DepthEvent(symbol, data["U"], data["u"], data["b"], data["a"], data["E"])
                held.append(change)
                if book.is_known:
                    assert book.apply(change) is Outcome.APPLIED
                    told = tickers.get(data["u"])
                    if not book.shows(1):
                        break  # the market has left the window of the one snapshot there is
                    if told is not None:
                        shown = book.book(1, START)
                        best = (*shown.bids[0], *shown.asks[0])
                        assert best == tuple(map(D, told))
                        checked += 1
            elif "bookTicker" in message.get("stream", ""):
                tickers[data["u"]] = (data["b"], data["B"], data["a"], data["A"])
    assert checked > 100
