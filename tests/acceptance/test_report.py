"""`etf report`: what is told when the exchange cannot be asked; reports as files."""

import re
from decimal import Decimal

from openpyxl import load_workbook
from tests.acceptance.shell import Shell, above_nav


def test_fills_are_reported_without_the_exchange(held: Shell) -> None:
    limit = above_nav(held, Decimal("1.0005"))
    held.etf("submit", "buy", "--index", "1", "--qty", "100", "--limit", limit)
    whole = held.json("report", "fills")
    (held.folder / "exchange.db").unlink()
    answer = held.etf("report", "fills", "--json")
    assert answer.code == 0
    assert "What was missed is left out, it needs the prices of now: there is no database yet" in answer.err
    assert answer.document["missed"] is None
    assert whole["missed"] is not None
    assert answer.document["fills"] == whole["fills"]
    assert answer.document["loss"] == whole["loss"]
    assert not (held.folder / "exchange.db").exists()


def test_holdings_without_the_exchange_say_what_is_missing(held: Shell) -> None:
    (held.folder / "exchange.db").unlink()
    answer = held.etf("report", "holdings")
    assert answer.code == 4
    assert "holdings are valued at the prices of now, and there is no exchange that has them" in answer.err
    assert "exchange.db" in answer.err


def test_a_workbook_holds_every_digit_of_the_document(held: Shell) -> None:
    document = held.json("report", "fills")
    answer = held.etf("report", "fills", "--out", "fills.xlsx")
    assert (answer.code, answer.out) == (0, "")
    assert re.fullmatch(r"Wrote fills\.xlsx \(\d+ kB\)\.\n", answer.err)
    assert (held.folder / "fills.xlsx").stat().st_mode & 0o777 == 0o600
    book = load_workbook(held.folder / "fills.xlsx")
    assert book.sheetnames == ["summary", "fills", "orders", "orders.constituents", "constituents"]
    for name in ("fills", "orders", "constituents"):
        header, *rows = book[name].iter_rows(values_only=True)
        read = [dict(zip(map(str, header), row, strict=True)) for row in rows]
        assert len(read) == len(document[name])
        for row, line in zip(read, document[name], strict=True):
            assert Decimal(str(row.get("loss (exact)") or f"{row['loss']:.15g}")) == Decimal(line["loss"])
            at = "at" if name == "fills" else "accepted_at"
            if at in line:
                assert f"{row[f'{at} (UTC)']:%Y-%m-%dT%H:%M:%S}" == line[at][:19]


def test_a_report_is_written_again_and_another_file_is_left_alone(held: Shell) -> None:
    held.ok("report", "holdings", "--out", "holdings.html")
    held.ok("report", "holdings", "--out", "holdings.html")
    mine = held.folder / "mine.html"
    mine.write_text("<p>mine</p>")
    answer = held.etf("report", "holdings", "--out", "mine.html")
    assert (answer.code, mine.read_text()) == (2, "<p>mine</p>")
    assert "replace it with --overwrite" in answer.err
    held.ok("report", "holdings", "--out", "mine.html", "--overwrite")
    assert mine.read_text().startswith("<!DOCTYPE html>")


def test_a_pipe_gets_what_a_file_gets_and_a_terminal_a_sentence(held: Shell) -> None:
    piped = held.ok("report", "fills", "--format", "html")
    assert piped.startswith("<!DOCTYPE html>")
    assert piped.endswith("</html>\n")
    shown = held.on_terminal(100, "report", "fills", "--format", "xlsx")
    assert shown[0] == "etf: xlsx is not read on a terminal (--format)."
    assert "--out report.xlsx" in shown[1]


def test_a_file_that_cannot_be_is_refused_before_anything_is_done(held: Shell) -> None:
    before = held.fingerprint()
    answer = held.etf("risk", "set", "max_order", "5", "--out", "no/limits.html")
    assert answer.code == 2
    assert "there is no folder" in answer.err
    assert held.fingerprint() == before
