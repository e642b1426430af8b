"""A plan within a budget of orders: by the currencies' prices if these prove it, else by the integer program.

At the linear program's prices the choice of books is a knapsack, and its bound
nearly always meets the plan it chooses. Where a gap is left, the prices of that
plan are tried, and then the integer program gets its time; the best plan of all
is kept. Where time is over and nothing was found, the linear program's least
used books are given up.
"""

from decimal import Decimal
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from etf_trader.solver.curves import Array
from etf_trader.solver.knapsack import chosen_by_prices
from etf_trader.solver.route_books import Flows
from etf_trader.solver.route_lp import EPS, Program
from etf_trader.solver.route_problem import SlotProof
from etf_trader.solver.route_slots import GAP, chosen, fewer

_TRIES = 3  # of prices, each those of the plan that the ones before chose
_SAME = 1e-9  # fractions no further apart are one
_COARSE = 10.0  # times eps: the integer program's time goes with its columns


class Budgeted(NamedTuple):
    """A continuous plan within the slots, over the arcs allowed, who chose them, and what is proved of it."""

    flows: Flows
    allowed: NDArray[np.bool_]
    method: str
    proof: SlotProof


class _Best:
    """The best plan found so far, and the best bound for the whole of what is possible without slots."""

    def __init__(self, program: Program, free: Flows, slots: int) -> None:
        self.program, self.free, self.slots = program, free, slots
        self.flows: Flows | None = None
        self.allowed = np.zeros(len(free.taken), dtype=bool)
        self.method = ""
        self.bound = -np.inf

    def take(self, allowed: NDArray[np.bool_], method: str) -> None:
        """Keep the plan over the arcs allowed if it is the best yet and within the slots."""
        flows = self.program.solve(allowed)
        if self.program.books.orders(flows.taken) > self.slots:
            return
        if self.flows is None or (-flows.fraction, flows.cost) < (-self.flows.fraction - _SAME, self.flows.cost):
            self.flows, self.allowed, self.method = flows, allowed, method

    @property
    def is_whole(self) -> bool:
        """Whether the slots keep nothing from being traded."""
        return self.flows is not None and self.flows.fraction >= self.free.fraction * (1 - _SAME)

    @property
    def is_proved(self) -> bool:
        """Whether the bound meets the plan."""
        return self.is_whole and self.flows is not None and self.flows.cost - self.bound <= GAP


def within_slots(program: Program, free: Flows, prices: Array, slots: int) -> Budgeted:
    """Return the best plan within the slots.

    Args:
        program: The linear program.
        free: Its plan without slots.
        prices: Of each node over its mid, no limit having a part in them.
        slots: Orders that may be sent.

    Raises:
        NumericalFailure: HiGHS found no optimum.
    """
    best = _Best(program, free, slots)
    for _ in range(_TRIES):
        found = chosen_by_prices(program.books, prices, free.fraction, slots)
        if found is None:
            break
        best.bound = max(best.bound, found[1])
        best.take(found[0], "knapsack")
        if best.is_proved:
            return _answer(best, is_proved=True)
        prices = program.solve(found[0], most=free.fraction, is_limited=False).prices
        prices = prices / prices[program.books.index[program.network.home]]
    coarse = Program(program.books, _COARSE * EPS)
    choice = chosen(coarse, slots, program.network.problem.seconds)
    if choice is not None:
        best.take(choice.allowed, "milp")
        # joined levels overstate by up to eps, over the assets and once more over the conversions
        best.bound = max(best.bound, choice.bound - 2 * _COARSE * EPS)
    if best.flows is None:
        best.take(fewer(program.books, free, slots), "linprog")
    return _answer(best, is_proved=best.is_proved or (choice is not None and choice.is_proved))


def _answer(best: _Best, *, is_proved: bool) -> Budgeted:
    program = best.program
    allowed = best.allowed
    flows = program.solve(allowed) if best.flows is None else best.flows
    bound = None
    if best.is_whole and np.isfinite(best.bound):
        cash = best.bound * program.books.value * program.network.side.sign
        bound = Decimal(f"{cash:.8f}")
    is_fallback = best.method in ("linprog", "")
    return Budgeted(flows, allowed, best.method or "linprog", SlotProof(best.slots, bound, is_proved, is_fallback))
