"""When constituents are traded, and how an order over time follows it."""

from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from etf_trader.execution.profile import DAYS, GRID, hourly_profile, profile_span, spread
from etf_trader.market.candle import Candle

D = Decimal
NOON = datetime(2026, 2, 10, 12, 34, 56, tzinfo=UTC)
TODAY = datetime(2026, 2, 10, tzinfo=UTC)

starts = st.integers(0, 365 * 86_400 * 10**6).map(lambda after: TODAY + timedelta(microseconds=after))
profiles = st.lists(st.decimals(0, 1, places=12), min_size=24, max_size=24)


def candle(start: datetime, value: str | Decimal | int, seconds: int = 3600) -> Candle:
    price = D(2)
    return Candle("AUSDT", start, seconds, price, price, price, price, D(value) / 2, D(value))


def day_of(days_ago: int, values: list[int]) -> list[Candle]:
    start = TODAY - timedelta(days=days_ago)
    return [candle(start + timedelta(hours=hour), value) for hour, value in enumerate(values)]


def shape(**hours: int) -> list[int]:
    """24 values: those named h0 to h23, 0 elsewhere."""
    return [hours.get(f"h{hour}", 0) for hour in range(24)]


def only(**hours: str) -> tuple[Decimal, ...]:
    return tuple(D(hours.get(f"h{hour}", "0")) for hour in range(24))


def test_a_profile_is_the_mean_of_each_days_parts_not_of_its_values() -> None:
    # A busy day (1000) and a quiet one (10) count alike: hour 3 has 0.1 and 0.5 of them.
    candles = day_of(1, shape(h3=100, h9=900)) + day_of(2, shape(h3=5, h9=5))
    assert hourly_profile({"A": candles}, {"A": D(7)}, {"A": D(1)}, NOON) == only(h3="0.3", h9="0.7")


def test_constituents_count_by_their_value_in_the_basket() -> None:
    # A is worth 3 x 10 = 30, B 0.5 x 20 = 10: three quarters and a quarter.
    candles = {"A": day_of(1, shape(h0=1)), "B": day_of(1, shape(h0=1, h23=3))}
    profile = hourly_profile(candles, {"A": D(10), "B": D(20)}, {"A": D(3), "B": D("0.5")}, NOON)
    assert profile == only(h0="0.8125", h23="0.1875")


def test_today_and_what_is_older_than_twenty_days_do_not_count() -> None:
    known = day_of(1, shape(h5=1)) + day_of(DAYS, shape(h7=1))
    other = day_of(0, shape(h1=9)) + day_of(DAYS + 1, shape(h2=9))
    assert hourly_profile({"A": known + other}, {"A": D(1)}, {"A": D(1)}, NOON) == only(h5="0.5", h7="0.5")


def test_a_day_that_lacks_an_hour_or_had_no_trade_does_not_count() -> None:
    lacking = day_of(2, shape(h1=8))[:-1]
    idle = day_of(3, shape())
    candles = day_of(1, shape(h5=1)) + lacking + idle
    assert hourly_profile({"A": candles}, {"A": D(1)}, {"A": D(1)}, NOON) == only(h5="1")


def test_a_constituent_without_a_whole_day_leaves_the_profile_to_the_others() -> None:
    candles = {"A": day_of(1, shape(h5=1)), "NEW": day_of(1, shape(h6=1))[:7]}
    mids = {"A": D(1), "NEW": D(1000), "NEVER": D(1000)}
    profile = hourly_profile(candles, mids, {"A": D(1), "NEW": D(1), "NEVER": D(1)}, NOON)
    assert profile == only(h5="1")


@pytest.mark.parametrize(
    "candles",
    [
        pytest.param({}, id="no candles"),
        pytest.param({"A": day_of(0, shape(h1=1))}, id="only today"),
        pytest.param({"A": [candle(TODAY - timedelta(days=1), 5, 86_400)]}, id="not hourly"),
        pytest.param({"B": day_of(1, shape(h1=1))}, id="only what the basket does not hold"),
    ],
)
def test_where_nothing_is_known_there_is_no_profile(candles: dict[str, list[Candle]]) -> None:
    assert hourly_profile(candles, {"A": D(1), "B": D(1)}, {"A": D(1), "B": D(0)}, NOON) is None


def test_the_days_looked_at_are_twenty_whole_ones_of_utc() -> None:
    assert profile_span(NOON) == (TODAY - timedelta(days=20), TODAY)
    east = timezone(timedelta(hours=13))  # there the next day has begun
    assert profile_span(NOON.astimezone(east)) == profile_span(NOON)
    assert profile_span(TODAY) == (TODAY - timedelta(days=20), TODAY)


@given(
    st.dictionaries(
        st.sampled_from("ABC"),
        st.lists(st.lists(st.integers(0, 10**9), min_size=24, max_size=24), min_size=1, max_size=3),
    ),
    st.lists(st.decimals("0.000001", 10**6, places=6), min_size=6, max_size=6),
)
def test_a_profile_has_24_parts_that_sum_to_one(days: dict[str, list[list[int]]], numbers: list[Decimal]) -> None:
    candles = {
        asset: [each for ago, values in enumerate(some, 1) for each in day_of(ago, values)]
        for asset, some in days.items()
    }
    mids, per_unit = dict(zip("ABC", numbers, strict=False)), dict(zip("ABC", numbers[3:], strict=True))
    profile = hourly_profile(candles, mids, per_unit, NOON)
    traded = any(value for some in days.values() for values in some for value in values)
    assert (profile is not None) == traded
    if profile is not None:
        assert len(profile) == 24
        assert sum(profile) == 1
        assert all(part >= 0 and part % GRID == 0 for part in profile)


def test_periods_take_the_parts_of_their_hours() -> None:
    profile = only(h10="0.1", h11="0.3", h12="0.6")
    start = datetime(2026, 2, 10, 10, tzinfo=UTC)
    assert spread(profile, start, 3 * 3600, 3600) == (D("0.1"), D("0.3"), D("0.6"))
    # From 10:30 on: half of hour 10, all of hour 11, half of hour 12: 0.05, 0.3, 0.3 of 0.65 in half hours.
    halves = spread(profile, start + timedelta(minutes=30), 2 * 3600, 1800)
    assert [part * 65 for part in halves] == pytest.approx([D(5), D(15), D(15), D(30)], abs=D("1e-9"))


def test_a_period_across_the_hour_takes_from_both() -> None:
    profile = only(h10="0.2", h11="0.8")
    # 10:45 to 11:15 is a quarter of each: 0.05 + 0.2. 11:15 to 11:45 is half of hour 11: 0.4.
    parts = spread(profile, datetime(2026, 2, 10, 10, 45, tzinfo=UTC), 3600, 1800)
    assert [part * 65 for part in parts] == pytest.approx([D(25), D(40)], abs=D("1e-9"))


def test_the_profile_begins_again_with_the_next_day() -> None:
    profile = only(h23="0.75", h0="0.25")
    east = timezone(timedelta(hours=2))
    assert spread(profile, datetime(2026, 2, 11, 1, tzinfo=east), 7200, 3600) == (D("0.75"), D("0.25"))


def test_without_a_profile_equal_periods_are_equal_and_a_shorter_last_one_has_less() -> None:
    assert spread(None, NOON, 100, 25) == (D("0.25"),) * 4
    assert spread(None, NOON, 100, 40) == (D("0.4"), D("0.4"), D("0.2"))
    assert spread(None, NOON, 100, 500) == (D(1),)


def test_where_the_profile_has_nothing_the_order_is_spread_evenly() -> None:
    assert spread(only(h3="1"), NOON, 100, 25) == (D("0.25"),) * 4


@pytest.mark.parametrize(("seconds", "period"), [(0, 60), (60, 0), (-1, 60)])
def test_no_time_cannot_be_cut(seconds: int, period: int) -> None:
    with pytest.raises(ValueError, match="cannot be cut"):
        spread(None, NOON, seconds, period)


@given(profiles, starts, st.integers(1, 3 * 86_400), st.integers(60, 90_000))
def test_the_parts_of_the_periods_sum_to_one(
    profile: list[Decimal], start: datetime, seconds: int, period: int
) -> None:
    parts = spread(profile, start, seconds, period)
    assert sum(parts) == 1
    assert len(parts) == -(-seconds // period)
    assert all(part >= 0 and part % GRID == 0 for part in parts)


@given(profiles, starts, st.integers(2, 48), st.integers(30, 7200))
def test_longer_periods_have_the_parts_of_the_shorter_ones_in_them(
    profile: list[Decimal], start: datetime, pairs: int, period: int
) -> None:
    fine = spread(profile, start, 2 * pairs * period, period)
    coarse = spread(profile, start, 2 * pairs * period, 2 * period)
    for whole, first, second in zip(coarse, fine[::2], fine[1::2], strict=True):
        assert abs(whole - first - second) <= 2 * GRID


@given(profiles, starts)
def test_a_whole_day_of_hours_is_the_profile_itself(profile: list[Decimal], start: datetime) -> None:
    if not any(profile):
        return
    hour = start.replace(minute=0, second=0, microsecond=0)
    parts = spread(profile, hour, 86_400, 3600)
    weights = [profile[(hour.hour + place) % 24] for place in range(24)]
    for (part, weight), (next_part, next_weight) in pairwise(zip(parts, weights, strict=True)):
        assert abs(part * next_weight - next_part * weight) <= 2 * GRID
