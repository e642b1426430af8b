"""A line over time, drawn with characters: days to the right, values upwards.

Where values grew much, what doubles rises alike.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import date
from itertools import pairwise

from etf_trader.cli.charts import BLANK, LEAST_COLUMNS, Cell
from etf_trader.cli.output import dim

ROWS = 12
LOGARITHMIC_FROM = 4.0
"""Where the highest value is so many times the lowest, what doubles rises alike."""

_TICKS = 4


def time_chart(points: Sequence[tuple[date, float]], *, room: int) -> list[str]:
    """Return the lines of a chart, at most `room` wide; none where there is nothing to draw.

    Args:
        points: (day, value above 0), days rising.
        room: Columns.
    """
    if len(points) < 2 or room < LEAST_COLUMNS:
        return []
    values = [value for _, value in points]
    low, high = min(values), max(values)
    if low <= 0 or high <= low:
        return []
    is_log = high / low >= LOGARITHMIC_FROM
    scale = math.log if is_log else float
    bottom, span = scale(low), scale(high) - scale(low)
    labels = [_label(_back(bottom + span * tick / _TICKS, is_log)) for tick in range(_TICKS + 1)]
    margin = max(map(len, labels))
    columns = room - margin - 2
    heights = [round((scale(value) - bottom) / span * ROWS) for value in _columns(values, columns)]
    grid = _drawn(heights, columns)
    lines = []
    for row in reversed(range(ROWS + 1)):
        tick, between = divmod(row * _TICKS, ROWS)
        label = "" if between else labels[tick]
        text = "".join(cell.mark(cell.sign) if cell is not BLANK else " " for cell in grid[row]).rstrip()
        lines.append(dim(f"{label:>{margin}} {'│' if between else '┤'}") + text)
    return [
        *lines,
        dim(" " * (margin + 1) + "└" + "─" * columns),
        dim(" " * (margin + 2) + _years(points, columns)),
    ]


def _columns(values: Sequence[float], columns: int) -> list[float]:
    """Return the value at the day of each column."""
    last = len(values) - 1
    return [values[round(column * last / max(columns - 1, 1))] for column in range(columns)]


def _drawn(heights: Sequence[int], columns: int) -> list[list[Cell]]:
    """Return rows, the lowest first, with a line through one row a column and corners where it climbs or falls."""
    grid = [[BLANK] * columns for _ in range(ROWS + 1)]
    for column, (here, there) in enumerate(pairwise([*heights, heights[-1]])):
        if here == there:
            grid[here][column] = Cell("─")
            continue
        rises = there > here
        grid[here][column] = Cell("╯" if rises else "╮")
        grid[there][column] = Cell("╭" if rises else "╰")
        for row in range(min(here, there) + 1, max(here, there)):
            grid[row][column] = Cell("│")
    return grid


def _years(points: Sequence[tuple[date, float]], columns: int) -> str:
    """Return the line below: the first and last day, and where years begin, as far as labels do not touch."""
    start, end = points[0][0], points[-1][0]
    length = max((end - start).days, 1)
    line = ""
    for place, label in [
        (0, f"{start:%Y-%m-%d}"),
        *((_place(y, start, length, columns), str(y)) for y in _between(start, end)),
    ]:
        if place + len(label) <= columns and (not line or place >= len(line) + 2):
            line = line.ljust(place) + label
    last = f"{end:%Y-%m-%d}"
    return line if len(line) + 2 + len(last) > columns else line.ljust(columns - len(last)) + last


def _between(start: date, end: date) -> range:
    return range(start.year + 1, end.year + 1)


def _place(year: int, start: date, length: int, columns: int) -> int:
    return round((date(year, 1, 1) - start).days / length * (columns - 1))


def _back(value: float, is_log: bool) -> float:
    return math.exp(value) if is_log else value


def _label(value: float) -> str:
    decimals = 0 if value >= 100 else 2 if value >= 1 else 4
    return f"{value:,.{decimals}f}"
