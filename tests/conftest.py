"""What all tests share: exact money, Hypothesis without deadlines, no configuration from outside."""

import os
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

from etf_trader.money import money_context

settings.register_profile("default", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("ci", settings.get_profile("default"), derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "default")


@pytest.fixture(autouse=True)
def exact_money() -> Iterator[None]:
    """Run every test in the decimal context that the program runs in."""
    with money_context():
        yield


@pytest.fixture(autouse=True)
def own_environment(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Keep the developer's own configuration, data and variables out of the tests."""
    home = tmp_path_factory.getbasetemp() / "home"
    for name in list(os.environ):
        if name.startswith("ETF_") and not name.startswith("ETF_TEST_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(home / "config"))
    monkeypatch.setenv("XDG_DATA_HOME", str(home / "data"))
