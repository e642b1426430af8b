"""The level of an index goes on through every change of what it holds."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from etf_trader.errors import MissingPrice
from etf_trader.index.level import LEVEL_GRID, Benchmark
from etf_trader.index.weighting import on_grid, proportional

D = Decimal
ASSETS = "ABCDEF"
price = st.decimals("0.5", "500", places=4)
prices = st.fixed_dictionaries(dict.fromkeys(ASSETS, price))
scores = st.dictionaries(st.sampled_from(ASSETS), st.integers(1, 10**6).map(D), min_size=1)


def test_the_worked_example() -> None:
    before = Benchmark({"A": D(1), "B": D(2), "C": D(5)})
    at = {"A": D(20), "B": D(5), "C": D(2), "D": D(10)}
    assert before.level(at) == 40
    after = before.reweighted({"A": D("0.25"), "B": D("0.5"), "D": D("0.25")}, at)
    assert after == Benchmark({"A": D("0.5"), "B": D(4), "D": D(1)})
    assert after.level(at) == 40
    assert after.weights(at) == {"A": D("0.25"), "B": D("0.5"), "D": D("0.25")}


@given(st.lists(st.tuples(scores, prices, prices), min_size=1, max_size=8))
def test_no_history_of_changes_moves_the_level_but_prices_do(
    history: list[tuple[dict[str, Decimal], dict[str, Decimal], dict[str, Decimal]]],
) -> None:
    found = Benchmark({"A": D(10)})
    for wanted, fixing, later in history:
        level = found.level(fixing)
        changed = found.reweighted(on_grid(proportional(wanted)), fixing)
        assert abs(changed.level(fixing) - level) <= LEVEL_GRID
        if changed.value(fixing) > 1:
            # The benchmark returns what its weights return.
            weights = changed.weights(fixing).items()
            moved = sum(float(weight) * float(later[asset]) / float(fixing[asset]) for asset, weight in weights)
            assert float(changed.value(later)) / float(changed.value(fixing)) == pytest.approx(moved, rel=1e-6)
        found = changed


def test_a_swap_of_names_moves_nothing() -> None:
    before = Benchmark({"MATIC": D(100), "BTC": D(1)}, D(2))
    after = before.swapped("MATIC", "POL", D("0.5"))
    assert after == Benchmark({"BTC": D(1), "POL": D(50)}, D(2))
    assert before.level({"MATIC": D(2), "BTC": D(100)}) == after.level({"POL": D(4), "BTC": D(100)})


def test_without_a_price_no_level_is_told() -> None:
    with pytest.raises(MissingPrice, match="B has no price"):
        Benchmark({"A": D(1), "B": D(1)}).level({"A": D(1)})
