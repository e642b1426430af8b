"""Who answers: merged ladders while conversion is flat, else the linear program; under slots a choice of books."""

from collections.abc import Mapping
from decimal import Decimal
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from etf_trader.market.symbol import Side
from etf_trader.money import BPS, UNIT_GRID, floor_to
from etf_trader.solver.curves import Array
from etf_trader.solver.merge import merged
from etf_trader.solver.route_books import Books, Flows
from etf_trader.solver.route_bound import cash_bound, multipliers
from etf_trader.solver.route_problem import SlotProof

if TYPE_CHECKING:
    from etf_trader.solver.route_lp import Program

FLAT = 0.02
"""How far above its bound, in bps, the merged plan may lie before the linear program is asked."""

_TOLERANCE = 0.05  # of the linear program, bps: above it levels are joined more finely, once
_FINER = 10.0  # eps the second time


class Answer(NamedTuple):
    """A continuous plan and who found it.

    `prices` are the multipliers of the nodes, home currency a unit of each;
    `stopped_by` names what made the plan small that its limits do not show,
    `allowed` are the arcs chosen under slots.
    """

    books: Books
    flows: Flows
    prices: Mapping[str, Decimal]
    method: str
    proof: SlotProof | None
    stopped_by: tuple[str, ...]
    allowed: NDArray[np.bool_] | None


def search(books: Books) -> Answer:
    """Return the best continuous plan over all books.

    Raises:
        NumericalFailure: the solver gave up.
    """
    problem = books.network.problem
    slots = problem.slots
    flows = merged(books)
    if flows is not None and _fits(books, flows, slots):
        prices = _prices(books, flows.prices)
        if _gap(books, flows, prices) <= FLAT:
            return Answer(books, flows, prices, "merge", None, (), None)
    from etf_trader.solver.route_lp import EPS, Program

    program = Program(books)
    flows, prices = _solved(program)
    if flows.fraction > 0 and _gap(books, flows, prices) > _TOLERANCE:
        program = Program(books, EPS / _FINER)
        flows, prices = _solved(program)
    if _fits(books, flows, slots):
        return Answer(books, flows, prices, "linprog", None, (), None)
    from etf_trader.solver.route_budget import within_slots

    ratios = np.array([float(prices[node]) / float(books.network.mids[node]) for node in books.nodes])
    kept = within_slots(program, flows, ratios, slots or 0)
    stopped_by = ("slots",) if kept.flows.fraction < flows.fraction * (1 - 1e-9) else ()
    return Answer(books, kept.flows, prices, kept.method, kept.proof, stopped_by, kept.allowed)


def smaller(answer: Answer, share: float) -> Answer:
    """Return the best plan for at most a share of an answer's fraction, over the same books.

    Where lots break a limit that an answer just keeps, less of the same mix may
    break it too: a smaller plan mixes its books anew.
    """
    from etf_trader.solver.route_lp import Program

    program = Program(answer.books)
    flows = program.solve(answer.allowed, most=answer.flows.fraction * share)
    ratios = program.solve(most=flows.fraction, is_limited=False).prices
    method = "linprog" if answer.method == "merge" else answer.method
    return answer._replace(flows=flows, prices=_prices(answer.books, ratios), method=method)


def _solved(program: "Program") -> tuple[Flows, dict[str, Decimal]]:
    """Return the best plan, and multipliers that no limit has a part in."""
    flows = program.solve()
    order = program.network.problem.order
    ratios = flows.prices
    if flows.fraction < 1 or order.cash is not None or order.max_loss_bps is not None:
        ratios = program.solve(most=flows.fraction, is_limited=False).prices
    return flows, _prices(program.books, ratios)


def _fits(books: Books, flows: Flows, slots: int | None) -> bool:
    return slots is None or books.orders(flows.taken) <= slots


def _prices(books: Books, ratios: Array) -> dict[str, Decimal]:
    return multipliers(books.network, dict(zip(books.nodes, ratios.tolist(), strict=True)))


def _gap(books: Books, flows: Flows, prices: Mapping[str, Decimal]) -> float:
    """Return how far the plan's cost lies above its bound, in bps of what it trades."""
    order, side = books.network.problem.order, books.network.side
    units = floor_to(Decimal(repr(flows.fraction)) * order.quantity, UNIT_GRID)
    bound = float(cash_bound(books.network, prices, units, {})) / books.value
    cost = flows.cost if side is Side.BUY else -flows.cost
    return side.sign * (cost - bound) / max(flows.fraction, 1e-12) * float(BPS)
