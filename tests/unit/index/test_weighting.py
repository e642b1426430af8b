"""Weights: exact, bounded, together 1; the statistics by what defines them."""

from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from etf_trader.errors import DataError, UsageError
from etf_trader.index.weighting import (
    WEIGHT_GRID,
    bounded,
    equal,
    inverse_volatility,
    momentum,
    on_grid,
    proportional,
    risk_parity,
    roots,
)

D = Decimal
amounts = st.decimals("0.01", "1e12", places=2)
tables = st.dictionaries(st.text("ABCDEFG", min_size=1, max_size=3), amounts, min_size=2, max_size=30)


@given(tables, st.integers(0, 100), st.integers(0, 100))
def test_bounded_shares_keep_both_bounds_sum_to_one_and_keep_their_order(
    scores: dict[str, Decimal], above: int, below: int
) -> None:
    n = len(scores)
    cap = _decimal(Fraction(1, n) + Fraction(above, 50) * Fraction(n - 1, n))
    floor = max(_decimal(Fraction(below, 100 * n)) - D("1e-9"), D(0))
    shares = proportional(scores)
    found = bounded(shares, cap=cap, floor=floor)
    assert sum(found.values()) == 1
    assert all(Fraction(floor) <= each <= Fraction(cap) for each in found.values())
    ranked = sorted(scores, key=lambda asset: scores[asset])
    assert [found[asset] for asset in ranked] == sorted(found.values())
    free = [asset for asset, each in found.items() if Fraction(floor) < each < Fraction(cap)]
    assert len({found[asset] / shares[asset] for asset in free}) <= 1  # one factor for all


@given(tables, st.integers(1, 40))
def test_the_factor_is_where_the_iteration_ends(scores: dict[str, Decimal], above: int) -> None:
    cap = Fraction(1, len(scores)) * (1 + Fraction(above, 20))
    shares = proportional(scores)
    assert bounded(shares, cap=_decimal(cap)) == _redistributed(shares, Fraction(_decimal(cap)))


def _decimal(share: Fraction) -> Decimal:
    """Return the share rounded up, so that it fits."""
    return (D(share.numerator * 10**9 // share.denominator) + 1) / D(10**9)


def _redistributed(shares: dict[str, Fraction], cap: Fraction) -> dict[str, Fraction]:
    """Cap, and spread what is cut over those below it, until nothing is above."""
    found, capped = dict(shares), set[str]()
    while over := {asset for asset, each in found.items() if each > cap}:
        capped |= over
        free = {asset: share for asset, share in shares.items() if asset not in capped}
        left, whole = 1 - cap * len(capped), sum(free.values())
        found = dict.fromkeys(capped, cap) | {asset: share * left / whole for asset, share in free.items()}
    return found


@pytest.mark.parametrize(
    ("cap", "floor", "sentence"),
    [("0.2", None, "leaves 20% for nobody"), (None, "0.3", "does not fit"), ("0.25", "0.26", "does not fit")],
)
def test_bounds_that_exclude_each_other_are_refused(cap: str | None, floor: str | None, sentence: str) -> None:
    shares = equal(["A", "B", "C", "D"])
    with pytest.raises(UsageError, match=sentence):
        bounded(shares, cap=None if cap is None else D(cap), floor=None if floor is None else D(floor))


def test_who_has_no_share_gets_what_the_caps_of_the_others_leave() -> None:
    found = bounded({"A": Fraction(1), "B": Fraction(0), "C": Fraction(0)}, cap=D("0.5"))
    assert found == {"A": Fraction(1, 2), "B": Fraction(1, 4), "C": Fraction(1, 4)}


@given(tables)
def test_on_the_grid_weights_sum_to_one_exactly_and_differ_by_less_than_a_step(scores: dict[str, Decimal]) -> None:
    shares = proportional(scores)
    found = on_grid(shares)
    assert sum(found.values()) == 1
    assert all(each % WEIGHT_GRID == 0 for each in found.values())
    assert all(abs(Fraction(found[asset]) - share) < Fraction(WEIGHT_GRID) for asset, share in shares.items())


def test_on_the_grid_no_weight_is_above_the_cap() -> None:
    cap = D("0.333333333334")
    found = on_grid(bounded(equal(["A", "B", "C"]), cap=cap), cap=cap)
    assert found == {"A": D("0.333333333334"), "B": D("0.333333333333"), "C": D("0.333333333333")}


def test_nothing_to_weigh_by_is_refused() -> None:
    with pytest.raises(UsageError, match="every figure is 0"):
        proportional({"A": D(0), "B": D(0)})


def test_roots_are_those_of_the_scores() -> None:
    found = roots({"A": D(144), "B": D(0), "C": D(2)})
    assert (found["A"], found["B"]) == (D(12), D(0))
    assert abs(Fraction(found["C"]) ** 2 - 2) < Fraction(1, 10**38)


def some_returns(seed: int, assets: int, days: int = 400) -> dict[str, np.ndarray]:
    random = np.random.default_rng(seed)
    common = random.normal(0, 0.03, days)
    return {
        f"A{i}": random.uniform(0.2, 1.5) * common + random.normal(0, 0.01 * (i + 1), days) for i in range(assets)
    }


@pytest.mark.parametrize("seed", range(5))
def test_under_risk_parity_every_constituent_brings_the_same_risk(seed: int) -> None:
    returns = some_returns(seed, 6)
    weights = {asset: float(share) for asset, share in proportional(risk_parity(returns)).items()}
    covariance = np.cov(np.vstack(list(returns.values())), ddof=1)
    vector = np.array([weights[asset] for asset in returns])
    parts = vector * (covariance @ vector)
    assert parts / parts.sum() == pytest.approx(np.full(6, 1 / 6), rel=1e-9)


def test_inverse_volatility_halves_what_moves_twice_as_much() -> None:
    calm = np.array([0.01, -0.01] * 50)
    found = proportional(inverse_volatility({"CALM": calm, "WILD": 2 * calm}))
    assert float(found["CALM"]) == pytest.approx(2 / 3)
    with pytest.raises(DataError, match="the price of STILL never moved"):
        inverse_volatility({"CALM": calm, "STILL": 0 * calm})


def test_momentum_gives_nothing_to_who_lost() -> None:
    found = momentum({"UP": np.array([0.1, 0.1]), "DOWN": np.array([-0.1, 0.05])})
    assert found["DOWN"] == 0
    assert float(found["UP"]) == pytest.approx(0.21)
