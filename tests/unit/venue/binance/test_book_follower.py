"""Whatever a feed loses, repeats or reorders: a followed book is the venue's own, or is known to be lost."""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.venue.binance.true_book import START, TrueBook

from etf_trader.clock import SimulatedClock
from etf_trader.errors import RateLimited, StaleQuote, VenueUnavailable
from etf_trader.money import money_context
from etf_trader.venue.binance import book_follower
from etf_trader.venue.binance.book_follower import BEHIND, MOST_OLD, BookFollower
from etf_trader.venue.binance.book_source import BookSource, Switch
from etf_trader.venue.binance.depth import DepthEvent, DepthSnapshot
from etf_trader.venue.market_data import Source, Sourced

STREAM = "x@depth@100ms"


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(book_follower, "LEAST_WAIT", 0.0)


@dataclass
class Wire:
    """Where the streams would be: a test says what comes out of it."""

    renewed: list[str] = field(default_factory=list)
    trouble: str | None = None

    async def add(self, streams: Iterator[str]) -> None:
        """Nothing flows until the test says so."""

    def check(self) -> None:
        """Nothing dies."""

    def renew(self, stream: str, why: str) -> None:
        self.renewed.append(why)

    async def close(self) -> None:
        """Nothing is open."""


@dataclass
class Reader:
    """Answers with the true book, as soon as the test lets it."""

    truth: TrueBook
    failures: list[Exception] = field(default_factory=list)
    asked: list[int] = field(default_factory=list)
    gate: asyncio.Event = field(default_factory=asyncio.Event)
    hooks: list[Any] = field(default_factory=list)
    is_early: bool = False
    """Whether it answers with the book as it was when it was asked, however late the answer comes."""

    async def depth(self, symbol: str, limit: int) -> DepthSnapshot:
        at = self.truth.clock.now()
        self.asked.append(limit)
        early = self.truth.snapshot(limit, at)
        await self.gate.wait()
        for hook in self.hooks:
            hook()
        if self.failures:
            raise self.failures.pop()
        snapshot = early if self.is_early else self.truth.snapshot(limit, at)
        await asyncio.sleep(0)
        return snapshot


class Bench:
    """A follower of X, its true book, and the wire between them."""

    def __init__(self, seed: int = 0) -> None:
        self.clock = SimulatedClock(START)
        self.truth = TrueBook("X", self.clock, seed)
        self.reader = Reader(self.truth)
        self.reader.gate.set()
        self.follower = BookFollower("ws://nowhere", self.reader, self.clock)
        self.wire = Wire()
        self.follower._streams = self.wire  # type: ignore[assignment]

    async def start(self) -> None:
        await self.follower.follow(["X"])
        self.follower.live([STREAM])
        await settle()

    def tell(self, event: DepthEvent) -> None:
        self.follower.message(STREAM, msgspec.Raw(msgspec.json.encode(event)), "", self.clock.now())

    def change(self, updates: int = 1) -> DepthEvent:
        for _ in range(updates):
            self.truth.change()
        event = self.truth.event()
        assert event is not None
        return event

    def check(self) -> bool:
        """Hold the followed book against the venue's; return whether it is known."""
        book = self.follower.book("X", 1000)
        if book is None:
            return False
        right = self.truth.book(1000, book.update_id)
        assert book.bids == right.bids[: len(book.bids)]
        assert book.asks == right.asks[: len(book.asks)]
        left = self.truth.until.get(book.update_id)
        assert left is None or book.at <= left, "it says that it was right when it was no more"
        return True


async def settle() -> None:
    """Let every task run that can."""
    for _ in range(30):
        await asyncio.sleep(0)


ACTIONS = st.lists(
    st.sampled_from(
        (
            "tell",
            "tell",
            "tell",
            "lose",
            "repeat",
            "swap",
            "cut",
            "hold",
            "let go",
            "fail",
            "refuse",
            "wait",
            "deepen",
            "early",
        )
    ),
    max_size=60,
)


@given(actions=ACTIONS, seed=st.integers(0, 10_000), sizes=st.integers(1, 4))
def test_a_followed_book_is_never_wrong_and_comes_right_again(actions: list[str], seed: int, sizes: int) -> None:
    async def play() -> None:
        bench = Bench(seed)
        follower, reader = bench.follower, bench.reader
        await bench.start()
        told: list[DepthEvent] = []

        def tell(*events: DepthEvent) -> None:
            for event in events:
                bench.tell(event)
                bench.check()
            told.extend(events)

        for action in actions:
            match action:
                case "tell":
                    tell(bench.change(sizes))
                case "lose":
                    bench.change(sizes)
                case "repeat" if told:
                    tell(told[-min(len(told), sizes)])
                case "swap":
                    first, second = bench.change(sizes), bench.change(sizes)
                    tell(second, first)
                case "cut":
                    follower.lost([STREAM], "the connection was cut")
                    assert not bench.check()
                    bench.change(sizes)
                    follower.live([STREAM])
                case "hold":
                    reader.gate.clear()
                case "let go":
                    reader.gate.set()
                case "early":
                    reader.is_early = not reader.is_early
                case "fail":
                    reader.failures.append(VenueUnavailable("no answer"))
                case "refuse":
                    reader.failures.append(RateLimited("slowly", retry_after=0.0))
                case "deepen":
                    task = asyncio.create_task(follower.deepen("X", 10))
                    task.add_done_callback(lambda done: done.cancelled() or done.exception())
                case _:
                    await settle()
            bench.check()
        reader.gate.set()
        reader.failures.clear()
        for _ in range(3):
            await settle()
            tell(bench.change())
        await settle()
        assert bench.check()
        book = follower.book("X", 1000)
        assert book is not None
        assert book.update_id == bench.truth.update_id
        await follower.close()

    with money_context():
        asyncio.run(play())


async def test_events_before_the_snapshot_are_held_and_applied_to_it() -> None:
    bench = Bench()
    bench.reader.gate.clear()
    await bench.start()
    for _ in range(5):
        bench.tell(bench.change(2))
    assert bench.follower.book("X", 10) is None
    bench.reader.gate.set()
    bench.reader.hooks.append(lambda: bench.tell(bench.change()))
    await settle()
    assert bench.check()
    assert bench.follower.following("X").snapshots == 1


async def test_a_gap_costs_one_snapshot_and_is_counted() -> None:
    bench = Bench()
    await bench.start()
    bench.change()
    bench.tell(bench.change())
    assert bench.follower.book("X", 10) is None
    assert bench.follower.why_not("X") == "updates are missing"
    await settle()
    assert bench.check()
    assert (bench.follower.following("X").gaps, len(bench.reader.asked)) == (1, 2)


async def test_a_venue_that_counts_anew_is_noticed() -> None:
    bench = Bench()
    await bench.start()
    for number in range(MOST_OLD):
        bench.tell(DepthEvent("X", number, number, [], []))
    assert bench.follower.book("X", 10) is None


async def test_a_window_is_renewed_when_the_market_moves_to_its_edge() -> None:
    bench = Bench(seed=3)
    await bench.start()
    bench.follower.following("X").limit = 10
    bench.follower.following("X").book.forget()
    bench.follower.live([STREAM])
    await settle()
    for _ in range(300):
        bench.tell(bench.change())
        await settle()
        assert bench.check()
        assert bench.follower.following("X").book.shows(5)
    assert bench.reader.asked.count(10) > 1


async def test_a_window_that_the_market_has_left_is_no_book() -> None:
    bench = Bench()
    await bench.start()
    following = bench.follower.following("X")
    following.limit = 2
    following.book.forget()
    bench.follower.live([STREAM])
    await settle()
    bench.reader.gate.clear()
    gone = [(f"{price}", "0") for price in following.book.bids.prices]
    bench.tell(DepthEvent("X", bench.truth.update_id + 1, bench.truth.update_id + 1, gone, []))
    assert following.book.is_known
    assert bench.follower.book("X", 10) is None
    assert bench.follower.why_not("X") == "the market has moved to the edge of its window"


async def source(bench: Bench) -> tuple[BookSource, list[Switch]]:
    switches: list[Switch] = []
    await bench.start()
    return BookSource(bench.reader, bench.clock, bench.follower, told=switches.append), switches


async def one(books: BookSource, depth: int = 10) -> Sourced:
    seen = (await books.look(["X"], depth))["X"]
    assert isinstance(seen, Sourced), seen
    return seen


async def test_a_book_comes_from_the_stream_while_it_is_young() -> None:
    bench = Bench()
    books, switches = await source(bench)
    bench.tell(bench.change())
    asked = len(bench.reader.asked)
    seen = await one(books)
    assert (seen.source, seen.book.update_id) == (Source.STREAM, bench.truth.update_id)
    assert len(bench.reader.asked) == asked
    assert not switches


async def test_a_quiet_book_is_confirmed_by_one_question() -> None:
    bench = Bench()
    books, switches = await source(bench)
    bench.clock.advance(timedelta(minutes=1))
    seen = await one(books)
    assert seen.source is Source.STREAM
    assert seen.age == timedelta(0)
    assert not switches


async def test_a_stream_that_stands_still_is_replaced_by_rest_and_opened_again() -> None:
    bench = Bench()
    books, switches = await source(bench)
    bench.change()
    bench.clock.advance(timedelta(seconds=6))
    seen = await one(books)
    assert (seen.source, seen.book.update_id) == (Source.REST, bench.truth.update_id)
    bench.clock.advance(BEHIND)
    await one(books)
    assert bench.wire.renewed == ["its stream stood still"]
    bench.follower.lost([STREAM], "its stream stood still")
    bench.follower.live([STREAM])
    await settle()
    assert (await one(books)).source is Source.STREAM
    assert [str(each) for each in switches] == [
        "X: books are read one by one, because its stream said nothing for 6.0 s",
        "X: back to the stream",
    ]


async def test_without_a_stream_books_are_read() -> None:
    bench = Bench()
    books, _ = await source(bench)
    bench.follower.lost([STREAM], "the connection was cut")
    bench.wire.trouble = "the connection was cut"
    assert (await one(books)).source is Source.REST


async def test_an_old_book_is_refused_when_nothing_younger_can_be_had() -> None:
    bench = Bench()
    books, _ = await source(bench)
    bench.clock.advance(timedelta(seconds=7, milliseconds=200))
    bench.reader.failures.append(VenueUnavailable("no answer"))
    with pytest.raises(StaleQuote) as refused:
        await books.books(["X"], 10)
    assert refused.value.message == (
        "the book of X is 7.2 s old, more than 5 s, and no younger one can be had: no answer"
    )


async def test_a_book_that_took_too_long_to_be_read_is_refused() -> None:
    bench = Bench()
    books = BookSource(bench.reader, bench.clock)
    bench.reader.hooks.append(lambda: bench.clock.advance(timedelta(seconds=6)))
    with pytest.raises(StaleQuote, match=r"took 6\.0 s to be read"):
        await books.books(["X"], 10)


async def test_a_deeper_book_is_asked_for_once_and_then_followed() -> None:
    bench = Bench()
    bench.truth.bids |= {key: key for key in list(bench.truth.bids)}
    books, _ = await source(bench)
    following = bench.follower.following("X")
    following.limit = 5
    following.book.forget()
    bench.follower.live([STREAM])
    await settle()
    assert not following.book.shows(20)
    seen = await one(books, 20)
    assert (seen.source, len(seen.book.bids)) == (Source.STREAM, 20)
    asked = len(bench.reader.asked)
    await one(books, 20)
    assert len(bench.reader.asked) == asked


async def test_a_deeper_snapshot_that_events_overtook_is_brought_up_to_them() -> None:
    bench = Bench()
    await source(bench)
    following = bench.follower.following("X")
    following.limit = 5
    following.book.forget()
    bench.follower.live([STREAM])
    await settle()
    bench.reader.gate.clear()
    bench.reader.is_early = True
    deeper = asyncio.create_task(bench.follower.deepen("X", 20))
    await settle()
    for _ in range(5):
        bench.tell(bench.change(2))
        assert bench.check()
    bench.reader.gate.set()
    await deeper
    assert following.book.shows(20)
    assert following.book.update_id == bench.truth.update_id
    assert bench.check()


async def test_a_snapshot_of_before_the_connection_broke_is_of_no_use() -> None:
    bench = Bench()
    bench.reader.gate.clear()
    bench.reader.is_early = True
    await bench.start()
    bench.follower.lost([STREAM], "the connection was cut")
    bench.change()
    bench.follower.live([STREAM])
    bench.reader.gate.set()
    await settle()
    book = bench.follower.book("X", 10)
    assert book is not None
    assert book.update_id == bench.truth.update_id


async def test_a_book_from_before_our_trade_is_not_handed_out() -> None:
    bench = Bench()
    books, _ = await source(bench)
    bench.tell(bench.change())
    traded = bench.clock.now()
    books.traded("X", traded)
    seen = await one(books)
    assert seen.source is Source.REST or seen.book.at > traded
    bench.clock.advance(timedelta(milliseconds=1))
    bench.tell(bench.change())
    assert (await one(books)).source is Source.STREAM
