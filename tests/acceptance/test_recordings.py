"""The main job on recorded order books, through the command line, as a user would do it."""

import json
import os
import subprocess
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
DATA = Path(os.environ.get("ETF_TEST_DATA", ROOT.parent / "shared" / "data"))
RECORDINGS = DATA / "recordings-2021"
SEVEN = ("BTC", "ETH", "DOT", "ZIL", "MANA", "DENT", "BTCST")

pytestmark = pytest.mark.skipif(
    not RECORDINGS.is_dir(), reason="recordings absent: set ETF_TEST_DATA to the folder that holds recordings-2021"
)


def etf(folder: Path, *arguments: str, code: int = 0) -> str:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("ETF_", "XDG_"))}
    done = subprocess.run(
        [sys.executable, "-m", "etf_trader", *arguments],
        cwd=folder,
        env=kept | {"HOME": str(folder)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout


def document(folder: Path, *arguments: str, code: int = 0) -> dict[str, Any]:
    parsed: dict[str, Any] = json.loads(etf(folder, *arguments, "--json", code=code))
    return parsed


def test_seven_recorded_coins_are_bought_limited_sold_and_proved(tmp_path: Path) -> None:
    recordings = os.path.relpath(RECORDINGS, tmp_path)
    etf(tmp_path, "init", "--market", "recording", "--recordings", recordings, "--deposit", "5000000")
    (tmp_path / "seven.toml").write_text(
        'symbol = "SEVEN"\nfloat = 600\n[weights]\n'
        + "".join(f"{asset} = 0.142857142857\n" for asset in SEVEN[:-1])
        + "BTCST = 0.142857142858\n"
    )
    etf(tmp_path, "index", "create", "--file", "seven.toml")

    first = document(tmp_path, "submit", "buy", "--index", "SEVEN", "--qty", "100")
    assert first["status"] == "filled"
    assert first["units"] == "100"
    assert Decimal("100000") < Decimal(first["cash"]) < Decimal("100300")

    limited = document(tmp_path, "submit", "buy", "--index", "SEVEN", "--qty", "5000", "--limit", "1004", code=7)
    assert limited["stopped_by"] == ["limit"]
    assert 0 < Decimal(limited["units"]) < 5000
    assert Decimal(limited["cash"]) <= Decimal(limited["units"]) * 1004

    held = Decimal(first["units"]) + Decimal(limited["units"])
    sold = document(tmp_path, "submit", "sell", "--index", "SEVEN", "--qty", "all")
    assert Decimal(sold["units"]) == held

    report = document(tmp_path, "report", "fills", "--position", "1")
    parts = sum((Decimal(report[part]) for part in ("delay", "spread", "depth", "fee", "rounding")), Decimal(0))
    assert parts == Decimal(report["loss"]) > 0
    for order in report["orders"]:
        sign = 1 if order["side"] == "buy" else -1
        assert sign * (Decimal(order["cash"]) - Decimal(order["arrival_value"])) == Decimal(order["loss"])

    assert document(tmp_path, "ledger", "audit")["findings"] == []
    for plan in ("1", "2", "3"):
        assert document(tmp_path, "plan", "verify", plan)["proved"]
    etf(tmp_path, "reconcile")
    holdings = document(tmp_path, "report", "holdings")["indices"][0]
    assert holdings["units"] == "0"
    assert all(Decimal(line["quantity"]) == 0 for line in holdings["holdings"])


def test_the_filters_of_a_recording_are_inferred_and_say_so(tmp_path: Path) -> None:
    etf(tmp_path, "init", "--market", "recording", "--recordings", str(RECORDINGS))
    status = etf(tmp_path, "exchange", "status")
    assert "recording" in status
