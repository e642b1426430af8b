"""Folders that are made once and copied for each test: a process takes half a second."""

import shutil
from pathlib import Path

import pytest
from tests.acceptance.shell import Shell


@pytest.fixture(scope="session")
def made_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder after `etf init` on the stepped clock."""
    folder = tmp_path_factory.mktemp("made")
    Shell(folder).ok("init", "--clock", "stepped")
    return folder


@pytest.fixture(scope="session")
def held_folder(made_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder in which 100 units were bought."""
    folder = tmp_path_factory.mktemp("held") / "folder"
    _copy(made_folder, folder)
    Shell(folder).ok("submit", "buy", "--index", "1", "--qty", "100", "--client-key", "first")
    return folder


@pytest.fixture
def empty(tmp_path: Path) -> Shell:
    """Return an empty folder."""
    return Shell(tmp_path)


@pytest.fixture
def made(made_folder: Path, tmp_path: Path) -> Shell:
    """Return a folder of one's own after `etf init`."""
    _copy(made_folder, tmp_path / "folder")
    return Shell(tmp_path / "folder")


@pytest.fixture
def held(held_folder: Path, tmp_path: Path) -> Shell:
    """Return a folder of one's own in which 100 units were bought."""
    _copy(held_folder, tmp_path / "folder")
    return Shell(tmp_path / "folder")


def _copy(source: Path, target: Path) -> None:
    shutil.copytree(source, target, ignore=shutil.ignore_patterns("home"))
