"""The file of `--out`: which format, what is replaced, written whole and for its owner alone."""

import os
from io import BytesIO
from pathlib import Path

import pytest

from etf_trader.cli.documents import json_document
from etf_trader.cli.out_file import OutFile, format_of, out_file
from etf_trader.errors import UsageError

OURS = b'<!DOCTYPE html>\n<meta name="generator" content="etf-trader 1.0">'


@pytest.mark.parametrize(
    ("name", "asked", "form"),
    [
        ("a.html", None, "html"),
        ("a.HTM", None, "html"),
        ("a.xlsx", None, "xlsx"),
        ("a.json", None, "json"),
        ("a.csv", None, "csv"),
        ("a.txt", None, "table"),
        ("a.txt", "json", "json"),
        ("a", "html", "html"),
        ("a.2026", "csv", "csv"),
        ("-", None, "table"),
        ("-", "xlsx", "xlsx"),
    ],
)
def test_a_file_gets_the_format_of_its_ending(name: str, asked: str | None, form: str) -> None:
    assert format_of(name, asked) == form


@pytest.mark.parametrize(
    ("name", "asked", "said"),
    [
        ("report", None, "the name report does not tell a format"),
        ("report.pdf", None, "the name report.pdf does not tell a format"),
        ("a.html", "csv", "a.html would hold csv, not html"),
        ("a.csv", "table", "a.csv would hold table, not csv"),
        ("", "html", "an empty name"),
    ],
)
def test_a_name_that_does_not_fit_is_refused(name: str, asked: str | None, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        format_of(name, asked)


def workbook(creator: str) -> bytes:
    from xlsxwriter import Workbook

    target = BytesIO()
    with Workbook(target, {"in_memory": True}) as book:
        book.set_properties({"author": creator})
    return target.getvalue()


@pytest.mark.parametrize(
    ("content", "form", "is_replaced"),
    [
        (OURS, "html", True),
        (OURS, "json", False),
        (b"<!DOCTYPE html>\n<title>mine</title>", "html", False),
        (json_document("etf.fills/1", {}).encode(), "json", True),
        (b'{"mine": 1}', "json", False),
        (workbook("etf-trader 1.0"), "xlsx", True),
        (workbook("somebody"), "xlsx", False),
        (b"no zip", "xlsx", False),
        (b"order,loss\r\n", "csv", False),
        (b"Position 1\n", "table", False),
        (b"", "csv", True),
    ],
)
def test_only_a_result_of_its_own_is_replaced(
    tmp_path: Path, content: bytes, form: str, is_replaced: bool
) -> None:
    path = tmp_path / "file"
    path.write_bytes(content)
    if is_replaced:
        assert out_file(str(path), form, overwrite=False) == OutFile(path)
    else:
        with pytest.raises(UsageError, match="is there already") as refused:
            out_file(str(path), form, overwrite=False)
        assert "--overwrite" in str(refused.value.hint)
    assert out_file(str(path), form, overwrite=True) == OutFile(path)


@pytest.mark.parametrize(
    ("name", "said"),
    [("no/a.html", "there is no folder"), (".", "is a folder")],
)
def test_a_place_that_cannot_be_written_is_refused_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match=said):
        out_file(name, "html", overwrite=True)


def test_a_file_is_for_its_owner_alone_also_where_it_was_not(tmp_path: Path) -> None:
    path = tmp_path / "a.html"
    path.write_bytes(OURS)
    path.chmod(0o644)
    OutFile(path).write(b"new")
    assert path.read_bytes() == b"new"
    assert path.stat().st_mode & 0o777 == 0o600
    assert [each.name for each in tmp_path.iterdir()] == ["a.html"]


def test_what_fails_half_way_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.html"
    path.write_bytes(OURS)

    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        OutFile(path).write(b"new")
    assert path.read_bytes() == OURS
    assert [each.name for each in tmp_path.iterdir()] == ["a.html"]


def test_a_link_is_followed(tmp_path: Path) -> None:
    target, link = tmp_path / "target.html", tmp_path / "link.html"
    target.write_bytes(OURS)
    link.symlink_to(target)
    OutFile(link).write(b"new")
    assert link.is_symlink()
    assert target.read_bytes() == b"new"


def test_what_is_no_file_is_written_to() -> None:
    OutFile(Path("/dev/null")).write(b"gone")
    assert Path("/dev/null").is_char_device()
