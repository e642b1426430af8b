"""What less of a rebalance would cost, and how far the index would then stray."""

from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.effort import examples
from tests.unit.rebalance.test_planning import ASSETS, HELD, planned

from etf_trader.rebalance.frontier import COST, TRADES, frontier
from etf_trader.rebalance.outlook import outlook_of
from etf_trader.rebalance.tracking import Risk

D = Decimal
TARGETS = {"A": D("0.3"), "B": D("0.3"), "C": D("0.1"), "D": D("0.3")}
TYPED = {asset: str(weight) for asset, weight in TARGETS.items()}


def risk(**daily: float) -> Risk:
    """Assets that move apart from each other, by these deviations a day."""
    return Risk(tuple(ASSETS), np.diag([daily.get(asset, 0.03) ** 2 for asset in ASSETS]), 90, ())


def test_without_past_prices_the_points_are_parts_of_every_trade() -> None:
    points = frontier(planned(TYPED), TARGETS, None)
    assert [each.part for each in points] == [D(0), D("0.25"), D("0.5"), D("0.75"), D(1)]
    assert {each.of for each in points} == {TRADES}
    assert [each.is_chosen for each in points] == [False] * 4 + [True]
    assert all(each.tracking_error is None for each in points)
    half, whole = points[2], points[4]
    assert float(half.turnover) == pytest.approx(float(whole.turnover) / 2, rel=0.01)


def test_what_is_risky_is_traded_first() -> None:
    points = frontier(planned(TYPED), TARGETS, risk(D=0.2))
    assert [each.of for each in points] == [COST] * len(points)
    quarter, whole = points[1], points[-1]
    # a quarter of the cost leaves far less than three quarters of what was to be gained
    assert quarter.cost <= whole.cost * D("0.26")
    assert quarter.tracking_error is not None and points[0].tracking_error is not None
    assert quarter.tracking_error < points[0].tracking_error * D("0.7")


def test_dust_of_who_left_is_in_no_points_way() -> None:
    held = replace(HELD, quantities={**HELD.quantities, "D": D("0.000001")})
    targets = {"A": D("0.25"), "B": D("0.75"), "D": D(0)}
    points = frontier(planned({"A": "0.25", "B": "0.75"}, held), targets, risk())
    assert [each.part for each in points] == [D(0), D("0.25"), D("0.5"), D("0.75"), D(1)]


def test_what_is_planned_by_a_price_stands_among_them() -> None:
    found = planned(TYPED, price_bps="12")
    points = frontier(found, TARGETS, risk())
    [chosen] = [each for each in points if each.is_chosen]
    assert chosen.part is None and chosen.cost == found.cost
    assert any(each.part == 1 for each in points)


@settings(max_examples=examples(15), deadline=None)
@given(st.lists(st.floats(0.005, 0.2), min_size=4, max_size=4), st.sampled_from(["1", "0.3"]))
def test_the_points_cost_more_and_stray_less_and_beat_parts_of_every_trade(
    daily: list[float], turnover: str
) -> None:
    found = planned(TYPED, turnover=turnover)
    points = frontier(found, TARGETS, risk(**dict(zip(ASSETS, daily, strict=True))))
    for less, more in pairwise(points):
        assert less.cost <= more.cost
        assert (less.tracking_error or 0) > (more.tracking_error or 0) or more.is_chosen
    nothing, whole = float(points[0].tracking_error or 0), float(points[-1].tracking_error or 0)
    for each in points[1:-1]:
        part = float(each.cost) / float(points[-1].cost)
        assert float(each.tracking_error or 0) <= ((1 - part) * nothing + part * whole) * 1.01 + 1


def test_what_it_brings_is_told_with_days_and_who_was_averaged() -> None:
    first = date(2026, 1, 1)
    closes = {
        asset: {first + timedelta(day): D(100 + (day * place) % 7) for day in range(60)}
        for place, asset in enumerate("ABC", start=1)
    }
    found = outlook_of(planned(TYPED), TARGETS, closes)
    assert found.days == 59 and found.averaged == ("D",)
    assert found.tracking_error_before is not None and found.tracking_error_after is not None
    assert found.tracking_error_after < found.tracking_error_before / 20
    assert found.frontier[0].tracking_error == found.tracking_error_before
    assert found.frontier[-1].tracking_error == found.tracking_error_after
    assert outlook_of(planned(TYPED), TARGETS, {}).tracking_error_before is None
    assert HELD.cash == 0
