"""`etf exchange`, `reconcile` and `worker`; and what Ctrl-C leaves behind."""

import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal

import pytest
from tests.acceptance.shell import INTERRUPT, TERMINATE, Answer, Shell

LEAD = """
import sys, time
from etf_trader.clock import SystemClock
from etf_trader.database import Database
from etf_trader.execution.lease import Leases
assert Leases(Database(sys.argv[1]), SystemClock()).take(1)
print("leads", flush=True)
time.sleep(600)
"""


@contextmanager
def another_leads(shell: Shell) -> Iterator[None]:
    """Let another process lead the account."""
    url = f"sqlite:///{shell.folder / 'etf.db'}"
    process = subprocess.Popen([sys.executable, "-c", LEAD, url], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        assert process.stdout.readline() == "leads\n"
        yield
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def test_status_tells_market_clock_and_balances(held: Shell) -> None:
    said = held.ok("exchange", "status")
    assert re.search(r"^market +model, 61 symbols \(seed 1\)$", said, re.MULTILINE)
    assert re.search(r"^clock +stepped", said, re.MULTILINE)
    assert re.search(r"^orders +\d+ of 100 in 10 s, \d+ of 200,000 in a day$", said, re.MULTILINE)
    document = held.json("exchange", "status")
    assert {row["asset"] for row in document["balances"]} >= {"USDT", "BTC", "DENT"}
    assert document["open_orders"] == []


def test_a_deposit_at_the_exchange_is_booked_at_once(made: Shell) -> None:
    said = made.ok("exchange", "deposit", "usdt", "1000000")
    assert "1,000,000.00 USDT arrived at the exchange." in said
    assert "Reconciled: deposit of 1000000 USDT booked for self." in said
    assert Decimal(made.json("treasury", "show")["balances"][0]["free"]) == 1_999_400
    assert made.ok("reconcile") == "The books agree with the venue.\n"


def test_the_stepped_clock_moves_by_hand(made: Shell) -> None:
    before = made.json("exchange", "status")["now"]
    moved = made.json("exchange", "advance", "1h")
    assert (moved["before"], moved["finished"]) == (before, False)
    assert made.json("exchange", "status")["now"] == moved["now"] != before
    assert made.etf("exchange", "advance", "soon").code == 2


def test_the_wall_clock_does_not(empty: Shell) -> None:
    empty.ok("init")
    answer = empty.etf("exchange", "advance", "1h")
    assert answer.code == 2
    assert "wall clock" in answer.err


def test_reset_asks_first_and_keeps_what_was(held: Shell) -> None:
    before = held.fingerprint()
    refused = held.etf("exchange", "reset")
    assert refused.code == 2
    assert "etf exchange reset --yes" in refused.err
    assert held.fingerprint() == before
    said = held.ok("exchange", "reset", "--yes")
    assert "The old databases are kept: " in said
    assert len(list(held.folder.glob("etf.*.db"))) == len(list(held.folder.glob("exchange.*.db"))) == 1
    assert held.json("order", "list")["orders"] == []
    assert "Made index 1, TOP8" in held.ok("init")


def test_settings_that_cannot_be_do_not_cost_the_exchange_there_is(made: Shell) -> None:
    before = made.fingerprint()
    answer = made.etf("exchange", "reset", "--yes", ETF_EXCHANGE_FEES="FDUSD=200")
    assert (answer.code, made.fingerprint()) == (4, before)
    assert "the fee of FDUSD is 200: it must be 0 to 100 bps (exchange.fees)" in answer.err


def test_a_currency_may_be_free(made: Shell) -> None:
    made.ok("config", "set", "exchange.fees", "FDUSD=0")
    assert "fees" not in made.json("exchange", "status")["parameters"]  # it keeps what it was made with
    made.ok("exchange", "reset", "--yes")
    assert made.json("exchange", "status")["parameters"] == {"fees": "FDUSD=0", "seed": 1}
    made.ok("treasury", "deposit", "50000", "--asset", "FDUSD")
    (made.folder / "free.toml").write_text('symbol = "FREE"\nquote = "FDUSD"\nfloat = 100\n[weights]\nBTC = 1\n')
    made.ok("index", "create", "--file", "free.toml")
    made.ok("submit", "buy", "--index", "FREE", "--qty", "10")
    report = made.json("report", "fills", "--position", "1")
    assert Decimal(report["fee"]) == 0
    assert Decimal(report["fill_percentage"]) == 100
    assert Decimal(report["loss"]) > 0
    made.ok("ledger", "audit")


def test_reset_is_refused_while_somebody_trades(made: Shell) -> None:
    with another_leads(made):
        answer = made.etf("exchange", "reset", "--yes")
    assert answer.code == 8
    assert "trades on this database" in answer.err
    assert not list(made.folder.glob("etf.*.db"))


def test_reconcile_refuses_what_nothing_explains(made: Shell) -> None:
    import sqlite3

    connection = sqlite3.connect(made.folder / "exchange.db")
    with connection:
        tables = [row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        assert "balance" in tables
        connection.execute("UPDATE balance SET free = '5' WHERE account = 'paper' AND asset = 'USDT'")
    connection.close()
    answer = made.etf("reconcile")
    assert answer.code == 9
    assert "The books and the venue differ in 1 asset: nothing is traded." in answer.out
    assert "etf reconcile --book 1 --as withdrawal|dust" in answer.out
    submitted = made.etf("submit", "buy", "--index", "1", "--qty", "1")
    assert submitted.code == 9
    assert "the books and the venue differ: USDT -999,995.\n" in submitted.err
    assert max(map(len, submitted.err.splitlines())) < 110
    assert made.rows("SELECT id FROM index_order") == []
    shown = made.ok("risk", "show")
    assert (
        "(a difference with the venue: USDT -999,995): nothing is sent. etf reconcile tells how to book" in shown
    )
    assert made.ok("halt").endswith("To trade again: etf reconcile, then etf resume\n")
    assert "etf reconcile tells how to book it, and etf resume lifts the rest." in made.ok("risk", "show")
    lifted = made.ok("resume", "--cause", "operator")
    assert lifted.startswith("Lifted what was stopped by operator.\nThe account is halted since ")
    assert "Lifted, but 1 difference with the venue stays: the next command that trades stops" in made.ok("resume")
    assert made.etf("submit", "buy", "--index", "1", "--qty", "1").code == 9


def test_a_second_account_is_told_what_it_can_buy(made: Shell) -> None:
    made.ok("submit", "buy", "--index", "1", "--qty", "1")
    made.ok("config", "set", "exchange.account", "two")
    made.ok("init")
    own = made.json("index", "list")["indices"]
    number = next(each["id"] for each in own if each["symbol"] != "TOP8")
    assert f"There is no order yet. etf submit buy --index {number} --qty 100 makes one." in made.ok(
        "order", "list"
    )
    assert f"etf submit buy --index {number} --qty 100 opens one" in made.etf("report", "fills").err
    assert "There is no position yet." in made.ok("position", "list")
    assert "the account paper:two is active" in made.ok("doctor")
    made.ok("submit", "buy", "--index", str(number), "--qty", "100", "--dry-run")


def test_no_wait_gives_up_when_another_process_leads(made: Shell) -> None:
    with another_leads(made):
        answer = made.etf("submit", "buy", "--index", "1", "--qty", "1", "--no-wait")
        assert answer.code == 8
        assert "another process leads this account, and works order 1, which is accepted" in answer.err
        assert "do not repeat it" in answer.err
        assert made.etf("reconcile", "--no-wait").code == 8
        assert made.etf("worker", "--once", "--no-wait").code == 8
        detached = made.ok("submit", "buy", "--index", "1", "--qty", "1", "--detach")
        assert "which leads the account, works it" in detached
    assert "Bought 1 unit of TOP8" in made.ok("worker", "--once")


@pytest.mark.parametrize(("number", "code"), [(INTERRUPT, 130), (TERMINATE, 143)], ids=["Ctrl-C", "SIGTERM"])
def test_an_interrupted_submit_says_where_the_order_stands(made: Shell, number: int, code: int) -> None:
    def is_waiting() -> bool:
        is_accepted = bool(made.rows("SELECT id FROM index_order"))
        time.sleep(0.5 if is_accepted else 0)  # from the row to the wait for the other leader
        return is_accepted

    with another_leads(made):
        words = ("submit", "buy", "--index", "1", "--qty", "10", "--client-key", "k")
        answer = made.interrupted(*words, number=number, when=is_waiting)
    assert answer.code == code, answer
    assert "Nothing bought of 10 units of TOP8 (order 1, position 1)." in answer.out
    assert "Interrupted: what was sent is settled, and the order stays open." in answer.out
    assert "etf worker --once goes on with it; etf cancel --order 1 ends it." in answer.out
    assert made.ok(*words).startswith("Bought 10 units of TOP8")


@pytest.mark.parametrize(("number", "code"), [(INTERRUPT, 130), (TERMINATE, 143)], ids=["Ctrl-C", "SIGTERM"])
def test_the_worker_works_until_it_is_told_to_stop(made: Shell, number: int, code: int) -> None:
    made.ok("submit", "buy", "--index", "1", "--qty", "10", "--detach")

    def is_filled() -> bool:
        return made.rows("SELECT status FROM index_order") == [("filled",)]

    answer: Answer = made.interrupted("worker", number=number, when=is_filled)
    assert answer.code == code
    assert "Working the open orders of every account. Ctrl-C ends it." in answer.err
    assert "Stopped. No orders still open." in answer.err
