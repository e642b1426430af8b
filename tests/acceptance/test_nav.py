"""`etf index nav`, `etf report nav` and `etf report performance`, as they are typed."""

import json
from decimal import Decimal

from tests.acceptance.shell import Shell


def test_a_line_for_cron_records_all_indices_once(made: Shell) -> None:
    made.ok("index", "create", "TWO", "--weight", "BTC=0.5", "--weight", "ETH=0.5")
    made.ok("exchange", "advance", "1d")
    first = made.json("index", "nav", "--record")
    assert [(each["symbol"], each["is_recorded"]) for each in first["navs"]] == [("TOP8", True), ("TWO", True)]
    assert made.json("index", "nav", "--record") == first
    listed = made.json("index", "nav", "--history")["navs"]
    assert [(each["index"], each["reason"]) for each in listed] == [("TOP8", "record")] * 2 + [
        ("TWO", "record")
    ] * 2
    assert made.json("index", "nav", "1")["is_recorded"] is False


def test_performance_says_what_a_fund_came_to_and_adds_up(held: Shell) -> None:
    for _ in range(3):
        held.ok("exchange", "advance", "1d")
        held.ok("index", "nav", "--record")
    held.ok("submit", "sell", "--index", "1", "--qty", "40")
    report = held.json("report", "performance", "--index", "1")
    sums = [Decimal(report[name]) for name in ("opening", "created", "redeemed", "gain", "closing")]
    assert sums[0] + sums[1] - sums[2] + sums[3] == sums[4]
    assert [flow["units"] for flow in report["flows"]] == ["100", "-40"]
    assert report["fund_return"][:8] == report["index_return"][:8]
    assert Decimal(report["trading"]["loss"]) > 0
    loss = held.json("report", "fills")["loss"]
    assert Decimal(report["trading"]["loss"]) == Decimal(loss)
    told = held.ok("report", "performance")
    assert "TOP8 · 2026-01-05" in told
    assert "rebalances 0.00" in told
    later = held.json("report", "performance", "--from", "2026-01-06")
    assert (later["start"][:10], later["created"]) == ("2026-01-05", "0")


def test_the_certificate_of_a_past_day_is_what_was_written_down(held: Shell) -> None:
    held.ok("exchange", "advance", "2d")
    now = held.json("report", "nav", "--index", "1")
    then = held.json("report", "nav", "--as-of", "2026-01-06")
    assert (now["recorded_as"], then["recorded_as"]) == (None, "trade")
    assert now["head"] == then["head"]
    assert Decimal(then["value"]) == sum(Decimal(line["value"]) for line in then["prices"]) + Decimal(then["cash"])
    assert "as written down (trade)" in held.ok("report", "nav", "--as-of", "2026-01-06")


def test_what_cannot_be_is_said_in_a_sentence(made: Shell) -> None:
    wrong = {
        ("index", "nav", "1", "--from", "2026-01-01"): (2, "--from and --to choose from what was written down"),
        ("index", "nav", "--record", "--history"): (2, "--record writes the worth of now"),
        ("index", "nav", "--history", "--from", "yesterday"): (2, "'yesterday' is not a moment"),
        ("index", "nav", "7"): (3, "there is no index '7'"),
        ("report", "nav", "--as-of", "2026-01-05"): (3, "nothing was written down of TOP8 before 2026-01-05"),
        ("report", "nav", "--as-of", "2036-01-05"): (2, "--as-of 2036-01-05 lies in the future"),
        ("report", "performance", "--from", "2026-01-05", "--to", "2026-01-04"): (2, "is not before --to"),
    }
    for words, (code, sentence) in wrong.items():
        answer = made.etf(*words)
        assert (answer.code, sentence in answer.err) == (code, True), (words, answer)


def test_an_empty_history_says_how_to_fill_it(made: Shell) -> None:
    made.run("DELETE FROM nav")
    made.run("DELETE FROM benchmark")
    for words in (("index", "nav", "1", "--history"), ("report", "performance")):
        told = made.ok(*words)
        assert "Nothing was written down of" in told
        assert "etf index nav 1 --record" in told
    assert json.loads(made.ok("report", "performance", "--json"))["navs"] == []
    made.ok("index", "nav", "--record")
    assert "One value is no history" in made.ok("report", "performance")
