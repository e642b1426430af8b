"""The cells of a grid, run in parallel processes."""

from __future__ import annotations

import gc
import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from importlib import import_module

from etf_trader.backtest.files import Files
from etf_trader.backtest.grid import Cell
from etf_trader.backtest.history import History
from etf_trader.backtest.result import Figures, result_of
from etf_trader.backtest.simulator import run
from etf_trader.errors import DataError, EtfError, LedgerError, UsageError
from etf_trader.money import ZERO, money_context

GARBAGE_AFTER = 500_000
"""A run makes many objects and hardly any garbage: collecting as often as Python does costs a sixth of it."""


@dataclass(frozen=True, slots=True)
class Row:
    """What a cell came to; `refused` says why it came to nothing. `findings` are those of the audit.

    `start` is the first day of the result, the one before the fund began.
    """

    values: Mapping[str, str]
    start: date | None
    figures: Figures | None
    nav_end: Decimal
    findings: tuple[str, ...]
    refused: str | None = None


@contextmanager
def running(cells: Sequence[Cell], files: Files, history: History, processes: int) -> Iterator[Iterator[Row]]:
    """Run the cells of a grid, and hand out their rows as they are done.

    Args:
        files, history: The past, read already: so what is wrong with it was said.
        processes: How many run at once; with one, here.
    """
    processes = min(processes, len(cells))
    if processes <= 1:
        yield (_row(cell, history) for cell in cells)
        return
    # A process without threads is forked: what it has read is there. Else each reads the past again, once.
    is_forked = sys.platform == "linux" and threading.active_count() == 1
    context = multiprocessing.get_context("fork" if is_forked else "spawn")
    if is_forked:
        import_module("etf_trader.solver.highs")  # SciPy, which most runs come to need: once, for all of them
    pool = ProcessPoolExecutor(processes, context, _begin, (history if is_forked else files,))
    try:
        yield (done.result() for done in as_completed([pool.submit(_work, cell) for cell in cells]))
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


def merit(row: Row) -> tuple[bool, float, tuple[str, ...]]:
    """Sort rows: the best return first, who was refused last."""
    figures = row.figures
    gained = 0.0 if figures is None else float(figures.total_return)
    return figures is None, -gained, tuple(row.values.values())


_history: History | None = None
"""What a worker has read; one a process."""


def _begin(past: History | Files) -> None:
    global _history
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the process that asked
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    gc.set_threshold(GARBAGE_AFTER)
    with money_context():
        _history = past if isinstance(past, History) else past.read()
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
        return Row(cell.values, None, None, ZERO, (), str(error))
    return Row(cell.values, found.days[0].day, found.figures, found.nav_end, found.audit.findings)


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
        raise DataError(
            f"no combination of the grid could be run: {refused[0]}",
            where="--grid",
            hint="without --grid the one of the index file is told whole",
        )
