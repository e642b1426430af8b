"""Order books are shown, watched and recorded from the command line, with and without a configuration."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from tests.acceptance.shell import Shell

D = Decimal


def books_of(shell: Shell, *symbols: str, depth: int = 5000) -> dict[str, Any]:
    """Return the books by symbol."""
    found = shell.json("market", "books", *symbols, "--depth", str(depth))["books"]
    return {book["symbol"]: book for book in found}


def sides(book: dict[str, Any]) -> tuple[Any, Any]:
    """Return the levels as numbers: a recording has other zeros behind its decimals."""
    return tuple([(D(level["price"]), D(level["quantity"])) for level in book[side]] for side in ("bids", "asks"))  # type: ignore[return-value]


def replay_of(shell: Shell, folder: Path, *more: str) -> Shell:
    """Return a new folder that trades on what was recorded into `folder`."""
    target = shell.folder / "replay"
    target.mkdir()
    made = Shell(target)
    rules = str(folder / "exchangeInfo.json")
    made.ok(
        "init", "--here", "--market", "recording", "--recordings", str(folder), "--exchange-info", rules, *more
    )
    return made


def test_books_are_shown_in_an_empty_folder_and_nothing_is_made(empty: Shell) -> None:
    answer = empty.etf("market", "books", "BTCUSDT", "dentusdt", "--depth", "3")
    assert answer.code == 0
    assert "BTCUSDT: mid " in answer.out
    assert "DENTUSDT: mid " in answer.out
    assert "within" in answer.out
    assert "no exchange here yet" in answer.err
    assert [path.name for path in empty.folder.iterdir() if path.name != "home"] == []


def test_the_document_has_prices_depth_and_age(made: Shell) -> None:
    document = made.json("market", "books", "BTCUSDT", "--depth", "2")
    assert (document["schema"], document["environment"]) == ("etf.books/1", "paper")
    (book,) = document["books"]
    assert len(book["bids"]) == len(book["asks"]) == 2
    bid, ask = D(book["bids"][0]["price"]), D(book["asks"][0]["price"])
    assert D(book["mid"]) == (bid + ask) / 2
    assert D(book["spread"]) == ask - bid
    assert book["source"] == "paper"
    assert book["age_seconds"] == 0
    assert [band["bps"] for band in book["depth"]] == ["5", "10", "25", "50", "100"]
    assert D(book["depth"][0]["bids"]) <= D(book["depth"][4]["bids"])


def test_looking_changes_nothing(made: Shell, tmp_path: Path) -> None:
    before = made.fingerprint()
    made.ok("market", "books", "BTCUSDT")
    made.ok("market", "record", "--symbols", "BTCUSDT", "--out", str(tmp_path / "out"), "--duration", "5s")
    made.ok("market", "watch", "BTCUSDT", "--duration", "1s")
    assert made.fingerprint() == before


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (("books", "BTCUSD"), 3, "did you mean BTCUSDT"),
        (("books",), 2, "needs"),
        (("books", "BTC/USDT"), 2, "write it as BTCUSDT"),
        (("books", "BTCUSDT", "--depth", "0"), 2, "--depth"),
        (("watch", "NOPE"), 3, "does not list NOPE"),
        (("record", "--symbols", ",", "--out", "out"), 2, "--symbols"),
        (("record", "--symbols", "BTCUSDT,NOPE", "--out", "out"), 3, "does not list NOPE"),
        (("record", "--symbols", "BTCUSDT", "--out", "out", "--duration", "soon"), 2, "not a duration"),
    ],
    ids=["near", "none", "slash", "depth", "unknown", "no symbol", "one unknown", "duration"],
)
def test_what_cannot_be_is_one_sentence(made: Shell, words: tuple[str, ...], code: int, told: str) -> None:
    answer = made.etf("market", *words)
    assert answer.code == code
    assert told in answer.err
    assert not (made.folder / "out").exists()


def test_what_was_recorded_on_the_stepped_clock_is_replayed_as_the_exchange_goes_on(made: Shell) -> None:
    made.ok("submit", "buy", "--index", "1", "--qty", "300")  # what was taken is on its way back
    out = made.folder / "out"
    symbols = ("BTCUSDT", "DENTUSDT")
    document = made.json(
        "market", "record", "--symbols", ",".join(symbols), "--out", str(out), "--duration", "40s"
    )
    assert (document["schema"], document["symbols"]) == ("etf.recording/1", list(symbols))
    assert (document["seconds"], document["updates"], document["gaps"]) == (40, 80, 0)
    replay = replay_of(made, out)
    for step in ("1s", "12s", "27s"):
        there, here = books_of(made, *symbols), books_of(replay, *symbols)
        for symbol in symbols:
            assert sides(there[symbol]) == sides(here[symbol])
            assert there[symbol]["update_id"] == here[symbol]["update_id"]
        made.ok("exchange", "advance", step)
        replay.ok("exchange", "advance", step)
    replay.ok("index", "create", "PAIR", "--weight", "BTC=0.5", "--weight", "DENT=0.5", "--float", "600")
    assert replay.json("submit", "buy", "--index", "PAIR", "--qty", "5")["status"] == "filled"


def test_a_second_recording_needs_a_folder_of_its_own(made: Shell) -> None:
    words = ("market", "record", "--symbols", "BTCUSDT", "--out", "out", "--duration", "1s")
    made.ok(*words)
    answer = made.etf(*words)
    assert answer.code == 2
    assert "holds a recording already" in answer.err


def test_ctrl_c_ends_a_recording_that_is_whole(empty: Shell) -> None:
    out = empty.folder / "out"

    def is_under_way() -> bool:
        return any(path.stat().st_size for path in out.glob("*.gz"))

    answer = empty.interrupted(
        "market",
        "record",
        "--symbols",
        "BTCUSDT",
        "--out",
        "out",
        "--json",
        number=signal.SIGINT,
        when=is_under_way,
    )
    assert answer.code == 0, answer.err
    assert answer.document["snapshots"] == 1
    assert books_of(replay_of(empty, out), "BTCUSDT")["BTCUSDT"]["bids"]


def test_ctrl_c_before_the_time_is_over_is_told_by_the_exit_code(empty: Shell) -> None:
    out = empty.folder / "out"
    answer = empty.interrupted(
        *("market", "record", "--symbols", "BTCUSDT", "--out", "out", "--duration", "10m"),
        number=signal.SIGINT,
        when=lambda: any(path.stat().st_size for path in out.glob("*.gz")),
    )
    assert answer.code == 130
    assert "Recorded 1 symbol" in answer.out


def test_a_recording_that_was_killed_is_replayed_up_to_its_last_second(empty: Shell) -> None:
    out = empty.folder / "out"
    process = empty.start("market", "record", "--symbols", "BTCUSDT,ETHUSDT", "--out", "out")
    deadline = time.monotonic() + 30
    sizes: set[int] = set()
    while len(sizes - {0}) < 3:
        assert time.monotonic() < deadline
        sizes |= {path.stat().st_size for path in out.glob("*.gz")}
        time.sleep(0.02)
    process.kill()
    process.communicate()
    replay = replay_of(empty, out)
    replay.ok("exchange", "advance", "2s")
    book = books_of(replay, "BTCUSDT", "ETHUSDT")["ETHUSDT"]
    assert book["bids"]
    assert book["update_id"] > books_of(empty, "ETHUSDT")["ETHUSDT"]["update_id"] - 60


def test_watching_in_a_pipe_tells_each_change_and_ends_on_ctrl_c(empty: Shell) -> None:
    log = empty.folder / "log"
    with log.open("w") as target:
        process = subprocess.Popen(
            [sys.executable, "-m", "etf_trader", "market", "watch", "BTCUSDT", "ETHUSDT", "--json"],
            cwd=empty.folder,
            env={**os.environ, "HOME": str(empty.folder / "home"), "PYTHONUNBUFFERED": "1"},
            stdout=target,
        )
        deadline = time.monotonic() + 30
        while log.read_text().count("\n") < 3:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        process.send_signal(signal.SIGINT)  # as from a terminal and from who started it
        assert process.wait(10) == 0
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    assert {line["schema"] for line in lines} == {"etf.books/1"}
    ids = [book["update_id"] for line in lines for book in line["books"] if book["symbol"] == "BTCUSDT"]
    assert ids == sorted(set(ids))


def test_watching_on_a_terminal_shows_a_table(empty: Shell) -> None:
    lines = empty.on_terminal(100, "market", "watch", "BTCUSDT", "DENTUSDT", "--duration", "2s")
    assert any("symbol" in line and "bids in 10 bps" in line for line in lines)
    assert any("DENTUSDT" in line and "the paper exchange" in line for line in lines)


def test_the_books_of_a_served_exchange_are_seen_and_recorded_over_the_wire(made: Shell, tmp_path: Path) -> None:
    shutil.rmtree(made.folder)
    made.folder.mkdir()
    made.ok("init", "--clock", "wall")
    client = Shell(tmp_path / "client")
    client.folder.mkdir()
    with made.started("exchange", "serve", "--port", "0") as server:
        assert server.stdout is not None
        url = server.stdout.readline().split()[-1].removesuffix("/api")
        (client.folder / "etf.toml").write_text(f'environment = "local"\n[binance]\nurl = "{url}"\n')
        (book,) = client.json("market", "books", "BTCUSDT", "--depth", "5")["books"]
        assert book["source"] == "rest"
        assert not book["complete"]
        assert D(book["known_from"]) < D(book["bids"][-1]["price"])
        told = client.ok("market", "watch", "BTCUSDT", "ETHUSDT", "--duration", "3s").splitlines()
        assert len(told) > 3
        document = client.json(
            *("market", "record", "--symbols", "BTCUSDT,ETHUSDT", "--out", "out", "--duration", "2s")
        )
        assert document["environment"] == "local"
        assert document["updates"] >= 2
        assert (document["gaps"], document["missing"]) == (0, [])
        server.send_signal(signal.SIGINT)
    replay = replay_of(client, client.folder / "out")
    assert books_of(replay, "BTCUSDT")["BTCUSDT"]["bids"]
    answer = client.etf("market", "books", "BTCUSDT")
    assert answer.code == 5
    assert "cannot be reached" in answer.err
