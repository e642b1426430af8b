"""`etf report statement`: what a holder had, put in, took out and gained."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

import typer

from etf_trader.cli.commands import command
from etf_trader.cli.conversion import CurrencyOption, RateOption, check_currency, draw_rates, in_currency
from etf_trader.cli.invocation import output
from etf_trader.cli.moments import FromOption, ToOption, period_typed, span_text
from etf_trader.cli.numbers import amount_of, few_digits, gained, local_time, money, short
from etf_trader.cli.output import Page, Table, dim, number, text
from etf_trader.cli.prices_at import prices_at, valued_by
from etf_trader.cli.records import columns_of, row_of
from etf_trader.cli.services import in_loop, services
from etf_trader.cli.treasury import HolderOption, holder_of

if TYPE_CHECKING:
    from decimal import Decimal

    from etf_trader.bootstrap import Services
    from etf_trader.index.store import Basket
    from etf_trader.reports.holder_history import History
    from etf_trader.reports.period import Period
    from etf_trader.reports.statement import Statement, Valuation


MOVEMENTS = ("deposits", "withdrawals", "orders", "floats", "fee_inventory", "management_fees", "other")
"""What moves in a treasury, besides opening and closing."""

ABREAST = 3
"""So many assets stand beside each other."""


def add_to(app: typer.Typer) -> None:
    """Add the command to `etf report`."""
    seen = ("etf report statement", "etf report statement --holder alice --from 2026-01-01 --to 2026-02-01")
    command(app, "statement", examples=seen, csv="positions")(statement)


def statement(
    holder: HolderOption = None,
    since: FromOption = None,
    until: ToOption = None,
    currency: CurrencyOption = None,
    rate: RateOption = None,
) -> None:
    """Report what a holder had at first, put in, took out, gained and has at last: by position and in all."""
    name = holder_of(holder)
    check_currency(currency, rate)
    with services() as opened:
        period = period_typed(opened, since, until)
        made = in_loop(_statement(opened, name, period))
        (made,), rates = in_loop(in_currency(opened, [made], currency, rate, period.until))

    def draw(page: Page) -> None:
        draw_statement(page, made, span_text(period))
        draw_rates(page, rates)
        page.line(f"ledger {made.head[:16]} · opening + subscriptions - redemptions + gain = closing, exactly")

    payload: dict[str, Any] = {"from": period.since, "to": period.until, "rates": rates}
    payload |= row_of(made)
    output().emit("etf.statement/1", payload, draw, columns=_columns())


async def _statement(opened: Services, holder: str, period: Period) -> Statement:
    from etf_trader.ledger.repository import require_known
    from etf_trader.reports.holder_history import history
    from etf_trader.reports.statement import statement as stated

    with opened.database.read() as connection:
        require_known(connection, opened.account.id, holder)
        found = history(connection, opened.account.id, holder, period)
    # The venue is asked while nothing is read: its requests are counted in this database.
    opening = await _valued(opened, found, found.opening_baskets, period.since)
    closing = await _valued(opened, found, found.closing_baskets, period.until)
    with opened.database.read() as connection:
        return stated(connection, found, period, opening, closing)


async def _valued(
    opened: Services, found: History, baskets: Mapping[int, Basket], moment: datetime | None
) -> Valuation:
    from etf_trader.reports.statement import Valuation

    prices = {
        number: await prices_at(opened, found.indices[number], basket, moment)
        for number, basket in baskets.items()
    }
    navs = {
        number: basket.nav({asset: each.price for asset, each in prices[number].items()})
        for number, basket in baskets.items()
    }
    return Valuation(navs, prices)


def draw_statement(page: Page, made: Statement, span: str) -> None:
    """Draw the statement of a holder."""
    page.line(f"Statement of {made.holder} {span}")
    if not made.positions:
        page.line(f"{made.holder} has had no units: etf submit buy --index 1 --qty 100 buys some.")
    for line in made.positions:
        page.line()
        page.line(f"position {line.position} of {line.index}, in {line.currency}")
        page.table(_position_table(line))
    if len(made.positions) > 1:
        for total in made.totals:
            page.line()
            page.line(f"all positions, in {total.currency}")
            page.table(_position_table(total))
    if made.held:
        page.line()
        page.line("held by orders, beside the units and in no gain yet")
        page.table(_held_table(made))
    if made.cash:
        page.line()
        page.line("cash in the treasury")
        for table in _cash_tables(made):
            page.table(table)
    if output().verbose and made.flows:
        page.line()
        page.table(_flows_table(made))
    page.line()
    for sentence in _valued_by(made):
        page.line(dim(sentence))


def _position_table(line: object) -> Table:
    """Return the lines of a position, or of all: they add up from the first to the last."""
    units = hasattr(line, "opening_units")
    table = Table(text(""), *([number("units")] if units else []), number("amount"), text(""))

    def row(name: str, count: str | None, amount: Decimal, aside: str = "", *, signed: bool = False) -> None:
        said = gained(amount) if name == "gain" else money(amount, signed=signed)
        table.row(name, *([count or ""] if units else []), said, aside)

    def of(name: str) -> Decimal:
        found: Decimal = getattr(line, name)
        return found

    def held(name: str) -> str | None:
        return few_digits(of(name)) if units else None

    def at(name: str) -> str:
        nav = getattr(line, name, None)
        return "" if nav is None else f"at {money(nav)}"

    row("opening", held("opening_units"), of("opening"), at("opening_nav"))
    row("subscriptions", held("subscribed_units"), of("subscriptions"))
    row("redemptions", held("redeemed_units"), -of("redemptions"))
    row("gain", None, of("gain"), signed=True)
    row("  by prices", None, of("price_gain"), signed=True)
    row("  by trading", None, -of("loss"), signed=True)
    row("    the venue's fees", None, -of("fees"), signed=True)
    if of("management_fee"):
        row("  management fee", None, -of("management_fee"), signed=True)
    row("closing", held("closing_units"), of("closing"), at("closing_nav"))
    return table


def _held_table(made: Statement) -> Table:
    table = Table(
        text("order"),
        text("of", optional=2),
        text("asset"),
        number("quantity"),
        number("price", optional=1),
        number("value"),
        text("", optional=3),
    )
    for line in made.held:
        told = ["-", "-", "no price"]
        if line.price is not None and line.value is not None:
            told = [short(line.price), f"{money(line.value)} {line.currency}", line.price_source]
        table.row(str(line.order), line.index, line.asset, few_digits(line.quantity), *told)
    return table


def _cash_tables(made: Statement) -> Iterator[Table]:
    """Yield what moved in the treasury, line by line, for a few assets at a time."""
    for start in range(0, len(made.cash), ABREAST):
        lines = made.cash[start : start + ABREAST]
        table = Table(text(""), *(number(line.asset) for line in lines))
        table.row("opening", *(amount_of(line.opening, line.asset) for line in lines))
        for name in MOVEMENTS:
            if any(getattr(line, name) for line in lines):
                amounts = [_moved(getattr(line, name), line.asset) for line in lines]
                table.row(name.replace("_", " "), *amounts)
        table.row("closing", *(amount_of(line.closing, line.asset) for line in lines))
        if any(line.set_aside for line in lines):
            table.row("set aside", *(amount_of(line.set_aside, line.asset) for line in lines))
        yield table


def _moved(amount: Decimal, asset: str) -> str:
    return ("+" if amount > 0 else "") + amount_of(amount, asset)


def _flows_table(made: Statement) -> Table:
    table = Table(
        text("at", optional=1),
        number("position", optional=2),
        text("order"),
        text(""),
        number("units"),
        number("cash"),
    )
    for flow in made.flows:
        order = "" if flow.order is None else str(flow.order)
        units = few_digits(flow.units)
        table.row(local_time(flow.at), str(flow.position), order, flow.kind, units, money(flow.cash))
    return table


def _valued_by(made: Statement) -> list[str]:
    """Return a sentence for each moment and index: which prices it was valued by, and how old the oldest was."""
    found = []
    for moment, index in dict.fromkeys((each.moment, each.index) for each in made.prices):
        own = [each for each in made.prices if (each.moment, each.index) == (moment, index)]
        told = valued_by((each.asset, each.source, each.age_seconds) for each in own)
        found.append(f"{moment} of {index} {told}")
    return found


def _columns() -> list[str]:
    from etf_trader.reports.statement import PositionStatement

    return columns_of(PositionStatement)
