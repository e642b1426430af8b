"""`etf report crosses`: what orders of one's own traded with each other."""

from __future__ import annotations

import typer

from etf_trader.cli.commands import command
from etf_trader.cli.invocation import output
from etf_trader.cli.moments import FromOption, ToOption, period_typed, span_text
from etf_trader.cli.numbers import count, local_time, money, price_of, short
from etf_trader.cli.output import Page, Table, number, right, text
from etf_trader.cli.records import columns_of, row_of
from etf_trader.cli.services import services


def add_to(app: typer.Typer) -> None:
    """Add the command to `etf report`."""
    seen = ("etf report crosses", "etf report crosses --from 2026-01-01 --format csv")
    command(app, "crosses", examples=seen, csv="crosses")(crosses)


def crosses(since: FromOption = None, until: ToOption = None) -> None:
    """Report what your own orders traded with each other: at the mid, without a fee, never sent to the venue."""
    from etf_trader.reports.crosses import CrossLine, crosses_report

    with services() as opened:
        period = period_typed(opened, since, until)
        with opened.database.read() as connection:
            report = crosses_report(connection, opened.account.id, period)

    def draw(page: Page) -> None:
        if not report.crosses:
            when = "" if period.is_always else f" {span_text(period)}"
            page.line(
                f"No orders of yours have traded with each other{when}: that takes a buy and a sell at one time."
            )
            return
        table = Table(
            right("cross"),
            text("at", optional=2),
            text("asset"),
            number("quantity"),
            number("price"),
            number("value"),
            text("from order"),
            text("to order"),
        )
        for line in report.crosses:
            table.row(
                str(line.cross),
                local_time(line.at),
                line.asset,
                short(line.quantity),
                price_of(line.price),
                money(line.value),
                str(line.seller),
                str(line.buyer),
            )
        page.table(table)
        page.line()
        page.line(
            f"{count(len(report.crosses), 'trade')} worth {money(report.value)}, at the mid and without a fee"
        )

    output().emit("etf.crosses/1", row_of(report), draw, columns=columns_of(CrossLine))
