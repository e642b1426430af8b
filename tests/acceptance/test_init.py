"""`etf init`: from an empty folder to the first order, and again without harm."""

import os
from pathlib import Path

import pytest
from tests.acceptance.shell import Shell

DATA = Path(os.environ.get("ETF_TEST_DATA", Path(__file__).resolve().parents[3] / "shared" / "data"))
RECORDINGS = DATA / "recordings-2021"
needs_recordings = pytest.mark.skipif(not RECORDINGS.is_dir(), reason=f"recordings absent: none in {RECORDINGS}")


def test_init_makes_everything_and_says_what_to_type_next(empty: Shell) -> None:
    said = empty.ok("init")
    assert "Made etf.toml: paper trading, model market (seed 1), wall clock." in said
    assert "Deposited 1,000,000.00 USDT for self." in said
    assert "Made index 1, TOP8: eight coins, one unit is 1,000.00 USDT, float 600.00." in said
    assert said.endswith("Next: etf submit buy --index 1 --qty 100 --dry-run\n")
    assert sorted(path.name for path in empty.folder.iterdir() if path.is_file()) == [
        "etf.db",
        "etf.toml",
        "exchange.db",
    ]
    assert all(path.stat().st_mode & 0o077 == 0 for path in empty.folder.iterdir() if path.is_file())


def test_init_twice_changes_nothing_and_says_so(made: Shell) -> None:
    before = made.fingerprint()
    said = made.ok("init")
    assert "etf.toml is there already" in said
    assert "The databases are there already." in said
    assert "Index 1, TOP8, is there already." in said
    assert made.fingerprint() == before


def test_init_below_a_project_is_refused_unless_it_is_meant(made: Shell) -> None:
    folder = made.folder / "below"
    folder.mkdir()
    below = Shell(folder)
    answer = below.etf("init")
    assert answer.code == 2
    assert f"this folder belongs to the project of {made.folder / 'etf.toml'}; nothing was made" in answer.err
    assert "etf init --here" in answer.err
    assert [path.name for path in folder.iterdir()] == []
    assert "Made etf.toml" in below.ok("init", "--here")
    assert "etf.toml is there already" in below.ok("init")


def test_init_with_another_choice_is_refused_and_changes_nothing(made: Shell) -> None:
    before = made.fingerprint()
    answer = made.etf("init", "--seed", "7")
    assert answer.code == 2
    assert "exchange.seed is 1 here, not 7; nothing was changed" in answer.err
    assert "etf config set exchange.seed 7" in answer.err
    assert made.fingerprint() == before


@pytest.mark.parametrize(
    ("words", "code", "sentence"),
    [
        (("--market", "recording"), 2, "a recording market needs its recordings"),
        (("--market", "recording", "--recordings", "nowhere"), 4, "nowhere (exchange.recordings)"),
        (("--market", "model", "--recordings", "x"), 2, "--recordings belongs to --market recording"),
        (("--market", "mars"), 2, 'exchange.market must be "model" or "recording"'),
        (("--clock", "fast"), 2, 'exchange.clock must be "wall" or "stepped"'),
        (("--seed", "-1"), 2, "exchange.seed must be a whole number"),
        (("--deposit", "-5"), 2, "--deposit: -5 is below zero"),
        (("--deposit", "1,000"), 2, "write it as 1000"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_a_bad_init_gets_a_sentence_and_leaves_nothing(
    empty: Shell, words: tuple[str, ...], code: int, sentence: str
) -> None:
    answer = empty.etf("init", *words)
    assert answer.code == code
    assert sentence in answer.err
    assert [path.name for path in empty.folder.iterdir()] == []


def test_init_with_rules_that_cannot_be_read_leaves_nothing(empty: Shell) -> None:
    book = '{"lastUpdateId": 1, "bids": [["99", "1"]], "asks": [["101", "1"]]}'
    line = f'{{"t": 1617566592.1, "rest": "depth", "symbol": "BTCUSDT", "data": {book}}}\n'
    (empty.folder / "book.jsonl").write_text(line)
    (empty.folder / "rules.json").write_text("these are no rules")
    words = ("init", "--market", "recording", "--recordings", "book.jsonl", "--exchange-info")
    answer = empty.etf(*words, "rules.json")
    assert (answer.code, "is not a saved response of exchangeInfo" in answer.err) == (4, True)
    assert sorted(each.name for each in empty.folder.iterdir() if each.is_file()) == ["book.jsonl", "rules.json"]


def test_init_without_the_cash_for_a_sample_says_what_to_do(empty: Shell) -> None:
    said = empty.ok("init", "--deposit", "100")
    assert "No sample index was made: the float of 600 USDT is more than the 100" in said
    empty.ok("treasury", "deposit", "1000000")
    assert "Made index 1, TOP8" in empty.ok("init")


def test_init_says_the_same_in_json(empty: Shell) -> None:
    document = empty.json("init", "--clock", "stepped")
    assert document["schema"] == "etf.init/1"
    assert document["deposit"] == "1000000"
    assert document["index"] == {"id": 1, "symbol": "TOP8", "is_new": True}


@pytest.mark.parametrize(
    "words", [("index", "list"), ("submit", "buy", "--index", "1", "--qty", "1"), ("worker",)]
)
def test_without_init_every_command_names_it(empty: Shell, words: tuple[str, ...]) -> None:
    answer = empty.etf(*words)
    assert answer.code == 4
    assert "etf init" in answer.err


@needs_recordings
def test_a_recording_is_found_from_every_folder_below(empty: Shell) -> None:
    beside = os.path.relpath(RECORDINGS, empty.folder)
    said = empty.ok("init", "--market", "recording", "--recordings", beside, "--deposit", "5000000")
    assert "recording market, stepped clock" in said
    assert "No sample index was made: BNB, SOL, XRP, DOGE, ADA have no market in USDT." in said
    assert "Next: etf index create MINE --weight BTC=0.5 --weight ETH=0.5 --float 600" in said
    below = empty.folder / "deep" / "er"
    below.mkdir(parents=True)
    assert Shell(below).json("exchange", "status")["market"] == "recording"
