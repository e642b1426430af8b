"""`etf cancel`, `order`, `position`, `plan` and `treasury`: what is, what it cost, and ending it."""

import re
from decimal import Decimal

import pytest
from tests.acceptance.shell import Shell, above_nav

LOW = ("submit", "buy", "--index", "1", "--qty", "10", "--limit", "900", "--tif", "gtc")


def test_cancel_ends_an_open_order_and_gives_its_cash_back(made: Shell) -> None:
    before = made.json("treasury", "show")["balances"]
    made.ok(*LOW)
    during = made.json("treasury", "show")["balances"][0]
    assert Decimal(during["reserved"]) > 9000
    said = made.ok("cancel", "--order", "1").splitlines()
    assert said[0] == "Cancelled order 1: nothing of 10 units of TOP8 had been bought."
    assert re.fullmatch(r"9,[\d.]+ USDT set aside for it is free again\.", said[1])
    assert len(said) == 2
    assert made.json("treasury", "show")["balances"] == before
    assert made.json("order", "show", "1")["status"] == "cancelled"


def test_cancel_keeps_what_was_bought_and_says_how_much(made: Shell) -> None:
    made.ok("treasury", "deposit", "20000000")
    limit = above_nav(made, Decimal("1.0015"))
    made.ok("submit", "buy", "--index", "1", "--qty", "20000", "--limit", limit, "--tif", "gtc")
    said = made.ok("cancel", "--order", "1")
    assert re.match(
        r"Cancelled order 1: [\d,.]+ of 20,000 units of TOP8 had been bought at 1,0[\d.,]+, "
        r"at a loss of [\d.,]+ USDT \([\d.]+ bps\)\.\n[\d,.]+ USDT set aside for it is free again\.\n",
        said,
    )
    made.ok("ledger", "audit")


def test_cancel_of_all_of_an_index_and_of_a_position(made: Shell) -> None:
    for scope in (("--position", "1"), ("--index", "TOP8"), ("--all",)):
        made.ok(*LOW)
        assert [row["status"] for row in made.json("cancel", *scope)["orders"]] == ["cancelled"]
        assert made.ok("cancel", *scope).startswith("Nothing to cancel: no order is open there.")


def test_a_cancel_that_comes_too_late_says_what_was_done(held: Shell) -> None:
    before = held.fingerprint()
    said = held.ok("cancel", "--order", "1")
    assert said.startswith(
        "Order 1 was filled before the cancel reached it: 100 units of TOP8 had been bought at 1,0"
    )
    assert held.fingerprint() == before


def test_a_cancelled_sell_gives_its_units_back(held: Shell) -> None:
    held.ok("submit", "sell", "--index", "1", "--qty", "40", "--limit", "2000", "--tif", "gtc")
    document = held.json("cancel", "--order", "2")["orders"][0]
    assert (document["status"], document["traded_back"]) == ("cancelled", [])
    assert document["released"] == [{"asset": "unit:1", "quantity": "40"}]
    held.ok("submit", "sell", "--index", "1", "--qty", "all")


def test_cancel_leaves_other_open_orders_alone(made: Shell) -> None:
    made.ok(*LOW)
    made.ok("submit", "buy", "--index", "1", "--qty", "5", "--detach")
    made.ok("cancel", "--order", "1")
    assert made.json("order", "show", "2")["units"] == "0"


@pytest.mark.parametrize(
    ("words", "code", "sentence"),
    [
        ((), 2, "say what to cancel"),
        (("--order", "1", "--all"), 2, "say one thing to cancel"),
        (("--order", "9"), 3, "there is no order 9"),
        (("--position", "9"), 3, "there is no position 9"),
        (("--index", "9"), 3, "there is no index '9'"),
        (("--order", "one"), 2, "--order: 'one' is not a number; etf order list shows them"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_a_bad_cancel_gets_a_sentence(held: Shell, words: tuple[str, ...], code: int, sentence: str) -> None:
    before = held.fingerprint()
    answer = held.etf("cancel", *words)
    assert answer.code == code
    assert sentence in answer.err
    assert held.fingerprint() == before


def test_order_list_is_newest_first_and_can_be_narrowed(held: Shell) -> None:
    held.ok(*LOW)
    assert [row["id"] for row in held.json("order", "list")["orders"]] == [2, 1]
    assert [row["id"] for row in held.json("order", "list", "--status", "open")["orders"]] == [2]
    assert held.json("order", "list", "--status", "stuck")["orders"] == []
    assert held.ok("order", "list", "--status", "stuck").startswith("No order is like that")
    lines = held.ok("order", "list").splitlines()
    assert lines[0].split()[:4] == ["order", "accepted", "side", "index"]
    assert "0 of 10" in lines[1]
    assert "limit 900.00" in lines[1]
    answer = held.etf("order", "list", "--status", "opne")
    assert answer.code == 2
    assert "did you mean open?" in answer.err


def test_order_show_tells_plans_and_what_was_sent(held: Shell) -> None:
    said = held.ok("order", "show", "1")
    assert "client key  first" in said
    assert re.search(r"^BTC +buy .* filled$", said, re.MULTILINE)
    document = held.json("order", "show", "1")
    assert len(document["asset_orders"]) == 8
    assert {row["status"] for row in document["asset_orders"]} == {"filled"}
    assert [row["id"] for row in document["plans"]] == [1]


def test_position_list_and_show_tell_cost_value_and_gain(held: Shell) -> None:
    row = held.json("position", "list")["positions"][0]
    assert Decimal(row["gain"]) == Decimal(row["value"]) - Decimal(row["cost"])
    assert Decimal(row["value"]) == Decimal(row["price"]) * 100
    assert re.match(
        r"Position 1, TOP8, self: 100 units, worth [\d,.]+ USDT now, cost", held.ok("position", "show", "1")
    )


def test_plan_show_tells_the_certificate(held: Shell) -> None:
    said = held.ok("plan", "show", "1")
    assert re.search(r"^found by +closed form$", said, re.MULTILINE)
    assert re.search(r"^bound +[\d,.]+ USDT: no plan for these units costs less", said, re.MULTILINE)
    assert re.search(r"^books +SHA-256 [0-9a-f]{64}$", said, re.MULTILINE)


@pytest.mark.parametrize(
    ("words", "where"),
    [
        (("order", "show"), "etf order list shows them"),
        (("position", "show"), "etf position list --all shows them"),
        (("plan", "show"), "etf order show ORDER shows those of an order"),
        (("report", "fills", "--position"), "etf position list --all shows them"),
        (("report", "fills", "--order"), "etf order list shows them"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_what_is_not_there_is_exit_3_and_what_is_no_number_exit_2(
    made: Shell, words: tuple[str, ...], where: str
) -> None:
    assert made.etf(*words, "9").code == 3
    answer = made.etf(*words, "1.5")
    assert answer.code == 2
    assert f"'1.5' is not a number; {where}" in answer.err


def test_position_list_names_the_index_that_was_asked_for(held: Shell) -> None:
    held.ok("index", "create", "BIG2", "--weight", "BTC=0.5", "--weight", "ETH=0.5")
    assert held.ok("position", "list", "--index", "BIG2") == (
        "There is no position in BIG2 yet. etf submit buy --index 2 --qty 100 opens one. "
        "Other indices have some: etf position list.\n"
    )


def test_position_list_leaves_closed_ones_out_unless_all_are_asked_for(held: Shell) -> None:
    assert "state" not in held.ok("position", "list")
    held.ok("submit", "sell", "--index", "1", "--qty", "all")
    said = "No position is open: etf position list --all shows the 1 closed one.\n"
    assert held.ok("position", "list") == said
    assert held.json("position", "list")["positions"] == []
    assert held.ok("position", "list", "--format", "csv").count("\n") == 1
    assert [row["status"] for row in held.json("position", "list", "--all")["positions"]] == ["closed"]
    assert held.ok("position", "list", "--all").splitlines()[1].split()[:4] == ["1", "TOP8", "self", "closed"]
    held.ok(*LOW, "--position", "1")
    assert [row["status"] for row in held.json("position", "list")["positions"]] == ["open"]


@pytest.mark.parametrize(
    ("words", "hint"),
    [(("order", "list"), "etf submit buy"), (("position", "list"), "etf submit buy")],
)
def test_an_empty_list_says_how_to_fill_it(made: Shell, words: tuple[str, ...], hint: str) -> None:
    assert hint in made.ok(*words)
    assert made.ok(*words, "--format", "csv").count("\n") == 1
    assert made.json(*words)[f"{words[0]}s"] == []


def test_money_comes_and_goes(made: Shell) -> None:
    said = made.ok("treasury", "deposit", "5000", "--holder", "alice")
    assert said == "Deposited 5,000.00 USDT; the treasury of alice holds 5,000.00 now.\n"
    assert made.json("treasury", "show", "--holder", "alice")["balances"] == [
        {"asset": "USDT", "free": "5000", "reserved": "0"}
    ]
    answer = made.etf("treasury", "withdraw", "6000", "--holder", "alice")
    assert answer.code == 2
    assert "the treasury of alice holds 5,000.00 USDT: 6,000 cannot be withdrawn" in answer.err
    made.ok("treasury", "withdraw", "5000", "--holder", "alice")
    assert "The treasury of alice is empty" in made.ok("treasury", "show", "--holder", "alice")
    made.ok("reconcile")


def test_a_treasury_holds_several_currencies(made: Shell) -> None:
    said = made.ok("treasury", "deposit", "50000", "--asset", "usdc")
    assert said == "Deposited 50,000.00 USDC; the treasury of self holds 50,000.00 now.\n"
    made.ok("exchange", "deposit", "FDUSD", "12.5")
    moved = made.json("treasury", "withdraw", "100", "--asset", "USDC")
    assert (moved["asset"], moved["amount"], moved["free"]) == ("USDC", "-100", "49900")
    assert made.json("treasury", "show")["balances"] == [
        {"asset": "FDUSD", "free": "12.5", "reserved": "0"},
        {"asset": "USDC", "free": "49900", "reserved": "0"},
        {"asset": "USDT", "free": "999400", "reserved": "0"},
    ]
    assert made.ok("reconcile") == "The books agree with the venue.\n"
    made.ok("ledger", "audit")


@pytest.mark.parametrize(
    ("words", "sentence", "hint"),
    [
        (
            ("deposit", "5", "--asset", "BTC"),
            "a treasury holds currencies, and BTC is none (--asset)",
            "one of USDT",
        ),
        (("deposit", "5", "--asset", "EUR"), "and EUR is none of this exchange (--asset)", "one of USDT, USDC"),
        (("withdraw", "5", "--asset", "USDC"), "the treasury of self holds 0.00 USDC: 5 cannot", "treasury show"),
    ],
    ids=["a coin", "not listed", "more than there is"],
)
def test_what_a_treasury_cannot_hold_is_refused(
    made: Shell, words: tuple[str, ...], sentence: str, hint: str
) -> None:
    before = made.fingerprint()
    answer = made.etf("treasury", *words)
    assert (answer.code, made.fingerprint()) == (2, before)
    assert sentence in answer.err
    assert hint in answer.err


def test_a_coin_that_arrived_all_the_same_can_leave(made: Shell) -> None:
    made.ok("exchange", "deposit", "BTC", "2")
    made.ok("treasury", "withdraw", "2", "--asset", "BTC")
    assert [row["asset"] for row in made.json("treasury", "show")["balances"]] == ["USDT"]


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("0",), "0 is not above zero"),
        (("-5",), "-5 is not above zero"),
        (("5", "--asset", "GOLD"), "GOLD"),
        (("5", "--holder", "a b"), "'a b' cannot be a holder"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_a_bad_deposit_gets_a_sentence(made: Shell, words: tuple[str, ...], sentence: str) -> None:
    before = made.fingerprint()
    answer = made.etf("treasury", "deposit", *words)
    assert answer.code == 2
    assert sentence in answer.err
    assert made.fingerprint() == before
