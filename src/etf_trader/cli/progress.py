"""A line on the terminal that shows that work goes on, how far it is, and how long it will take."""

from __future__ import annotations

import threading
from decimal import Decimal
from types import TracebackType
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from rich.progress import Progress as RichProgress
    from rich.progress import TaskID

SHOWN_AFTER_SECONDS = 1.0


class Progress:
    """Progress of one piece of work; without a stream it is silent.

    It appears after a second, so that quick work leaves no trace, and vanishes
    when the work is done: the result is said elsewhere.
    """

    def __init__(self, title: str, stream: TextIO | None, *, color: bool = True) -> None:
        self._title = title
        self._stream = stream
        self._color = color
        self._fraction: float | None = None
        self._text = ""
        self._lock = threading.Lock()
        self._timer: threading.Timer | None = None
        self._bar: RichProgress | None = None
        self._task: TaskID | None = None
        self._ended = False

    def update(self, fraction: Decimal | float | None, text: str = "") -> None:
        """Tell how far the work is: a fraction of one, or None when that is not known."""
        with self._lock:
            self._fraction = None if fraction is None else min(1.0, max(0.0, float(fraction)))
            self._text = text
            self._push()

    def __enter__(self) -> Progress:
        if self._stream is not None:
            self._timer = threading.Timer(SHOWN_AFTER_SECONDS, self._show)
            self._timer.daemon = True
            self._timer.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._timer is not None:
            self._timer.cancel()
        with self._lock:
            self._ended = True
            if self._bar is not None:
                self._bar.stop()

    def _show(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, TaskProgressColumn, TextColumn, TimeRemainingColumn
        from rich.progress import Progress as RichProgress

        with self._lock:
            if self._ended:
                return
            console = Console(file=self._stream, no_color=not self._color, highlight=False)
            self._bar = RichProgress(
                TextColumn("{task.description}", markup=False),
                BarColumn(bar_width=24),
                TaskProgressColumn(),
                TextColumn("{task.fields[note]}", markup=False),
                TimeRemainingColumn(compact=True, elapsed_when_finished=True),
                console=console,
                transient=True,
                refresh_per_second=8,
            )
            self._task = self._bar.add_task(self._title, total=None, note="")
            self._push()
            self._bar.start()

    def _push(self) -> None:
        if self._bar is not None and self._task is not None and not self._ended:
            total = None if self._fraction is None else 1.0
            self._bar.update(self._task, total=total, completed=self._fraction or 0.0, note=self._text)
