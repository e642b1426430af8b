"""What a run came to: a value for each day, and the figures that a performance report has."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from decimal import Decimal

import numpy as np

from etf_trader.backtest.candles import Floats
from etf_trader.backtest.course import Cause, Course, Event, Step
from etf_trader.backtest.fund import YEAR_SECONDS
from etf_trader.backtest.history import History
from etf_trader.backtest.journal import Audit
from etf_trader.backtest.sources import Prices, prices_of
from etf_trader.market.symbol import Side
from etf_trader.money import BPS, ZERO
from etf_trader.reports.returns import (
    Drawdown,
    Point,
    average_value,
    bps_a_year,
    drawdown,
    return_a_year,
    sharpe_without_risk_free_rate,
    total_return,
    tracking_difference,
    tracking_error,
    turnover,
    volatility,
    years,
)

DAY_SECONDS = 86_400
_CLOSE = time(23, 59, 59)


@dataclass(frozen=True, slots=True)
class Day:
    """NAV per unit and index level at the close of a day, in quote."""

    day: date
    nav_per_unit: Decimal
    index_level: Decimal


@dataclass(frozen=True, slots=True)
class Figures:
    """Fractions, of the fund unless they say otherwise; `cost_bps` and its parts are a year, of average NAV.

    `cost` is that of trading; `management`, the manager's fee, is no part of it: each day's at its close.
    `ended_share` is the part of the final NAV that is counted at last prices of ended markets.
    """

    years: float
    total_return: Decimal
    return_a_year: float | None
    index_total_return: Decimal
    index_return_a_year: float | None
    volatility: float | None
    sharpe: float | None
    drawdown: Drawdown
    tracking_difference: Decimal
    tracking_error: float | None
    turnover_a_year: float | None
    cost_bps: float | None
    spread_bps: float | None
    depth_bps: float | None
    fee_bps: float | None
    management_bps: float | None
    management: Decimal
    cost: Decimal
    traded: Decimal
    rebalances: int
    trades: int
    ended_share: float


@dataclass(frozen=True, slots=True)
class Result:
    """A run, told: the first day is the one before the fund began."""

    course: Course
    days: Sequence[Day]
    figures: Figures
    prices: Prices
    nav_end: Decimal

    @property
    def audit(self) -> Audit:
        """What the check of the books found."""
        assert self.course.audit is not None
        return self.course.audit

    @property
    def steps(self) -> Sequence[Step]:
        """The mornings on which the fund traded, or looked and did not."""
        return self.course.steps

    @property
    def events(self) -> Sequence[Event]:
        """What happened besides."""
        return self.course.events

    @property
    def skipped(self) -> Mapping[str, int]:
        """How often an asset was left alone, by why."""
        return Counter(
            why
            for step in self.steps
            for drift in step.rebalance.drifts
            if (why := step.rebalance.why_skipped(drift)) is not None
        )


def result_of(course: Course, history: History) -> Result:
    """Return what a run came to."""
    navs, levels, charged = _values(course, history)
    days = [date.fromordinal(course.start + number) for number in range(len(navs))]
    fund = [Day(day, _amount(nav), _amount(level)) for day, nav, level in zip(days, navs, levels, strict=True)]
    prices = prices_of(course, history, navs[-1])
    return Result(
        course, fund, _figures(course, fund, prices, charged), prices, fund[-1].nav_per_unit * course.units
    )


def _values(course: Course, history: History) -> tuple[list[float], list[float], float]:
    """Return NAV per unit and index level at the close of each day, the day before the beginning included.

    And what the management fee took of a unit, each day's at its close.
    """
    setting, start, end = course.setting, course.start, course.end
    count = end - start + 1
    navs, levels = np.empty(count), np.empty(count)
    navs[0] = levels[0] = float(setting.start_value)
    ends = [each.day for each in course.stretches[1:]] + [end + 1]
    rate = float(setting.rule.fee.management_bps) / float(BPS) * DAY_SECONDS / YEAR_SECONDS
    taken = 0.0
    for stretch, until in zip(course.stretches, ends, strict=True):
        here = slice(stretch.day - start, until - start)
        charged = np.arange(1, until - stretch.day + 1) * rate
        fund = _worth(stretch.per_unit, history, start, end, here) + float(stretch.cash)
        navs[here] = fund * (1.0 - charged)
        taken += float(fund.sum()) * rate
        levels[here] = _worth(stretch.benchmark.quantities, history, start, end, here) / float(
            stretch.benchmark.divisor
        )
    return navs.tolist(), levels.tolist(), taken


def _worth(quantities: Mapping[str, Decimal], history: History, start: int, end: int, here: slice) -> Floats:
    total = np.zeros(here.stop - here.start)
    for asset, quantity in quantities.items():
        total += float(quantity) * history.series(asset, start, end)[here]
    return total


def _amount(value: float) -> Decimal:
    return Decimal(f"{value:.8f}")


def _figures(course: Course, days: Sequence[Day], prices: Prices, charged: float) -> Figures:
    fund = [Point(datetime.combine(each.day, _CLOSE, UTC), each.nav_per_unit) for each in days]
    index = [Point(point.at, each.index_level) for point, each in zip(fund, days, strict=True)]
    start, end = fund[0].at, fund[-1].at
    gained, of_index = total_return(fund) or ZERO, total_return(index) or ZERO
    average = (average_value(fund) or ZERO) * course.units
    parts = [part for step in course.steps for part in step.rebalance.costs.values()]
    legs = [
        (step.cause, leg)
        for step in course.steps
        for leg in (() if step.rebalance.plan is None else step.rebalance.plan.legs)
        if leg.side is not None
    ]
    later = [leg for cause, leg in legs if cause is not Cause.BEGIN]
    bought, sold = (sum((leg.value for leg in later if leg.side is side), ZERO) for side in Side)
    turned, length = turnover(bought, sold, average), years(start, end)
    cost = sum((step.rebalance.cost for step in course.steps), ZERO)

    management = _amount(charged) * course.units

    def a_year(amount: Decimal) -> float | None:
        return bps_a_year(amount, average, start, end)

    return Figures(
        years=length,
        total_return=gained,
        return_a_year=return_a_year(gained, start, end),
        index_total_return=of_index,
        index_return_a_year=return_a_year(of_index, start, end),
        volatility=volatility(fund),
        sharpe=sharpe_without_risk_free_rate(fund),
        drawdown=drawdown(fund),
        tracking_difference=tracking_difference(fund, index) or ZERO,
        tracking_error=tracking_error(fund, index),
        turnover_a_year=None if turned is None or length <= 0 else float(turned) / length,
        cost_bps=a_year(cost),
        spread_bps=a_year(sum((part.spread for part in parts), ZERO)),
        depth_bps=a_year(sum((part.depth for part in parts), ZERO)),
        fee_bps=a_year(sum((part.fee for part in parts), ZERO)),
        management_bps=a_year(management),
        management=management,
        cost=cost,
        traded=sum((leg.value for _, leg in legs), ZERO),
        rebalances=sum(step.cause is not Cause.BEGIN for step in course.steps),
        trades=len(legs),
        ended_share=prices.ended_share,
    )
