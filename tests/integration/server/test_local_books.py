"""Our books of a served exchange: bit for bit its own, for hours and while we trade, through cuts and stalls."""

import asyncio
import random
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from tests.integration.server.test_stream_follower import SYMBOLS, open_copy, send

from etf_trader.errors import DataError
from etf_trader.exchange.paper import PaperExchange
from etf_trader.exchange.recording import RecordingMarket
from etf_trader.exchange.server.app import Address, serving
from etf_trader.money import money_context
from etf_trader.venue.binance import book_follower, streamed_books
from etf_trader.venue.binance.book_follower import BookFollower
from etf_trader.venue.binance.book_source import BookSource
from etf_trader.venue.binance.book_stream import StreamSettings
from etf_trader.venue.binance.environments import LOCAL, environment
from etf_trader.venue.binance.market_data import BinanceMarketData
from etf_trader.venue.binance.rest_depth import RestDepth
from etf_trader.venue.binance.streamed_books import StreamedBooks
from etf_trader.venue.binance.venue import BinanceVenue
from etf_trader.venue.market_data import Source, Sourced, Wanted

QUICK = StreamSettings(least_wait=0.02, control_pause=0.21, quiet=1, answer_timeout=1, steady=0.5)
LEVELS = 5000
PATIENCE = 10.0


@pytest.fixture
def exchange(tmp_path: Path) -> Iterator[PaperExchange]:
    opened = open_copy(tmp_path)
    yield opened
    opened.close()


@pytest.fixture
async def address(exchange: PaperExchange) -> AsyncIterator[Address]:
    async with serving(exchange, admin_port=0) as served:
        yield served


@pytest.fixture
async def venue(address: Address) -> AsyncIterator[BinanceVenue]:
    made = BinanceVenue(environment(LOCAL, address.url), None)
    yield made
    await made.close()


class Admin:
    """Whoever may move the exchange, and break it."""

    def __init__(self, address: Address, session: aiohttp.ClientSession) -> None:
        self._base = f"http://{address.host}:{address.admin_port}"
        self._headers = {"Authorization": f"Bearer {address.admin_token}"}
        self._session = session

    async def post(self, path: str, **document: Any) -> Any:
        async with self._session.post(self._base + path, json=document, headers=self._headers) as answer:
            assert answer.status == 200, await answer.text()
            return await answer.json()

    async def advance(self, seconds: int) -> None:
        await self.post("/clock", seconds=seconds)


@pytest.fixture
async def admin(address: Address) -> AsyncIterator[Admin]:
    async with aiohttp.ClientSession() as session:
        yield Admin(address, session)


@pytest.fixture
async def follower(venue: BinanceVenue, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[BookFollower]:
    monkeypatch.setattr(book_follower, "LEAST_WAIT", 0.01)
    made = BookFollower(venue.environment.streams, RestDepth(venue), venue.clock(), QUICK)
    yield made
    await made.close()


async def until_same(follower: BookFollower, exchange: PaperExchange) -> None:
    """Wait until the followed books have come as far as the exchange's, and hold them against these."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + PATIENCE
    truth = exchange.depths(SYMBOLS, LEVELS)
    while True:
        books = {symbol: follower.book(symbol, LEVELS) for symbol in SYMBOLS}
        if all(
            book is not None and book.update_id == truth[name].update_id for name, book in books.items()
        ) and all(follower.following(symbol).book.shows(50) for symbol in SYMBOLS):
            break
        assert loop.time() < deadline, {
            name: (truth[name].update_id, book and book.update_id, follower.why_not(name))
            for name, book in books.items()
        }
        await asyncio.sleep(0.01)
    for symbol, book in books.items():
        assert book is not None
        assert [tuple(level) for level in book.bids] == list(truth[symbol].bids[: len(book.bids)])
        assert [tuple(level) for level in book.asks] == list(truth[symbol].asks[: len(book.asks)])
        following = follower.following(symbol)
        if following.book.bids.edge is None:
            assert len(book.bids) == len(truth[symbol].bids)


async def test_books_are_the_exchanges_own_for_hours_while_we_trade(
    exchange: PaperExchange, follower: BookFollower, admin: Admin
) -> None:
    draw = random.Random(11)
    await follower.follow(SYMBOLS)
    assert await follower.until_known(SYMBOLS, PATIENCE)
    began = exchange.now()
    while exchange.now() - began < timedelta(hours=3):
        await admin.advance(draw.choice((1, 5, 60, 600)))
        for _ in range(draw.randint(0, 2)):
            side = draw.choice(("BUY", "SELL"))
            life = draw.choice(("IOC", "GTC"))
            send(exchange, "one", draw.choice(SYMBOLS), side, draw.choice((-5, 0, 20)), 1, life)
        await until_same(follower, exchange)
    assert all(follower.following(symbol).gaps == 0 for symbol in SYMBOLS)


async def test_after_a_cut_books_are_not_known_until_they_are_right_again(
    exchange: PaperExchange, follower: BookFollower, admin: Admin
) -> None:
    await follower.follow(SYMBOLS)
    assert await follower.until_known(SYMBOLS, PATIENCE)
    for way in ("cut", "disconnect"):
        await admin.post(f"/streams/{way}")
        exchange.advance(30)
        loop = asyncio.get_running_loop()
        deadline = loop.time() + PATIENCE
        while follower.book(SYMBOLS[0], 1) is not None:
            assert loop.time() < deadline
            await asyncio.sleep(0.001)
        await until_same(follower, exchange)
        await admin.advance(7)
        await until_same(follower, exchange)


async def test_a_stream_that_is_held_is_replaced_by_rest_and_comes_back(
    exchange: PaperExchange, venue: BinanceVenue, admin: Admin
) -> None:
    told: list[str] = []
    data = BinanceMarketData(venue, told=lambda switch: told.append(str(switch)), settings=QUICK)
    await data.follow(SYMBOLS)
    await admin.advance(1)

    async def seen() -> Sourced:
        found = (await data.look(["BTCUSDT"], 10))["BTCUSDT"]
        assert isinstance(found, Sourced), found
        assert found.book.update_id == exchange.depth("BTCUSDT").update_id
        return found

    await admin.post("/streams/hold")
    await admin.advance(20)  # the venue's clock says that the last event is old
    await venue.client().sync()
    venue.clock().doubt()  # type: ignore[attr-defined]
    await venue.server_time()
    found = await seen()
    assert found.source is Source.REST
    await admin.post("/streams/let_go")
    loop = asyncio.get_running_loop()
    deadline = loop.time() + PATIENCE
    while (await seen()).source is not Source.STREAM:
        assert loop.time() < deadline
        await asyncio.sleep(0.1)
    assert told[-1] == "BTCUSDT: back to the stream"
    await data.close()


async def test_a_connection_is_renewed_before_its_day_is_over_and_nothing_is_missing(
    exchange: PaperExchange, venue: BinanceVenue, admin: Admin
) -> None:
    settings = StreamSettings(lifetime=0.7, control_pause=0.21)
    follower = BookFollower(venue.environment.streams, RestDepth(venue), venue.clock(), settings)
    await follower.follow(SYMBOLS)
    assert await follower.until_known(SYMBOLS, PATIENCE)
    loop = asyncio.get_running_loop()
    end = loop.time() + 4
    while loop.time() < end:
        await admin.advance(1)
        await until_same(follower, exchange)
    assert all((each.gaps, each.life) == (0, 0) for each in map(follower.following, SYMBOLS))
    assert len(follower._streams._opened) > 3
    await follower.close()


async def test_one_connection_carries_many_streams_and_takes_more_later(
    exchange: PaperExchange, venue: BinanceVenue, address: Address
) -> None:
    names = [row["symbol"] for row in exchange.exchange_info()["symbols"]]
    follower = BookFollower(venue.environment.streams, RestDepth(venue), venue.clock(), QUICK)
    await follower.follow(names[:20])
    await follower.follow(names)
    assert await follower.until_known(names, PATIENCE)
    assert follower.connections == 1
    await follower.close()


@pytest.mark.parametrize("depth", [100, 5000])
async def test_what_was_recorded_replays_as_the_same_books(
    exchange: PaperExchange, venue: BinanceVenue, admin: Admin, tmp_path: Path, depth: int
) -> None:
    truth: dict[str, dict[int, Any]] = {symbol: {} for symbol in SYMBOLS}
    draw = random.Random(3)
    enough = asyncio.Event()

    async def live() -> None:
        for step in range(25):
            await admin.advance(draw.choice((1, 5, 60)))
            for symbol in SYMBOLS:
                send(exchange, "one", symbol, draw.choice(("BUY", "SELL")), 5, 1, "IOC")
            for symbol, book in exchange.depths(SYMBOLS, LEVELS).items():
                truth[symbol][book.update_id] = book
            await asyncio.sleep(0.12)
            if step == 12:
                await admin.post("/streams/cut")
        enough.set()

    data = BinanceMarketData(venue, settings=QUICK)
    moving = asyncio.create_task(live())
    recorded = await data.record(
        SYMBOLS, tmp_path / "out", Wanted(None, depth), enough.is_set, lambda passed, updates: None
    )
    await moving
    await data.close()
    assert (recorded.gaps, recorded.snapshots) == (2, 4)
    assert recorded.updates > 20
    market = RecordingMarket(tmp_path / "out", recorded.exchange_info)
    assert {row["symbol"] for row in market.symbols()} == set(SYMBOLS)
    compared = 0
    for symbol in SYMBOLS:
        seen = set()
        for step in range(int((recorded.ended - recorded.began) / timedelta(seconds=0.05)) + 40):
            book = market.book(symbol, market.start + step * timedelta(seconds=0.05))
            right = truth[symbol].get(book.update_id)
            if right is None or book.update_id in seen:
                continue
            seen.add(book.update_id)
            assert book.bids[:50] == right.bids[: min(50, len(book.bids))]
            assert book.asks[:50] == right.asks[: min(50, len(book.asks))]
        compared += len(seen)
    assert compared > 10


async def test_execution_reads_books_by_rest_at_first_and_follows_them_when_it_stays(
    exchange: PaperExchange, venue: BinanceVenue, admin: Admin, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streamed_books, "FOLLOW_AFTER", 0.1)
    books = StreamedBooks(venue.environment.streams, RestDepth(venue), venue.clock(), QUICK)
    first = (await books.books(SYMBOLS, 100))["BTCUSDT"]
    assert first.update_id == exchange.depth("BTCUSDT").update_id
    await asyncio.sleep(0.2)
    await books.books(SYMBOLS, 100)
    loop = asyncio.get_running_loop()
    deadline = loop.time() + PATIENCE
    source = books._source
    while source.age("BTCUSDT") is None:
        assert loop.time() < deadline
        await asyncio.sleep(0.05)
    await admin.advance(1)
    await asyncio.sleep(0.1)
    found = (await books.books(SYMBOLS, 100))["BTCUSDT"]
    assert found.update_id == exchange.depth("BTCUSDT").update_id
    assert books._keeper is not None
    books._keeper.cancel()
    with suppress(asyncio.CancelledError):
        await books._keeper


def test_streams_end_with_their_event_loop(tmp_path: Path) -> None:
    async def work() -> None:
        opened = open_copy(tmp_path)
        async with serving(opened) as address:
            venue = BinanceVenue(environment(LOCAL, address.url), None)
            books = StreamedBooks(venue.environment.streams, RestDepth(venue), venue.clock(), QUICK)
            await books.books(SYMBOLS, 100)
            await asyncio.sleep(0.3)
            await books.books(SYMBOLS, 100)
            await venue.close()
        opened.close()

    with money_context(), pytest.MonkeyPatch.context() as patch:
        patch.setattr(streamed_books, "FOLLOW_AFTER", 0.1)
        asyncio.run(work())


async def test_a_server_that_stops_and_comes_again_is_followed_again(exchange: PaperExchange) -> None:
    async with serving(exchange) as address:
        venue = BinanceVenue(environment(LOCAL, address.url), None)
        follower = BookFollower(venue.environment.streams, RestDepth(venue), venue.clock(), QUICK)
        await follower.follow(SYMBOLS)
        assert await follower.until_known(SYMBOLS, PATIENCE)
    exchange.advance(100)
    loop = asyncio.get_running_loop()
    deadline = loop.time() + PATIENCE
    while follower.book(SYMBOLS[0], 1) is not None:
        assert loop.time() < deadline
        await asyncio.sleep(0.01)
    async with serving(exchange, port=address.port):
        await until_same(follower, exchange)
        await follower.close()
        await venue.close()


async def test_books_that_cannot_be_read_now_are_named_one_by_one(
    exchange: PaperExchange, venue: BinanceVenue
) -> None:
    data = BinanceMarketData(venue, settings=QUICK)
    seen = await data.look(["BTCUSDT", "NOPEUSDT"], 5)
    assert isinstance(seen["BTCUSDT"], Sourced)
    assert isinstance(seen["NOPEUSDT"], DataError)
    with pytest.raises(DataError, match="Invalid symbol"):
        await BookSource(RestDepth(venue), venue.clock()).books(["BTCUSDT", "NOPEUSDT"])
