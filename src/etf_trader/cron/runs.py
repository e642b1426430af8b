"""Runs that start by themselves: one at a time, each in the log with its output and its exit code.

    2026-11-21T20:11:01Z process 4711 began: etf rebalance --due
    Nothing is due.
    2026-11-21T20:11:02Z process 4711 ended: exit 0

What a run says goes straight into the log: it stands there also when who started it was killed.
"""

import fcntl
import os
import re
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path

from etf_trader.clock import Clock

LARGEST_LOG = 512 * 1024
"""Bytes, after which the log begins anew; the one before is kept beside it."""

PRIVATE = 0o600
_ENTRY = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ) process (\d+) (began|ended|skipped): (.*)")


class RunState(StrEnum):
    """How a run came out: `lost` began and never ended, `skipped` found another at work."""

    ENDED = "ended"
    RUNNING = "running"
    SKIPPED = "skipped"
    LOST = "lost"


@dataclass(frozen=True, slots=True)
class Run:
    """One run as the log has it; `said` is the first line that it printed."""

    process: int
    began: datetime
    state: RunState
    ended: datetime | None = None
    exit: int | None = None
    said: str = ""


class RunLog:
    """The log and the lock of one configuration's runs, private to who owns them."""

    def __init__(self, folder: Path, name: str, clock: Clock) -> None:
        self.path = folder / f"{name}.log"
        self._lock = folder / f"{name}.lock"
        self._clock = clock

    @property
    def older(self) -> Path:
        """The log before this one."""
        return self.path.with_suffix(".log.1")

    @contextmanager
    def alone(self) -> Iterator[int | None]:
        """Yield the descriptor of the lock, or None while another run has it.

        A process that inherits it goes on holding the lock: a run whose starter was killed still keeps others off.
        """
        self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = os.open(self._lock, os.O_RDWR | os.O_CREAT, PRIVATE)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield None
        else:
            yield descriptor
        finally:
            os.close(descriptor)

    def is_running(self) -> bool:
        """Whether a run is at work now."""
        if not self._lock.exists():
            return False
        with self.alone() as lock:
            return lock is None

    def skip(self) -> None:
        """Write down that a run found another one at work."""
        with self._opened() as log:
            _write(log, f"{self._stamp()} process {os.getpid()} skipped: another run is still at work")

    def run(self, words: Sequence[str], told: str, lock: int) -> tuple[int, str]:
        """Run a command to its end with its output in the log; return its exit code and what it said.

        Args:
            words: The command.
            told: The command as a person types it.
            lock: From `alone`.
        """
        self._make_room()
        with self._opened() as log:
            _write(log, f"{self._stamp()} process {os.getpid()} began: {told}")
            start = os.fstat(log).st_size
            code, asked = _ended(words, log, lock)
            with self.path.open("rb") as written:
                written.seek(start)
                said = written.read().decode(errors="replace")
            gap = "" if not said or said.endswith("\n") else "\n"
            _write(log, f"{gap}{self._stamp()} process {os.getpid()} ended: exit {code}")
        if asked is not None:
            raise asked
        return code, said

    def runs(self) -> list[Run]:
        """Return the runs that the log has, newest first."""
        texts = [path.read_text(errors="replace") for path in (self.older, self.path) if path.is_file()]
        found = runs_in("\n".join(texts))
        began = next((number for number, run in enumerate(found) if run.state is not RunState.SKIPPED), None)
        if began is not None and found[began].state is RunState.LOST and self.is_running():
            found[began] = replace(found[began], state=RunState.RUNNING)
        return found

    def _stamp(self) -> str:
        return self._clock.now().astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")

    def _make_room(self) -> None:
        if self.path.is_file() and self.path.stat().st_size > LARGEST_LOG:
            self.path.replace(self.older)

    @contextmanager
    def _opened(self) -> Iterator[int]:
        log = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, PRIVATE)
        try:
            os.fchmod(log, PRIVATE)
            yield log
        finally:
            os.close(log)


def runs_in(text: str) -> list[Run]:
    """Return the runs that the text of a log tells, newest first."""
    found: list[Run] = []
    for line in text.splitlines():
        entry = _ENTRY.fullmatch(line)
        if entry is None:
            _hear(found, line.strip())
            continue
        when, process = datetime.fromisoformat(entry[1]), int(entry[2])
        if entry[3] == "ended":
            _end(found, process, when, entry[4])
        else:
            state = RunState.LOST if entry[3] == "began" else RunState.SKIPPED
            found.append(Run(process, when, state))
    return found[::-1]


def _hear(found: list[Run], line: str) -> None:
    """Write the first line that was printed to the run that has not ended yet."""
    number = _open_run(found)
    if line and number is not None and not found[number].said:
        found[number] = replace(found[number], said=line)


def _end(found: list[Run], process: int, when: datetime, how: str) -> None:
    """Write the end of a run to its beginning; between them stand only those that it kept off."""
    number, code = _open_run(found), how.removeprefix("exit ")
    if number is not None and found[number].process == process and code.isdecimal():
        found[number] = replace(found[number], state=RunState.ENDED, ended=when, exit=int(code))


def _open_run(found: Sequence[Run]) -> int | None:
    """Return the place of the newest run, those that it kept off aside, unless it has ended."""
    began = [number for number, run in enumerate(found) if run.state is not RunState.SKIPPED]
    return began[-1] if began and found[began[-1]].state is RunState.LOST else None


def _ended(words: Sequence[str], log: int, lock: int) -> tuple[int, BaseException | None]:
    """Run a command to its end; return its exit code, and what asked us to end meanwhile: it is asked too."""
    asked: BaseException | None = None
    with subprocess.Popen(
        words, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, pass_fds=(lock,)
    ) as process:
        try:
            process.wait()
        except (KeyboardInterrupt, SystemExit) as error:
            asked = error
            process.terminate()
            process.wait()
    code = process.returncode
    return (code if code >= 0 else 128 - code), asked


def _write(log: int, line: str) -> None:
    os.write(log, f"{line}\n".encode())
