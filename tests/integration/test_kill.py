"""A submit that is killed with SIGKILL anywhere, once or twice, then completed: nothing lost, nothing doubled.

ETF_TEST_KILL_POINTS and ETF_TEST_KILL_SEED make it try more lines, or others.
"""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.integration.killing import REQUESTS

POINTS = int(os.environ.get("ETF_TEST_KILL_POINTS", "12"))
ROOT = Path(__file__).parents[2]


def kill_and_recover(folder: Path, request: str, points: int, twice: int, moments: int) -> list[dict[str, Any]]:
    asked = {
        "folder": str(folder),
        "request": request,
        "points": points,
        "twice": twice,
        "moments": moments,
        "seed": int(os.environ.get("ETF_TEST_KILL_SEED", "1")),
    }
    done = subprocess.run(
        [sys.executable, "-m", "tests.integration.killing"],
        input=json.dumps(asked),
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    results: list[dict[str, Any]] = json.loads(done.stdout)["results"]
    for result in results:
        assert result["findings"] == [], f"{result['case']}: {result['findings']}\n{done.stderr}"
    return results


@pytest.mark.parametrize("request_name", REQUESTS)
def test_a_submit_killed_at_any_line_is_completed_as_if_nothing_had_happened(
    tmp_path: Path, request_name: str
) -> None:
    calm, *killed = kill_and_recover(tmp_path, request_name, POINTS, POINTS // 4, POINTS // 4)
    assert calm["lines"] > 1000
    assert sum(result["killed"] for result in killed) >= POINTS
    for result in killed:
        assert (result["filled"], result["status"]) == (calm["filled"], calm["status"]), result["case"]
