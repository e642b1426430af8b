"""`etf report loss` and `etf report costs`: what trading cost, by part, and where."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import typer

from etf_trader.cli.commands import command
from etf_trader.cli.conversion import CurrencyOption, RateOption, draw_rates
from etf_trader.cli.invocation import output
from etf_trader.cli.loss_parts import part_cells, part_columns, parts_told
from etf_trader.cli.moments import FromOption, ToOption, span_text
from etf_trader.cli.numbers import bps, count, money, short
from etf_trader.cli.options import ByOption, IndexOption
from etf_trader.cli.output import Page, Table, number, text
from etf_trader.cli.records import columns_of
from etf_trader.cli.span_report import index_number, report_of_span
from etf_trader.orders.plan import LOSS_PARTS

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from etf_trader.cli.exhibit import Exhibit
    from etf_trader.reports.losses import CostsReport, FeeLine, LossLine, LossReport
    from etf_trader.reports.period import Period


def add_to(app: typer.Typer) -> None:
    """Add the commands to `etf report`."""
    command(
        app, "loss", examples=("etf report loss", "etf report loss --by asset --from 2026-01-01"), csv="losses"
    )(loss)
    command(
        app, "costs", examples=("etf report costs", "etf report costs --index 1 --to 2026-07-01"), csv="costs"
    )(costs)


def loss(
    by: ByOption = "order",
    index: IndexOption = None,
    since: FromOption = None,
    until: ToOption = None,
    currency: CurrencyOption = None,
    rate: RateOption = None,
) -> None:
    """Report what trading lost against the mids at arrival, by order, index, month or asset, in parts."""
    from etf_trader.reports.losses import loss_report

    def make(connection: Connection, account_id: int, period: Period) -> LossReport:
        return loss_report(connection, account_id, by, period, index_number(connection, index))

    made = report_of_span(make, since, until, currency, rate)
    report = made.report

    def draw(page: Page) -> None:
        if not report.losses:
            page.line(_nothing(made.period))
            return
        _draw_totals(page, "Loss", made.span, report.totals)
        page.line()
        page.table(losses_table(by, report.losses))
        page.line()
        if by != "asset":
            page.line("the parts are the loss, and the loss is what cash says, to the last digit")
        if any(line.loss_bps is not None for line in report.losses):
            page.line(
                "bps of units are of their worth at arrival; those above, and a rebalance's, of what was traded"
            )
        draw_rates(page, made.rates)
        page.line(f"ledger {report.head[:16]} · loss is against the mids at arrival; positive is a cost")

    payload = {"by": by} | made.document("totals", "losses")
    output().emit("etf.loss/1", payload, draw, columns=_columns(), exhibit=lambda: _exhibit("Loss", "losses"))


def costs(
    index: IndexOption = None,
    since: FromOption = None,
    until: ToOption = None,
    currency: CurrencyOption = None,
    rate: RateOption = None,
) -> None:
    """Report what trading cost, by part, month, index and asset, and what of it the venue took."""
    from etf_trader.reports.losses import costs_report

    def make(connection: Connection, account_id: int, period: Period) -> CostsReport:
        return costs_report(connection, account_id, period, index_number(connection, index))

    made = report_of_span(make, since, until, currency, rate)
    report = made.report

    def draw(page: Page) -> None:
        if not report.costs:
            page.line(_nothing(made.period))
            return
        _draw_totals(page, "Costs", made.span, report.totals)
        for by in dict.fromkeys(line.by for line in report.costs):
            page.line()
            page.table(costs_table(by, [line for line in report.costs if line.by == by]))
        page.line()
        page.table(_fees_table(report.fees))
        page.line()
        draw_rates(page, made.rates)
        page.line(f"ledger {report.head[:16]} · bps are of what was traded; each table adds up to the costs")

    payload = made.document("totals", "costs", "fees")
    output().emit("etf.costs/1", payload, draw, columns=_columns(), exhibit=lambda: _exhibit("Cost", "costs"))


def _exhibit(what: str, rows: str) -> Exhibit:
    """Return the charts that an HTML file shows besides."""
    from etf_trader.cli.exhibit import Bars, Exhibit, Parts

    note = "positive is a cost"
    return Exhibit(
        charts=(
            Parts(f"{what} by part", LOSS_PARTS, of="totals.0", note=note),
            Bars(f"{what} by", rows, "key", "loss", note=note, by="by"),
        )
    )


def _nothing(period: Period) -> str:
    if period.is_always:
        return "Nothing was traded yet: etf submit buy --index 1 --qty 100 buys some units."
    return f"Nothing was traded {span_text(period)}."


def _draw_totals(page: Page, title: str, span: str, totals: Sequence[LossLine]) -> None:
    for line in totals:
        page.line(
            f"{title} {span} · {money(line.loss)} {line.currency} = {bps(line.traded_bps)} bps of "
            f"{money(line.traded)} {line.currency} traded in {count(line.fills, 'fill')}"
        )
        page.line(parts_told(line))


def losses_table(by: str, lines: Sequence[LossLine]) -> Table:
    """Return a line for each order, index, month or asset, with its loss by part."""
    is_order = by == "order"
    several = len({line.currency for line in lines}) > 1
    table = Table(
        text(by),
        *([text("index", optional=1), text("side")] if is_order else []),
        *([text("in")] if several else []),
        number("traded", optional=3),
        number("loss"),
        number("bps", optional=2),
        *part_columns(optional=4),
    )
    for line in lines:
        table.row(
            line.key,
            *([line.index or "", line.side or ""] if is_order else []),
            *([line.currency] if several else []),
            money(line.traded),
            money(line.loss),
            bps(line.traded_bps if line.loss_bps is None else line.loss_bps),
            *part_cells(line),
        )
    return table


def costs_table(by: str, lines: Sequence[LossLine]) -> Table:
    """Return a line for each month, index or asset, with what it cost beside what was traded."""
    several = len({line.currency for line in lines}) > 1
    table = Table(
        text(by),
        *([text("in")] if several else []),
        number("traded"),
        number("cost"),
        number("bps"),
        *part_columns(optional=4),
    )
    for line in lines:
        table.row(
            line.key,
            *([line.currency] if several else []),
            money(line.traded),
            money(line.loss),
            bps(line.traded_bps),
            *part_cells(line),
        )
    return table


def _fees_table(lines: Sequence[FeeLine]) -> Table:
    table = Table(text("fee paid in"), number("quantity"), number("cost"), text(""), number("bps", optional=1))
    for line in lines:
        table.row(line.asset, short(line.quantity), money(line.value), line.currency, bps(line.traded_bps))
    return table


def _columns() -> list[str]:
    from etf_trader.reports.losses import LossLine

    return columns_of(LossLine)
