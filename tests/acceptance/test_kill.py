"""A submit killed with SIGKILL at any moment loses nothing and doubles nothing: whole processes."""

import json
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

PROCESSES = 25
GROUPS = 5
LONGEST_SECONDS = 1.3


def etf(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        _command(arguments), cwd=folder, env=_environment(folder), capture_output=True, text=True
    )


def _command(arguments: tuple[str, ...]) -> list[str]:
    return [sys.executable, "-m", "etf_trader", *arguments]


def _environment(folder: Path) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("ETF_", "XDG_"))}
    return kept | {"HOME": str(folder), "PYTHONDONTWRITEBYTECODE": "1"}


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("prepared")
    assert etf(folder, "init", "--clock", "stepped").returncode == 0
    bought = etf(folder, "submit", "buy", "--index", "1", "--qty", "50", "--client-key", "before")
    assert bought.returncode == 0, bought.stderr
    return folder


@pytest.mark.parametrize("group", range(GROUPS))
def test_a_killed_submit_is_completed_by_its_key_or_by_reconcile(
    prepared: Path, tmp_path: Path, group: int
) -> None:
    chance = random.Random(group)
    for trial in range(PROCESSES // GROUPS):
        folder = tmp_path / str(trial)
        shutil.copytree(prepared, folder)
        side, quantity = ("buy", "30") if trial % 2 == 0 else ("sell", "20")
        submit = ("submit", side, "--index", "1", "--qty", quantity, "--client-key", "killed")
        _kill_after(folder, submit, chance.uniform(0.05, LONGEST_SECONDS))
        if chance.random() < 0.5:
            assert etf(folder, "reconcile").returncode == 0
        again = etf(folder, *submit)
        assert again.returncode == 0, again.stderr
        _check(folder, expected_units="80" if side == "buy" else "30")


def _kill_after(folder: Path, arguments: tuple[str, ...], seconds: float) -> None:
    process = subprocess.Popen(
        _command(arguments),
        cwd=folder,
        env=_environment(folder),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + seconds
    while process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    process.wait()


def _check(folder: Path, expected_units: str) -> None:
    audited = etf(folder, "ledger", "audit")
    assert audited.returncode == 0, audited.stdout + audited.stderr
    held = json.loads(etf(folder, "position", "show", "1", "--json").stdout)
    assert held["units"] == expected_units
    orders = json.loads(etf(folder, "order", "list", "--json").stdout)["orders"]
    assert [order["client_key"] for order in sorted(orders, key=lambda each: each["id"])] == ["before", "killed"]
    connection = sqlite3.connect(folder / "exchange.db")
    sent = connection.execute("SELECT client_order_id FROM orders").fetchall()
    connection.close()
    assert len(sent) == len(set(sent)), "a client order id was used twice"


def test_two_submits_at_once_on_one_database_both_end(prepared: Path, tmp_path: Path) -> None:
    folder = tmp_path / "both"
    shutil.copytree(prepared, folder)
    processes = [
        subprocess.Popen(
            _command(("submit", "buy", "--index", "1", "--qty", quantity, "--client-key", key)),
            cwd=folder,
            env=_environment(folder),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for key, quantity in (("one", "11"), ("two", "7"))
    ]
    for process in processes:
        _, stderr = process.communicate(timeout=120)
        assert process.returncode == 0, stderr
    assert etf(folder, "ledger", "audit").returncode == 0
    held = json.loads(etf(folder, "position", "show", "1", "--json").stdout)
    assert held["units"] == "68"
