"""`etf report`: what was traded and what it cost, what is held and what it is worth."""

from __future__ import annotations

from etf_trader.cli import (
    report_crosses,
    report_fills,
    report_gains,
    report_holdings,
    report_losses,
    report_nav,
    report_performance,
    report_rebalance,
    report_statement,
)
from etf_trader.cli.commands import group

app = group()

for each in (
    report_fills,
    report_holdings,
    report_crosses,
    report_losses,
    report_gains,
    report_statement,
    report_nav,
    report_performance,
    report_rebalance,
):
    each.add_to(app)
