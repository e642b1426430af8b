"""Cancels and interruptions between whole processes: who leads carries them out, and everybody tells the truth."""

import json
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path

import pytest
from tests.acceptance.shell import INTERRUPT, TERMINATE, Shell, above_nav

SECONDS = 60
BUY = ("submit", "buy", "--index", "1", "--qty", "10")
LOW = (*BUY, "--limit", "900", "--tif", "gtc")
SIGNALS = pytest.mark.parametrize(
    ("number", "code"), [(INTERRUPT, 130), (TERMINATE, 143)], ids=["Ctrl-C", "SIGTERM"]
)


def wait_until(is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + SECONDS
    while not is_so():
        assert time.monotonic() < deadline, "it never came to the point"
        time.sleep(0.02)


def state_of(process: int) -> str:
    return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]


def is_stopped_between_writes(shell: Shell, worker: subprocess.Popen[str]) -> bool:
    """Stop a process; let it go on again if it holds the database, which then nobody could write."""
    worker.send_signal(signal.SIGSTOP)
    wait_until(lambda: state_of(worker.pid) == "T")
    if shell.is_writable():
        return True
    worker.send_signal(signal.SIGCONT)
    return False


@contextmanager
def stopped_worker(shell: Shell) -> Iterator[subprocess.Popen[str]]:
    """A worker that leads the account and was stopped: it goes on when it is told to."""
    worker = shell.start("worker")
    try:
        wait_until(lambda: shell.rows("SELECT process FROM lease") == [(worker.pid,)])
        time.sleep(0.5)  # past its first round
        wait_until(lambda: is_stopped_between_writes(shell, worker))
        yield worker
    finally:
        worker.kill()
        worker.communicate()


def is_cancelling(shell: Shell) -> bool:
    return shell.rows("SELECT id FROM index_order WHERE cancel_requested_at IS NOT NULL") != []


@SIGNALS
def test_an_interrupted_submit_that_wants_it_is_cancelled_by_who_leads(
    made: Shell, number: int, code: int
) -> None:
    with stopped_worker(made) as worker:
        submit = made.start(*BUY, "--on-interrupt", "cancel")
        wait_until(lambda: made.rows("SELECT id FROM index_order") != [])
        time.sleep(0.7)  # from the row to the wait for the other leader
        submit.send_signal(number)
        wait_until(lambda: is_cancelling(made))
        worker.send_signal(signal.SIGCONT)
        out, err = submit.communicate(timeout=SECONDS)
    assert submit.returncode == code, out + err
    assert "Nothing bought of 10 units of TOP8 (order 1, position 1)." in out
    assert "Interrupted: what was sent is settled, and the order is cancelled." in out
    assert made.json("order", "show", "1")["status"] == "cancelled"
    assert made.json("treasury", "show")["balances"][0]["reserved"] == "0"


@SIGNALS
def test_an_interrupted_worker_cancels_what_is_open_if_it_is_to(made: Shell, number: int, code: int) -> None:
    made.ok("treasury", "deposit", "20000000")
    limit = above_nav(made, Decimal("1.0015"))
    made.ok("submit", "buy", "--index", "1", "--qty", "20000", "--limit", limit, "--tif", "gtc", "--detach")

    def is_partly_filled() -> bool:
        return any(filled != "0" for (filled,) in made.rows("SELECT filled FROM index_order"))

    answer = made.interrupted("worker", "--on-interrupt", "cancel", number=number, when=is_partly_filled)
    assert answer.code == code, answer
    assert "of 20,000 units of TOP8 at 1,0" in answer.out
    assert "Stopped. No orders still open." in answer.err
    document = made.json("order", "show", "1")
    assert (document["status"], document["held"]) == ("cancelled", [])
    assert Decimal(document["units"]) > 0
    made.ok("ledger", "audit")


def test_what_cannot_be_interrupted_is_refused(made: Shell) -> None:
    before = made.fingerprint()
    answer = made.etf(*BUY, "--detach", "--on-interrupt", "cancel")
    assert answer.code == 2
    assert "--detach leaves the order to a worker: there is nothing here to interrupt" in answer.err
    assert made.etf(*BUY, "--on-interrupt", "stop").code == 2
    assert made.etf(*BUY, "--on-shortfall", "sell").code == 2
    assert made.fingerprint() == before


def test_a_cancel_waits_for_who_leads_or_leaves_it_to_them(made: Shell) -> None:
    made.ok(*LOW, "--detach")
    with stopped_worker(made) as worker:
        answer = made.etf("cancel", "--order", "1", "--no-wait")
        assert answer.code == 8
        assert answer.out.startswith("Order 1 is not cancelled yet: nothing of 10 units of TOP8 had been bought.")
        assert f"Process {worker.pid} on " in answer.out
        assert "which leads the account, ends it." in answer.out
        following = made.start("cancel", "--order", "1")
        time.sleep(1)
        assert following.poll() is None
        worker.send_signal(signal.SIGCONT)
        out, err = following.communicate(timeout=SECONDS)
    assert following.returncode == 0, err
    assert out.startswith("Cancelled order 1: nothing of 10 units of TOP8 had been bought.")


@pytest.mark.parametrize("head_start", [0.0, 0.15, 0.3])
def test_two_cancels_at_once_race_with_the_fills_and_all_tell_the_truth(made: Shell, head_start: float) -> None:
    with stopped_worker(made) as worker:
        made.ok(*BUY, "--detach")
        cancels = []
        if head_start:
            worker.send_signal(signal.SIGCONT)
        cancels = [made.start("cancel", "--order", "1", "--json") for _ in range(2)]
        time.sleep(head_start)
        worker.send_signal(signal.SIGCONT)
        answers = [(process.communicate(timeout=SECONDS), process.returncode) for process in cancels]
    assert [code for _, code in answers] == [0, 0], answers
    documents = [json.loads(out)["orders"][0] for (out, _), _ in answers]
    final = made.json("order", "show", "1")
    assert final["status"] in ("cancelled", "filled")
    for document in documents:
        assert {name: document[name] for name in ("status", "units", "loss", "cash")} == {
            name: final[name] for name in ("status", "units", "loss", "cash")
        }
    made.ok("reconcile")
    made.ok("ledger", "audit")


def test_a_wish_about_unlike_fills_is_shown_and_is_part_of_the_order(made: Shell) -> None:
    words = (*LOW, "--on-shortfall", "hold", "--client-key", "k")
    made.ok(*words)
    assert made.json("order", "show", "1")["on_shortfall"] == "hold"
    assert "kept: never traded back" in made.ok("order", "show", "1")
    made.ok(*words)
    answer = made.etf(*LOW, "--client-key", "k")
    assert answer.code == 2
    assert "belongs to order 1, which asked for something else" in answer.err
    made.ok("ledger", "audit")
