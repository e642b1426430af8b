"""A crontab that is not the developer's: a program of that name that keeps one in a file, or the system's own."""

import os
from pathlib import Path

from tests.acceptance.shell import Shell

PROGRAM = """#!/bin/sh
file={folder}/crontab.txt
case $1 in
  -l) if [ -e "$file" ]; then cat "$file"; else echo "no crontab for $USER" >&2; exit 1; fi ;;
  -r) rm -f "$file" ;;
  -) cat > "$file" ;;
  *) exit 2 ;;
esac
"""


class OwnCrontab:
    """Stands before the system's `crontab` on the PATH, with its manners."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.file = folder / "crontab.txt"
        folder.mkdir()
        self._make(PROGRAM.format(folder=folder))

    def _make(self, script: str) -> None:
        (self.folder / "crontab").write_text(script)
        (self.folder / "crontab").chmod(0o755)

    @property
    def environment(self) -> dict[str, str]:
        """What makes a command find it."""
        return {"PATH": f"{self.folder}:{os.environ['PATH']}", "USER": "me"}

    def fail(self, told: str) -> None:
        """Refuse everything from now on."""
        self._make(f"#!/bin/sh\necho '{told}' >&2\nexit 1\n")

    def line_of(self, shell: Shell) -> str:
        """Return the line that this shell's folder installs."""
        answer = shell.etf("schedule", "install", "--json", **self.environment)
        assert answer.code == 0, answer.err
        line: str = answer.document["line"]
        return line
