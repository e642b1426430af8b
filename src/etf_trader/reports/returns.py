"""What an investment came to: returns, what it strayed from its index by, how deep it fell, what it cost a year.

Pure. A return is a ratio of two amounts and exact on the ratio grid; what takes
a root or a power is a float. Statistics are made of daily closes, the last value
of each UTC day, and are told for a year of 365 days, as crypto trades on all of
them. A day without a value is bridged: the change over k days counts as k days'
worth, so that a history with gaps neither calms nor excites.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from itertools import pairwise

from etf_trader.money import BPS, ONE, ZERO, divide

RATIO_GRID = Decimal("1e-12")
"""Returns and depths are told in steps of this size."""

DAYS_A_YEAR = 365
YEAR = timedelta(days=DAYS_A_YEAR)

LEAST_YEARS = 30 / DAYS_A_YEAR
"""Of a shorter time no rate a year is shown: it would say more than there is to know."""


@dataclass(frozen=True, slots=True)
class Point:
    """What something was worth at a moment: NAV per unit, an index level, or the value of a whole fund."""

    at: datetime
    value: Decimal


@dataclass(frozen=True, slots=True)
class Flow:
    """Money that came into a fund (above 0) or left it (below 0), in its quote asset."""

    at: datetime
    amount: Decimal


@dataclass(frozen=True, slots=True)
class Drawdown:
    """The deepest fall from a peak: `depth` is a fraction of the peak, 0 when nothing ever fell.

    It began at the peak `start`, was deepest at `trough`, and was made good at
    `recovered`, None if it has not been.
    """

    depth: Decimal
    start: datetime | None = None
    trough: datetime | None = None
    recovered: datetime | None = None


def total_return(series: Sequence[Point]) -> Decimal | None:
    """Return last / first - 1 of a price, on the ratio grid; None without two values or from nothing."""
    if len(series) < 2 or series[0].value <= 0:
        return None
    return divide(series[-1].value, series[0].value, RATIO_GRID) - ONE


def years(start: datetime, end: datetime) -> float:
    """Return the time between two moments in years of 365 days."""
    return (end - start) / YEAR


def return_a_year(over_period: Decimal, start: datetime, end: datetime) -> float | None:
    """Return the rate a year that grows to `over_period`: (1 + R) ^ (1 / years) - 1; None without time."""
    length = years(start, end)
    if length <= 0:
        return None
    return grown(math.log1p(float(over_period)) / length) if over_period > -ONE else -1.0


def time_weighted_return(values: Sequence[Point], flows: Sequence[Flow]) -> Decimal | None:
    """Return the product of (value before the flow / value after the flow before it) less 1.

    What a unit of money earned that stayed all the time; when others came and went
    does not matter. The price of a unit is free of flows already: its total return
    is the time-weighted return.

    Args:
        values: Of the whole fund, ascending, each just before what flows at its moment.
        flows: Each at the moment of one of the `values`, several at one moment added up.

    Returns:
        A fraction; None without two values, or when nothing was in the fund between two of them.

    Raises:
        ValueError: money flowed at a moment at which the fund was not valued.

    Source:
        CFA Institute, Global Investment Performance Standards (2020), 2.A: time-weighted returns.
    """
    flowed: dict[datetime, Decimal] = {}
    for flow in flows:
        flowed[flow.at] = flowed.get(flow.at, ZERO) + flow.amount
    if unknown := flowed.keys() - {point.at for point in values}:
        raise ValueError(f"the fund was not valued at {min(unknown)}, when money flowed")
    if len(values) < 2:
        return None
    growth = 1.0
    for before, after in pairwise(values):
        invested = before.value + flowed.get(before.at, ZERO)
        if invested <= 0:
            return None
        growth *= float(after.value) / float(invested)
    return divide(Decimal(repr(growth)), ONE, RATIO_GRID) - ONE


def tracking_difference(fund: Sequence[Point], index: Sequence[Point]) -> Decimal | None:
    """Return the return of the fund less that of its index; below 0 the fund lagged. None without both."""
    of_fund, of_index = total_return(fund), total_return(index)
    return None if of_fund is None or of_index is None else of_fund - of_index


def tracking_error(fund: Sequence[Point], index: Sequence[Point]) -> float | None:
    """Return the standard deviation, a year, of what the fund's daily return differs from the index's by.

    Only days on which both have a value count.

    Returns:
        A fraction, 0 or more; None with fewer than three such days.

    Source:
        ESMA/2014/937, Guidelines on ETFs and other UCITS issues, definitions: tracking error.
    """
    ours, theirs = daily_closes(fund), daily_closes(index)
    days = sorted(ours.keys() & theirs.keys())
    differences = [mine - other for mine, other in zip(_returns(ours, days), _returns(theirs, days), strict=True)]
    return _deviation_a_year(differences, _gaps(days))


def volatility(series: Sequence[Point]) -> float | None:
    """Return the standard deviation of daily returns, a year: theirs x sqrt(365); None below three days."""
    closes = daily_closes(series)
    days = sorted(closes)
    return _deviation_a_year(_returns(closes, days), _gaps(days))


def sharpe_without_risk_free_rate(series: Sequence[Point]) -> float | None:
    """Return the mean daily return x 365 over the volatility, nothing taken off for a risk-free rate.

    None when there is no volatility.

    Source:
        Sharpe, The Sharpe Ratio (1994), with a benchmark that earns 0.
    """
    closes = daily_closes(series)
    days = sorted(closes)
    changes, gaps = _returns(closes, days), _gaps(days)
    deviation = _deviation_a_year(changes, gaps)
    return sum(changes) / sum(gaps) * DAYS_A_YEAR / deviation if deviation else None


def drawdown(series: Sequence[Point]) -> Drawdown:
    """Return the deepest fall from a peak to a later low, of every value there is, not of daily closes.

    Of equally deep ones, the first.
    """
    deepest, peak, low = Drawdown(ZERO), None, None
    for point in series:
        if peak is None or point.value >= peak.value:
            peak = low = point
        if low is not None and point.value >= low.value:
            continue  # no lower than it was since the peak
        low = point
        depth = divide(peak.value - point.value, peak.value, RATIO_GRID) if peak.value > 0 else ZERO
        if depth > deepest.depth:
            deepest = Drawdown(depth, peak.at, point.at)
    if deepest.start is None or deepest.trough is None:
        return deepest
    top = next(point.value for point in series if point.at == deepest.start)
    back = (point.at for point in series if point.at > deepest.trough and point.value >= top)
    return Drawdown(deepest.depth, deepest.start, deepest.trough, next(back, None))


def average_value(series: Sequence[Point]) -> Decimal | None:
    """Return the average of a value over time, each counted until the next; of one moment, the last value."""
    if not series:
        return None
    whole = Decimal((series[-1].at - series[0].at) // timedelta(microseconds=1))
    if not whole:
        return series[-1].value
    total = ZERO
    for point, after in pairwise(series):
        total += point.value * ((after.at - point.at) // timedelta(microseconds=1))
    return divide(total, whole)


def turnover(bought: Decimal, sold: Decimal, average: Decimal) -> Decimal | None:
    """Return the lesser of what was bought and sold over the average value: one-way, over the period.

    The lesser of the two: what money coming in buys, and money going out sells, is
    not turned over.

    Source:
        SEC Form N-1A, item 13, instruction 4(d): portfolio turnover rate.
    """
    return divide(min(bought, sold), average, RATIO_GRID) if average > 0 else None


def bps_a_year(cost: Decimal, average: Decimal, start: datetime, end: datetime) -> float | None:
    """Return cost / average value / years in basis points; positive is a cost. None without value or time."""
    length = years(start, end)
    return float(divide(cost * BPS, average)) / length if average > 0 and length > 0 else None


def daily_closes(series: Sequence[Point]) -> dict[date, Decimal]:
    """Return the last value of each UTC day, ascending; `series` ascends too."""
    return {
        (point.at if point.at.tzinfo is UTC else point.at.astimezone(UTC)).date(): point.value for point in series
    }


def _returns(closes: Mapping[date, Decimal], days: Sequence[date]) -> list[float]:
    values = [float(closes[day]) for day in days]
    return [after / before - 1.0 for before, after in pairwise(values)]


def _gaps(days: Sequence[date]) -> list[int]:
    return [(after - before).days for before, after in pairwise(days)]


def _deviation_a_year(changes: Sequence[float], gaps: Sequence[int]) -> float | None:
    """Return sqrt(365 x sum((x_i - m k_i)^2 / k_i) / (n - 1)), with m = sum(x_i) / sum(k_i): k_i are days."""
    if len(changes) < 2:
        return None
    mean = math.fsum(changes) / sum(gaps)
    squares = math.fsum((change - mean * gap) ** 2 / gap for change, gap in zip(changes, gaps, strict=True))
    return math.sqrt(DAYS_A_YEAR * squares / (len(changes) - 1))


def grown(exponent: float) -> float:
    """Return e^exponent - 1; infinite where a float ends."""
    return math.expm1(exponent) if exponent < 700 else math.inf
