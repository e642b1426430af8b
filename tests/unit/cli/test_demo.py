"""`etf demo` tells one story, the same to everybody, and every step ends as it must."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from etf_trader.cli import app, demo
from etf_trader.cli.demo import STORY, Step


def play(home: Path, *options: str, **environment: str) -> str:
    """Run the demo as a process at this home; return what it printed."""
    home.mkdir()
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("ETF_", "XDG_"))}
    done = subprocess.run(
        [sys.executable, "-m", "etf_trader", "demo", *options],
        cwd=home,
        env=kept | {"HOME": str(home), "TZ": "UTC"} | environment,
        capture_output=True,
        text=True,
        timeout=200,
        stdin=subprocess.DEVNULL,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[str]]:
    """Two tellings at two homes, and one as a document, in a folder with settings of its own."""
    folder = tmp_path_factory.mktemp("demo")
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(play, folder / "first")
        second = pool.submit(play, folder / "second", ETF_HOLDER="somebody", ETF_EXCHANGE_SEED="7")
        both = [first.result(), second.result()]
    yield [*both, play(folder / "third", "--json")]


def test_two_tellings_are_the_same_to_the_letter(runs: list[str]) -> None:
    first, second, _ = runs
    assert first == second
    assert "~/" in first


def test_every_step_is_told_and_ends_as_it_must(runs: list[str]) -> None:
    text, document = runs[0], json.loads(runs[2])
    assert document["schema"] == "etf.demo/1"
    steps: list[dict[str, Any]] = document["steps"]
    assert [step["command"] for step in steps] == [f"etf {step.typed}" for step in STORY]
    assert [step["exit"] for step in steps] == [step.exit_code for step in STORY]
    assert sorted({step.exit_code for step in STORY}) == [0, 7]
    for place, step in enumerate(STORY, start=1):
        assert f"\n{place}. {step.told}\n$ etf {step.typed}\n" in text
    for printed in (step["text"] for step in steps):
        assert printed
        assert printed in text


def test_the_story_ends_with_books_that_are_right(runs: list[str]) -> None:
    text = runs[0]
    assert "The books are right: " in text
    assert "Stopped by the limit: " in text
    assert "Bought 100 units of DEMO8 at " in text


def test_a_step_that_ends_otherwise_fails_the_demo(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setattr(demo, "STORY", (Step("Nobody knows this index.", "index show NINE"),))
    assert app.run(["demo"]) == 1
    captured = capsys.readouterr()
    assert "step 1 of the demo ended with 3 instead of 0 (etf index show NINE)" in captured.err
    assert "etf doctor checks the installation" in captured.err


def test_telling_it_again_begins_anew(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setattr(demo, "STORY", STORY[:1])
    assert app.run(["demo"]) == 0
    first = capsys.readouterr().out
    (tmp_path / "data" / "etf-trader" / "demo" / "left-over").write_text("old")
    assert app.run(["demo"]) == 0
    assert capsys.readouterr().out == first
    assert not (tmp_path / "data" / "etf-trader" / "demo" / "left-over").exists()
