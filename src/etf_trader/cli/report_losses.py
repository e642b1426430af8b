"""`etf report loss` and `etf report costs`: what trading cost, by part, and where."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import typer

from etf_trader.cli.commands import command
from etf_trader.cli.conversion import CurrencyOption, RateOption, check_currency, draw_rates, in_currency
from etf_trader.cli.invocation import output
from etf_trader.cli.moments import FromOption, ToOption, period_typed, span_text
from etf_trader.cli.numbers import bps, count, joined, money, short
from etf_trader.cli.options import ByOption, IndexOption
from etf_trader.cli.output import Column, Page, Table, number, text
from etf_trader.cli.services import in_loop, services
from etf_trader.orders.plan import LOSS_PARTS

if TYPE_CHECKING:
    from etf_trader.bootstrap import Services
    from etf_trader.cli.exhibit import Exhibit
    from etf_trader.reports.losses import FeeLine, LossLine
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

    check_currency(currency, rate)
    with services() as opened:
        period = period_typed(opened, since, until)
        number_of = index_number(opened, index)
        with opened.database.read() as connection:
            report = loss_report(connection, opened.account.id, by, period, number_of)
        (report,), rates = in_loop(in_currency(opened, [report], currency, rate, period.until))

    def draw(page: Page) -> None:
        span = span_text(period)
        if not report.losses:
            page.line(_nothing(period))
            return
        _draw_totals(page, "Loss", span, report.totals)
        page.line()
        page.table(losses_table(by, report.losses))
        page.line()
        if by != "asset":
            page.line("the parts are the loss, and the loss is what cash says, to the last digit")
        if any(line.loss_bps is not None for line in report.losses):
            page.line(
                "bps of units are of their worth at arrival; those above, and a rebalance's, of what was traded"
            )
        draw_rates(page, rates)
        page.line(f"ledger {report.head[:16]} · loss is against the mids at arrival; positive is a cost")

    payload: dict[str, Any] = {
        "by": by,
        "from": period.since,
        "to": period.until,
        "rates": rates,
        "head": report.head,
    }
    payload |= {"totals": report.totals, "losses": report.losses}
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

    check_currency(currency, rate)
    with services() as opened:
        period = period_typed(opened, since, until)
        number_of = index_number(opened, index)
        with opened.database.read() as connection:
            report = costs_report(connection, opened.account.id, period, number_of)
        (report,), rates = in_loop(in_currency(opened, [report], currency, rate, period.until))

    def draw(page: Page) -> None:
        span = span_text(period)
        if not report.costs:
            page.line(_nothing(period))
            return
        _draw_totals(page, "Costs", span, report.totals)
        for by in dict.fromkeys(line.by for line in report.costs):
            page.line()
            page.table(costs_table(by, [line for line in report.costs if line.by == by]))
        page.line()
        page.table(_fees_table(report.fees))
        page.line()
        draw_rates(page, rates)
        page.line(f"ledger {report.head[:16]} · bps are of what was traded; each table adds up to the costs")

    payload: dict[str, Any] = {"from": period.since, "to": period.until, "rates": rates, "head": report.head}
    payload |= {"totals": report.totals, "costs": report.costs, "fees": report.fees}
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


def index_number(opened: Services, index: str | None) -> int | None:
    """Return the number of the index that was typed; None where none was."""
    from etf_trader.index.store import find_index

    if index is None:
        return None
    with opened.database.read() as connection:
        return find_index(connection, index).id


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
        page.line(joined(f"{part} {money(getattr(line, part))}" for part in LOSS_PARTS))


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
        *_part_columns(),
    )
    for line in lines:
        table.row(
            line.key,
            *([line.index or "", line.side or ""] if is_order else []),
            *([line.currency] if several else []),
            money(line.traded),
            money(line.loss),
            bps(line.traded_bps if line.loss_bps is None else line.loss_bps),
            *(money(getattr(line, part)) for part in LOSS_PARTS),
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
        *_part_columns(),
    )
    for line in lines:
        table.row(
            line.key,
            *([line.currency] if several else []),
            money(line.traded),
            money(line.loss),
            bps(line.traded_bps),
            *(money(getattr(line, part)) for part in LOSS_PARTS),
        )
    return table


def _fees_table(lines: Sequence[FeeLine]) -> Table:
    table = Table(text("fee paid in"), number("quantity"), number("cost"), text(""), number("bps", optional=1))
    for line in lines:
        table.row(line.asset, short(line.quantity), money(line.value), line.currency, bps(line.traded_bps))
    return table


def _part_columns() -> list[Column]:
    return [number(part, optional=5 if part in ("delay", "rounding") else 4) for part in LOSS_PARTS]


def _columns() -> list[str]:
    from etf_trader.reports.losses import LossLine

    return [field.name for field in dataclasses.fields(LossLine)]
