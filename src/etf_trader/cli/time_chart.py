"""Values over time drawn with characters: a line, and perhaps another curve as dots where it lies elsewhere.

Where values grew much, what doubles rises alike.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal

from etf_trader.cli.charts import BLANK, LEAST_COLUMNS, Cell, draw_line, row_text
from etf_trader.cli.numbers import money
from etf_trader.cli.output import Page, dim

TOP = 10
"""The highest row: a tenth of what lies between the lowest and the highest value is a row."""
ROWS = TOP + 1
MOST_COLUMNS = 96
LOGARITHMIC_FROM = 4
"""Where the highest value is so many times the lowest, what doubles rises alike."""

_LABELLED = (0, TOP // 2, TOP)
_DAYS = timedelta(days=2)
"""A time as long as this is told by its days, a shorter one by its hours."""

Curve = Sequence[tuple[date, Decimal]]
"""(a day, or a moment; a value), times rising."""


def draw_beside_index(page: Page, fund: Curve, index: Curve) -> None:
    """Draw what a unit of a fund was worth beside its index, which begins where the fund does."""
    lines = time_chart(fund, index, room=min(MOST_COLUMNS, 80 if page.room is None else page.room))
    if not lines:
        return
    page.line()
    for each in lines:
        page.line(each)
    page.line(dim("─ one unit   · the index, where it is elsewhere"))


def time_chart(line: Curve, dots: Curve = (), *, room: int) -> list[str]:
    """Return the lines of a chart, at most `room` wide; none where there is nothing to draw.

    Args:
        line: Drawn through.
        dots: The other curve; may be empty.
        room: Columns.
    """
    if len(line) < 2 or line[0][0] == line[-1][0]:
        return []
    scale, back = _scales([value for _, value in (*line, *dots)])
    labels = {row: money(back(row)) for row in _LABELLED}
    margin = max(map(len, labels.values()))
    columns = room - margin - 2
    if columns < LEAST_COLUMNS:
        return []
    start, end = line[0][0], line[-1][0]
    moments = [start + (end - start) * column / (columns - 1) for column in range(columns)]
    grid = [[BLANK] * columns for _ in range(ROWS)]
    for column, value in enumerate(_values(dots, moments)):
        if value is not None:
            grid[_row(scale(value))][column] = Cell("·")
    draw_line(grid, [_row(scale(value)) for value in _values(line, moments) if value is not None])
    drawn = [
        dim(f"{labels.get(row, ''):>{margin}} {'┤' if row in labels else '│'}") + row_text(grid[row])
        for row in reversed(range(ROWS))
    ]
    return [*drawn, dim(" " * (margin + 2) + _times(start, end, columns))]


def _scales(values: Sequence[Decimal]) -> tuple[Callable[[Decimal], float], Callable[[int], Decimal]]:
    """Return what says how high a value lies, from 0 to 1, and what says which value lies on a row."""
    low, high = min(values), max(values)
    if low > 0 and high >= low * LOGARITHMIC_FROM:
        bottom, span = math.log(low), math.log(high) - math.log(low)
        return (
            lambda value: (math.log(value) - bottom) / span,
            lambda row: Decimal(f"{math.exp(bottom + span * row / TOP):.12g}"),
        )
    if low == high:
        low, high = low - 1, high + 1
    return (
        lambda value: float(value - low) / float(high - low),
        lambda row: low + (high - low) * row / TOP,
    )


def _row(height: float) -> int:
    return round(height * TOP)


def _values(curve: Curve, moments: Sequence[date]) -> Iterator[Decimal | None]:
    """Yield the value of each column: the last until its moment; None before the first."""
    place = -1
    for moment in moments:
        while place + 1 < len(curve) and curve[place + 1][0] <= moment:
            place += 1
        yield None if place < 0 else curve[place][1]


def _times(start: date, end: date, columns: int) -> str:
    """Return the line below: the first and the last time, and where years begin, as far as labels do not touch."""
    form = "%Y-%m-%d" if end - start >= _DAYS else "%H:%M:%S"
    first, last = (_local(moment).strftime(form) for moment in (start, end))
    line = first
    for year in range(_local(start).year + 1, _local(end).year + 1):
        place = round((_day(year) - _day(start)) / max(_day(end) - _day(start), timedelta(days=1)) * (columns - 1))
        if len(line) + 2 <= place <= columns - len(last) - 6:
            line = line.ljust(place) + str(year)
    return line + " " * max(columns - len(line) - len(last), 1) + last


def _local(moment: date) -> date:
    return moment.astimezone() if isinstance(moment, datetime) else moment


def _day(moment: date | int) -> date:
    """Return the day of a moment where this machine stands; of a year, its first."""
    if isinstance(moment, int):
        return date(moment, 1, 1)
    local = _local(moment)
    return date(local.year, local.month, local.day)
