"""The one way to HiGHS: arrays are checked before, the status after, and nothing is printed.

Callers scale: amounts in units of V, costs in basis points. HiGHS is feasible to
1e-7 absolute and drops matrix entries below 1e-9 without a word, so raw prices
and quantities never come here, and small entries are refused.

Source:
    scipy.optimize.linprog and milp; Huangfu and Hall (2018), the dual simplex of HiGHS.
"""

import ctypes
import os
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import Bounds, LinearConstraint, linprog, milp
from scipy.sparse import csr_array

from etf_trader.errors import NumericalFailure
from etf_trader.solver.curves import Array

SMALLEST = 1e-7
"""The smallest matrix entry that is let through."""

_OPTIMAL = 0
_UNKNOWN = 4
_TIME_LIMIT = 1


class Optimum(NamedTuple):
    """What HiGHS found: columns, objective, and the duals of the rows (change of objective a unit of bound)."""

    x: Array
    objective: float
    equal_duals: Array
    upper_duals: Array


class IntegerOptimum(NamedTuple):
    """What HiGHS found with whole columns: `bound` is what it proved, `is_proved` says within the gap asked."""

    x: Array
    objective: float
    bound: float
    is_proved: bool


class Rows(NamedTuple):
    """Sparse rows and their right side: shapes (m, n) and (m,)."""

    matrix: Any  # the stubs know dense matrices only
    bound: Array


def rows_of(data: Array, row: NDArray[np.intp], column: NDArray[np.intp], bound: Array, columns: int) -> Rows:
    """Return rows from entries, as many as there are bounds."""
    return Rows(csr_array((data, (row, column)), shape=(len(bound), columns)), bound)


def minimise(objective: Array, high: Array, *, equal: Rows | None = None, upper: Rows | None = None) -> Optimum:
    """Minimise objective . x with 0 <= x <= high, equal.matrix x = equal.bound, upper.matrix x <= upper.bound.

    Raises:
        NumericalFailure: an entry is too small, or HiGHS found no optimum (status and message). Problems here are
            feasible by design, so that is never "no liquidity".
    """
    _check(objective, high, equal, upper)
    # presolve costs more than it saves on ladders, but a degenerate vertex may leave the simplex method at a loss
    for presolve in (False, True):
        result = linprog(
            objective,
            A_ub=None if upper is None else upper.matrix,
            b_ub=None if upper is None else upper.bound,
            A_eq=None if equal is None else equal.matrix,
            b_eq=None if equal is None else equal.bound,
            bounds=_box(high),
            method="highs-ds",
            options={
                "presolve": presolve,
                "primal_feasibility_tolerance": 1e-10,
                "dual_feasibility_tolerance": 1e-10,
            },
        )
        if result.status != _UNKNOWN:
            break
    if result.status != _OPTIMAL or result.x is None:
        raise NumericalFailure(f"the solver gave up with status {result.status}: {result.message}")
    return Optimum(
        np.asarray(result.x),
        float(result.fun or 0.0),
        np.asarray(result.eqlin.marginals),
        np.asarray(result.ineqlin.marginals),
    )


def minimise_integer(
    objective: Array,
    high: Array,
    is_integer: NDArray[np.bool_],
    *,
    equal: Rows | None = None,
    upper: Rows | None = None,
    gap: float,
    seconds: float,
) -> IntegerOptimum | None:
    """Minimise as `minimise` does, with some columns whole.

    Args:
        gap: Relative gap at which the search may stop.
        seconds: Time limit.

    Returns:
        None when the time was over before anything was found.

    Raises:
        NumericalFailure: as `minimise`.
    """
    _check(objective, high, equal, upper)
    constraints = []
    if equal is not None:
        constraints.append(LinearConstraint(equal.matrix, equal.bound, equal.bound))
    if upper is not None:
        constraints.append(LinearConstraint(upper.matrix, np.full(len(upper.bound), -np.inf), upper.bound))
    with quiet():
        result = milp(
            objective,
            integrality=is_integer.astype(np.int64),
            bounds=Bounds(np.zeros(len(high)), high),
            constraints=constraints,
            options={"mip_rel_gap": gap, "time_limit": seconds},
        )
    if result.status == _TIME_LIMIT and result.x is None:
        return None
    if result.status not in (_OPTIMAL, _TIME_LIMIT) or result.x is None:
        raise NumericalFailure(f"the solver gave up with status {result.status}: {result.message}")
    is_proved = result.status == _OPTIMAL
    return IntegerOptimum(np.asarray(result.x), float(result.fun), float(result.mip_dual_bound), is_proved)


_ONE_AT_A_TIME = threading.Lock()


@contextmanager
def quiet() -> Iterator[None]:
    """Keep off standard output what HiGHS prints there whatever its log level.

    Its integer solver tells the C library's stdout when it repairs a solution,
    and a command's data stand on that stream. What others print meanwhile comes
    out afterwards.
    """
    with _ONE_AT_A_TIME, tempfile.TemporaryFile() as aside:
        c_library = ctypes.CDLL(None)
        c_library.fflush(None)
        try:
            stream = os.dup(1)
        except OSError:  # there is no standard output to protect
            yield
            return
        os.dup2(aside.fileno(), 1)
        try:
            yield
        finally:
            c_library.fflush(None)
            os.dup2(stream, 1)
            os.close(stream)
            aside.seek(0)
            if others := b"".join(line for line in aside if not line.startswith(b"Highs")):
                os.write(1, others)


def _box(high: Array) -> Any:  # an array, though the stubs ask for a list
    return np.column_stack([np.zeros(len(high)), high])


def _check(objective: Array, high: Array, *parts: Rows | None) -> None:
    """Refuse what HiGHS would silently read as something else: NaN as infinity, small entries as zero."""
    if not (np.isfinite(objective).all() and np.isfinite(high).all() and (high >= 0).all()):
        raise NumericalFailure("a cost or a bound is negative, infinite or not a number")
    for part in parts:
        if part is None:
            continue
        entries = np.abs(part.matrix.data)
        if not (np.isfinite(entries).all() and np.isfinite(part.bound).all()):
            raise NumericalFailure("a row is infinite or not a number")
        if (entries[entries > 0] < SMALLEST).any():
            raise NumericalFailure(f"a matrix entry is below {SMALLEST:.0e}: the solver would drop it")
