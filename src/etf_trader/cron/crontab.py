"""The crontab of this user: one marked line goes in and out, every other byte stays as it is."""

import fcntl
import os
import re
import shutil
import subprocess
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from etf_trader.cron.job import MARK
from etf_trader.errors import EtfError

EMPTY = ("no crontab for", "No such file")
"""What programs say that find no crontab: Debian's, cronie's and macOS's; BusyBox's."""

SERVICES = frozenset({"cron", "crond", "fcron", "dcron", "bcron-sched", "cronie", "systemd-cron"})
SECONDS = 20


@dataclass(frozen=True, slots=True)
class Marked:
    """A marked line as it stands; `is_on` is false where somebody put a # before it."""

    line: str

    @property
    def is_on(self) -> bool:
        """Whether cron runs it."""
        return not self.line.lstrip().startswith("#")

    @property
    def cron(self) -> str:
        """When it runs, as it stands there: its five fields, or what somebody wrote in their place."""
        words = self.line.lstrip("# \t").split()
        return words[0] if words[0].startswith("@") else " ".join(words[:5])


def marked(text: bytes, mark: str) -> Marked | None:
    """Return the line with this mark at its end, or None."""
    found = [line for line in text.split(b"\n") if _has(line, mark)]
    return Marked(found[0].decode(errors="replace").strip()) if found else None


def with_line(text: bytes, mark: str, line: str) -> bytes:
    """Return a crontab with this marked line: in the place of the one it has, else at the end."""
    lines = text.split(b"\n")
    places = [number for number, each in enumerate(lines) if _has(each, mark)]
    if not places:
        return text + (b"" if not text or text.endswith(b"\n") else b"\n") + line.encode() + b"\n"
    lines[places[0]] = line.encode()
    kept = b"\n".join(each for number, each in enumerate(lines) if number not in places[1:])
    return kept if kept.endswith(b"\n") else kept + b"\n"


def without_line(text: bytes, mark: str) -> bytes:
    """Return a crontab without the marked line."""
    return b"\n".join(each for each in text.split(b"\n") if not _has(each, mark))


def other_lines(text: bytes, mark: str) -> list[str]:
    """Return the lines of other configurations that run."""
    ours = re.compile(re.escape(MARK).encode() + rb" [0-9a-f]{12}")
    return [
        line.decode(errors="replace").strip()
        for line in text.split(b"\n")
        if ours.search(line.rstrip()[-64:]) and not _has(line, mark) and not line.lstrip().startswith(b"#")
    ]


def _has(line: bytes, mark: str) -> bool:
    return line.rstrip().endswith(mark.encode())


class Crontab:
    """Reads and writes by the system's own `crontab`."""

    def __init__(self, program: str) -> None:
        self._program = program

    @classmethod
    def of_this_user(cls) -> "Crontab":
        """Return the crontab of who runs this.

        Raises:
            EtfError: the system has no `crontab`.
        """
        program = shutil.which("crontab")
        if program is None:
            raise EtfError(
                "this system has no crontab",
                where="PATH",
                hint="install cron (Debian, Ubuntu: apt-get install cron; Fedora: dnf install cronie),\n"
                "or let systemd do it: etf schedule install --systemd",
            )
        return cls(program)

    def read(self) -> bytes:
        """Return the crontab, byte for byte; nothing where there is none.

        Raises:
            EtfError: it cannot be read.
        """
        done = self._run("-l")
        if done.returncode == 0:
            return done.stdout
        told = done.stderr.decode(errors="replace")
        if any(each in told for each in EMPTY):
            return b""
        raise EtfError(f"the crontab cannot be read: {_first(told)}", where=self._program)

    def _write(self, text: bytes) -> None:
        """Put `text` in the place of the crontab, and see that it stands there; no text, and there is none."""
        done = self._run("-", text) if text else self._run("-r")
        if done.returncode or not self.read().endswith(text):
            told = _first(done.stderr.decode(errors="replace")) if done.returncode else "it reads otherwise"
            raise EtfError(f"the crontab cannot be written: {told}", where=self._program)

    def change(self, how: Callable[[bytes], bytes], lock: Path) -> tuple[bytes, bytes]:
        """Change the crontab, one process at a time; return it before and after.

        Args:
            how: From the crontab to what is to stand there; the same: nothing is written.
            lock: A file that all who change it agree on.

        Raises:
            EtfError: it cannot be read, or the system refused the new one and kept the old.
        """
        lock.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with lock.open("w") as held:
            fcntl.flock(held, fcntl.LOCK_EX)
            before = self.read()
            after = how(before)
            if after != before:
                self._write(after)
        return before, after

    def _run(self, word: str, given: bytes | None = None) -> "subprocess.CompletedProcess[bytes]":
        try:
            return subprocess.run(
                [self._program, word],
                input=b"" if given is None else given,
                capture_output=True,
                env={**os.environ, "LC_ALL": "C"},
                timeout=SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise EtfError(f"crontab did not answer in {SECONDS} s", where=self._program) from error


def is_served(processes: Path = Path("/proc")) -> bool:
    """Whether a cron service runs on this machine, as far as can be seen; where nothing can be seen, yes."""
    names = set()
    for path in processes.glob("[0-9]*/comm"):
        with suppress(OSError):  # one that has ended, or is not ours to see
            names.add(path.read_text().strip())
    return not names or bool(names & SERVICES)


def _first(told: str) -> str:
    lines = told.strip().splitlines()
    return lines[0].rstrip(".") if lines else "it said nothing"
