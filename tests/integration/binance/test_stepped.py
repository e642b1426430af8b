"""A local server whose clock stands still is moved by who trades there, and by nobody who may not."""

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal

import pytest
from tests.contract.wire import UID
from tests.unit.venue.test_paper_venue import make_market

from etf_trader.cli import doctor_binance
from etf_trader.database import Database
from etf_trader.errors import ConfigError, RateLimited, VenueUnavailable
from etf_trader.exchange.paper import ExchangeSettings, PaperExchange
from etf_trader.exchange.server.app import Address, serving
from etf_trader.exchange.server.gateway import ServerSettings
from etf_trader.exchange.server.keys import add_key
from etf_trader.exchange.static import StaticMarket
from etf_trader.market.symbol import Side
from etf_trader.venue.binance.environments import LOCAL, environment
from etf_trader.venue.binance.keys import Keys, Secret
from etf_trader.venue.binance.rest_depth import RestDepth
from etf_trader.venue.binance.stepper import Stepper
from etf_trader.venue.binance.stream import UserStream
from etf_trader.venue.binance.streamed_books import StreamedBooks
from etf_trader.venue.binance.timekeeping import SteppedTime
from etf_trader.venue.binance.venue import BinanceVenue
from etf_trader.venue.interface import LimitOrder, OrderKind, Report, VenueOrderStatus


@asynccontextmanager
async def served(
    folder: Path, clock: Literal["wall", "stepped"] = "stepped"
) -> AsyncIterator[tuple[PaperExchange, Address, Stepper]]:
    """Serve an exchange, with what moves it."""
    database = Database(f"sqlite:///{folder / 'exchange.db'}")
    exchange = PaperExchange.create(database, ExchangeSettings(clock, "static", {}), make_market(), account=UID)
    async with serving(exchange, ServerSettings(weight=7_000), admin_port=0) as address:
        token = folder / "token"
        token.write_text(address.admin_token + "\n")
        yield exchange, address, Stepper(address.admin, token)
    exchange.close()


def venue_at(exchange: PaperExchange, address: Address, stepper: Stepper) -> BinanceVenue:
    with exchange.database.write() as connection:
        made = add_key(connection, UID, exchange.now())
    keys = Keys(Secret(made.api_key), Secret(made.secret), "test")
    clock = SteppedTime(stepper.move)
    venue = BinanceVenue(environment(LOCAL, address.url), keys, clock=clock)
    clock.call_when_moved(venue.hear_out)
    return venue


def market_of(exchange: PaperExchange) -> StaticMarket:
    """Return the market of an exchange, whose books a test changes."""
    market = exchange._market
    assert isinstance(market, StaticMarket)
    return market


async def test_it_tells_the_time_and_moves_it(tmp_path: Path) -> None:
    async with served(tmp_path) as (exchange, _, stepper):
        began = exchange.now()
        assert await asyncio.to_thread(stepper.now) == began
        assert await stepper.move(0.25) == began + timedelta(seconds=0.25)
        assert exchange.now() == began + timedelta(seconds=0.25)
        assert await asyncio.to_thread(stepper.weight) == 7_000


async def test_sleeping_and_a_batch_move_the_server_and_our_clock_with_it(tmp_path: Path) -> None:
    async with served(tmp_path) as (exchange, address, stepper):
        venue, began = venue_at(exchange, address, stepper), exchange.now()
        await venue.clock().sleep(90)
        await venue.batch_done()
        assert exchange.now() == venue.clock().now() == began + timedelta(seconds=91)
        exchange.advance(Decimal(5))  # somebody else does
        assert await venue.server_time() == began + timedelta(seconds=96)
        await venue.close()


async def test_a_window_that_is_full_is_over_when_the_clock_was_moved_and_not_before(tmp_path: Path) -> None:
    async with served(tmp_path) as (exchange, address, stepper):
        venue = venue_at(exchange, address, stepper)
        await venue.balances()
        with pytest.raises(RateLimited) as limited:
            for _ in range(40):
                await venue.books(["AUSDT"], 5000)
        assert 0 < limited.value.retry_after <= 60
        with pytest.raises(RateLimited, match="left alone") as silent:
            await venue.books(["AUSDT"], 5)
        assert silent.value.retry_after == limited.value.retry_after
        await venue.clock().sleep(silent.value.retry_after)
        assert await venue.books(["AUSDT"], 5)
        await venue.close()


async def test_a_move_is_over_when_the_fills_that_fell_due_were_heard(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    receive = UserStream._receive

    async def slowly(stream: UserStream, socket: Any, seconds: float) -> Mapping[str, Any]:
        found = await receive(stream, socket, seconds)
        await asyncio.sleep(0.02)
        return found

    monkeypatch.setattr(UserStream, "_receive", slowly)
    async with served(tmp_path) as (exchange, address, stepper):
        venue, heard = venue_at(exchange, address, stepper), list[Report]()
        venue.subscribe(heard.append)
        exchange.deposit(UID, "USDT", Decimal(1000), "first")
        for number in range(2):
            order = LimitOrder(
                symbol="AUSDT",
                side=Side.BUY,
                quantity=Decimal(1),
                price=Decimal(90),
                client_order_id=f"etf-{number}",
                granted_at=await venue.server_time(),
                window_seconds=2,
                kind=OrderKind.POST_ONLY,
            )
            await venue.place(order)
            market_of(exchange).set_book("AUSDT", [("80", "1")], [("89", "5")])
            await venue.clock().sleep(0.5)
            assert heard[-1].order.client_order_id == order.client_order_id
            assert heard[-1].order.status is VenueOrderStatus.FILLED
            market_of(exchange).set_book("AUSDT", [("80", "1")], [("100", "5")])
            await venue.clock().sleep(0.5)
        await venue.close()


async def test_who_cannot_follow_the_stream_waits_for_it_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "etf_trader.venue.binance.stream")
    monkeypatch.setattr("etf_trader.venue.binance.stream.ANSWER_SECONDS", 0.1)
    async with served(tmp_path) as (exchange, address, stepper):
        venue = venue_at(exchange, address, stepper)
        venue.environment = replace(venue.environment, user="ws://127.0.0.1:9/ws-api/v3")
        venue.subscribe(lambda _: None)
        venue.client()
        for _ in range(5):
            await venue.clock().sleep(1)
        assert [each.message for each in caplog.records].count("the user stream was not heard out: ") == 1
        await venue.close()


async def test_books_of_a_stepped_server_are_read_however_long_one_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("etf_trader.venue.binance.streamed_books.FOLLOW_AFTER", 0.0)
    async with served(tmp_path) as (exchange, address, stepper):
        venue = venue_at(exchange, address, stepper)
        books = StreamedBooks(venue.environment.streams, RestDepth(venue), venue.clock(), are_followed=False)
        venue.read_books_from(books)
        for _ in range(3):
            await venue.batch_done()
            book = (await venue.books(["AUSDT"], 5))["AUSDT"]
            assert book.at == exchange.now()
        await venue.close()


async def test_who_has_no_token_moves_nothing(tmp_path: Path) -> None:
    async with served(tmp_path) as (exchange, address, _):
        began = exchange.now()
        with pytest.raises(ConfigError, match="cannot be read"):
            await Stepper(address.admin, tmp_path / "nowhere").move(1)
        (tmp_path / "other").write_text("guessed")
        with pytest.raises(ConfigError, match="another server's"):
            await Stepper(address.admin, tmp_path / "other").move(1)
        assert exchange.now() == began


async def test_real_time_is_moved_by_nobody(tmp_path: Path) -> None:
    async with served(tmp_path, "wall") as (_, _, stepper):
        with pytest.raises(ConfigError, match="machine's clock"):
            await asyncio.to_thread(stepper.now)
        with pytest.raises(VenueUnavailable, match="wall clock"):
            await stepper.move(1)


async def test_a_server_that_is_not_there_is_told_of(tmp_path: Path) -> None:
    async with served(tmp_path) as (_, _, stepper):
        pass
    with pytest.raises(VenueUnavailable, match="does not answer"):
        await stepper.move(1)


async def test_doctor_says_that_the_time_stands(tmp_path: Path) -> None:
    async with served(tmp_path) as (exchange, address, stepper):
        venue = venue_at(exchange, address, stepper)
        rows = [row async for row in doctor_binance.clock_rows(venue)]
        assert [(row.check, row.state) for row in rows] == [("venue clock", "ok")]
        assert "until somebody moves it" in rows[0].found
        await venue.close()
