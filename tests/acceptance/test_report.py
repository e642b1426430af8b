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


def test_reports_of_the_ledger_add_up_at_the_command_line(held: Shell) -> None:
    held.ok("exchange", "advance", "30h")
    held.ok("submit", "sell", "--index", "1", "--qty", "40")
    loss = held.json("report", "loss")
    assert [line["side"] for line in loss["losses"]] == ["buy", "sell"]
    assert all(line["loss"] == line["cash_loss"] for line in (*loss["losses"], *loss["totals"]))
    costs = held.json("report", "costs", "--currency", "USD", "--rate", "0.9998")
    assert costs["rates"] == [
        {"quote": "USDT", "currency": "USD", "rate": "0.9998", "source": "typed", "at": None}
    ]
    assert Decimal(costs["totals"][0]["loss"]) == Decimal(loss["totals"][0]["loss"]) * Decimal("0.9998")
    gains = held.json("report", "gains", "--year", "2026")
    (units,) = (line for line in gains["gains"] if line["of"] == "units")
    assert (units["quantity"], units["days_held"]) == ("40", 1)
    made = held.json("report", "statement", "--from", "2026-01-06")
    (position,) = made["positions"]
    assert (position["opening_units"], position["closing_units"]) == ("100", "60")
    assert {each["source"] for each in made["prices"]} == {"the day's close", "mid"}
    then = held.json("report", "holdings", "--as-of", "2026-01-06")["indices"][0]
    assert (then["units"], then["value"]) == ("100", position["opening"])
    terminal = held.on_terminal(80, "report", "gains", "-v")
    assert all(len(line) <= 80 for line in terminal)


def test_moments_that_cannot_be_are_refused_in_a_sentence(made: Shell) -> None:
    for words, sentence in (
        (("holdings", "--as-of", "2030-01-01"), "--as-of 2030-01-01 lies in the future: it is 2026-01-05"),
        (("holdings", "--as-of", "2020-01-01"), "there was no index yet: TOP8 was made 2026-01-05"),
        (("holdings", "--currency", "USD"), "no market between USDT and USD, and one is not taken for the other"),
        (("statement", "--rate", "0.9"), "--rate says what one is worth in which currency?"),
        (("loss", "--from", "2026-01-05", "--to", "2026-01-05"), "nothing lies between them"),
    ):
        answer = made.etf("report", *words)
        assert (answer.code, answer.out) == (2, "")
        assert sentence in answer.err
    assert "there is no holder 'bob'" in made.etf("report", "statement", "--holder", "bob").err


def test_the_ledger_is_exported_to_a_file_of_ones_own(held: Shell) -> None:
    file = held.folder / "books.beancount"
    told = held.json("ledger", "export", "--out", "books.beancount")
    assert file.stat().st_mode & 0o777 == 0o600
    text = file.read_text()
    assert text.count("\n  hash: ") == told["transactions"]
    assert held.etf("ledger", "export").out == text
    again = held.etf("ledger", "export", "--out", "books.beancount")
    assert (again.code, "replace it with --overwrite" in again.err) == (2, True)
    assert held.ok("ledger", "export", "--out", "books.csv").startswith("Wrote books.csv")
    assert len((held.folder / "books.csv").read_text().splitlines()) == told["postings"] + 1
    for out, sentence in (
        (("books.foo",), "the name books.foo does not tell how to write the ledger"),
        (("books.beancount", "--format", "csv"), "books.beancount would hold csv, not beancount"),
    ):
        answer = held.etf("ledger", "export", "--overwrite", "--out", *out)
        assert (answer.code, sentence in answer.err) == (2, True)
    assert held.ok("ledger", "export", "--format", "csv", "--out", "books.foo").startswith("Wrote books.foo")
    assert file.read_text() == text
    assert not list(held.folder.glob(".books*"))


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
