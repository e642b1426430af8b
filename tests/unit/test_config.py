import stat
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from etf_trader.config import (
    KEYS,
    DatabaseUrl,
    Settings,
    edit,
    find_key,
    masked,
    variable_of,
    write_private,
)
from etf_trader.errors import ConfigError, NotFound, UsageError


def load(folder: Path, environ: Mapping[str, str] | None = None, **changes: Any) -> Settings:
    changes.setdefault("user_file", folder / "user" / "config.toml")
    return Settings.load(cwd=folder, environ=environ or {}, **changes)


def write(folder: Path, text: str) -> Path:
    path = folder / "etf.toml"
    path.write_text(text)
    return path


def test_without_any_file_the_defaults_hold(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    settings = load(tmp_path)
    assert settings.database == f"sqlite:///{tmp_path}/data/etf-trader/etf.db"
    assert settings.exchange.database == f"sqlite:///{tmp_path}/data/etf-trader/exchange.db"
    assert (settings.environment, settings.live, settings.holder) == ("paper", False, "self")
    assert (settings.exchange.market, settings.exchange.clock, settings.exchange.seed) == ("model", "wall", 1)
    assert settings.exchange.deposit == Decimal(1_000_000)
    assert (settings.solver.method, settings.solver.depth) == ("auto", 1000)
    assert settings.index.initial_float == Decimal(600)
    assert (settings.trade.slack_ticks, settings.trade.reserve_bps) == (1, Decimal(200))
    assert set(settings.sources.values()) == {"default"}


def test_the_nearest_file_above_is_found_and_databases_lie_beside_it(tmp_path: Path) -> None:
    write(tmp_path, "")
    inner = tmp_path / "a" / "b"
    inner.mkdir(parents=True)
    settings = load(inner)
    assert settings.project_file == tmp_path / "etf.toml"
    assert settings.database == f"sqlite:///{tmp_path}/etf.db"


def test_layers_cover_each_other_and_say_where_a_value_came_from(tmp_path: Path) -> None:
    user = tmp_path / "user.toml"
    user.write_text('holder = "user"\n[exchange]\nseed = 2\n[solver]\ndepth = 20\n[trade]\nslack_ticks = 5\n')
    project = write(tmp_path, "[exchange]\n\nseed = 3\n[solver]\ndepth = 30\n")
    settings = load(tmp_path, {"ETF_SOLVER_DEPTH": "40"}, user_file=user, overrides={"trade.slack_ticks": "6"})
    assert (settings.holder, settings.sources["holder"]) == ("user", f"{user}, line 1")
    assert (settings.exchange.seed, settings.sources["exchange.seed"]) == (3, f"{project}, line 3")
    assert (settings.solver.depth, settings.sources["solver.depth"]) == (40, "environment, ETF_SOLVER_DEPTH")
    assert (settings.trade.slack_ticks, settings.sources["trade.slack_ticks"]) == (6, "an option")


@pytest.mark.parametrize("how", ["option", "environment"])
def test_a_file_can_be_named(tmp_path: Path, how: str) -> None:
    other = tmp_path / "other" / "desk.toml"
    other.parent.mkdir()
    other.write_text('holder = "desk"')
    named = {"config_path": Path("other/desk.toml")} if how == "option" else {}
    environ = {"ETF_CONFIG": "other/desk.toml"} if how == "environment" else {}
    settings = load(tmp_path, environ, **named)
    assert settings.holder == "desk"
    assert settings.database == f"sqlite:///{tmp_path}/other/etf.db"


def test_a_named_file_that_is_not_there_is_no_default(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="--config names a file that is not there"):
        load(tmp_path, config_path=Path("nope.toml"))
    with pytest.raises(ConfigError, match="ETF_CONFIG names a file that is not there"):
        load(tmp_path, {"ETF_CONFIG": "nope.toml"})


@pytest.mark.parametrize(
    ("given", "exact"),
    [
        ("0.1", "0.1"),
        ('"0.1"', "0.1"),
        ("5", "5"),
        ("1e3", "1000"),
        ("98765432109.87654321", "98765432109.87654321"),
    ],
)
def test_numbers_are_read_exactly(tmp_path: Path, given: str, exact: str) -> None:
    write(tmp_path, f"[exchange]\ndeposit = {given}\n")
    assert load(tmp_path).exchange.deposit == Decimal(exact)


@pytest.mark.parametrize(
    ("text", "sentence", "line"),
    [
        ("holdr = 'x'", "there is no setting 'holdr'; did you mean 'holder'?", 1),
        ("\n[exchange]\nsed = 1", "there is no setting 'exchange.sed'; did you mean 'exchange.seed'?", 3),
        ("[exchnage]\nseed = 1", "there is no setting 'exchnage.seed'; did you mean 'exchange.seed'?", 2),
        ("[solver.deep]\nx = 1", "there is no setting 'solver.deep.x'", 2),
        ("[exchange]\nseed = '1'", 'exchange.seed must be a whole number, 0 or more, not "1"', 2),
        ("[exchange]\nseed = -1", "exchange.seed must be a whole number, 0 or more, not -1", 2),
        ("[exchange]\nseed = 1.5", "exchange.seed must be a whole number, 0 or more, not 1.5", 2),
        ("[exchange]\nseed = true", "exchange.seed must be a whole number, 0 or more, not true", 2),
        ("[exchange]\nmarket = 'modell'", 'exchange.market must be "model" or "recording", not "modell"', 2),
        ("[exchange]\nfees = 'FDUSD'", 'exchange.fees must be fees in bps by quote asset, like "FDUSD=0', 2),
        ("[exchange]\nfees = 0", 'exchange.fees must be fees in bps by quote asset, like "FDUSD=0', 2),
        ("[solver]\ndepth = 0", "solver.depth must be a whole number from 1 to 5000, not 0", 2),
        ("[trade]\nreserve_bps = nan", "trade.reserve_bps must be a number, 0 or more, not NaN", 2),
        ("[trade]\nreserve_bps = '-1'", 'trade.reserve_bps must be a number, 0 or more, not "-1"', 2),
        ("[index]\nfloat = inf", "index.float must be a number, 0 or more, not Infinity", 2),
        ("holder = 'a b'", 'holder must be 1 to 64 letters, digits, dots, dashes or underscores, not "a b"', 1),
        ("live = 'no'", 'live must be true or false, not "no"', 1),
        (
            "environment = 'papper'",
            'environment must be "paper", "demo", "testnet", "live" or "local", not "papper"',
            1,
        ),
        (
            "[binance]\nurl = 'http://api.binance.com'",
            'binance.url must be a server on this machine, like http://127.0.0.1:8899, not "http://api.binance.com"',
            2,
        ),
        ("[binance]\nurl = 'http://127.0.0.1.evil.net'", "binance.url must be a server on this machine", 2),
        ("[binance]\nurl = 'http://u@127.0.0.1'", "binance.url must be a server on this machine", 2),
        ("[binance]\nadmin = 'http://10.0.0.1:8900'", "binance.admin must be a server on this machine", 2),
        ("[binance]\nadmin = 'http://127.0.0.1:8900'", "binance.admin is set and binance.admin_token is not", 2),
        (
            "database = 'mysql://u:secret@h/x'",
            'database must be a file or a database URL, not "mysql://u:***@h/x"',
            1,
        ),
        ("database = ''", 'database must be a file or a database URL, not ""', 1),
        ("database = 'sqlite://'", 'database must be a file or a database URL, not "sqlite://"', 1),
        ("[database]\nurl = 'x'", "database must be a file or a database URL, not a section", None),
        ("[exchange]\nmarket = 'recording'", "exchange.recordings is not set", 2),
        ("database = 'exchange.db'", "database and exchange.database are the same", 1),
    ],
)
def test_a_mistake_is_named_with_its_file_and_line(
    tmp_path: Path, text: str, sentence: str, line: int | None
) -> None:
    path = write(tmp_path, text)
    with pytest.raises(ConfigError) as caught:
        load(tmp_path)
    assert sentence in caught.value.message
    assert caught.value.where == (f"{path}, line {line}" if line else str(path))
    assert caught.value.exit_code == 4


def test_a_file_that_is_no_toml_says_where(tmp_path: Path) -> None:
    path = write(tmp_path, "holder = \n")
    with pytest.raises(ConfigError, match=r"not valid TOML: .*line 1") as caught:
        load(tmp_path)
    assert caught.value.where == str(path)


def test_a_file_in_another_encoding_is_refused(tmp_path: Path) -> None:
    (tmp_path / "etf.toml").write_bytes(b'holder = "\xff"')
    with pytest.raises(ConfigError, match="not UTF-8"):
        load(tmp_path)


@pytest.mark.parametrize(
    ("environ", "sentence"),
    [
        ({"ETF_DATABSE": "x"}, "ETF_DATABSE is no setting; did you mean ETF_DATABASE?"),
        ({"ETF_EXCHANGE_SEED": "one"}, 'exchange.seed must be a whole number, 0 or more, not "one"'),
    ],
)
def test_a_mistake_in_the_environment_is_named(tmp_path: Path, environ: dict[str, str], sentence: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, environ)
    assert caught.value.message == sentence


def test_other_variables_are_left_alone(tmp_path: Path) -> None:
    environ = {"ETF_TEST_DATA": "x", "ETF_LOCAL_API_KEY": "x", "ETF_HOLDER": "", "PATH": "x"}
    assert load(tmp_path, environ).holder == "self"


def test_paths_are_relative_to_where_they_are_written(tmp_path: Path) -> None:
    project, here = tmp_path / "project", tmp_path / "project" / "here"
    here.mkdir(parents=True)
    write(project, "database = 'data/mine.db'\n[exchange]\nrecordings = '../books'\n")
    settings = load(here, {"ETF_EXCHANGE_EXCHANGE_INFO": "info.json"})
    assert settings.database == f"sqlite:///{project}/data/mine.db"
    assert settings.exchange.recordings == tmp_path / "books"
    assert settings.exchange.exchange_info == here / "info.json"


@pytest.mark.parametrize(
    ("given", "url"),
    [
        ("sqlite:///mine.db", "sqlite:///{folder}/mine.db"),
        ("sqlite:////var/mine.db", "sqlite:////var/mine.db"),
        ("/var/mine.db", "sqlite:////var/mine.db"),
        ("postgresql://u:p@h:5432/etf", "postgresql+psycopg://u:p@h:5432/etf"),
        ("postgresql+psycopg://h/etf", "postgresql+psycopg://h/etf"),
    ],
)
def test_a_database_is_a_file_or_a_url(tmp_path: Path, given: str, url: str) -> None:
    assert load(tmp_path, {"ETF_DATABASE": given}).database == url.format(folder=tmp_path)


def test_a_recording_has_a_clock_that_moves_by_steps(tmp_path: Path) -> None:
    write(tmp_path, "[exchange]\nmarket = 'recording'\nrecordings = 'books'\n")
    assert load(tmp_path).exchange.clock == "stepped"
    assert load(tmp_path, {"ETF_EXCHANGE_CLOCK": "wall"}).exchange.clock == "wall"


def test_passwords_show_nowhere(tmp_path: Path) -> None:
    settings = load(tmp_path, {"ETF_DATABASE": "postgresql://u:se%40cret@h/etf?password=secret"})
    assert "cret" not in repr(settings) + str(masked(settings.database))
    assert masked(settings.database) == "postgresql+psycopg://u:***@h/etf?password=***"
    assert "se%40cret" in settings.database


@given(
    st.from_regex(r"[a-z]{1,8}", fullmatch=True), st.from_regex(r"[A-Za-z0-9!$%^*()_+=-]{1,20}", fullmatch=True)
)
def test_any_password_is_masked(user: str, password: str) -> None:
    shown = repr(DatabaseUrl(f"postgresql+psycopg://{user}:{password}@host/etf"))
    assert shown == f"'postgresql+psycopg://{user}:***@host/etf'"


def test_settings_are_found_by_their_key(tmp_path: Path) -> None:
    settings = load(tmp_path, {"ETF_INDEX_FLOAT": "700.5"})
    assert settings.get("index.float") == Decimal("700.5")
    assert settings.get("holder") == "self"
    with pytest.raises(NotFound, match=r"did you mean 'index\.float'"):
        settings.get("index.flot")


def test_every_setting_says_what_it_means_and_has_a_variable_of_its_own() -> None:
    assert all(key.meaning for key in KEYS.values())
    assert len({variable_of(name) for name in KEYS}) == len(KEYS)
    assert find_key("index.float").attribute == "initial_float"


BEFORE = """# my fund
holder = "desk"   # us

[exchange]   # paper
seed = 7
"""


def test_an_edit_keeps_comments_and_other_lines(tmp_path: Path) -> None:
    path = write(tmp_path, BEFORE)
    edit(path, {"exchange.seed": "8", "index.float": "700.50", "live": "false"})
    text = path.read_text()
    assert text.startswith('# my fund\nholder = "desk"   # us\n')
    assert "[exchange]   # paper\nseed = 8\n" in text
    settings = load(tmp_path)
    assert (settings.exchange.seed, settings.index.initial_float, settings.live) == (8, Decimal("700.5"), False)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_an_edit_makes_the_file_if_need_be(tmp_path: Path) -> None:
    path = tmp_path / "new" / "etf.toml"
    edit(path, {"exchange.market": "recording", "exchange.recordings": "books", "holder": "desk"})
    settings = load(path.parent)
    assert (settings.exchange.market, settings.holder) == ("recording", "desk")
    assert settings.exchange.recordings == path.parent / "books"


@pytest.mark.parametrize(
    ("changes", "error"),
    [({"exchange.seed": "x"}, UsageError), ({"exchange.sed": "1"}, NotFound), ({"live": "maybe"}, UsageError)],
)
def test_a_wrong_edit_changes_nothing(tmp_path: Path, changes: dict[str, str], error: type[Exception]) -> None:
    path = write(tmp_path, BEFORE)
    with pytest.raises(error):
        edit(path, changes)
    assert path.read_text() == BEFORE
    assert list(tmp_path.iterdir()) == [path]


def test_an_edit_that_its_check_refuses_changes_nothing(tmp_path: Path) -> None:
    path = write(tmp_path, BEFORE)

    def check(candidate: Path) -> None:
        assert "seed = 9" in candidate.read_text()
        raise ConfigError("no")

    with pytest.raises(ConfigError, match="no"):
        edit(path, {"exchange.seed": "9"}, check)
    assert path.read_text() == BEFORE
    assert list(tmp_path.iterdir()) == [path]


def test_a_private_file_is_private_from_the_start(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b.txt"
    write_private(path, "x", lambda candidate: None)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
