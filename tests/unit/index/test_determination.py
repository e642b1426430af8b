"""What a rulebook says on a day."""

import tomllib
from collections.abc import Collection, Mapping, Sequence
from datetime import date
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from etf_trader.errors import DataError, UsageError
from etf_trader.index.caps import CapRow
from etf_trader.index.determination import Determination, choose, listed, weigh
from etf_trader.index.methodology import Methodology, Weighting, read_methodology
from etf_trader.index.selection import Known
from etf_trader.index.weighting import Floats

D = Decimal
DAY = date(2026, 1, 1)
ALL = Known(trading=dict.fromkeys("ABCDEFGHIJ", True), first_seen={})
RETURNS = {asset: np.random.default_rng(ord(asset)).normal(0.001, 0.02, 90) for asset in "ABCDEFGHIJ"}


def rulebook(text: str) -> Methodology:
    return read_methodology(tomllib.loads(text, parse_float=D), "rules.toml")


def determine(
    rule: Methodology,
    day: date,
    found: Sequence[CapRow],
    known: Known,
    incumbents: Collection[str] = (),
    returns: Mapping[str, Floats] | None = None,
) -> Determination:
    """Choose, and weigh what was chosen."""
    choice = choose(rule, day, found, known, incumbents)
    return Determination(day, weigh(rule, choice.rows, returns or {}), choice.verdicts)


def rows(**caps: int) -> list[CapRow]:
    return [CapRow(DAY, asset, asset, D(cap), None, D(100)) for asset, cap in caps.items()]


TOP3 = """
universe.caps = "caps.csv"
selection = { count = 3, enter = 2, exit = 4 }
weighting = { by = "capped", cap = 0.5, floor = 0.1 }
"""


def test_capitalisation_is_capped_and_what_is_cut_goes_to_the_others() -> None:
    found = determine(rulebook(TOP3), DAY, rows(A=800, B=150, C=50, D=10), ALL)
    assert found.weights == {"A": D("0.5"), "B": D("0.375"), "C": D("0.125")}
    assert [(each.asset, each.why.is_in) for each in found.verdicts] == [
        ("A", True),
        ("B", True),
        ("C", True),
        ("D", False),
    ]


def test_an_incumbent_within_its_buffer_keeps_its_place() -> None:
    found = determine(rulebook(TOP3), DAY, rows(A=800, B=150, C=50, D=10), ALL, incumbents={"D"})
    assert found.weights.keys() == {"A", "B", "D"}
    assert found.weights["D"] == D("0.1")


def test_a_rulebook_that_names_its_assets_takes_those_that_trade() -> None:
    rule = rulebook('universe.assets = ["C", "A", "B"]\nweighting.by = "equal"')
    known = Known(trading={"A": True, "B": False, "C": True}, first_seen={})
    assert determine(rule, DAY, listed(rule, DAY), known).weights == {"C": D("0.5"), "A": D("0.5")}


def test_weights_of_ones_own_are_scaled_to_who_is_there() -> None:
    rule = rulebook("[weights]\nA = 0.5\nB = 0.3\nC = 0.2")
    known = Known(trading={"A": True, "C": True}, first_seen={})
    found = determine(rule, DAY, listed(rule, DAY), known).weights
    assert found == {"A": D("0.714285714286"), "C": D("0.285714285714")}


@pytest.mark.parametrize("by", [each for each in Weighting if each is not Weighting.CUSTOM])
@given(caps=st.lists(st.integers(1, 10**9), min_size=10, max_size=10), cap=st.sampled_from(["0.1", "0.2", "0.9"]))
def test_whatever_they_are_made_of_weights_are_bounded_and_sum_to_one(
    by: Weighting, caps: list[int], cap: str
) -> None:
    rule = rulebook(f'universe.caps = "x"\nselection.count = 10\nweighting = {{ by = "{by}", cap = {cap} }}')
    ranked = sorted(rows(**dict(zip("ABCDEFGHIJ", caps, strict=True))), key=lambda row: -row.market_cap)
    found = determine(rule, DAY, ranked, ALL, returns=RETURNS)
    assert sum(found.weights.values()) == 1
    assert all(0 <= weight <= D(cap) for weight in found.weights.values())
    assert found == determine(rule, DAY, ranked, ALL, returns=RETURNS)


def test_momentum_without_a_winner_weighs_all_alike() -> None:
    rule = rulebook('universe.assets = ["A", "B"]\nweighting.by = "momentum"')
    falling = {asset: np.full(10, -0.01) for asset in "AB"}
    assert set(determine(rule, DAY, listed(rule, DAY), ALL, returns=falling).weights.values()) == {D("0.5")}


def test_what_is_missing_is_named() -> None:
    rule = rulebook('universe.assets = ["A", "B"]\nweighting.by = "risk_parity"')
    with pytest.raises(DataError, match="B: there are no past prices"):
        determine(rule, DAY, listed(rule, DAY), ALL, returns={"A": RETURNS["A"]})
    with pytest.raises(DataError, match="no coin is eligible on 2026-01-01"):
        determine(rule, DAY, listed(rule, DAY), Known({}, {}), returns=RETURNS)
    few = rulebook('universe.caps = "x"\nselection.count = 3\nweighting = { by = "capped", cap = 0.4 }')
    with pytest.raises(UsageError, match="a cap of 40% on 2 constituents leaves 20% for nobody"):
        determine(few, DAY, rows(A=2, B=1), ALL)
