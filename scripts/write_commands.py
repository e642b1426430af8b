"""Write docs/commands.md from the help of every command; with --check, only compare.

The reference is the help itself, so that what the docs say and what `etf --help`
says cannot differ.
"""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

os.environ["COLUMNS"] = "100"

import typer
from typer._click import Command

from etf_trader.cli.app import COMMANDS, Root, root
from etf_trader.cli.commands import Group
from etf_trader.cli.invocation import Invocation, invoked

TARGET = Path(__file__).resolve().parent.parent / "docs" / "commands.md"

HEAD = """# Commands

Every command, as `etf COMMAND --help` prints it. The options under *Output* and
`--config` are the same everywhere and stand here once:

```
--json         The same as --format json.
--format FORM  How to print the result: table or json; csv, html, xlsx where the result has a list.
--out FILE     Write the result to a file; its ending says how. Where the result has a list.
--overwrite    Replace whatever file is there.
-q, --quiet    No notes and no progress.
-v, --verbose  Say more.
--config FILE  Use this configuration file.
```

Results go to stdout, everything else to stderr. Exit codes: 0 done; 1 error; 2 usage;
3 not found; 4 configuration or schema behind; 5 venue unavailable, no price, stale or
crossed book; 6 refused by risk or halt; 7 partly filled or nothing feasible; 8 the
account is led by another process; 9 audit, verify or reconciliation found a
difference; 130 interrupted; 143 terminated.

This page is written by `python scripts/write_commands.py`.
"""


def tree(command: Command, context: typer.Context) -> Iterator[tuple[str, Command, typer.Context]]:
    """Yield every command that can be typed, with its path."""
    if isinstance(command, Group):
        for name in command.list_commands(context):
            child = command.get_command(context, name)
            assert child is not None
            yield from tree(child, typer.Context(child, parent=context, info_name=name, **child.context_settings))
    else:
        yield context.command_path, command, context


def page() -> str:
    """Return the text of the page."""
    parts = [HEAD]
    with invoked(Invocation()):
        top = root()
        assert isinstance(top, Root)
        context = typer.Context(top, info_name="etf", **top.context_settings)
        for section in dict.fromkeys(entry.section for entry in COMMANDS.values()):
            parts.append(f"\n## {section}\n")
            for path, command, here in tree(top, context):
                if COMMANDS[path.split()[1]].section == section:
                    text = command.get_help(here).partition("\nOutput:\n")[0].rstrip()
                    parts.append(f"\n### {path}\n\n```\n{text}\n```\n")
    return "".join(parts)


def main() -> int:
    """Write the page, or say whether it is up to date."""
    text = page()
    if "--check" not in sys.argv:
        TARGET.write_text(text, encoding="utf-8")
        return 0
    if TARGET.is_file() and TARGET.read_text(encoding="utf-8") == text:
        return 0
    print(f"{TARGET} is not up to date: python scripts/write_commands.py", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
