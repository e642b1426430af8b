"""How far an index strays from its weights: by hand, and who has no prices."""

from datetime import date, timedelta
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.effort import examples

from etf_trader.rebalance.tracking import LEAST_DAYS, risk_of

D = Decimal
FIRST = date(2026, 1, 1)


def closes_of(returns: list[float], start: float = 100.0) -> dict[date, Decimal]:
    """Closing prices that have these returns."""
    prices = start * np.cumprod([1.0, *(1 + each for each in returns)])
    return {FIRST + timedelta(day): D(repr(float(price))) for day, price in enumerate(prices)}


def waves(count: int, step: float) -> list[float]:
    return [step if day % 2 else -step for day in range(count)]


def test_it_is_the_deviation_of_what_the_active_weights_would_have_returned() -> None:
    # 10% too much of what moves 2% a day up or down, for what does not: 0.2% a day, times sqrt(365)
    risk = risk_of({"A": closes_of(waves(100, 0.02)), "B": closes_of(waves(100, 0.0))}, ("A", "B"))
    assert risk is not None and risk.days == 100 and risk.unknown == ()
    expected = 0.1 * 0.02 * np.sqrt(365 * 100 / 99) * 1e4
    assert float(risk.tracking_error({"A": D("0.1"), "B": D("-0.1")})) == pytest.approx(expected, abs=0.01)
    assert risk.tracking_error({}) == 0


def test_what_moves_together_cancels() -> None:
    both = closes_of(waves(60, 0.02))
    risk = risk_of({"A": both, "B": both}, ("A", "B"))
    assert risk is not None
    assert risk.tracking_error({"A": D("0.1"), "B": D("-0.1")}) == 0


def test_what_has_too_few_prices_is_taken_as_the_average() -> None:
    closes = {"A": closes_of(waves(90, 0.02)), "B": closes_of(waves(90, 0.02)), "NEW": closes_of(waves(9, 0.3))}
    risk = risk_of(closes, ("A", "B", "NEW"))
    assert risk is not None and risk.unknown == ("NEW",) and risk.days == 90
    # A and B are alike, so NEW is like both
    assert risk.tracking_error({"NEW": D("0.1")}) == risk.tracking_error({"A": D("0.1")})
    assert risk.tracking_error({"NEW": D("0.1"), "A": D("-0.1")}) == 0


def test_nothing_is_known_of_prices_that_are_few_or_do_not_move() -> None:
    assert risk_of({}, ("A",)) is None
    assert risk_of({"A": closes_of(waves(LEAST_DAYS - 1, 0.1))}, ("A",)) is None
    assert risk_of({"A": closes_of(waves(90, 0.0))}, ("A",)) is None


def test_days_before_any_price_moved_do_not_count() -> None:
    risk = risk_of({"A": closes_of([*waves(50, 0.0), *waves(40, 0.02)])}, ("A",))
    assert risk is not None and risk.days == 40


@settings(max_examples=examples(30), deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 4), st.integers(0, 2))
def test_it_is_never_below_zero_and_grows_in_proportion(seed: int, known: int, unknown: int) -> None:
    chance = np.random.default_rng(seed)
    names = [f"A{number}" for number in range(known + unknown)]
    closes = {name: closes_of(list(chance.normal(0, 0.03, 40))) for name in names[:known]}
    risk = risk_of(closes, names)
    assert risk is not None and len(risk.unknown) == unknown
    active = {name: D(int(chance.integers(-100, 100))) / 1000 for name in names}
    once = risk.tracking_error(active)
    assert once >= 0
    twice = risk.tracking_error({name: 2 * each for name, each in active.items()})
    assert abs(twice - 2 * once) <= D("0.02")
