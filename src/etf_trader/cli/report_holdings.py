"""`etf report holdings`: what each index holds and what its units are worth, now or at a moment of the past."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

import typer

from etf_trader.cli.commands import command
from etf_trader.cli.conversion import CurrencyOption, RateOption, check_currency, draw_rates, in_currency
from etf_trader.cli.invocation import output
from etf_trader.cli.moments import AsOfOption, require_past_moment
from etf_trader.cli.numbers import few_digits, gained, local_time, money, share, short, unit_count
from etf_trader.cli.options import IndexOption
from etf_trader.cli.output import Page, Table, look, number, text
from etf_trader.cli.prices_at import prices_at, prices_now, valued_by
from etf_trader.cli.records import columns_of, row_of
from etf_trader.cli.services import in_loop, services
from etf_trader.errors import ConfigError, UsageError

if TYPE_CHECKING:
    from etf_trader.bootstrap import Services
    from etf_trader.cli.exhibit import Exhibit
    from etf_trader.index.store import Index
    from etf_trader.reports.holdings import HoldingsReport


def add_to(app: typer.Typer) -> None:
    """Add the command to `etf report`."""
    seen = ("etf report holdings", "etf report holdings --index 1 --as-of 2026-03-01")
    command(app, "holdings", examples=seen, csv="holdings")(holdings)


def holdings(
    index: IndexOption = None,
    as_of: AsOfOption = None,
    currency: CurrencyOption = None,
    rate: RateOption = None,
) -> None:
    """Report what each index holds, what its units are worth, and what the owner has beside them."""
    from etf_trader.index.store import find_index, list_indices

    check_currency(currency, rate)
    with services() as opened:
        require_past_moment(opened, as_of)
        with opened.database.read() as connection:
            own = list_indices(connection, opened.account.id)
            chosen = own if index is None else [find_index(connection, index)]
        try:
            reports = in_loop(_holdings(opened, chosen, as_of))
        except ConfigError as error:
            raise ConfigError(
                "holdings are valued at the prices of now, and there is no exchange that has them: "
                + error.message,
                where=error.where,
                hint="etf db restore BACKUP puts its database back; etf report fills does without it",
            ) from error
        reports, rates = in_loop(in_currency(opened, reports, currency, rate, as_of))
    payload = {
        "indices": [row_of(report) for report in reports],
        "holdings": [{"index": report.symbol, **row_of(line)} for report in reports for line in report.holdings],
        "rates": rates,
    }

    def draw(page: Page) -> None:
        if not reports:
            page.line("There is no index yet. etf init makes a sample, etf index create one of your own.")
        for place, report in enumerate(reports):
            if place:
                page.line()
            draw_holdings(page, report)
        draw_rates(page, rates)

    output().emit("etf.holdings/1", payload, draw, columns=_columns(), exhibit=lambda: _exhibit(reports))


async def _holdings(opened: Services, chosen: list[Index], as_of: datetime | None) -> list[HoldingsReport]:
    if as_of is not None:
        past = [await _holdings_then(opened, index, as_of) for index in chosen if index.created_at < as_of]
        if chosen and not past:
            raise UsageError(
                f"there was no index yet: {chosen[0].symbol} was made {local_time(chosen[0].created_at)}",
                where="--as-of",
                hint="name a later moment",
            )
        return past
    return [await _holdings_of(opened, index) for index in chosen]


async def _holdings_then(opened: Services, index: Index, moment: datetime) -> HoldingsReport:
    """Report an index as it stood just before a moment, at prices of then."""
    from etf_trader.index.store import basket_of_version
    from etf_trader.ledger.replay import books_before
    from etf_trader.reports.holdings import holdings_report

    with opened.database.read() as connection:
        books = books_before(connection, opened.account.id, moment)
        basket = basket_of_version(connection, index.id, books.versions.get(index.id, 1))
    prices = await prices_at(opened, index, basket, moment)
    mids = {asset: each.price for asset, each in prices.items()}
    priced_at = min((each.at for each in prices.values()), default=moment)
    with opened.database.read() as connection:
        return holdings_report(connection, index, mids, priced_at, prices, (books, moment))


async def _holdings_of(opened: Services, index: Index) -> HoldingsReport:
    """Report an index at prices of its own basket, also where it gets another one meanwhile."""
    from etf_trader.index.store import current_basket
    from etf_trader.reports.holdings import holdings_report

    while True:
        with opened.database.read() as connection:
            basket = current_basket(connection, index.id)
        # The venue is asked while nothing is read: its requests are counted in this database.
        prices = await prices_now(opened, opened.venue, basket)
        priced_at = min(each.at for each in prices.values())
        mids = {asset: each.price for asset, each in prices.items()}
        with opened.database.read() as connection:
            if current_basket(connection, index.id) == basket:
                return holdings_report(connection, index, mids, priced_at, prices)


def draw_holdings(page: Page, report: HoldingsReport) -> None:
    """Draw what one index holds."""
    from etf_trader.reports.pricing import age_of

    name = "" if report.name == report.symbol else f" ({report.name})"
    state = "" if report.status == "open" else f" · {report.status}"
    page.line(
        f"{report.symbol}{name} · {unit_count(report.units)} at {money(report.nav)} {report.currency} "
        f"= {money(report.value)} {report.currency}{state}"
    )
    if report.as_of is not None:
        priced = valued_by(
            (line.asset, line.price_source, age_of(line.price_at, report.as_of)) for line in report.holdings
        )
        page.line(f"as it stood just before {local_time(report.as_of)}, {priced}")
    elif flagged := [line for line in report.holdings if line.price_source != "mid"]:
        told = ", ".join(f"{line.asset} ({line.price_source}, {local_time(line.price_at)})" for line in flagged)
        page.line(f"{look('Not at a price of now')}: {told}.")
    has_sources = report.as_of is not None and output().verbose
    page.line()
    table = Table(
        text("asset"),
        number("quantity"),
        number("price"),
        number("value"),
        number("weight", optional=1),
        number("in the float", optional=2),
        *([text("priced by", optional=3)] if has_sources else []),
    )
    for line in report.holdings:
        table.row(
            line.asset,
            short(line.quantity),
            short(line.price),
            money(line.value),
            share(line.weight),
            short(line.residual),
            *([f"{line.price_source}, {local_time(line.price_at)}"] if has_sources else []),
        )
    if report.cash:
        aside = [""] if has_sources else []
        cash = money(report.cash)
        unit_price = "1" if report.currency == report.quote else ""
        table.row(report.quote, cash, unit_price, cash, "", money(report.float_cash), *aside)
    page.table(table)
    page.line()
    page.line(f"float {money(report.float_value)} {report.currency}, of which {money(report.float_cash)} in cash")
    for position in report.positions:
        page.line(
            f"position {position.position} of {position.holder}: {unit_count(position.units)}, cost "
            f"{money(position.cost)}, worth {money(position.value)}, "
            f"gain {gained(position.gain)}"
        )
    page.line(f"ledger {report.head[:16]}")


def _columns() -> list[str]:
    from etf_trader.reports.holdings import HoldingLine

    return ["index", *columns_of(HoldingLine)]


def _exhibit(reports: list[HoldingsReport]) -> Exhibit:
    from etf_trader.cli.exhibit import Bars, Exhibit, Key

    weights = Bars("Weights", "holdings", "asset", "weight", share, "of NAV", by="index")
    if len(reports) != 1:
        return Exhibit(charts=(weights,))
    (report,) = reports
    numbers = (
        Key("units", "indices.0.units", few_digits),
        Key("NAV per unit", "indices.0.nav", unit=report.currency),
        Key("value", "indices.0.value", unit=report.currency),
        Key("float", "indices.0.float_value", unit=report.currency),
    )
    return Exhibit(f"Holdings of {report.symbol}", numbers, (weights,))
