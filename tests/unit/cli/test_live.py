"""What is watched: in place on a terminal, a line a change in a pipe."""

import io
from collections.abc import Iterator

import pytest

from etf_trader.cli import live
from etf_trader.cli.invocation import Invocation, invoked
from etf_trader.cli.output import Output, Page, unmarked


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "EVERY_SECONDS", 0.0)


def watched(stream: io.StringIO, form: str = "table") -> tuple[int, str]:
    """Watch a number that goes 1, 1, 2, 3, until it is 3."""
    numbers: Iterator[int] = iter((1, 1, 2, 3))
    this = Invocation()
    this._output = Output(form, stdout=stream, stderr=io.StringIO())
    with invoked(this):
        last = live.follow(
            lambda: next(numbers),
            lambda page, seen: _draw(page, seen),
            lambda seen: f"it is {seen}",
            is_over=lambda seen: seen == 3,
        )
    return last, unmarked(stream.getvalue())


def _draw(page: Page, seen: int) -> None:
    page.line(f"whole {seen}")


def test_a_pipe_gets_a_line_for_each_change() -> None:
    assert watched(io.StringIO()) == (3, "it is 1\nit is 2\nit is 3\n")


def test_a_terminal_is_drawn_on_and_keeps_what_was_seen_last(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    last, shown = watched(Terminal())
    assert last == 3
    assert "it is" not in shown
    assert shown.count("whole 2") == 1
    assert shown.rstrip("\x1b[?25h\n").endswith("whole 3")


def test_a_program_gets_nothing_before_the_end() -> None:
    assert watched(io.StringIO(), "json") == (3, "")
    assert watched(Terminal(), "json") == (3, "")
