"""Which names of streams mean what."""

import pytest

from etf_trader.exchange.server.stream_names import StreamName, parse


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("btcusdt@depth", StreamName("depth", "BTCUSDT", 1000)),
        ("btcusdt@depth@1000ms", StreamName("depth", "BTCUSDT", 1000)),
        ("btcusdt@depth@100ms", StreamName("depth", "BTCUSDT", 100)),
        ("btcusdt@depth5", StreamName("partial", "BTCUSDT", 1000, levels=5)),
        ("btcusdt@depth20@100ms", StreamName("partial", "BTCUSDT", 100, levels=20)),
        ("1000satsusdt@bookTicker", StreamName("bookTicker", "1000SATSUSDT", 100)),
        ("btcusdt@trade", StreamName("trade", "BTCUSDT", 100)),
        ("btcusdt@aggTrade", StreamName("aggTrade", "BTCUSDT", 100)),
        ("btcusdt@ticker", StreamName("ticker", "BTCUSDT", 1000)),
        ("btcusdt@miniTicker", StreamName("miniTicker", "BTCUSDT", 1000)),
        ("btcusdt@kline_1m", StreamName("kline", "BTCUSDT", 2000, interval="1m")),
        ("btcusdt@kline_1M", StreamName("kline", "BTCUSDT", 2000, interval="1M")),
        ("btcusdt@kline_1s", StreamName("kline", "BTCUSDT", 1000, interval="1s")),
        ("btcusdt@avgPrice", StreamName("avgPrice", "BTCUSDT", 1000)),
        ("btcusdt@ticker_4h", StreamName("window", "BTCUSDT", 1000, interval="4h")),
        ("!ticker_1d@arr", StreamName("window", None, 1000, interval="1d")),
        ("!ticker@arr", StreamName("ticker", None, 1000)),
        ("!miniTicker@arr", StreamName("miniTicker", None, 1000)),
        ("!miniTicker@arr@3000ms", StreamName("miniTicker", None, 1000)),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_name_says_what_it_asks_for(name: str, meant: StreamName) -> None:
    assert parse(name) == meant


@pytest.mark.parametrize(
    "name",
    [
        "",
        "btcusdt",
        "btcusdt@",
        "@depth",
        "BTCUSDT@depth",
        "btcusdt@Depth",
        "btcusdt@depth7",
        "btcusdt@depth@250ms",
        "btcusdt@bookticker",
        "btcusdt@kline_2m",
        "btcusdt@kline_",
        "btcusdt@trade@100ms",
        "!bookTicker",
        "!ticker_2h@arr",
        "btcusdt@ticker_7d",
        "btcusdt@avgPrice@100ms",
        "btcusdt@depth\n",
    ],
)
def test_any_other_name_means_nothing(name: str) -> None:
    assert parse(name) is None
