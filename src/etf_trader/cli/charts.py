"""A curve drawn with characters: sizes to the right, each decade or step as wide as the next, up from zero."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from decimal import Decimal
from itertools import groupby, pairwise
from typing import NamedTuple

from etf_trader.cli.output import dim, look
from etf_trader.money import ONE, ceil_to, plain

MOST_TICKS = 6
ROWS = 12
MOST_ROWS_A_TICK = 4
LEAST_COLUMNS = 24
TALLER = Decimal("1.5")
"""How much taller than its curve a chart becomes to show a level."""


class Mark(NamedTuple):
    """A sign on the curve, or (`on_axis`) below it, or at a `height` of its own."""

    size: Decimal
    sign: str
    on_axis: bool = False
    height: Decimal | None = None


class Cell(NamedTuple):
    """One character and how it is marked."""

    sign: str
    mark: Callable[[str], str] = str


BLANK = Cell(" ")


def curve_chart(
    points: Sequence[tuple[Decimal, Decimal]],
    *,
    room: int,
    until: Decimal,
    marks: Sequence[Mark] = (),
    level: Decimal | None = None,
    is_even: bool = False,
    rows: int = ROWS,
) -> list[str]:
    """Return the lines of a chart, at most `room` wide; none where there is nothing to draw.

    Args:
        points: (size above 0, height of at least 0), sizes rising; from 0 where the axis is even.
        room: Columns.
        until: Where the axis ends, at or beyond the last size.
        marks: Signs at sizes; the last on a place is seen.
        level: A height to draw a dashed line at, if it is not far above the curve.
        is_even: Whether equal steps of size are equally wide, and not each factor of ten.
        rows: How many lines the curve has, about.
    """
    if len(points) < 2 or room < LEAST_COLUMNS:
        return []
    highest = max(height for _, height in points)
    if level is not None and level <= highest * TALLER:
        highest = max(highest, level)
    step, ticks = _ticks(highest)
    labels = [plain(step * tick) for tick in range(ticks + 1)]
    margin = max(map(len, labels))
    kind = _EvenAxis if is_even else _Axis
    axis = kind(points[0][0], max(until, points[-1][0]), room - margin - 2)
    rows_a_tick = max(min(rows // ticks, MOST_ROWS_A_TICK), 1)
    scale, rows = float(rows_a_tick / step), rows_a_tick * ticks + 1
    grid = [[BLANK] * axis.columns for _ in range(rows)]
    if level is not None and 0 < _row(level, scale) < rows:
        grid[_row(level, scale)] = [Cell("╌", look)] * axis.columns
    heights = _heights(points, axis)
    draw_line(grid, [_row(height, scale) for height in heights])
    floor = [Cell("─", dim)] * axis.columns
    for column, _ in axis.ticks():
        floor[column] = Cell("┬", dim)
    grid[0] = [below if above is BLANK else above for above, below in zip(grid[0], floor, strict=True)]
    for mark in marks:
        column = axis.column(mark.size)
        if mark.on_axis:
            grid[0][column] = Cell(mark.sign, look)
        elif mark.height is not None:
            grid[min(_row(mark.height, scale), rows - 1)][column] = Cell(mark.sign, look)
        elif column < len(heights):
            grid[_row(heights[column], scale)][column] = Cell(mark.sign, look)
    lines = []
    for row in reversed(range(1, rows)):
        tick, between = divmod(row, rows_a_tick)
        head = f"{'' if between else labels[tick]:>{margin}} {'│' if between else '┤'}"
        lines.append(dim(head) + row_text(grid[row]))
    lines.append(dim(f"{labels[0]:>{margin}} └") + row_text(grid[0]))
    return [*lines, dim(" " * (margin + 2) + axis.labels())]


class _Axis:
    """Sizes on a row of columns, each factor of ten as wide as the next."""

    def __init__(self, first: Decimal, last: Decimal, columns: int) -> None:
        self.first, self.last, self.columns = first, last, columns
        self._low = self.place(first)
        self._span = max(self.place(last) - self._low, 1e-9)

    def place(self, size: Decimal) -> float:
        """Return where a size lies, in units of the axis."""
        return math.log(size)

    def column(self, size: Decimal) -> int:
        """Return the column of a size; what lies outside stands at the edge."""
        share = (self.place(size) - self._low) / self._span
        return round(min(max(share, 0.0), 1.0) * (self.columns - 1))

    def place_of(self, column: int) -> float:
        """Return the place of the middle of a column."""
        return self._low + self._span * column / max(self.columns - 1, 1)

    def ticks(self) -> list[tuple[int, str]]:
        """Return the columns of 1, 10, 100, ... with their labels."""
        powers = range(self.first.adjusted(), self.last.adjusted() + 1)
        sizes = [ONE.scaleb(power) for power in powers]
        inside = [size for size in sizes if self.first <= size <= self.last]
        return [(self.column(size), _size(size)) for size in inside]

    def labels(self) -> str:
        """Return the line below the axis: a label under its decade, as far as they do not touch."""
        line = ""
        for column, label in self.ticks():
            start = max(min(column - len(label) // 2, self.columns - len(label)), 0)
            if start >= len(line) + bool(line) * 2:
                line = line.ljust(start) + label
        return line


class _EvenAxis(_Axis):
    """Sizes on a row of columns, from 0, each step as wide as the next."""

    def place(self, size: Decimal) -> float:
        return float(size)

    def ticks(self) -> list[tuple[int, str]]:
        """Return the columns of round sizes with their labels."""
        step, count = _ticks(self.last)
        sizes = [step * tick for tick in range(count + 1) if self.first <= step * tick <= self.last]
        return [(self.column(size), plain(size)) for size in sizes]


def _size(size: Decimal) -> str:
    return f"{int(size):,}" if size >= 1 else plain(size)


def _ticks(top: Decimal) -> tuple[Decimal, int]:
    """Return a round distance of ticks and how many of them reach `top`."""
    unit = ONE.scaleb(top.adjusted() - 1 if top else 0)
    step = next(unit * factor for factor in (1, 2, 5, 10, 20) if top <= MOST_TICKS * unit * factor)
    return step, max(int(ceil_to(top, step) / step), 1)


def _row(height: Decimal | float, scale: float) -> int:
    return max(round(float(height) * scale), 0)


def _heights(points: Sequence[tuple[Decimal, Decimal]], axis: _Axis) -> list[float]:
    """Return the height of each column up to the last point: on the straight line between its neighbours."""
    known = [(axis.place(size), float(height)) for size, height in points]
    heights, place = [], 0
    for column in range(axis.column(points[-1][0]) + 1):
        at = min(max(axis.place_of(column), known[0][0]), known[-1][0])
        while place < len(known) - 2 and known[place + 1][0] < at:
            place += 1
        (left, low), (right, high) = known[place], known[place + 1]
        share = (at - left) / (right - left) if right > left else 1.0
        heights.append(low + (high - low) * min(max(share, 0.0), 1.0))
    return heights


def draw_line(grid: list[list[Cell]], rows: Sequence[int]) -> None:
    """Draw a line through one row a column, with corners where it climbs or falls."""
    for column, (here, there) in enumerate(pairwise([*rows, rows[-1]])):
        if here == there:
            grid[here][column] = Cell("─")
            continue
        rises = there > here
        grid[here][column] = Cell("╯" if rises else "╮")
        grid[there][column] = Cell("╭" if rises else "╰")
        for row in range(min(here, there) + 1, max(here, there)):
            grid[row][column] = Cell("│")


def row_text(cells: Sequence[Cell]) -> str:
    """Return a row of cells as it is printed, each mark put once around what stands side by side."""
    groups = groupby(cells, key=lambda cell: cell.mark)
    return "".join(mark("".join(cell.sign for cell in group)) for mark, group in groups).rstrip()
