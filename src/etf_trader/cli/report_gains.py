"""`etf report gains`: what was disposed of, and what that earned whom."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from etf_trader.cli.commands import WHAT, command
from etf_trader.cli.conversion import CurrencyOption, RateOption, draw_rates
from etf_trader.cli.invocation import output
from etf_trader.cli.moments import FromOption, ToOption, YearOption
from etf_trader.cli.numbers import count, few_digits, gained, money, short
from etf_trader.cli.options import IndexOption, PositionOption
from etf_trader.cli.output import Page, Table, dim, number, text
from etf_trader.cli.records import columns_of
from etf_trader.cli.span_report import index_number, report_of_span

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from etf_trader.reports.gains import GainLine, GainsReport, GainSum
    from etf_trader.reports.period import Period

BearerOption = Annotated[
    str | None,
    typer.Option("--holder", help="Only what this holder bears.", metavar="NAME", rich_help_panel=WHAT),
]

MOST = 20
"""So many disposals are shown; -v shows all."""

KINDS = (
    (("units",), "Units sold: the gain is the holder's."),
    (("index", "order"), "Assets on the way: in the worth of the units already, never to be added to the above."),
    (("float", "fees", "management"), "Float, fee inventory, management fee: the gain is the owner's."),
)


def add_to(app: typer.Typer) -> None:
    """Add the command to `etf report`."""
    seen = ("etf report gains --year 2026", "etf report gains --position 1 --format csv")
    command(app, "gains", examples=seen, csv="gains")(gains)


def gains(
    index: IndexOption = None,
    position: PositionOption = None,
    holder: BearerOption = None,
    year: YearOption = None,
    since: FromOption = None,
    until: ToOption = None,
    currency: CurrencyOption = None,
    rate: RateOption = None,
) -> None:
    """Report disposals by year and lot method: what was earned on units, and apart from them on assets."""
    from etf_trader.index.store import position_by_id
    from etf_trader.reports.gains import Wanted, gains_report

    def make(connection: Connection, account_id: int, period: Period) -> GainsReport:
        if position is not None:
            position_by_id(connection, position)
        wanted = Wanted(index_number(connection, index), position, holder)
        return gains_report(connection, account_id, period, wanted)

    made = report_of_span(make, since, until, currency, rate, year=year)
    report = made.report

    def draw(page: Page) -> None:
        told = ", ".join(sorted({each.currency for each in report.sums}))
        amounts = f", in {told}" if told else ""
        page.line(f"Gains {made.span}{amounts} · {count(len(report.gains), 'disposal')}")
        if not report.gains:
            page.line(
                "Nothing was disposed of: units are when they are sold, assets when they are traded or moved on."
            )
        for of, sentence in KINDS:
            _draw_kind(page, report, of, sentence)
        page.line()
        draw_rates(page, made.rates)
        page.line(
            f"ledger {report.head[:16]} · proceeds are net of fees, cost includes them; days are told, no term"
        )

    payload = made.document("years", "sums", "gains")
    output().emit("etf.gains/1", payload, draw, columns=_columns())


def _draw_kind(page: Page, report: GainsReport, of: Sequence[str], sentence: str) -> None:
    sums = [each for each in report.sums if each.of in of]
    if not sums:
        return
    page.line()
    page.line(sentence)
    page.table(_sums_table(sums))
    lines = [line for line in report.gains if line.of in of]
    if of != KINDS[0][0] and not output().verbose:
        page.line(dim(f"{count(len(lines), 'disposal')}; -v shows each, --format csv writes them to a file"))
        return
    shown = lines if output().verbose else lines[-MOST:]
    page.line()
    page.table(_lines_table(shown))
    if len(lines) > len(shown):
        page.line(dim(f"the last {MOST} of {len(lines)}; -v shows each, --format csv writes them to a file"))


def _sums_table(sums: Sequence[GainSum]) -> Table:
    several = len({line.currency for line in sums}) > 1
    table = Table(
        text("year"),
        text("of", optional=3),
        text("whose", shrink=True),
        text("index", optional=2),
        text("asset"),
        text("lots", optional=2),
        number("quantity", optional=4),
        number("proceeds"),
        number("cost", optional=1),
        number("fee", optional=5),
        number("gain"),
        *([text("in")] if several else []),
    )
    for line in sums:
        table.row(
            str(line.year),
            line.of,
            line.bearer,
            line.index or "",
            _asset(line),
            line.lot_method,
            "" if line.quantity is None else short(line.quantity),
            money(line.proceeds),
            money(line.cost),
            money(line.fee),
            gained(line.gain),
            *([line.currency] if several else []),
        )
    return table


def _lines_table(lines: Sequence[GainLine]) -> Table:
    table = Table(
        text("acquired", optional=1),
        text("disposed"),
        number("days"),
        text("asset"),
        number("quantity"),
        number("proceeds", optional=2),
        number("cost", optional=3),
        number("fee", optional=4),
        number("gain"),
    )
    for line in lines:
        table.row(
            line.acquired_at.strftime("%Y-%m-%d"),
            line.disposed_at.strftime("%Y-%m-%d"),
            str(line.days_held),
            _asset(line),
            few_digits(line.quantity) if line.of == "units" else short(line.quantity),
            money(line.proceeds),
            money(line.cost),
            money(line.fee),
            gained(line.gain),
        )
    return table


def _asset(line: GainSum | GainLine) -> str:
    """Return what was disposed of, as a person calls it."""
    return f"{line.index} units" if line.of == "units" else line.asset or ""


def _columns() -> list[str]:
    from etf_trader.reports.gains import GainLine

    return columns_of(GainLine)
