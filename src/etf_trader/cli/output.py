"""The one place that prints: results on stdout, everything else on stderr.

A command hands over one payload and a function that draws it:

    def draw(page: Page) -> None:
        page.line(f"{count(len(orders), 'order')}.")
        table = Table(text("order"), number("average"), text("stopped by", shrink=True))
        for order in orders:
            table.row(str(order.number), money(order.average), order.stopped_by)
        page.table(table)

    output().emit("etf.orders/1", {"orders": orders}, draw)

On a terminal and in a pipe the text is the same; a terminal adds colour and
wraps, a pipe does neither. As html the same text is a page of its own (`html_page`),
to which an `exhibit` adds key numbers and charts; as xlsx the payload is a workbook
(`workbook`). With `--out` the result goes to a file instead of stdout (`out_file`).
"""

from __future__ import annotations

import os
import re
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TextIO

from etf_trader.errors import UsageError

if TYPE_CHECKING:
    from etf_trader.cli.exhibit import Exhibit
    from etf_trader.cli.out_file import OutFile
    from etf_trader.cli.progress import Progress

_ANSI = re.compile(r"\x1b\[[0-9;]*m")
_NUMBER = re.compile(r"[+-]?[\d,]+")

FILES = ("html", "xlsx")
"""The formats that are files: read by a browser, by a spreadsheet."""

LEAST_ROOM = 12
"""Nothing is wrapped narrower than this."""

INDENT = "    "
"""Before what stands below its row because beside it is no room."""


def good(text: str) -> str:
    """Mark what was gained or done."""
    return f"\x1b[32m{text}\x1b[0m"


def bad(text: str) -> str:
    """Mark what was lost or failed."""
    return f"\x1b[31m{text}\x1b[0m"


def look(text: str) -> str:
    """Mark what deserves a look."""
    return f"\x1b[33m{text}\x1b[0m"


def dim(text: str) -> str:
    """Mark what repeats."""
    return f"\x1b[2m{text}\x1b[0m"


def unmarked(text: str) -> str:
    """Return `text` without its colours."""
    return _ANSI.sub("", text)


def width(text: str) -> int:
    """Return how many columns `text` takes; the names and signs of `etf` are one column each."""
    return len(unmarked(text))


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table: how its cells line up, and what it gives up on a narrow terminal.

    `optional` is 0 for a column that stays. Of the others the highest go first,
    all of one number together.
    """

    title: str
    align: str
    shrink: bool = False
    optional: int = 0
    wrap: bool = False


def text(title: str, *, shrink: bool = False, optional: int = 0, wrap: bool = False) -> Column:
    """Return a column of words; when nothing else can go, long ones are cut or, in a last column, go on below."""
    return Column(title, "left", shrink, optional, wrap)


def number(title: str, *, optional: int = 0) -> Column:
    """Return a column of numbers that line up on the decimal point."""
    return Column(title, "point", optional=optional)


def right(title: str, *, optional: int = 0) -> Column:
    """Return a column that lines up on the right."""
    return Column(title, "right", optional=optional)


@dataclass(slots=True)
class Table:
    """Rows of text under titles, numbers as wide as they are, never cut."""

    columns: Sequence[Column]
    rows: list[tuple[str, ...]] = field(default_factory=list)

    def __init__(self, *columns: Column) -> None:
        self.columns = columns
        self.rows = []

    def row(self, *cells: str) -> None:
        """Add a row; it has a cell for every column."""
        if len(cells) != len(self.columns):
            raise ValueError(f"{len(cells)} cells for {len(self.columns)} columns")
        self.rows.append(cells)

    def lines(self, room: int | None) -> list[str]:
        """Return the lines of the table, at most `room` wide where the numbers allow it."""
        kept = [_aligned(column, [row[i] for row in self.rows]) for i, column in enumerate(self.columns)]
        columns = list(self.columns)
        if room is not None:
            for rank in sorted({column.optional for column in columns} - {0}, reverse=True):
                if _total(kept) > room:
                    stay = [i for i, column in enumerate(columns) if column.optional != rank]
                    columns, kept = [columns[i] for i in stay], [kept[i] for i in stay]
            if columns[-1].wrap:
                *lead, last = kept
                heads = ["  ".join(cells) for cells in zip(*lead, strict=True)]
                beside = _hanging if room - width(heads[0]) - 2 >= LEAST_ROOM else _below
                rows = zip(heads, last, strict=True)
                return [line for head, cell in rows for line in beside(head, cell.rstrip(), room)]
            _shrink(columns, kept, room)
        return ["  ".join(cells).rstrip() for cells in zip(*kept, strict=True)]


def _aligned(column: Column, cells: Sequence[str]) -> list[str]:
    """Return title and cells of a column, padded to one width."""
    if column.align == "point":
        cells = _on_the_point(cells)
    wide = max([width(column.title), *map(width, cells)])
    pad = _left if column.align == "left" else _right
    return [pad(dim(column.title), wide), *(pad(cell, wide) for cell in cells)]


def _on_the_point(cells: Sequence[str]) -> list[str]:
    tails = []
    for cell in cells:
        plain = unmarked(cell)
        head = _NUMBER.match(plain)
        tails.append(len(plain) - head.end() if head else 0)
    longest = max(tails, default=0)
    return [
        cell + " " * (longest - tail) if _NUMBER.match(unmarked(cell)) else cell
        for cell, tail in zip(cells, tails, strict=True)
    ]


def _left(cell: str, wide: int) -> str:
    return cell + " " * (wide - width(cell))


def _right(cell: str, wide: int) -> str:
    return " " * (wide - width(cell)) + cell


def _total(kept: Sequence[Sequence[str]]) -> int:
    return sum(width(cells[0]) for cells in kept) + 2 * (len(kept) - 1)


def _shrink(columns: Sequence[Column], kept: list[list[str]], room: int) -> None:
    """Cut words, never numbers, until the table fits or nothing more can be cut."""
    for i, column in enumerate(columns):
        excess = _total(kept) - room
        if column.shrink and excess > 0:
            wide = max(width(column.title), width(kept[i][0]) - excess, 8)
            kept[i] = [_left(_cut(cell.rstrip(), wide), wide) for cell in kept[i]]


def _cut(cell: str, wide: int) -> str:
    if width(cell) <= wide:
        return cell
    marks = _ANSI.match(cell)
    words = unmarked(cell)[: wide - 1] + "…"
    return f"{marks.group()}{words}\x1b[0m" if marks else words


class Page:
    """Where a result is drawn, line by line."""

    def __init__(self, room: int | None = None) -> None:
        self.room = room
        self._lines: list[str] = []

    def line(self, text: str = "") -> None:
        """Add a sentence, wrapped on a terminal; without a text, an empty line.

        What stands between two " · " stays on one line.
        """
        self._lines.extend(_wrapped(text, self.room))

    def verbatim(self, text: str) -> None:
        """Add lines that are there to be pasted: never wrapped."""
        self._lines.extend(text.splitlines())

    def table(self, table: Table) -> None:
        """Add a table."""
        self._lines.extend(table.lines(self.room))

    def fields(self, rows: Sequence[tuple[str, str]]) -> None:
        """Add names with their values, one a line; a long value goes on below itself."""
        wide = max((width(name) for name, _ in rows), default=0)
        for name, value in rows:
            self._lines.extend(_hanging(dim(_left(name, wide)), value, self.room))

    def text(self) -> str:
        """Return the page."""
        return "".join(f"{line}\n" for line in self._lines)


def _hanging(head: str, sentence: str, room: int | None) -> list[str]:
    """Return a sentence beside its head; what has no room there goes on below itself."""
    beside = None if room is None else max(room - width(head) - 2, LEAST_ROOM)
    lines = _wrapped(sentence, beside)
    heads = [head, *(" " * width(head) for _ in lines[1:])]
    return [f"{each}  {line}".rstrip() for each, line in zip(heads, lines, strict=True)]


def _below(head: str, sentence: str, room: int) -> list[str]:
    """Return a sentence below its head, indented, where beside it is no room; no line of an empty one."""
    lines = _wrapped(sentence, room - len(INDENT)) if unmarked(sentence) else []
    return [head.rstrip(), *(INDENT + line for line in lines)]


def _wrapped(sentence: str, room: int | None) -> list[str]:
    if room is None or width(sentence) <= room:
        return sentence.split("\n")
    lines: list[str] = []
    for paragraph in sentence.split("\n"):
        indent = paragraph[: len(paragraph) - len(paragraph.lstrip(" "))]
        line = ""
        for word in _pieces(paragraph, room - len(indent)):
            longer = f"{line} {word}" if line else indent + word
            if line and width(longer) > room:
                lines.append(line)
                line = indent + word
            else:
                line = longer
        lines.append(line)
    return lines


def _pieces(paragraph: str, room: int) -> list[str]:
    """Return what may not be broken: words; in a line of parts, parts as far as they fit."""
    *parts, last = paragraph.strip().split(" · ")
    if not parts:
        return paragraph.split()
    whole = [*(f"{part} ·" for part in parts), last]
    return [piece for part in whole for piece in ([part] if width(part) <= room else part.split())]


class Output:
    """Prints the results of one run in the format that was asked for.

    Args:
        form: "table", "json", "csv", "html" or "xlsx".
        csv: The list of a payload that csv prints; None when the command has none.
        files: Whether the command can print html and xlsx.
        out: Where the result goes; None for stdout without having said so.
        quiet: Keep back notes and progress.
        verbose: Say more.
    """

    def __init__(
        self,
        form: str = "table",
        *,
        csv: str | None = None,
        files: bool = False,
        out: OutFile | None = None,
        quiet: bool = False,
        verbose: bool = False,
        stdout: TextIO | None = None,
        stderr: TextIO | None = None,
        environ: Mapping[str, str] | None = None,
    ) -> None:
        if form == "csv" and csv is None:
            raise UsageError("this command has no list to print as csv", hint="--format table or --json")
        if form in FILES and not files:
            raise UsageError(f"this command cannot print {form}", hint="--format table or --json")
        self.format = form
        self.csv = csv
        self.out = out
        self.quiet = quiet
        self.verbose = verbose
        self.stdout = sys.stdout if stdout is None else stdout
        self.stderr = sys.stderr if stderr is None else stderr
        self._environ = os.environ if environ is None else environ
        self._refuse_terminal()

    @property
    def is_table(self) -> bool:
        """Whether a person reads: sentences and tables, no data format."""
        return self.format == "table" and (self.out is None or self.out.path is None)

    @property
    def is_interactive(self) -> bool:
        """Whether a question can be asked and will be seen."""
        return sys.stdin is not None and sys.stdin.isatty() and self.stderr.isatty()

    def emit(
        self,
        schema: str,
        payload: Mapping[str, Any],
        draw: Callable[[Page], None],
        *,
        columns: Sequence[str] = (),
        exhibit: Callable[[], Exhibit] | None = None,
    ) -> None:
        """Print a result, or write it to the file that was named.

        Args:
            schema: Name and version of the JSON document, e.g. "etf.orders/1".
            payload: What the document holds; decimals, times, enums, dataclasses and structs as they are.
            draw: Draws it for a person.
            columns: The header of the csv when the list may be empty; otherwise its first row says it.
            exhibit: Names the key numbers and charts that html shows besides; asked for html alone.
        """
        content = self._content(schema, payload, draw, columns, exhibit)
        if self.out is not None and self.out.path is not None:
            whole = content.encode(errors="backslashreplace") if isinstance(content, str) else content
            self.out.write(whole)
            self.note(f"Wrote {self.out.path} ({max(len(whole) // 1000, 1):,} kB).")
        elif isinstance(content, str):
            self.stdout.write(content)
        else:
            self.stdout.buffer.write(content)

    def _content(
        self,
        schema: str,
        payload: Mapping[str, Any],
        draw: Callable[[Page], None],
        columns: Sequence[str],
        exhibit: Callable[[], Exhibit] | None,
    ) -> str | bytes:
        """Return a result as it is printed."""
        if self.format == "json":
            from etf_trader.cli.documents import json_document

            return json_document(schema, payload)
        if self.format == "csv":
            from etf_trader.cli.documents import csv_document

            assert self.csv is not None
            return csv_document(payload[self.csv], columns)
        if self.format in FILES:
            from etf_trader.cli.files import file_content

            empty = {self.csv: columns} if self.csv is not None else {}
            return file_content(self.format, schema, payload, draw, empty, exhibit)
        page = Page(None if self.out is not None and self.out.path is not None else self._room(self.stdout))
        draw(page)
        return page.text() if self.is_table and self._colored(self.stdout) else unmarked(page.text())

    def _refuse_terminal(self) -> None:
        """Refuse to pour onto a terminal what nobody reads there."""
        if self.format not in FILES or not self.stdout.isatty():
            return
        if self.out is None or (self.out.path is None and self.format == "xlsx"):
            raise UsageError(
                f"{self.format} is not read on a terminal",
                where="--format",
                hint=f"write it to a file: --out report.{self.format}",
            )

    def say(self, sentence: str) -> None:
        """Say what happened, on stdout; nothing in a data format, whose document says it."""
        if self.is_table:
            page = Page(self._room(self.stdout))
            page.line(sentence)
            self._write(self.stdout, page.text())
            self.stdout.flush()

    def note(self, sentence: str) -> None:
        """Tell something beside the result, on stderr; nothing with -q."""
        if not self.quiet:
            page = Page(self._room(self.stderr))
            page.line(sentence)
            self._write(self.stderr, page.text())
            self.stderr.flush()

    def detail(self, sentence: str) -> None:
        """Tell what only -v wants to know, on stderr."""
        if self.verbose:
            self.note(dim(sentence))

    def confirm(self, question: str) -> bool:
        """Ask on stderr and return the answer; without a terminal nothing waits: False."""
        if not self.is_interactive:
            return False
        self._write(self.stderr, f"{question} [y/N] ")
        self.stderr.flush()
        return sys.stdin.readline().strip().lower() in ("y", "yes")

    @contextmanager
    def progress(self, title: str) -> Iterator[Progress]:
        """Show that something lives, once it has taken a second, on a terminal."""
        from etf_trader.cli.progress import Progress

        shown = self.stderr.isatty() and not self.quiet and self._environ.get("TERM") != "dumb"
        progress = Progress(title, self.stderr if shown else None, color=self._colored(self.stderr))
        with progress:
            yield progress

    def _room(self, stream: TextIO) -> int | None:
        return shutil.get_terminal_size().columns if stream.isatty() else None

    def _colored(self, stream: TextIO) -> bool:
        return stream.isatty() and not self._environ.get("NO_COLOR") and self._environ.get("TERM") != "dumb"

    def _write(self, stream: TextIO, text: str) -> None:
        stream.write(text if self._colored(stream) else unmarked(text))


def error_text(message: str, *, exit_code: int, code: str, where: str | None, hint: str | None) -> str:
    """Return an error as a person reads it: what and where, what to do, the exit code at the end."""
    place = f" ({where})" if where and where not in message else ""
    sentence = message.strip().rstrip(".") + place
    told = sentence if sentence.endswith(("?", "!", ":")) else sentence + "."
    lines = [line for part in (told, hint or "") for line in part.splitlines()]
    lines = [("     " if i else "etf: ") + line for i, line in enumerate(lines)]
    mark = f"[exit {exit_code}]"
    lines[-1] += " " * max(2, max(map(len, lines)) - len(lines[-1]) - len(mark)) + mark
    return "".join(f"{line}\n" for line in lines)


def error_json(message: str, *, exit_code: int, code: str, where: str | None, hint: str | None) -> str:
    """Return an error as a document."""
    from etf_trader.cli.documents import json_document

    body = {"code": code, "exit": exit_code, "message": message, "where": where, "hint": hint}
    return json_document("etf.error/1", body)
