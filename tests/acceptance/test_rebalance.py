"""`etf rebalance --dry-run`: what it would trade and cost, and that it changes nothing."""

import json
from decimal import Decimal

import pytest
from tests.acceptance.market_caps import CAPS
from tests.acceptance.shell import Shell

from etf_trader.solver.verify import verify

D = Decimal
RULEBOOK = """
symbol = "TOP8"
universe = { caps = "caps.csv", exclude = ["stablecoins"] }
selection.count = 4
weighting = { by = "capped", cap = 0.5 }
rebalance.reserve = 0.01
"""


@pytest.fixture
def ruled(held: Shell) -> Shell:
    """Return a folder in which 100 units of an index are held that has another rulebook since."""
    (held.folder / "caps.csv").write_text(CAPS)
    (held.folder / "rules.toml").write_text(RULEBOOK)
    held.ok("index", "edit", "1", "--file", "rules.toml")
    return held


def test_a_dry_run_shows_what_trades_and_costs_and_changes_nothing(ruled: Shell) -> None:
    before = ruled.fingerprint()
    found = ruled.json("rebalance", "--index", "1", "--dry-run")
    assert ruled.json("rebalance", "--index", "1", "--dry-run")["plan"] == found["plan"]
    told = ruled.ok("rebalance", "--index", "1", "--dry-run")
    assert ruled.fingerprint() == before
    assert found["weights"] == {"BTC": "0.5", "ETH": "0.333333333333", "XRP": "0.1", "LINK": "0.066666666667"}
    plan = found["plan"]
    assert verify(plan, found["market"]) == []
    legs = {leg["asset"]: leg for leg in found["legs"]}
    assert {asset for asset, leg in legs.items() if leg["side"] == "sell"} == {"BNB", "SOL", "DOGE", "ADA", "DENT"}
    assert D(legs["SOL"]["holding_after"]) < D("0.01") and legs["LINK"]["weight"] == "0"
    assert plan["kept"] == [] and D(plan["nav_before"]) == D(found["nav_before"])
    assert D(plan["nav_before"]) - D(plan["nav_after"]) == D(plan["cost"])
    assert sum(D(leg["cost"]) for leg in plan["legs"]) == D(plan["cost"])
    assert D(plan["cost"]) == D(plan["spread"]) + D(plan["depth"]) + D(plan["fee"])
    assert abs(D(plan["cash_after"]) - D(plan["nav_after"]) * D("0.01")) < 1
    for asset, weight in found["weights"].items():
        assert abs(D(legs[asset]["weight_after"]) - D(weight) * D("0.99")) < D("0.001"), asset
    assert "LINK" in told and "enters" in told and "leaves" in told
    assert "bps of NAV" in told and "sells fund buys" in told
    assert "9 of 100 slots" in told and "proof: " in told and "25% of every trade" in told


def test_what_is_traded_is_the_plan_of_the_dry_run_byte_for_byte(ruled: Shell) -> None:
    dry = ruled.json("rebalance", "--index", "1", "--dry-run")
    done = ruled.json("rebalance", "--index", "1", "--force")
    assert json.dumps(dry["plan"]) == json.dumps(done["plan"]) and len(done["rebalances"]) == 1
    (moved,) = done["rebalances"]
    assert (moved["index_id"], moved["forced"], moved["status"], moved["waves"]) == (1, True, "filled", 2)
    assert D(moved["nav_per_unit_before"]) > D(moved["nav_per_unit_after"])
    again = ruled.json("rebalance", "--index", "1", "--force")
    assert again["rebalances"] == done["rebalances"]
    told = ruled.etf("rebalance", "--index", "1", "--force").err
    assert "nothing is traded twice. A day has one: it can be traded again from 2026-01-06 on (UTC)." in told
    (ruled.folder / "rules.toml").write_text(RULEBOOK.replace("0.01", "0.02"))
    edited = ruled.ok("index", "edit", "1", "--file", "rules.toml")
    assert "It had its rebalance of today (order 2): it can be traded again from 2026-01-06 on (UTC)." in edited
    ruled.ok("ledger", "audit")


def test_nothing_due_says_when_something_will_be(ruled: Shell) -> None:
    told = ruled.ok("rebalance", "--index", "1")
    assert "Nothing is due." in told and "is due next on 2026-02-01 00:10 UTC" in told and "--force" in told
    assert "Nothing is due." in ruled.ok("rebalance", "--due")
    ruled.ok("index", "create", "DUO", "--weight", "BTC=0.5", "--weight", "ETH=0.5")
    ruled.ok("exchange", "advance", "30d")
    answer = ruled.etf("rebalance", "--due", "--json")
    assert answer.code == 5 and "TOP8 is not rebalanced: the newest market caps" in answer.err
    assert f"({ruled.folder / 'caps.csv'})" in answer.err.replace("\n", "")
    (done,) = json.loads(answer.out)["rebalances"]  # one that fails keeps no other from being done
    assert (done["due_on"], done["index_id"], done["status"]) == ("2026-02-01", 2, "filled")
    (ruled.folder / "caps.csv").write_text(CAPS.replace("2026-01-", "2026-02-"))
    assert ruled.json("rebalance", "--due")["rebalances"][0]["due_on"] == "2026-02-01"
    assert ruled.json("rebalance", "--due")["rebalances"] == []
    for arguments in (("--due", "--index", "1"), (), ("--due", "--force"), ("--due", "--dry-run")):
        assert ruled.etf("rebalance", *arguments).code == 2


def test_bands_and_a_turnover_cap_leave_more_alone(ruled: Shell) -> None:
    whole = ruled.json("rebalance", "--index", "1", "--dry-run")
    (ruled.folder / "rules.toml").write_text(RULEBOOK + "rebalance.turnover = 0.1\n")
    ruled.ok("index", "edit", "1", "--file", "rules.toml")
    capped = ruled.json("rebalance", "--index", "1", "--dry-run")
    assert D(capped["turnover"]) < D("0.101") < D(whole["turnover"])
    assert "turnover cap" in ruled.ok("rebalance", "--index", "1", "--dry-run")
    (ruled.folder / "rules.toml").write_text(
        'symbol = "TOP8"\nrebalance.absolute = 0.06\n[weights]\n'
        "BTC = 0.4\nETH = 0.2\nBNB = 0.1\nSOL = 0.1\nXRP = 0.1\nDOGE = 0.05\nADA = 0.025\nDENT = 0.025\n"
    )
    ruled.ok("index", "edit", "1", "--file", "rules.toml")
    told = ruled.ok("rebalance", "--index", "1", "--dry-run")
    assert "within its band" in told and "Nothing has to be traded." in told


def test_what_cannot_be_rebalanced_says_why(held: Shell) -> None:
    assert held.etf("rebalance", "--index", "9", "--dry-run").code == 3
    (held.folder / "pair.toml").write_text('symbol = "PAIR"\n[basket]\nBTC = 0.01\n')
    held.ok("index", "create", "--file", "pair.toml")
    answer = held.etf("rebalance", "--index", "PAIR", "--dry-run")
    assert answer.code == 2 and "fixed basket" in answer.err and "etf index edit 2" in answer.err
    answer = held.etf("rebalance", "--index", "1", "--dry-run", "--caps", "caps.csv")
    assert answer.code == 2 and "takes no table of market caps" in answer.err
    held.ok("index", "create", "DUO", "--weight", "BTC=0.5", "--weight", "ETH=0.5")
    assert "Nobody holds units of it" in held.ok("rebalance", "--index", "DUO", "--dry-run")


def test_who_of_a_list_is_left_out_is_told(held: Shell) -> None:
    (held.folder / "rules.toml").write_text(
        'symbol = "TOP8"\nuniverse = { assets = ["BTC", "ETH", "SOL"], exclude = ["SOL"] }\n'
        'weighting.by = "equal"\nselection.count = 2\n'
    )
    held.ok("index", "edit", "1", "--file", "rules.toml")
    assert "Left out of its list: SOL (excluded)." in held.ok("rebalance", "--index", "1", "--dry-run")


def test_rows_dated_later_are_never_used_and_an_old_table_is_refused(ruled: Shell) -> None:
    old = CAPS.replace("2026-01-01", "2025-12-01")
    (ruled.folder / "caps.csv").write_text(old)
    answer = ruled.etf("rebalance", "--index", "1", "--dry-run")
    assert answer.code == 5 and "older than 7 days" in answer.err
    (ruled.folder / "caps.csv").write_text(CAPS.replace("2026-01-0", "2027-01-0"))
    answer = ruled.etf("rebalance", "--index", "1", "--dry-run")
    assert answer.code == 5 and "has nothing up to 2026-01-05" in answer.err
