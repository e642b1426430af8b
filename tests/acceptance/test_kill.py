"""A submit killed with SIGKILL at any moment loses nothing and doubles nothing: whole processes."""

import random
import shutil
import signal
import sqlite3
import time
from pathlib import Path

import pytest
from tests.acceptance.shell import Shell

PROCESSES = 25
GROUPS = 5
LONGEST_SECONDS = 1.3


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    shell = Shell(tmp_path_factory.mktemp("prepared"))
    shell.ok("init", "--clock", "stepped")
    shell.ok("submit", "buy", "--index", "1", "--qty", "50", "--client-key", "before")
    return shell.folder


@pytest.mark.parametrize("group", range(GROUPS))
def test_a_killed_submit_is_completed_by_its_key_or_by_reconcile(
    prepared: Path, tmp_path: Path, group: int
) -> None:
    chance = random.Random(group)
    for trial in range(PROCESSES // GROUPS):
        shell = Shell(tmp_path / str(trial))
        shutil.copytree(prepared, shell.folder)
        side, quantity = ("buy", "30") if trial % 2 == 0 else ("sell", "20")
        submit = ("submit", side, "--index", "1", "--qty", quantity, "--client-key", "killed")
        _kill_after(shell, submit, chance.uniform(0.05, LONGEST_SECONDS))
        if chance.random() < 0.5:
            shell.ok("reconcile")
        shell.ok(*submit)
        _check(shell, expected_units="80" if side == "buy" else "30")


def _kill_after(shell: Shell, words: tuple[str, ...], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    shell.interrupted(*words, number=signal.SIGKILL, when=lambda: time.monotonic() >= deadline)


def _check(shell: Shell, expected_units: str) -> None:
    shell.ok("ledger", "audit")
    assert shell.json("position", "show", "1")["units"] == expected_units
    orders = shell.json("order", "list")["orders"]
    assert [order["client_key"] for order in sorted(orders, key=lambda each: each["id"])] == ["before", "killed"]
    connection = sqlite3.connect(shell.folder / "exchange.db")
    sent = connection.execute("SELECT client_order_id FROM orders").fetchall()
    connection.close()
    assert len(sent) == len(set(sent)), "a client order id was used twice"


def test_two_submits_at_once_on_one_database_both_end(prepared: Path, tmp_path: Path) -> None:
    shell = Shell(tmp_path / "both")
    shutil.copytree(prepared, shell.folder)
    processes = [
        shell.start("submit", "buy", "--index", "1", "--qty", quantity, "--client-key", key)
        for key, quantity in (("one", "11"), ("two", "7"))
    ]
    for process in processes:
        _, stderr = process.communicate(timeout=120)
        assert process.returncode == 0, stderr
    shell.ok("ledger", "audit")
    assert shell.json("position", "show", "1")["units"] == "68"
