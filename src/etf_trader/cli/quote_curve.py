"""What each size costs: a table, and a chart of loss against size."""

from __future__ import annotations

import sys
from decimal import Decimal
from itertools import dropwhile
from typing import TYPE_CHECKING

from etf_trader.cli.charts import Mark, curve_chart
from etf_trader.cli.numbers import bps, bps_given, few_digits, joined, money, unit_count
from etf_trader.cli.output import Page, Table, dim, number, text
from etf_trader.money import ZERO

if TYPE_CHECKING:
    from etf_trader.execution.quote import Quote
    from etf_trader.solver.quote import BookEnd, SizeCost

ASKED, WITHIN, EMPTY, UNREAD = "●", "◆", "▲", "△"

CHART_ROOM = 96
"""A chart is not drawn wider than this; in a pipe it is as wide as 80 columns."""

NAMES_SHOWN = 8
HALF_DECADE = 3
STEEP = 3


def draw_curve(page: Page, quote: Quote) -> None:
    """Draw what the sizes cost that the books alone bound."""
    page.table(_table(quote))
    _draw_chart(page, quote)


def within(quote: Quote) -> str:
    """Return the limits that were given, as a sentence ends; nothing without one."""
    limit, most = quote.request.limit_price, quote.request.max_loss_bps
    bounds = [] if limit is None else [f"{money(limit)} a unit"]
    if most is not None:
        bounds.append(f"{bps_given(most)} bps")
    return f" within {' and '.join(bounds)}" if bounds else ""


def _table(quote: Quote) -> Table:
    table = Table(
        number("units"),
        number("cash", optional=1),
        number("loss"),
        number("bps"),
        number("last unit"),
        text("", wrap=True),
    )
    told: set[str] = set()
    for row in quote.curve:
        remarks = [each for each in _remarks(quote, row) if each not in told]
        told.update(remarks)
        table.row(
            few_digits(row.units),
            money(row.cash),
            money(row.loss.total),
            bps(row.loss_bps),
            money(row.marginal_price),
            ", ".join(remarks),
        )
    return table


def _remarks(quote: Quote, row: SizeCost) -> list[str]:
    request, remarks = quote.request, []
    if quote.answer is not None and row.units == quote.answer.quantity:
        remarks.append("asked for")
    limit, most = request.limit_price, request.max_loss_bps
    if limit is not None and (row.marginal_price - limit) * request.side.sign > 0:
        remarks.append("from here beyond the limit")
    if most is not None and row.loss_bps > most:
        remarks.append("from here beyond the loss limit")
    if row is quote.curve[-1]:
        remarks.append(end_of_curve(quote))
    return remarks


def end_of_curve(quote: Quote) -> str:
    """Return what the first book to give out does."""
    first = quote.ends[0]
    return f"{first.asset} {'gives out' if first.is_complete else 'is read no further'}"


def _draw_chart(page: Page, quote: Quote) -> None:
    if not _is_drawable():
        return
    points = _points(quote)
    last = quote.curve[-1].units
    near = [end for end in quote.ends if end.units <= last * HALF_DECADE]
    marks = [Mark(end.units, EMPTY if end.is_complete else UNREAD, on_axis=True) for end in near if end.units]
    asked = _asked(quote, points)
    if asked is not None:
        marks.append(Mark(asked, ASKED))
    if within(quote) and quote.largest.units:
        marks.append(Mark(quote.largest.units, WITHIN))
    lines = curve_chart(
        points,
        room=min(CHART_ROOM, 80 if page.room is None else page.room),
        until=near[-1].units if near else last,
        marks=marks,
        level=quote.request.max_loss_bps,
    )
    if not lines:
        return
    page.line()
    page.line(dim("loss in bps, by units"))
    for line in lines:
        page.line(line)
    page.line(dim(_legend(quote, near, asked)))


def _is_drawable() -> bool:
    """Whether stdout has the signs of a chart: of question marks it would say nothing."""
    try:
        "╭".encode(sys.stdout.encoding or "utf-8")
    except UnicodeEncodeError:
        return False
    return True


def _points(quote: Quote) -> list[tuple[Decimal, Decimal]]:
    """Return the curve from where lots and least orders no longer outweigh all: they would flatten the rest."""
    points = [(point.units, max(point.loss_bps, ZERO)) for point in quote.shape]
    steep = STEEP * points[-1][1] if points else ZERO
    return list(dropwhile(lambda point: point[1] > steep, points))


def _asked(quote: Quote, points: list[tuple[Decimal, Decimal]]) -> Decimal | None:
    """Return the size that was asked for, if it is on the chart."""
    if quote.answer is None or not points or not points[0][0] <= quote.answer.quantity <= points[-1][0]:
        return None
    return quote.answer.quantity


def _legend(quote: Quote, near: list[BookEnd], asked: Decimal | None) -> str:
    bound, bounds = quote.request.max_loss_bps, within(quote)
    return joined(
        [
            f"{ASKED} {unit_count(asked)}" if asked is not None else "",
            f"{WITHIN} the most{bounds}" if bounds and quote.largest.units else "",
            f"╌ {bps_given(bound)} bps" if bound is not None else "",
            _named(EMPTY, "empty beyond", [end.asset for end in near if end.is_complete]),
            _named(UNREAD, "read no further", [end.asset for end in near if not end.is_complete]),
        ]
    )


def _named(sign: str, told: str, assets: list[str]) -> str:
    names = ", ".join([*assets[:NAMES_SHOWN], *["…"][: len(assets) > NAMES_SHOWN]])
    return f"{sign} {names} {told}" if assets else ""
