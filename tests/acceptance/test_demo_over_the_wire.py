"""`etf demo --over-the-wire` tells the story of `etf demo`, number by number, and leaves no server behind."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from etf_trader.cli import app, demo
from etf_trader.cli.demo import STORY as WHOLE
from etf_trader.cli.demo import Step

SECONDS = 60

REPORTS = (
    "report fills --position 1",
    "report holdings",
    "report crosses",
    *(f"order show {number}" for number in range(1, 5)),
    *(f"plan show {number}" for number in (1, 2)),
    "position show 1",
    "treasury show",
    "order list",
    "index show DEMO8",
    "submit buy --index 1 --qty 20 --algo pov --participation 5 --passive 50 --duration 60s --client-key quoted",
    "report fills --position 1",
)
"""Everything that the story leaves behind, as documents; then an order over time, by volume and quoted."""

NAMES = {"client_order_id", "trade_id", "venue", "head"}
"""How orders and trades are called, and where; the head is a hash over these names."""

STORY = [step for step in WHOLE if not step.moves_clock]
"""What is told over the wire too: the clock of a server cannot be moved by a month."""

ROUNDED = {"mid_twap", "mid_twap_slippage_bps"}
"""Told of candles, whose prices are whole ticks over the wire."""

TELLING = """
import sys
from etf_trader.cli import app, demo

story = [step for step in demo.STORY if not step.moves_clock]
demo.STORY = (*story, *(demo.Step("", f"{typed} --json") for typed in sys.argv.pop().split(";")))
app.main()
"""


def environment(home: Path) -> dict[str, str]:
    home.mkdir()
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("ETF_", "XDG_"))}
    return kept | {"HOME": str(home), "TZ": "UTC"}


def told(home: Path, *options: str) -> list[dict[str, Any]]:
    """Play the demo with all reports at its end, and return its steps."""
    done = subprocess.run(
        [sys.executable, "-c", TELLING, "demo", "--json", *options, ";".join(REPORTS)],
        env=environment(home),
        cwd=home,
        capture_output=True,
        text=True,
        timeout=4 * SECONDS,
        stdin=subprocess.DEVNULL,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    steps: list[dict[str, Any]] = json.loads(done.stdout)["steps"]
    return steps


@pytest.fixture(scope="module")
def tellings(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """The story in this process and over the wire."""
    folder = tmp_path_factory.mktemp("tellings")
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(told, folder / "in")
        second = pool.submit(told, folder / "wire", "--over-the-wire")
        return first.result(), second.result()


def without_names(document: Any) -> Any:
    """Return a document without how things are called."""
    if isinstance(document, dict):
        return {key: without_names(value) for key, value in document.items() if key not in NAMES | ROUNDED}
    if isinstance(document, list):
        return [without_names(each) for each in document]
    return document


def test_every_report_has_the_same_numbers(
    tellings: tuple[list[dict[str, Any]], list[dict[str, Any]]],
) -> None:
    reports = zip(*(telling[len(STORY) :] for telling in tellings), strict=True)
    for typed, (first, second) in zip(REPORTS, reports, strict=True):
        assert first["command"] == second["command"] == f"etf {typed} --json"
        here, there = json.loads(first["text"]), json.loads(second["text"])
        assert without_names(there) == without_names(here), typed
        assert here["schema"] == there["schema"]


def test_the_two_really_traded_at_different_places(
    tellings: tuple[list[dict[str, Any]], list[dict[str, Any]]],
) -> None:
    fills = [json.loads(telling[len(STORY)]["text"])["fills"] for telling in tellings]
    assert [{each["venue"] for each in found} for found in fills] == [{"paper"}, {"local"}]
    assert len(fills[0]) == len(fills[1]) == 428


def test_the_story_reads_the_same(tellings: tuple[list[dict[str, Any]], list[dict[str, Any]]]) -> None:
    for first, second in zip(*(telling[: len(STORY)] for telling in tellings), strict=True):
        assert second["exit"] == first["exit"]
        here, there = (re.sub(r"\bledger [0-9a-f]{16,64}", "ledger", each["text"]) for each in (first, second))
        assert there == here, first["command"]


def is_served(address: str) -> bool:
    """Whether somebody listens there."""
    parts = urlsplit(address)
    with socket.socket() as tried:
        return tried.connect_ex((parts.hostname, parts.port)) == 0


def is_gone(address: str) -> bool:
    """Whether nobody listens there any more, within some seconds."""
    until = time.monotonic() + 15
    while is_served(address):
        if time.monotonic() > until:
            return False
        time.sleep(0.05)
    return True


@pytest.fixture(scope="module")
def ended(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[int, tuple[str, int, Path]]]:
    """Demos that were sent a signal while they were told: the server's address, the code, the folder."""
    folder = tmp_path_factory.mktemp("ended")

    def end(number: int) -> tuple[str, int, Path]:
        home = folder / str(number)
        with subprocess.Popen(
            [sys.executable, "-u", "-m", "etf_trader", "demo", "--over-the-wire"],
            env=environment(home),
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        ) as process:
            assert process.stdout is not None
            found = re.search(r"http://[\d.:]+\d", process.stdout.readline())
            assert found is not None
            assert is_served(found[0])
            process.send_signal(number)
            process.wait(SECONDS)
        return found[0], process.returncode, home / ".local" / "share" / "etf-trader" / "demo"

    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGKILL)
    with ThreadPoolExecutor(2) as pool:
        yield dict(zip(numbers, pool.map(end, numbers), strict=True))


@pytest.mark.parametrize(
    ("number", "code"),
    [
        (signal.SIGINT, 130),
        (signal.SIGTERM, 143),
        (signal.SIGKILL, -signal.SIGKILL),
    ],
)
def test_whatever_ends_the_demo_ends_its_server(
    ended: dict[int, tuple[str, int, Path]], number: int, code: int
) -> None:
    address, ended_with, folder = ended[number]
    assert ended_with == code
    assert is_gone(address)
    until = time.monotonic() + 15
    while list(folder.glob("exchange/*.token")):  # the last thing that the server does
        assert time.monotonic() < until
        time.sleep(0.05)
    assert (folder / ".env").stat().st_mode & 0o077 == 0


def test_a_step_that_fails_ends_the_server_too(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setattr(demo, "STORY", (Step("Nobody knows this index.", "index show NINE"),))
    assert app.run(["demo", "--over-the-wire"]) == 1
    captured = capsys.readouterr()
    found = re.search(r"http://[\d.:]+\d", captured.out)
    assert found is not None
    assert not is_served(found[0])
    assert "step 1 of the demo ended with 3 instead of 0" in captured.err


def test_a_server_that_cannot_begin_is_told_of(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setattr("etf_trader.cli.demo_server.SERVE", ("exchange", "serve", "--host", "10.0.0.1"))
    assert app.run(["demo", "--over-the-wire"]) == 1
    assert "the exchange could not be served" in capsys.readouterr().err
    assert "is not an address of this machine alone" in next(tmp_path.rglob("serve.log")).read_text()
