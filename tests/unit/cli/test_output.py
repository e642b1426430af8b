import csv
import io
import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from enum import Enum
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from etf_trader.cli.documents import as_data, csv_document, json_document
from etf_trader.cli.out_file import OutFile
from etf_trader.cli.output import (
    Output,
    Page,
    Table,
    bad,
    dim,
    error_json,
    error_text,
    good,
    look,
    number,
    right,
    text,
    unmarked,
    width,
)
from etf_trader.errors import UsageError

D = Decimal


class Side(Enum):
    BUY = "buy"


@dataclass(frozen=True, slots=True)
class Loss:
    spread: Decimal
    depth: Decimal


@dataclass(frozen=True, slots=True)
class Order:
    number: int
    side: Side
    price: Decimal | None
    loss: Loss
    at: datetime


class Row(msgspec.Struct):
    amount: Decimal


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


AT = datetime(2026, 11, 21, 13, 5, tzinfo=timezone(timedelta(hours=9)))
ORDER = Order(1, Side.BUY, None, Loss(D("1E-8"), D("2.50")), AT)


def draw(page: Page) -> None:
    page.line(f"{good('Bought')} 1 unit.")
    table = Table(text("order"), number("value"))
    table.row("1", "1.5")
    page.table(table)


def printed(form: str = "table", terminal: bool = False, **environ: str) -> str:
    stream = Terminal() if terminal else io.StringIO()
    output = Output(form, csv="orders", stdout=stream, stderr=io.StringIO(), environ=environ)
    output.emit("etf.orders/1", {"orders": [ORDER], "total": D("0.10")}, draw)
    return stream.getvalue()


def test_json_is_a_flat_envelope_with_exact_values() -> None:
    assert json.loads(printed("json")) == {
        "schema": "etf.orders/1",
        "orders": [
            {
                "number": 1,
                "side": "buy",
                "price": None,
                "loss": {"spread": "0.00000001", "depth": "2.5"},
                "at": "2026-11-21T04:05:00Z",
            }
        ],
        "total": "0.1",
    }


def test_csv_is_the_named_list_with_a_header() -> None:
    document = printed("csv")
    assert document.splitlines()[0] == "number,side,price,loss.spread,loss.depth,at"
    assert document == csv_document([ORDER])
    assert document.endswith("\r\n")
    assert next(csv.DictReader(io.StringIO(document)))["loss.spread"] == "0.00000001"


def test_an_empty_csv_still_has_its_header() -> None:
    assert csv_document([], ["number", "side"]) == "number,side\r\n"


def test_csv_quotes_what_needs_it_and_joins_lists() -> None:
    rows = [{"name": 'a "b", c', "list": ["x", D("1.0")], "flag": True, "none": None}]
    assert csv_document(rows) == 'name,list,flag,none\r\n"a ""b"", c",x; 1,true,\r\n'


def test_csv_of_a_command_without_a_list_is_refused_before_anything_happens() -> None:
    with pytest.raises(UsageError, match="no list"):
        Output("csv", csv=None)


def test_a_terminal_a_pipe_and_no_color_say_the_same() -> None:
    pipe = printed()
    assert pipe == "Bought 1 unit.\norder  value\n1        1.5\n"
    coloured = printed(terminal=True, TERM="xterm")
    assert "\x1b[32mBought\x1b[0m" in coloured
    assert unmarked(coloured) == pipe
    assert printed(terminal=True, TERM="xterm", NO_COLOR="1") == pipe
    assert printed(terminal=True, TERM="dumb") == pipe


@pytest.mark.parametrize(
    ("value", "data"),
    [
        (D("1.500"), "1.5"),
        (AT, "2026-11-21T04:05:00Z"),
        (datetime(2026, 1, 1, 0, 0, 0, 5, UTC), "2026-01-01T00:00:00.000005Z"),
        (AT.date(), "2026-11-21"),
        (timedelta(minutes=1), 60.0),
        (Path("/a"), "/a"),
        ({Side.BUY: (1, None)}, {"buy": [1, None]}),
        (frozenset({"a"}), ["a"]),
        (Row(D("0.10")), {"amount": "0.1"}),
        (True, True),
    ],
    ids=str,
)
def test_values_as_data(value: object, data: object) -> None:
    assert as_data(value) == data


def test_a_set_is_sorted() -> None:
    assert as_data(frozenset({"b", "a"})) == ["a", "b"]


def test_what_has_no_form_as_data_is_a_bug() -> None:
    with pytest.raises(TypeError, match="not printable"):
        as_data(object())
    with pytest.raises(ValueError, match="not an aware time"):
        as_data(datetime(2026, 1, 1))  # noqa: DTZ001
    with pytest.raises(ValueError, match="Out of range float"):
        json_document("etf.x/1", {"x": float("nan")})


@given(st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**20), max_value=10**20))
def test_a_decimal_comes_back_from_json_exactly(value: Decimal) -> None:
    assert D(json.loads(json_document("etf.x/1", {"x": value}))["x"]) == value


def lines(table: Table, room: int | None = None) -> list[str]:
    return [unmarked(line) for line in table.lines(room)]


def book() -> Table:
    table = Table(
        text("asset"),
        number("quantity"),
        number("share"),
        right("filled"),
        text("note", optional=True),
        text("why", shrink=True),
    )
    table.row("BTC", "0.40812", good("40.0%"), "58.2 of 80", "a", "the price was above the limit")
    table.row("DENT", "4,120,033", "2.5%", "100 of 100", "", bad("thinnest of all the books we have"))
    table.row("ZIL", "-", "", "", "", "")
    return table


def test_numbers_line_up_on_the_point() -> None:
    assert lines(book()) == [
        "asset         quantity  share      filled  note  why",
        "BTC            0.40812  40.0%  58.2 of 80  a     the price was above the limit",
        "DENT   4,120,033         2.5%  100 of 100        thinnest of all the books we have",
        "ZIL                  -",
    ]


@pytest.mark.parametrize("room", [200, 80, 70, 60, 52])
def test_a_table_fits_the_terminal_and_keeps_its_numbers(room: int) -> None:
    shown = lines(book(), room)
    assert max(map(len, shown)) <= room
    assert all(part in shown[2] for part in ("DENT", "4,120,033", "2.5%", "100 of 100"))


def test_a_table_gives_up_columns_then_words_never_numbers() -> None:
    assert "note" not in lines(book(), 78)[0]
    assert "…" not in "".join(lines(book(), 78))
    assert "…" in lines(book(), 70)[1]
    assert "4,120,033" in lines(book(), 20)[2]


def test_columns_go_in_the_order_of_their_rank_those_of_one_rank_together() -> None:
    table = Table(text("aaaa"), text("bbbb", optional=1), text("cccc", optional=2), text("dddd", optional=1))
    titles = {room: lines(table, room)[0].split() for room in (22, 21, 15, 3)}
    assert titles[22] == ["aaaa", "bbbb", "cccc", "dddd"]
    assert titles[21] == ["aaaa", "bbbb", "dddd"]
    assert titles[15] == titles[3] == ["aaaa"]


def test_the_words_of_a_last_column_go_on_below() -> None:
    table = Table(right("order"), text("stopped by", wrap=True))
    table.row("1", look("loss limit 25.0 bps"))
    table.row("2", "")
    assert lines(table, 21) == ["order  stopped by", "    1  loss limit", "       25.0 bps", "    2"]
    assert lines(table)[1] == "    1  loss limit 25.0 bps"


def test_where_nothing_has_room_beside_its_row_it_stands_below() -> None:
    table = Table(text("side"), text("stopped by", wrap=True))
    table.row("rebalance 2026-02-01", "a limit of the venue")
    table.row("buy", "")
    assert lines(table, 30) == [
        "side",
        "    stopped by",
        "rebalance 2026-02-01",
        "    a limit of the venue",
        "buy",
    ]


def test_a_cut_keeps_its_colour() -> None:
    table = Table(text("why", shrink=True))
    table.row(bad("x" * 30))
    assert table.lines(10)[1] == f"\x1b[31m{'x' * 9}…\x1b[0m"


def test_a_row_has_a_cell_for_every_column() -> None:
    with pytest.raises(ValueError, match="1 cells for 2 columns"):
        Table(text("a"), text("b")).row("x")


def test_an_empty_table_has_its_titles() -> None:
    assert lines(Table(text("a"), number("b"))) == ["a  b"]


def test_sentences_wrap_on_a_terminal_only() -> None:
    page, pipe = Page(room=20), Page()
    for each in (page, pipe):
        each.line("  one two three four five six")
        each.line()
        each.line("a" * 30)
        each.line("two\nlines")
    assert page.text() == f"  one two three four\n  five six\n\n{'a' * 30}\ntwo\nlines\n"
    assert pipe.text() == f"  one two three four five six\n\n{'a' * 30}\ntwo\nlines\n"


def test_parts_of_a_line_are_not_broken_unless_they_must() -> None:
    page = Page(room=24)
    page.line("delay 0.00 · spread 408.32 · rounding 0.00")
    page.line("short · a part that is longer than the room there is")
    assert page.text() == (
        "delay 0.00 ·\nspread 408.32 ·\nrounding 0.00\nshort · a part that is\nlonger than the room\nthere is\n"
    )


def test_a_long_field_goes_on_below_itself() -> None:
    page = Page(room=30)
    page.fields([("file", "one two three four five six"), ("b", "x")])
    assert unmarked(page.text()) == "file  one two three four five\n      six\nb     x\n"


def test_fields_line_up() -> None:
    page = Page()
    page.fields([("file", "/a"), ("data folder", "/b")])
    assert unmarked(page.text()) == "file         /a\ndata folder  /b\n"


def test_marks_take_no_room() -> None:
    for mark in (good, bad, look, dim):
        assert width(mark("abc")) == 3
        assert unmarked(mark("abc")) == "abc"


@pytest.mark.parametrize(
    ("form", "quiet", "out", "err"),
    [
        ("table", False, "done\n", "beside\n"),
        ("table", True, "done\n", ""),
        ("json", False, "", "beside\n"),
        ("json", True, "", ""),
    ],
)
def test_results_go_to_stdout_and_notes_to_stderr(form: str, quiet: bool, out: str, err: str) -> None:
    stdout, stderr = io.StringIO(), io.StringIO()
    output = Output(form, quiet=quiet, stdout=stdout, stderr=stderr)
    output.say("done")
    output.note("beside")
    output.detail("more")
    assert (stdout.getvalue(), stderr.getvalue()) == (out, err)


def test_details_need_v() -> None:
    stderr = io.StringIO()
    Output(verbose=True, stderr=stderr).detail("more")
    assert stderr.getvalue() == "more\n"


def test_without_a_terminal_nothing_waits_for_an_answer() -> None:
    stderr = io.StringIO()
    assert Output(stderr=stderr).confirm("Sure?") is False
    assert stderr.getvalue() == ""


def test_progress_is_silent_in_a_pipe_and_for_quick_work() -> None:
    for stream in (io.StringIO(), Terminal()):
        with Output(stderr=stream, environ={"TERM": "xterm"}).progress("Buying") as progress:
            progress.update(D("0.5"), "3 units")
            progress.update(None)
        assert stream.getvalue() == ""


def test_progress_shows_after_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("etf_trader.cli.progress.SHOWN_AFTER_SECONDS", 0.0)
    stream = Terminal()
    with Output(stderr=stream, environ={"TERM": "xterm"}).progress("Buying") as progress:
        assert progress._timer is not None
        progress._timer.join(10)
        progress.update(D("0.5"), "3,058 units [x]")
    assert "Buying" in stream.getvalue()
    assert "50%" in unmarked(stream.getvalue())
    assert "3,058 units [x]" in unmarked(stream.getvalue())


def test_an_error_is_a_sentence_what_to_do_and_the_exit_code() -> None:
    told = error_text(
        "0.002 units (2.00 USDT) is below the least order of 0.0113 units while the float is 0.00",
        exit_code=2,
        code="usage",
        where=None,
        hint="Give the index a float once (etf index fund 1 600), or buy at least 0.0113.",
    )
    assert told == (
        "etf: 0.002 units (2.00 USDT) is below the least order of 0.0113 units while the float is 0.00.\n"
        "     Give the index a float once (etf index fund 1 600), or buy at least 0.0113.      [exit 2]\n"
    )


@pytest.mark.parametrize(
    ("message", "where", "hint", "told"),
    [
        ("it failed", None, None, "etf: it failed.  [exit 1]\n"),
        ("it failed.", "a.toml", None, "etf: it failed (a.toml).  [exit 1]\n"),
        ("a.toml is bad", "a.toml", None, "etf: a.toml is bad.  [exit 1]\n"),
        ("really?", None, "etf doctor", "etf: really?\n     etf doctor  [exit 1]\n"),
        ("two\nlines", None, None, "etf: two\n     lines.  [exit 1]\n"),
    ],
)
def test_errors_read_alike(message: str, where: str | None, hint: str | None, told: str) -> None:
    assert error_text(message, exit_code=1, code="error", where=where, hint=hint) == told


def test_an_error_as_a_document() -> None:
    document = json.loads(error_json("no", exit_code=3, code="not_found", where="x", hint=None))
    assert document == {
        "schema": "etf.error/1",
        "code": "not_found",
        "exit": 3,
        "message": "no",
        "where": "x",
        "hint": None,
    }


@pytest.mark.parametrize(
    ("form", "out", "is_refused"),
    [
        ("html", None, True),
        ("xlsx", None, True),
        ("html", OutFile(None), False),
        ("xlsx", OutFile(None), True),
        ("html", OutFile(Path("a.html")), False),
        ("table", OutFile(None), False),
    ],
)
def test_a_terminal_gets_no_file_unless_it_is_asked_for(form: str, out: OutFile | None, is_refused: bool) -> None:
    def made() -> Output:
        return Output(form, files=True, out=out, stdout=Terminal(), environ={})

    if is_refused:
        with pytest.raises(UsageError, match=f"{form} is not read on a terminal"):
            made()
    else:
        made()


def test_a_command_without_html_says_so() -> None:
    with pytest.raises(UsageError, match="this command cannot print html"):
        Output("html", stdout=io.StringIO())


def test_a_file_gets_the_table_without_colours_and_stdout_nothing(tmp_path: Path) -> None:
    stdout, stderr = Terminal(), io.StringIO()
    path = tmp_path / "orders.txt"
    output = Output("table", csv="orders", files=True, out=OutFile(path), stdout=stdout, stderr=stderr, environ={})
    assert not output.is_table
    output.say("Reading.")
    output.emit("etf.orders/1", {"orders": [ORDER]}, draw)
    assert path.read_text() == "Bought 1 unit.\norder  value\n1        1.5\n"
    assert stdout.getvalue() == ""
    assert stderr.getvalue() == f"Wrote {path} (1 kB).\n"
