"""`etf submit`: what a person is told before, during and after a buy or a sell."""

import re
from decimal import Decimal

import pytest
from tests.acceptance.shell import Shell, above_nav

from etf_trader.bootstrap import open_services
from etf_trader.config import Settings
from etf_trader.exchange.paper import OrderRequest
from etf_trader.money import money_context

BUY = ("submit", "buy", "--index", "1")
SELL = ("submit", "sell", "--index", "1")


def test_a_dry_run_tells_the_whole_plan_and_changes_nothing(made: Shell) -> None:
    before = made.fingerprint()
    said = made.ok(*BUY, "--qty", "100", "--dry-run")
    assert made.fingerprint() == before
    assert re.match(r"Buy 100 units of TOP8: about 100,1\d\d\.\d\d USDT, 1\d\.\d bps over the price now", said)
    assert re.search(r"^DENT .* bps  thinnest$", said, re.MULTILINE)
    assert re.search(r"^Loss  1\d\d\.\d\d   spread .* fee 100\.\d\d", said, re.MULTILINE)
    assert "Fills 100% · 8 orders, 8 of 100 slots, under a second · proof: the best possible" in said
    assert said.endswith("Nothing was sent. Without --dry-run this is what happens.\n")


def test_a_plan_is_what_happens(made: Shell) -> None:
    planned = made.json(*BUY, "--qty", "100", "--dry-run")
    assert planned["schema"] == "etf.plan/1"
    assert (planned["dry_run"], planned["order"]) == (True, None)
    done = made.json(*BUY, "--qty", "100")
    assert done["schema"] == "etf.order/1"
    assert done["plan"] == planned["plan"]
    assert list(done["plan"]) == list(planned["plan"])
    assert done["loss"] == planned["plan"]["loss"]
    assert made.json("plan", "show", "1")["plan"] == planned["plan"]


def test_a_buy_says_the_result_the_loss_and_how_to_read_it(made: Shell) -> None:
    answer = made.etf(*BUY, "--qty", "100")
    assert answer.code == 0
    first, second, last = answer.out.splitlines()
    assert re.fullmatch(r"Bought 100 units of TOP8 at 1,00[12]\.\d\d \(order 1, position 1\)\.", first)
    assert re.fullmatch(r"Loss 1\d\d\.\d\d USDT \(1\d\.\d bps\)   spread .* fee 100\.\d\d.*", second)
    assert last == "How it was done: etf report fills --position 1"
    assert re.fullmatch(r"Order 1, client key k-[0-9a-f]{12}\.\n", answer.err)


def test_the_parts_of_the_loss_sum_to_it_and_the_cash_left_the_treasury(made: Shell) -> None:
    before = Decimal(made.json("treasury", "show")["balances"][0]["free"])
    done = made.json(*BUY, "--qty", "100")
    parts = sum(Decimal(done[part]) for part in ("delay", "spread", "depth", "fee", "rounding"))
    assert parts == Decimal(done["loss"])
    assert Decimal(done["fill_percentage"]) == 100
    after = Decimal(made.json("treasury", "show")["balances"][0]["free"])
    assert before - after == Decimal(done["cash"])


def test_a_limit_stops_a_buy_with_exit_7_and_says_what_binds(made: Shell) -> None:
    made.ok("treasury", "deposit", "20000000")
    limit = above_nav(made, Decimal("1.002"))
    answer = made.etf(*BUY, "--qty", "20000", "--limit", limit)
    assert answer.code == 7
    assert re.search(
        r"^Bought [\d,.]+ of 20,000 units of TOP8 at 1,00\d\.\d\d \(order 1, position 1\)", answer.out
    )
    assert re.search(
        r"^Stopped by the limit: [A-Z]+'s next level would make a unit cost 1,00", answer.out, re.MULTILINE
    )
    assert re.search(r"1 bps more buys [\d,.]+ units more\.", answer.out)
    assert "The rest is given up. To leave it working: --tif gtc." in answer.out
    order = made.json("order", "show", "1")
    assert Decimal(order["average_price"]) < Decimal(limit)
    assert order["stopped_by"] == ["limit"]


def test_a_limit_below_the_market_buys_nothing(made: Shell) -> None:
    answer = made.etf(*BUY, "--qty", "10", "--limit", "900")
    assert answer.code == 7
    assert "Nothing bought of 10 units of TOP8 (order 1, position 1)." in answer.out
    assert "Stopped by the limit: already the first unit would cost 1,00" in answer.out
    dry = made.etf(*BUY, "--qty", "10", "--limit", "900", "--dry-run")
    assert dry.code == 7
    assert "nothing of it is possible now" in dry.out


def test_a_loss_limit_stops_a_buy(made: Shell) -> None:
    made.ok("treasury", "deposit", "20000000")
    answer = made.etf(*BUY, "--qty", "20000", "--max-loss", "12")
    assert answer.code == 7
    assert "Stopped by the loss limit:" in answer.out
    assert Decimal(made.json("order", "show", "1")["loss_bps"]) <= 12


def test_cash_stops_a_buy_and_names_the_deposit(made: Shell) -> None:
    answer = made.etf(*BUY, "--qty", "5000")
    assert answer.code == 7
    assert (
        "Stopped by cash: the treasury does not hold more for it. To add some: etf treasury deposit 1000000"
        in answer.out
    )


def test_an_order_too_small_without_float_is_refused_with_what_would_do(made: Shell) -> None:
    made.ok("index", "fund", "1", "-600")
    before = made.fingerprint()
    answer = made.etf(*BUY, "--qty", "0.002")
    assert answer.code == 2
    assert re.search(r"0\.002 units need a float of [\d.]+ USDT for lot steps and least orders", answer.err)
    assert "etf index fund 1" in answer.err
    assert made.fingerprint() == before


@pytest.mark.parametrize(
    ("words", "code", "sentence"),
    [
        (("--qty", "0"), 2, "0 is not above zero"),
        (("--qty", "-5"), 2, "-5 is not above zero"),
        (("--qty", "NaN"), 2, "'NaN' is not a number"),
        (("--qty", "1e3"), 2, "'1e3' is not a number"),
        (("--qty", "1,000"), 2, "write it as 1000"),
        (("--qty", "all"), 2, "'all' is not a number"),
        (("--qty", "0.000000001"), 2, "finer than 8 decimals"),
        (("--qty", "1", "--limit", "0"), 2, "0 is not above zero"),
        (("--qty", "1", "--max-loss", "20000"), 2, "must lie between 0 and 10,000"),
        (("--qty", "1", "--tif", "3x"), 2, "neither now nor gtc nor a duration"),
        (("--qty", "1", "--tif", "0m"), 2, "neither now nor gtc nor a duration"),
        (("--qty", "1", "--client-key", "a b"), 2, "cannot be a client key"),
        (("--qty", "1", "--position", "x"), 2, "'x' is not a position"),
        (("--qty", "1", "--position", "9"), 3, "there is no position 9"),
        (("--qty", "1", "--wrong"), 2, "has no option --wrong"),
        ((), 2, "needs --qty"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_a_bad_buy_gets_a_sentence_and_changes_nothing(
    made: Shell, words: tuple[str, ...], code: int, sentence: str
) -> None:
    before = made.fingerprint()
    answer = made.etf(*BUY, *words)
    assert answer.code == code
    assert sentence in answer.err
    assert made.fingerprint() == before


def test_an_unknown_index_is_exit_3_and_names_those_there_are(made: Shell) -> None:
    answer = made.etf("submit", "buy", "--index", "TOP9", "--qty", "1")
    assert answer.code == 3
    assert "known: 1 (TOP8)" in answer.err


def test_a_sell_of_all_empties_the_position(held: Shell) -> None:
    said = held.ok(*SELL, "--qty", "all")
    assert re.match(r"Sold 100 units of TOP8 at 99\d\.\d\d \(order 2, position 1\)\.", said)
    assert held.json("position", "show", "1")["units"] == "0"
    held.ok("ledger", "audit")


def test_more_than_there_is_cannot_be_sold(held: Shell) -> None:
    before = held.fingerprint()
    answer = held.etf(*SELL, "--qty", "101")
    assert answer.code == 2
    assert "position 1 holds 100 units of TOP8: 101 cannot be sold" in answer.err
    assert "sell at most 100" in answer.err
    assert held.fingerprint() == before


def test_selling_what_one_does_not_have_says_how_to_buy(made: Shell) -> None:
    answer = made.etf(*SELL, "--qty", "1")
    assert answer.code == 2
    assert "self holds no units of TOP8" in answer.err
    assert "etf submit buy --index 1" in answer.err


def test_two_open_positions_must_be_told_apart(held: Shell) -> None:
    held.ok(*BUY, "--qty", "10", "--position", "new")
    answer = held.etf(*BUY, "--qty", "10")
    assert answer.code == 2
    assert "2 open positions in TOP8: 1 (100 units), 2 (10 units)" in answer.err
    assert "--position N, or --position new" in answer.err
    held.ok(*SELL, "--qty", "all", "--position", "2")


def test_the_same_client_key_goes_on_with_the_same_order(held: Shell) -> None:
    again = held.etf(*BUY, "--qty", "100", "--client-key", "first")
    assert again.code == 0
    assert "first is order 1 already" in again.err
    assert len(held.json("order", "list")["orders"]) == 1
    other = held.etf(*BUY, "--qty", "50", "--client-key", "first")
    assert other.code == 2
    assert "the client key first belongs to order 1, which asked for something else" in other.err


def test_the_same_client_key_returns_the_same_exit_code(made: Shell) -> None:
    words = (*BUY, "--qty", "10", "--limit", "900", "--client-key", "low")
    assert made.etf(*words).code == 7
    assert made.etf(*words).code == 7


def test_an_order_left_open_says_so_and_is_no_failure(made: Shell) -> None:
    answer = made.etf(*BUY, "--qty", "10", "--limit", "900", "--tif", "gtc")
    assert answer.code == 0
    assert (
        "The rest stays open until it is cancelled: etf worker works it; etf cancel --order 1 ends it."
        in answer.out
    )
    timed = made.etf(*BUY, "--qty", "10", "--limit", "900", "--tif", "30m")
    assert timed.code == 0
    assert re.search(r"The rest stays open until \d{4}-\d\d-\d\d \d\d:\d\d UTC", timed.out)


def test_an_open_order_that_traded_with_this_one_is_told(held: Shell) -> None:
    held.ok(*BUY, "--qty", "20", "--limit", "1000.2", "--tif", "gtc")
    said = held.ok(*SELL, "--qty", "5")
    assert "Order 2 bought 5 units of TOP8 meanwhile: 5 of 20 in all.\n" in said


def test_an_order_whose_time_is_over_ends_with_the_next_leader(made: Shell) -> None:
    made.ok(*BUY, "--qty", "10", "--limit", "900", "--tif", "30m")
    made.ok("exchange", "advance", "1h")
    answer = made.etf("worker", "--once")
    assert answer.code == 7
    assert "ended: limit 900.00, time" in answer.out
    assert made.json("order", "show", "1")["stopped_by"] == ["limit", "time"]


def test_a_detached_order_is_worked_by_the_worker(made: Shell) -> None:
    said = made.ok(*BUY, "--qty", "10", "--detach")
    assert "Accepted: buy 10 units of TOP8 (order 1). Nothing is sent yet." in said
    assert "etf worker --once" in said
    assert made.json("order", "show", "1")["units"] == "0"
    assert "Bought 10 units of TOP8 at" in made.ok("worker", "--once")
    assert made.ok("worker", "--once") == "Nothing to do: no order is open.\n"


def test_quiet_says_nothing_beside_the_result(made: Shell) -> None:
    answer = made.etf(*BUY, "--qty", "1", "-q")
    assert answer.code == 0
    assert answer.err == ""


def test_an_error_in_json_carries_its_code_and_hint(made: Shell) -> None:
    import json

    answer = made.etf("submit", "buy", "--index", "9", "--qty", "1", "--json")
    assert answer.code == 3
    assert answer.out == ""
    error = json.loads(answer.err)
    assert (error["schema"], error["code"], error["exit"]) == ("etf.error/1", "not_found", 3)


def test_nothing_is_accepted_while_the_books_and_the_venue_differ(held: Shell) -> None:
    with money_context():
        opened = open_services(Settings.load(cwd=held.folder, environ={}))
        foreign = OrderRequest(
            "BTCUSDT", "BUY", "LIMIT", "IOC", Decimal("0.01"), Decimal(120_000), "foreign", opened.clock.now()
        )
        opened.exchange.place("paper", foreign)
        opened.close()
    audited = held.etf("ledger", "audit")
    assert audited.code == 9
    assert "is not in the books; order foreign is not of these books: etf reconcile" in audited.out
    before = held.rows("SELECT id FROM index_order"), held.rows("SELECT id FROM asset_order")
    refused = held.etf("submit", "buy", "--index", "1", "--qty", "1")
    assert refused.code == 9
    assert "the books and the venue differ: BTC +0.00999, USDT -" in refused.err
    assert "etf reconcile --book 1 --as deposit|airdrop|opening" in refused.err
    assert (held.rows("SELECT id FROM index_order"), held.rows("SELECT id FROM asset_order")) == before
