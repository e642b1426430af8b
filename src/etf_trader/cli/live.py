"""Shows what changes for as long as somebody watches: in place on a terminal, a line a change in a pipe."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from etf_trader.cli.invocation import output
from etf_trader.cli.output import Page

EVERY_SECONDS = 0.5

Seen = TypeVar("Seen")


def follow(
    see: Callable[[], Seen],
    draw: Callable[[Page, Seen], None],
    line: Callable[[Seen], str],
    *,
    news: Callable[[Seen], object] | None = None,
    is_over: Callable[[Seen], bool] = lambda _: False,
) -> Seen:
    """Look twice a second until it is over, and return what was seen last.

    Args:
        see: Looks.
        draw: Draws it whole for a terminal, where what was seen last stays.
        line: Says it in one line.
        news: What a line is said about: not again while this is the same; None: the line itself.
        is_over: Whether there is nothing more to come; never, when not given.
    """
    shown = output()
    is_drawn = shown.is_table and shown.stdout.isatty()
    with _in_place(draw) if is_drawn else _line_by_line(line, news or line) as tell:
        while True:
            seen = see()
            tell(seen)
            if is_over(seen):
                return seen
            time.sleep(EVERY_SECONDS)


@contextmanager
def _in_place(draw: Callable[[Page, Seen], None]) -> Iterator[Callable[[Seen], None]]:
    from rich.console import Console
    from rich.live import Live
    from rich.text import Text

    console = Console(file=output().stdout, highlight=False)
    with Live(console=console, auto_refresh=False) as live:

        def tell(seen: Seen) -> None:
            page = Page(console.width)
            draw(page, seen)
            live.update(Text.from_ansi(page.text().rstrip("\n")), refresh=True)

        yield tell


@contextmanager
def _line_by_line(line: Callable[[Seen], str], news: Callable[[Seen], object]) -> Iterator[Callable[[Seen], None]]:
    told: list[object] = []

    def tell(seen: Seen) -> None:
        if (now := news(seen)) not in told:
            told[:] = [now]
            output().say(line(seen))

    yield tell
