"""What weight each constituent gets: exact, on a grid, together 1.

What is proportional to a figure (market capitalisation, its root, the inverse of
volatility) goes through the same two steps: shares, then the cap and the floor.
Statistics are floats until `score` turns them into decimals, once.
"""

import math
from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence
from datetime import date
from decimal import Context, Decimal
from fractions import Fraction
from itertools import accumulate
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from etf_trader.errors import DataError, UsageError
from etf_trader.index.bounds import require_bounds
from etf_trader.money import ONE

WEIGHT_GRID = Decimal("1e-12")
"""Weights are counted in steps of this size."""

LEAST_CLOSES = 3
"""Fewer make no two returns, and two are the least that have a deviation."""

Floats = npt.NDArray[np.float64]

Day = TypeVar("Day", int, date)

_ROOT = Context(prec=40)
_SCORE_DIGITS = 15
_ROUNDS = 10_000
_CLOSE = 1e-12


def proportional(scores: Mapping[str, Decimal]) -> dict[str, Fraction]:
    """Return shares in proportion to scores, together 1.

    Args:
        scores: One for each asset, 0 or more, not all 0.

    Raises:
        UsageError: no score is above 0; names the assets.
    """
    ratios = [Fraction(each) for each in scores.values()]
    unit = math.lcm(*(each.denominator for each in ratios))
    whole = [each.numerator * (unit // each.denominator) for each in ratios]
    total = sum(whole)
    if total <= 0:
        raise UsageError(f"nothing to weigh {', '.join(scores)} by: every figure is 0")
    return {asset: Fraction(each, total) for asset, each in zip(scores, whole, strict=True)}


def equal(assets: Sequence[str]) -> dict[str, Fraction]:
    """Return the same share for each asset."""
    return {asset: Fraction(1, len(assets)) for asset in assets}


def roots(scores: Mapping[str, Decimal]) -> dict[str, Decimal]:
    """Return the square root of each score, rounded to 40 digits."""
    return {asset: each.sqrt(_ROOT) for asset, each in scores.items()}


def bounded(
    shares: Mapping[str, Fraction], *, cap: Decimal | None = None, floor: Decimal | None = None
) -> dict[str, Fraction]:
    """Return the shares with none above `cap` and none below `floor`, together 1.

    What the cap takes away and the floor adds is redistributed over the others in
    proportion to their shares, again until no bound is broken: each share ends as
    `min(max(factor x share, floor), cap)` with one factor for all. That is where
    the iteration ends, and the answer is the same in whatever order it is made.

    Raises:
        UsageError: cap x n is below 1, or floor x n above it; says which and what would do.
    """
    require_bounds(len(shares), cap, floor, "the rulebook")
    most = Fraction(1) if cap is None else Fraction(cap)
    least = Fraction(0) if floor is None else Fraction(floor)
    return _at_factor(shares, _factor(shares, least, most), least, most)


def _at_factor(
    shares: Mapping[str, Fraction], factor: Fraction | None, least: Fraction, most: Fraction
) -> dict[str, Fraction]:
    if factor is not None:
        return {asset: min(max(factor * share, least), most) for asset, share in shares.items()}
    # Even the largest factor leaves something: who has a share is at the cap, the others share the rest.
    without = [asset for asset, share in shares.items() if not share]
    left = 1 - most * (len(shares) - len(without))
    return {asset: most if share else left / len(without) for asset, share in shares.items()}


def _factor(shares: Mapping[str, Fraction], least: Fraction, most: Fraction) -> Fraction | None:
    """Return the factor at which the bounded shares sum to 1; None where none is large enough.

    The sum is piecewise linear in the factor and never falls: between two of the
    places where a share meets a bound it is a straight line.
    """

    unit = math.lcm(*(share.denominator for share in shares.values()))
    whole = sorted(share.numerator * (unit // share.denominator) for share in shares.values())
    sums = [0, *accumulate(whole)]
    scale = math.lcm(least.denominator, most.denominator)
    low, high = int(least * scale), int(most * scale)

    def total(corner: tuple[int, int]) -> Fraction:
        """Return the sum where a share meets a bound: those at one are counted, only the others are added up."""
        bound, number = corner
        raised = bisect_right(whole, low * number // bound)
        capped = max(bisect_left(whole, -(-high * number // bound)), raised)
        at_bounds = (raised * low + (len(whole) - capped) * high) * number
        return Fraction(at_bounds + bound * (sums[capped] - sums[raised]), scale * number)

    def factor(corner: tuple[int, int]) -> Fraction:
        bound, number = corner
        return Fraction(bound * unit, scale * number)

    if len(whole) * least >= 1:
        return Fraction(0)
    met = dict.fromkeys((bound, number) for bound in (low, high) for number in reversed(whole) if bound and number)
    corners = sorted(met, key=lambda corner: Fraction(*corner))
    if not corners or total(corners[-1]) < 1:
        return None
    at = bisect_left(corners, Fraction(1), key=total)
    place, reached = factor(corners[at]), total(corners[at])
    if reached == 1:
        return place
    before, short = (factor(corners[at - 1]), total(corners[at - 1])) if at else (Fraction(0), len(whole) * least)
    return before + (place - before) * (1 - short) / (reached - short)


def on_grid(shares: Mapping[str, Fraction], *, cap: Decimal | None = None) -> dict[str, Decimal]:
    """Return shares as decimals on the weight grid, together exactly 1, none above `cap`.

    Each is its share rounded down or up by largest remainder; of equal ones the
    first by name.
    """
    steps = int(ONE / WEIGHT_GRID)
    most = steps if cap is None else int(Fraction(cap) * steps)
    whole = {asset: min(each.numerator * steps // each.denominator, most) for asset, each in shares.items()}
    unit = math.lcm(*(each.denominator for each in shares.values()))
    lost = {
        asset: (each.numerator * steps - whole[asset] * each.denominator) * (unit // each.denominator)
        for asset, each in shares.items()
    }
    order = sorted(shares, key=lambda asset: (-lost[asset], asset))
    left = steps - sum(whole.values())
    for asset in order:
        if left and whole[asset] < most:
            whole[asset] += 1
            left -= 1
    if left:
        raise ValueError(f"{left} steps of weight fit nowhere below a cap of {cap}")
    return {asset: number * WEIGHT_GRID for asset, number in whole.items()}


def score(value: float) -> Decimal:
    """Return a statistic as a decimal: the one way from floats to weights.

    Raises:
        UsageError: it is not a number, or below 0.
    """
    if not math.isfinite(value) or value < 0:
        raise UsageError(f"a weight cannot be made of {value}")
    return Decimal(f"{value:.{_SCORE_DIGITS - 1}e}")


def daily_returns(closes: Mapping[str, Mapping[Day, float]]) -> dict[str, Floats]:
    """Return the daily returns of assets, of each shape (days,), the same days for all.

    An asset with fewer than three closes has none and is left out, so that it can be
    named; where the others have fewer than three days in common, all are.

    Args:
        closes: Of each asset by day.
    """
    enough = {asset: each for asset, each in closes.items() if len(each) >= LEAST_CLOSES}
    shared = sorted(set.intersection(*(set(each) for each in enough.values()))) if enough else []
    if len(shared) < LEAST_CLOSES:
        return {}
    return {
        asset: np.diff(prices) / prices[:-1]
        for asset, each in enough.items()
        for prices in [np.array([each[on] for on in shared])]
    }


def inverse_volatility(returns: Mapping[str, Floats]) -> dict[str, Decimal]:
    """Return 1 / the standard deviation of the returns of each asset.

    Args:
        returns: Of each asset one a day, shape (days,), at least two.

    Raises:
        DataError: an asset's price never moved; names it.
    """
    found = {}
    for asset, each in returns.items():
        deviation = float(np.std(each, ddof=1)) if len(each) > 1 else 0.0
        if not deviation > 0:
            raise DataError(
                f"the price of {asset} never moved: it has no volatility to be weighed by", where=asset
            )
        found[asset] = score(1 / deviation)
    return found


def momentum(returns: Mapping[str, Floats]) -> dict[str, Decimal]:
    """Return the growth of each asset over the days, as far as it is above 0: who lost gets nothing."""
    return {asset: score(max(float(np.prod(1 + each)) - 1, 0.0)) for asset, each in returns.items()}


def risk_parity(returns: Mapping[str, Floats]) -> dict[str, Decimal]:
    """Return scores at which every asset brings the same part of the variance of the whole.

    The minimum of w'Cw / 2 - sum(log w) / n, by cyclical coordinate descent; its
    scale is of no account.

    Args:
        returns: Of each asset one a day, shape (days,), the same days for all.

    Raises:
        DataError: an asset's price never moved, or the returns have no such weights.

    Source:
        Griveau-Billion, Richard, Roncalli (2013): A fast algorithm for computing
        high-dimensional risk parity portfolios.
    """
    names = list(returns)
    inverse_volatility(returns)  # names whose price never moved
    covariance = np.atleast_2d(np.cov(np.vstack([returns[name] for name in names]), ddof=1))
    deviations = np.sqrt(np.diag(covariance))
    correlation = covariance / np.outer(deviations, deviations)
    n = len(names)
    risks = np.full(n, 1.0)
    for _ in range(_ROUNDS):
        before = risks.copy()
        for i in range(n):
            others = float(correlation[i] @ risks - risks[i])
            risks[i] = (-others + math.sqrt(others * others + 4 / n)) / 2
        if float(np.max(np.abs(risks / before - 1))) < _CLOSE:
            break
    else:
        raise DataError("no weights were found at which every constituent brings the same risk")
    return {
        name: score(float(risk / deviation))
        for name, risk, deviation in zip(names, risks, deviations, strict=True)
    }
