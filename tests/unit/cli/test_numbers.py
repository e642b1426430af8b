import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from etf_trader.cli import numbers

D = Decimal


@pytest.fixture
def tokyo(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("100121.4", "100,121.40"),
        ("0", "0.00"),
        ("-0.004", "0.00"),
        ("-1234.565", "-1,234.56"),
        ("1E+3", "1,000.00"),
    ],
)
def test_money_has_two_decimals(value: str, text: str) -> None:
    assert numbers.money(D(value)) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [("0.004", "0.00"), ("-0.004", "0.00"), ("0.01", "\x1b[32m+0.01\x1b[0m"), ("-2", "\x1b[31m-2.00\x1b[0m")],
)
def test_what_is_less_than_a_cent_is_neither_a_gain_nor_a_loss(value: str, text: str) -> None:
    assert numbers.gained(D(value)) == text


def test_a_signed_amount_shows_which_way_it_went() -> None:
    assert numbers.money(D("12.5"), signed=True) == "+12.50"
    assert numbers.money(D("-12.5"), signed=True) == "-12.50"
    assert numbers.money(D("0.001"), signed=True) == "0.00"


@pytest.mark.parametrize(
    ("value", "step", "text"),
    [
        ("98040.31", "0.01", "98,040.31"),
        ("0.00060710", "0.0000001", "0.0006071"),
        ("4120033", "1", "4,120,033"),
        ("4120033", "1.00000000", "4,120,033"),
        ("4120030", "10", "4,120,030"),
        ("3.5", "0.00001000", "3.50000"),
    ],
)
def test_prices_and_quantities_end_at_their_step(value: str, step: str, text: str) -> None:
    assert numbers.price(D(value), D(step)) == numbers.quantity(D(value), D(step)) == text


@pytest.mark.parametrize(
    ("value", "text"), [("3058.20", "3,058.2"), ("100", "100"), ("0.01130000", "0.0113"), ("-0.5", "-0.5")]
)
def test_units_show_the_digits_they_have(value: str, text: str) -> None:
    assert numbers.units(D(value)) == text


def test_ratios_have_one_decimal() -> None:
    assert numbers.bps(D("12.14")) == "12.1"
    assert [numbers.bps_given(D(bound)) for bound in ("40", "12.5", "10.25")] == ["40.0", "12.5", "10.25"]
    assert numbers.bps(D("-0.04")) == "0.0"
    assert numbers.percent(D("72.7")) == "72.7%"
    assert numbers.share(D("0.4")) == "40.0%"


@pytest.mark.usefixtures("tokyo")
def test_times_are_local_and_say_their_zone() -> None:
    at = datetime(2026, 11, 21, 4, 5, 6, tzinfo=UTC)
    assert numbers.local_time(at) == "2026-11-21 13:05:06 JST"
    assert numbers.local_time(at, seconds=False) == "2026-11-21 13:05 JST"


@pytest.mark.parametrize(("seconds", "text"), [(2, "0:02"), (65.9, "1:05"), (3909, "1:05:09")])
def test_durations_read_like_a_watch(seconds: float, text: str) -> None:
    assert numbers.duration(timedelta(seconds=seconds)) == text


def test_nouns_follow_their_number() -> None:
    assert numbers.count(1, "order") == "1 order"
    assert numbers.count(1200, "order") == "1,200 orders"
    assert numbers.count(2, "index", "indices") == "2 indices"
    assert numbers.joined(["spread 8.10", "", "depth 12.55"]) == "spread 8.10 · depth 12.55"


@pytest.mark.parametrize(
    ("value", "bar"), [("10", "████████"), ("5", "████"), ("9.5", "███████▌"), ("0", ""), ("-1", ""), ("0.01", "")]
)
def test_bars_are_as_long_as_their_share(value: str, bar: str) -> None:
    assert numbers.bar(D(value), D(10)) == bar


def test_a_bar_of_nothing_is_empty() -> None:
    assert numbers.bar(D(1), D(0)) == ""


@given(st.decimals(min_value=-(10**15), max_value=10**15, places=10))
def test_what_is_shown_is_never_off_by_more_than_half_a_cent(value: Decimal) -> None:
    shown = D(numbers.money(value).replace(",", ""))
    assert abs(shown - value) * 2 <= numbers.CENT
