import json
from collections.abc import Callable
from pathlib import Path

import pytest

from etf_trader.cli import app

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Run:
    monkeypatch.chdir(tmp_path)

    def typed(*arguments: str) -> tuple[int, str, str]:
        code = app.run(arguments)
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return typed


def test_show_says_where_each_value_came_from(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "etf.toml").write_text("holder = 'desk'\n")
    monkeypatch.setenv("ETF_DATABASE", "postgresql://u:secret@h/etf")
    code, out, _ = run("config", "show", "--json")
    rows = {row["key"]: row for row in json.loads(out)["settings"]}
    assert code == 0
    assert rows["holder"]["source"] == f"{tmp_path / 'etf.toml'}, line 1"
    assert rows["database"]["value"] == "postgresql+psycopg://u:***@h/etf"
    assert rows["database"]["source"] == "environment, ETF_DATABASE"
    assert rows["exchange.deposit"] == {
        "key": "exchange.deposit",
        "value": "1000000",
        "source": "default",
        "meaning": "first deposit, in USDT",
    }
    assert "secret" not in "".join(run("config", "show")[1:])


def test_get_prints_the_value_alone(run: Run) -> None:
    assert run("config", "get", "exchange.deposit") == (0, "1000000\n", "")
    assert run("config", "get", "live") == (0, "false\n", "")
    assert run("config", "get", "exchange.recordings") == (0, "-\n", "")
    code, _, err = run("config", "get", "exchange.sed")
    assert code == 3
    assert "did you mean 'exchange.seed'" in err


def test_set_changes_the_file_and_says_so(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "etf.toml"
    path.write_text("# mine\n")
    code, out, _ = run("config", "set", "exchange.seed", "7")
    assert (code, out) == (0, f"exchange.seed is now 7 ({path}).\n")
    assert path.read_text().startswith("# mine\n")
    assert run("config", "get", "exchange.seed")[1] == "7\n"


@pytest.mark.parametrize(
    ("typed", "code", "told"),
    [
        (["exchange.seed", "x"], 2, "exchange.seed must be a whole number"),
        (["exchange.seed", "-1"], 2, 'exchange.seed must be a whole number, 0 or more, not "-1"'),
        (["exchange.deposit", "-.5"], 2, 'exchange.deposit must be a number, 0 or more, not "-.5"'),
        (["exchange.deposit", "--", "-5"], 2, 'exchange.deposit must be a number, 0 or more, not "-5"'),
        (["exchange.seed", "9", "--jsn"], 2, "did you mean --json?"),
        (["exchange.sed", "1"], 3, "did you mean 'exchange.seed'"),
        (["exchange.market", "recording"], 4, "exchange.recordings is not set; nothing was written"),
        (["database", "exchange.db"], 4, "are the same; nothing was written"),
    ],
)
def test_set_refuses_what_would_not_load(run: Run, tmp_path: Path, typed: list[str], code: int, told: str) -> None:
    path = tmp_path / "etf.toml"
    path.write_text("# mine\n")
    ended, _, err = run("config", "set", *typed)
    assert ended == code
    assert told in err
    assert path.read_text() == "# mine\n"


@pytest.mark.parametrize(
    ("key", "value", "is_kept"),
    [
        ("exchange.seed", "9", True),
        ("exchange.clock", "stepped", True),
        ("exchange.deposit", "5", True),
        ("solver.depth", "500", False),
    ],
)
def test_set_says_that_an_exchange_keeps_what_it_was_made_with(
    run: Run, tmp_path: Path, key: str, value: str, is_kept: bool
) -> None:
    (tmp_path / "etf.toml").write_text("")
    assert "etf exchange reset" not in run("config", "set", key, value)[1]
    (tmp_path / "exchange.db").write_bytes(b"there")
    assert ("etf exchange reset makes a new one" in run("config", "set", key, value)[1]) is is_kept
    document = json.loads(run("config", "set", key, value, "--json")[1])
    assert document["next"] == ("etf exchange reset" if is_kept else None)


def test_show_keeps_values_whole_and_names_their_source_in_short(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "etf.toml").write_text("holder = 'desk'\n")
    monkeypatch.setenv("ETF_SOLVER_DEPTH", "50")
    rows = {line.split()[0]: line for line in run("config", "show")[1].splitlines()[2:]}
    assert rows["database"].split()[1:3] == [str(tmp_path / "etf.db"), "default"]
    assert "desk" in rows["holder"]
    assert "  etf.toml, line 1  " in rows["holder"]
    assert "  environment  " in rows["solver.depth"]


def test_set_without_a_file_points_to_init(run: Run) -> None:
    code, _, err = run("config", "set", "exchange.seed", "7")
    assert code == 4
    assert "etf init makes one" in err


def test_path_tells_where_things_lie(run: Run, tmp_path: Path) -> None:
    assert "none: etf init makes one" in run("config", "path")[1]
    (tmp_path / "etf.toml").write_text("")
    assert json.loads(run("config", "path", "--json")[1])["data_folder"] == str(tmp_path)


def test_config_names_another_file(run: Run, tmp_path: Path) -> None:
    other = tmp_path / "other.toml"
    other.write_text("holder = 'desk'")
    for arguments in (
        ["--config", str(other), "config", "get", "holder"],
        ["config", "get", "holder", "--config", "other.toml"],
    ):
        assert run(*arguments) == (0, "desk\n", "")
