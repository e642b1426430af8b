"""Processes of `etf` that need not import it first: each is a fork of one that has.

Most of the time of a short command goes into imports, and the tests type more
than a thousand. What depends on how a process begins or ends (start-up, kills,
signals, terminals) is tried with processes that begin from nothing.
"""

import multiprocessing
import os
import pkgutil
import sys
import time
from collections.abc import Mapping, Sequence
from io import TextIOWrapper
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import TextIO

import etf_trader

LAZY = (
    "alembic.command",
    "binance.async_client",
    "dotenv",
    "platformdirs",
    "rich.console",
    "rich.live",
    "rich.progress",
    "sqlalchemy.dialects.sqlite",
    "tomlkit",
)
"""What commands import of others when they need it."""

_OWN = tuple(module.name for module in pkgutil.walk_packages(etf_trader.__path__, "etf_trader."))
_context = multiprocessing.get_context("forkserver")
_context.set_forkserver_preload([*LAZY, *(name for name in _OWN if name != "etf_trader.__main__")])


def fork(
    words: Sequence[str], folder: Path, environment: Mapping[str, str], output: tuple[Path, Path]
) -> BaseProcess:
    """Start `etf` with these words in a folder; `output` takes its stdout and stderr."""
    process = _context.Process(target=_become, args=(list(words), folder, dict(environment), output))
    process.start()
    return process


def ended(process: BaseProcess, seconds: float) -> int:
    """Wait for the end of a process, and return its exit code.

    Raises:
        TimeoutError: it has not ended in time, and was killed.
    """
    process.join(seconds)
    if process.exitcode is None:
        process.kill()
        process.join()
        raise TimeoutError(f"it has not ended in {seconds} s")
    return process.exitcode


def _become(words: list[str], folder: Path, environment: dict[str, str], output: tuple[Path, Path]) -> None:
    from etf_trader.cli.app import main

    opened = [
        os.open(os.devnull, os.O_RDONLY),
        *(os.open(each, os.O_WRONLY | os.O_CREAT | os.O_APPEND) for each in output),
    ]
    for number, descriptor in enumerate(opened):
        os.dup2(descriptor, number)
    sys.stdin = _stream(0, "r")
    sys.stdout = _stream(1, "w", buffering=1 if os.isatty(1) else -1)
    sys.stderr = _stream(2, "w", buffering=1, errors="backslashreplace")
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    time.tzset()
    sys.argv = ["etf", *words]
    main()


def _stream(number: int, mode: str, *, buffering: int = -1, errors: str = "strict") -> TextIO:
    """Return the stream of a descriptor as Python makes it when it begins."""
    stream = os.fdopen(number, mode, buffering, encoding="utf-8", errors=errors, closefd=False)
    assert isinstance(stream, TextIOWrapper)
    return stream
