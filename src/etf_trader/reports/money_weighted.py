"""The money-weighted return: the rate at which all that was paid in grows to all that was paid out. Pure."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from itertools import pairwise

from etf_trader.reports.returns import Flow, grown, years

_WIDEST = 60.0
_STEPS = 4_000
_HALVINGS = 200


@dataclass(frozen=True, slots=True)
class MoneyWeighted:
    """The internal rate of return: `a_year` and `over_period` are None where there is none, or several.

    `rates` are all that were found, a year, ascending.
    """

    a_year: float | None
    over_period: float | None
    rates: tuple[float, ...]

    @property
    def found(self) -> str:
        """How many rates there are, as a word: one, none or several."""
        return "several" if len(self.rates) > 1 else "one" if self.rates else "none"


def money_weighted_return(
    opening: Decimal, flows: Sequence[Flow], closing: Decimal, start: datetime, end: datetime
) -> MoneyWeighted:
    """Return the rate a year at which everything paid in grows to everything paid out.

    It solves `opening + sum(flow / (1 + r)^t) = closing / (1 + r)^T`, t and T in
    years of 365 days from `start`: what the money earned that really was in the
    fund, so it does matter when it came. Flows that change their sign more than
    once may have several such rates, or none: then no figure is the return. Growth
    over the whole period is sought from e^-60 to e^60; after more than one change
    of sign, in steps of e^0.03.

    Args:
        opening: The fund's value at `start`, before its flows, 0 or more.
        flows: From `start` to `end`.
        closing: Its value at `end`, after its flows, 0 or more.

    Source:
        CFA Institute, Global Investment Performance Standards (2020), glossary: money-weighted return.
    """
    length = years(start, end)
    if length <= 0:
        return MoneyWeighted(None, None, ())
    paid = {start: float(opening)}
    for flow in [*flows, Flow(end, -closing)]:
        paid[flow.at] = paid.get(flow.at, 0.0) + float(flow.amount)
    shares = [((at - start) / (end - start), amount) for at, amount in sorted(paid.items()) if amount]
    roots = _roots(shares)
    rates = tuple(grown(root / length) for root in roots)
    if len(roots) != 1:
        return MoneyWeighted(None, None, rates)
    return MoneyWeighted(rates[0], math.expm1(roots[0]), rates)


def _roots(paid: Sequence[tuple[float, float]]) -> list[float]:
    """Return the logarithms of growth, ascending, at which what was `paid` (when, how much) is worth 0.

    By Descartes' rule of signs there is none without a change of sign, and at most
    one with a single one.
    """
    signs = [amount > 0 for _, amount in paid]
    changes = sum(before != after for before, after in pairwise(signs))
    if changes == 0:
        return []
    grid = [-_WIDEST, _WIDEST] if changes == 1 else [_WIDEST * (2 * k / _STEPS - 1) for k in range(_STEPS + 1)]
    worth = _present_values(paid, grid)
    places = [place for place, value in zip(grid, worth, strict=True) if value == 0]
    for left, right, before, after in zip(grid, grid[1:], worth, worth[1:], strict=False):
        if before and after and (before > 0) != (after > 0):
            places.append(_halved(paid, left, right))
    return sorted(places)


def _present_values(paid: Sequence[tuple[float, float]], growths: Sequence[float]) -> list[float]:
    """Return what was `paid` is worth at the start, at each logarithm of growth over the period."""
    import numpy as np  # takes longer to import than all else here

    places = np.asarray(growths)
    total = np.zeros_like(places)
    for share, amount in paid:
        total += amount * np.exp(-places * share)
    found: list[float] = total.tolist()
    return found


def _halved(paid: Sequence[tuple[float, float]], left: float, right: float) -> float:
    """Return the place between two of different signs at which the present value is 0."""

    def worth(growth: float) -> float:
        return math.fsum(amount * math.exp(-growth * share) for share, amount in paid)

    is_rising = worth(right) > 0
    for _ in range(_HALVINGS):
        middle = (left + right) / 2
        if middle in (left, right):
            break
        left, right = (left, middle) if (worth(middle) > 0) == is_rising else (middle, right)
    return (left + right) / 2
