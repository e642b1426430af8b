"""Write docs/demo.md, and the transcripts of other pages, by running what stands in them; --check only compares.

A code block marked `console` is a transcript: its lines `$ etf ...` are run, one
after the other, and what they print takes the place of what stood there. All
transcripts of a page share one new folder. A block marked `toml NAME` is written
into it as the file NAME. What differs between two runs (ledger hashes, client
keys) is left as it stood; the folder is shown as ~/fund.

The recordings are looked for in ETF_TEST_DATA, by default ../shared/data; without
them their page is left alone.
"""

import os
import re
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
DEMO = ROOT / "docs" / "demo.md"
RECORDED = ROOT / "docs" / "recordings.md"
TOURS = ("index-files.md", "reports.md", "risk.md", "schedules.md")
PAGES = (ROOT / "README.md", *(ROOT / "docs" / name for name in TOURS), RECORDED)

DEMO_HEAD = """# The demo

What `etf demo` prints. Every step is a real command, on a paper exchange with seeded books and a clock that moves
by steps, so it is the same text on every run. It takes a few seconds, uses no network, and leaves its databases in
the folder it names at the end; the next run makes that folder anew.

"""

DEMO_TAIL = """
The index file of the first step is one of the examples in [index-files.md](index-files.md). What the plan says is
explained in [solver.md](solver.md), the report and the audit in [accounting.md](accounting.md).

`etf demo --over-the-wire` tells the same story, number by number, with the exchange as a server of its own,
but for the month that goes by: [the exchange over the wire](exchange-server.md#a-clock-that-its-clients-move).

This page is written by `python scripts/write_demo.py`.
"""

BLOCK = re.compile(r"^```(console|toml [\w.-]+)\n(.*?)^```$", flags=re.MULTILINE | re.DOTALL)
VARIES = re.compile(r"\bledger [0-9a-f]{16,64}\b|\bk-[0-9a-f]{12}\b")


def recordings() -> Path:
    """Return where the recorded books are looked for."""
    return Path(os.environ.get("ETF_TEST_DATA") or ROOT.parent / "shared" / "data").resolve()


def run(arguments: str, folder: Path) -> tuple[str, int]:
    """Run `etf` in a folder, as if from a pipe; return what it printed and its exit code."""
    home = folder.parent / "home"
    environment = {name: value for name, value in os.environ.items() if not name.startswith("ETF_")}
    environment |= {
        "HOME": str(home),
        "XDG_CONFIG_HOME": str(home / "c"),
        "TZ": "UTC",
        "PYTHONIOENCODING": "utf-8",
    }
    environment |= {"XDG_DATA_HOME": str(home / ".local" / "share")}
    said, code = ended(shlex.split(arguments), folder, environment)
    text = said.replace(str(folder), "~/fund").replace(str(recordings()), "../shared/data")
    return "".join(f"{line.rstrip()}\n" for line in text.splitlines()), code


def ended(words: Sequence[str], folder: Path, environment: Mapping[str, str]) -> tuple[str, int]:
    """Run `etf` with these words to its end; return what it printed on either stream, and its code."""
    done = subprocess.run(
        [sys.executable, "-m", "etf_trader", *words],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        check=False,
    )
    return done.stdout, done.returncode


def demo_page() -> str:
    """Return the text of docs/demo.md."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "here"
        folder.mkdir()
        text, code = run("demo", folder)
    if code:
        raise SystemExit(f"etf demo ended with {code}:\n{text}")
    return f"{DEMO_HEAD}```\n$ etf demo\n{text}```\n{DEMO_TAIL}"


def page_of(path: Path) -> str:
    """Return the text of a page with its transcripts run anew."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "work"
        folder.mkdir()
        (Path(place) / "shared").mkdir()
        (Path(place) / "shared" / "data").symlink_to(recordings())

        def anew(block: re.Match[str]) -> str:
            kind, content = block.groups()
            if kind == "console":
                content = "".join(_replayed(content, folder))
            else:
                (folder / kind.removeprefix("toml ")).write_text(content, encoding="utf-8")
            return f"```{kind}\n{content}```"

        return BLOCK.sub(anew, path.read_text(encoding="utf-8"))


def _replayed(transcript: str, folder: Path) -> Iterator[str]:
    """Yield the lines of a transcript with the output of now."""
    code = 0
    for entry in re.split(r"^(?=\$ )", transcript, flags=re.MULTILINE):
        typed, _, shown = entry.partition("\n")
        if not typed:
            continue
        yield f"{typed}\n"
        if typed == "$ echo $?":
            yield f"{code}\n"
            continue
        text, code = run(typed.removeprefix("$ etf "), folder)
        blank = "\n" if shown.endswith("\n\n") else ""  # between two commands, as it stood
        yield _settled(text, shown) + blank


def _settled(text: str, shown: str) -> str:
    """Return `text` with what varies between runs as it was shown before."""
    before = iter(VARIES.findall(shown))
    return VARIES.sub(lambda found: next(before, found[0]), text)


def pages() -> Iterator[tuple[Path, str]]:
    """Yield every page that this script writes, with its text."""
    yield DEMO, demo_page()
    for path in PAGES:
        if path != RECORDED or (recordings() / "recordings-2021").is_dir():
            yield path, page_of(path)


def main() -> int:
    """Write the pages, or say which are not up to date."""
    stale = []
    for path, text in pages():
        if path.is_file() and path.read_text(encoding="utf-8") == text:
            continue
        stale.append(path.name)
        if "--check" not in sys.argv:
            path.write_text(text, encoding="utf-8")
    if stale and "--check" in sys.argv:
        print(f"{', '.join(stale)}: not up to date: python scripts/write_demo.py", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
