"""`etf plan`: a dry run piped into the proof, an executed plan proved, and both undone by one digit."""

import re
import subprocess
import sys
from decimal import Decimal

import pytest
from tests.acceptance.shell import Shell, above_nav

ETF = f"{sys.executable} -m etf_trader"
SPOIL = r"""sed -E 's/"cost": "([0-9]*)\.([0-9])/"cost": "\1.\27/'"""


def piped(shell: Shell, *commands: str) -> subprocess.CompletedProcess[str]:
    """Run commands of a shell, each reading what the one before printed."""
    line = " | ".join(commands)
    return subprocess.run(line, shell=True, cwd=shell.folder, capture_output=True, text=True, timeout=60)


@pytest.mark.parametrize("order", ["buy --index 1 --qty 900 --max-loss 11", "sell --index 1 --qty all"])
def test_a_dry_run_is_proved_through_a_pipe(held: Shell, order: str) -> None:
    proved = piped(held, f"{ETF} submit {order} --dry-run --json", f"{ETF} plan verify -")
    assert (proved.returncode, proved.stderr) == (0, "")
    assert proved.stdout.startswith("The plan is proved, without a solver and from its books alone:\n")


def test_one_digit_is_enough_to_undo_a_proof(held: Shell) -> None:
    made = f"{ETF} submit buy --index 1 --qty 100 --dry-run --json"
    spoilt = piped(held, made, SPOIL, f"{ETF} plan verify -")
    assert (spoilt.returncode, spoilt.stderr) == (9, "")
    assert spoilt.stdout.startswith("The plan is not proved: plan was changed after it was made")
    assert re.search(r"also plan\.cost is [\d.]+, but comes to [\d.]+$", spoilt.stdout, re.MULTILINE)


def test_an_executed_plan_is_proved_and_shown_with_what_binds(held: Shell) -> None:
    assert held.ok("plan", "verify", "1").startswith("Plan 1 is proved")
    limit = above_nav(held, Decimal("1.0011"))
    assert held.etf("submit", "buy", "--index", "1", "--qty", "5000", "--limit", limit).code == 7
    assert held.ok("plan", "verify", "2").startswith("Plan 2 is proved")
    shown = held.ok("plan", "show", "2")
    assert re.search(r"^What binds: limit 1,00\d\.\d\d\. [\d,.]+ units would break it\.$", shown, re.MULTILINE)
    assert re.search(r"^limit +1 bps +\+[\d,.]+ +-[\d,.]+$", shown, re.MULTILINE)
    proved = piped(held, f"{ETF} plan show 2 --json", f"{ETF} plan verify - --json")
    assert (proved.returncode, '"proved": true' in proved.stdout) == (0, True)
