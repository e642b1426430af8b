"""Folders of candles: names, columns and days as they are met, and what is refused."""

from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from tests.unit.backtest.past import START, candles

from etf_trader.backtest.candles import ENDED_AFTER, Candles, read_folder
from etf_trader.errors import DataError, UsageError

D = Decimal
HEADED = "timestamp,open,high,low,close,volume\n2022-01-01,1,2,1,1.50,10\n2022-01-02,1,2,1,1.75,20\n"
OF_THE_VENUE = "1640995200000,1,2,1,1.50,10,1641081599999\n1641081600000,1,2,1,1.75,20,1641167999999\n"
MICROSECONDS = OF_THE_VENUE.replace("00000,1,2", "00000000,1,2")
SECONDS = "date,close\n1640995200,1.50\n1641081600,1.75\n"
FIRST = START.toordinal()


def folder(at: Path, **files: str) -> Path:
    for name, text in files.items():
        (at / f"{name}.csv").write_text(text)
    return at


@pytest.mark.parametrize("text", [HEADED, OF_THE_VENUE, MICROSECONDS, SECONDS, HEADED.replace("\n", "\r\n")])
def test_candles_are_read_however_they_are_dated(tmp_path: Path, text: str) -> None:
    found = read_folder(folder(tmp_path, BTCUSDT_1d=text), "USDT")["BTC"]
    assert list(found.days) == [FIRST, FIRST + 1]
    assert (found.price(FIRST - 1), found.price(FIRST), found.price(FIRST + 9)) == (None, D("1.50"), D("1.75"))
    assert found.closes().tolist() == [1.5, 1.75]


def test_files_are_named_by_coin_or_market(tmp_path: Path) -> None:
    found = read_folder(folder(tmp_path, ETH=HEADED, **{"BTC-USDT": HEADED, "SOLUSDT_1d": HEADED}), "USDT")
    assert set(found) == {"BTC", "ETH", "SOL"}


def test_volume_is_counted_in_quote(tmp_path: Path) -> None:
    found = read_folder(folder(tmp_path, BTC=HEADED), "USDT")["BTC"]
    assert found.value_traded(FIRST + 1, 30) == D("15") + D("35")
    assert found.value_traded(FIRST + 1, 1) == D("35")
    assert read_folder(folder(tmp_path, BTC=SECONDS), "USDT")["BTC"].value_traded(FIRST, 30) == 0


def test_a_market_has_ended_when_days_pass_without_a_candle() -> None:
    found = candles("A", [1] * 10)
    last = found.last
    assert [found.trades_on(last + days) for days in range(5)] == [True, True, True, False, False]
    assert found.ended_between(last, last + 9) == last + ENDED_AFTER
    assert found.ended_between(last, last + 2) is None
    assert found.ended_between(last + ENDED_AFTER, last + 9) is None
    with_gaps = Candles("A", Path("a"), [1, 2, 5, 9, 10], [b""] * 5, 1, None)
    assert with_gaps.ended_between(0, 9) == 8  # three days without are a gap, four are an end
    assert [with_gaps.trades_on(day) for day in range(12)] == [False, *[True] * 7, False, *[True] * 3]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("timestamp,open\n2022-01-01,1\n", "no column close"),
        ("price,close\n5,1\n", "no column date"),
        ("date,close\n", "no candles"),
        ("date,close\n2022-02-31,1\n", "is no day"),
        ("date,close\n2022-01-02,1\n2022-01-01,1\n", "not after that of the row"),
        ("date,close\n2022-01-01,1\n2022-01-01,1\n", "not after that of the row"),
        ("date,close\n2022-01-01,1\n2022-01-02,x\n", "'x' is no price of BTC"),
        ("date,close\n2022-01-01,1\n2022-01-02,0\n", "a close of 0 on 2022-01-02"),
        ("date,close\n2022-01-01,1\n2022-01-02,nan\n", "a close of nan on 2022-01-02"),
        ("date,open,close\n2022-01-01,1,1\n2022-01-02,1\n", "cut off"),
        ("close,date\n1,2022-01-01\n1\n", "cut off"),
        ("1640995200000,1,2,1,1.50,10\n1641081600000,1,2,1,40x.0,20\n", "'40x.0' is no price of BTC"),
        ("date,open,close\n2022-01-01\n", "is no day|cut off"),
    ],
)
def test_what_is_no_table_of_candles_is_refused(tmp_path: Path, text: str, told: str) -> None:
    with pytest.raises(DataError, match=told) as refused:
        read_folder(folder(tmp_path, BTC=text), "USDT")["BTC"].closes()
    assert "BTC.csv" in str(refused.value.where)
    if "column" not in told and "candles" not in told:  # it is the last row
        assert str(refused.value.where).endswith(f"BTC.csv:{len(text.splitlines())}")


def test_a_folder_that_is_not_there_or_empty_or_doubled_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no such file"):
        read_folder(tmp_path / "nowhere", "USDT")
    with pytest.raises(UsageError, match="no candles"):
        read_folder(tmp_path, "USDT")
    with pytest.raises(DataError, match="both of BTC"):
        read_folder(folder(tmp_path, BTC=HEADED, BTCUSDT_1d=HEADED), "USDT")


def test_days_with_a_hole_are_read_one_by_one(tmp_path: Path) -> None:
    days = [START + timedelta(days=number) for number in range(9) if number != 4]
    text = "date,close\n" + "".join(f"{day},{place + 1}\n" for place, day in enumerate(days))
    found = read_folder(folder(tmp_path, BTC=text), "USDT")["BTC"]
    assert [date.fromordinal(day) for day in found.days] == days
    assert found.price(FIRST + 4) == 4 and found.price(FIRST + 5) == 5
