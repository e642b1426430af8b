"""`etf report fills`: what the orders of a position filled, what it cost, and where the loss came from."""

from __future__ import annotations

from contextlib import suppress
from decimal import Decimal
from typing import TYPE_CHECKING

import typer

from etf_trader.cli.commands import command
from etf_trader.cli.invocation import output
from etf_trader.cli.loss_parts import part_cells, part_columns, parts_told
from etf_trader.cli.moments import FromOption, ToOption, period_typed
from etf_trader.cli.numbers import bar, bps, count, few_digits, joined, money, percent, price_of, short, unit_count
from etf_trader.cli.options import OrderOption, PositionOption
from etf_trader.cli.output import Page, Table, dim, number, text
from etf_trader.cli.records import columns_of, row_of
from etf_trader.cli.services import in_loop, services
from etf_trader.errors import ConfigError, DataError, UsageError
from etf_trader.money import divide
from etf_trader.orders.plan import LOSS_PARTS

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from etf_trader.bootstrap import Services
    from etf_trader.cli.exhibit import Exhibit
    from etf_trader.reports.fills import FillLine, FillsReport

BARS = 6


def add_to(app: typer.Typer) -> None:
    """Add the command to `etf report`."""
    seen = (
        "etf report fills --position 1",
        "etf report fills --position 1 --format csv   every fill, a line each",
        "etf report fills --out fills.html            a page with charts; .xlsx a workbook",
    )
    command(app, "fills", examples=seen, csv="fills")(fills)


def fills(
    position: PositionOption = None,
    order: OrderOption = None,
    since: FromOption = None,
    until: ToOption = None,
) -> None:
    """Report what the orders of a position filled, what it cost, and where the loss came from."""
    from etf_trader.orders.store import index_order, list_index_orders
    from etf_trader.reports.fills import fills_report

    with services() as opened:
        period = period_typed(opened, since, until)
        with opened.database.read() as connection:
            number_of = position
            if order is not None:
                number_of = index_order(connection, order).position_id
                if position not in (None, number_of):
                    raise UsageError(
                        f"order {order} belongs to position {number_of}, not {position}",
                        where="--order",
                        hint="leave out --position",
                    )
            elif position is None:
                number_of = _only_position(connection, opened.account.id)
            assert number_of is not None
            # Only what did not fill needs today's price; without it the exchange need not be opened.
            unfilled = any(each.remaining for each in list_index_orders(connection, position_id=number_of))
        # The venue is asked while nothing is read: its requests are counted in this database.
        nav = _nav_now(opened, number_of) if unfilled else None
        with opened.database.read() as connection:
            report = fills_report(connection, number_of, nav, order, period)
    output().emit(
        "etf.fills/1",
        row_of(report),
        lambda page: draw_fills(page, report),
        columns=_columns(),
        exhibit=lambda: _exhibit(report),
    )


def draw_fills(page: Page, report: FillsReport) -> None:
    """Draw the report of a position."""
    head = [f"Position {report.position}", report.index, unit_count(report.units)]
    if report.paid:
        head.append(f"paid {money(report.paid)} {report.quote}")
    if report.received:
        head.append(f"received {money(report.received)} {report.quote}")
    page.line(joined([*head, f"loss {money(report.loss)} {report.quote} ({bps(report.loss_bps)} bps)"]))
    if not report.orders:
        page.line(f"No orders yet. etf submit buy --index {report.index} --qty 100 buys some units.")
        return
    page.line()
    page.table(_orders_table(report))
    if not report.fills:
        page.line()
        page.line("Nothing has filled.")
        return
    page.line()
    aside = _aside(report)
    page.fields(
        [
            ("loss by part", parts_told(report)),
            ("loss by asset", _by_asset(report)),
            *([("beside it", aside)] if aside else []),
        ]
    )
    page.line()
    page.table(_constituents_table(report))
    page.line()
    page.table(_fills_table(report, each=output().verbose))
    if not output().verbose and len(report.fills) > len(_groups(report, each=False)):
        page.line(dim(f"{count(len(report.fills), 'fill')}; -v shows each, --format csv writes them to a file"))
    page.line()
    page.line(f"ledger {report.head[:16]} · loss is against the mids at arrival; positive is a cost")


def _aside(report: FillsReport) -> str:
    """Return what is no loss: what was missed, of one side only, and the way to the limits of what filled."""
    aside = []
    if report.missed and len({line.side for line in report.orders}) == 1:
        aside.append(f"missed on what did not fill {money(report.missed)}")
    if report.loss_vs_index_price is not None and any(
        line.filled for line in report.orders if line.limit_price is not None
    ):
        aside.append(f"against the limit price {money(report.loss_vs_index_price)}")
    return joined(aside)


def _nav_now(opened: Services, position_id: int) -> Decimal | None:
    """Return NAV per unit now; None when there is no exchange, which the rest of the report does not need."""
    try:
        return in_loop(_nav_of_position(opened, position_id))
    except ConfigError as error:
        where = f" ({error.where})" if error.where else ""
        output().note(f"What was missed is left out, it needs the prices of now: {error.message}{where}.")
        return None


async def _nav_of_position(opened: Services, position_id: int) -> Decimal | None:
    """Return NAV per unit now; None when a constituent has no price."""
    from etf_trader.execution.look import look
    from etf_trader.index.store import current_basket, position_by_id

    with opened.database.read() as connection:
        basket = current_basket(connection, position_by_id(connection, position_id).index_id)
    with suppress(DataError):
        return basket.nav((await look(opened.venue, basket, 5)).mids(basket.symbols))
    return None


def _only_position(connection: Connection, account_id: int) -> int:
    from etf_trader.cli.position import first_buy
    from etf_trader.index.store import list_indices, list_positions

    indices = list_indices(connection, account_id)
    own = {index.id for index in indices}
    found = [position for position in list_positions(connection) if position.index_id in own]
    if len(found) == 1:
        return found[0].id
    if not found:
        raise UsageError("there is no position yet", hint=first_buy(indices, "opens one"))
    listing = ", ".join(str(position.id) for position in found)
    raise UsageError(f"there are {len(found)} positions: {listing}", hint="say which: --position N")


def _orders_table(report: FillsReport) -> Table:
    from etf_trader.cli.stops import in_short

    has_missed = any(line.missed for line in report.orders)
    table = Table(
        number("order"),
        text("side"),
        text("units filled"),
        number("%", optional=3),
        number("average", optional=1),
        number("loss"),
        number("bps", optional=2),
        *([number("missed", optional=4)] if has_missed else []),
        text("stopped by", wrap=True),
    )
    for line in report.orders:
        table.row(
            str(line.order),
            line.side,
            f"{few_digits(line.filled)} of {few_digits(line.ordered)}",
            percent(line.fill_percentage).rstrip("%"),
            "-" if line.average_price is None else money(line.average_price),
            money(line.loss),
            bps(line.loss_bps),
            *([money(line.missed) if line.missed else "-"] if has_missed else []),
            in_short(line.stopped_by, line.limit_price, line.max_loss_bps)
            if line.status != "open"
            else "still open",
        )
    return table


def _constituents_table(report: FillsReport) -> Table:
    table = Table(
        text("asset"),
        number("filled"),
        number("%", optional=1),
        number("average", optional=2),
        number("loss"),
        number("bps"),
        *part_columns(optional=3),
    )
    for line in report.constituents:
        table.row(
            line.asset,
            short(line.filled),
            percent(line.fill_percentage).rstrip("%"),
            "-" if line.average_price is None else price_of(line.average_price),
            money(line.loss),
            bps(line.loss_bps),
            *part_cells(line),
        )
    return table


def _fills_table(report: FillsReport, *, each: bool) -> Table:
    """Return the fills, or one line for all fills of an order in one symbol; `last` is the worst price."""
    table = Table(
        number("order"),
        text("symbol"),
        text("side", optional=2),
        number("fills", optional=3),
        number("quantity"),
        number("average", optional=1),
        number("last", optional=4),
        number("value"),
        number("fee", optional=5),
        number("loss"),
    )
    for lines in _groups(report, each=each):
        first, side = lines[0], lines[0].side
        quantity = sum((line.quantity for line in lines), Decimal(0))
        value = sum((line.value for line in lines), Decimal(0))
        prices = [line.price for line in lines]
        table.row(
            str(first.order),
            first.symbol,
            side,
            str(len(lines)),
            short(quantity),
            price_of(divide(value, quantity)),
            price_of(max(prices) if side == "buy" else min(prices)),
            money(value),
            money(sum((line.fee_value for line in lines), Decimal(0))),
            money(sum((line.loss for line in lines), Decimal(0))),
        )
    return table


def _groups(report: FillsReport, *, each: bool) -> list[list[FillLine]]:
    groups: dict[object, list[FillLine]] = {}
    for place, line in enumerate(report.fills):
        groups.setdefault(place if each else (line.order, line.symbol, line.side), []).append(line)
    return list(groups.values())


def _by_asset(report: FillsReport) -> str:
    dearest = sorted(report.constituents, key=lambda line: (-line.loss, line.asset))
    largest = max((line.loss for line in dearest), default=Decimal(0))
    shown = [f"{line.asset} {money(line.loss)} {bar(line.loss, largest)}".rstrip() for line in dearest[:BARS]]
    return joined([*shown, "…"] if len(dearest) > BARS else shown)


def _columns() -> list[str]:
    from etf_trader.reports.fills import FillLine

    return columns_of(FillLine)


def _exhibit(report: FillsReport) -> Exhibit:
    from etf_trader.cli.exhibit import Bars, Exhibit, Key, Parts

    quote, note = report.quote, f"{report.quote}, positive is a cost"
    return Exhibit(
        title=f"Fills of position {report.position}",
        numbers=(
            Key("units", "units", few_digits),
            Key("filled", "fill_percentage", percent),
            Key("average price", "average_price", unit=quote),
            Key("fees", "fees", unit=quote),
            Key("loss", "loss", unit=quote),
            Key("loss", "loss_bps", bps, unit="bps"),
        ),
        charts=(
            Parts("Loss by part", LOSS_PARTS, note=note),
            Bars("Loss by asset", "constituents", "asset", "loss", note=note),
        ),
    )
