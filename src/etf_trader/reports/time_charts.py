"""Lines and stacked areas over time, as SVG text; `charts` says what all charts have in common."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from itertools import accumulate

from etf_trader.money import ZERO
from etf_trader.reports.svg import (
    Scale,
    element,
    labelled,
    room_of,
    shortened,
    svg,
    ticks,
    time_ticks,
    widest,
    words,
)

Form = Callable[[Decimal], str]

COLORS = 8
"""So many classes `s1`, `s2`, ... there are."""

MOST_AREAS = 7
MOST_TICKS = 6
SLACK = Decimal("1.01")

DASHES = ("", "7 4", "2 3", "10 3 2 3")

LINE_HEIGHT = 18.0
LABEL_HEIGHT = 15.0
GAP = 8.0


@dataclass(frozen=True, slots=True)
class Series:
    """A named line: (time, value), oldest first."""

    name: str
    points: Sequence[tuple[datetime, Decimal]]


@dataclass(frozen=True, slots=True)
class _Frame:
    """Where the plot of a chart over time lies, and its axes, drawn."""

    across: Scale
    up: Scale
    axes: str


def line_chart(title: str, series: Sequence[Series], *, width: int, key: str, form: Form) -> str:
    """Return lines over time; the height need not begin at zero."""
    drawn = [each for each in series if len(each.points) > 1]
    times = [at for each in drawn for at, _ in each.points]
    if not drawn or min(times) == max(times):
        return ""
    names = [f"{shortened(each.name, width / 2)} {form(each.points[-1][1])}" for each in drawn]
    legend, top = _legend(names, width)
    values = [value for each in drawn for _, value in each.points]
    height = top + _plot_height(width)
    marks = ticks(min(values), max(values), MOST_TICKS)
    frame = _frame((min(times), max(times)), marks, (width, height, top, GAP), form)
    lines = [_line(place, each, frame) for place, each in enumerate(drawn)]
    told = "; ".join(f"{each.name} from {form(each.points[0][1])} to {form(each.points[-1][1])}" for each in drawn)
    seen = f"{told}; {min(times):%Y-%m-%d} to {max(times):%Y-%m-%d}."
    return svg(title, seen, width, height + LINE_HEIGHT + GAP, key, legend, frame.axes, *lines)


def area_chart(
    title: str,
    times: Sequence[datetime],
    areas: Mapping[str, Sequence[Decimal]],
    *,
    width: int,
    key: str,
    form: Form,
) -> str:
    """Return areas over time, one upon the other, the last one's largest below; the smallest stand together.

    Args:
        times: Oldest first.
        areas: By name, a value of at least 0 for every time.
    """
    stacked = _largest(areas)
    if len(times) < 2 or times[0] == times[-1] or not stacked:
        return ""
    sums = [sum(column, ZERO) for column in zip(*stacked.values(), strict=True)]
    names = [f"{name} {form(values[-1])}" for name, values in stacked.items()]
    labels = [f"{shortened(name, width / 5)} {form(values[-1])}" for name, values in stacked.items()]
    top, height, margin = GAP, GAP + _plot_height(width), widest(labels) + GAP
    frame = _frame((times[0], times[-1]), _up_to(max(sums)), (width, height, top, margin), form)
    below = [ZERO] * len(times)
    parts, middles = [], []
    for place, values in enumerate(stacked.values()):
        above = [low + value for low, value in zip(below, values, strict=True)]
        upper = [
            f"{frame.across.at(_seconds(at)):.1f},{frame.up.at(y):.1f}" for at, y in zip(times, above, strict=True)
        ]
        lower = [
            f"{frame.across.at(_seconds(at)):.1f},{frame.up.at(y):.1f}" for at, y in zip(times, below, strict=True)
        ]
        parts.append(
            element("polygon", points=" ".join([*upper, *reversed(lower)]), class_=f"area {_color(place)}")
        )
        middles.append(frame.up.at((above[-1] + below[-1]) / 2))
        below = above
    told = [
        words(label, frame.across.end + GAP, y + 4, class_="name")
        for label, y in zip(labels, _apart(middles, top), strict=True)
    ]
    seen = f"Last, {times[-1]:%Y-%m-%d}: {', '.join(names)}."
    return svg(title, seen, width, height + LINE_HEIGHT + GAP, key, frame.axes, *parts, *told)


def _frame(
    times: tuple[datetime, datetime],
    marks: Sequence[Decimal],
    size: tuple[float, float, float, float],
    form: Form,
) -> _Frame:
    """Draw the axes of a chart over time; `size` is width, bottom, top and the margin at the right."""
    width, bottom, top, margin = size
    rows = labelled(marks, form)
    left = widest([label for _, label in rows]) + GAP
    across = Scale(_seconds(times[0]), _seconds(times[1]), left, width - margin)
    up = Scale(float(rows[0][0]), float(rows[-1][0]), bottom, top)
    parts = []
    for value, label in rows:
        y = up.at(value)
        parts.append(element("line", x1=left, x2=across.end, y1=y, y2=y, class_="grid"))
        parts.append(words(label, left - GAP, y + 4, class_="tick", text_anchor="end"))
    most = max(int((across.end - left) / 80), 2)
    taken = 0.0
    for at, label in time_ticks(*times, most):
        x, half = across.at(_seconds(at)), room_of(label) / 2
        middle = min(max(x, half), width - half)
        parts.append(element("line", x1=x, x2=x, y1=bottom, y2=bottom + 4, class_="axis"))
        if middle - half >= taken:
            parts.append(words(label, middle, bottom + 18, class_="tick", text_anchor="middle"))
            taken = middle + half
    return _Frame(across, up, "".join(parts))


def _up_to(most: Decimal) -> list[Decimal]:
    """Return ticks from zero to `most`; a sum of rounded weights, hardly above a tick, ends there."""
    marks = ticks(ZERO, most, MOST_TICKS)
    return marks[:-1] if len(marks) > 2 and most <= marks[-2] * SLACK else marks


def _line(place: int, series: Series, frame: _Frame) -> str:
    points = [(frame.across.at(_seconds(at)), frame.up.at(value)) for at, value in series.points]
    told = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    dash = {"stroke_dasharray": DASHES[place % len(DASHES)]} if place % len(DASHES) else {}
    x, y = points[-1]
    return element("polyline", points=told, class_=f"line {_color(place)}", **dash) + element(
        "circle", cx=x, cy=y, r=3.5, class_=f"end {_color(place)}"
    )


def _legend(names: Sequence[str], width: int) -> tuple[str, float]:
    """Return the names of lines with a piece of each, and how high that is."""
    parts, x, y = [], 0.0, 0.0
    for place, name in enumerate(names):
        room = 34 + room_of(name)
        if x and x + room > width:
            x, y = 0.0, y + LINE_HEIGHT
        dash = {"stroke_dasharray": DASHES[place % len(DASHES)]} if place % len(DASHES) else {}
        parts.append(
            element("line", x1=x, x2=x + 24, y1=y + 10, y2=y + 10, class_=f"line {_color(place)}", **dash)
        )
        parts.append(words(name, x + 30, y + 14, class_="name"))
        x += room + 12
    return "".join(parts), y + LINE_HEIGHT + GAP


def _largest(areas: Mapping[str, Sequence[Decimal]]) -> dict[str, Sequence[Decimal]]:
    """Return the areas by their last value, the largest first; beyond seven the rest as one."""
    known = {name: values for name, values in areas.items() if any(values)}
    names = sorted(known, key=lambda name: (-known[name][-1], -max(known[name]), name))
    if len(names) <= MOST_AREAS + 1:
        return {name: known[name] for name in names}
    rest = names[MOST_AREAS:]
    merged = [sum(column, ZERO) for column in zip(*(known[name] for name in rest), strict=True)]
    return {name: known[name] for name in names[:MOST_AREAS]} | {f"{len(rest)} others": merged}


def _apart(middles: Sequence[float], top: float) -> list[float]:
    """Move labels, the lowest first, so far apart that they can be read, and back below `top`."""
    risen = [*accumulate(middles, lambda below, y: min(y, below - LABEL_HEIGHT))]
    risen[-1] = max(risen[-1], top)
    return [*accumulate(reversed(risen), lambda above, y: max(y, above + LABEL_HEIGHT))][::-1]


def _plot_height(width: int) -> float:
    return 190.0 if width < 500 else 260.0


def _color(place: int) -> str:
    return f"s{place % COLORS + 1}"


def _seconds(at: datetime) -> float:
    return at.timestamp()
