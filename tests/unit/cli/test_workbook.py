"""A workbook holds what the document holds: read back, no digit is lost and no text is computed."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from io import BytesIO
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openpyxl import Workbook, load_workbook
from openpyxl.worksheet.worksheet import Worksheet
from tests.effort import examples

from etf_trader.cli import workbook as module
from etf_trader.cli.workbook import workbook_document
from etf_trader.errors import UsageError
from etf_trader.money import money_context, plain

D = Decimal
NOW = datetime(2026, 11, 21, 3, 50, tzinfo=UTC)
ORIGIN = [("made", "2026-11-21 03:50:00 UTC by etf")]
TOKYO = timezone(timedelta(hours=9))


@dataclass(frozen=True, slots=True)
class Part:
    asset: str
    loss: Decimal


@dataclass(frozen=True, slots=True)
class Line:
    order: int
    at: datetime
    loss: Decimal | None
    is_maker: bool
    parts: tuple[Part, ...]


def book_of(payload: dict[str, Any], empty: dict[str, tuple[str, ...]] | None = None) -> Workbook:
    with money_context():
        content = workbook_document("etf.orders/1", payload, empty or {}, ORIGIN, NOW)
    found: Workbook = load_workbook(BytesIO(content))
    return found


def sheet_of(book: Workbook, name: str) -> Worksheet:
    sheet = book[name]
    assert isinstance(sheet, Worksheet)
    return sheet


def rows_of(book: Workbook, name: str) -> list[tuple[Any, ...]]:
    return list(sheet_of(book, name).iter_rows(values_only=True))


def column_of(book: Workbook, name: str, title: str) -> list[Any]:
    header, *rows = rows_of(book, name)
    return [row[header.index(title)] for row in rows]


LINES = (
    Line(
        1,
        datetime(2026, 11, 21, 12, 50, tzinfo=TOKYO),
        D("1.50"),
        False,
        (Part("BTC", D(1)), Part("ETH", D("0.5"))),
    ),
    Line(2, datetime(2026, 11, 21, 3, 50, 1, 250_000, tzinfo=UTC), None, True, (Part("BTC", D(2)),)),
)


def test_each_list_has_a_sheet_and_the_rest_is_in_the_summary() -> None:
    book = book_of(
        {
            "made": "by hand",
            "total": D("1.5"),
            "loss": {"spread": D(1)},
            "stops": ("limit", "depth"),
            "orders": LINES,
        }
    )
    assert book.sheetnames == ["summary", "orders", "orders.parts"]
    assert [row[:2] for row in rows_of(book, "summary")] == [
        ("name", "value"),
        *ORIGIN,
        ("made", "by hand"),
        ("total", 1.5),
        ("loss.spread", 1),
        ("stops", "limit; depth"),
    ]
    assert rows_of(book, "orders.parts") == [
        ("orders.order", "asset", "loss"),
        (1, "BTC", 1),
        (1, "ETH", 0.5),
        (2, "BTC", 2),
    ]
    assert rows_of(book, "orders")[0] == ("order", "at (UTC)", "loss", "is_maker")
    assert column_of(book, "orders", "is_maker") == [False, True]
    assert column_of(book, "orders", "loss") == [1.5, None]


def test_times_are_times_of_utc() -> None:
    book = book_of({"since": NOW, "orders": LINES})
    first, second = column_of(book, "orders", "at (UTC)")
    assert first == datetime(2026, 11, 21, 3, 50)  # noqa: DTZ001 - a spreadsheet knows no zones
    assert abs(second - datetime(2026, 11, 21, 3, 50, 1, 250_000)) < timedelta(milliseconds=1)  # noqa: DTZ001
    assert "since (UTC)" in [row[0] for row in rows_of(book, "summary")]


def test_the_head_stays_and_columns_are_wide_enough() -> None:
    sheet = sheet_of(book_of({"orders": [{"asset": "a" * 30, "value": D("1234567.25")}]}), "orders")
    assert sheet.freeze_panes == "A2"
    assert sheet.column_dimensions["A"].width >= 30
    assert sheet.column_dimensions["B"].width >= len("1,234,567.25")
    assert sheet["B2"].number_format == "#,##0.00"


@pytest.mark.parametrize(
    "text", ["=1+1", "+1", "-2+3", "@SUM(A1)", "=cmd|' /C calc'!A0", "{=1}", "12", "http://a.b", "\t=1"]
)
def test_text_is_text_whatever_it_begins_with(text: str) -> None:
    book = book_of({"name": text, "orders": [{"name": text}]})
    for cell in (sheet_of(book, "orders")["A2"], sheet_of(book, "summary")["B3"]):
        assert cell.value == text
        assert cell.data_type == "s"
        assert cell.hyperlink is None
        assert cell.quotePrefix


exact = st.decimals(-(10**20), 10**20, places=8) | st.decimals(-1000, 1000, places=20)


@settings(max_examples=examples(40), deadline=None)
@given(st.lists(exact, min_size=1, max_size=8))
def test_no_digit_is_lost(values: list[Decimal]) -> None:
    book = book_of({"total": values[0], "orders": [{"value": value} for value in values]})
    header, *rows = rows_of(book, "orders")
    for value, row in zip(values, rows, strict=True):
        assert float(row[0]) == pytest.approx(float(value), rel=1e-14)
        told = D(row[1]) if len(header) > 1 else D(f"{row[0]:.15g}")
        assert told == value
    if len(header) > 1:
        assert header == ("value", "value (exact)")
        assert [row[1] for row in rows] == [plain(value) for value in values]


def test_a_column_of_short_numbers_has_no_exact_one() -> None:
    book = book_of({"orders": [{"value": D("123456789.123456")}, {"value": D("1E+30")}, {"id": 10**15 + 1}]})
    assert rows_of(book, "orders")[0] == ("value", "id", "id (exact)")


def test_an_empty_list_keeps_its_head() -> None:
    book = book_of({"orders": []}, {"orders": ("order", "loss")})
    assert rows_of(book, "orders") == [("order", "loss")]


def test_long_and_strange_names_of_sheets_stay_apart() -> None:
    row = [{"a": 1}]
    book = book_of({"a" * 40: row, "a" * 41: row, "Summary": row, "history": row, "x/y": row})
    assert book.sheetnames == ["summary", "a" * 31, "a" * 29 + " 2", "Summary 2", "history 2", "x_y"]


def test_what_has_no_room_is_refused_and_not_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match="40,000 letters"):
        book_of({"name": "x" * 40_000})
    monkeypatch.setattr(module, "MOST_ROWS", 2)
    with pytest.raises(UsageError, match="orders has 3 rows, and a sheet holds 2"):
        book_of({"orders": [{"a": 1}] * 3})
