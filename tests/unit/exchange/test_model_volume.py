"""What others trade in the model market: pure, additive, as much as recorded, when recorded."""

import statistics
from datetime import datetime, timedelta
from decimal import Decimal
from functools import cache
from hashlib import sha256
from math import log

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.effort import examples

from etf_trader.config import ScheduleSettings
from etf_trader.errors import NotFound
from etf_trader.exchange import model_volume
from etf_trader.exchange.market import Market
from etf_trader.exchange.model import EPOCH, ModelMarket
from etf_trader.exchange.model_parameters import COINS, TURNOVER, Coin
from etf_trader.exchange.model_volume import HOURS, WEEKDAY, WEEKEND
from etf_trader.exchange.paths import digest

MARKET = ModelMarket(1)
STEPS = {
    row["symbol"]: Decimal(entry["stepSize"])
    for row in MARKET.symbols()
    for entry in row["filters"]
    if entry["filterType"] == "LOT_SIZE"
}
DAY = timedelta(days=1)

symbols = st.sampled_from(list(STEPS))
times = st.integers(-400 * 86_400 * 10**6, 400 * 86_400 * 10**6).map(
    lambda microseconds: EPOCH + timedelta(microseconds=microseconds)
)
near = st.builds(
    lambda at, *after: [at, *(at + timedelta(microseconds=each) for each in sorted(after))],
    times,
    st.integers(0, 10**9),
    st.integers(0, 10**9),
)
"""Three times within 17 minutes."""
far = st.lists(times, min_size=3, max_size=3).map(sorted)


@settings(max_examples=examples(200), deadline=None)
@given(symbols, near | far, st.integers(1, 3))
def test_adjoining_spans_add_up_exactly_on_the_step(symbol: str, three: list[datetime], seed: int) -> None:
    market = ModelMarket(seed)
    first, second, third = three
    parts = market.traded(symbol, first, second), market.traded(symbol, second, third)
    assert parts[0] + parts[1] == market.traded(symbol, first, third)
    assert all(part >= 0 and part % STEPS[symbol] == 0 for part in parts)


@settings(max_examples=examples(50), deadline=None)
@given(symbols, far)
def test_the_order_of_asking_changes_nothing(symbol: str, three: list[datetime]) -> None:
    spans = [(three[0], three[1]), (three[1], three[2]), (three[0], three[2])]
    forwards, backwards = ModelMarket(1), ModelMarket(1)
    asked = [forwards.traded(symbol, *span) for span in spans]
    assert asked == [backwards.traded(symbol, *span) for span in reversed(spans)][::-1]


@given(symbols, times, st.integers(0, 10**12))
def test_a_span_that_does_not_move_on_has_no_volume(symbol: str, at: datetime, back: int) -> None:
    assert MARKET.traded(symbol, at, at) == 0
    assert MARKET.traded(symbol, at, at - timedelta(microseconds=back)) == 0


def test_volumes_are_pinned() -> None:
    spans = [
        (EPOCH + timedelta(hours=7 * place), timedelta(minutes=11 * place, microseconds=place))
        for place in range(60)
    ]
    text = ",".join(
        str(MARKET.traded(symbol, start, start + length)) for symbol in STEPS for start, length in spans
    )
    assert sha256(text.encode()).hexdigest()[:16] == "e6274b8d08764b03"


def test_seeds_and_symbols_have_volumes_of_their_own() -> None:
    span = (EPOCH + 100 * DAY, EPOCH + 101 * DAY)
    other = ModelMarket(2)
    assert MARKET.traded("BTCUSDT", *span) != other.traded("BTCUSDT", *span)
    xlm, xrp = daily_values("XLMUSDT"), daily_values("XRPUSDT")
    assert len({first / second for first, second in zip(xlm, xrp, strict=True)}) == len(xlm)


def test_there_was_trading_before_the_epoch() -> None:
    for symbol in STEPS:
        assert MARKET.traded(symbol, EPOCH - 2 * DAY, EPOCH - DAY) > 0
        assert MARKET.traded(symbol, EPOCH - timedelta(minutes=5), EPOCH + timedelta(minutes=5)) > 0


def test_an_unknown_symbol_has_no_volume_and_no_mid() -> None:
    with pytest.raises(NotFound):
        MARKET.traded("NOUSDT", EPOCH, EPOCH)
    with pytest.raises(NotFound):
        MARKET.mid("NOUSDT", EPOCH)


@given(symbols, st.integers(-(10**9), 10**8))
@settings(max_examples=examples(100), deadline=None)
def test_the_mid_is_that_of_the_book(symbol: str, second: int) -> None:
    at = EPOCH + timedelta(seconds=second)
    book = MARKET.book(symbol, at)
    assert MARKET.mid(symbol, at) == (book.bids[0].price + book.asks[0].price) / 2


def test_a_look_costs_a_few_hashes_and_a_decade_one_for_each_day(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def counted(*given: int | bytes) -> bytes:
        asked.append(given)
        return digest(*given)  # type: ignore[arg-type]

    monkeypatch.setattr(model_volume, "digest", counted)
    market: Market = ModelMarket(9)
    there = EPOCH + timedelta(days=3000, hours=5, minutes=7, seconds=1)
    market.traded("BTCUSDT", there, there + timedelta(seconds=1))
    assert len(asked) <= 4  # a day: for all symbols, for this one, for its hours; and the minutes of one hour
    asked.clear()
    market.traded("ETHUSDT", EPOCH, EPOCH + 3650 * DAY)
    assert len(asked) <= 3 * 3650
    asked.clear()
    market.traded("ETHUSDT", EPOCH, EPOCH + 3650 * DAY)
    assert asked == []


# Calibration: the figures of docs/market-model.md


DAYS = 1400


@cache
def daily_values(symbol: str) -> list[float]:
    """What is traded on each day, in USDT at the mid with which the day begins."""
    return [
        float(MARKET.traded(symbol, at, at + DAY) * MARKET.mid(symbol, at))
        for at in (EPOCH + day * DAY for day in range(DAYS))
    ]


@pytest.mark.parametrize("coin", COINS, ids=lambda coin: coin.asset)
def test_a_mean_day_turns_over_the_depth_as_often_as_the_table_says(coin: Coin) -> None:
    turned = statistics.fmean(daily_values(coin.asset + "USDT")) / coin.depth
    assert 0.85 < turned / TURNOVER[coin.asset] < 1.15


def test_the_least_turnover_is_what_schedules_assume() -> None:
    assert min(TURNOVER.values()) == ScheduleSettings().turnover


def test_days_differ_as_the_recorded_ones_do() -> None:
    deviations = [statistics.pstdev(map(log, daily_values(coin.asset + "USDT"))) for coin in COINS]
    assert all(0.56 < each < 0.88 for each in deviations)  # what 17 coins had in the year to 2026-01-05


def test_weekends_are_quieter() -> None:
    values = daily_values("BTCUSDT")
    week = [statistics.fmean(values[day::7]) for day in range(7)]
    assert 0.55 < statistics.fmean(week[5:]) / statistics.fmean(week[:5]) < 0.83
    assert abs((5 * WEEKDAY + 2 * WEEKEND) / 7 - 1) < 1e-3


def test_the_hours_of_a_mean_day_are_those_of_the_table() -> None:
    means = [0.0] * 24
    for day in range(300):
        whole = float(MARKET.traded("ETHUSDT", EPOCH + day * DAY, EPOCH + (day + 1) * DAY))
        for hour in range(24):
            at = EPOCH + day * DAY + timedelta(hours=hour)
            means[hour] += float(MARKET.traded("ETHUSDT", at, at + timedelta(hours=1))) / whole / 300 * 1000
    assert sum(HOURS) == 1000
    assert means == pytest.approx(HOURS, rel=0.1)
