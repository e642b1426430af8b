"""`etf report performance`: what a fund came to beside its index."""

from __future__ import annotations

import math
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import typer

from etf_trader.cli.commands import command
from etf_trader.cli.invocation import output
from etf_trader.cli.moments import FromOption, ToOption, period_typed
from etf_trader.cli.numbers import (
    bps,
    joined,
    local_time,
    money,
    percent,
    share,
)
from etf_trader.cli.options import IndexOption
from etf_trader.cli.output import Page, Table, bad, dim, good, right, text
from etf_trader.cli.records import row_of
from etf_trader.cli.report_nav import one_index
from etf_trader.cli.services import services
from etf_trader.cli.time_chart import draw_beside_index
from etf_trader.money import BPS, divide
from etf_trader.reports.returns import LEAST_YEARS

if TYPE_CHECKING:
    from etf_trader.cli.exhibit import Exhibit
    from etf_trader.index.store import Index
    from etf_trader.reports.performance import PerformanceReport
    from etf_trader.reports.returns import Drawdown

NAV_COLUMNS = ("at", "reason", "nav", "level", "units", "value")


def add_to(app: typer.Typer) -> None:
    """Add the command to `etf report`."""
    seen = (
        "etf report performance --index 1",
        "etf report performance --index 1 --from 2026-01-01 --to 2026-07-01",
    )
    command(app, "performance", examples=seen, csv="navs")(performance)


def performance(index: IndexOption = None, since: FromOption = None, until: ToOption = None) -> None:
    """Report what a fund came to beside its index: returns, what it strayed, how deep it fell, what it cost."""
    from etf_trader.reports.performance import performance_report

    with services() as opened:
        period = period_typed(opened, since, until)
        with opened.database.read() as connection:
            found = one_index(connection, opened.account.id, index)
            report = performance_report(connection, found, period)

    def draw(page: Page) -> None:
        if report is None:
            _draw_nothing(page, found, is_part=since is not None or until is not None)
        else:
            draw_performance(page, report)

    payload = {"id": found.id, "symbol": found.symbol, "quote": found.quote, "flows": [], "navs": []}
    if report is not None:
        payload = _document(report)
    output().emit("etf.performance/1", payload, draw, columns=NAV_COLUMNS, exhibit=lambda: _exhibit(report))


def _exhibit(report: PerformanceReport | None) -> Exhibit:
    """Return the numbers and charts of a report that an HTML file shows besides."""
    from etf_trader.cli.exhibit import Areas, Exhibit, Key, Lines, Parts

    if report is None:
        return Exhibit()
    level = {"NAV per unit": "nav", "index level": "level"}
    return Exhibit(
        title=f"{report.symbol} beside its index",
        numbers=(
            Key("fund", "fund_return", share),
            Key("index", "index_return", share),
            Key("deepest fall", "drawdown.depth", share),
            Key("costs a year", "bps_a_year", bps, unit="bps"),
        ),
        charts=(
            Lines("NAV per unit and index level", "navs", "at", level, note=report.quote),
            Areas("Weights over time", "navs", "at", weights="weights"),
            Parts(
                "Cost of trading",
                ("loss_of_flows", "loss_of_rebalances"),
                of="trading",
                note=f"{report.quote}: of who came and went, and of rebalances; positive is a cost",
            ),
        ),
    )


def _draw_nothing(page: Page, index: Index, *, is_part: bool) -> None:
    when = " in that time" if is_part else " yet"
    page.line(f"Nothing was written down of what a unit of {index.symbol} is worth{when}.")
    page.line(f"Each trade does it, and so does etf index nav {index.id} --record: once a day, from cron.")


def draw_performance(page: Page, report: PerformanceReport) -> None:
    """Draw what a fund came to."""
    first, last = report.navs[0], report.navs[-1]
    page.line(
        f"{report.symbol} · {local_time(report.start)} to {local_time(report.end)} · one unit "
        f"{money(first.nav_per_unit)} to {money(last.nav_per_unit)} {report.quote}"
        + ("" if report.fund_return is None else f", {_signed(report.fund_return)}")
    )
    if len(report.navs) < 2:
        page.line(f"One value is no history: etf index nav {report.id} --record adds to it, once a day from cron.")
        return
    _draw_chart(page, report)
    page.line()
    page.table(_returns_table(report))
    page.line()
    page.fields([(name, told) for name, told in _fields(report) if told])
    page.line()
    page.line(dim(f"ledger {report.head[:16]} · of one unit, from {len(report.navs):,} values"))


def _draw_chart(page: Page, report: PerformanceReport) -> None:
    """Draw a unit's worth against the level of the index, brought to the same beginning."""
    line = [(each.at, each.nav_per_unit) for each in report.navs]
    told = [(each.at, each.level) for each in report.navs if each.level is not None]
    dots = []
    if told and told[0][1]:
        worth = next(value for at, value in line if at == told[0][0])
        dots = [(at, divide(level * worth, told[0][1])) for at, level in told]
    draw_beside_index(page, line, dots)


def _returns_table(report: PerformanceReport) -> Table:
    is_long = report.years >= LEAST_YEARS
    table = Table(
        text(""),
        right("return"),
        right("a year"),
        right("deepest fall"),
        text("from", optional=1),
        text("made good", optional=2),
    )
    rows = (
        ("fund", report.fund_return, report.fund_return_a_year, report.drawdown),
        ("index", report.index_return, report.index_return_a_year, report.index_drawdown),
    )
    for name, came_to, a_year, fall in rows:
        told = "-" if came_to is None else _coloured(came_to)
        yearly = _ratio(a_year) if is_long else "-"
        table.row(name, told, yearly, share(fall.depth), *_when(fall))
    return table


def _when(fall: Drawdown) -> tuple[str, str]:
    if fall.start is None:
        return "-", "-"
    return _day(fall.start), "not yet" if fall.recovered is None else _day(fall.recovered)


def _fields(report: PerformanceReport) -> list[tuple[str, str]]:
    return [
        ("tracking", _tracking(report)),
        ("risk", _risk(report)),
        ("money-weighted", _money_weighted(report)),
        ("money", _sums(report)),
        ("turnover", "" if report.turnover is None else f"{share(report.turnover)} of the average value, one way"),
        ("cost", _costs(report)),
    ]


def _tracking(report: PerformanceReport) -> str:
    if report.tracking_difference is None:
        return ""
    error = "" if report.tracking_error is None else f"error {_ratio(report.tracking_error, signed=False)} a year"
    return joined([f"difference {bps(report.tracking_difference * BPS, signed=True)} bps", error])


def _risk(report: PerformanceReport) -> str:
    if report.volatility is None:
        return "needs values of three days"
    sharpe = report.sharpe_without_risk_free_rate
    return joined(
        [
            f"volatility {_ratio(report.volatility, signed=False)} a year",
            "" if sharpe is None else f"Sharpe without a risk-free rate {sharpe:.2f}",
        ]
    )


def _money_weighted(report: PerformanceReport) -> str:
    found = report.money_weighted
    if found.over_period is None:
        if found.found == "several":
            return (
                "several rates fit what came and went: "
                + ", ".join(_ratio(rate) for rate in found.rates)
                + " a year"
            )
        return "no rate fits what came and went" if report.created or report.redeemed or report.opening else ""
    yearly = f", {_ratio(found.a_year)} a year" if report.years >= LEAST_YEARS else ""
    return f"{_ratio(found.over_period)}{yearly}"


def _sums(report: PerformanceReport) -> str:
    return (
        f"{money(report.opening)} + created {money(report.created)} - redeemed {money(report.redeemed)} "
        f"{'-' if report.gain < 0 else '+'} {'lost' if report.gain < 0 else 'gained'} {money(abs(report.gain))} "
        f"= {money(report.closing)} {report.quote}"
    )


def _costs(report: PerformanceReport) -> str:
    trading = report.trading
    if not report.cost:
        return "nothing was traded" if not report.flows else ""
    yearly = ""
    if report.bps_a_year is not None and report.years >= LEAST_YEARS:
        yearly = f"{report.bps_a_year:,.1f} bps of the average value a year"
    parts = [
        f"{money(report.cost)} {report.quote}",
        yearly,
        f"coming and going {money(trading.loss_of_flows)}",
        f"rebalances {money(trading.loss_of_rebalances)}",
        f"management fee {money(report.management_fee)}" if report.management_fee else "",
    ]
    return joined(parts)


def _coloured(value: Decimal) -> str:
    return (bad if value < 0 else good if value > 0 else str)(_signed(value))


def _signed(value: Decimal) -> str:
    return ("+" if value > 0 else "") + percent(value * 100)


def _ratio(value: float | None, *, signed: bool = True) -> str:
    if value is None or not math.isfinite(value):
        return "-"
    return f"{value * 100:{'+' if signed else ''},.1f}%"


def _day(moment: datetime) -> str:
    return moment.astimezone().strftime("%Y-%m-%d")


def _document(report: PerformanceReport) -> dict[str, Any]:
    found = row_of(report)
    for name in ("drawdown", "index_drawdown", "trading"):
        found[name] = row_of(found[name])
    weighted = report.money_weighted
    found["money_weighted"] = {
        "found": weighted.found,
        "a_year": _told(weighted.a_year),
        "over_period": _told(weighted.over_period),
        "rates": [_told(rate) for rate in weighted.rates],
    }
    for name, value in found.items():
        if isinstance(value, float):
            found[name] = _told(value)
    found["flows"] = [row_of(flow) for flow in report.flows]
    found["navs"] = [
        {
            "at": each.at,
            "reason": each.reason,
            "nav": each.nav_per_unit,
            "level": each.level,
            "units": each.units,
            "value": each.value,
            "weights": dict(weights),
        }
        for each, weights in zip(report.navs, report.weights, strict=True)
    ]
    return found


def _told(value: float | None) -> Decimal | None:
    """Return a statistic as a decimal of twelve digits: more of a float is noise; None: it is beyond telling."""
    return Decimal(f"{value:.12g}") if value is not None and math.isfinite(value) else None
