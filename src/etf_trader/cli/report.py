"""`etf report`: what was traded and what it cost, what is held and what it is worth."""

from __future__ import annotations

import dataclasses
from contextlib import suppress
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from etf_trader.cli import (
    report_gains,
    report_losses,
    report_nav,
    report_performance,
    report_rebalance,
    report_statement,
)
from etf_trader.cli.commands import command, group
from etf_trader.cli.conversion import CurrencyOption, RateOption, check_currency, draw_rates, in_currency
from etf_trader.cli.invocation import output
from etf_trader.cli.moments import (
    AsOfOption,
    FromOption,
    ToOption,
    period_typed,
    require_past_moment,
    span_text,
)
from etf_trader.cli.numbers import (
    bar,
    bps,
    count,
    few_digits,
    joined,
    local_time,
    money,
    percent,
    share,
    short,
    unit_count,
    units,
)
from etf_trader.cli.options import IndexOption, OrderOption, PositionOption
from etf_trader.cli.output import Page, Table, dim, good, number, right, text
from etf_trader.cli.services import in_loop, services
from etf_trader.cli.valuing import prices_of, valued_by
from etf_trader.errors import ConfigError, DataError, UsageError
from etf_trader.money import divide, round_to
from etf_trader.orders.plan import LOSS_PARTS

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from etf_trader.bootstrap import Services
    from etf_trader.cli.exhibit import Exhibit
    from etf_trader.index.store import Index
    from etf_trader.reports.fills import FillLine, FillsReport
    from etf_trader.reports.holdings import HoldingsReport

app = group()

BARS = 6

RARE_PARTS = ("delay", "rounding")
"""Nothing, mostly: the first columns to go."""


@command(
    app,
    "fills",
    examples=(
        "etf report fills --position 1",
        "etf report fills --position 1 --format csv   every fill, a line each",
        "etf report fills --out fills.html            a page with charts; .xlsx a workbook",
    ),
    csv="fills",
)
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
                        f"order {order} belongs to position {number_of}, not {position}", where="--order"
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
        _flat(report),
        lambda page: draw_fills(page, report),
        columns=_fill_columns(),
        exhibit=lambda: _fills_exhibit(report),
    )


@command(
    app,
    "holdings",
    examples=("etf report holdings", "etf report holdings --index 1 --as-of 2026-03-01"),
    csv="holdings",
)
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
        "indices": [_flat(report) for report in reports],
        "holdings": [{"index": report.symbol, **_flat(line)} for report in reports for line in report.holdings],
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

    output().emit(
        "etf.holdings/1", payload, draw, columns=_holding_columns(), exhibit=lambda: _holdings_exhibit(reports)
    )


@command(
    app,
    "crosses",
    examples=("etf report crosses", "etf report crosses --from 2026-01-01 --format csv"),
    csv="crosses",
)
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
                _price(line.price),
                money(line.value),
                str(line.seller),
                str(line.buyer),
            )
        page.table(table)
        page.line()
        page.line(
            f"{count(len(report.crosses), 'trade')} worth {money(report.value)}, at the mid and without a fee"
        )

    output().emit("etf.crosses/1", _flat(report), draw, columns=_columns(CrossLine))


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
            ("loss by part", joined(f"{part} {money(getattr(report, part))}" for part in LOSS_PARTS)),
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
        sign = good if position.gain >= 0 else str
        page.line(
            f"position {position.position} of {position.holder}: {unit_count(position.units)}, cost "
            f"{money(position.cost)}, worth {money(position.value)}, "
            + sign(f"gain {money(position.gain, signed=True)}")
        )
    page.line(f"ledger {report.head[:16]}")


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


async def _holdings(opened: Services, chosen: list[Index], as_of: datetime | None) -> list[HoldingsReport]:
    if as_of is not None:
        past = [await _holdings_then(opened, index, as_of) for index in chosen if index.created_at < as_of]
        if chosen and not past:
            raise UsageError(
                f"there was no index yet: {chosen[0].symbol} was made {local_time(chosen[0].created_at)}",
                where="--as-of",
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
    prices = await prices_of(opened, index, basket, moment)
    mids = {asset: each.price for asset, each in prices.items()}
    priced_at = min((each.at for each in prices.values()), default=moment)
    with opened.database.read() as connection:
        return holdings_report(connection, index, mids, priced_at, prices, (books, moment))


async def _holdings_of(opened: Services, index: Index) -> HoldingsReport:
    """Report an index at prices of its own basket, also where it gets another one meanwhile."""
    from etf_trader.execution.look import look
    from etf_trader.index.store import current_basket
    from etf_trader.reports.holdings import holdings_report

    while True:
        with opened.database.read() as connection:
            basket = current_basket(connection, index.id)
        # The venue is asked while nothing is read: its requests are counted in this database.
        view = await look(opened.venue, basket, 5)
        priced_at = min(book.at for book in view.books.values())
        with opened.database.read() as connection:
            if current_basket(connection, index.id) == basket:
                return holdings_report(connection, index, view.mids(basket.symbols), priced_at)


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
        *(number(part, optional=4 if part in RARE_PARTS else 3) for part in LOSS_PARTS),
    )
    for line in report.constituents:
        table.row(
            line.asset,
            short(line.filled),
            percent(line.fill_percentage).rstrip("%"),
            "-" if line.average_price is None else _price(line.average_price),
            money(line.loss),
            bps(line.loss_bps),
            *(money(getattr(line, part)) for part in LOSS_PARTS),
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
            _price(divide(value, quantity)),
            _price(max(prices) if side == "buy" else min(prices)),
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


def _price(value: Decimal) -> str:
    """Return a price with at most eight significant digits."""
    return units(round_to(value, Decimal(1).scaleb(min(0, value.adjusted() - 7)))) if value else "0"


def _flat(record: Any) -> dict[str, Any]:
    return {field.name: getattr(record, field.name) for field in dataclasses.fields(record)}


def _fill_columns() -> list[str]:
    from etf_trader.reports.fills import FillLine

    return _columns(FillLine)


def _holding_columns() -> list[str]:
    from etf_trader.reports.holdings import HoldingLine

    return ["index", *_columns(HoldingLine)]


def _columns(line: type[Any]) -> list[str]:
    return [field.name for field in dataclasses.fields(line)]


def _fills_exhibit(report: FillsReport) -> Exhibit:
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


def _holdings_exhibit(reports: list[HoldingsReport]) -> Exhibit:
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


for each in (
    report_losses,
    report_gains,
    report_statement,
    report_nav,
    report_performance,
    report_rebalance,
):
    each.add_to(app)
