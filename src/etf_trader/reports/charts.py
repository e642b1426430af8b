"""Bars, and weights beside their targets, as SVG text.

A chart is drawn for a width in pixels, so that its words keep their size: a page
takes a narrow one for a phone and a wide one for a desk. It brings no colours:
`s1` to `s8` and the other classes get them from the page (`report.css`). Colour is
never alone: lines are dashed differently and named with their last value,
areas are named where they end, bars carry their numbers, signs are written.
`<title>` and `<desc>` tell a screen reader what is seen.

Every function takes `key`, unique in the page, and `form`, which writes a number.
Where there is too little to draw (a line of one point, no bar) it returns "".
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal

from etf_trader.money import ZERO
from etf_trader.reports.svg import Scale, element, labelled, shortened, svg, ticks, widest, words

Form = Callable[[Decimal], str]

MOST_BARS = 20

ROW = 26.0
LINE_HEIGHT = 18.0
GAP = 8.0


@dataclass(frozen=True, slots=True)
class Target:
    """An asset's weight and where it should be; `low` and `high` bound where it may be left alone."""

    name: str
    weight: Decimal
    target: Decimal
    low: Decimal | None = None
    high: Decimal | None = None


def bar_chart(title: str, bars: Sequence[tuple[str, Decimal]], *, width: int, key: str, form: Form) -> str:
    """Return a bar for each name, in the order given, its number at the right; below zero it goes to the left.

    Beyond 20 bars the last ones are added up.
    """
    if len(bars) > MOST_BARS:
        rest = bars[MOST_BARS - 1 :]
        bars = [*bars[: MOST_BARS - 1], (f"{len(rest)} others", sum((value for _, value in rest), ZERO))]
    if not any(value for _, value in bars):
        return ""
    start, end = _sides([name for name, _ in bars], [form(value) for _, value in bars], width)
    values = [value for _, value in bars]
    scale = Scale(float(min(*values, ZERO)), float(max(*values, ZERO)), start, end)
    parts = []
    for place, (name, value) in enumerate(bars):
        y = ROW * place
        left, right = sorted((scale.at(0), scale.at(value)))
        parts.append(words(shortened(name, start - GAP), 0, y + 17, class_="name"))
        kind = "bar less" if value < 0 else "bar"
        parts.append(
            element("rect", x=left, y=y + 5, width=max(right - left, 1), height=ROW - 10, rx=2, class_=kind)
        )
        parts.append(words(form(value), width, y + 17, class_="value", text_anchor="end"))
    height = ROW * len(bars)
    zero = element("line", x1=scale.at(0), x2=scale.at(0), y1=0, y2=height, class_="zero")
    seen = ", ".join(f"{name} {form(value)}" for name, value in bars) + "."
    return svg(title, seen, width, height, key, *parts, zero)


def drift_chart(title: str, rows: Sequence[Target], *, width: int, key: str, form: Form) -> str:
    """Return weights (dots) beside their targets (strokes), the drift between as a line and, signed, as a number.

    Where a row has bounds, they lie behind it.
    """
    if not rows:
        return ""
    drifts = [_signed(each.weight - each.target, form) for each in rows]
    start, end = _sides([each.name for each in rows], drifts, width)
    most = max(max(each.weight, each.target, each.high or ZERO) for each in rows)
    marks = ticks(ZERO, most, 4 if width < 500 else 7)
    scale = Scale(0, float(marks[-1]), start, end)
    top, height = LINE_HEIGHT + GAP, LINE_HEIGHT + GAP + ROW * len(rows)
    grid = [_upright(scale.at(value), top, height, label) for value, label in labelled(marks, form)]
    lines = [
        _drift(each, drift, scale, top + ROW * place, width)
        for place, (each, drift) in enumerate(zip(rows, drifts, strict=True))
    ]
    legend = _drift_legend(width, has_bands=any(each.low is not None for each in rows))
    seen = "; ".join(f"{each.name} {form(each.weight)}, target {form(each.target)}" for each in rows) + "."
    return svg(title, seen, width, height + LINE_HEIGHT + GAP, key, legend, *grid, *lines)


def _drift_legend(width: int, *, has_bands: bool) -> str:
    band = element("rect", x=142, y=4, width=20, height=12, rx=2, class_="band")
    return element(
        "g",
        element("circle", cx=5, cy=10, r=4.5, class_="dot"),
        words("weight", 15, 14, class_="name"),
        element("line", x1=77, x2=77, y1=3, y2=17, class_="target"),
        words("target", 84, 14, class_="name"),
        *([band, words("band", 168, 14, class_="name")] if has_bands else []),
        words("drift", width, 14, class_="tick", text_anchor="end"),
    )


def _drift(row: Target, drift: str, scale: Scale, y: float, width: int) -> str:
    middle = y + ROW / 2
    weight, target = scale.at(row.weight), scale.at(row.target)
    band = ""
    if row.low is not None and row.high is not None:
        low, high = scale.at(max(row.low, ZERO)), scale.at(row.high)
        band = element("rect", x=low, y=y + 6, width=max(high - low, 1), height=ROW - 12, rx=2, class_="band")
    return "".join(
        (
            words(shortened(row.name, scale.start - GAP), 0, middle + 4, class_="name"),
            band,
            element("line", x1=target, x2=weight, y1=middle, y2=middle, class_="between"),
            element("line", x1=target, x2=target, y1=y + 5, y2=y + ROW - 5, class_="target"),
            element("circle", cx=weight, cy=middle, r=4.5, class_="dot"),
            words(drift, width, middle + 4, class_="value", text_anchor="end"),
        )
    )


def _upright(x: float, top: float, bottom: float, label: str) -> str:
    return element("line", x1=x, x2=x, y1=top, y2=bottom, class_="grid") + words(
        label, x, bottom + 16, class_="tick", text_anchor="middle"
    )


def _sides(names: Sequence[str], values: Sequence[str], width: int) -> tuple[float, float]:
    """Return where the plot begins beside its names, and ends beside its numbers."""
    start = min(widest(names), width * 0.36) + GAP
    return start, max(width - widest(values) - GAP, start + 40)


def _signed(value: Decimal, form: Form) -> str:
    told = form(value)
    return f"+{told}" if value > 0 and any(digit in told for digit in "123456789") else told
