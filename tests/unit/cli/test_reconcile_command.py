"""`etf reconcile`: what it says of agreement and of differences, and how a person books them."""

import getpass
import json
import re
import shutil
import sqlite3
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import pytest
from tests.unit.cli.made import make_folder, settings_of

from etf_trader.bootstrap import open_exchange
from etf_trader.cli import app
from etf_trader.exchange.paper import OrderRequest

D = Decimal
UID = "paper"
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with an index of two, of which 10 units were bought."""
    return make_folder(tmp_path_factory.mktemp("made"), "", [("10", None)])


@pytest.fixture
def folder(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "copy"))


@pytest.fixture
def run(folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.chdir(folder)
    monkeypatch.setattr("etf_trader.execution.reconcile.LOOK_AGAIN_SECONDS", 0)
    monkeypatch.setattr(getpass, "getuser", lambda: "carol")

    def typed(*arguments: str) -> tuple[int, str, str]:
        code = app.run(arguments)
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return typed


def trade_by_hand(folder: Path) -> None:
    exchange = open_exchange(settings_of(folder))
    price = exchange.depth("BTCUSDT", 1).asks[0].price
    exchange.place(UID, OrderRequest("BTCUSDT", "BUY", "LIMIT", "IOC", D("0.01"), price, "mine", exchange.now()))


def test_books_that_agree_are_told_in_a_line(run: Run) -> None:
    assert run("reconcile") == (0, "The books agree with the venue.\n", "")
    document = json.loads(run("reconcile", "--json")[1])
    assert document == {
        "schema": "etf.reconciliation/1",
        "agrees": True,
        "booked": [],
        "explained": [],
        "warnings": [],
        "differences": [],
    }


def test_a_deposit_on_the_venues_record_is_told_and_is_no_difference(run: Run, folder: Path) -> None:
    open_exchange(settings_of(folder)).deposit(UID, "USDT", D("12.5"), "by-hand")
    code, out, _ = run("reconcile")
    assert (code, out) == (
        0,
        "Deposit of 12.5 USDT booked for self.\nThe books agree with the venue, now.\n",
    )


def test_a_trade_by_hand_is_shown_with_its_numbers_and_what_to_type(run: Run, folder: Path) -> None:
    trade_by_hand(folder)
    code, out, _ = run("reconcile")
    assert code == 9
    first, *rest = out.splitlines()
    assert first == "The books and the venue differ in 2 assets: nothing is traded."
    assert any(re.match(r" +1 +BTC +[\d.]+ +[\d.]+ +\+0\.00999$", line.rstrip()) for line in rest), out
    assert out.count("Order mine, which is not of these books, bought 0.01 BTCUSDT at") == 1
    assert rest[-2:] == [
        "  etf reconcile --book 1 --as deposit|airdrop|opening",
        "  etf reconcile --book 2 --as withdrawal|dust",
    ]


def test_the_document_of_differences(run: Run, folder: Path) -> None:
    trade_by_hand(folder)
    code, out, _ = run("reconcile", "--json")
    document = json.loads(out)
    assert (code, document["agrees"], len(document["explained"])) == (9, False, 1)
    first = document["differences"][0]
    assert (first["number"], first["asset"], first["difference"]) == (1, "BTC", "0.00999")
    assert D(first["venue"]) - D(first["books"]) == D(first["difference"])
    assert first["book_as"] == ["deposit", "airdrop", "opening"]
    assert run("reconcile", "--format", "csv")[1].splitlines()[0].startswith("number,asset,venue,books,difference")


def test_differences_are_booked_one_after_the_other_and_trading_goes_on(run: Run, folder: Path) -> None:
    trade_by_hand(folder)
    run("reconcile")
    assert run("submit", "buy", "--index", "1", "--qty", "1")[0] == 9
    code, out, _ = run("reconcile", "--book", "1", "--as", "opening", "--reason", "an old coin")
    assert code == 9
    assert out.startswith(
        "Difference 1 is booked as opening for self.\nThe books and the venue differ in 1 asset:"
    )
    code, out, _ = run("reconcile", "--book", "2", "--as", "withdrawal")
    assert (code, out) == (
        0,
        "Difference 2 is booked as withdrawal for self.\nThe books agree with the venue.\n",
    )
    again = run("reconcile", "--book", "2", "--as", "withdrawal")
    assert again == (
        0,
        "Difference 2 was booked already as withdrawal for self.\nThe books agree with the venue.\n",
        "",
    )
    connection = sqlite3.connect(folder / "etf.db")
    rows = connection.execute("SELECT booked_as, holder, operator, reason FROM difference ORDER BY id").fetchall()
    connection.close()
    assert rows == [("opening", "self", "carol", "an old coin"), ("withdrawal", "self", "carol", "")]
    assert re.search(r"^BTC +0\.00999 +0$", run("treasury", "show")[1], re.MULTILINE)
    assert run("ledger", "audit")[0] == 0
    assert run("submit", "buy", "--index", "1", "--qty", "1")[0] == 0


def test_an_airdrop_goes_to_the_holder_who_is_named(run: Run, folder: Path) -> None:
    trade_by_hand(folder)
    run("reconcile")
    run("reconcile", "--book", "1", "--as", "airdrop", "--holder", "alice")
    document = json.loads(run("treasury", "show", "--holder", "alice", "--json")[1])
    assert document["balances"] == [{"asset": "BTC", "free": "0.00999", "reserved": "0"}]


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        (("--book", "1"), 2, "--book needs to know what the difference was"),
        (("--book", "1", "--as", "gift"), 2, "'gift' is no kind of difference"),
        (("--as", "deposit"), 2, "--as says something of a difference"),
        (("--reason", "because"), 2, "--reason says something of a difference"),
        (("--book", "9", "--as", "deposit"), 3, "there is no difference 9"),
        (("--book", "1", "--as", "dust"), 2, "more than the books: that is no dust"),
        (("--book", "2", "--as", "dust", "--holder", "bob"), 2, "the treasury of bob holds 0 USDT"),
        (("--book", "1", "--as", "deposit", "--holder", "no one"), 2, "'no one' cannot be a holder"),
        (("--book", "1", "--as", "deposit", "--reason", "x" * 501), 2, "a reason has at most 500 characters"),
    ],
)
def test_what_cannot_be_meant_is_refused_in_a_sentence(
    run: Run, folder: Path, arguments: tuple[str, ...], code: int, sentence: str
) -> None:
    trade_by_hand(folder)
    run("reconcile")
    ended, _, err = run("reconcile", *arguments)
    assert ended == code
    assert sentence in " ".join(err.split())
