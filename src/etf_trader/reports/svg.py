"""What charts are made of: SVG elements as text, round ticks of numbers and of times, widths of words.

Positions are floats: a picture is no account.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from html import escape

from etf_trader.money import ceil_to, floor_to

NARROW_LETTERS = frozenset(" .,:;'|!il()[]")
WIDE_LETTERS = frozenset("%@mwMW…")
LETTER, CAPITAL, NARROW_LETTER, WIDE_LETTER = 7.7, 8.7, 4.7, 12.0
"""How wide letters are at most, about, in the size that charts are labelled in (12 pixels)."""

NAMESPACE = "http://www.w3.org/2000/svg"

STEPS = (Decimal(1), Decimal(2), Decimal("2.5"), Decimal(5), Decimal(10))

_DAY = timedelta(days=1)
_SHORT_STEPS = (
    *(timedelta(seconds=each) for each in (1, 5, 15, 30)),
    *(timedelta(minutes=each) for each in (1, 5, 15, 30)),
    *(timedelta(hours=each) for each in (1, 3, 6, 12)),
    *(timedelta(days=each) for each in (1, 2, 7, 14)),
)
_MONTH_STEPS = (1, 3, 6, 12, 24, 60, 120, 240, 600)


@dataclass(frozen=True, slots=True)
class Scale:
    """Numbers from `low` to `high` on pixels from `start` to `end`."""

    low: float
    high: float
    start: float
    end: float

    def at(self, value: Decimal | float) -> float:
        """Return where a number stands."""
        span = self.high - self.low
        return self.start + (self.end - self.start) * ((float(value) - self.low) / span if span else 0.5)


def element(name: str, *content: str, **attributes: str | float) -> str:
    """Return an element; `content` is SVG already, attribute values are escaped.

    Attributes are named as Python allows: `class_` is class, `stroke_width` is stroke-width.
    """
    told = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{escape(_plain(value))}"' for key, value in attributes.items()
    )
    return f"<{name}{told}>{''.join(content)}</{name}>" if content else f"<{name}{told}/>"


def svg(title: str, seen: str, width: float, height: float, key: str, *parts: str) -> str:
    """Return a whole chart; `title` and `seen` are for who hears it, `key` is unique in the page."""
    names = (
        element("title", escape(title), id=f"{key}-title"),
        element("desc", escape(seen), id=f"{key}-desc"),
    )
    return element(
        "svg",
        *names,
        *parts,
        xmlns=NAMESPACE,
        viewBox=f"0 0 {width} {height:g}",
        role="img",
        aria_labelledby=f"{key}-title {key}-desc",
        class_="chart",
    )


def words(text: str, x: float, y: float, **attributes: str | float) -> str:
    """Return a text element; `text` is escaped."""
    return element("text", escape(text), x=x, y=y, **attributes)


def room_of(text: str) -> float:
    """Return about how wide a text is: rather too much than too little, fonts differ."""
    return sum(map(_room_of_letter, text))


def widest(texts: Sequence[str]) -> float:
    """Return about how wide the widest of the texts is."""
    return max(map(room_of, texts), default=0.0)


def shortened(text: str, room: float) -> str:
    """Return a text that has this room; what is left out is marked."""
    if room_of(text) <= room + 1:
        return text
    while text and room_of(text) + WIDE_LETTER > room:
        text = text[:-1]
    return text.rstrip() + "…"


def ticks(low: Decimal, high: Decimal, most: int) -> list[Decimal]:
    """Return round numbers from at or below `low` to at or above `high`, about `most` of them at most."""
    if low == high:
        margin = abs(low) / 10 or Decimal(1)
        low, high = low - margin, high + margin
    unit = Decimal(1).scaleb((high - low).adjusted() - 1)
    sizes = (unit * power * step for power in (1, 10) for step in STEPS)
    for size in sizes:
        first, last = floor_to(low, size), ceil_to(high, size)
        if (last - first) / size < most:
            break
    return [first + size * place for place in range(int((last - first) / size) + 1)]


def labelled(values: Sequence[Decimal], form: Callable[[Decimal], str]) -> list[tuple[Decimal, str]]:
    """Return ticks with their labels, without decimals that say nothing."""
    labels = [form(value) for value in values]
    while all("." in label and _decimals(label).endswith("0") for label in labels):
        labels = [_without_last_decimal(label) for label in labels]
    return list(zip(values, labels, strict=True))


def time_ticks(first: datetime, last: datetime, most: int) -> list[tuple[datetime, str]]:
    """Return round UTC times within `first` and `last` with what to write below them."""
    span = last - first
    lengths = [*_SHORT_STEPS, *(months * 31 * _DAY for months in _MONTH_STEPS)]
    fits = next((place for place, each in enumerate(lengths) if span <= each * most), len(lengths) - 1)
    found = _stepped(first, last, fits)
    while len(found) < 2 and fits:  # one alone tells nothing of time: finer ones, as many as there is room for
        fits -= 1
        finer = _stepped(first, last, fits)
        found = finer[:: math.ceil(len(finer) / (most + 1)) or 1]
    return found


def _stepped(first: datetime, last: datetime, place: int) -> list[tuple[datetime, str]]:
    """Return the ticks of a step, by its place among all steps."""
    if place < len(_SHORT_STEPS):
        step = _SHORT_STEPS[place]
        style = "%H:%M" if step >= timedelta(minutes=1) else "%H:%M:%S"
        return [(at, at.strftime(style if _is_within_a_day(at) else "%-d %b")) for at in _times(first, last, step)]
    months = _MONTH_STEPS[place - len(_SHORT_STEPS)]
    style = "%Y" if months >= 12 else "%b %Y"
    return [(at, at.strftime(style)) for at in _months(first, last, months)]


def _room_of_letter(letter: str) -> float:
    if letter in WIDE_LETTERS or ord(letter) > 0x2E80:
        return WIDE_LETTER
    return CAPITAL if letter.isupper() else NARROW_LETTER if letter in NARROW_LETTERS else LETTER


def _is_within_a_day(at: datetime) -> bool:
    return (at.hour, at.minute, at.second) != (0, 0, 0)


def _times(first: datetime, last: datetime, step: timedelta) -> Iterator[datetime]:
    midnight = first.replace(hour=0, minute=0, second=0, microsecond=0)
    at = midnight + step * math.ceil((first - midnight) / step)
    while at <= last:
        yield at
        at += step


def _months(first: datetime, last: datetime, months: int) -> Iterator[datetime]:
    place = first.year * 12 + first.month - 1
    place -= place % months
    while True:
        at = first.replace(
            year=place // 12, month=place % 12 + 1, day=1, hour=0, minute=0, second=0, microsecond=0
        )
        if at > last:
            return
        if at >= first:
            yield at
        place += months


def _plain(value: str | float) -> str:
    return value if isinstance(value, str) else f"{round(value, 2):g}"


def _decimals(label: str) -> str:
    tail = label.rpartition(".")[2]
    return tail[: len(tail) - len(tail.lstrip("0123456789"))]


def _without_last_decimal(label: str) -> str:
    head, _, tail = label.rpartition(".")
    digits = _decimals(label)
    rest = tail[len(digits) :]
    return f"{head}.{digits[:-1]}{rest}" if len(digits) > 1 else head + rest
