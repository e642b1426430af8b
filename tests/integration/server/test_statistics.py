"""Candles of a second, windows and mean prices: the tape in few numbers, by REST and by streams."""

from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from tests.integration.server.stream_clients import connected, streams

from etf_trader.database import Database
from etf_trader.exchange.paper import ExchangeSettings, PaperExchange
from etf_trader.exchange.server.candles import Interval, candles
from etf_trader.exchange.server.parameters import milliseconds
from etf_trader.exchange.static import StaticMarket, symbol_row

D = Decimal
SECOND, MINUTE = 1, 60


@pytest.fixture
def trading(tmp_path: Path) -> Iterator[PaperExchange]:
    """An exchange whose clock is moved by hand, where others trade 0.5 BTC a second since an hour and a half."""
    market = StaticMarket(
        [symbol_row("BTCUSDT", "BTC", "USDT")], {"BTCUSDT": ((("99.98", "1"),), (("100.01", "1"),))}
    )
    market.set_volume("BTCUSDT", D("0.5"), market.start)
    database = Database(f"sqlite:///{tmp_path / 'exchange.db'}")
    made = PaperExchange.create(
        database, ExchangeSettings("stepped", "static", {"seed": 7}), market, tape_ids=True
    )
    made.deposit("paper", "USDT", D(1000), "start")
    made.advance(90 * MINUTE)
    yield made
    made.close()


@pytest.mark.parametrize("seconds", [1, 60, 180, 3600])
def test_a_candle_tells_the_trades_that_the_tape_has_in_it(trading: PaperExchange, seconds: int) -> None:
    now, interval = trading.now(), Interval(seconds)
    tape = trading.recent_trades("BTCUSDT", 10_000)
    start = interval.opening(now - timedelta(seconds=seconds))
    rows = candles(trading, "BTCUSDT", interval, start, now, 10)
    assert rows[-1].trade_count
    for row in rows:
        own = [each.trade_id for each in tape if row.at <= each.at < interval.after(row.at)]
        assert (row.first_id, row.last_id, row.trade_count) == (own[0], own[-1], len(own))


async def test_a_candle_of_a_second_comes_every_second_and_closes(trading: PaperExchange) -> None:
    async with streams(trading) as (hub, address), connected(address, "ws/btcusdt@kline_1s") as client:
        await client.heard()
        trading.advance(2 * SECOND)
        await hub.look()
        events = [each["k"] for each in await client.heard()]
    closed = [each for each in events if each["x"]]
    assert [(each["i"], each["n"], D(each["v"])) for each in closed] == [("1s", 1, D("0.5"))] * 2
    assert all(each["T"] - each["t"] == 999 for each in events)
    assert all(D(each[price]) % D("0.01") == 0 for each in events for price in "ohlc")


@pytest.mark.parametrize(("window", "hours"), [("1h", 1), ("1d", 24)])
async def test_a_window_begins_with_a_candle_and_has_its_trades(
    trading: PaperExchange, window: str, hours: int
) -> None:
    async with streams(trading) as (hub, address), connected(address, f"ws/btcusdt@ticker_{window}") as client:
        (first,) = await client.heard()
        trading.advance(MINUTE)
        await hub.look()
        (then,) = await client.heard()
    assert then["e"] == f"{window}Ticker"
    assert set(then) == set("eEspPohlcwvqOCFLn")
    assert then["n"] == then["L"] - then["F"] + 1
    assert then["L"] - first["L"] == 60
    assert D(then["v"]) == D("0.5") * then["n"]
    assert then["C"] == milliseconds(trading.now())
    if hours == 1:
        assert then["O"] == milliseconds(trading.now() - timedelta(hours=1))
        assert then["n"] == 3600


async def test_the_windows_of_all_symbols_are_those_that_changed(trading: PaperExchange) -> None:
    async with streams(trading) as (hub, address), connected(address, "stream?streams=!ticker_1h@arr") as client:
        (standing,) = await client.heard()
        await hub.look()
        assert await client.heard() == []
        trading.advance(SECOND)
        await hub.look()
        (changed,) = await client.heard()
    assert standing["stream"] == changed["stream"] == "!ticker_1h@arr"
    assert [each["s"] for each in changed["data"]] == ["BTCUSDT"]


async def test_the_mean_price_is_told_with_the_last_trade(trading: PaperExchange) -> None:
    async with streams(trading) as (hub, address), connected(address, "ws/btcusdt@avgPrice") as client:
        (standing,) = await client.heard()
        trading.advance(SECOND)
        await hub.look()
        (then,) = await client.heard()
    view = trading.avg_price("BTCUSDT")
    assert then == {
        "e": "avgPrice",
        "E": milliseconds(trading.now()),
        "s": "BTCUSDT",
        "i": "5m",
        "w": f"{view.price:.8f}",
        "T": milliseconds(view.closed),
    }
    assert then["T"] > standing["T"]


async def test_seconds_and_windows_are_told_by_rest_and_by_the_websocket_api(client: Any) -> None:
    rows = (await client.get("/api/v3/klines", symbol="BTCUSDT", interval="1s", limit=3)).json
    assert [row[0] - rows[0][0] for row in rows] == [0, 1000, 2000]
    bought = (await client.buy("1", "100")).json
    (row,) = (await client.get("/api/v3/klines", symbol="BTCUSDT", interval="1d", limit=1)).json
    assert (row[5], row[8]) == ("1.00000000", 1)
    told = (await client.get("/api/v3/ticker", symbol="BTCUSDT", windowSize="1h")).json
    (trade,) = bought["fills"]
    assert (told["firstId"], told["lastId"], told["count"]) == (trade["tradeId"], trade["tradeId"], 1)
