"""`etf report`: what is told when the exchange cannot be asked."""

from decimal import Decimal

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
    assert (again.code, "exists already" in again.err) == (2, True)
    rows = held.ok("ledger", "export", "--format", "csv", "--out", "books.beancount", "--overwrite")
    assert rows.startswith("Wrote books.beancount")
    assert len(file.read_text().splitlines()) == told["postings"] + 1
    assert not list(held.folder.glob(".books*"))
