"""A result as a workbook: a sheet for each list of its document, and one for everything else.

- A list within the rows of a list gets a sheet of its own, `orders.constituents`; its first
  column, `orders.order`, tells the row it belongs to.
- Numbers are numbers. A spreadsheet keeps 15 digits of them: where a number has more, the column
  is followed by another, `loss (exact)`, that holds all digits of all its numbers as text.
- Times are times, in UTC, and their column says so: `at (UTC)`.
- Text is text, whatever it begins with: a name `=1+1` is never computed.
"""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from enum import Enum
from io import BytesIO
from typing import TYPE_CHECKING, Any

from etf_trader.cli.documents import as_data
from etf_trader.errors import UsageError
from etf_trader.money import plain

if TYPE_CHECKING:
    from xlsxwriter.format import Format
    from xlsxwriter.workbook import Workbook
    from xlsxwriter.worksheet import Worksheet

MOST_DIGITS = 15
MOST_DECIMALS = 12
USUAL_DECIMALS = 8
"""What a column shows where its numbers have more decimals than are read; the cells hold all 15 digits."""

MOST_ROWS = 1_048_575
MOST_LETTERS = 32_767
LONGEST_NAME = 31
WIDEST, NARROWEST = 48, 8

FIRST_DAY = datetime(1900, 3, 1, tzinfo=UTC)
"""Earlier days are not counted alike by all spreadsheets."""

SUMMARY = "summary"

Row = dict[str, Any]


def workbook_document(
    schema: str,
    payload: Mapping[str, Any],
    empty: Mapping[str, Sequence[str]],
    origin: Sequence[tuple[str, str]],
    now: datetime,
) -> bytes:
    """Return the file.

    Args:
        schema: Name and version of the document.
        payload: What it holds.
        empty: The columns of lists that get a sheet also when they are empty.
        origin: When and from what it is made, for the summary.
        now: Its date of creation.

    Raises:
        UsageError: a spreadsheet cannot hold it.
    """
    from xlsxwriter import Workbook

    from etf_trader import __version__

    target = BytesIO()
    options = {
        "in_memory": True,
        "strings_to_numbers": False,
        "strings_to_formulas": False,
        "strings_to_urls": False,
    }
    scalars, inner = _flattened(payload)
    lists: dict[str, list[Row]] = {name: [] for name in empty}
    for name, rows in inner.items():
        _add(name, rows, lists, {})
    with Workbook(target, options) as book:
        maker = f"etf-trader {__version__}"
        created = now.astimezone(UTC).replace(tzinfo=None)
        book.set_properties({"title": schema, "author": maker, "created": created})
        writer = _Writer(book)
        writer.summary([*origin, *scalars.items()])
        for name, rows in lists.items():
            writer.sheet(name, rows, empty.get(name, ()))
    return target.getvalue()


def _flattened(record: Mapping[str, Any], prefix: str = "") -> tuple[Row, dict[str, Sequence[Any]]]:
    """Return the values of a record, those of records in it as `outer.inner`, and its lists of records."""
    row: Row = {}
    lists: dict[str, Sequence[Any]] = {}
    for key, value in record.items():
        parts = _parts(value)
        if parts is not None:
            below, inner = _flattened(parts, f"{prefix}{key}.")
            row |= below
            lists |= inner
        elif isinstance(value, list | tuple) and any(_parts(each) is not None for each in value):
            lists[f"{prefix}{key}"] = value
        else:
            row[f"{prefix}{key}"] = value
    return row, lists


def _add(name: str, rows: Sequence[Any], lists: dict[str, list[Row]], above: Row) -> None:
    """Add rows to the sheet of their list, after `above`, which tells what they belong to."""
    sheet = lists.setdefault(name, [])
    for each in rows:
        row, inner = _flattened(_parts(each) or {"value": each})
        sheet.append(above | row)
        own = {f"{name}.{key}": value for key, value in list(row.items())[:1]}
        for below, found in inner.items():
            _add(f"{name}.{below}", found, lists, above | own)


def _parts(value: Any) -> Mapping[str, Any] | None:
    """Return a record by its names; None for what is none."""
    if isinstance(value, Mapping):
        return {str(as_data(name)): item for name, item in value.items()}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {each.name: getattr(value, each.name) for each in dataclasses.fields(value)}
    if hasattr(value, "__struct_fields__"):
        return {name: getattr(value, name) for name in value.__struct_fields__}
    return None


class _Writer:
    """Writes sheets into a workbook."""

    def __init__(self, book: Workbook) -> None:
        self._book = book
        self._head = book.add_format({"bold": True, "bottom": 1, "valign": "top"})
        self._text = book.add_format({"num_format": "@", "quote_prefix": True})
        self._formats: dict[str, Format] = {}
        self._names = {"history"}  # a name that Excel keeps for itself

    def summary(self, values: Sequence[tuple[str, Any]]) -> None:
        """Write names with their values below each other."""
        sheet = self._sheet(SUMMARY)
        cells = [(name, _cell(value)) for name, value in values]
        has_exact = any(_is_long(cell) for _, cell in cells)
        widths = [len("name"), len("value"), len("value (exact)")]
        for place, title in enumerate(("name", "value", "value (exact)")[: 3 if has_exact else 2]):
            sheet.write_string(0, place, title, self._head)
        for line, (name, cell) in enumerate(cells, start=1):
            told = f"{name} (UTC)" if isinstance(cell, datetime) else name
            self._put(sheet, (line, 0), told, "@")
            style = _style([cell])
            self._put(sheet, (line, 1), cell, style)
            widths[0], widths[1] = max(widths[0], len(told)), max(widths[1], _width(cell, style))
            if _is_long(cell):
                self._put(sheet, (line, 2), _exact(cell), "@")
                widths[2] = max(widths[2], len(_exact(cell)))
        _set_widths(sheet, widths)

    def sheet(self, name: str, rows: Sequence[Row], columns: Sequence[str]) -> None:
        """Write a list, a line for each of its rows."""
        if len(rows) > MOST_ROWS:
            raise UsageError(
                f"{name} has {len(rows):,} rows, and a sheet holds {MOST_ROWS:,}",
                hint="--format csv holds them all",
            )
        sheet = self._sheet(name)
        widths: list[int] = []
        for column in dict.fromkeys([*columns, *(key for row in rows for key in row)]):
            cells = [_cell(row.get(column)) for row in rows]
            title = f"{column} (UTC)" if any(isinstance(cell, datetime) for cell in cells) else column
            widths.append(self._column(sheet, len(widths), title, cells))
            if any(_is_long(cell) for cell in cells):
                exact = [_exact(cell) for cell in cells]
                widths.append(self._column(sheet, len(widths), f"{column} (exact)", exact))
        if rows:
            sheet.autofilter(0, 0, len(rows), len(widths) - 1)
        _set_widths(sheet, widths)

    def _column(self, sheet: Worksheet, place: int, title: str, cells: Sequence[Any]) -> int:
        """Write a column and return how wide it is."""
        style = _style(cells)
        sheet.write_string(0, place, title, self._head)
        for line, cell in enumerate(cells, start=1):
            self._put(sheet, (line, place), cell, "@" if isinstance(cell, str) else style)
        filter_arrow = 3
        return max([len(title) + filter_arrow, *(_width(cell, style) for cell in cells)])

    def _put(self, sheet: Worksheet, at: tuple[int, int], cell: Any, style: str) -> None:
        if cell is None or cell == "":
            return
        if isinstance(cell, str):
            if len(cell) > MOST_LETTERS:
                raise UsageError(
                    f"a text of {len(cell):,} letters has no room in a cell of a spreadsheet",
                    hint="--json holds it",
                )
            sheet.write_string(*at, cell, self._text)
        elif isinstance(cell, bool):
            sheet.write_boolean(*at, cell)
        elif isinstance(cell, datetime):
            sheet.write_datetime(*at, cell, self._format(style))
        else:
            sheet.write_number(*at, float(cell), self._format(style))

    def _format(self, style: str) -> Format:
        if style not in self._formats:
            self._formats[style] = self._book.add_format({"num_format": style})
        return self._formats[style]

    def _sheet(self, name: str) -> Worksheet:
        plain_name = re.sub(r"[\[\]:*?/\\']", "_", name)
        names = (plain_name[: LONGEST_NAME - len(end)] + end for end in ("", *(f" {n}" for n in range(2, 1000))))
        free = next(each for each in names if each.lower() not in self._names)
        self._names.add(free.lower())
        sheet = self._book.add_worksheet(free)
        sheet.freeze_panes(1, 0)
        return sheet


def _cell(value: Any) -> Any:
    """Return what is written: None, text, a number, a truth, a time of UTC without its zone."""
    if isinstance(value, Enum):
        return _cell(value.value)
    if isinstance(value, datetime):
        return value.astimezone(UTC).replace(tzinfo=None) if value >= FIRST_DAY else as_data(value)
    if isinstance(value, timedelta):
        return value.total_seconds()
    if value is None or isinstance(value, str | bool | int | float | Decimal):
        return value
    data = as_data(value)
    return "; ".join(map(_told, data)) if isinstance(data, list) else str(data)


def _told(data: Any) -> str:
    return data if isinstance(data, str) else json.dumps(data, ensure_ascii=False)


def _is_number(cell: Any) -> bool:
    return isinstance(cell, int | float | Decimal) and not isinstance(cell, bool)


def _exact(cell: Any) -> str:
    """Return all digits of a number."""
    if not _is_number(cell):
        return ""
    return plain(cell) if isinstance(cell, Decimal) else str(cell)


def _is_long(cell: Any) -> bool:
    """Whether a number has more digits than a spreadsheet keeps."""
    if not isinstance(cell, int | Decimal) or isinstance(cell, bool):
        return False
    return len(_exact(cell).lstrip("-").replace(".", "").strip("0")) > MOST_DIGITS


def _style(cells: Sequence[Any]) -> str:
    """Return the number format of a column: as many decimals as its numbers have, as far as they are read."""
    times = [cell for cell in cells if isinstance(cell, datetime)]
    if times:
        return "yyyy-mm-dd hh:mm:ss" + (".000" if any(each.microsecond for each in times) else "")
    numbers = [cell for cell in cells if _is_number(cell)]
    if all(isinstance(cell, int) for cell in numbers):
        return "0"
    decimals = max(len(_exact(cell).partition(".")[2]) for cell in numbers)
    shown = decimals if decimals <= MOST_DECIMALS else USUAL_DECIMALS
    return "#,##0" + ("." + "0" * shown if shown else "")


def _width(cell: Any, style: str) -> int:
    if cell is None:
        return 0
    if isinstance(cell, datetime):
        return len(style)
    if _is_number(cell) and style != "0":
        return len(f"{cell:,.{len(style.partition('.')[2])}f}") + 1
    return len(str(cell))


def _set_widths(sheet: Worksheet, widths: Sequence[int]) -> None:
    for place, width in enumerate(widths):
        sheet.set_column(place, place, min(max(width, NARROWEST), WIDEST))
