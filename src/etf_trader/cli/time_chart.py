"""Two curves over time drawn with characters: a fund's as a line, its index's as dots where they differ."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from decimal import Decimal

from etf_trader.cli.numbers import money
from etf_trader.cli.output import dim

ROWS = 11
LEAST_COLUMNS = 24
_DAYS = timedelta(days=2)
"""A time as long as this is told by its days, a shorter one by its hours."""

Curve = Sequence[tuple[datetime, Decimal]]


def time_chart(line: Curve, dots: Curve, *, room: int) -> list[str]:
    """Return the lines of a chart, at most `room` wide; none where there is nothing to draw.

    Args:
        line: (when, value), moments rising: drawn through.
        dots: The other curve; may be empty.
        room: Columns.
    """
    if len(line) < 2 or line[0][0] == line[-1][0]:
        return []
    low, high = _bounds([value for _, value in (*line, *dots)])
    labels = {0: money(low), ROWS // 2: money((low + high) / 2), ROWS - 1: money(high)}
    margin = max(map(len, labels.values()))
    columns = room - margin - 2
    if columns < LEAST_COLUMNS:
        return []
    start, end = line[0][0], line[-1][0]
    moments = [start + (end - start) * column / (columns - 1) for column in range(columns)]
    grid = [[" "] * columns for _ in range(ROWS)]
    for column, row in enumerate(_rows(dots, moments, low, high)):
        if row is not None:
            grid[row][column] = "·"
    _draw(grid, _rows(line, moments, low, high))
    drawn = [
        dim(f"{labels.get(row, ''):>{margin}} {'┤' if row in labels else '│'}") + "".join(grid[row]).rstrip()
        for row in reversed(range(ROWS))
    ]
    form = "%Y-%m-%d" if end - start >= _DAYS else "%H:%M:%S"
    first, last = (moment.astimezone().strftime(form) for moment in (start, end))
    below = " " * (margin + 2) + first + " " * max(columns - len(first) - len(last), 1) + last
    return [*drawn, dim(below)]


def _bounds(values: Sequence[Decimal]) -> tuple[Decimal, Decimal]:
    """Return the lowest and the highest value, apart also where nothing moved."""
    low, high = min(values), max(values)
    return (low, high) if low < high else (low - 1, high + 1)


def _rows(curve: Curve, moments: Sequence[datetime], low: Decimal, high: Decimal) -> list[int | None]:
    """Return the row of each column: that of the last value until its moment; None before the first."""
    found: list[int | None] = []
    place = -1
    for moment in moments:
        while place + 1 < len(curve) and curve[place + 1][0] <= moment:
            place += 1
        share = None if place < 0 else float(curve[place][1] - low) / float(high - low)
        found.append(None if share is None else round(share * (ROWS - 1)))
    return found


def _draw(grid: list[list[str]], rows: Sequence[int | None]) -> None:
    """Draw a line through one row a column, with corners where it climbs or falls."""
    for column, here in enumerate(rows):
        there = rows[column + 1] if column + 1 < len(rows) else here
        if here is None or there is None:
            continue
        if here == there:
            grid[here][column] = "─"
            continue
        grid[here][column] = "╯" if there > here else "╮"
        grid[there][column] = "╭" if there > here else "╰"
        for row in range(min(here, there) + 1, max(here, there)):
            grid[row][column] = "│"
