"""The worked example of docs/performance.md: every figure comes out of `reports.returns`, from its own table."""

import re
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from etf_trader.money import ZERO
from etf_trader.reports.money_weighted import money_weighted_return
from etf_trader.reports.returns import (
    Flow,
    Point,
    average_value,
    bps_a_year,
    drawdown,
    time_weighted_return,
    total_return,
    tracking_difference,
    tracking_error,
    turnover,
    volatility,
)

D = Decimal
PAGE = (Path(__file__).parents[2] / "docs" / "performance.md").read_text(encoding="utf-8")
DAY = re.compile(r"^\| (\d{4}-\d\d-\d\d) \| (\S+) \| (\S+) \| (\S+) \|$", re.MULTILINE)
FIGURE = re.compile(r"^\| ([^|]+) \| (-?[0-9.]+) \|$", re.MULTILINE)
UNITS = D(10)


def computed() -> dict[str, Decimal | float | None]:
    """Return each figure, from the table of days alone."""
    days = [
        (datetime.fromisoformat(day).replace(tzinfo=UTC), D(unit), D(level), D(flow))
        for day, unit, level, flow in DAY.findall(PAGE)
    ]
    fund = [Point(at, unit) for at, unit, _, _ in days]
    index = [Point(at, level) for at, _, level, _ in days]
    flows = [Flow(at, flow) for at, _, _, flow in days if flow]
    units, before, after = UNITS, [], []
    for at, unit, _, flow in days:
        before.append(Point(at, units * unit))
        units += flow / unit
        after.append(Point(at, units * unit))
    start, end, opening, closing = days[0][0], days[-1][0], before[0].value, after[-1].value
    average = average_value(after)
    assert average is not None
    weighted = money_weighted_return(opening, flows, closing, start, end)
    assert [point.value for point in before] == [D(1000), D(1100), D(990), D("1567.5"), D(1815), D(1386)]
    return {
        "fund return": total_return(fund),
        "time-weighted, from the values of the fund": time_weighted_return(before, flows),
        "index return": total_return(index),
        "tracking difference": tracking_difference(fund, index),
        "tracking error": tracking_error(fund, index),
        "volatility": volatility(fund),
        "money-weighted over the period": weighted.over_period,
        "deepest fall": drawdown(fund).depth,
        "gained": closing - opening - sum((flow.amount for flow in flows), ZERO),
        "average value": average,
        "turnover": turnover(D(300), D(300), average),
        "cost, bps a year": bps_a_year(D("1.50"), average, start, end),
    }


def test_every_figure_of_the_page_is_computed() -> None:
    assert {name for name, _ in FIGURE.findall(PAGE)} == set(computed())


@pytest.mark.parametrize(("name", "told"), FIGURE.findall(PAGE))
def test_the_page_tells_what_comes_out(name: str, told: str) -> None:
    found = computed()[name]
    assert found is not None
    places = len(told.partition(".")[2])
    assert round(float(found), places) == float(told)
