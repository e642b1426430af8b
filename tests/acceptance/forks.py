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
from pathlib import Path

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


def run_forked(
    words: Sequence[str], folder: Path, environment: Mapping[str, str], output: tuple[Path, Path], seconds: float
) -> int:
    """Run `etf` with these words in a folder and return its exit code; `output` takes its stdout and stderr.

    Raises:
        TimeoutError: it has not ended in time, and was killed.
    """
    process = _context.Process(target=_become, args=(list(words), folder, dict(environment), output))
    process.start()
    process.join(seconds)
    if process.exitcode is None:
        process.kill()
        process.join()
        raise TimeoutError(f"etf {' '.join(words)} has not ended in {seconds} s")
    return process.exitcode


def _become(words: list[str], folder: Path, environment: dict[str, str], output: tuple[Path, Path]) -> None:
    from etf_trader.cli.app import main

    opened = [os.open(os.devnull, os.O_RDONLY), *(os.open(each, os.O_WRONLY | os.O_CREAT) for each in output)]
    for number, descriptor in enumerate(opened):
        os.dup2(descriptor, number)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    time.tzset()
    sys.argv = ["etf", *words]
    main()
