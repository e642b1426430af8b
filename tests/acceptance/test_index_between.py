"""`etf index fee`, `mark` and `event swap`: what happens to a basket between rebalances."""

from decimal import Decimal

from tests.acceptance.shell import Shell

FEE = """
symbol = "FEE"
float = 1000
[weights]
BTC = 0.6
ETH = 0.4
[fee]
management_bps = 200
"""


def refused(made: Shell, code: int, *words: str) -> str:
    said = made.etf(*words)
    assert said.code == code, said
    return said.err


def test_a_fee_is_taken_in_kind_and_paid_out(made: Shell) -> None:
    (made.folder / "fee.toml").write_text(FEE)
    made.ok("index", "create", "--file", "fee.toml")
    made.ok("submit", "buy", "--index", "FEE", "--qty", "20")
    made.ok("exchange", "advance", "2190h")  # a quarter of a year
    before = made.json("index", "show", "FEE")
    taken = made.json("index", "fee", "accrue", "--index", "FEE")
    after = made.json("index", "show", "FEE")
    assert after["basket_version"] == before["basket_version"] + 1
    held, left = (Decimal(each["constituents"][0]["quantity"]) for each in (before, after))
    assert abs(held - left - held * Decimal("0.005")) < held * Decimal("1e-6")
    shown = made.json("index", "fee", "show", "--index", "FEE")
    assert {row["asset"] for row in shown["assets"]} == {row["asset"] for row in taken["taken"]}
    said = made.ok("index", "fee", "pay", "--index", "FEE")
    assert "USDT to the treasury of" in said
    assert "Nothing is payable." in made.ok("index", "fee", "show", "--index", "FEE")
    assert "There was nothing to take." in made.ok("index", "fee", "accrue", "--index", "FEE")
    made.ok("ledger", "audit")


def test_a_mark_needs_a_reason_and_no_live_book_and_is_shown_until_it_is_removed(made: Shell) -> None:
    typed = ("index", "mark", "--index", "1", "--asset", "eth", "--price", "100")
    assert "needs a reason" in refused(made, 2, *typed)
    assert "ETHUSDT trades, at" in refused(made, 2, *typed, "--reason", "test")
    made.ok(*typed, "--reason", "a test", "--force")
    told = made.json("index", "nav", "1")
    assert [row["asset"] for row in told["prices"] if row["source"] == "mark"] == ["ETH"]
    assert "Marked: ETH is valued at 100 by" in made.ok("index", "show", "1")
    made.ok("index", "mark", "--index", "1", "--asset", "ETH", "--remove")
    assert made.json("index", "mark", "--index", "1")["marks"] == []


def test_a_swap_is_shown_booked_once_and_refused_where_it_cannot_be(made: Shell) -> None:
    swap = ("index", "event", "swap", "--from", "ETH", "--ratio", "2")
    assert "FOO has no market in USDT" in refused(made, 2, *swap, "--index", "1", "--to", "FOO")
    assert "one index or of all" in refused(made, 2, *swap, "--to", "BNB")
    assert "makes nothing of a coin" in refused(made, 2, *swap[:-1], "0", "--index", "1", "--to", "BNB")
    assert "check the ratio" in refused(made, 2, *swap, "--index", "1", "--to", "BNB")
    before = made.json("index", "show", "1")
    typed = (*swap, "--index", "1", "--to", "FOO", "--force")
    tried = made.json(*typed, "--dry-run")
    assert made.json("index", "show", "1") == before
    done = made.json(*typed)
    assert done["swaps"] == tried["swaps"]
    after = {row["asset"]: Decimal(row["quantity"]) for row in made.json("index", "show", "1")["constituents"]}
    held = {row["asset"]: Decimal(row["quantity"]) for row in before["constituents"]}
    assert after["FOO"] == 2 * held["ETH"]
    assert "already" in made.ok(*typed)
    assert "Not at a price of now: FOO (last" in made.ok("index", "nav", "1")
    assert "no units can be made without FOO" in refused(made, 5, "submit", "buy", "--index", "1", "--qty", "1")
    assert "Nothing can be bought until it trades" in made.ok("quote", "buy", "--index", "1", "--qty", "5")
