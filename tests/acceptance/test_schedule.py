"""`etf submit --algo`: an order over time is planned and shown, and not yet run."""

import re
from decimal import Decimal

import pytest
from tests.acceptance.shell import Shell

BUY = ("submit", "buy", "--index", "1", "--qty", "300")


def test_a_schedule_stands_beside_the_plan_and_changes_nothing(made: Shell) -> None:
    before = made.fingerprint()
    document = made.json(*BUY, "--algo", "twap", "--duration", "5m", "--dry-run")
    assert made.fingerprint() == before
    schedule = document["schedule"]
    assert document["plan"]["units"] == "300" and schedule["quantity"] == "300"
    assert [period["units"] for period in schedule["periods"]] == ["60"] * 5
    assert [period["start_seconds"] for period in schedule["periods"]] == [0, 60, 120, 180, 240]
    # 8 books a batch, 100 slots in 10 s: 30 windows
    assert schedule["batches_possible"] == 375
    total = sum(Decimal(period["cash"]) for period in schedule["periods"])
    assert total == Decimal(schedule["cash"])


def test_a_schedule_is_told_period_by_period_with_what_it_assumes(made: Shell) -> None:
    said = made.ok(*BUY, "--algo", "vwap", "--duration", "3m", "--dry-run")
    assert re.search(r"^ 1:00    100  33\.3%  100,\d{3}\.\d\d  1\d\.\d bps       8", said, re.MULTILINE)
    assert "Assumed: books come back with 20 s, mids stay where they are" in said
    assert "The venue tells no volume by time: an even one is assumed, and vwap trades as twap does." in said
    assert said.endswith("Nothing was sent. An order over time can be planned today, and not yet be run.\n")


def test_where_spreading_gains_nothing_it_is_said(made: Shell) -> None:
    made.ok("config", "set", "schedule.recovery", "1000000000")
    said = made.ok(*BUY, "--algo", "optimal", "--duration", "30m", "--dry-run")
    assert "Spreading it gains nothing: all at once is best." in said


def test_pov_says_how_long_all_of_it_takes(made: Shell) -> None:
    said = made.ok(
        "submit", "buy", "--index", "1", "--qty", "900", "--algo", "pov", "--duration", "2m", "--dry-run"
    )
    assert re.search(r"^At 10\.0% of the volume all 900 take \d:\d\d:\d\d\.$", said, re.MULTILINE)


def test_where_nothing_can_trade_neither_can_it_over_time(made: Shell) -> None:
    answer = made.etf(*BUY, "--limit", "900", "--algo", "optimal", "--duration", "30m", "--dry-run")
    assert answer.code == 7
    assert "Over 30:00 (optimal): nothing of it either, as long as the books are these." in answer.out


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--algo", "twap", "--duration", "30m"), "an order over time can be planned today, and not yet be run"),
        (("--algo", "twap", "--dry-run"), "an order over time needs --algo and --duration"),
        (("--duration", "30m", "--dry-run"), "an order over time needs --algo and --duration"),
        (("--algo", "vwop", "--duration", "30m"), "'vwop' is not one of twap, vwap, pov, optimal"),
        (
            ("--algo", "pov", "--duration", "30m", "--tif", "gtc"),
            "--duration says how long an order over time works",
        ),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_written(
    made: Shell, options: tuple[str, ...], message: str
) -> None:
    before = made.fingerprint()
    answer = made.etf(*BUY, *options)
    assert answer.code == 2 and message in answer.err
    assert made.fingerprint() == before


def test_periods_that_nothing_is_left_for_are_told_in_a_sentence(made: Shell) -> None:
    said = made.ok(
        "submit", "buy", "--index", "1", "--qty", "9000", "--algo", "twap", "--duration", "30m", "--dry-run"
    )
    assert (
        len(re.findall(r"^ *\d+:00 +[\d.]+ +\d", said, re.MULTILINE)) == 4
    )  # 300 each, and the cash of a thousand
    assert "The 26 periods after that trade nothing: cash." in said


def test_a_schedule_of_an_index_with_routes_says_that_it_is_about_the_quote_alone(made: Shell) -> None:
    routes = ("--route", "USDT", "--route", "USDC", "--float", "600")
    made.ok("index", "create", "DUO", "--weight", "BTC=0.6", "--weight", "ETH=0.4", *routes)
    words = ("submit", "buy", "--index", "DUO", "--qty", "900", "--algo", "twap", "--duration", "3m", "--dry-run")
    said = made.ok(*words)
    assert "Over 3:00 (twap) in USDT alone, in place of all at once:" in said
    assert re.search(r"bps less than at once in USDT alone \(\d+\.\d bps\)\.", said)
