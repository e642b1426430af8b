"""Runs of real commands: one at a time, each in the log with what it said and its exit code."""

import os
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from etf_trader.clock import SimulatedClock, SystemClock
from etf_trader.cron import runs
from etf_trader.cron.runs import Run, RunLog, RunState, runs_in

NOW = datetime(2026, 1, 1, 0, 11, tzinfo=UTC)


@pytest.fixture
def log(tmp_path: Path) -> RunLog:
    return RunLog(tmp_path / "state" / "schedule", "abc", SimulatedClock(NOW))


def done(log: RunLog, script: str) -> tuple[int, str]:
    with log.alone() as lock:
        assert lock is not None
        return log.run(["/bin/sh", "-c", script], "etf rebalance --due", lock)


def test_the_log_has_what_a_run_said_and_its_exit_code_and_is_private(log: RunLog) -> None:
    assert done(log, "echo Nothing is due.; echo more; exit 0") == (0, "Nothing is due.\nmore\n")
    assert done(log, "printf 'etf: no' >&2; exit 6") == (6, "etf: no")
    assert done(log, "kill -9 $$") == (137, "")
    found = log.runs()
    assert [(run.exit, run.said, run.began, run.ended) for run in found] == [
        (137, "", NOW, NOW),
        (6, "etf: no", NOW, NOW),
        (0, "Nothing is due.", NOW, NOW),
    ]
    assert log.path.stat().st_mode & 0o777 == 0o600
    assert log.path.parent.stat().st_mode & 0o777 == 0o700
    log.path.chmod(0o644)
    done(log, "true")
    assert log.path.stat().st_mode & 0o777 == 0o600


def test_a_second_run_finds_the_first_at_work_also_when_its_starter_was_killed(
    log: RunLog, tmp_path: Path
) -> None:
    """What was started goes on holding the lock, and writes into the log."""
    script = f"echo at work; touch {tmp_path}/began; while [ ! -e {tmp_path}/stop ]; do sleep 0.02; done"
    starter = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import sys; from pathlib import Path; from etf_trader.clock import SystemClock\n"
            "from etf_trader.cron.runs import RunLog\n"
            "log = RunLog(Path(sys.argv[1]), 'abc', SystemClock())\n"
            "with log.alone() as lock: log.run(['/bin/sh', '-c', sys.argv[2]], 'told', lock)",
            str(log.path.parent),
            script,
        ]
    )
    _until((tmp_path / "began").exists)
    assert log.runs()[0].state is RunState.RUNNING
    os.kill(starter.pid, signal.SIGKILL)
    starter.wait()
    with log.alone() as lock:
        assert lock is None
    log.skip()
    assert [run.state for run in log.runs()] == [RunState.SKIPPED, RunState.RUNNING]
    (tmp_path / "stop").touch()
    _until(lambda: not log.is_running())
    assert [run.state for run in log.runs()] == [RunState.SKIPPED, RunState.LOST]
    assert log.runs()[1].said == "at work"
    assert done(log, "true")[0] == 0


def test_who_is_asked_to_end_asks_the_run_to_end_and_writes_down_how_it_did(
    log: RunLog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def leave(_signal: int, _frame: object) -> None:
        raise SystemExit(143)

    before = signal.signal(signal.SIGALRM, leave)
    signal.setitimer(signal.ITIMER_REAL, 0.2)
    try:
        with pytest.raises(SystemExit):
            done(log, "trap 'echo cleaned up; exit 143' TERM; while true; do sleep 0.02; done")
    finally:
        signal.signal(signal.SIGALRM, before)
    assert [(run.exit, run.said) for run in log.runs()] == [(143, "cleaned up")]
    assert not log.is_running()


def test_a_long_log_is_put_aside_once_and_both_are_read(log: RunLog, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runs, "LARGEST_LOG", 200)
    for _ in range(12):
        done(log, "echo Nothing is due.")
    assert log.path.stat().st_size < 400 and log.older.stat().st_size < 400
    assert 2 <= len(log.runs()) < 12
    assert all(run.exit == 0 for run in log.runs())


def test_a_log_that_was_cut_or_scribbled_in_is_read_as_far_as_it_goes() -> None:
    text = (
        "half a line\n2026-01-01T00:11:00Z process 1 ended: exit 0\n"
        "2026-01-01T01:11:00Z process 2 began: etf rebalance --due\nhello\n"
        "2026-01-01T02:11:00Z process 3 skipped: another run is still at work\nworld\n"
        "2026-01-01T03:11:00Z process 2 ended: exit x\n"
    )
    began = datetime(2026, 1, 1, 1, 11, tzinfo=UTC)
    skipped = datetime(2026, 1, 1, 2, 11, tzinfo=UTC)
    assert runs_in(text) == [
        Run(3, skipped, RunState.SKIPPED),
        Run(2, began, RunState.LOST, said="hello"),
    ]
    assert runs_in("") == []


def test_without_a_log_there_are_no_runs(tmp_path: Path) -> None:
    log = RunLog(tmp_path / "none", "abc", SystemClock())
    assert log.runs() == [] and not log.is_running()
    assert not (tmp_path / "none").exists()


def _until(is_true: object) -> None:
    assert callable(is_true)
    deadline = time.monotonic() + 20
    while not is_true():
        assert time.monotonic() < deadline
        time.sleep(0.01)
