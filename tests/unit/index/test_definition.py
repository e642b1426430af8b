"""Index files: what they say, and the sentence for everything that cannot be."""

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from etf_trader.errors import UsageError
from etf_trader.index.definition import (
    IndexDefinition,
    basket_of,
    definition_from,
    definition_from_options,
    number_from,
    read_definition,
)
from etf_trader.money import BASKET_GRID, ONE, divide_down

D = Decimal

GOOD = """
symbol = "TOP2"
name = "Top two"
start_value = 500
float = 600.50
lot_method = "hifo"

[weights]
BTC = 0.6
ETH = "0.4"
"""


def read(tmp_path: Path, text: str) -> IndexDefinition:
    path = tmp_path / "index.toml"
    path.write_text(text, encoding="utf-8")
    return read_definition(path)


def test_an_index_file_is_read(tmp_path: Path) -> None:
    definition = read(tmp_path, GOOD)
    assert definition == IndexDefinition(
        symbol="TOP2",
        name="Top two",
        quote="USDT",
        routes=("USDT",),
        start_value=D(500),
        float_cash=D("600.50"),
        lot_method="hifo",
        weights={"BTC": D("0.6"), "ETH": D("0.4")},
        basket={},
    )
    assert definition.assets == ("BTC", "ETH")


def test_what_is_left_out_has_a_default(tmp_path: Path) -> None:
    definition = read(tmp_path, 'symbol = "ONE"\n[basket]\nbtc = 0.5\n')
    assert (
        definition.name,
        definition.quote,
        definition.start_value,
        definition.float_cash,
        definition.lot_method,
    ) == (
        "ONE",
        "USDT",
        D(1000),
        D(0),
        "fifo",
    )
    assert definition.basket == {"BTC": D("0.5")}


def test_the_quote_alone_is_the_route_when_none_is_named(tmp_path: Path) -> None:
    assert read(tmp_path, GOOD).routes == ("USDT",)
    assert read(tmp_path, 'quote = "usdc"' + GOOD).routes == ("USDC",)


def test_routes_are_kept_as_they_are_written(tmp_path: Path) -> None:
    definition = read(tmp_path, 'routes = ["usdc", "USDT", "FDUSD"]' + GOOD)
    assert definition.routes == ("USDC", "USDT", "FDUSD")
    assert definition.document()["routes"] == ["USDC", "USDT", "FDUSD"]


def test_the_hint_names_the_nearest_currency(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as refusal:
        read(tmp_path, 'routes = ["USDT", "FDUS"]' + GOOD)
    assert refusal.value.hint == "did you mean FDUSD?"


def test_numbers_of_a_file_are_exact(tmp_path: Path) -> None:
    text = 'symbol = "X"\n[weights]\nA = 0.1\nB = 0.2\nC = 0.7\n'
    assert read(tmp_path, text).weights == {"A": D("0.1"), "B": D("0.2"), "C": D("0.7")}


WEIGHTS = "[weights]\nBTC = 1\n"
BAD = {
    "no symbol": (WEIGHTS, "the index file has no symbol"),
    "small letters": ('symbol = "top"\n' + WEIGHTS, "'top' cannot be an index symbol"),
    "a number as symbol": ("symbol = 8\n" + WEIGHTS, "symbol is 8: it must be a short text"),
    "long symbol": (f'symbol = "{"A" * 17}"\n' + WEIGHTS, "cannot be an index symbol"),
    "empty name": ('symbol = "X"\nname = " "\n' + WEIGHTS, "name is ' ': it must be a short text"),
    "unknown key": ('symbol = "X"\nfloats = 1\n' + WEIGHTS, "unknown key 'floats'"),
    "lot method": ('symbol = "X"\nlot_method = "lifo"\n' + WEIGHTS, "lot_method is 'lifo'"),
    "neither": ('symbol = "X"\n', r"neither \[weights\] nor \[basket\]"),
    "both": ('symbol = "X"\n' + WEIGHTS + "[basket]\nBTC = 1\n", r"both \[weights\] and \[basket\]"),
    "empty table": ('symbol = "X"\n[weights]\n', "neither"),
    "weights no table": ('symbol = "X"\nweights = 3\n', r"\[weights\] must be a table"),
    "sum": ('symbol = "X"\n[weights]\nA = 0.5\nB = 0.49\n', r"the weights sum to 0\.99, not to 1"),
    "zero weight": ('symbol = "X"\n[weights]\nA = 1\nB = 0\n', "the weight of B is 0: it must be above 0"),
    "negative": ('symbol = "X"\n[weights]\nA = 1.5\nB = -0.5\n', r"the weight of B is -0\.5: it must be above 0"),
    "nan": ('symbol = "X"\n[weights]\nA = nan\n', "the weight of A is nan: it must be a finite number"),
    "infinite": ('symbol = "X"\n[basket]\nA = inf\n', "the quantity of A is inf: it must be a finite number"),
    "text": ('symbol = "X"\n[weights]\nA = "half"\n', "the weight of A is 'half', not a number"),
    "truth": ('symbol = "X"\n[weights]\nA = true\n', "the weight of A is true, not a number"),
    "huge": ('symbol = "X"\n[basket]\nA = 1e40\n', "so large or so fine"),
    "minute": ('symbol = "X"\n[basket]\nA = 1e-40\n', "so large or so fine"),
    "too fine for a basket": ('symbol = "X"\n[basket]\nA = 0.0000000000001\n', "more than 12 decimals"),
    "twice, in other letters": ('symbol = "X"\n[weights]\nBTC = 0.5\nbtc = 0.5\n', "BTC is named twice"),
    "twice": ('symbol = "X"\n[weights]\nBTC = 0.5\nBTC = 0.5\n', "not valid TOML"),
    "the quote": ('symbol = "X"\n[weights]\nUSDT = 1\n', "USDT is the quote asset"),
    "a coin as quote": ('symbol = "X"\nquote = "BTC"\n' + WEIGHTS, "the quote is 'BTC', not a currency"),
    "routes no list": ('symbol = "X"\nroutes = "USDC"\n' + WEIGHTS, "routes must be a list of currencies"),
    "a number as route": ('symbol = "X"\nroutes = ["USDT", 1]\n' + WEIGHTS, "routes must be a list of currencies"),
    "an unknown route": ('symbol = "X"\nroutes = ["USDT", "USDD"]\n' + WEIGHTS, "a route is 'USDD', not a curr"),
    "a coin as route": ('symbol = "X"\nroutes = ["USDT", "ETH"]\n' + WEIGHTS, "a route is 'ETH', not a currency"),
    "no route": ('symbol = "X"\nroutes = []\n' + WEIGHTS, "the quote USDT is not among the routes"),
    "without the quote": ('symbol = "X"\nroutes = ["USDC"]\n' + WEIGHTS, "the quote USDT is not among the routes"),
    "a route twice": ('symbol = "X"\nroutes = ["USDT", "usdt"]\n' + WEIGHTS, "the route USDT is named twice"),
    "a route held": (
        'symbol = "X"\nroutes = ["USDT", "USDC"]\n[weights]\nUSDC = 1\n',
        "USDC is a route and cannot be a constituent",
    ),
    "not an asset": ('symbol = "X"\n[weights]\n"B-C" = 1\n', "'B-C' is not the symbol of an asset"),
    "start value": ('symbol = "X"\nstart_value = 0\n' + WEIGHTS, "start_value is 0: it must be above 0"),
    "worth next to nothing": ('symbol = "X"\nstart_value = 0.009\n' + WEIGHTS, "must be worth 0.01 to 1,000,000"),
    "worth too much": (
        'symbol = "X"\nstart_value = 2e12\n' + WEIGHTS,
        "2000000000000: a unit must",
    ),
    "a list": ('symbol = "X"\nfloat = [1]\n' + WEIGHTS, "float is a list, not a number"),
    "a date": ('symbol = "X"\nfloat = 2026-01-01\n' + WEIGHTS, "float is 2026-01-01, not a number"),
    "a nan as name": ('symbol = "X"\nname = -inf\n' + WEIGHTS, "name is -inf: it must be a short text"),
    "float": ('symbol = "X"\nfloat = -1\n' + WEIGHTS, "float is -1: it must not be negative"),
    "too many": (
        'symbol = "X"\n[basket]\n' + "".join(f"A{n} = 1\n" for n in range(101)),
        "101 constituents; an index has 1 to 100",
    ),
    "not TOML": ("symbol = \n", "not valid TOML"),
}


@pytest.mark.parametrize(("text", "sentence"), BAD.values(), ids=BAD)
def test_what_cannot_be_is_refused_with_a_sentence(tmp_path: Path, text: str, sentence: str) -> None:
    with pytest.raises(UsageError, match=sentence) as refusal:
        read(tmp_path, text)
    assert refusal.value.where is not None
    assert refusal.value.where.endswith("index.toml")


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"cannot read .*none\.toml: no such file"):
        read_definition(tmp_path / "none.toml")
    (tmp_path / "binary.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UsageError, match="not valid TOML"):
        read_definition(tmp_path / "binary.toml")


def test_the_nearest_key_is_offered(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as refusal:
        read(tmp_path, 'symbol = "X"\nstartvalue = 3\n' + WEIGHTS)
    assert refusal.value.hint == "did you mean start_value?"


def test_weights_can_stand_on_the_command_line() -> None:
    definition = definition_from_options(
        "BIG3", ["BTC=0.5", "ETH=0.3", "SOL=0.2"], name=None, start_value=D(1000), float_cash=D(600)
    )
    assert (definition.symbol, definition.name, definition.float_cash) == ("BIG3", "BIG3", D(600))
    assert definition.weights == {"BTC": D("0.5"), "ETH": D("0.3"), "SOL": D("0.2")}


@pytest.mark.parametrize(
    ("changes", "where"),
    [
        ({"symbol": "x y"}, "SYMBOL"),
        ({"name": " "}, "--name"),
        ({"float_cash": D(-5)}, "--float"),
        ({"start_value": D("0.001")}, "--start-value"),
        ({"routes": ["USDC"]}, "--route"),
        ({"weights": ["BTC=abc"]}, "--weight"),
        ({"weights": ["BTC=0.5"]}, "--weight"),
    ],
    ids=str,
)
def test_what_is_wrong_on_the_command_line_is_named_as_it_was_typed(changes: dict[str, Any], where: str) -> None:
    good: dict[str, Any] = {"symbol": "BIG", "weights": ["BTC=1"], "name": None}
    good |= {"start_value": D(1000), "float_cash": D(0)}
    with pytest.raises(UsageError) as refusal:
        definition_from_options(**(good | changes))
    assert refusal.value.where == where


def test_a_basket_must_be_worth_something(tmp_path: Path) -> None:
    definition = read(tmp_path, 'symbol = "X"\n[basket]\nA = 2\n')
    assert basket_of(definition, {"A": D("0.005")}).quantities == {"A": D(2)}
    for price, sentence in (
        ("0.0049", "worth 0.0098: a unit must be worth"),
        ("1e12", "2,000,000,000,000: a unit"),
    ):
        with pytest.raises(UsageError, match=sentence) as refusal:
            basket_of(definition, {"A": D(price)})
        assert refusal.value.where == "[basket]"


@pytest.mark.parametrize("weights", [["BTC"], ["BTC=x"], ["=1"], ["BTC=0.5", "BTC=0.5"], []])
def test_weights_that_cannot_be_are_refused(weights: list[str]) -> None:
    with pytest.raises(UsageError):
        definition_from_options("X", weights, name=None, start_value=D(1000), float_cash=D(0))


@pytest.mark.parametrize(("text", "number"), [("12.5", "12.5"), (" 1_000 ", "1000"), ("1e3", "1000"), ("0", "0")])
def test_numbers_are_read_exactly(text: str, number: str) -> None:
    assert number_from(text, "it") == D(number)


@pytest.mark.parametrize("text", ["", "abc", "1,5", "--1", "nan", "-inf", "1e999", "1e-99", "0.5%"])
def test_what_is_no_number_is_refused(text: str) -> None:
    with pytest.raises(UsageError):
        number_from(text, "it")


def make(weights: dict[str, str], start_value: str = "1000") -> IndexDefinition:
    return definition_from({"symbol": "X", "weights": weights, "start_value": D(start_value)}, where="test")


def test_weights_become_quantities_and_the_remainder_is_cash() -> None:
    basket = basket_of(make({"A": "0.7", "B": "0.3"}), {"A": D(30_000), "B": D(7)})
    # 700 / 30,000 = .02333... and 300 / 7 = 42.857142857142857...
    assert basket.quantities == {"A": D("0.023333333333"), "B": D("42.857142857142")}
    # 30,000 x 3.33...e-13 + 7 x 8.57...e-13 = 1e-8 + 6e-12, and both products on the grid
    assert basket.cash == D("0.000000010006")
    assert basket.value({"A": D(30_000), "B": D(7)}) == 1000


def test_a_given_basket_is_taken_as_it_is() -> None:
    definition = definition_from({"symbol": "X", "basket": {"A": D("0.1234567"), "B": D("3.7")}}, where="test")
    basket = basket_of(definition, {"A": D(100), "B": D(10)})
    assert (basket.quantities, basket.cash) == ({"A": D("0.1234567"), "B": D("3.7")}, D(0))
    assert basket.value({"A": D(100), "B": D(10)}) == D("49.34567")


def test_a_weight_too_small_to_hold_anything_is_refused() -> None:
    with pytest.raises(UsageError, match="the weight of B is too small"):
        basket_of(make({"A": "0.99999999999999", "B": "0.00000000000001"}, "0.01"), {"A": D(1), "B": D(90_000)})


@given(
    st.lists(st.tuples(st.integers(1, 10**6), st.decimals("0.0001", "90000", places=4)), min_size=1, max_size=8),
    st.decimals("1", "100000", places=2),
)
def test_a_basket_is_never_worth_more_than_the_start_value_and_hardly_less(
    parts: list[tuple[int, Decimal]], start_value: Decimal
) -> None:
    whole = D(sum(share for share, _ in parts))
    weights = [divide_down(D(share), whole, D("1e-9")) for share, _ in parts]
    weights[0] += ONE - sum(weights, D(0))
    table = {f"A{place}": str(weight) for place, weight in enumerate(weights) if weight}
    mids = {f"A{place}": price for place, (_, price) in enumerate(parts)}
    try:
        basket = basket_of(make(table, str(start_value)), mids)
    except UsageError as error:
        assert "too small" in error.message
        return
    assert 0 <= start_value - basket.value(mids) < BASKET_GRID
    assert 0 <= basket.cash <= sum(mids.values(), D(0)) * BASKET_GRID
