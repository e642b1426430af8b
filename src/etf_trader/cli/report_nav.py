"""`etf report nav`: the certificate of what a unit is worth, now or as it was written down."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from etf_trader.cli.commands import command
from etf_trader.cli.index_nav import age, draw_flags, nav_document, valued
from etf_trader.cli.invocation import output
from etf_trader.cli.moments import AsOfOption, require_past_moment
from etf_trader.cli.numbers import joined, local_time, money, share, short, unit_count, units
from etf_trader.cli.options import IndexOption
from etf_trader.cli.output import Page, Table, dim, look, number, right, text
from etf_trader.cli.services import services
from etf_trader.errors import NotFound, UsageError

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from etf_trader.index.store import Index
    from etf_trader.reports.nav import NavReport


def add_to(app: typer.Typer) -> None:
    """Add the command to `etf report`."""
    seen = ("etf report nav --index 1", "etf report nav --index 1 --as-of 2026-02-01   what January ended with")
    command(app, "nav", examples=seen, csv="prices")(nav)


def nav(index: IndexOption = None, as_of: AsOfOption = None) -> None:
    """Certify what a unit is worth, or was: holdings, prices with source and age, and the head of the ledger."""
    from etf_trader.reports.nav import recorded_nav_report
    from etf_trader.reports.period import moment_text

    with services() as opened:
        require_past_moment(opened, as_of)
        with opened.database.read() as connection:
            found = one_index(connection, opened.account.id, index)
            report = None if as_of is None else recorded_nav_report(connection, found, as_of)
        if as_of is None:
            report = valued(opened, found)
    if report is None:
        assert as_of is not None
        raise NotFound(
            f"nothing was written down of {found.symbol} before {moment_text(as_of)}",
            where="--as-of",
            hint=f"etf index nav {found.id} --history lists what was",
        )
    certificate = report
    output().emit(
        "etf.nav_certificate/1", nav_document(certificate), lambda page: draw_certificate(page, certificate)
    )


def one_index(connection: Connection, account_id: int, index: str | None) -> Index:
    """Return the index that was named, or the only one.

    Raises:
        NotFound: there is no such index.
        UsageError: none was named, and there is none, or there are several.
    """
    from etf_trader.index.store import find_index, list_indices

    if index is not None:
        return find_index(connection, index)
    own = list_indices(connection, account_id)
    if len(own) == 1:
        return own[0]
    if not own:
        raise UsageError("there is no index yet", hint="etf index create --file index.toml makes one")
    listing = ", ".join(f"{each.id} ({each.symbol})" for each in own)
    raise UsageError(f"there are {len(own)} indices: {listing}", hint="say which: --index N")


def draw_certificate(page: Page, report: NavReport) -> None:
    """Draw the certificate of what a unit is worth."""
    when = "now" if report.recorded_as is None else f"as written down ({report.recorded_as})"
    page.line(
        f"{report.symbol} · {local_time(report.at)}, {when} · {unit_count(report.units)} at {money(report.nav)} = "
        f"{money(report.value)} {report.quote}"
    )
    if report.level is not None:
        page.line(f"The index stands at {money(report.level)}.")
    draw_flags(page, report)
    page.line()
    table = Table(
        text("asset"),
        number("per unit", optional=4),
        number("quantity", optional=1),
        number("price"),
        text("from"),
        right("age", optional=2),
        number("value"),
        number("weight", optional=3),
    )
    for line in report.prices:
        source = look(line.source) if line.is_flagged else dim(line.source)
        told = (units(line.per_unit), short(line.quantity), short(line.price), source, dim(age(line.age_seconds)))
        table.row(line.asset, *told, money(line.value), share(line.weight))
    if report.cash_per_unit:
        cash = (units(report.cash_per_unit), money(report.cash), "1", "", "", money(report.cash), "")
        table.row(report.quote, *cash)
    page.table(table)
    page.line()
    page.line(joined([f"basket {report.basket_version}", f"ledger {report.head[:16]}"]))
