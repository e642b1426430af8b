"""What was traded in a recording: the recorded trades, each once, at the time they were received."""

import gzip
import json
import re
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.exchange.test_recording import (
    RECORDINGS,
    SNAPSHOT,
    T0,
    as_stamped_text,
    at,
    needs_recordings,
    record,
    update,
)

from etf_trader.errors import ConfigError, NotFound
from etf_trader.exchange.recorded_trades import RecordedTrades, TradeLine
from etf_trader.exchange.recording import RecordingMarket

D = Decimal
MICROSECOND = timedelta(microseconds=1)


def trade(
    second: float, trade_id: int, quantity: str, kind: str = "trade", symbol: str = "AAAUSDT"
) -> dict[str, Any]:
    data = {"e": kind, "s": symbol, {"trade": "t", "aggTrade": "a"}[kind]: trade_id, "p": "10.1", "q": quantity}
    return {"t": T0 + second, "ws": {"stream": f"{symbol.lower()}@{kind}", "data": data}}


def received(second: float) -> Any:
    """The market's time of a line `second` s after the first."""
    return at(0) + timedelta(seconds=second)


def test_trades_count_from_their_time_on_and_before_the_end(tmp_path: Path) -> None:
    lines = [update(0, 1, 2), SNAPSHOT, trade(2, 1, "0.5"), trade(3, 2, "1.25"), trade(3, 3, "2")]
    market = RecordingMarket(record(tmp_path, *lines))
    assert market.traded("AAAUSDT", received(0), received(9)) == D("3.75")
    assert market.traded("AAAUSDT", received(2), received(3)) == D("0.5")
    assert market.traded("AAAUSDT", received(3), received(3) + MICROSECOND) == D("3.25")
    assert market.traded("AAAUSDT", received(3) + MICROSECOND, received(99_999)) == 0  # also after the end
    assert market.traded("AAAUSDT", received(-99_999), received(0)) == 0
    assert market.traded("AAAUSDT", received(9), received(0)) == 0


def test_without_recorded_trades_nothing_is_traded(tmp_path: Path) -> None:
    market = RecordingMarket(record(tmp_path, SNAPSHOT, update(2, 11, 12)))
    assert market.traded("AAAUSDT", received(0), received(9)) == 0
    with pytest.raises(NotFound, match="BBBUSDT was not recorded"):
        market.traded("BBBUSDT", received(0), received(9))


def test_each_trade_counts_once_when_a_stream_tells_it_twice(tmp_path: Path) -> None:
    lines = [update(0, 1, 2), SNAPSHOT, trade(2, 1, "1"), trade(2.5, 2, "2"), trade(3, 2, "2"), trade(4, 3, "4")]
    market = RecordingMarket(record(tmp_path, *lines))
    assert market.traded("AAAUSDT", received(0), received(9)) == 7
    assert market.traded("AAAUSDT", received(2.6), received(9)) == 4


def test_of_single_and_aggregate_trades_only_one_stream_counts(tmp_path: Path) -> None:
    single = [trade(2, 1, "1"), trade(2, 2, "2")]
    both = [*single, trade(2, 1, "3", "aggTrade")]
    market = RecordingMarket(record(tmp_path, update(0, 1, 2), SNAPSHOT, *both))
    assert market.traded("AAAUSDT", received(0), received(9)) == 3
    aggregate = RecordingMarket(record(tmp_path, update(0, 1, 2), SNAPSHOT, both[2], name="b.jsonl.gz"))
    assert aggregate.traded("AAAUSDT", received(0), received(9)) == 3


def test_every_symbol_has_its_own_trades_and_stamped_lines_are_read_too(tmp_path: Path) -> None:
    other = SNAPSHOT | {"symbol": "BBBUSDT"}
    lines = [update(0, 1, 2), SNAPSHOT, other, trade(2, 1, "1"), trade(2, 1, "5", symbol="BBBUSDT")]
    market = RecordingMarket(record(tmp_path, *lines, trade(3, 1, "9", symbol="CCCUSDT")))
    assert market.traded("AAAUSDT", received(0), received(9)) == 1
    assert market.traded("BBBUSDT", received(0), received(9)) == 5
    stamped = tmp_path / "stamped.gz"
    stamped.write_bytes(gzip.compress(as_stamped_text([update(0, 1, 2), SNAPSHOT, trade(2, 1, "0.125")])))
    assert RecordingMarket(stamped).traded("AAAUSDT", received(0), received(9)) == D("0.125")


def test_a_trade_that_cannot_be_read_is_named_once_it_is_asked_for(tmp_path: Path) -> None:
    path = record(tmp_path, update(0, 1, 2), SNAPSHOT, trade(2, 1, "much"))
    market = RecordingMarket(path)
    assert market.book("AAAUSDT", received(3)).bids
    with pytest.raises(ConfigError, match=r"rec_a\.jsonl\.gz has a trade of AAAUSDT that cannot be read"):
        market.traded("AAAUSDT", received(0), received(9))


quantities = st.decimals("0.00000001", "100000", places=8)


@given(
    st.lists(st.tuples(st.integers(0, 50), quantities)),
    st.lists(st.integers(-5, 60), min_size=3, max_size=3).map(sorted),
)
def test_adjoining_spans_of_trades_add_up_exactly(trades: list[tuple[int, Decimal]], three: list[int]) -> None:
    lines = [
        TradeLine(1000 + time, "AAAUSDT", "trade", json.dumps({"t": place, "p": "1", "q": str(quantity)}).encode())
        for place, (time, quantity) in enumerate(trades)
    ]
    recorded = RecordedTrades("a file", lines, 1000)
    first, second, third = three
    parts = recorded.between(first, second), recorded.between(second, third)
    assert sum(parts) == recorded.between(first, third)
    assert parts[0] == sum(quantity for time, quantity in trades if first <= time < second)


def test_the_mid_is_that_of_the_recorded_book(tmp_path: Path) -> None:
    emptied = update(3, 11, 12, asks=[("10.1", "0"), ("10.2", "0")])
    market = RecordingMarket(
        record(tmp_path, update(0, 1, 2), SNAPSHOT, update(2, 11, 11, bids=[("10", "1")]), emptied)
    )
    assert market.mid("AAAUSDT", received(1)) == D(10)
    assert market.mid("AAAUSDT", received(2)) == D("10.05")
    assert market.mid("AAAUSDT", received(9)) is None
    assert market.mid("AAAUSDT", received(0)) == D(10)  # back again
    with pytest.raises(NotFound):
        market.mid("BBBUSDT", received(0))


@needs_recordings
@pytest.mark.parametrize("name", ["btcusdt", "ethusdt"])
def test_the_recorded_volume_is_the_sum_of_the_recorded_trades(name: str) -> None:
    path = RECORDINGS / "recordings-2024" / f"spot_{name}_20240808.gz"
    market = RecordingMarket(path)
    with gzip.open(path, "rt") as lines:
        found = [re.search(r'"t":(\d+),.*"q":"([\d.]+)"', line) for line in lines if '@trade"' in line]
    trades = {each[1]: D(each[2]) for each in found if each}
    assert len(trades) > 5000
    whole = (market.start, market.start + timedelta(hours=1))
    assert market.traded(name.upper(), *whole) == sum(trades.values())
