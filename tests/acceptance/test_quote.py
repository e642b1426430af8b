"""`etf quote` from the outside: the same numbers as a dry run, on any terminal, and nothing changes."""

import csv
import io
import json
import os
import subprocess
import sys
from decimal import Decimal
from itertools import pairwise
from typing import Any

import pytest
from tests.acceptance.shell import Shell

from etf_trader.cli.app import run
from etf_trader.money import money_context

D = Decimal
CHART = ("┤", "└", "╯", "╭")


class Here:
    """Types commands in one folder, in this process: a quote takes a tenth of the time of a start."""

    def __init__(self, shell: Shell, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(shell.folder)
        monkeypatch.setenv("HOME", str(shell.folder / "home"))
        self._capsys = capsys

    def quote(self, words: str, *options: str) -> tuple[int, str, str]:
        """Return the exit code of a quote and what it printed on either side."""
        code = run(["quote", *words.split(), *options])
        return code, *self._capsys.readouterr()

    def ok(self, words: str, *options: str) -> str:
        """Return what a quote that must succeed prints."""
        code, out, err = self.quote(words, *options)
        assert code == 0, out + err
        return out

    def json(self, words: str) -> dict[str, Any]:
        """Return the document of a quote that must succeed."""
        found: dict[str, Any] = json.loads(self.ok(words, "--json"))
        return found


@pytest.fixture
def here(made: Shell, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Here:
    """Return a folder of one's own after `etf init`."""
    return Here(made, capsys, monkeypatch)


@pytest.mark.parametrize(
    "words", ["buy --index TOP8 --qty 800 --limit 1001.05", "sell --index 1 --qty all --max-loss 10.3"]
)
def test_its_plan_is_that_of_the_dry_run(held: Shell, words: str) -> None:
    quoted = held.json("quote", *words.split())
    tried = held.json("submit", *words.split(), "--dry-run")
    assert quoted["plan"] == tried["plan"]
    for name in ("units", "loss", "loss_bps", "spread", "depth", "fee", "rounding", "stopped_by"):
        assert quoted[name] == tried["plan"][name]


def test_it_changes_nothing(held: Shell) -> None:
    before = held.fingerprint()
    for words in ("buy --index 1 --qty 100", "sell --index 1 --qty all --json"):
        held.ok("quote", *words.split())
    assert held.etf("quote", "buy", "--index", "1", "--qty", "0").code == 2
    assert held.fingerprint() == before


def test_it_imports_no_solver_library(made: Shell) -> None:
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "etf_trader", "quote", "buy", "--index", "1", "--qty", "100"],
        cwd=made.folder,
        env=os.environ | {"HOME": str(made.folder / "home")},
        capture_output=True,
        text=True,
        check=True,
    )
    assert "etf_trader.solver.quote" in done.stderr
    assert "scipy" not in done.stderr


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        (60, "buy --index 1 --qty 100"),
        (60, "sell --index 1 --qty 123456.789 --max-loss 25 --limit 990"),
        (80, "buy --index 1"),
        (140, "sell --index 1 --qty 123456.789"),
    ],
)
def test_every_line_fits_the_terminal_and_the_chart_stands(made: Shell, columns: int, words: str) -> None:
    lines = made.on_terminal(columns, "quote", *words.split())
    assert [line for line in lines if len(line) > columns] == []
    assert all(any(sign in line for line in lines) for sign in CHART)


def test_a_pipe_and_a_dumb_terminal_read_the_same(made: Shell) -> None:
    piped = made.ok("quote", "buy", "--index", "1", "--qty", "100")
    assert "\x1b" not in piped
    assert piped == made.etf("quote", "buy", "--index", "1", "--qty", "100", NO_COLOR="1", TERM="dumb").out
    assert all(sign in piped for sign in CHART)


def test_a_buy_in_words(here: Here) -> None:
    told = here.ok("buy --index 1 --qty 100")
    lines = told.splitlines()
    assert lines[0] == "Buy 100 units of TOP8: about 100,102.87 USDT, 10.3 bps over the price now (1,000.00)."
    assert "Loss  102.87   spread 2.69 · depth 0.08 · fee 100.11" in lines
    assert any(line.startswith("Fills 100% · 8 orders, 8 of 100 free slots, under a second") for line in lines)
    assert "The best way is one market-like order per asset: optimising gains 0.00 bps." in lines
    assert any(line.startswith("   100        100,102.87      102.87  10.3") for line in lines)
    assert "treasury" not in told
    assert lines[-1].endswith("etf submit buy --index 1 --qty 100 --dry-run")


def test_a_buy_beyond_the_treasury_and_the_limit_in_words(here: Here) -> None:
    told = here.ok("buy --index 1 --qty 5000 --limit 1001.5")
    assert "Stopped by the limit: " in told
    assert "One market order per asset would buy all 5,000 units and lose " in told
    assert "The same limit on each asset alone would make " in told
    assert " 1,001.50 a unit, at " in told
    assert "pays for 998." in told


def test_other_currencies_save_something_where_books_are_used_up_and_nothing_before(here: Here) -> None:
    assert "Trading in USDC or FDUSD beside USDT would save nothing." in here.ok("buy --index 1 --qty 100")
    quoted = here.json("buy --index 1 --qty 20000")
    alone, *others = quoted["routes"]
    assert (alone["currencies"], alone["saved"]) == (["USDT"], "0")
    assert [row["currencies"][1:] for row in others] == [["USDC"], ["FDUSD"], ["USDC", "FDUSD"]]
    assert all(D(row["saved_bps"]) > 0 and row["orders"] > quoted["orders"] for row in others)
    assert D(others[2]["saved_bps"]) >= max(D(row["saved_bps"]) for row in others)


def test_the_largest_size_under_a_loss(here: Here) -> None:
    quoted = here.json("buy --index 1 --max-loss 20")
    assert quoted["units"] is None
    assert quoted["largest"]["stopped_by"] == ["loss"]
    assert D("19.9") < D(quoted["largest"]["loss_bps"]) <= 20
    told = here.ok("buy --index 1 --max-loss 20")
    assert told.startswith("Buying TOP8 within 20.0 bps: up to 10,")
    assert "◆" in told


def test_the_curve_costs_more_the_further_it_goes_and_ends_with_the_first_book(here: Here) -> None:
    quoted = here.json("sell --index 1 --qty 100")
    rows = [(D(row["units"]), D(row["loss"]), D(row["loss_bps"])) for row in quoted["curve"]]
    assert all(left[:2] < right[:2] for left, right in pairwise(rows))
    assert rows[-1][2] > rows[0][2]
    ends = [D(end["units"]) for end in quoted["ends"]]
    assert ends == sorted(ends)
    assert abs(ends[0] - rows[-1][0]) < D("0.01")
    with money_context():
        for row in quoted["curve"]:
            parts = [D(row[part]) for part in ("delay", "spread", "depth", "fee", "rounding")]
            assert sum(parts) == D(row["loss"])


def test_a_book_that_was_read_in_part_does_not_count_as_empty(here: Here) -> None:
    assert run(["config", "set", "solver.depth", "20"]) == 0
    told = here.ok("buy --index 1 --qty 100000")
    assert "etf config set solver.depth 5000 reads on." in told
    assert "△" in told
    assert "▲" not in told
    assert "BTC beyond " in told
    assert not any(end["complete"] for end in here.json("buy --index 1")["ends"])


def test_csv_is_the_curve(here: Here) -> None:
    rows = list(csv.DictReader(io.StringIO(here.ok("buy --index 1 --format csv"))))
    quoted = here.json("buy --index 1")
    assert rows == quoted["curve"]


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        ("buy --index TOP9", 3, "there is no index 'TOP9'"),
        ("buy --index 1 --qty 0", 2, "0 is not above zero"),
        ("buy --index 1 --qty all", 2, "'all' is not a number"),
        ("buy --index 1 --qty 0.000000001", 2, "finer than 8 decimals"),
        ("sell --index 1 --qty all", 2, "self holds no units of TOP8 that could be sold"),
        ("buy --qty 5", 2, "etf quote buy needs --index"),
    ],
)
def test_what_cannot_be_asked_is_one_sentence(here: Here, words: str, code: int, message: str) -> None:
    ended, out, err = here.quote(words)
    assert (ended, out) == (code, "")
    assert message in err
    assert len(err.splitlines()) <= 2


@pytest.mark.parametrize("words", ["buy --index 1 --qty 5 --limit 900", "buy --index 1 --max-loss 1"])
def test_nothing_possible_is_an_answer_and_ends_with_7(here: Here, words: str) -> None:
    code, out, _ = here.quote(words)
    assert code == 7
    assert "nothing of it is possible" in out
    assert all(sign in out for sign in CHART)


def test_sizes_that_nobody_has_are_answered(here: Here) -> None:
    for quantity in ("0.00000001", "99999999999999"):
        told = here.ok(f"sell --index 1 --qty {quantity}")
        assert all(sign in told for sign in CHART[:2])


def test_no_chart_is_drawn_where_its_signs_would_be_question_marks(made: Shell) -> None:
    said = made.anew("quote", "buy", "--index", "1", "--qty", "10", PYTHONIOENCODING="ascii")
    assert (said.code, "loss in bps, by units" in said.out) == (0, False)
    assert "asked for" in said.out and "gives out" in said.out
