"""What all tests share: exact money, Hypothesis without deadlines, no configuration from outside."""

import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from tests.effort import IS_GATE, examples

from etf_trader.money import money_context

pytest.register_assert_rewrite("tests.contract.suite")

settings.register_profile("default", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("ci", settings.get_profile("default"), derandomize=True, max_examples=examples(100))
settings.load_profile("ci" if IS_GATE else "default")


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


CONTRIBUTING = Path(__file__).resolve().parent.parent / "CONTRIBUTING.md"
_skipped: dict[str, str] = {}


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Remember what was skipped, and why."""
    _remember(report)


def pytest_collectreport(report: pytest.CollectReport) -> None:
    """Remember the modules that were skipped as a whole."""
    _remember(report)


def _remember(report: pytest.TestReport | pytest.CollectReport) -> None:
    if report.skipped and not hasattr(report, "wasxfail") and isinstance(report.longrepr, tuple):
        _skipped[report.nodeid] = report.longrepr[2].removeprefix("Skipped: ")


@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Fail the run when a test was skipped for a reason that CONTRIBUTING.md does not allow."""
    if refused_skips() and not hasattr(session.config, "workerinput"):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Name the tests that were skipped without a good reason."""
    for test, reason in refused_skips().items():
        terminalreporter.write_line(
            f"SKIPPED without an allowed reason (CONTRIBUTING.md): {test}: {reason}", red=True
        )


def refused_skips() -> dict[str, str]:
    """Return the skipped tests whose reason does not begin with an allowed word."""
    if not _skipped:
        return {}
    section = CONTRIBUTING.read_text().partition("### Allowed reasons to skip")[2].partition("\n#")[0]
    allowed = tuple(re.findall(r"^- `([^`]+)`", section, flags=re.MULTILINE))
    return {test: reason for test, reason in _skipped.items() if not reason.startswith(allowed)}


def pytest_xdist_auto_num_workers() -> int:
    """Use half as many workers again as there are cores: many tests wait for processes, sockets and clocks."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(2, cores + cores // 2)
