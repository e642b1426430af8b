from decimal import Decimal, FloatOperation, Inexact
from fractions import Fraction
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from etf_trader.money import (
    bps,
    ceil_to,
    divide,
    divide_down,
    divide_up,
    floor_to,
    largest_remainder,
    money_context,
    plain,
    round_to,
    share_down,
)

D = Decimal
amounts = st.decimals(min_value=-(10**12), max_value=10**12, places=8)
positive = st.decimals(min_value=D("1e-8"), max_value=10**9, places=8)


@pytest.mark.parametrize(
    ("value", "step", "down", "nearest", "up"),
    [
        pytest.param("1.23", "0.1", "1.2", "1.2", "1.3", id="between steps"),
        pytest.param("1.2", "0.1", "1.2", "1.2", "1.2", id="on a step"),
        pytest.param("-1.23", "0.1", "-1.3", "-1.2", "-1.2", id="negative"),
        pytest.param("0.25", "0.1", "0.2", "0.2", "0.3", id="tie to the even step"),
        pytest.param("0.35", "0.1", "0.3", "0.4", "0.4", id="tie to the even step above"),
        pytest.param("-0.25", "0.1", "-0.3", "-0.2", "-0.2", id="negative tie"),
        pytest.param("7", "5", "5", "5", "10", id="step above one"),
        pytest.param("0", "0.1", "0", "0", "0", id="zero"),
    ],
)
def test_rounds_the_way_its_name_says(value: str, step: str, down: str, nearest: str, up: str) -> None:
    assert floor_to(D(value), D(step)) == D(down)
    assert round_to(D(value), D(step)) == D(nearest)
    assert ceil_to(D(value), D(step)) == D(up)


@given(amounts, positive)
def test_rounding_stays_within_a_step_and_on_the_grid(value: Decimal, step: Decimal) -> None:
    down, nearest, up = floor_to(value, step), round_to(value, step), ceil_to(value, step)
    assert down <= value <= up
    assert up - down in (0, step)
    assert nearest in (down, up)
    assert abs(nearest - value) * 2 <= step
    assert down % step == 0
    assert up % step == 0


@given(amounts, positive, st.sampled_from([D(1), D("0.0001"), D("1e-8"), D("1e-18")]))
def test_a_quotient_is_rounded_to_the_nearest_step_however_small_it_is(
    numerator: Decimal, denominator: Decimal, step: Decimal
) -> None:
    rounded = Fraction(divide(numerator, denominator, step))
    assert abs(rounded - Fraction(numerator) / Fraction(denominator)) * 2 <= Fraction(step)
    assert (rounded / Fraction(step)).denominator == 1


def test_a_quotient_below_its_step_with_more_digits_than_fit_is_rounded() -> None:
    # 1 / 15,000 = .00006666...: two thirds of a step of .0001
    assert divide(D(1), D(15_000), D("0.0001")) == D("0.0001")
    assert divide(D(1), D(30_000), D("0.0001")) == D(0)
    assert bps(D("0.01"), D(1_500_000)) == D("0.0001")


@given(positive, positive)
def test_quotients_round_down_and_up_around_the_true_one(numerator: Decimal, denominator: Decimal) -> None:
    step = D("1e-12")
    assert divide_down(numerator, denominator, step) * denominator <= numerator
    assert divide_up(numerator, denominator, step) * denominator >= numerator
    assert divide_up(numerator, denominator, step) - divide_down(numerator, denominator, step) in (0, step)


def test_basis_points_of_nothing_are_zero() -> None:
    assert bps(D("1.21"), D("1000")) == D("12.1")
    assert bps(D("5"), D(0)) == 0


def test_a_ratio_is_rounded_to_its_step() -> None:
    assert divide(D(1), D(3), D("0.0001")) == D("0.3333")


@pytest.mark.parametrize(
    ("value", "text"),
    [("1E-8", "0.00000001"), ("1.500", "1.5"), ("-0.00", "0"), ("1E+3", "1000"), ("-2.50", "-2.5"), ("0", "0")],
)
def test_plain_text_has_no_exponent_and_no_idle_zero(value: str, text: str) -> None:
    assert plain(D(value)) == text


@given(amounts)
def test_plain_text_comes_back_as_it_went(value: Decimal) -> None:
    assert D(plain(value)) == value


def test_money_never_loses_a_digit_silently() -> None:
    with money_context():
        with pytest.raises(Inexact):
            D(1) / D(3)
        with pytest.raises(FloatOperation):
            D(1) * D(0.1)
        assert D("12345678901234567890123456.12345678") * D("1e-12") == D("12345678901234.56789012345612345678")


@given(
    st.decimals(min_value=D("1e-30"), max_value=10**12, places=30),
    st.decimals(min_value=D("1e-20"), max_value=10**13, places=20),
    st.decimals(min_value=D("1e-20"), max_value=10**13, places=20),
)
def test_a_share_of_long_numbers_is_the_largest_step_below_it(
    total: Decimal, part: Decimal, whole: Decimal
) -> None:
    part = min(part, whole)
    share = share_down(total, part, whole, D("1e-18"))
    exact = Fraction(total) * Fraction(part) / Fraction(whole)
    assert 0 <= exact - Fraction(share) < Fraction(1, 10**18)


weights = st.lists(st.decimals(min_value=0, max_value=10**9, places=8), min_size=1, max_size=12)


@pytest.mark.parametrize(
    ("total", "shares", "step", "parts"),
    [
        # quotas 3.5, 2.1, 1.4: 3 + 2 + 1 = 6, and the seventh goes to .5
        pytest.param("7", ["5", "3", "2"], "1", ["4", "2", "1"], id="the largest remainder is rounded up"),
        # quotas 3 1/3 each: the first of equals
        pytest.param("0.10", ["1", "1", "1"], "0.01", ["0.04", "0.03", "0.03"], id="a tie goes to the first"),
        pytest.param(
            "0.02", ["1", "0", "1", "1"], "0.01", ["0.01", "0", "0.01", "0"], id="fewer steps than parts"
        ),
        pytest.param("5", ["0.2"], "0.5", ["5"], id="one part takes all"),
        pytest.param("0", ["0", "0"], "1", ["0", "0"], id="nothing is split into nothings"),
        pytest.param("1e12", ["1e-30", "1e30"], "1e-8", ["0", "1e12"], id="a weight that vanishes"),
    ],
)
def test_splits_by_largest_remainder(total: str, shares: list[str], step: str, parts: list[str]) -> None:
    with money_context():
        assert largest_remainder(D(total), [D(share) for share in shares], D(step)) == [D(part) for part in parts]


@given(st.integers(min_value=0, max_value=10**15), st.sampled_from(["1e-8", "0.01", "5", "1e-18"]), weights)
def test_parts_add_up_and_stay_within_a_step_of_their_share(steps: int, step: str, shares: list[Decimal]) -> None:
    with money_context():
        if not sum(shares):
            shares = [*shares, D(1)]
        total = steps * D(step)
        parts = largest_remainder(total, shares, D(step))
        assert sum(parts, D(0)) == total
        whole = sum(Fraction(share) for share in shares)
        for part, share in zip(parts, shares, strict=True):
            exact = Fraction(total) * Fraction(share) / whole
            assert part >= 0
            assert part % D(step) == 0
            assert abs(Fraction(part) - exact) < Fraction(step)
            assert part == 0 or share > 0


@given(st.integers(min_value=0, max_value=10**6), weights, st.randoms(use_true_random=False))
def test_a_larger_weight_never_gets_less_and_order_matters_for_equals_alone(
    steps: int, shares: list[Decimal], chance: Random
) -> None:
    shares = [*shares, D(1)]
    parts = largest_remainder(D(steps), shares, D(1))
    pairs = sorted(zip(shares, parts, strict=True))
    assert [part for _, part in pairs] == sorted(parts)
    shuffled = chance.sample(shares, len(shares))
    assert sorted(zip(shuffled, largest_remainder(D(steps), shuffled, D(1)), strict=True)) == pairs


@pytest.mark.parametrize(
    ("total", "shares", "step"),
    [
        pytest.param("-1", ["1"], "1", id="a negative total"),
        pytest.param("1.5", ["1"], "1", id="a total between steps"),
        pytest.param("1", ["2", "-1"], "1", id="a negative weight"),
        pytest.param("1", ["0", "0"], "1", id="no weight"),
        pytest.param("1", [], "1", id="no parts"),
        pytest.param("1", ["1"], "0", id="no step"),
    ],
)
def test_what_cannot_be_split_is_refused(total: str, shares: list[str], step: str) -> None:
    with pytest.raises(ValueError, match="cannot be split"):
        largest_remainder(D(total), [D(share) for share in shares], D(step))
