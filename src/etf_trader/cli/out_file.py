"""The file that `--out` names: which format it gets, whether it may be replaced, how it is written.

A file that is there is replaced when it says of itself that `etf` made it, in the same
format: html, xlsx and json do. Anything else is left alone without `--overwrite`.
"""

from __future__ import annotations

import os
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from etf_trader.errors import UsageError

STDOUT = "-"

SUFFIXES = {".html": "html", ".htm": "html", ".xlsx": "xlsx", ".json": "json", ".csv": "csv", ".txt": "table"}

FIRST_BYTES = 4096
"""So far a file is read to see who made it."""


@dataclass(frozen=True, slots=True)
class OutFile:
    """Where a result goes; `path` is None for stdout."""

    path: Path | None

    def write(self, content: bytes) -> None:
        """Write the file whole or not at all, for its owner alone; what is no file (a pipe) is written to."""
        assert self.path is not None
        if self.path.exists() and not self.path.is_file():
            self.path.write_bytes(content)
            return
        target = self.path.resolve()
        descriptor, new = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name[:100]}.")
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(descriptor)
            Path(new).replace(target)
        except BaseException:
            with suppress(OSError):
                Path(new).unlink()
            raise


def format_of(name: str, asked: str | None) -> str:
    """Return the format of a file: the one that was asked for, else the one its ending names.

    Raises:
        UsageError: neither says it, or they differ.
    """
    if not name:
        raise UsageError("an empty name is not the name of a file", where="--out", hint="--out report.html")
    named = SUFFIXES.get(Path(name).suffix.lower()) if name != STDOUT else None
    if asked is None and named is None:
        if name == STDOUT:
            return "table"
        raise UsageError(
            f"the name {name} does not tell a format",
            where="--out",
            hint=f"end it in {', '.join(SUFFIXES)}, or add --format",
        )
    if asked is not None and named not in (None, "table", asked):
        raise UsageError(f"{name} would hold {asked}, not {named}", where="--out", hint="leave out --format")
    return asked or named or "table"


def out_file(name: str, form: str, *, overwrite: bool) -> OutFile:
    """Return the file, checked before anything is done: it could be written now.

    Raises:
        UsageError: there is no such folder, it may not be written, or another file stands there.
    """
    if name == STDOUT:
        return OutFile(None)
    path = Path(name)
    folder = path.resolve().parent
    if path.is_dir():
        raise UsageError(f"{name} is a folder, not a file", where="--out", hint=f"--out {path / 'report.html'}")
    if not folder.is_dir():
        raise UsageError(f"there is no folder {folder}", where="--out", hint=f"mkdir -p {folder}")
    if not os.access(folder, os.W_OK):
        raise UsageError(
            f"the folder {folder} cannot be written", where="--out", hint="name a file in a folder of yours"
        )
    if path.is_file() and not overwrite and not _is_ours(path, form):
        raise UsageError(
            f"{name} is there already, and it does not say that etf made it as {form}",
            where="--out",
            hint="take another name, or replace it with --overwrite",
        )
    return OutFile(path)


def _is_ours(path: Path, form: str) -> bool:
    """Whether a file says of itself that it is a result of `etf` in this format; an empty one may be replaced."""
    with path.open("rb") as file:
        first = file.read(FIRST_BYTES)
    if not first:
        return True
    if form == "html":
        return first.startswith(b"<!DOCTYPE html>") and b'name="generator" content="etf-trader' in first
    if form == "json":
        return first.lstrip(b"{ \n").startswith(b'"schema": "etf.')
    return form == "xlsx" and _is_our_workbook(path)


def _is_our_workbook(path: Path) -> bool:
    from zipfile import BadZipFile, ZipFile

    try:
        with ZipFile(path) as archive:
            return b"<dc:creator>etf-trader" in archive.read("docProps/core.xml")
    except (BadZipFile, KeyError):
        return False
