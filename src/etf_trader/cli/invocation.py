"""What was typed around a command: which configuration, which format, how much talk.

`main` makes one `Invocation` for a run; commands reach it through `output()` and
`settings()`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from etf_trader.cli.output import Output
    from etf_trader.config import Settings


@dataclass(slots=True)
class Invocation:
    """One run of `etf`.

    `arguments` is all that was typed, `command` the path of the command in it. `csv`
    names the list that `--format csv` prints, if the command has one; `files` says
    whether it prints html and xlsx, `is_of_account` whether it tells of the account.
    Without a `format` the name of the file `out` says it, else it is a table.
    """

    arguments: tuple[str, ...] = ()
    command: str = "etf"
    config: Path | None = None
    format: str | None = None
    out: str | None = None
    overwrite: bool = False
    csv: str | None = None
    files: bool = False
    is_of_account: bool = True
    quiet: bool = False
    verbose: bool = False
    _output: Output | None = field(default=None, repr=False)
    _settings: Settings | None = field(default=None, repr=False)

    def output(self) -> Output:
        """Return the one output of this run."""
        if self._output is None:
            from etf_trader.cli.output import Output

            form, out = self.format or "table", None
            if self.out is not None:
                from etf_trader.cli.out_file import format_of, out_file

                form = format_of(self.out, self.format)
                out = out_file(self.out, form, overwrite=self.overwrite)
            self._output = Output(
                form, csv=self.csv, files=self.files, out=out, quiet=self.quiet, verbose=self.verbose
            )
        return self._output

    def settings(self) -> Settings:
        """Return the configuration, read when first asked for."""
        if self._settings is None:
            import os

            from etf_trader.config import Settings

            self._settings = Settings.load(cwd=Path.cwd(), config_path=self.config, environ=os.environ)
        return self._settings


_current: ContextVar[Invocation] = ContextVar("invocation")


def invocation() -> Invocation:
    """Return what was typed around the command that runs now."""
    return _current.get()


def output() -> Output:
    """Return where the command that runs now prints."""
    return _current.get().output()


def settings() -> Settings:
    """Return the configuration of the command that runs now."""
    return _current.get().settings()


@contextmanager
def invoked(this: Invocation) -> Iterator[None]:
    """Make `this` the current invocation."""
    token = _current.set(this)
    try:
        yield
    finally:
        _current.reset(token)
