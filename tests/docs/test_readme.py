"""The README shows the two commands that work in a clean clone, and a first buy."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text()
BLOCKS = re.findall(r"^```[a-z]*\n(.*?)^```", README, flags=re.MULTILINE | re.DOTALL)


def test_the_two_commands_of_a_clean_clone_are_there() -> None:
    lines = [line.removeprefix("$ ").strip() for block in BLOCKS for line in block.splitlines()]
    assert any(line.startswith("pip install . && etf demo") for line in lines)
    assert any(line.startswith("pip install '.[dev]' && pytest") for line in lines)


def test_a_first_buy_is_shown() -> None:
    assert any("etf submit buy --index 1 --qty 100" in block for block in BLOCKS)


def test_links_lead_somewhere() -> None:
    for page in [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")]:
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name}: {target}"
