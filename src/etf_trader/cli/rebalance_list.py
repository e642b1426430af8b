"""`etf report rebalance --all`: the rebalances of an index, a line each."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import TYPE_CHECKING

from etf_trader.cli.invocation import output
from etf_trader.cli.numbers import bps, count, money, share
from etf_trader.cli.output import Page, Table, number, right, text
from etf_trader.cli.rebalances import assets_traded, state_words, unit_value, why_stopped
from etf_trader.orders.plan import LOSS_PARTS

if TYPE_CHECKING:
    from etf_trader.reports.rebalance import RebalanceReport


def emit_list(found: Sequence[RebalanceReport], made: str) -> None:
    """Print rebalances, given oldest first; `made` says what there is to say where there is none."""
    names = ("id", "index", "due_on", "status", "accepted_at", "ended_at", "turnover", "quote", "cost", "cost_bps")
    more = (*LOSS_PARTS, "market", "flows", "nav_per_unit_before", "nav_per_unit_after", "stopped_by")
    rows = [
        {name: getattr(report, name) for name in (*names, *more)} | {"waves": len(report.waves)}
        for report in reversed(found)
    ]

    def draw(page: Page) -> None:
        if not found:
            page.line(made)
            return
        costs = dict.fromkeys((report.quote for report in found), Decimal(0))
        for report in found:
            costs[report.quote] += report.cost
        told = " and ".join(f"{money(cost)} {quote}" for quote, cost in costs.items())
        of = f" of {found[0].index}" if len({report.index for report in found}) == 1 else ""
        page.line(f"{count(len(found), 'rebalance')}{of}, at a cost of {told} in all.")
        page.line()
        page.table(list_table(found[::-1]))

    shown = output()
    shown.csv = "rebalances"
    shown.emit("etf.report_rebalances/1", {"rebalances": rows}, draw, columns=(*names, *more))


def list_table(found: Sequence[RebalanceReport]) -> Table:
    """Return rebalances as a table, one a line."""
    several = len({report.index for report in found}) > 1
    has_quotes = len({report.quote for report in found}) > 1
    table = Table(
        right("id"),
        text("index") if several else text("index", optional=4),
        text("for"),
        text("traded", optional=3),
        number("turnover", optional=2),
        number("cost"),
        *([text("in")] if has_quotes else []),
        number("bps"),
        number("unit before", optional=1),
        number("unit after", optional=1),
        text("state"),
        text("stopped by", wrap=True),
    )
    for report in found:
        table.row(
            str(report.id),
            report.index,
            report.due_on.isoformat(),
            assets_traded(report),
            share(report.turnover),
            money(report.cost),
            *([report.quote] if has_quotes else []),
            bps(report.cost_bps),
            unit_value(report.nav_per_unit_before),
            unit_value(report.nav_per_unit_after),
            state_words(report),
            why_stopped(report),
        )
    return table
