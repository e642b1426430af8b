"""`etf version`."""

import platform
import sqlite3

from etf_trader import __version__
from etf_trader.cli.commands import command, single
from etf_trader.cli.invocation import output
from etf_trader.cli.output import Page

app = single()


@command(app, examples=("etf version", "etf version --json"))
def version() -> None:
    """Print the versions of etf and what it runs on."""
    facts = {
        "version": __version__,
        "python": platform.python_version(),
        "sqlite": sqlite3.sqlite_version,
        "platform": platform.platform(terse=True),
    }

    def draw(page: Page) -> None:
        page.line(
            f"etf-trader {__version__} (Python {facts['python']}, SQLite {facts['sqlite']}, {facts['platform']})"
        )

    output().emit("etf.version/1", facts, draw)
