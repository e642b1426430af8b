"""The one way to HiGHS: what it would misread is refused, and what it says is checked."""

import numpy as np
import pytest
from scipy.optimize import linprog

from etf_trader.errors import NumericalFailure
from etf_trader.solver.highs import Rows, minimise, minimise_integer, rows_of

ONE = np.array([1.0])


def row(entries: list[float], bound: float) -> Rows:
    count = len(entries)
    return rows_of(np.array(entries), np.zeros(count, dtype=np.intp), np.arange(count), np.array([bound]), count)


def test_the_duals_say_what_a_unit_of_bound_is_worth() -> None:
    found = minimise(np.array([-3.0, -1.0]), np.array([10.0, 10.0]), upper=row([1.0, 1.0], 12.0))
    assert found.x.tolist() == [10.0, 2.0]
    assert (found.objective, found.upper_duals.tolist()) == (-32.0, [-1.0])


@pytest.mark.parametrize("bad", [np.nan, np.inf, -1.0], ids=["not a number", "infinite", "negative"])
def test_a_bound_that_is_no_bound_is_refused(bad: float) -> None:
    """To linprog a bound of NaN is no bound: it would fill more than there is."""
    with pytest.raises(NumericalFailure, match="bound"):
        minimise(-ONE, np.array([bad]), upper=row([1.0], 5.0))


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_rows_and_costs_that_are_no_numbers_are_refused(bad: float) -> None:
    with pytest.raises(NumericalFailure):
        minimise(np.array([bad]), ONE)
    with pytest.raises(NumericalFailure, match="row"):
        minimise(ONE, ONE, upper=row([bad], 1.0))
    with pytest.raises(NumericalFailure, match="row"):
        minimise(ONE, ONE, upper=row([1.0], bad))


def test_an_entry_that_would_vanish_is_refused() -> None:
    """HiGHS drops entries below 1e-9 without a word: this basket would fill without its bitcoin."""
    basket = [1.0, -1e-10]  # bitcoin bought, and its raw quantity in an index unit
    raw = linprog([0.0, -1.0], A_eq=[basket], b_eq=[0.0], bounds=[(0, 0), (0, 1)], method="highs-ds")
    assert raw.x is not None
    assert raw.x.tolist() == [0.0, 1.0]
    with pytest.raises(NumericalFailure, match="would drop it"):
        minimise(np.array([0.0, -1.0]), np.array([0.0, 1.0]), equal=row(basket, 0.0))


def test_what_cannot_be_is_a_failure_with_its_status_and_never_no_liquidity() -> None:
    with pytest.raises(NumericalFailure, match="status 2"):
        minimise(ONE, ONE, equal=row([1.0], 2.0))
    with pytest.raises(NumericalFailure, match="status 2"):
        minimise_integer(ONE, ONE, np.array([True]), equal=row([1.0], 2.0), gap=1e-6, seconds=5.0)


def test_whole_columns_come_with_what_is_proved() -> None:
    found = minimise_integer(-ONE, np.array([9.0]), np.array([True]), upper=row([2.0], 7.0), gap=1e-6, seconds=5.0)
    assert found is not None
    assert (found.x.tolist(), found.objective, found.bound, found.is_proved) == ([3.0], -3.0, -3.0, True)


def test_the_solver_prints_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    minimise(-ONE, ONE, upper=row([1.0], 0.5))
    minimise_integer(-ONE, ONE, np.array([True]), gap=1e-6, seconds=5.0)
    assert capfd.readouterr() == ("", "")
