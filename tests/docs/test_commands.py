"""Every command has help, examples that can be typed, and a place in the docs."""

import importlib.util
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
import typer
from typer._click import Command

from etf_trader.cli.app import COMMANDS, root
from etf_trader.cli.commands import SECTIONS, Group
from etf_trader.cli.invocation import Invocation, invoked
from etf_trader.cli.later import LATER

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted(path for path in [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")] if path.is_file())


def load_writer() -> ModuleType:
    spec = importlib.util.spec_from_file_location("write_commands", ROOT / "scripts" / "write_commands.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


writer = load_writer()


def walk() -> dict[str, tuple[Command, typer.Context]]:
    with invoked(Invocation()):
        top = root()
        return {
            path: (command, context)
            for path, command, context in writer.tree(top, typer.Context(top, info_name="etf"))
        }


TREE = walk()
GROUPS = {path.rpartition(" ")[0] for path in TREE}


@pytest.fixture(params=sorted(TREE))
def path(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_every_command_has_one_sentence_of_help(path: str) -> None:
    command = TREE[path][0]
    assert command.help
    assert re.fullmatch(r"[A-Z][^\n]*(\n[^\n]+)*\.", command.help.strip()), f"{path}: {command.help!r}"


def test_every_command_has_examples_that_can_be_typed(path: str) -> None:
    examples = (TREE[path][0].epilog or "").splitlines()
    assert examples
    for example in examples:
        assert example.startswith(path), example
        check_typed(example)


def test_every_option_says_what_it_does_and_stands_in_a_known_section(path: str) -> None:
    command, context = TREE[path]
    for param in command.get_params(context):
        assert getattr(param, "help", None), f"{path} {param.name}"
        panel = getattr(param, "rich_help_panel", None)
        assert not isinstance(panel, str) or panel in SECTIONS


def test_every_command_takes_the_shared_options(path: str) -> None:
    command, context = TREE[path]
    names = {name for param in command.get_params(context) for name in param.opts}
    assert {"--json", "--format", "--quiet", "--verbose", "--config", "--help"} <= names


def test_every_command_stands_in_the_reference(path: str) -> None:
    assert f"\n### {path}\n" in (ROOT / "docs" / "commands.md").read_text()


def test_the_reference_is_what_help_prints(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    assert (ROOT / "docs" / "commands.md").read_text() == writer.page(), "python scripts/write_commands.py"


def test_no_command_is_both_here_and_later() -> None:
    assert not set(LATER) & {path.partition(" ")[2] for path in TREE}
    assert not set(LATER) & set(COMMANDS)


def test_every_entry_has_its_line() -> None:
    for name, entry in COMMANDS.items():
        assert re.fullmatch(r"[A-Z].{5,70}\.", entry.text), name


def typed_commands() -> Iterator[tuple[str, str]]:
    """Yield every line of a code block that begins with `etf`, and where it stands."""
    for page in PAGES:
        if page.name == "commands.md":
            continue
        inside = False
        for number, line in enumerate(page.read_text().splitlines(), start=1):
            if line.lstrip().startswith("```"):
                inside = not inside
            elif inside:
                found = re.match(r"\s*(?:\$ )?(?:.*&& )?(etf [a-z][^|>]*)", line)
                if found and not line.startswith("etf: "):
                    yield f"{page.name}:{number}", found[1]


def test_commands_in_the_docs_can_be_typed() -> None:
    for where, typed in typed_commands():
        try:
            check_typed(typed)
        except AssertionError as error:
            raise AssertionError(f"{where}: {error}") from error


def check_typed(line: str) -> None:
    """Check that a command of this line exists and has the options that are used with it."""
    line = re.split(r"\s{2,}", line)[0]  # what follows is a remark
    words = shlex.split(line.partition("  #")[0].partition(" &&")[0], comments=True)
    paths = [" ".join(words[:length]) for length in range(len(words), 0, -1)]
    known = next((each for each in paths if each in TREE), None)
    assert known is not None, f"there is no command {line!r}"
    command, context = TREE[known]
    assert not isinstance(command, Group)
    names = {name for param in command.get_params(context) for name in (*param.opts, *param.secondary_opts)}
    used = {word.partition("=")[0] for word in words if re.match(r"--?[a-z]", word)}
    assert used <= names, f"{line!r}: {used - names}"
