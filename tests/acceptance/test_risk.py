"""`etf risk`, `etf halt` and `etf resume`, as they are typed."""

import json
import re
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tests.acceptance.shell import INTERRUPT, SECONDS, Shell


def error(text: str) -> dict[str, object]:
    found: dict[str, object] = json.loads(text)
    return found


def arrivals(shell: Shell) -> int:
    """Return how many orders the exchange has ever seen."""
    connection = sqlite3.connect(shell.folder / "exchange.db", timeout=SECONDS)
    try:
        count: int = connection.execute("SELECT count(*) FROM orders").fetchone()[0]
        return count
    finally:
        connection.close()


def test_limits_are_shown_set_turned_off_and_given_their_default(made: Shell) -> None:
    shown = made.ok("risk", "show")
    assert shown.startswith("The account trades: nothing is halted.\nLoss of this UTC day: 0.00.\n")
    told = made.ok("risk", "set", "index_order", "50000")
    assert told.startswith("index_order is 50,000.00 now (it was 100,000,000.00): ")
    assert "price_collar is 12.5 bps now (it was 200 bps): " in made.ok("risk", "set", "price_collar", "12.5")
    assert "daily_loss is off now (it was 1,000,000.00): " in made.ok("risk", "set", "daily_loss", "off")
    limits = {each["name"]: each for each in made.json("risk", "show")["limits"]}
    assert (limits["index_order"]["value"], limits["index_order"]["default"]) == ("50000", "100000000")
    assert (limits["daily_loss"]["value"], limits["price_collar"]["value"]) == (None, "12.5")
    assert "@" in limits["daily_loss"]["set_by"]
    assert limits["open_orders"]["set_at"] is None
    assert made.json("risk", "set", "daily_loss", "default")["limits"][-1]["value"] == "1000000"
    assert made.ok("risk", "show", "--format", "csv").splitlines()[0] == (
        "name,value,unit,default,meaning,set_at,set_by"
    )


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (("risk", "set", "index_oder", "5"), 3, "did you mean index_order?"),
        (("risk", "set", "index_order", "many"), 2, "'many' is not a number"),
        (("risk", "set", "index_order", "1e5"), 2, "'1e5' is not a number"),
        (("risk", "set", "index_order", "0"), 2, "must be above zero"),
        (("risk", "set", "index_order", "-5"), 2, "must be above zero"),
        (("risk", "set", "index_order", "nan"), 2, "'nan' is not a number"),
        (("risk", "set", "index_order", "0.00000000000000000001"), 2, "it is no multiple of 0.01"),
        (("risk", "set", "position", "100.005"), 2, "etf risk set position 100.01"),
        (("risk", "set", "price_collar", "20000"), 2, "at most 10,000 bps"),
        (("risk", "set", "open_orders", "1.5"), 2, "is not whole"),
        (("risk", "set", "index_order"), 2, "needs VALUE"),
        (("risk", "set"), 2, "needs NAME"),
        (("risk",), 2, "needs a command: show, set"),
        (("halt", "--reason", "two\nlines"), 2, "a reason is one line"),
        (("halt", "--reason", "x" * 201), 2, "at most 200 characters"),
        (("halt", "now"), 2, "does not take 'now'"),
        (("resume", "--cause", "operater"), 2, "did you mean operator?"),
    ],
)
def test_what_cannot_be_is_told_and_nothing_is_changed(
    made: Shell, words: tuple[str, ...], code: int, says: str
) -> None:
    before = made.fingerprint()
    answer = made.etf(*words)
    assert (answer.code, answer.out) == (code, "")
    assert says in answer.err
    assert made.fingerprint() == before


def test_an_order_that_a_limit_keeps_out_is_refused_with_its_name(made: Shell) -> None:
    made.ok("risk", "set", "index_order", "50000")
    before = made.fingerprint()
    dry = made.json("submit", "buy", "--index", "1", "--qty", "100", "--dry-run")
    assert str(dry["refused"]).endswith("index_order allows 50,000.00")
    assert "It would be refused: the order is worth " in made.ok(
        "submit", "buy", "--index", "1", "--qty", "100", "--dry-run"
    )
    assert made.json("submit", "buy", "--index", "1", "--qty", "10", "--dry-run")["refused"] is None
    answer = made.etf("submit", "buy", "--index", "1", "--qty", "100", "--json")
    assert (answer.code, answer.out) == (6, "")
    told = error(answer.err)
    assert (told["code"], told["exit"], told["where"]) == ("refused", 6, "index_order")
    assert "etf risk set index_order VALUE" in str(told["hint"])
    assert made.fingerprint() == before


def test_an_order_that_the_gate_stops_says_by_what_and_ends_with_6(made: Shell) -> None:
    made.ok("risk", "set", "price_collar", "0.1")
    answer = made.etf("submit", "buy", "--index", "1", "--qty", "100")
    assert answer.code == 6
    assert "Refused by the risk limit price_collar: " in answer.out
    assert " bps above mid; price_collar allows 0.10 bps. etf risk show lists the limits" in answer.out
    assert arrivals(made) == 0
    (order,) = made.json("order", "list")["orders"]
    assert (order["status"], order["stopped_by"]) == ("ended", ["risk(price_collar)"])
    assert "risk limit price_collar" in made.ok("order", "list")

    waiting = made.etf("submit", "buy", "--index", "1", "--qty", "100", "--tif", "gtc")
    assert waiting.code == 0
    assert "The rest stays open" in waiting.out
    made.ok("risk", "set", "price_collar", "default")
    assert "Bought 100 units" in made.ok("worker", "--once")


def test_a_halted_account_says_so_wherever_one_looks(held: Shell) -> None:
    held.ok("submit", "buy", "--index", "1", "--qty", "5", "--tif", "gtc", "--detach")
    told = held.ok("halt", "--reason", "prices look wrong")
    assert told.startswith("Halted: nothing is sent any more, in no process.\nNothing was in flight.\n")
    assert "1 order is open and will wait for etf resume; etf cancel --all ends it." in told
    assert told.endswith("To trade again: etf resume\n")
    seen = arrivals(held)

    answer = held.etf("submit", "sell", "--index", "1", "--qty", "5")
    assert answer.code == 6
    assert "the account is halted (by hand: prices look wrong): nothing is sent" in answer.err
    assert "is halted since" in held.ok("order", "list")
    assert held.json("order", "list")["state"] == "halted"
    assert "The account is halted since" in held.ok("risk", "show")
    doctor = held.json("doctor")
    (row,) = [each for each in doctor["checks"] if each["check"] == "trading"]
    assert (row["state"], doctor["failed"]) == ("warn", 0)
    assert "halted" in row["found"]
    worked = held.ok("worker", "--once")
    assert "still open: the account is halted.\nThe account is halted since" in worked
    assert worked.endswith(": nothing is sent. etf resume lifts it.\n")
    assert held.json("worker", "--once")["state"] == "halted"
    assert "Stopped by a halt of the account. etf risk show says " in held.ok("order", "show", "2")

    again = held.json("halt")
    assert (again["state"], again["new"], again["in_flight"], again["open_orders"]) == ("halted", False, [], [2])
    assert arrivals(held) == seen
    lifted = held.json("resume")
    assert (lifted["state"], [each["reason"] for each in lifted["lifted"]]) == ("active", ["prices look wrong"])
    assert held.ok("resume").startswith("Nothing to lift: the account trades.")
    assert "Bought 5 units" in held.ok("worker", "--once")
    assert "The books are right" in held.ok("ledger", "audit")


def test_a_halt_says_what_becomes_of_each_kind_of_open_order(held: Shell) -> None:
    held.ok("submit", "buy", "--index", "1", "--qty", "1", "--detach")
    held.ok("submit", "buy", "--index", "1", "--qty", "2", "--tif", "gtc", "--detach")
    held.ok("submit", "buy", "--index", "1", "--qty", "3", "--tif", "2h", "--detach")
    held.ok("submit", "sell", "--index", "1", "--qty", "4", "--tif", "gtc", "--detach")
    told = held.ok("halt", "--reducing")
    assert "1 sell is open and goes on.\n" in told
    assert "2 orders are open and will wait for etf resume; etf cancel --all ends them.\n" in told
    assert (
        "1 order with --tif now is open: the next worker ends it; parts of units that it holds are traded" in told
    )
    assert "3 orders are open and will wait for etf resume" in held.ok("halt")
    worked = held.etf("worker", "--once")
    assert worked.code == 6
    assert "Nothing bought of 1 unit of TOP8 (order 2, position 1), ended: the account is halted.\n" in worked.out
    assert "--tif now" not in held.ok("halt")


def test_two_halts_are_told_with_their_states_the_strictest_first(held: Shell) -> None:
    held.ok("halt", "--reducing")
    held.ok("halt", "--reason", "prices look wrong")
    refused = held.etf("submit", "sell", "--index", "1", "--qty", "1")
    assert "is halted (by hand: prices look wrong) and reducing (by hand): nothing is sent" in refused.err
    shown = held.ok("risk", "show")
    assert shown.startswith("The account is halted since ")
    assert " (by hand: prices look wrong) and reducing since " in shown
    assert " (by hand): nothing is sent. etf resume lifts both.\n" in shown


def test_a_worker_says_once_that_the_account_is_stopped(held: Shell) -> None:
    held.ok("halt", "--reducing")
    leads = (held.json("queue", "show")["leader"] is not None for _ in range(SECONDS))
    worker = held.interrupted("worker", number=INTERRUPT, when=lambda: next(leads) and next(leads))
    assert worker.err.count("The account is reducing since ") == 1
    assert worker.err.count("etf resume lifts it") == 1


def test_a_loss_is_the_same_number_wherever_it_is_shown(held: Shell) -> None:
    held.ok("risk", "set", "daily_loss", "0.01")
    refused = held.etf("submit", "buy", "--index", "1", "--qty", "1")
    said = re.search(r"have lost ([\d,.]+); daily_loss allows 0.01", refused.err)
    assert said is not None
    assert f"Loss of this UTC day: {said[1]}.\n" in held.ok("risk", "show")


def test_a_cancel_works_while_halted(held: Shell) -> None:
    held.ok("submit", "buy", "--index", "1", "--qty", "5", "--tif", "gtc", "--detach")
    held.ok("halt")
    held.ok("cancel", "--all")
    assert held.json("order", "list", "--status", "open")["orders"] == []


def test_an_account_that_only_sells_refuses_buys(held: Shell) -> None:
    assert held.ok("halt", "--reducing").startswith("Reducing: no buy is sent any more; sells go on.\n")
    answer = held.etf("submit", "buy", "--index", "1", "--qty", "1")
    assert answer.code == 6
    assert "it only sells, and buys wait" in answer.err
    assert "Sold 40 units" in held.ok("submit", "sell", "--index", "1", "--qty", "40")
    assert held.ok("halt").startswith("Halted: ")
    lifted = held.ok("resume", "--cause", "reconcile")
    assert lifted.startswith("Nothing to lift: it is stopped for another cause.\nThe account is halted since ")
    assert held.json("resume", "--cause", "daily_loss")["state"] == "halted"
    assert held.json("resume")["state"] == "active"


def test_not_one_order_leaves_any_process_after_etf_halt_has_returned(tmp_path: Path) -> None:
    """Submits on the machine's clock, as they are typed, while somebody types `etf halt`."""
    shell = Shell(tmp_path)
    shell.ok("init", "--clock", "wall")
    submits = [
        subprocess.Popen(
            [sys.executable, "-m", "etf_trader", "submit", "buy", "--index", "1", "--qty", "2"],
            cwd=tmp_path,
            env=shell._environment(),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            stdin=subprocess.DEVNULL,
        )
        for _ in range(6)
    ]
    deadline = time.monotonic() + SECONDS
    while arrivals(shell) < 3 and time.monotonic() < deadline:
        time.sleep(0.02)
    assert shell.etf("halt", "--reason", "now").code == 0
    there = arrivals(shell)
    codes = [process.wait(SECONDS) for process in submits]
    assert arrivals(shell) == there
    assert set(codes) <= {0, 6}
    assert shell.json("resume")["state"] == "active"
    assert shell.etf("worker", "--once").code in (0, 6)
    assert "The books are right" in shell.ok("ledger", "audit")
    assert shell.json("reconcile")["agrees"]
