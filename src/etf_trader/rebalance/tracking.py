"""How far an index is expected to stray from its weights in a year, from how its assets moved. Pure.

    a       active weights: held less wanted, fractions of NAV; what is in cash does not move
    S       covariance of daily returns, on the days that all assets have
    error   sqrt(365 a' S a)

The covariance is the plain one: for given weights a' S a is the variance of
what they would have returned each day, and nothing is inverted, so shrinking it
would only bias it. An asset with too few prices is taken as the average one: its
variance is the mean of the others', its correlation with each the mean of theirs.
Days before any price moved are days without a market.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

import numpy as np

from etf_trader.index.weighting import Floats
from etf_trader.money import BPS, round_to

DAYS = 180
"""Days of prices that are looked at."""

LEAST_DAYS = 30
"""Fewer returns say nothing about an asset."""

YEAR = 365
_GRID = Decimal("0.01")


@dataclass(frozen=True, slots=True)
class Risk:
    """How assets moved together: the covariance of `days` daily returns, and whose is that of the average."""

    assets: tuple[str, ...]
    covariance: Floats
    days: int
    unknown: tuple[str, ...]

    def tracking_error(self, active: Mapping[str, Decimal]) -> Decimal:
        """Return the expected tracking error of active weights, in bps a year, to a hundredth."""
        a = np.array([float(active.get(asset, 0)) for asset in self.assets])
        variance = max(float(a @ self.covariance @ a), 0.0)
        return round_to(Decimal(repr(float(np.sqrt(YEAR * variance)))) * BPS, _GRID)


def risk_of(closes: Mapping[str, Mapping[date, Decimal]], assets: Iterable[str]) -> Risk | None:
    """Return how assets moved together; None where too little is known of all of them.

    Args:
        closes: Closing prices by asset and day.
        assets: All that are held or wanted.
    """
    names = tuple(sorted(assets))
    known, days = _shared(closes, names)
    if not known:
        return None
    prices = np.array([[float(closes[asset][day]) for day in days] for asset in known])
    moved = np.flatnonzero((np.diff(prices) != 0).any(axis=0))
    if len(moved) == 0 or prices.shape[1] - moved[0] <= LEAST_DAYS:
        return None
    prices = prices[:, moved[0] :]
    found = np.atleast_2d(np.cov(np.diff(prices) / prices[:, :-1]))
    unknown = tuple(asset for asset in names if asset not in known)
    order = [*known, *unknown]
    place = [order.index(asset) for asset in names]
    return Risk(names, _filled(found, len(unknown))[np.ix_(place, place)], prices.shape[1] - 1, unknown)


def _shared(closes: Mapping[str, Mapping[date, Decimal]], names: tuple[str, ...]) -> tuple[list[str], list[date]]:
    """Return the assets with enough prices, and the days that all of them have."""
    known = [asset for asset in names if len(closes.get(asset, {})) > LEAST_DAYS]
    while known:
        days = sorted(set.intersection(*(set(closes[asset]) for asset in known)))
        if len(days) > LEAST_DAYS:
            return known, days
        known.remove(min(known, key=lambda asset: (len(closes[asset]), asset)))
    return [], []


def _filled(known: Floats, missing: int) -> Floats:
    """Return a covariance with assets added that are like the average one."""
    count = len(known)
    deviation = np.sqrt(np.diag(known))
    moving = np.outer(deviation, deviation)
    pairs = ~np.eye(count, dtype=bool) & (moving > 0)
    correlation = float((known[pairs] / moving[pairs]).mean()) if pairs.any() else 0.0
    average = float(np.sqrt(np.diag(known).mean()))
    every = np.append(deviation, np.full(missing, average))
    filled = correlation * np.outer(every, every)
    filled[:count, :count] = known
    filled[range(count, count + missing), range(count, count + missing)] = average**2
    return filled
