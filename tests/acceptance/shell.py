"""A folder in which `etf` is typed, as a process of its own."""

import hashlib
import json
import os
import pty
import select
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

from tests.forks import ended, fork
from tests.locks import is_writable

from etf_trader.cli.output import unmarked
from etf_trader.money import floor_to

SECONDS = 60


@dataclass(frozen=True)
class Answer:
    """What a command said, and what it ended with."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> dict[str, Any]:
        """The JSON it printed."""
        found: dict[str, Any] = json.loads(self.out)
        return found


class Shell:
    """Types commands in one folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def etf(self, *words: str, **environment: str) -> Answer:
        """Run a command to its end."""
        with tempfile.TemporaryDirectory(prefix="etf-said-") as said:
            out, err = Path(said) / "out", Path(said) / "err"
            code = ended(fork(words, self.folder, self._environment() | environment, (out, err)), SECONDS)
            return _answer(code, out.read_text(), err.read_text())

    def anew(self, *words: str, **environment: str) -> Answer:
        """Run a command to its end in a process that begins from nothing, and so reads every variable."""
        done = subprocess.run(
            [sys.executable, "-m", "etf_trader", *words],
            cwd=self.folder,
            env=self._environment() | environment,
            capture_output=True,
            text=True,
            timeout=SECONDS,
            stdin=subprocess.DEVNULL,
        )
        return _answer(done.returncode, done.stdout, done.stderr)

    def on_terminal(self, columns: int, *words: str) -> list[str]:
        """Run a command on a terminal of this width, and return its lines without their colours."""
        leader, follower = pty.openpty()
        terminal = Path(os.ttyname(follower))
        width = {"COLUMNS": str(columns), "TERM": "xterm"}
        process = fork(words, self.folder, self._environment() | width, (terminal, terminal))
        shown = b""
        while process.is_alive() or select.select([leader], [], [], 0)[0]:
            if select.select([leader], [], [], 0.02)[0]:
                shown += os.read(leader, 65536)
        os.close(follower)
        os.close(leader)
        ended(process, SECONDS)
        return unmarked(shown.decode()).replace("\r", "").splitlines()

    def ok(self, *words: str) -> str:
        """Run a command that must succeed, and return what it printed."""
        answer = self.etf(*words)
        assert answer.code == 0, answer.out + answer.err
        return answer.out

    def json(self, *words: str) -> dict[str, Any]:
        """Run a command that must succeed, and return its document."""
        found: dict[str, Any] = json.loads(self.ok(*words, "--json"))
        return found

    def start(self, *words: str, stdin: int = subprocess.DEVNULL) -> subprocess.Popen[str]:
        """Start a command and return its process."""
        return subprocess.Popen(
            [sys.executable, "-m", "etf_trader", *words],
            cwd=self.folder,
            env=self._environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            stdin=stdin,
            text=True,
        )

    def interrupted(self, *words: str, number: int, when: Callable[[], bool]) -> Answer:
        """Start a command, send it a signal once `when` says so, and wait for its end."""
        process = self.start(*words)
        deadline = time.monotonic() + SECONDS
        while not when() and process.poll() is None:
            assert time.monotonic() < deadline, "it never came to the point"
            time.sleep(0.01)
        process.send_signal(number)
        out, err = process.communicate(timeout=SECONDS)
        return Answer(process.returncode, out, err)

    @contextmanager
    def started(self, *words: str) -> Iterator[subprocess.Popen[str]]:
        """Start a command whose stdout is read while it runs; it has ended afterwards."""
        process = subprocess.Popen(
            [sys.executable, "-m", "etf_trader", *words],
            cwd=self.folder,
            env=self._environment(),
            stdout=subprocess.PIPE,
            stdin=subprocess.DEVNULL,
            text=True,
        )
        try:
            yield process
            process.wait(SECONDS)
        finally:
            process.kill()
            process.communicate()

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """Read the ledger's database."""
        connection = sqlite3.connect(self.folder / "etf.db", timeout=SECONDS)
        try:
            return connection.execute(query).fetchall()
        finally:
            connection.close()

    def run(self, statement: str) -> None:
        """Change the ledger's database behind its back."""
        with sqlite3.connect(self.folder / "etf.db", timeout=SECONDS) as connection:
            connection.execute(statement)
        connection.close()

    def is_writable(self) -> bool:
        """Whether nobody holds the databases at this moment."""
        return is_writable(self.folder / "etf.db") and is_writable(self.folder / "exchange.db")

    def fingerprint(self) -> str:
        """Return a hash of everything in both databases, and of the files that lie here."""
        digest = hashlib.sha256()
        for name in ("etf.db", "exchange.db"):
            connection = sqlite3.connect(self.folder / name, timeout=SECONDS)
            for line in connection.iterdump():
                digest.update(line.encode())
            connection.close()
        digest.update("\n".join(sorted(path.name for path in self.folder.iterdir())).encode())
        return digest.hexdigest()

    def _environment(self) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("ETF_", "XDG_"))}
        return kept | {"HOME": str(self.folder / "home"), "COLUMNS": "100", "TZ": "UTC"}


def _answer(code: int, out: str, err: str) -> Answer:
    assert "Traceback" not in err, err
    return Answer(code, out, err)


def above_nav(shell: Shell, factor: Decimal) -> str:
    """Return a price per unit that is `factor` times the price now, to the cent."""
    nav = Decimal(shell.json("index", "nav", "1")["nav"])
    return str(floor_to(nav * factor, Decimal("0.01")))


INTERRUPT, TERMINATE = signal.SIGINT, signal.SIGTERM
