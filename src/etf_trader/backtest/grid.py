"""Rulebooks side by side: every combination of a few values, run in parallel processes.

    calendar=monthly,quarterly; band=0,0.02; weighting=equal,capped

A key is a short name, or any key of an index file written with its table, like
`selection.exit`. A cell of the grid is the index file with these values in place of
its own, checked as an index file is.
"""

from __future__ import annotations

import gc
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, replace
from decimal import Decimal, InvalidOperation
from difflib import get_close_matches
from itertools import product
from pathlib import Path
from typing import Any

from etf_trader.backtest.candles import read_folder
from etf_trader.backtest.history import History
from etf_trader.backtest.result import Figures, result_of
from etf_trader.backtest.simulator import Setting, run
from etf_trader.errors import DataError, EtfError, LedgerError, UsageError
from etf_trader.index.caps import read_caps
from etf_trader.index.methodology import TABLES, Methodology, read_methodology
from etf_trader.money import ONE, ZERO, money_context

CAPITAL = "capital"
SHORT = {
    "calendar": "calendar.cron",
    "band": "rebalance.absolute",
    "relative": "rebalance.relative",
    "nav": "rebalance.nav",
    "to": "rebalance.to",
    "turnover": "rebalance.turnover",
    "reserve": "rebalance.reserve",
    "weighting": "weighting.by",
    "cap": "weighting.cap",
    "floor": "weighting.floor",
    "days": "weighting.days",
    "count": "selection.count",
    "delisting": "delisting.rule",
    CAPITAL: CAPITAL,
}
"""What a grid calls the keys that are compared most."""

CALENDARS = {
    "daily": "10 0 * * *",
    "weekly": "10 0 * * 1",
    "monthly": "10 0 1 * *",
    "quarterly": "10 0 1 1,4,7,10 *",
    "half-yearly": "10 0 1 1,7 *",
    "yearly": "10 0 1 1 *",
}
"""The calendars that have a name."""

MOST_CELLS = 2000

GARBAGE_AFTER = 500_000
"""A run makes many objects and hardly any garbage: collecting as often as Python does costs a sixth of it."""

_HINT = 'for example --grid "calendar=monthly,quarterly; band=0,0.02"'


@dataclass(frozen=True, slots=True)
class Cell:
    """One combination: its values as they were typed, by key, and what is run."""

    values: Mapping[str, str]
    setting: Setting


@dataclass(frozen=True, slots=True)
class Row:
    """What a cell came to; `refused` says why it came to nothing. `findings` are those of the audit."""

    values: Mapping[str, str]
    figures: Figures | None
    nav_end: Decimal
    findings: tuple[str, ...]
    refused: str | None = None


@dataclass(frozen=True, slots=True)
class Files:
    """Where the past is read from."""

    candles: Path
    quote: str
    caps: Path | None
    columns: Mapping[str, str]
    candles_only: bool

    def read(self) -> History:
        """Read it.

        Raises:
            UsageError, DataError: a file cannot be read, or a row of it; says which.
        """
        table = read_caps(self.caps, self.columns) if self.caps is not None else None
        return History(read_folder(self.candles, self.quote), table, candles_only=self.candles_only)


def cells_of(texts: Sequence[str], setting: Setting, where: str) -> list[Cell]:
    """Return every combination of the values of a grid.

    Args:
        texts: As typed, each "key=value,value; key=value".
        setting: What all have in common, and what the grid does not say.
        where: The index file, for errors.

    Raises:
        UsageError: a key is unknown, and names the nearest; or a value cannot be, and names the cell.
    """
    axes = _axes(texts)
    count = 1
    for values in axes.values():
        count *= len(values)
    if count > MOST_CELLS:
        raise UsageError(
            f"the grid has {count:,} combinations: at most {MOST_CELLS:,}",
            where="--grid",
            hint="leave some values out",
        )
    combined = (dict(zip(axes, values, strict=True)) for values in product(*axes.values()))
    return [Cell(values, _setting(values, setting, where)) for values in combined]


def _axes(texts: Sequence[str]) -> dict[str, list[str]]:
    axes: dict[str, list[str]] = {}
    for part in (part.strip() for text in texts for part in text.split(";")):
        if not part:
            continue
        name, separator, listed = part.partition("=")
        name, values = name.strip(), [value.strip() for value in listed.split(",")]
        if not separator or not all(values):
            raise UsageError(f"{part!r} is not of the form KEY=VALUE,VALUE", where="--grid", hint=_HINT)
        _require_key(name)
        if name in axes:
            raise UsageError(f"the grid names {name} twice", where="--grid", hint="give all its values at once")
        if len(set(values)) != len(values):
            raise UsageError(f"the grid has a value of {name} twice", where="--grid", hint="name each once")
        axes[name] = values
    if not axes:
        raise UsageError("the grid is empty", where="--grid", hint=_HINT)
    return axes


def _require_key(name: str) -> None:
    table, _, key = name.partition(".")
    if name in SHORT or (table in TABLES and key):  # which keys a table has is known to who reads index files
        return
    near = get_close_matches(name, [*SHORT, *TABLES], n=1)
    known = ", ".join(SHORT)
    raise UsageError(
        f"a grid has no key {name!r}",
        where="--grid",
        hint=f"did you mean {near[0]}?"
        if near
        else f"one of {known}, or a key of an index file like selection.exit",
    )


def _setting(values: Mapping[str, str], setting: Setting, where: str) -> Setting:
    document = _written(setting.rule)
    capital = setting.capital
    for name, text in values.items():
        path = SHORT.get(name, name)
        if path == CAPITAL:
            capital = _capital(text)
            continue
        table, _, key = path.partition(".")
        document[table][key] = CALENDARS.get(text, text) if path == "calendar.cron" else _value(text)
    told = "; ".join(f"{name}={text}" for name, text in values.items())
    return replace(setting, rule=read_methodology(document, f"--grid {told}"), capital=capital)


def _written(rule: Methodology) -> dict[str, Any]:
    """Return a rulebook as an index file would write it: what it leaves open is not there."""
    document = {
        table: {key: value for key, value in values.items() if value is not None}
        for table, values in rule.document().items()
    }
    return {table: values for table, values in document.items() if table != "weights" or values}


def _value(text: str) -> Any:
    """Return a value as TOML would read it: a truth, a whole number, a number, or a word."""
    if text in ("true", "false"):
        return text == "true"
    if text.isascii() and text.isdecimal():
        return int(text)
    try:
        return Decimal(text)
    except InvalidOperation:
        return text


def _capital(text: str) -> Decimal:
    try:
        capital = Decimal(text)
    except InvalidOperation:
        capital = ZERO
    if not capital.is_finite() or capital < ONE:
        raise UsageError(f"a capital of {text!r} cannot be", where="--grid", hint="capital=100000,1000000")
    return capital


def run_cells(
    cells: Sequence[Cell],
    files: Files,
    history: History,
    processes: int,
    told: Callable[[int], None] | None = None,
) -> list[Row]:
    """Run the cells of a grid and return their rows, the best return first, who was refused last.

    Args:
        files, history: The past, read already: so what is wrong with it was said. Other processes read it again.
        processes: How many run at once; with one, here.
        told: Is told how many cells are done.
    """
    rows = []
    for done, row in enumerate(_rows(cells, files, history, min(processes, len(cells))), start=1):
        rows.append(row)
        if told is not None:
            told(done)
    return sorted(rows, key=_merit)


def _merit(row: Row) -> tuple[bool, float, tuple[str, ...]]:
    figures = row.figures
    gained = 0.0 if figures is None else float(figures.total_return)
    return figures is None, -gained, tuple(row.values.values())


def _rows(cells: Sequence[Cell], files: Files, history: History, processes: int) -> Iterator[Row]:
    if processes <= 1:
        yield from (_row(cell, history) for cell in cells)
        return
    # Spawned, not forked: this process may have threads. Each worker reads the past once for all its cells.
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(processes, context, _begin, (files,))
    try:
        for done in as_completed([pool.submit(_work, cell) for cell in cells]):
            yield done.result()
    except BrokenProcessPool as error:
        raise EtfError(
            "a process of the grid has died, perhaps for want of memory", hint="fewer at once: --processes 1"
        ) from error
    except BaseException:
        for worker in multiprocessing.active_children():  # Ctrl-C answers at once, whatever they are at
            worker.terminate()
        raise
    finally:
        pool.shutdown(cancel_futures=True)
        del pool  # a traceback would keep it, and its semaphores


_history: History | None = None
"""What a worker has read; one a process."""


def _begin(files: Files) -> None:
    global _history
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the process that asked
    threading.Thread(target=_end_with_parent, daemon=True).start()
    gc.set_threshold(GARBAGE_AFTER)
    with money_context():
        _history = files.read()
    gc.freeze()


def _end_with_parent() -> None:
    """Leave when the process that asked is gone, however it went: nobody waits for the rest."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
    os._exit(1)


def _work(cell: Cell) -> Row:
    assert _history is not None
    return _row(cell, _history)


def _row(cell: Cell, history: History) -> Row:
    try:
        with money_context():
            found = result_of(run(cell.setting, history), history)
    except (DataError, UsageError) as error:
        return Row(cell.values, None, ZERO, (), str(error))
    return Row(cell.values, found.figures, found.nav_end, found.audit.findings)


def processors() -> int:
    """Return how many processes this one may keep busy."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def require_clean(findings: Sequence[str]) -> None:
    """Refuse the books of a run in which the audit found something.

    Raises:
        LedgerError: with the first finding.
    """
    if findings:
        raise LedgerError(f"the books of the backtest do not hold: {findings[0]}")


def require_result(rows: Sequence[Row]) -> None:
    """Refuse a grid of which nothing came, or whose books do not hold.

    Raises:
        LedgerError: the audit of a run found something.
        DataError: with what the first cell was refused for.
    """
    for row in rows:
        require_clean(row.findings)
    refused = [row.refused for row in rows if row.refused is not None]
    if len(refused) == len(rows):
        raise DataError(f"no combination of the grid could be run: {refused[0]}")
