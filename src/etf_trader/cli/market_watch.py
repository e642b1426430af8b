"""Order books that are watched: in place on a terminal, a line a change in a pipe, documents with --json."""

from __future__ import annotations

import json
from collections.abc import Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any

from etf_trader.cli.documents import as_data
from etf_trader.cli.invocation import output
from etf_trader.cli.market_books import document, headline, spoken_age, summary
from etf_trader.cli.output import Page, Table, dim, number, text
from etf_trader.venue.market_data import Pair, Seen, Sourced

if TYPE_CHECKING:
    from rich.live import Live


class Screen:
    """Where books are shown as they change."""

    def __init__(self, environment: str, pairs: Mapping[str, Pair]) -> None:
        self._environment = environment
        self._pairs = pairs
        self._told: dict[str, object] = {}
        self._live: Live | None = None
        self._width = 0

    def __enter__(self) -> Screen:
        shown = output()
        if shown.is_table and shown.stdout.isatty():
            from rich.console import Console
            from rich.live import Live

            console = Console(file=shown.stdout, highlight=False)
            self._width = console.width
            self._live = Live(console=console, auto_refresh=False)
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live is not None:
            self._live.stop()

    def show(self, seen: Mapping[str, Seen]) -> None:
        """Show the books as they are now."""
        if self._live is not None:
            self._draw(seen)
            return
        changed = {symbol: each for symbol, each in seen.items() if self._told.get(symbol) != _state(each)}
        self._told |= {symbol: _state(each) for symbol, each in changed.items()}
        if not changed:
            return
        if output().is_table:
            for symbol, each in changed.items():
                output().say(line(self._pairs[symbol], each))
        else:
            self._write([document(each, self._pairs[symbol], 1) for symbol, each in changed.items()])

    def _write(self, books: list[dict[str, Any]]) -> None:
        """Write what changed as one document on one line."""
        body = {"schema": "etf.books/1", "environment": self._environment, "books": as_data(books)}
        output().stdout.write(json.dumps(body, ensure_ascii=False) + "\n")
        output().stdout.flush()

    def _draw(self, seen: Mapping[str, Seen]) -> None:
        from rich.text import Text

        assert self._live is not None
        page = Page(self._width)
        page.table(_table(self._pairs, seen))
        page.line(dim("Ctrl-C ends it."))
        self._live.update(Text.from_ansi(page.text().rstrip("\n")), refresh=True)


def _table(pairs: Mapping[str, Pair], seen: Mapping[str, Seen]) -> Table:
    table = Table(
        text("symbol"),
        number("bid"),
        number("ask"),
        number("bps"),
        number("bids in 10 bps", optional=2),
        number("asks in 10 bps", optional=2),
        number("age", optional=3),
        text("source", wrap=True),
    )
    for symbol, each in seen.items():
        table.row(symbol, *summary(pairs[symbol], each))
    return table


def line(pair: Pair, seen: Seen) -> str:
    """Return a book in one line, for a pipe."""
    if not isinstance(seen, Sourced):
        return f"{pair.symbol} · {seen.message}"
    return (
        f"{pair.symbol} · {headline(pair, seen.book)} · update {seen.book.update_id} · {spoken_age(seen.age)} old"
    )


def _state(seen: Seen) -> object:
    """Return what counts as a change: the age alone does not."""
    return (seen.book.update_id, seen.source) if isinstance(seen, Sourced) else seen.message
