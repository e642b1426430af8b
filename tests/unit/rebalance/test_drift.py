"""Bands: what triggers a trade, and where it ends."""

from decimal import Decimal
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from etf_trader.index.methodology import RebalanceRule
from etf_trader.index.weighting import on_grid, proportional
from etf_trader.rebalance.drift import Drift, drifts, targets_with_reserve

D = Decimal
TINY = D("1e-11")


def rule(**values: Any) -> RebalanceRule:
    kept: dict[str, Any] = {name: each if name == "to" else D(each) for name, each in values.items()}
    return RebalanceRule(**kept)


def aims(found: tuple[Drift, ...]) -> dict[str, Decimal | None]:
    return {each.asset: each.aim for each in found}


HELD = {"A": D("0.53"), "B": D("0.285"), "C": D("0.185")}
WANTED = {"A": D("0.5"), "B": D("0.3"), "C": D("0.2")}


def test_without_bands_everything_is_brought_to_its_target() -> None:
    assert aims(drifts(HELD, WANTED, rule())) == WANTED


def test_what_triggers_goes_to_its_target_and_who_is_short_takes_what_that_frees() -> None:
    found = drifts(HELD, WANTED, rule(absolute="0.02"))
    assert aims(found) == {"A": D("0.5"), "B": D("0.3"), "C": D("0.2")}
    held = {"A": D("0.47"), "B": D("0.31"), "C": D("0.215"), "D": D("0.005")}
    wanted = {"A": D("0.5"), "B": D("0.3"), "C": D("0.19"), "D": D("0.01")}
    found = drifts(held, wanted, rule(absolute="0.026"))
    assert aims(found) == {"A": D("0.5"), "B": D("0.301428571429"), "C": D("0.193571428571"), "D": None}


def test_the_narrower_of_two_bands_counts() -> None:
    found = {each.asset: each.width for each in drifts(HELD, WANTED, rule(absolute="0.05", relative="0.2"))}
    assert found == {"A": D("0.05"), "B": D("0.05"), "C": D("0.04")}


def test_to_the_edge_trades_no_more_than_brings_a_weight_back_into_its_band() -> None:
    held = {"A": D("0.58"), "B": D("0.30"), "C": D("0.12")}
    found = drifts(held, WANTED, rule(absolute="0.02", to="edge"))
    assert aims(found) == {"A": D("0.52"), "B": None, "C": D("0.18")}


def test_a_band_of_the_whole_lets_a_little_of_everything_pass() -> None:
    assert set(aims(drifts(HELD, WANTED, rule(nav="0.03"))).values()) == {None}
    assert None not in aims(drifts(HELD, WANTED, rule(nav="0.029"))).values()


def test_who_leaves_and_who_enters_is_traded_whatever_the_bands() -> None:
    wanted = {"A": D("0.5"), "B": D("0.3"), "N": D("0.2")}
    found = aims(drifts(HELD, wanted, rule(absolute="0.5", nav="0.9")))
    assert found == {"A": D("0.515"), "B": None, "C": D(0), "N": D("0.2")}


def test_what_a_leaver_brings_goes_to_who_is_short() -> None:
    wanted = {"A": D("0.6"), "B": D("0.4")}
    held = {"A": D("0.55"), "B": D("0.35"), "C": D("0.1")}
    assert aims(drifts(held, wanted, rule(absolute="0.2"))) == {"A": D("0.6"), "B": D("0.4"), "C": D(0)}


def test_a_reserve_is_no_part_of_the_targets() -> None:
    assert targets_with_reserve(WANTED, D("0.01")) == {"A": D("0.495"), "B": D("0.297"), "C": D("0.198")}


tables = st.dictionaries(st.sampled_from("ABCDEFGH"), st.integers(1, 1000).map(D), min_size=1)
widths = st.sampled_from(["0", "0.005", "0.02", "0.1"])


@given(tables, tables, widths, widths, widths, st.sampled_from(["0", "0.01"]))
def test_aims_and_what_stays_are_the_whole_less_the_reserve(
    held: dict[str, Decimal], wanted: dict[str, Decimal], absolute: str, relative: str, nav: str, reserve: str
) -> None:
    weights = on_grid(proportional(held))
    targets = targets_with_reserve(on_grid(proportional(wanted)), D(reserve))
    found = drifts(weights, targets, rule(absolute=absolute, relative=relative, nav=nav))
    assert [each.asset for each in found] == sorted(weights.keys() | targets.keys())
    traded = [each for each in found if each.aim is not None]
    for each in found:
        if each.aim is None:
            assert each.weight and each.target
        elif not each.target:
            assert each.aim == 0
        else:
            # Towards the target, and not beyond it.
            low, high = sorted((each.weight, each.target))
            assert low - TINY <= each.aim <= high + TINY
    if traded:
        total = sum((each.weight if each.aim is None else each.aim for each in found), D(0))
        assert abs(total - (1 - D(reserve))) < D("1e-10")
    else:
        away = sum((abs(each.away) for each in found), D(0)) / 2
        assert away <= D(nav) or all(abs(each.away) <= each.width for each in found)


@given(tables, widths)
def test_what_was_brought_to_its_targets_triggers_nothing(wanted: dict[str, Decimal], absolute: str) -> None:
    targets = on_grid(proportional(wanted))
    assert all(each.aim is None for each in drifts(targets, targets, rule(absolute=absolute)))
