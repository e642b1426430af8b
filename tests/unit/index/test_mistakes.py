"""What an index file may not say of its rulebook, and what is told of it."""

import tomllib
from decimal import Decimal
from pathlib import Path

import pytest

from etf_trader.errors import UsageError
from etf_trader.index.definition import read_definition
from etf_trader.index.methodology import Methodology, read_methodology
from etf_trader.index.mistakes import doubts

D = Decimal
LIST = """
symbol = "L"
universe = { assets = ["btc", "ETH"], exclude = ["Stablecoins", "leo"] }
weighting.by = "equal"
"""


def rules(text: str) -> Methodology:
    return read_methodology(tomllib.loads(text, parse_float=D), "l.toml")


@pytest.mark.parametrize(
    ("change", "sentence", "hint"),
    [
        (("Stablecoins", "stable-coins"), "names 'stable-coins', which is no group", "did you mean stablecoins?"),
        (("leo", "wraped"), "names 'wraped', which is no group", "did you mean wrapped?"),
        (
            ("exclude =", "columns = { marketcap = 'C' }, exclude ="),
            "unknown key 'universe.columns.marketcap'",
            "cap?",
        ),
        (("weighting", "rebalance.turnover = 0\nweighting"), "turnover is 0: nothing would", "turnover = 0.2"),
    ],
)
def test_a_mistake_in_a_file_is_refused_with_what_was_meant(
    tmp_path: Path, change: tuple[str, str], sentence: str, hint: str
) -> None:
    path = tmp_path / "l.toml"
    path.write_text(LIST)
    found = read_definition(path).rules
    assert found is not None and found.universe.assets == ("BTC", "ETH")  # names may be written small
    path.write_text(LIST.replace(*change))
    with pytest.raises(UsageError, match=sentence) as refused:
        read_definition(path)
    assert refused.value.where == str(path) and hint in str(refused.value.hint)


def test_a_coin_that_nobody_knows_and_a_price_below_the_fee_are_told() -> None:
    text = 'universe = { assets = ["BTC"], exclude = ["wrapped", "leo", "stable"] }\nweighting.by = "equal"\n'
    assert doubts(rules(text), {"LEO", "STABLE"}, D("0.001")) == []
    (told,) = doubts(rules(text), {"LEO"}, D("0.001"))
    assert told == "universe.exclude names stable: no such coin is known here. Did you mean stablecoins?"
    assert doubts(rules(text + "rebalance.price_bps = 10\n"), {"LEO", "STABLE"}, D("0.001")) == []
    (told,) = doubts(rules(text + "rebalance.price_bps = 9\n"), {"LEO", "STABLE"}, D("0.001"))
    assert told.startswith("rebalance.price_bps is 9, and the venue's fee alone is 10 bps: ")
