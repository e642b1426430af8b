"""The services that a command works with, opened for as long as it runs."""

from __future__ import annotations

from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

from etf_trader.cli.invocation import settings

if TYPE_CHECKING:
    from etf_trader.bootstrap import Services

Answer = TypeVar("Answer")


def in_loop(work: Coroutine[Any, Any, Answer]) -> Answer:
    """Run `work` in the one event loop that a command opens, at its edge."""
    import asyncio  # `--help` and reads do without

    return asyncio.run(work)


@contextmanager
def services() -> Iterator[Services]:
    """Yield the services of the configuration in force.

    Raises:
        ConfigError: a database is missing, of another version, or belongs to another account.
    """
    from etf_trader.bootstrap import open_services

    opened = open_services(settings())
    try:
        yield opened
    finally:
        opened.close()
