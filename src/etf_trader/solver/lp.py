"""The continuous order as a linear program: no lots, no minimums, fees at their rate.

    y      what is taken of each level, in value units: quantity x mid / V
    r      what the order or the float already has and a buy uses first
    f      fraction of the order, in [0, 1]
    c      price / mid;   w   weight a mid / NAV;   k   weight of the basket's cash
    V      value of all that is wanted, at the mids; L   price limit / NAV

    buy    min  sum c y + r mid_paid - L f      (1 - fee) sum y + r = w f     every asset
    sell   max  sum (1 - fee) c y - L f         sum y = w f                   every asset

Floats live here and nowhere else in the solver. `units_up` leads back: what the
LP says is a ceiling for the exact search, never a plan. It is an upper bound of
the order with lots: cash counts the planned value and not the worst case, and a
sell's leftovers leave their depth to the units.

Source:
    scipy.optimize.linprog, HiGHS dual simplex.
"""

from decimal import Decimal
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linprog
from scipy.sparse import csr_array

from etf_trader.errors import NumericalFailure
from etf_trader.market.symbol import Side
from etf_trader.money import BPS, UNIT_GRID, ceil_to
from etf_trader.solver.problem import OrderProblem

_SMALLEST = 1e-7  # HiGHS drops matrix entries below 1e-9 without a word
_TIE = 1e-9  # where the marginal price equals the limit on a stretch, the larger fraction is meant
_INFEASIBLE = 2  # the status of linprog
_Array = NDArray[np.float64]


class Fraction(NamedTuple):
    """An optimum of the relaxed order: its fraction, and the cash of its legs in units of V."""

    fraction: float
    cash: float


class _Program(NamedTuple):
    """Columns: the levels of all legs, then what is there already, then f."""

    price: _Array  # c per level column
    depth: _Array  # upper bound per level column
    leg: NDArray[np.intp]  # leg number per level column
    weight: _Array
    net: _Array
    spare: _Array  # upper bound per r column: held, then residual of each leg
    arrival: _Array  # arrival mid / mid of each leg


def widest_fraction(problem: OrderProblem) -> Fraction:
    """Return the largest fraction of `quantity` that depth and limits leave, at the least cost.

    An order that has to make good a loss needs a least fraction; the program
    takes it even beyond the price limit, which is then for the exact search to refuse.

    Raises:
        NumericalFailure: HiGHS found no optimum (status and message), or a weight is below 1e-7.
    """
    if problem.quantity == 0:
        return Fraction(0.0, 0.0)
    program = _program(problem)
    sign = problem.side.sign
    count, legs = len(program.price), len(program.weight)
    flow = _leg_cash(program, problem.side)
    paid = np.concatenate(
        [sign * flow, np.zeros(legs), np.ones(legs), [0.0]]
    )  # held is paid, residual costs the mid
    objective = paid.copy()
    objective[-1] = -sign * _worth(problem, program)
    rows, bounds = _limit_rows(problem, program, paid)
    upper = np.concatenate([program.depth, program.spare, [1.0]])
    box: Any = np.column_stack([np.zeros(len(upper)), upper])  # an array, though the stubs ask for a list
    result = linprog(
        objective * float(BPS),
        A_ub=np.array(rows) * float(BPS) if rows else None,  # feasible within 1e-7 bps, not within 1e-7 of V
        b_ub=np.array(bounds) * float(BPS) if rows else None,
        A_eq=_balance(program, problem.side),
        b_eq=np.zeros(legs),
        bounds=box,
        method="highs-ds",
        options={"presolve": False, "primal_feasibility_tolerance": 1e-10},
    )
    if result.status == _INFEASIBLE and min(bounds, default=0.0) < 0:
        return Fraction(0.0, 0.0)  # cash or loss are overdrawn before the order starts, and no size cures it
    if result.status != 0 or result.x is None:
        raise NumericalFailure(f"the solver gave up with status {result.status}: {result.message}")
    return Fraction(float(result.x[-1]), float(flow @ result.x[:count]))


def units_up(problem: OrderProblem, relaxed: Fraction) -> int:
    """Return the relaxed units as steps of the unit grid, rounded up past the solver's tolerance.

    One lot of each asset is added: lots may reach a little further than their continuous price.
    """
    grid = Decimal(repr(max(relaxed.fraction, 0.0))) + Decimal("1e-6")
    lots = max(leg.rule.step // (leg.per_unit * UNIT_GRID) + 1 for leg in problem.legs if leg.per_unit)
    return int(ceil_to(grid * problem.quantity, UNIT_GRID) / UNIT_GRID) + int(lots)


def _program(problem: OrderProblem) -> _Program:
    """Return the scaled arrays, every one of them finite and not negative."""
    value = problem.quantity * problem.nav
    legs = [leg for leg in problem.legs if leg.per_unit]
    weight = np.array([float(leg.per_unit * leg.mid) for leg in legs]) / float(problem.nav)
    for leg, each in zip(legs, weight, strict=True):
        if each < _SMALLEST:
            raise NumericalFailure(
                f"{leg.asset} is {each:.1e} of the basket: too little for the LP", where=leg.asset
            )
    mid = np.array([float(leg.mid) for leg in legs])
    sizes = [len(leg.levels) for leg in legs]
    owner = np.repeat(np.arange(len(legs)), sizes)
    levels = np.array([(float(p), float(q)) for leg in legs for p, q in leg.levels]).reshape(-1, 2)
    spare = [leg.held for leg in legs] + [leg.residual for leg in legs]
    if problem.side is Side.SELL:
        spare = [Decimal(0)] * len(spare)
    program = _Program(
        price=levels[:, 0] / mid[owner],
        depth=levels[:, 1] * mid[owner] / float(value),
        leg=owner,
        weight=weight,
        net=np.array([1 - float(leg.rule.taker_fee) for leg in legs]),
        spare=np.array([float(each) for each in spare]) * np.tile(mid, 2) / float(value),
        arrival=np.array([float(leg.arrival_mid) for leg in legs]) / mid,
    )
    if not all(np.isfinite(array).all() and (array >= 0).all() for array in program):
        raise ValueError("a price, a depth or a weight is negative or not a number")
    return program


def _leg_cash(program: _Program, side: Side) -> _Array:
    return program.price if side is Side.BUY else program.price * program.net[program.leg]


def _balance(program: _Program, side: Side) -> Any:  # the stubs of linprog know dense matrices only
    """Return the rows that give every asset the common fraction."""
    count, legs = len(program.price), len(program.weight)
    each = np.arange(legs)
    bought = program.net[program.leg] if side is Side.BUY else np.ones(count)
    data = np.concatenate([bought, np.ones(2 * legs), -program.weight])
    row = np.concatenate([program.leg, each, each, each])
    column = np.concatenate([np.arange(count + 2 * legs), np.full(legs, count + 2 * legs)])
    return csr_array((data, (row, column)), shape=(legs, count + 2 * legs + 1))


def _worth(problem: OrderProblem, program: _Program) -> float:
    """Return L less the basket's cash, or what makes any unit worth its trade when there is no limit."""
    if problem.limit is not None:
        slack = _TIE * problem.side.sign
        return float(problem.limit - problem.cash_per_unit) / float(problem.nav) + slack
    if problem.side is Side.SELL:
        return -1.0
    return 2.0 + 2.0 * float(np.max(program.price, initial=1.0) / np.min(program.net))


def _limit_rows(problem: OrderProblem, program: _Program, paid: _Array) -> tuple[list[_Array], list[float]]:
    """Return the rows of --max-loss and of the cash, in units of V."""
    rows: list[_Array] = []
    bounds: list[float] = []
    value = float(problem.quantity * problem.nav)
    cash_weight = float(problem.cash_per_unit) / float(problem.nav)
    arrival_nav = problem.arrival_nav
    sign = problem.side.sign
    if problem.max_loss_bps is not None:
        share = float(arrival_nav * (BPS + sign * problem.max_loss_bps)) / float(BPS * problem.nav)
        row = paid.copy()
        row[len(program.price) : len(program.price) + len(program.weight)] = program.arrival
        row[-1] = sign * (cash_weight - share)
        rows.append(row)
        allowed = problem.max_loss_bps * problem.units_done * arrival_nav - problem.loss_done * BPS
        bounds.append(float(allowed) / float(BPS) / value)
    if problem.cash is not None and problem.side is Side.BUY:
        row = paid.copy()
        row[-1] = cash_weight
        rows.append(row)
        bounds.append(float(problem.cash) / value)
    return rows, bounds
