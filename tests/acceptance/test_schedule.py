"""`etf submit --algo`: an order over time is planned and shown, worked, watched, and continued after a death."""

import re
import signal
import time
from decimal import Decimal

import pytest
from tests.acceptance.shell import INTERRUPT, Shell

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
    said = made.ok(*BUY, "--algo", "twap", "--duration", "3m", "--dry-run")
    assert re.search(r"^ 1:00    100  33\.3%  100,\d{3}\.\d\d  1\d\.\d bps       8", said, re.MULTILINE)
    assert "Assumed: books come back with 20 s, mids stay where they are" in said
    assert said.endswith("Nothing was sent. Without --dry-run each slice trades so, on the books of its time.\n")


def test_vwap_says_what_it_follows(made: Shell) -> None:
    said = made.ok(*BUY, "--algo", "vwap", "--duration", "3m", "--dry-run")
    assert "The slices follow the volume of the last 20 days by the hour; books are as deep in proportion." in said


def test_where_spreading_gains_nothing_it_is_said(made: Shell) -> None:
    made.ok("config", "set", "schedule.recovery", "1000000000")
    said = made.ok(*BUY, "--algo", "optimal", "--duration", "30m", "--dry-run")
    assert "Spreading it gains nothing: all at once is best." in said
    said = made.ok(*BUY, "--algo", "optimal", "--duration", "30m", "--detach")
    assert (
        " of TOP8 at once: spreading it over 30 min gains nothing (optimal). What does not fill has until " in said
    )
    assert "in 1 slice" not in made.ok("order", "watch", "1", "--once") + made.ok("order", "show", "1")


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
        (("--algo", "twap"), "an order over time needs --algo and --duration.\n     add --duration 30m"),
        (
            ("--duration", "30m", "--dry-run"),
            "an order over time needs --algo and --duration.\n     add --algo optimal",
        ),
        (("--at-end", "leave"), "an order over time needs --algo and --duration"),
        (("--participation", "10"), "an order over time needs --algo and --duration"),
        (("--algo", "now", "--duration", "30m"), "--algo now trades all at once: there is no --duration"),
        (("--algo", "now", "--at-end", "take"), "--algo now trades all at once: there is no --at-end"),
        (("--algo", "twap", "--duration", "5000d"), "'5000d' is too long; an order works for at most 366d"),
        (("--algo", "vwop", "--duration", "30m"), "'vwop' is not one of now, twap, vwap, pov, optimal"),
        (("--algo", "twap", "--duration", "30"), "'30' is not a duration; write it as 90s, 30m, 1h or 2d"),
        (("--algo", "twap", "--duration", "367d"), "'367d' is too long"),
        (("--algo", "twap", "--duration", "59s"), "an order over 59 s is shorter than one slice of 60 s"),
        (("--algo", "twap", "--duration", "30m", "--at-end", "keep"), "'keep' is not one of take, leave"),
        (("--algo", "twap", "--duration", "30m", "--participation", "5"), "twap goes by time, not by a share"),
        (("--algo", "pov", "--duration", "30m", "--participation", "0"), "0 is not above zero"),
        (
            ("--algo", "pov", "--duration", "30m", "--participation", "100.5"),
            "a participation of 100.5% cannot be",
        ),
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


TWAP = ("submit", "buy", "--index", "1", "--qty", "100", "--algo", "twap", "--duration", "10m")
"""Ten slices of 10 units: the stepped clock moves while it waits."""


def test_a_twap_is_worked_to_its_end_and_told(made: Shell) -> None:
    answer = made.etf(*TWAP)
    assert answer.code == 0
    assert re.search(r"^Buying 100 units of TOP8 over 10 min in 10 slices \(twap\), until 2026-", answer.err, re.M)
    assert answer.out.startswith("Bought 100 units of TOP8 at ")
    assert re.search(
        r"^Against the market in that time: \S+ bps to mid TWAP · \S+ bps to market VWAP\.$", answer.out, re.M
    )
    shown = made.ok("order", "show", "1")
    assert "works       over 10 min in 10 slices (twap); what is left then is taken at once" in shown
    assert len(re.findall(r"^2026-\S+ \S+ UTC +10 +10  100\.0 *$", shown, re.M)) == 10
    schedule = made.json("order", "show", "1")["schedule"]
    assert (schedule["algo"], schedule["duration_seconds"], schedule["at_end"]) == ("twap", 600, "take")
    assert [(each["start_seconds"], each["quantity"], each["units"]) for each in schedule["slices"]] == [
        (60 * number, "10", "10") for number in range(10)
    ]
    assert [each["due"] for each in schedule["batches"]] == ["10"] * 10
    made.ok("ledger", "audit")


def test_an_order_at_once_has_no_schedule(made: Shell) -> None:
    assert made.json("submit", "buy", "--index", "1", "--qty", "1", "--algo", "now")["schedule"] is None


def test_the_dry_run_shows_the_slices_that_are_carried_out(made: Shell) -> None:
    vwap = ("submit", "buy", "--index", "1", "--qty", "100", "--algo", "vwap", "--duration", "5m")
    dry = made.json(*vwap, "--dry-run")["schedule"]
    done = made.json(*vwap)["schedule"]
    planned = [(each["start_seconds"], each["wanted"]) for each in dry["periods"]]
    assert [(each["start_seconds"], each["quantity"]) for each in done["slices"]] == planned
    assert [each["units"] for each in done["slices"]] == [units for _, units in planned]


def test_pov_follows_the_market_and_leaves_the_rest(made: Shell) -> None:
    pov = ("--algo", "pov", "--duration", "5m", "--participation", "0.5", "--at-end", "leave")
    answer = made.etf("submit", "buy", "--index", "1", "--qty", "5000", *pov)
    assert answer.code == 7
    assert "over 5 min at 0.5% of what others trade, every 1 min (pov)" in answer.err
    assert "Its time is over. A longer one: --duration 6h; --at-end take trades the rest" in answer.out
    order = made.json("order", "show", "1")
    assert (order["status"], order["stopped_by"]) == ("ended", ["time"])
    assert order["schedule"]["participation"] == "0.005"
    assert 0 < Decimal(order["units"]) < 5000


def killed_after(shell: Shell, batches: int, number: int, *words: str) -> None:
    """Run a command, and send it a signal once so many batches are settled."""
    query = "SELECT count(*) FROM plan WHERE status = 'settled'"
    shell.interrupted(*words, number=number, when=lambda: shell.rows(query)[0][0] >= batches)


def test_a_killed_order_over_time_is_continued_by_its_key(made: Shell) -> None:
    killed_after(made, 3, signal.SIGKILL, *TWAP, "--client-key", "mine")
    (before,) = made.json("order", "list")["orders"]
    assert before["status"] == "open" and 30 <= Decimal(before["units"]) < 100
    assert made.etf(*TWAP, "--client-key", "mine", "--at-end", "leave").code == 2
    assert made.json(*TWAP, "--client-key", "mine")["units"] == "100"
    assert [each["units"] for each in made.json("order", "show", "1")["schedule"]["slices"]] == ["10"] * 10
    made.ok("ledger", "audit")


def test_ctrl_c_leaves_it_open_and_a_worker_goes_on_slice_by_slice(made: Shell) -> None:
    query = "SELECT count(*) FROM plan WHERE status = 'settled'"
    answer = made.interrupted(*TWAP, number=INTERRUPT, when=lambda: made.rows(query)[0][0] >= 2)
    assert answer.code == 130
    assert "etf worker goes on with it; etf cancel --order 1 ends it." in answer.out
    before = Decimal(made.json("order", "show", "1")["units"])
    made.ok("exchange", "advance", "60s")
    # What the slice that was stopped did not trade is carried over: the schedule is met again.
    after = Decimal(made.json("worker", "--once")["orders"][0]["units"])
    assert after % 10 == 0 and 10 <= after - before <= 20
    assert "still open" in made.ok("worker", "--once")  # nothing more is due
    assert made.json("cancel", "--order", "1")["orders"][0]["status"] == "cancelled"
    made.ok("ledger", "audit")


def test_a_detached_one_is_worked_by_a_worker_and_watched(made: Shell) -> None:
    said = made.ok(*TWAP, "--detach")
    assert "over 10 min in 10 slices (twap)" in said and "etf order watch 1 shows it live" in said
    made.ok("worker", "--once")
    made.ok("exchange", "advance", "90s")
    sight = made.ok("order", "watch", "1", "--once")
    assert re.search(r"^done +10 of 100 \(10\.0%\)$", sight, re.M)
    assert re.search(r"^planned by now +20, slice 2 of 10$", sight, re.M)
    assert re.search(r"^slippage +[+-]?\d+\.\d bps to mid TWAP · [+-]?\d+\.\d bps to market VWAP$", sight, re.M)
    assert re.search(r"^state +8:29 left$", sight, re.M)
    document = made.json("order", "watch", "1", "--once")
    assert (document["planned_units"], document["seconds_left"]) == ("20", 509)
    for name in ("mid_twap", "market_vwap"):
        average, price = Decimal(document["average_price"]), Decimal(document[name])
        slippage = Decimal(document[f"{name}_slippage_bps"])
        assert abs((average - price) * 10_000 - slippage * price) < Decimal("0.001") * price
    made.ok("cancel", "--order", "1")
    assert made.etf("order", "watch", "1").code == 7
    assert "Bought 10 of 100 units" in made.etf("order", "watch", "1").out
    assert made.etf("order", "watch", "9").code == 3


def test_watching_in_a_pipe_tells_each_change_until_the_order_ends(made: Shell) -> None:
    made.ok(*TWAP, "--detach")
    made.ok("worker", "--once")
    with made.started("order", "watch", "1") as watching:
        assert watching.stdout is not None
        assert " · slice 1/10 · 10 of 100 units (10 planned) · average " in watching.stdout.readline()
        made.ok("exchange", "advance", "60s")
        assert " · slice 2/10 · 10 of 100 units (20 planned) · average " in watching.stdout.readline()
        made.ok("worker", "--once")
        assert " · slice 2/10 · 20 of 100 units (20 planned) · average " in watching.stdout.readline()
        made.ok("cancel", "--order", "1")
        *_, last = watching.stdout.read().splitlines()
    assert last.endswith(" · cancelled")
    assert watching.returncode == 7


def test_ctrl_c_only_stops_watching(made: Shell) -> None:
    made.ok(*TWAP, "--detach")
    with made.started("order", "watch", "1") as watching:
        assert watching.stdout is not None
        assert " · slice 1/10 · 0 of 100 units (10 planned) · 10:00 left" in watching.stdout.readline()
        watching.send_signal(INTERRUPT)
    assert watching.returncode == 130
    assert made.json("order", "show", "1")["status"] == "open"


def test_a_dry_run_says_which_share_is_quoted(made: Shell) -> None:
    words = (*BUY, "--algo", "twap", "--duration", "3m", "--passive", "60", "--dry-run")
    assert "For 60.0% of each slice's time what is due is quoted at the touch (post-only); then" in made.ok(*words)
    assert made.json(*words)["schedule"]["passive"] == "0.6"
    assert "passive" not in made.json(*BUY, "--algo", "twap", "--duration", "3m", "--dry-run")["schedule"]


def test_an_order_says_that_it_quotes_and_who_is_stopped_leaves_nothing_in_the_books(made: Shell) -> None:
    """A worker does not move the clock, so what it quotes rests until somebody does."""
    made.ok(*BUY, "--algo", "twap", "--duration", "2h", "--passive", "50", "--detach")
    worker = made.start("worker")
    try:
        deadline = time.monotonic() + 30
        while made.json("order", "show", "1")["schedule"]["quoting"] != 8:
            assert time.monotonic() < deadline and worker.poll() is None
        assert "quoting 8 orders at the touch" in made.ok("order", "watch", "1", "--once")
        shown = made.ok("order", "show", "1")
        assert re.search(r"^state +open, quoting 8 orders at the touch, until ", shown, re.MULTILINE)
        assert shown.count("rests in the book") == 8
        worker.send_signal(signal.SIGTERM)
        assert worker.wait(timeout=30) == 143
    finally:
        worker.kill()
        worker.communicate()
    assert made.json("order", "show", "1")["schedule"]["quoting"] == 0
    assert made.rows("SELECT count(*) FROM asset_order WHERE status IN ('open', 'sent', 'written')") == [(0,)]
    assert "is proved" in made.ok("plan", "verify", "1")
    assert "was quoted at the touch" in made.ok("plan", "show", "1")
    made.ok("ledger", "audit")
