"""`etf index`: made from files and from weights, shown, valued, funded, closed; bad ones refused."""

import re
from decimal import Decimal
from pathlib import Path

import pytest
from tests.acceptance.market_caps import CAPS
from tests.acceptance.shell import Shell

from etf_trader.money import round_to

TOP3 = """
symbol = "TOP3"
name = "Three"
start_value = 500
float = 600

[weights]
BTC = 0.5
ETH = 0.3
SOL = 0.2
"""


def test_an_index_file_becomes_a_basket_at_the_prices_of_now(made: Shell) -> None:
    (made.folder / "top3.toml").write_text(TOP3)
    said = made.ok("index", "create", "--file", "top3.toml")
    assert "Created index 2, TOP3: 3 constituents, one unit is 500.00 USDT, float 600.00." in said
    assert "Next: etf submit buy --index 2 --qty 100 --dry-run" in said
    shown = made.json("index", "show", "top3")
    assert abs(Decimal(shown["nav"]) - 500) < Decimal("1e-9")
    weights = {row["asset"]: round_to(Decimal(row["weight"]), Decimal("1e-6")) for row in shown["constituents"]}
    assert weights == {"BTC": Decimal("0.5"), "ETH": Decimal("0.3"), "SOL": Decimal("0.2")}


def test_an_index_from_weights_takes_its_float_from_the_treasury(made: Shell) -> None:
    before = Decimal(made.json("treasury", "show")["balances"][0]["free"])
    made.ok("index", "create", "BIG2", "--weight", "BTC=0.5", "--weight", "ETH=0.5", "--float", "1000")
    assert Decimal(made.json("treasury", "show")["balances"][0]["free"]) == before - 1000


def test_an_index_tells_its_routes(made: Shell) -> None:
    assert made.json("index", "show", "TOP8")["routes"] == ["USDT"]
    assert "may trade in" not in made.ok("index", "show", "TOP8")
    routes = ("--route", "USDT", "--route", "usdc", "--route", "FDUSD")
    said = made.ok("index", "create", "WIDE", "--weight", "BTC=0.5", "--weight", "DENT=0.5", *routes)
    assert "Its orders may trade in USDT, USDC, FDUSD." in said
    shown = made.json("index", "show", "WIDE")
    assert shown["routes"] == ["USDT", "USDC", "FDUSD"]
    # DENT trades against USDT alone; what values the basket stays in the quote.
    assert {row["symbol"] for row in shown["constituents"]} == {"BTCUSDT", "DENTUSDT"}


def test_a_basket_of_quantities_has_the_value_of_its_quantities(made: Shell) -> None:
    (made.folder / "pair.toml").write_text('symbol = "PAIR"\n[basket]\nBTC = "0.01"\nETH = "0.5"\n')
    document = made.json("index", "create", "--file", "pair.toml")
    prices = {row["asset"]: Decimal(row["price"]) for row in document["constituents"]}
    assert Decimal(document["nav"]) == prices["BTC"] / 100 + prices["ETH"] / 2


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("X", "--weight", "BTC=0.5", "--weight", "ETH=0.4"), "the weights sum to 0.9, not to 1"),
        (("X", "--weight", "BTC=0.5", "--weight", "btc=0.5"), "BTC is named twice"),
        (("X", "--weight", "BTC=0", "--weight", "ETH=1"), "the weight of BTC is 0: it must be above 0"),
        (("X", "--weight", "BTC=-1", "--weight", "ETH=2"), "the weight of BTC is -1: it must be above 0"),
        (
            ("X", "--weight", "BTC=NaN", "--weight", "ETH=1"),
            "the weight of BTC is NaN: it must be a finite number (--weight)",
        ),
        (("X", "--weight", "BTC=half"), "the weight of BTC is 'half', not a number"),
        (("X", "--weight", "BTC"), "--weight 'BTC' is not of the form ASSET=WEIGHT"),
        (("X", "--weight", "BTC=0.5", "--weight", "NOPE=0.5"), "NOPE has no market in USDT"),
        (("X", "--weight", "USDT=1"), "USDT is the quote asset"),
        (("X", "--weight", "BTC=1", "--route", "USDC"), "the quote USDT is not among the routes (--route)"),
        (
            ("X", "--weight", "BTC=1", "--route", "USDT", "--route", "TUSD"),
            "TUSD cannot be a route: the venue has",
        ),
        (("--file", "a.toml", "--route", "USDT"), "--file says everything: --route cannot stand beside it"),
        (("X",), "the index has no constituents"),
        ((), "the index has no symbol"),
        (("TOP8", "--weight", "BTC=1"), "there is an index TOP8 already"),
        (("bad name", "--weight", "BTC=1"), "cannot be an index symbol"),
        (("X", "--weight", "BTC=1", "--float", "9e9"), "is not a number"),
        (("X", "--weight", "BTC=1", "--float", "9000000"), "is more than the 999,400.00 in the treasury of self"),
        (("X", "--weight", "BTC=1", "--float", "-1"), "float is -1: it must not be negative (--float)"),
        (
            ("X", "--weight", "BTC=1", "--start-value", "0.001"),
            "start_value is 0.001: a unit must be worth 0.01 to",
        ),
        (("x y", "--weight", "BTC=1", "--name", "a"), "'x y' cannot be an index symbol (SYMBOL)"),
        (("X", "--weight", "BTC=1", "--start-value", "0"), "0 is not above zero"),
        (("--file", "nowhere.toml"), "cannot read nowhere.toml"),
        (("X", "--file", "nowhere.toml"), "--file says everything: SYMBOL cannot stand beside it"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_a_bad_index_gets_a_sentence_and_changes_nothing(
    made: Shell, words: tuple[str, ...], sentence: str
) -> None:
    before = made.fingerprint()
    answer = made.etf("index", "create", *words)
    assert answer.code == 2
    assert sentence in answer.err
    assert made.fingerprint() == before


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (("SOL = 0.2", "SOL = 0.3"), "the weights sum to 1.1, not to 1"),
        (("SOL = 0.2", "BTC = 0.2"), "a key may stand only once"),
        (("SOL = 0.2", "SOL = nan"), "the weight of SOL is nan: it must be a finite number (bad.toml)"),
        (("float = 600", "float = 'abc'"), "float is 'abc', not a number (bad.toml)"),
        (("start_value = 500", "start_value = inf"), "start_value is inf: it must be a finite number (bad.toml)"),
        (("start_value = 500", "start_value = 1e13"), "a unit must be worth 0.01 to 1,000,000,000,000 USDT"),
        (("start_value = 500", "start_value = 0"), "start_value is 0"),
        (("start_value", "startvalue"), "did you mean start_value?"),
        (('symbol = "TOP3"', ""), "the index file has no symbol"),
        (("[weights]", "[weights"), "is not valid TOML"),
        (("[weights]", "[basket]\nADA = 1\n[weights]"), "both [weights] and [basket]"),
    ],
    ids=lambda value: value[1] if isinstance(value, tuple) else "",
)
def test_a_bad_index_file_gets_a_sentence(made: Shell, change: tuple[str, str], sentence: str) -> None:
    (made.folder / "bad.toml").write_text(TOP3.replace(*change))
    answer = made.etf("index", "create", "--file", "bad.toml")
    assert answer.code == 2
    assert sentence in answer.err


def test_more_than_a_hundred_constituents_are_refused(made: Shell) -> None:
    rows = "\n".join(f"C{number} = 0.005" for number in range(200))
    (made.folder / "many.toml").write_text(f'symbol = "MANY"\n[weights]\n{rows}\n')
    answer = made.etf("index", "create", "--file", "many.toml")
    assert answer.code == 2
    assert "200 constituents; an index has 1 to 100" in answer.err


RULEBOOK = """
symbol = "TOP3"
float = 600
universe = { caps = "caps.csv", exclude = ["stablecoins"] }
eligibility.volume = 10
selection = { count = 3, exit = 5 }
weighting = { by = "capped", cap = 0.5, floor = 0.15 }
rebalance.reserve = 0.01
"""


def test_a_rulebook_chooses_and_weighs_by_what_was_known_that_day(made: Shell) -> None:
    (made.folder / "caps.csv").write_text(CAPS.replace("market_cap,volume", "Cap,Vol"))
    (made.folder / "top3.toml").write_text(RULEBOOK)
    columns = [word for name in ("volume=Vol", "market_cap=Cap") for word in ("--caps-columns", name)]
    created = made.json("index", "create", "--file", "top3.toml", *columns)
    weights = {row["asset"]: Decimal(row["weight"]) for row in created["constituents"]}
    assert {asset: round_to(weight, Decimal("0.0001")) for asset, weight in weights.items()} == {
        "BTC": Decimal("0.4950"),
        "ETH": Decimal("0.3465"),
        "LINK": Decimal("0.1485"),
    }
    assert round_to(Decimal(created["cash_per_unit"]), Decimal("0.001")) == 10  # the reserve
    assert "and 10.00 USDT of cash a unit" in made.ok("index", "show", "TOP3")
    assert made.json("submit", "buy", "--index", "2", "--qty", "5")["status"] == "filled"
    made.ok("ledger", "audit")
    told = made.ok("index", "history", "TOP3")
    assert "3 coins from a table of market caps" in told
    assert "at most 50%, at least 15%" in told
    history = made.json("index", "history", "2")
    assert [each["version"] for each in history["rulebooks"]] == [1]
    assert history["baskets"][0]["reason"] == "created"
    assert "weights of its own" in made.ok("index", "history", "1")


def test_an_index_gets_another_rulebook_as_its_next_version(held: Shell) -> None:
    (held.folder / "caps.csv").write_text(CAPS)
    (held.folder / "new.toml").write_text(RULEBOOK.replace("TOP3", "TOP8"))
    before = held.json("index", "show", "1")["constituents"]
    told = held.ok("index", "edit", "1", "--file", "new.toml")
    assert "TOP8 has rulebook 2 from now on" in told and "at most 50%" in told
    assert held.json("index", "show", "1")["constituents"] == before
    assert not held.json("index", "edit", "1", "--file", "new.toml")["is_new"]
    assert [each["version"] for each in held.json("index", "history", "1")["rulebooks"]] == [1, 2]
    held.ok("ledger", "audit")
    held.ok("submit", "sell", "--index", "1", "--qty", "1")
    (held.folder / "bad.toml").write_text(
        'symbol = "TOP8"\nuniverse.assets = ["BTC", "BTCC"]\nweighting.by = "equal"\n'
    )
    answer = held.etf("index", "edit", "1", "--file", "bad.toml")
    assert answer.code == 2 and "BTCC has no market in USDT" in answer.err
    (held.folder / "other.toml").write_text((held.folder / "bad.toml").read_text().replace("TOP8", "OTHER"))
    assert "BTCC has no market" in held.etf("index", "create", "--file", "other.toml").err
    nowhere = (held.folder / "new.toml").read_text().replace("universe =", 'routes = ["USDT", "EURI"]\nuniverse =')
    (held.folder / "bad.toml").write_text(nowhere)
    assert held.etf("index", "edit", "1", "--file", "bad.toml").code == 2
    assert held.etf("index", "edit", "1", "--file", "nothing.toml").code == 2
    assert held.etf("index", "edit", "9", "--file", "new.toml").code == 3
    for change, sentence in (
        (("TOP8", "OTHER"), "symbol is TOP8"),
        (("float = 600", 'lot_method = "hifo"'), "lot_method"),
    ):
        text = (held.folder / "new.toml").read_text().replace(*change)
        (held.folder / "bad.toml").write_text(text)
        answer = held.etf("index", "edit", "1", "--file", "bad.toml")
        assert answer.code == 2 and sentence in answer.err


@pytest.mark.parametrize(
    ("change", "options", "code", "sentence"),
    [
        (("exclude", "exlude"), (), 2, "did you mean universe.exclude?"),
        (("cap = 0.5", "cap = 0.3"), (), 2, "a cap of 30% on 3 constituents leaves 10% for nobody"),
        (("count = 3, exit = 5", "count = 6, exit = 6"), (), 2, "leaves"),
        (("caps.csv", "nothing.csv"), (), 2, "cannot read the market caps"),
        (("volume = 10", "volume = 1000"), (), 5, "no coin is eligible on 2026-01-05"),
        (("", ""), ("--caps-columns", "market_cap=Nope"), 2, "no column for market_cap"),
        (("", ""), ("--caps-columns", "nonsense"), 2, "is not of the form WHAT=COLUMN"),
        (("cap = 0.5", "cap = 0.01"), (), 2, "a cap of at least 33.33%"),
    ],
)
def test_a_rulebook_that_cannot_be_followed_makes_no_index(
    made: Shell, change: tuple[str, str], options: tuple[str, ...], code: int, sentence: str
) -> None:
    (made.folder / "caps.csv").write_text(CAPS)
    text = RULEBOOK.replace("cap = 0.5", "cap = 0.22") if "count = 6" in change[1] else RULEBOOK
    (made.folder / "top3.toml").write_text(text.replace("0.15", "0.05").replace(*change))
    answer = made.etf("index", "create", "--file", "top3.toml", *options)
    assert answer.code == code, answer.out + answer.err
    assert sentence in answer.err
    assert len(made.json("index", "list")["indices"]) == 1


def test_what_an_edit_changes_is_told_key_by_key(made: Shell) -> None:
    (made.folder / "top3.toml").write_text(TOP3)
    made.ok("index", "create", "--file", "top3.toml")
    assert "Rulebook 1 weighs BTC 50%, ETH 30%, SOL 20%." in made.ok("index", "show", "TOP3")
    other = TOP3.replace("BTC = 0.5", "BTC = 0.7").replace("SOL = 0.2", "")
    (made.folder / "top3.toml").write_text(other.replace("[weights]", "rebalance.to = 'edge'\n[weights]"))
    edited = made.ok("index", "edit", "TOP3", "--file", "top3.toml")
    for told in (edited, made.ok("index", "history", "TOP3")):
        lines = {key: value for key, _, value in (line.partition("  ") for line in told.splitlines())}
        assert lines["weights.BTC"].strip() == "0.5 -> 0.7" and lines["weights.SOL"].strip() == "0.2 -> none"
        assert lines["rebalance.to"].strip() == "target -> edge" and "weights.ETH" not in lines
    assert "Rulebook 1 weighs BTC 50%, ETH 30%, SOL 20%." in made.ok("index", "history", "TOP3")


def test_a_new_index_tells_who_is_left_out_and_what_is_probably_not_meant(made: Shell) -> None:
    (made.folder / "caps.csv").write_text(CAPS.replace("400", "").replace("Bitcoin", "Bitcoin "))
    text = RULEBOOK.replace('"stablecoins"', '"stablecoins", "LINK", "NOSUCH"').replace("cap = 0.5", "cap = 1")
    (made.folder / "top3.toml").write_text(text + "rebalance.price_bps = 9\n")
    answer = made.etf("index", "create", "--file", "top3.toml")
    assert "universe.exclude names NOSUCH: no such coin is known here." in answer.err
    assert "rebalance.price_bps is 9, and the venue's fee alone is 10 bps" in answer.err
    assert "Its rulebook says 3 coins, and 1 is eligible." in answer.out
    assert "Left out, for want of a market cap in the table: ETH." in answer.out
    listed = 'symbol = "LIST"\nuniverse = { assets = ["btc", "USDC"], exclude = ["stablecoins"] }\n'
    (made.folder / "list.toml").write_text(listed + 'weighting.by = "equal"\n')
    assert "Left out of its list: USDC (excluded)." in made.ok("index", "create", "--file", "list.toml")


def test_list_show_and_nav_tell_what_a_unit_is_worth(held: Shell) -> None:
    listed = held.json("index", "list")["indices"][0]
    assert (listed["symbol"], listed["units"], listed["status"]) == ("TOP8", "100", "open")
    shown = held.ok("index", "show", "1")
    assert "100 outstanding" in shown
    assert "and left over:" in shown
    assert max(len(number) for number in re.findall(r"\.(\d+)", shown.partition("left over:")[2])) <= 8
    assert re.search(r"^A float that suffices for any order: about \d\d USDT\.$", shown, re.MULTILINE)
    said = held.ok("index", "nav", "TOP8")
    assert said.startswith(("One unit of TOP8 is 1,0", "One unit of TOP8 is 99"))
    nav = held.json("index", "nav", "1")
    assert Decimal(nav["nav"]) == Decimal(listed["nav"])
    assert {row["age_seconds"] for row in nav["prices"]} == {0.0}


def test_an_index_is_an_argument_or_an_option(made: Shell) -> None:
    for words in ("show", "nav", "history", "mark", "fee show"):
        group = ("index", *words.split())
        told = made.ok(*group, "TOP8")
        assert made.ok(*group, "--index", "TOP8") == made.ok(*group, "--index=TOP8") == told
    assert made.json("index", "fund", "20", "--index", "TOP8")["amount"] == "20"


def test_weights_by_what_never_moved_are_refused_with_what_to_do(made: Shell) -> None:
    (made.folder / "calm.toml").write_text(
        'symbol = "CALM"\n[universe]\nassets = ["BTC", "ETH"]\n[weighting]\nby = "inverse_volatility"\n'
    )
    answer = made.etf("index", "create", "--file", "calm.toml")
    assert (answer.code, answer.out) == (5, "")
    assert "the price of BTC never moved" in answer.err and "etf exchange advance 4d" in answer.err


def test_index_list_as_csv_has_a_header_and_a_row(made: Shell) -> None:
    lines = made.ok("index", "list", "--format", "csv").splitlines()
    assert lines[0].startswith("id,symbol,name,quote,status,nav,units,value,float")
    assert lines[1].startswith("1,TOP8,Eight coins,USDT,open,")


def test_fund_moves_cash_to_the_float_and_back(made: Shell) -> None:
    assert "400.00 USDT added to the float of TOP8: it holds 1,000.00 now." in made.ok("index", "fund", "1", "400")
    assert "taken from the float of TOP8: it holds 0.00 now." in made.ok("index", "fund", "1", "-1000")
    answer = made.etf("index", "fund", "1", "-1")
    assert answer.code == 2
    assert "the float of TOP8 holds 0.00 USDT: 1 cannot be taken back" in answer.err
    assert made.etf("index", "fund", "1", "0").code == 2
    assert "has no option --much" in made.etf("index", "fund", "1", "--much").err


def test_an_index_without_a_float_says_how_much_is_enough(made: Shell) -> None:
    created = made.ok("index", "create", "BARE", "--weight", "BTC=0.5", "--weight", "DENT=0.5")
    shown = made.ok("index", "show", "BARE")
    for said in (created, shown):
        assert "Small orders may be refused: a float that suffices for any order is about 11 USDT." in said
        assert "To give it that: etf index fund 2 20" in said
    enough = Decimal(made.json("index", "show", "BARE")["sufficient_float"])
    assert 10 < enough <= 11
    assert made.etf("submit", "buy", "--index", "BARE", "--qty", "0.001").code == 2
    made.ok("index", "fund", "2", "20")
    assert "A float that suffices for any order: about 11 USDT." in made.ok("index", "show", "BARE")
    made.ok("submit", "buy", "--index", "BARE", "--qty", "0.001")


def test_an_index_that_cannot_be_closed_names_its_positions(held: Shell) -> None:
    assert "etf submit sell --index 1 --qty all " in held.etf("index", "close", "1").err
    held.ok("treasury", "deposit", "50000", "--holder", "alice")
    bought = held.etf("submit", "buy", "--index", "1", "--qty", "10", ETF_HOLDER="alice")
    assert bought.code == 0
    lines = held.etf("index", "close", "1").err.splitlines()
    sells = [line.partition("  [")[0].strip() for line in lines[1:]]
    assert sells == [
        "etf submit sell --index 1 --position 1 --qty all",
        "ETF_HOLDER=alice etf submit sell --index 1 --position 2 --qty all",
    ]
    assert held.etf(*sells[0].split()[1:]).code == 0
    assert held.etf(*sells[1].split()[2:], ETF_HOLDER="alice").code == 0
    held.ok("index", "close", "1")


def test_only_an_index_without_units_can_be_closed(held: Shell) -> None:
    refused = held.etf("index", "close", "1")
    assert refused.code == 2
    assert "TOP8 has 100 units and cannot be closed" in refused.err
    held.ok("submit", "sell", "--index", "1", "--qty", "all")
    closed = held.json("index", "close", "1")
    assert closed["status"] == "closed"
    assert Decimal(closed["returned"]) > 500
    answer = held.etf("submit", "buy", "--index", "1", "--qty", "1")
    assert answer.code == 2
    assert "TOP8 is closed" in answer.err
    held.ok("ledger", "audit")


@pytest.mark.parametrize("words", [("show", "9"), ("nav", "NOPE"), ("fund", "9", "1"), ("close", "9")])
def test_an_index_that_is_not_there_is_exit_3(made: Shell, words: tuple[str, ...]) -> None:
    answer = made.etf("index", *words)
    assert answer.code == 3
    assert "known: 1 (TOP8)" in answer.err


def test_a_hundred_kilobytes_are_no_index(made: Shell) -> None:
    path: Path = made.folder / "noise.toml"
    path.write_bytes(bytes(range(256)) * 400)
    answer = made.etf("index", "create", "--file", "noise.toml")
    assert answer.code == 2
    assert "is not valid TOML" in answer.err
