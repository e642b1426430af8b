"""The choice of books under a budget of slots: a mixed-integer program beside the linear one.

    Y_b    orders sent on a book side, whole
    M_b    the most of it that can be of use, and that one order may be

    sum_l y_bl <= M_b Y_b,   sum_b Y_b <= slots
    Y_b <= sum of Y over the conversions into its quote, where nothing is held of that (sell: out of it)

The last row says nothing new about whole Y; fractional ones it keeps from using
a currency for which no conversion is paid.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from etf_trader.market.symbol import Side
from etf_trader.solver.curves import Array
from etf_trader.solver.highs import SMALLEST, Rows, minimise_integer, rows_of
from etf_trader.solver.route_books import LEAST_FLOW, Books, Flows
from etf_trader.solver.route_lp import BASIS, Program

GAP = 1e-6
"""At which relative gap of the cost the search may stop: 0.01 bps."""


class Choice(NamedTuple):
    """The arcs that may be used, and a bound on the cost of every choice on the solver's word, in units of V.

    `is_proved` says that the search ended within its gap.
    """

    allowed: NDArray[np.bool_]
    bound: float
    is_proved: bool


def chosen(program: Program, slots: int, seconds: float) -> Choice | None:
    """Return the best choice of arcs within `slots` orders, None when time was over before there was one.

    Raises:
        NumericalFailure: HiGHS found no optimum.
    """
    columns, arcs = program.columns(), len(program.books.source)
    useful = program.useful()
    most = np.minimum(useful, program.books.largest)
    is_open = most > SMALLEST
    counts = np.where(is_open, np.ceil(useful / np.where(is_open, most, 1.0) - 1e-9), 0.0)
    before = len(columns.high)
    high = np.concatenate([columns.high, np.minimum(counts, slots)])
    high[: len(program.arc)] *= is_open[program.arc]
    worth = -float(columns.objective[-1])
    found = minimise_integer(
        np.concatenate([columns.objective, np.zeros(arcs)]),
        high,
        np.arange(len(high)) >= before,
        equal=_wider(columns.equal, len(high)),
        upper=_rows(program, columns.upper, np.where(is_open, most, 1.0), slots, len(high)),
        gap=GAP / max(worth / BASIS - 1.0, 1.0),
        seconds=seconds,
    )
    if found is None:
        return None
    fraction = float(found.x[before - 1])
    beside = program.books.cash_weight * program.network.side.sign * fraction
    if program.network.side is Side.BUY:
        beside += program.books.residual_used()
    bound = (found.bound + worth * fraction) / BASIS - beside
    return Choice(found.x[before:] > 0.5, bound, found.is_proved)


def fewer(books: Books, flows: Flows, slots: int) -> NDArray[np.bool_]:
    """Return the arcs of a plan within the slots, found by giving up the least used ones first.

    An asset keeps its most used book, and a conversion goes with the last book that needs it.
    """
    amounts = flows.taken.copy()
    while books.orders(amounts) > slots:
        used = amounts > LEAST_FLOW
        books_left = np.bincount(books.base[used & ~books.is_conversion], minlength=len(books.nodes))
        spare = np.flatnonzero(used & ~books.is_conversion & (books_left[books.base] > 1))
        if not len(spare):
            break
        amounts[spare[np.argmin(amounts[spare])]] = 0.0
        needed = np.isin(books.served, books.drawn[amounts > LEAST_FLOW])
        amounts[books.is_conversion & ~needed & (books.served != books.index[books.network.home])] = 0.0
    return amounts > LEAST_FLOW


def _wider(rows: Rows, columns: int) -> Rows:
    """Return the same rows over more columns."""
    matrix = rows.matrix.copy()
    matrix.resize((len(rows.bound), columns))
    return Rows(matrix, rows.bound)


def _rows(program: Program, loss: Rows | None, most: Array, slots: int, columns: int) -> Rows:
    """Return the rows of the slots, after that of the loss."""
    books = program.books
    arcs, levels = len(books.source), len(program.arc)
    first = columns - arcs
    entries = [
        (np.ones(levels), program.arc, np.arange(levels)),
        (-most, np.arange(arcs), first + np.arange(arcs)),
        (np.ones(arcs), np.full(arcs, arcs), first + np.arange(arcs)),
    ]
    bound = [np.zeros(arcs), np.array([float(slots)])]
    number = arcs + 1
    if loss is not None:
        used = loss.matrix.tocoo()
        entries.append((used.data, np.full(len(used.data), number), used.col))
        bound.append(loss.bound)
        number += 1
    for row in np.flatnonzero(~books.is_conversion):
        ways = program.ways(int(row))
        if ways is not None:
            signs = np.concatenate([[1.0], -np.ones(len(ways))])
            entries.append((signs, np.full(len(signs), number), first + np.concatenate([[row], ways])))
            bound.append(np.zeros(1))
            number += 1
    data, row_numbers, column = (np.concatenate(part) for part in zip(*entries, strict=True))
    return rows_of(data, row_numbers, column, np.concatenate(bound), columns)
