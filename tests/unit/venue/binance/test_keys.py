"""Keys are found where they may be, refused where they may not, and shown nowhere."""

import pickle
from pathlib import Path

import pytest
from Crypto.PublicKey import ECC

from etf_trader.errors import ConfigError
from etf_trader.venue.binance.environments import DEMO, ENVIRONMENTS, LIVE, LOCAL, TESTNET
from etf_trader.venue.binance.keys import Keys, Secret, find_keys, variables

NAME, SECRET = "vmPUZE6mv9SD5VNHk4HlWFsOr6aKE2zv", "NhqPtmdSJYdKjVHjA7PZj4Mge3R5YNiP"
PAIR = {LIVE: "BINANCE_", DEMO: "BINANCE_DEMO_", TESTNET: "BINANCE_TESTNET_", LOCAL: "ETF_LOCAL_"}


def environ(environment: str) -> dict[str, str]:
    return {f"{PAIR[environment]}API_KEY": NAME, f"{PAIR[environment]}SECRET_KEY": SECRET}


def env_file(folder: Path, environment: str, mode: int = 0o600, **changes: str) -> Path:
    path = folder / ".env"
    given = environ(environment) | changes
    path.write_text("".join(f"{name}={value}\n" for name, value in given.items()))
    path.chmod(mode)
    return path


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_each_environment_has_a_pair_of_its_own(environment: str) -> None:
    keys = find_keys(environment, environ(environment), None)
    assert (keys.api_key.revealed(), keys.secret.revealed()) == (NAME, SECRET)
    assert set(variables(environment)) == set(environ(environment))
    for other in set(ENVIRONMENTS) - {environment}:
        with pytest.raises(ConfigError, match=f"no keys for the environment {other}"):
            find_keys(other, environ(environment), None)


def test_a_pair_of_the_environment_comes_before_that_of_the_file(tmp_path: Path) -> None:
    path = env_file(tmp_path, DEMO, BINANCE_DEMO_API_KEY="another")
    assert find_keys(DEMO, {}, path).api_key.revealed() == "another"
    assert find_keys(DEMO, {}, path).source == str(path)
    found = find_keys(DEMO, environ(DEMO), path)
    assert (found.api_key.revealed(), found.source) == (NAME, "environment")


def test_half_a_pair_is_no_pair(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="BINANCE_SECRET_KEY is not set"):
        find_keys(LIVE, {"BINANCE_API_KEY": NAME}, None)


@pytest.mark.parametrize("mode", [0o604, 0o640, 0o644, 0o620])
def test_live_keys_that_others_may_read_are_refused(tmp_path: Path, mode: int) -> None:
    with pytest.raises(ConfigError, match="others may read") as refused:
        find_keys(LIVE, {}, env_file(tmp_path, LIVE, mode))
    assert "chmod 600" in (refused.value.hint or "")
    assert find_keys(DEMO, {}, env_file(tmp_path, DEMO, mode)).api_key.revealed() == NAME


@pytest.mark.parametrize("text", ["two words", "line\nbreak", "umlaut-ü"])
def test_a_key_that_cannot_be_is_refused_without_being_told(text: str) -> None:
    with pytest.raises(ConfigError) as refused:
        find_keys(DEMO, environ(DEMO) | {"BINANCE_DEMO_SECRET_KEY": text}, None)
    told = f"{refused.value.message}{refused.value.hint}{refused.value.where}"
    assert text not in told


def test_a_private_key_is_read_from_the_file_that_is_named(tmp_path: Path) -> None:
    pem = ECC.generate(curve="Ed25519").export_key(format="PEM")
    path = tmp_path / "private.pem"
    path.write_text(pem)
    path.chmod(0o600)
    keys = find_keys(LIVE, {}, env_file(tmp_path, LIVE, BINANCE_SECRET_KEY="private.pem"))
    assert keys.is_ed25519
    assert keys.secret.revealed() == pem
    path.chmod(0o644)
    with pytest.raises(ConfigError, match="others may read"):
        find_keys(LIVE, {}, tmp_path / ".env")
    path.write_text("nothing")
    with pytest.raises(ConfigError, match="holds no private key"):
        find_keys(DEMO, environ(DEMO) | {"BINANCE_DEMO_SECRET_KEY": "private.pem"}, tmp_path / ".env")


def test_a_private_key_in_one_line_is_read_as_it_was_meant() -> None:
    pem = ECC.generate(curve="Ed25519").export_key(format="PEM")
    given = environ(DEMO) | {"BINANCE_DEMO_SECRET_KEY": pem.replace("\n", "\\n")}
    assert find_keys(DEMO, given, None).secret.revealed() == pem


def test_a_secret_shows_nowhere() -> None:
    keys = Keys(Secret(NAME), Secret(SECRET), "environment")
    by_percent = "%s %r" % (keys.secret, keys.secret)  # noqa: UP031  # as logging does
    shown = f"{keys}{keys!r}{keys.secret}{keys.secret!s}{[keys.api_key]}{by_percent}"
    assert NAME not in shown
    assert SECRET not in shown
    with pytest.raises(TypeError):
        pickle.dumps(keys)
