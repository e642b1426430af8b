"""Returns, risk and costs of made histories: sums by hand, and what must hold of any history."""

import math
import statistics
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.effort import examples

from etf_trader.reports.money_weighted import money_weighted_return
from etf_trader.reports.returns import (
    YEAR,
    Drawdown,
    Flow,
    Point,
    average_value,
    bps_a_year,
    daily_closes,
    drawdown,
    return_a_year,
    sharpe_without_risk_free_rate,
    time_weighted_return,
    total_return,
    tracking_difference,
    tracking_error,
    turnover,
    volatility,
)

D = Decimal
START = datetime(2026, 1, 1, tzinfo=UTC)
DAY = timedelta(days=1)

values = st.decimals("0.01", "1000000", places=2)
prices = st.lists(values, min_size=2, max_size=20)


def daily(*worth: str | Decimal) -> list[Point]:
    return [Point(START + day * DAY, D(value)) for day, value in enumerate(worth)]


def test_a_return_is_the_last_value_over_the_first() -> None:
    assert total_return(daily("40", "50", "39.96")) == D("-0.001")
    assert total_return(daily("40")) is None
    assert total_return([]) is None
    assert total_return(daily("0", "1")) is None


def test_a_return_of_two_years_is_the_square_of_one_a_year() -> None:
    assert return_a_year(D("0.21"), START, START + 2 * YEAR) == pytest.approx(0.1)
    assert return_a_year(D(-1), START, START + YEAR) == -1.0
    assert return_a_year(D("0.5"), START, START) is None
    assert return_a_year(D(1), START, START + timedelta(seconds=1)) == math.inf


def test_what_a_fund_earns_by_time_is_worked_by_hand() -> None:
    """100 grows to 110, 90 come in, 200 fall to 180: 1.1 x 0.9."""
    worth = daily("100", "110", "180")
    assert time_weighted_return(worth, [Flow(START + DAY, D(90))]) == D("-0.01")
    assert time_weighted_return(worth, [Flow(START + DAY, D(-110))]) is None
    with pytest.raises(ValueError, match="not valued at 2026-01-01 01:00"):
        time_weighted_return(worth, [Flow(START + timedelta(hours=1), D(1))])


@settings(max_examples=examples(100))
@given(prices, st.data())
def test_who_comes_and_goes_does_not_change_the_time_weighted_return(
    nav: list[Decimal], data: st.DataObject
) -> None:
    """The same price path with units created and redeemed at it: the return of the price."""
    units, worth, flows = D(10), [], []
    for point in daily(*nav):
        worth.append(Point(point.at, units * point.value))
        more = data.draw(st.decimals(-units + 1, 100, places=0))
        flows.append(Flow(point.at, more * point.value))
        units += more
    found, expected = time_weighted_return(worth, flows), total_return(daily(*nav))
    assert found is not None and expected is not None
    assert float(found) == pytest.approx(float(expected), rel=1e-9, abs=1e-9)


@settings(max_examples=examples(50))
@given(prices, st.decimals("0.1", "1000", places=1))
def test_the_size_of_a_price_changes_no_statistic(nav: list[Decimal], factor: Decimal) -> None:
    once, scaled = daily(*nav), [Point(point.at, factor * point.value) for point in daily(*nav)]
    assert total_return(scaled) == total_return(once)
    assert drawdown(scaled) == drawdown(once)
    if len(nav) > 2:
        assert volatility(scaled) == pytest.approx(volatility(once), rel=1e-6, abs=1e-6)
        assert tracking_error(scaled, once) == pytest.approx(0, abs=1e-6)
    assert tracking_difference(scaled, once) == 0


def test_money_that_came_late_earned_less() -> None:
    """100 for a year and 100 for half of one become 220: with x^2 = 1 + r, 100 x^2 + 100 x = 220."""
    found = money_weighted_return(D(100), [Flow(START + YEAR / 2, D(100))], D(220), START, START + YEAR)
    root = (-1 + math.sqrt(1 + 4 * 2.2)) / 2
    assert found.a_year == pytest.approx(root**2 - 1)
    assert found.over_period == found.a_year
    assert found.found == "one"


def test_without_flows_the_money_weighted_return_is_the_total_return() -> None:
    found = money_weighted_return(D(100), [], D(121), START, START + 2 * YEAR)
    assert found.a_year == pytest.approx(0.1)
    assert found.over_period == pytest.approx(0.21)


def test_money_that_only_came_has_no_rate() -> None:
    found = money_weighted_return(D(100), [Flow(START + DAY, D(50))], D(0), START, START + YEAR)
    assert (found.found, found.a_year, found.over_period) == ("none", None, None)
    assert money_weighted_return(D(0), [], D(0), START, START + YEAR).found == "none"
    assert money_weighted_return(D(1), [], D(2), START, START).found == "none"


def test_several_rates_are_all_named_and_none_is_chosen() -> None:
    """100 in, 230 out after a year, 132 in after two: both 10% and 20% make it 0."""
    flows = [Flow(START + YEAR, D(-230)), Flow(START + 2 * YEAR, D(132))]
    found = money_weighted_return(D(100), flows, D(0), START, START + 2 * YEAR)
    assert found.found == "several"
    assert found.a_year is None
    assert found.rates == pytest.approx((0.1, 0.2))


def test_flows_of_many_signs_may_have_no_rate() -> None:
    flows = [Flow(START + YEAR, D(-200)), Flow(START + 2 * YEAR, D(150))]
    assert money_weighted_return(D(100), flows, D(0), START, START + 2 * YEAR).found == "none"


flowing = st.lists(st.tuples(st.integers(0, 700), st.decimals("-50", "500", places=2)), max_size=10)


@settings(max_examples=examples(50))
@given(values, flowing, values)
def test_splitting_a_flow_changes_no_rate(
    opening: Decimal, drawn: list[tuple[int, Decimal]], closing: Decimal
) -> None:
    end = START + 2 * YEAR
    flows = [Flow(START + day * DAY, amount) for day, amount in drawn]
    halves = [Flow(flow.at, flow.amount / 2) for flow in flows for _ in range(2)]
    whole = money_weighted_return(opening, flows, closing, START, end)
    assert money_weighted_return(opening, halves, closing, START, end).rates == pytest.approx(
        whole.rates, rel=1e-6
    )


@settings(max_examples=examples(50))
@given(st.lists(st.tuples(st.integers(0, 700), values), min_size=1, max_size=10), st.floats(-0.5, 3))
def test_the_rate_at_which_everything_grew_is_found(drawn: list[tuple[int, Decimal]], rate: float) -> None:
    end = START + 2 * YEAR
    flows = [Flow(START + day * DAY, amount) for day, amount in drawn]
    grown = sum(float(flow.amount) * (1 + rate) ** ((end - flow.at) / YEAR) for flow in flows)
    found = money_weighted_return(D(0), flows, D(repr(grown)), START, end)
    assert found.a_year == pytest.approx(rate, rel=1e-6, abs=1e-6)


@settings(max_examples=examples(50))
@given(prices)
def test_what_follows_its_index_exactly_never_strays(nav: list[Decimal]) -> None:
    series = daily(*nav)
    assert tracking_difference(series, series) == 0
    assert tracking_error(series, series) == (0 if len(nav) > 2 else None)


def test_deviation_is_that_of_the_textbook_when_every_day_has_a_value() -> None:
    nav = ["100", "102", "101", "105", "104"]
    returns = [float(b) / float(a) - 1 for a, b in pairwise(nav)]
    assert volatility(daily(*nav)) == pytest.approx(statistics.stdev(returns) * math.sqrt(365))
    sharpe = statistics.mean(returns) * 365 / (statistics.stdev(returns) * math.sqrt(365))
    assert sharpe_without_risk_free_rate(daily(*nav)) == pytest.approx(sharpe)
    index = ["100", "101", "101", "106", "104"]
    others = [float(b) / float(a) - 1 for a, b in pairwise(index)]
    apart = statistics.stdev([a - b for a, b in zip(returns, others, strict=True)])
    assert tracking_error(daily(*nav), daily(*index)) == pytest.approx(apart * math.sqrt(365))


def test_a_change_over_four_days_deviates_as_much_as_half_of_it_over_one() -> None:
    """Variance grows with time: +2% and -2% over four days each are a daily deviation of 1% x sqrt(2)."""
    points = [Point(START, D(100)), Point(START + 4 * DAY, D(102)), Point(START + 8 * DAY, D("99.96"))]
    assert volatility(points) == pytest.approx(0.01 * math.sqrt(2) * math.sqrt(365))


def test_a_price_that_stands_still_has_no_ratio_of_return_to_risk() -> None:
    assert volatility(daily("5", "5", "5")) == 0
    assert sharpe_without_risk_free_rate(daily("5", "5", "5")) is None
    assert volatility(daily("5", "6")) is None


def test_the_close_of_a_day_is_its_last_value() -> None:
    points = [Point(START, D(1)), Point(START + DAY / 2, D(2)), Point(START + DAY, D(3))]
    assert daily_closes(points) == {START.date(): D(2), (START + DAY).date(): D(3)}


def test_the_deepest_fall_is_found_and_when_it_was_made_good() -> None:
    found = drawdown(daily("100", "120", "90", "110", "120", "60", "119"))
    assert found == Drawdown(D("0.5"), START + 4 * DAY, START + 5 * DAY, None)
    healed = drawdown(daily("100", "80", "100", "95"))
    assert healed == Drawdown(D("0.2"), START, START + DAY, START + 2 * DAY)


@settings(max_examples=examples(50))
@given(prices)
def test_what_only_rises_never_fell_and_no_fall_is_deeper_than_found(nav: list[Decimal]) -> None:
    assert drawdown(daily(*sorted(nav))) == Drawdown(D(0))
    found = drawdown(daily(*nav)).depth
    falls = [1 - float(later) / float(early) for place, early in enumerate(nav) for later in nav[place:]]
    assert float(found) == pytest.approx(max(falls), abs=1e-11)


def test_turnover_is_the_lesser_of_bought_and_sold() -> None:
    assert turnover(D(30), D(50), D(200)) == D("0.15")
    assert turnover(D(30), D(0), D(200)) == 0
    assert turnover(D(30), D(30), D(0)) is None


def test_costs_are_told_for_a_year() -> None:
    assert bps_a_year(D(5), D(1000), START, START + YEAR / 2) == pytest.approx(100)
    assert bps_a_year(D(5), D(0), START, START + YEAR) is None
    assert bps_a_year(D(5), D(1000), START, START) is None


def test_a_value_counts_for_as_long_as_it_lasted() -> None:
    points = [Point(START, D(100)), Point(START + DAY, D(400)), Point(START + 4 * DAY, D(999))]
    assert average_value(points) == D(325)
    assert average_value(points[:1]) == D(100)
    assert average_value([]) is None
