"""What was traded, as streams tell it: trades, candles and tickers beside their look-ups."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from tests.integration.server.stream_clients import connected, streams

from etf_trader.database import Database
from etf_trader.exchange.model import ModelMarket
from etf_trader.exchange.paper import ExchangeSettings, OrderRequest, PaperExchange
from etf_trader.exchange.server.app import serving
from etf_trader.exchange.server.candles import Interval, candles

D = Decimal
MARKET = ModelMarket(3)


@pytest.fixture
def exchange(tmp_path: Path) -> Iterator[PaperExchange]:
    """The model market on the stepped clock, and an account of 100,000 USDT."""
    database = Database(f"sqlite:///{tmp_path / 'exchange.db'}")
    made = PaperExchange.create(
        database, ExchangeSettings("stepped", "model", {"seed": 3}), MARKET, account="one", tape_ids=True
    )
    made.deposit("one", "USDT", D(100_000), "start")
    made.advance(86_400)
    yield made
    made.close()


def buy(exchange: PaperExchange, quantity: str) -> None:
    best = exchange.depth("BTCUSDT", 1).asks[0].price
    exchange.place(
        "one",
        OrderRequest("BTCUSDT", "BUY", "LIMIT", "IOC", D(quantity), best + 50, "mine", exchange.now()),
    )


def at(milliseconds: int) -> datetime:
    return datetime.fromtimestamp(milliseconds / 1000, UTC)


@pytest.mark.parametrize(("kind", "number"), [("trade", "t"), ("aggTrade", "a")])
async def test_every_trade_is_told_once_as_it_can_be_looked_up(
    exchange: PaperExchange, kind: str, number: str
) -> None:
    async with streams(exchange) as (hub, address), connected(address, f"ws/btcusdt@{kind}") as client:
        last = exchange.recent_trades("BTCUSDT", 1)[-1].trade_id
        for seconds in (0, 1, 7, 0, 30):
            exchange.advance(seconds)
            buy(exchange, "0.01")
            await hub.look()
        told = await client.heard()
        known = exchange.recent_trades("BTCUSDT", 1000, last + 1)
        assert len(known) >= 38
        assert [(each[number], D(each["p"]), D(each["q"]), each["m"]) for each in told] == [
            (each.trade_id, each.price, each.quantity, each.is_buyer_maker) for each in known
        ]
        assert [each["T"] for each in told] == [int(each.at.timestamp() * 1000) for each in known]
        assert {each["e"] for each in told} == {kind}
        own = {each.trade_id for each in exchange.trades("one")}
        assert own <= {each[number] for each in told}


async def test_trades_of_any_span_are_looked_up_to_the_last_of_its_milliseconds(exchange: PaperExchange) -> None:
    buy(exchange, "0.01")
    exchange.advance(5)
    async with serving(exchange) as address, aiohttp.ClientSession() as session:

        async def asked(**span: int) -> list[dict[str, Any]]:
            query = {"symbol": "BTCUSDT"} | {name: str(value) for name, value in span.items()}
            async with session.get(f"{address.url}/api/v3/aggTrades", params=query) as answer:
                found: list[dict[str, Any]] = await answer.json()
                return found

        start = exchange.now() - timedelta(hours=2)
        first = int(start.timestamp() * 1000)
        told = await asked(startTime=first, endTime=first + 59_999, limit=1000)
        total = exchange.volume("one", "BTCUSDT", start, start + timedelta(minutes=1)).total
        assert sum(D(each["q"]) for each in told) == total > 0
        assert await asked(endTime=first + 59_999, limit=7) == told[-7:]
        assert await asked(startTime=first + 1000, limit=3) == told[1:4]
        assert await asked(startTime=first + 86_400_000) == []


async def test_a_move_by_hours_is_told_in_pieces_of_a_thousand_trades(exchange: PaperExchange) -> None:
    async with streams(exchange) as (hub, address), connected(address, "ws/btcusdt@trade") as client:
        exchange.advance(3600)
        pieces: list[list[dict[str, Any]]] = []
        while not pieces or pieces[-1]:
            await hub.look()
            pieces.append(await client.heard())
        assert [len(piece) for piece in pieces] == [1000, 1000, 1000, 600, 0]
        numbers = [each["t"] for piece in pieces for each in piece]
        assert all(later == earlier + 1 for earlier, later in pairwise(numbers))


@pytest.mark.parametrize("interval", ["1m", "5m", "1h", "1w", "1M"])
async def test_candles_are_told_as_they_change_and_once_more_when_they_close(
    exchange: PaperExchange, interval: str
) -> None:
    async with streams(exchange) as (hub, address), connected(address, f"ws/btcusdt@kline_{interval}") as client:
        began = exchange.now()
        for seconds in (1, 0, 59, 61, 3600):
            exchange.advance(seconds)
            buy(exchange, "0.01")
            await hub.look()
        told = [each["k"] for each in await client.heard()]
        length = Interval.named(interval)
        known = candles(exchange, "BTCUSDT", length, length.opening(began), exchange.now(), 1000)
        last: dict[int, dict[str, Any]] = {each["t"]: each for each in told}
        for view in known:
            each = last[int(view.at.timestamp() * 1000)]
            assert [D(each[name]) for name in "ohlcvq"] == [
                view.open,
                view.high,
                view.low,
                view.close,
                view.volume,
                view.quote_volume,
            ]
            assert at(each["T"] + 1) == length.after(view.at)
            assert each["x"] is (exchange.now() >= length.after(view.at))
        assert len(last) == len(known)
        assert [each["t"] for each in told] == sorted(each["t"] for each in told)
        assert all(count == 1 for count in closings(told).values())


def closings(told: list[dict[str, Any]]) -> dict[int, int]:
    found: dict[int, int] = {}
    for each in told:
        found[each["t"]] = found.get(each["t"], 0) + each["x"]
    return {opened: count for opened, count in found.items() if opened < told[-1]["t"]}


async def test_a_move_by_days_leaves_no_candle_out(exchange: PaperExchange) -> None:
    async with streams(exchange) as (hub, address), connected(address, "ws/btcusdt@kline_1m") as client:
        exchange.advance(86_400)
        told: list[dict[str, Any]] = [each["k"] for each in await client.heard()]
        for _ in range(3):
            await hub.look()
            told += [each["k"] for each in await client.heard()]
        opened = [each["t"] for each in told if each["x"]]
        assert opened == list(range(opened[0], opened[0] + 1440 * 60_000, 60_000))


async def test_a_ticker_is_told_when_it_changes_and_equals_the_look_up(exchange: PaperExchange) -> None:
    async with (
        streams(exchange) as (hub, address),
        connected(address, "ws/btcusdt@ticker") as full,
        connected(address, "ws/btcusdt@miniTicker") as mini,
    ):
        await hub.look()
        assert [len(await full.heard()), len(await mini.heard())] == [1, 1]
        buy(exchange, "0.01")
        await hub.look()
        (told,), (short,) = await full.heard(), await mini.heard()
        view = exchange.ticker("BTCUSDT")
        numbers = {
            "o": view.open,
            "h": view.high,
            "l": view.low,
            "c": view.last,
            "w": view.average,
            "v": view.volume,
            "q": view.quote_volume,
            "Q": view.last_quantity,
            "b": view.bid.price if view.bid else None,
            "A": view.ask.quantity if view.ask else None,
        }
        assert {name: D(told[name]) for name in numbers} == numbers
        assert (told["F"], told["L"], told["n"]) == (view.first_id, view.last_id, view.count)
        assert (at(told["O"]), at(told["C"])) == (view.opened, view.closed)
        assert view.open is not None and view.last is not None
        assert D(told["p"]) == view.last - view.open
        assert float(told["P"]) == pytest.approx(float(told["p"]) * 100 / float(view.open), abs=0.0006)
        assert {name: short[name] for name in "ohlcvq"} == {name: told[name] for name in "ohlcvq"}
        assert short["e"] == "24hrMiniTicker"


@pytest.mark.parametrize("kind", ["ticker", "miniTicker"])
async def test_the_tickers_of_all_come_in_one_array_of_those_that_changed(
    exchange: PaperExchange, kind: str
) -> None:
    symbols = {row["symbol"] for row in exchange.exchange_info()["symbols"]}
    async with streams(exchange) as (hub, address), connected(address, f"ws/!{kind}@arr") as client:
        (standing,) = await client.heard()
        assert {each["s"] for each in standing} == symbols
        await hub.look()
        assert await client.heard() == []
        buy(exchange, "0.01")
        await hub.look()
        assert [[each["s"] for each in array] for array in await client.heard()] == [["BTCUSDT"]]
        exchange.advance(1)
        await hub.look()
        assert len((await client.heard())[0]) > 1


async def test_what_stands_comes_to_who_joins_later_too(exchange: PaperExchange) -> None:
    names = ("btcusdt@ticker", "btcusdt@kline_1m", "btcusdt@depth5", "btcusdt@bookTicker")
    async with streams(exchange) as (hub, address), connected(address, "stream") as first:
        await first.ask("SUBSCRIBE", *names)
        exchange.advance(5)
        await hub.look()
        before = await first.heard()
        async with connected(address, "stream") as second:
            await second.ask("SUBSCRIBE", *names)
            assert sorted(each["stream"] for each in await second.heard()) == sorted(names)
            assert await second.heard() == await first.heard() == []
        assert len(before) == 8
