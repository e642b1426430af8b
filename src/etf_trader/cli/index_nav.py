"""`etf index nav`: what a unit is worth now, written down, and what it was worth over time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any

import typer

from etf_trader.cli.commands import HOW, WHAT, command
from etf_trader.cli.invocation import output
from etf_trader.cli.moments import FromOption, ToOption, period_typed
from etf_trader.cli.numbers import count, few_digits, local_time, money, short, spoken_duration, units
from etf_trader.cli.options import option
from etf_trader.cli.output import Page, Table, dim, look, number, right, text
from etf_trader.cli.records import row_of
from etf_trader.cli.services import in_loop, services
from etf_trader.errors import DataError, UsageError

if TYPE_CHECKING:
    from etf_trader.bootstrap import Services
    from etf_trader.index.navs import Nav
    from etf_trader.index.prices import Price
    from etf_trader.index.store import Index
    from etf_trader.reports.nav import NavReport

IndexOrAllArgument = Annotated[
    str | None,
    typer.Argument(help="The index, by number or symbol.  [default: all that are open]", metavar="[INDEX]"),
]
RecordOption = Annotated[bool, option("--record", HOW, "Write it down, for the history; made for cron.")]
HistoryOption = Annotated[bool, option("--history", WHAT, "List what was written down.")]

PRICES = ("index", "asset", "symbol", "price", "source", "at", "age_seconds", "per_unit", "quantity", "value")
COLUMNS = ("index", "at", "reason", "nav", "level", "units", "value", "basket_version")


def add_to(app: typer.Typer) -> None:
    """Add the command to `etf index`."""
    seen = (
        "etf index nav 1",
        "etf index nav --record   of all indices; a line for cron",
        "etf index nav 1 --history --from 2026-01-01",
    )
    command(app, "nav", examples=seen, csv="prices")(nav)


def nav(
    index: IndexOrAllArgument = None,
    record: RecordOption = False,
    history: HistoryOption = False,
    since: FromOption = None,
    until: ToOption = None,
) -> None:
    """Show what one unit of an index is worth now, with every price and its age; or what it was worth."""
    if history:
        if record:
            raise UsageError(
                "--record writes the worth of now, --history lists that of before",
                where="--record",
                hint="etf index nav 1 --record, then etf index nav 1 --history",
            )
        _history(index, since, until)
        return
    if since is not None or until is not None:
        raise UsageError(
            "--from and --to choose from what was written down",
            where="--from" if since is not None else "--to",
            hint="etf index nav 1 --history --from 2026-01-01",
        )
    with services() as opened:
        found, failures = _values(opened, _chosen(opened, index), record=record)
    if failures and not found:
        raise failures[0]
    if index is not None:
        output().emit("etf.nav/1", nav_document(found[0]), lambda page: _draw(page, found, record=record))
    else:
        lines = [{"index": each.symbol, **row_of(line)} for each in found for line in each.prices]
        payload = {"navs": [nav_document(each) for each in found], "prices": lines}
        output().emit("etf.navs/1", payload, lambda page: _draw(page, found, record=record), columns=PRICES)
    if failures:
        raise failures[0]


def valued(opened: Services, index: Index) -> NavReport:
    """Return what a unit is worth now.

    Raises:
        MissingPrice: a constituent has no price and never had one; names it.
    """
    from etf_trader.reports.nav import nav_report

    prices = prices_of(opened, index)
    with opened.database.read() as connection:
        return nav_report(connection, index, prices, opened.clock.now())


def prices_of(opened: Services, index: Index) -> Mapping[str, Price]:
    """Return what the venue prices now, of all that the fund holds and that its benchmark does."""
    from etf_trader.execution.valuing import prices_now
    from etf_trader.index.benchmarks import current_fixing
    from etf_trader.index.marks import marks_of
    from etf_trader.index.store import current_basket

    with opened.database.read() as connection:
        assets = set(current_basket(connection, index.id).quantities)
        fixing, marks = current_fixing(connection, index.id), marks_of(connection, index.id)
    if fixing is not None:
        assets |= fixing.benchmark.quantities.keys()
    # The venue is asked while nothing is read: its requests are counted in this database.
    return in_loop(prices_now(opened.venue, assets, index.quote, marks))


def _chosen(opened: Services, index: str | None) -> list[Index]:
    from etf_trader.index.store import find_index, list_indices

    with opened.database.read() as connection:
        if index is not None:
            return [find_index(connection, index)]
        return [each for each in list_indices(connection, opened.account.id) if each.is_open]


def _values(opened: Services, chosen: Sequence[Index], *, record: bool) -> tuple[list[NavReport], list[DataError]]:
    """Return what units are worth, and why others have no worth now; each is written down before the next."""
    from etf_trader.ledger.valuation import record_nav
    from etf_trader.reports.nav import recorded_nav_report

    found, failures = [], []
    for index in chosen:
        try:
            if not record:
                found.append(valued(opened, index))
                continue
            prices = prices_of(opened, index)
            with opened.database.write() as connection:
                record_nav(connection, index, prices, opened.clock.now())
                written = recorded_nav_report(connection, index)
            assert written is not None
            found.append(written)
        except DataError as error:
            failures.append(_of_index(error, index))
    return found, failures


def _of_index(error: DataError, index: Index) -> DataError:
    """Return the same error, told of its index."""
    return type(error)(
        f"{index.symbol} has no value now: {error.message}",
        where=error.where or "order books",
        hint=error.hint or f"etf index show {index.id} shows what there is",
    )


def _draw(page: Page, found: Sequence[NavReport], *, record: bool) -> None:
    if not found:
        page.line("There is no open index: etf index create --file index.toml makes one.")
    for place, report in enumerate(found):
        if place:
            page.line()
        _draw_value(page, report)
        if record:
            page.line(f"Written down. etf index nav {report.id} --history lists what was.")


def _draw_value(page: Page, report: NavReport) -> None:
    page.line(f"One unit of {report.symbol} is {money(report.nav)} {report.quote} ({local_time(report.at)}).")
    if report.level is not None:
        page.line(f"The index stands at {money(report.level)}.")
    draw_flags(page, report)
    page.line()
    table = Table(text(""), number("price"), text("from"), right("age"))
    for line in report.prices:
        source = look(line.source) if line.is_flagged else dim(line.source)
        table.row(line.asset, short(line.price), source, dim(age(line.age_seconds)))
    page.table(table)
    if money(report.cash_per_unit) != "0.00":
        page.line(f"and {units(report.cash_per_unit)} {report.quote} of cash a unit")


def draw_flags(page: Page, report: NavReport) -> None:
    """Say which constituents are not valued at the mid of a market that trades."""
    if flagged := report.flagged:
        named = ", ".join(f"{line.asset} ({line.source}, {age(line.age_seconds)} old)" for line in flagged)
        page.line(f"{look('Not at a price of now')}: {named}.")


def age(seconds: timedelta) -> str:
    """Return how old a price is: `0.4 s`, `12 min`, `3 d`."""
    whole = seconds.total_seconds()
    if whole < 100:
        return f"{whole:.1f} s"
    size = 60 if whole < 6000 else 3600 if whole < 172_800 else 86_400
    return spoken_duration(timedelta(seconds=round(whole / size) * size))


def _history(index: str | None, since: datetime | None, until: datetime | None) -> None:
    from etf_trader.index.navs import navs_of

    with services() as opened:
        period = period_typed(opened, since, until)
        chosen = _chosen(opened, index)
        with opened.database.read() as connection:
            found = [(each, navs_of(connection, each.id, period.since, period.until)) for each in chosen]
    navs = [_nav_line(each, one) for each, own in found for one in own]
    output().csv = "navs"

    def draw(page: Page) -> None:
        if not found:
            page.line("There is no open index: etf index create --file index.toml makes one.")
        for place, (each, own) in enumerate(found):
            if place:
                page.line()
            _draw_history(page, each, own, is_part=since is not None or until is not None)

    output().emit("etf.nav_history/1", {"navs": navs}, draw, columns=COLUMNS)


def _draw_history(page: Page, index: Index, own: Sequence[Nav], *, is_part: bool) -> None:
    if not own:
        when = " in that time" if is_part else " yet"
        page.line(f"Nothing was written down of {index.symbol}{when}.")
        page.line(f"Each trade does it, and so does etf index nav {index.id} --record, from cron too.")
        return
    page.line(
        f"{index.symbol} · {count(len(own), 'value')} from {local_time(own[0].at)} to {local_time(own[-1].at)}"
    )
    page.line()
    table = Table(
        text("at"),
        text("why", optional=1),
        number("unit"),
        number("index"),
        number("units", optional=2),
        number("value", optional=3),
    )
    for one in own:
        level = "-" if one.level is None else money(one.level)
        row = (money(one.nav_per_unit), level, few_digits(one.units), money(one.value))
        table.row(local_time(one.at), one.reason, *row)
    page.table(table)
    page.line()
    page.line(dim(f"in {index.quote} · what it came to: etf report performance --index {index.id}"))


def _nav_line(index: Index, one: Nav) -> dict[str, Any]:
    return {
        "index": index.symbol,
        "at": one.at,
        "reason": one.reason,
        "nav": one.nav_per_unit,
        "level": one.level,
        "units": one.units,
        "value": one.value,
        "basket_version": one.basket_version,
    }


def nav_document(report: NavReport) -> dict[str, Any]:
    """Return what a unit is worth as other programs read it, with every price."""
    lines = [row_of(line) for line in report.prices]
    return row_of(report) | {"is_recorded": report.recorded_as is not None, "prices": lines}
