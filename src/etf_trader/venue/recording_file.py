"""Writes recorded market data so that it can be replayed, and so that a crash costs a second of it.

The format is the one that the paper exchange replays (docs/recordings.md): JSON lines
`{"t": seconds, "rest": "depth", "symbol": ..., "limit": ..., "data": {...}}` and
`{"t": seconds, "ws": {"stream": ..., "data": {...}}}`. What the recorder itself has to
say - its beginning, gaps, its end - stands in lines of streams of its own, which begin
with `!recorder@`; who replays passes over them.

Each flush appends one whole gzip member of whole lines and syncs it: a file that
nobody closed is read up to its last member.
"""

import asyncio
import gzip
import json
import os
import threading
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from etf_trader.errors import UsageError

RECORDER = "!recorder"
SUFFIXES = (".gz", ".jsonl")
FLUSH_AFTER = 1 << 18
"""Characters that are kept back at most."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


class RecordingFile:
    """One recording, open to be written."""

    def __init__(self, folder: Path, began: datetime) -> None:
        """Make a new file in `folder`, which is made too.

        Raises:
            UsageError: the folder has a recording; what is replayed is a folder, and each symbol once.
        """
        folder.mkdir(parents=True, exist_ok=True)
        if found := sorted(path.name for path in folder.iterdir() if path.suffix in SUFFIXES):
            raise UsageError(
                f"{folder} holds a recording already ({found[0]}): a folder is replayed as one market",
                where="--out",
                hint="name a folder that does not exist",
            )
        self.path = folder / f"books-{began.astimezone(UTC):%Y%m%dT%H%M%SZ}.jsonl.gz"
        self.size = 0
        self._lines: list[str] = []
        self._kept = 0
        self._lock = threading.Lock()
        self._file = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
        _sync_folder(folder)

    def snapshot(self, at: datetime, symbol: str, limit: int, text: str) -> None:
        """Write an answer of GET /api/v3/depth, as it came."""
        self._line(
            f'{{"t": {_seconds(at)}, "rest": "depth", "symbol": "{symbol}", "limit": {limit}, "data": {text}}}'
        )

    def message(self, at: datetime, stream: str, text: str) -> None:
        """Write what a stream said, as it came."""
        self._line(f'{{"t": {_seconds(at)}, "ws": {{"stream": "{stream}", "data": {text}}}}}')

    def mark(self, at: datetime, what: str, facts: Mapping[str, Any]) -> None:
        """Write a word of the recorder's own."""
        self.message(at, f"{RECORDER}@{what}", json.dumps(facts))

    @property
    def is_full(self) -> bool:
        """Whether so much is kept back that it should be flushed."""
        return self._kept >= FLUSH_AFTER

    def flush(self) -> None:
        """Put what was written on the disk, whole.

        Raises:
            OSError: it could not be; the file ends with what was flushed before.
        """
        lines = self._taken()
        try:
            self._append(lines)
        except OSError:
            self._lines[:0] = lines
            raise

    async def flush_aside(self) -> None:
        """The same, while the event loop goes on; what is written meanwhile belongs to the next flush."""
        lines = self._taken()
        try:
            await asyncio.to_thread(self._append, lines)
        except OSError:
            self._lines[:0] = lines
            raise

    def _taken(self) -> list[str]:
        lines, self._lines, self._kept = self._lines, [], 0
        return lines

    def _append(self, lines: list[str]) -> None:
        """Append one member of these lines; of two at a time the second waits."""
        if not lines:
            return
        member = gzip.compress("".join(lines).encode(), compresslevel=6)
        with self._lock:
            try:
                _write_all(self._file, member)
                os.fsync(self._file)
            except OSError as error:
                with suppress(OSError):
                    os.ftruncate(self._file, self.size)
                    os.lseek(self._file, self.size, os.SEEK_SET)
                if error.filename is None:
                    error.filename = str(self.path)
                raise
            self.size += len(member)

    def close(self) -> None:
        """Flush, and let go of the file; one in which nothing was written goes away."""
        try:
            self.flush()
        finally:
            os.close(self._file)
            if not self.size:
                self.path.unlink()

    def _line(self, line: str) -> None:
        self._lines.append(line + "\n")
        self._kept += len(line)


def write_exchange_info(folder: Path, info: Mapping[str, Any]) -> Path:
    """Write the rules of the symbols beside a recording, where `etf init --exchange-info` can read them."""
    path = folder / "exchangeInfo.json"
    path.write_text(json.dumps(info, indent=1, default=str) + "\n", encoding="utf-8")
    return path


def _seconds(at: datetime) -> str:
    microseconds = (at - _EPOCH) // _MICROSECOND
    return f"{microseconds // 1_000_000}.{microseconds % 1_000_000:06}"


def _write_all(file: int, data: bytes) -> None:
    left = memoryview(data)
    while left:
        left = left[os.write(file, left) :]


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
