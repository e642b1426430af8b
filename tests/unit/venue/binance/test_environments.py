import pytest

from etf_trader.errors import ConfigError
from etf_trader.venue.binance.environments import DEMO, LIVE, LOCAL, TESTNET, environment, loopback


@pytest.mark.parametrize("name", [LIVE, DEMO, TESTNET])
def test_what_is_public_has_its_own_encrypted_addresses(name: str) -> None:
    found = environment(name, "http://127.0.0.1:1")
    assert found.api.startswith("https://")
    assert found.user.startswith("wss://")
    assert found.streams.startswith("wss://")
    assert "127.0.0.1" not in f"{found}"


def test_only_live_is_live() -> None:
    assert [environment(name, "http://localhost:1").is_live for name in (LIVE, DEMO, TESTNET, LOCAL)] == [
        True,
        False,
        False,
        False,
    ]


def test_a_local_environment_is_where_its_url_says() -> None:
    found = environment(LOCAL, "http://127.0.0.1:8899/")
    assert (found.api, found.wallet) == ("http://127.0.0.1:8899/api", "http://127.0.0.1:8899/sapi")
    assert (found.user, found.streams) == ("ws://127.0.0.1:8899/ws-api/v3", "ws://127.0.0.1:8899")


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:8899", "http://localhost:1/", "http://[::1]:80", "https://127.9.9.9"]
)
def test_a_server_on_this_machine_is_taken(url: str) -> None:
    assert loopback(url) == url.rstrip("/")


@pytest.mark.parametrize(
    "url",
    [
        "http://api.binance.com",
        "http://127.0.0.1.evil.net",
        "http://127.0.0.1@evil.net",
        "http://user:word@127.0.0.1",
        "http://10.0.0.1",
        "http://0.0.0.0:80",
        "ftp://127.0.0.1",
        "127.0.0.1:80",
        "http://127.0.0.1:99999",
        "http://127.0.0.1/api?x=1",
        "http://127.0.0.1/path",
        "",
    ],
)
def test_no_other_server_gets_keys(url: str) -> None:
    with pytest.raises(ConfigError, match="a server on this machine"):
        loopback(url)


def test_a_local_environment_needs_its_url() -> None:
    with pytest.raises(ConfigError, match=r"binance\.url is not set"):
        environment(LOCAL)
