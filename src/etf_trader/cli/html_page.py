"""A result as an HTML file: what is drawn for a terminal, as sentences and tables, with key numbers and charts."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from etf_trader.cli.exhibit import Exhibit
from etf_trader.cli.invocation import invocation
from etf_trader.cli.origin import account, origin, title_of
from etf_trader.cli.output import Page, Table, unmarked
from etf_trader.reports.html import (
    Block,
    Drawing,
    Facts,
    Figure,
    Grid,
    Head,
    KeyNumber,
    Line,
    Piece,
    Sheet,
    Words,
    html_document,
)

NARROW = 328
HALF, FULL = 448, 928
"""The widths that charts are drawn for: a phone of 360 pixels without its margins, half of a desk, all of it."""

MARKS = {"\x1b[32m": "good", "\x1b[31m": "bad", "\x1b[33m": "look", "\x1b[2m": "dim", "\x1b[0m": ""}

_MARK = re.compile(r"(\x1b\[[0-9;]*m)")
_BAR = re.compile(r" ?[█▏▎▍▌▋▊▉]+")
_DRAWN = re.compile(r"[┤│└┴┬╭╮╰╯]")
_NUMBER = re.compile(r"[+-]?[\d,]+(\.\d+)?")
_BLANK = {".": "\u2008"}
_DIGIT = "\u2007"
"""As wide as a digit; the other is as wide as a point."""


def html_of(
    schema: str, payload: Mapping[str, Any], draw: Callable[[Page], None], exhibit: Exhibit, now: datetime
) -> str:
    """Return the file."""
    from etf_trader import __version__

    page = HtmlPage()
    draw(page)
    figures = list(_figures(payload, exhibit))
    # Where there are charts, what was drawn of characters shows the same once more.
    kept = [each for each in page.blocks if not (figures and isinstance(each, Drawing) and each.is_picture)]
    lead, blocks = _parted(kept)
    sheet = Sheet(
        title=exhibit.title or title_of(invocation().command),
        account=account(),
        lead=lead,
        numbers=list(_numbers(payload, exhibit)),
        figures=figures,
        blocks=blocks,
        origin=origin(schema, payload, now),
    )
    return html_document(sheet, __version__)


class HtmlPage(Page):
    """Keeps what is drawn as blocks, with every column of every table."""

    def __init__(self) -> None:
        super().__init__(None)
        self.blocks: list[Block] = []
        self._is_apart = False

    def line(self, text: str = "") -> None:
        """Add a sentence; lines that form a picture stay together."""
        for line in text.split("\n"):
            last = self.blocks[-1] if self.blocks else None
            is_drawn = _DRAWN.search(line) is not None or unmarked(line).startswith("─ ")
            if isinstance(last, Drawing) and (is_drawn or unmarked(line).startswith("  ")):
                self.blocks[-1] = Drawing([*last.lines, pieces(line)])
            elif line.strip():
                self.blocks.append(Drawing([pieces(line)]) if is_drawn else Line(pieces(line), self._is_apart))
            self._is_apart = not line.strip()

    def verbatim(self, text: str) -> None:
        """Add lines that are there to be pasted."""
        self.blocks.append(Drawing([pieces(line) for line in text.splitlines()], is_picture=False))

    def table(self, table: Table) -> None:
        """Add a table."""
        columns = [Head(pieces(each.title), _kind(each.align, each.wrap)) for each in table.columns]
        cells = [
            _on_the_point([row[place] for row in table.rows])
            if column.align == "point"
            else [row[place] for row in table.rows]
            for place, column in enumerate(table.columns)
        ]
        self.blocks.append(
            Grid(columns, [[pieces(_indented(cell)) for cell in row] for row in zip(*cells, strict=True)])
        )

    def fields(self, rows: Sequence[tuple[str, str]]) -> None:
        """Add names with their values."""
        self.blocks.append(Facts([(pieces(name), pieces(value)) for name, value in rows]))


def pieces(text: str) -> Words:
    """Return a text in pieces of one mark each; bars of characters are left out, charts show them."""
    found, mark = [], ""
    for part in _MARK.split(_BAR.sub("", text)):
        if _MARK.fullmatch(part):
            mark = MARKS.get(part, mark)
        elif part:
            found.append(Piece(part, mark))
    return found


def _indented(cell: str) -> str:
    """Keep the blanks that a cell begins with, which say that it is a part of the line above: HTML drops them."""
    told = cell.lstrip(" ")
    return "\u00a0" * (len(cell) - len(told)) + told


def _kind(align: str, wrap: bool) -> str:
    return "wrap" if wrap else "" if align == "left" else "number"


def _on_the_point(cells: Sequence[str]) -> list[str]:
    """Fill numbers up with blanks as wide as digits, so that their points stand below each other."""
    tails = [found[1] or "" if (found := _NUMBER.match(unmarked(cell))) else None for cell in cells]
    most = max((tail for tail in tails if tail is not None), key=len, default="")
    return [
        cell if tail is None else cell + "".join(_BLANK.get(each, _DIGIT) for each in most[len(tail) :])
        for cell, tail in zip(cells, tails, strict=True)
    ]


def _parted(blocks: list[Block]) -> tuple[Words, list[Block]]:
    """Return the sentence that a result begins with, and what follows it."""
    first = blocks[0] if blocks else None
    return (first.line, blocks[1:]) if isinstance(first, Line) else ((), blocks)


def _numbers(payload: Mapping[str, Any], exhibit: Exhibit) -> Iterator[KeyNumber]:
    for key in exhibit.numbers:
        if (told := key.told(payload)) is not None:
            yield KeyNumber(key.name, told, key.unit)


def _figures(payload: Mapping[str, Any], exhibit: Exhibit) -> Iterator[Figure]:
    for place, chart in enumerate(exhibit.charts):
        narrow = chart.draw(payload, NARROW, f"narrow-{place}")
        wide = chart.draw(payload, FULL if chart.is_full else HALF, f"wide-{place}")
        for (title, small), (_, large) in zip(narrow, wide, strict=True):
            if small and large:
                yield Figure(title, small, large, chart.note, chart.is_full)
