"""`etf report rebalance`, and the commands that list or touch orders where one of them is a rebalance."""

import csv
from decimal import Decimal

import pytest
from tests.acceptance.shell import Shell

D = Decimal
PARTS = ("delay", "spread", "depth", "fee", "rounding")
RULEBOOK = """
symbol = "TOP8"
[weights]
BTC = 0.5
ETH = 0.25
SOL = 0.15
LINK = 0.1
"""


@pytest.fixture
def ruled(held: Shell) -> Shell:
    """Return a folder in which 100 units of an index are held that has another rulebook since."""
    (held.folder / "rules.toml").write_text(RULEBOOK)
    held.ok("index", "edit", "1", "--file", "rules.toml")
    return held


def test_a_rebalance_is_reported_listed_and_proved(ruled: Shell) -> None:
    assert "etf rebalance --index 1 does it" in ruled.ok("report", "rebalance", "--index", "1")
    ruled.ok("rebalance", "--index", "1", "--force")

    found = ruled.json("report", "rebalance", "--index", "1")
    assert (found["id"], found["status"], found["left"]) == (2, "filled", [])
    assert (found["added"], found["changed"]) == (["LINK"], ["BTC", "ETH", "SOL"])
    assert found["removed"] == ["ADA", "BNB", "DENT", "DOGE", "XRP"]
    total = {name: D(found[name]) for name in ("nav_before", "nav_after", "cost", "market", "flows", *PARTS)}
    assert total["nav_after"] == total["nav_before"] - total["cost"] + total["market"] + total["flows"]
    for part in ("cost", *PARTS):
        assert sum(D(leg[part]) for leg in found["legs"]) == total[part]
    assert found["legs"][-1]["symbol"] is None and found["legs"][-1]["asset"] == "USDT"

    told = ruled.ok("report", "rebalance", "--id", "2")
    assert told.startswith("Rebalanced TOP8 for 2026-01-05 (order 2): 9 of 9 assets in 2 waves")
    assert "New: LINK. Gone: ADA, BNB, DENT, DOGE, XRP." in told and "dust stays" not in told
    for line in ruled.on_terminal(80, "report", "rebalance", "--id", "2"):
        assert len(line) <= 80
    rows = list(csv.DictReader(ruled.ok("report", "rebalance", "--id", "2", "--format", "csv").splitlines()))
    assert [row["asset"] for row in rows] == [leg["asset"] for leg in found["legs"]]
    assert "1 rebalance of TOP8, at a cost of" in ruled.ok("report", "rebalance", "--all")

    orders = ruled.json("order", "list")["orders"]
    assert [(each["id"], each["kind"]) for each in orders] == [(2, "rebalance"), (1, "units")]
    assert orders[0].keys() >= orders[1].keys()
    assert "rebalance 2026-01-05" in ruled.ok("order", "list")
    shown = ruled.json("order", "show", "2")
    assert [plan["purpose"] for plan in shown["plans"]] == ["wave", "wave"] and shown["held"] == []
    for plan in (each["id"] for each in shown["plans"]):
        assert f"Plan {plan} is proved" in ruled.ok("plan", "verify", str(plan))
    assert "was done before the cancel reached it" in ruled.ok("cancel", "--order", "2")
    assert len(ruled.json("report", "fills")["orders"]) == 1
    answer = ruled.etf("report", "fills", "--order", "2")
    assert answer.code == 3 and "etf report rebalance --id 2" in answer.err


def test_a_rebalance_that_waits_is_told_everywhere_and_can_be_cancelled(ruled: Shell) -> None:
    ruled.ok("halt")
    assert ruled.etf("rebalance", "--index", "1", "--force").code == 6
    assert ruled.json("order", "list", "--status", "open")["orders"][0]["kind"] == "rebalance"
    assert "still open: the account is halted" in ruled.ok("worker", "--once")
    assert "is under way: nothing has been traded" in ruled.ok("order", "watch", "2", "--once")
    assert "etf worker --once goes on with it; etf cancel --order 2 ends it" in ruled.ok("report", "rebalance")
    assert "1 rebalance is open and will wait for etf resume" in ruled.ok("halt")
    assert "rebalance 2, of 2026-01-05, is under way" in ruled.etf("doctor").out
    assert "Rebalance 2 of TOP8" in ruled.ok("index", "show", "1")
    answer = ruled.etf("index", "close", "1")
    assert answer.code == 2 and "rebalance 2 of TOP8 is under way" in answer.err

    told = ruled.ok("cancel", "--index", "1")
    assert told.startswith("Cancelled rebalance 2 of TOP8: nothing had been traded.")
    assert "The baskets stay as they are: basket 1 is in force." in told
    assert ruled.json("report", "rebalance")["status"] == "cancelled"
    assert ruled.etf("order", "watch", "2").code == 7
    assert ruled.json("resume")["open_orders"] == []


def test_what_cannot_be_reported_says_why(held: Shell) -> None:
    answer = held.etf("report", "rebalance", "--id", "1")
    assert answer.code == 3 and "there is no rebalance 1" in answer.err
    assert held.etf("report", "rebalance", "--index", "9").code == 3
    assert held.etf("report", "rebalance", "--id", "1", "--all").code == 2
    assert held.json("report", "rebalance", "--all")["rebalances"] == []
    assert held.ok("report", "rebalance", "--format", "csv").startswith("asset,symbol,change")
