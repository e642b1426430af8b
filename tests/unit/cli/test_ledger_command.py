"""`etf ledger audit`: what it says of books that are right, and of books that are not."""

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
    """A folder with an index of two, of which 40.5 units were bought."""
    return make_folder(tmp_path_factory.mktemp("made"), "", [("40.5", None)])


@pytest.fixture
def folder(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "copy"))


@pytest.fixture
def run(folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.chdir(folder)

    def typed(*arguments: str) -> tuple[int, str, str]:
        code = app.run(("ledger", "audit", *arguments))
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return typed


def change(folder: Path, statement: str, *values: object) -> None:
    connection = sqlite3.connect(folder / "etf.db", isolation_level=None)
    connection.execute("PRAGMA foreign_keys = OFF")
    assert connection.execute(statement, values).rowcount > 0
    connection.close()


def test_right_books_are_told_in_two_lines(run: Run) -> None:
    code, out, err = run()
    assert (code, err) == (0, "")
    first, second = out.splitlines()
    assert re.fullmatch(
        r"The books are right: \d+ transactions, \d+ postings, \d+ fills, and the venue holds what they say\.",
        first,
    )
    assert re.fullmatch(r"ledger [0-9a-f]{64}", second)


def test_the_document_of_right_books(run: Run) -> None:
    code, out, _ = run("--json")
    document = json.loads(out)
    assert code == 0
    assert (document["schema"], document["clean"], document["findings"]) == ("etf.audit/1", True, [])
    assert document["transactions"] > document["fills"] > 0
    assert len(document["head"]) == 64


def test_right_books_have_an_empty_csv_with_its_header(run: Run) -> None:
    code, out, _ = run("--format", "csv")
    assert (code, out.split()) == (0, ["entry,message"])


def test_a_changed_digit_is_exit_9_and_names_the_first_entry(run: Run, folder: Path) -> None:
    change(folder, "UPDATE balance SET amount = amount || '1' WHERE account = 'float:1' AND asset = 'USDT'")
    code, out, err = run()
    assert (code, err) == (9, "")
    first, *_, last = out.splitlines()
    assert re.fullmatch(
        r"The books are off, first at balance of float:1 in USDT: it is [\d.]+1, the postings sum to [\d.]+\.",
        first,
    )
    assert re.fullmatch(r"Checked \d+ transactions, \d+ postings, \d+ fills\. Nothing was changed\.", last)


def test_the_findings_are_in_the_document(run: Run, folder: Path) -> None:
    change(folder, "UPDATE position SET units = '40.6' WHERE id = 1")
    code, out, _ = run("--json")
    document = json.loads(out)
    assert (code, document["clean"]) == (9, False)
    assert document["findings"][0] == {
        "entry": "position 1",
        "message": "its units is 40.6, the chain makes it 40.5",
    }


def test_findings_as_csv_have_a_line_each(run: Run, folder: Path) -> None:
    change(folder, "UPDATE position SET units = '40.6' WHERE id = 1")
    code, out, _ = run("--format", "csv")
    assert code == 9
    assert out.splitlines()[:2] == ["entry,message", 'position 1,"its units is 40.6, the chain makes it 40.5"']


def test_many_findings_are_cut_after_ten(run: Run, folder: Path) -> None:
    change(folder, "UPDATE posting SET amount = amount || '1' WHERE amount LIKE '%.%'")
    code, out, _ = run()
    lines = out.splitlines()
    assert code == 9
    assert sum(line.startswith("  also ") for line in lines) == 9
    assert re.fullmatch(r"  and \d+ more; --json lists them all", lines[-2])


def test_a_head_of_an_earlier_report_is_looked_for(run: Run) -> None:
    head = json.loads(run("--json")[1])["head"]
    assert run("--head", head)[0] == 0
    code, out, _ = run("--head", "f" * 64)
    assert code == 9
    assert "its end was cut off or it is another ledger's" in out


def test_a_trade_the_books_do_not_know_names_reconcile(run: Run, folder: Path) -> None:
    exchange = open_exchange(settings_of(folder))
    book = exchange.depth("BTCUSDT", 1)
    price, quantity = book.asks[0].price, D("0.001")
    exchange.place(UID, OrderRequest("BTCUSDT", "BUY", "LIMIT", "IOC", quantity, price, "by-hand", exchange.now()))
    before = (folder / "etf.db").read_bytes()
    code, out, _ = run()
    assert code == 9
    assert re.match(
        r"The books are off, first at venue: trade \d+ of BTCUSDT \(buy 0\.001 at [\d.]+\) is not in the books; "
        r"order by-hand is not of these books: etf reconcile tells how to book it\.",
        out,
    )
    assert (folder / "etf.db").read_bytes() == before


def test_a_deposit_the_books_do_not_know_names_reconcile(run: Run, folder: Path) -> None:
    open_exchange(settings_of(folder)).deposit(UID, "USDT", D("12.5"), "by-hand")
    code, out, _ = run()
    assert code == 9
    assert "transfer by-hand (12.5 USDT) is not in the books; etf reconcile books it" in out


def rest_at_the_venue(folder: Path, name: str) -> None:
    """Let an order stand at the exchange that nobody follows."""
    exchange = open_exchange(settings_of(folder))
    price = exchange.depth("BTCUSDT", 1).bids[0].price / 2
    tick = D("0.01")
    exchange.place(
        UID,
        OrderRequest("BTCUSDT", "BUY", "LIMIT", "GTC", D("0.001"), price // tick * tick, name, exchange.now()),
    )


def test_an_order_of_ours_left_open_at_the_venue_is_a_finding(run: Run, folder: Path) -> None:
    connection = sqlite3.connect(folder / "etf.db")
    ((life,),) = connection.execute("SELECT token FROM incarnation").fetchall()
    connection.close()
    rest_at_the_venue(folder, f"etf-{life}-9-9")
    code, out, _ = run()
    assert code == 9
    assert f"BTCUSDT: order etf-{life}-9-9 is open at the venue; etf reconcile looks for the cause" in out


def test_an_open_order_of_somebody_else_is_none(run: Run, folder: Path) -> None:
    rest_at_the_venue(folder, "by-hand")
    assert run()[0] == 0
