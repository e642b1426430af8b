"""A result as one HTML file: it asks no network, runs no script, and reads on a phone, on a desk and on paper."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from jinja2 import Template

GENERATOR = "etf-trader"
"""How a file says whose it is, before the version."""

PACKAGE = "etf_trader.reports"


class Piece(NamedTuple):
    """Words of one kind; `mark` is "", "good", "bad", "look" or "dim"."""

    text: str
    mark: str = ""


Words = Sequence[Piece]


@dataclass(frozen=True, slots=True)
class KeyNumber:
    """A number that matters, as it is read, under its name; `unit` stands beside the name."""

    name: str
    value: str
    unit: str = ""


@dataclass(frozen=True, slots=True)
class Figure:
    """A chart drawn for a phone and for a desk, of which it may take all; `note` says what its numbers are."""

    title: str
    narrow: str
    wide: str
    note: str = ""
    is_full: bool = True


@dataclass(frozen=True, slots=True)
class Line:
    """A sentence; `is_apart` ones begin something new."""

    line: Words
    is_apart: bool = False
    kind: str = "line"


@dataclass(frozen=True, slots=True)
class Drawing:
    """Lines of characters that stand as they are: a picture, or what is there to be pasted."""

    lines: Sequence[Words]
    is_picture: bool = True
    kind: str = "drawing"


@dataclass(frozen=True, slots=True)
class Facts:
    """Names with their values."""

    rows: Sequence[tuple[Words, Words]]
    kind: str = "facts"


@dataclass(frozen=True, slots=True)
class Head:
    """The head of a column; `kind` is "", "number" or "wrap"."""

    title: Words
    kind: str = ""


@dataclass(frozen=True, slots=True)
class Grid:
    """A table; every row has a cell for every column."""

    columns: Sequence[Head]
    rows: Sequence[Sequence[Words]]
    kind: str = "grid"


Block = Line | Drawing | Facts | Grid


@dataclass(frozen=True, slots=True)
class Sheet:
    """What a file shows, from top to bottom; `origin` tells when and from what it was made."""

    title: str
    account: str
    lead: Words
    numbers: Sequence[KeyNumber]
    figures: Sequence[Figure]
    blocks: Sequence[Block]
    origin: Sequence[tuple[str, str]]


def html_document(sheet: Sheet, version: str) -> str:
    """Return the file. All text is escaped; only the charts, which escape their own, are taken as they are."""
    style, template = _parts()
    return template.render(
        sheet=sheet,
        generator=f"{GENERATOR} {version}",
        style=style,
        style_hash="sha256-" + b64encode(sha256(style.encode()).digest()).decode(),
    )


@cache
def _parts() -> tuple[str, Template]:
    from importlib.resources import files

    from jinja2 import Environment, StrictUndefined
    from markupsafe import Markup

    folder = files(PACKAGE) / "templates"
    environment = Environment(autoescape=True, undefined=StrictUndefined, keep_trailing_newline=True)
    style = (folder / "report.css").read_text(encoding="utf-8")
    return Markup(style), environment.from_string((folder / "report.html").read_text(encoding="utf-8"))
