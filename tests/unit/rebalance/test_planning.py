"""A rebalance by a rulebook: what it trades, what it leaves alone, and that its cost is what NAV loses."""

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.effort import examples

from etf_trader.exchange.static import symbol_row
from etf_trader.index.methodology import RebalanceRule
from etf_trader.index.weighting import on_grid, proportional
from etf_trader.market.book import Level, OrderBook
from etf_trader.market.symbol import Side, SymbolRule
from etf_trader.money import money_context
from etf_trader.rebalance.drift import targets_with_reserve
from etf_trader.rebalance.planning import Holdings, Rebalance, plan_of, window_stops

D = Decimal
AT = datetime(2026, 1, 1, tzinfo=UTC)
ASSETS = "ABCD"


def book(mid: str, spread: str = "0.02") -> OrderBook:
    half = D(spread) / 2
    asks = tuple(Level(D(mid) + half + D(n) / 100, D(50)) for n in range(20))
    bids = tuple(Level(D(mid) - half - D(n) / 100, D(50)) for n in range(20))
    return OrderBook("X", bids, asks, 1, AT, True)


BOOKS = {asset: book(mid) for asset, mid in zip(ASSETS, ("20", "5", "2", "10"), strict=True)}
RULES = {
    asset: SymbolRule.from_exchange_info(
        symbol_row(f"{asset}USDT", asset, "USDT", min_notional="5"), maker_fee=D("0.001"), taker_fee=D("0.001")
    )
    for asset in ASSETS
}
HELD = Holdings("USDT", {"A": D(10), "B": D(20), "C": D(50)}, D(0))


def planned(targets: dict[str, str], held: Holdings = HELD, **rule: Any) -> Rebalance:
    wanted = {asset: D(weight) for asset, weight in targets.items()}
    values: dict[str, Any] = {name: D(value) for name, value in rule.items()}
    return plan_of(held, wanted, RebalanceRule(**values), BOOKS, RULES)


def test_the_worked_example_in_lots() -> None:
    """Weights .25, .5, .25 of A, B, D from A, B, C at 40 a unit: what leaves is sold, what it brings is bought."""
    found = planned({"A": "0.25", "B": "0.5", "D": "0.25"})
    assert found.nav == 400
    legs = found.legs
    assert {asset: leg.side for asset, leg in legs.items()} == {
        "A": Side.SELL,
        "B": Side.BUY,
        "C": Side.SELL,
        "D": Side.BUY,
    }
    assert legs["C"].holding_after == 0
    assert {leg.wave for leg in legs.values() if leg.side is Side.SELL} == {1}
    assert float(legs["B"].holding_after * 5) / float(found.nav_after) == pytest.approx(0.5, abs=0.001)
    assert found.turnover == pytest.approx(D("0.5"), abs=D("0.002"))
    assert found.nav_after == found.nav - found.cost


def test_dust_of_who_left_stays_whatever_the_turnover_cap_lets_happen() -> None:
    held = replace(HELD, quantities={**HELD.quantities, "D": D("0.000001")})
    found = planned({"A": "0.25", "B": "0.75"}, held, turnover="0.2")
    assert found.scale < 1 and found.legs["A"].side is Side.SELL
    assert found.legs["D"].side is None and found.parts["D"] == 0


def test_what_is_within_its_band_is_left_alone_and_says_so() -> None:
    held = Holdings("USDT", {"A": D("9.2"), "B": D(24), "C": D("50.1"), "D": D("9.6")}, D(0))
    found = planned({"A": "0.4", "B": "0.25", "C": "0.2", "D": "0.15"}, held, absolute="0.1")
    assert found.plan is None
    assert found.nav_after == found.nav
    assert {each.asset: found.why_skipped(each) for each in found.drifts}["B"] == "within_band"
    some = planned({"A": "0.4", "B": "0.25", "C": "0.2", "D": "0.15"}, held, absolute="0.035")
    assert some.plan is not None
    untouched = [each for each in some.drifts if each.aim is None]
    assert all(each.asset not in some.legs for each in untouched)


def test_a_turnover_cap_scales_all_trades_by_one_factor() -> None:
    targets = {"A": "0.25", "B": "0.5", "D": "0.25"}
    found = planned(targets, turnover="0.1")
    assert found.scale == D("0.2")
    assert found.turnover == pytest.approx(D("0.1"), abs=D("0.002"))
    whole = planned(targets)
    for asset, leg in found.legs.items():
        assert leg.holding_after - leg.holding_before == pytest.approx(
            (whole.legs[asset].holding_after - leg.holding_before) / 5, abs=D("0.1")
        )


@settings(max_examples=examples(60), deadline=None)
@given(
    held=st.fixed_dictionaries({asset: st.integers(0, 300).map(lambda n: D(n) / 10) for asset in ASSETS}),
    cash=st.integers(0, 5000).map(lambda n: D(n) / 10),
    wanted=st.dictionaries(st.sampled_from(ASSETS), st.integers(1, 100).map(D), min_size=1),
    absolute=st.sampled_from(["0", "0.02", "0.1"]),
    turnover=st.sampled_from(["1", "0.2", "0.05"]),
    reserve=st.sampled_from(["0", "0.02"]),
)
def test_cost_is_what_nav_loses_to_the_last_digit_and_is_the_sum_of_its_parts(
    held: dict[str, Decimal], cash: Decimal, wanted: dict[str, Decimal], absolute: str, turnover: str, reserve: str
) -> None:
    holdings = Holdings("USDT", {asset: each for asset, each in held.items() if each}, cash)
    with money_context():
        if not holdings.nav({asset: each.mid for asset, each in BOOKS.items()}):
            return
        targets = targets_with_reserve(on_grid(proportional(wanted)), D(reserve))
        rule = RebalanceRule(absolute=D(absolute), turnover=D(turnover))
        found = plan_of(holdings, targets, rule, BOOKS, RULES)
        after = dict(holdings.quantities)
        for asset, leg in found.legs.items():
            after[asset] = leg.holding_after
            assert found.costs[asset].total == leg.cost
        mids = {asset: each.mid for asset, each in BOOKS.items()}
        assert Holdings("USDT", after, found.cash_after).nav(mids) == found.nav_after
        assert found.cost == sum((each.total for each in found.costs.values()), D(0))
        assert found.cash_after >= 0
        assert found.turnover <= D(turnover) + D("0.05")


def test_many_weights_inside_their_bands_leave_no_more_than_the_whole() -> None:
    """Weights are rounded to a grid: those left alone and the aims of the others may be a hair above 1."""
    assets = [f"C{number}" for number in range(20)]
    books = {asset: book("7") for asset in assets}
    rules = {
        asset: SymbolRule.from_exchange_info(
            symbol_row(f"{asset}USDT", asset, "USDT"), maker_fee=D(0), taker_fee=D(0)
        )
        for asset in assets
    }
    targets = {asset: D("0.05") for asset in assets}
    for first in (307, 325, 349, 409):  # most are inside their bands, C1 is far above, and C0 enters
        held = {asset: D(first + place * place * 7 % 31) for place, asset in enumerate(assets[2:])}
        held["C1"] = D(first * 2)
        found = plan_of(Holdings("USDT", held, D(1)), targets, RebalanceRule(absolute=D("0.03")), books, rules)
        assert found.nav_after == found.nav - found.cost


def test_what_costs_more_than_it_is_worth_stays_and_says_so() -> None:
    """A hundredth of spread is 5 bps of A and 50 of C, and the fee is 10."""
    found = planned({"A": "0.4", "B": "0.25", "C": "0.15", "D": "0.2"}, price_bps="30")
    why = {each.asset: found.why_skipped(each) for each in found.drifts}
    assert why["C"] == "cost_above_benefit" and found.legs["A"].side is not None
    nothing = planned({"A": "0.4", "B": "0.25", "C": "0.15", "D": "0.2"}, price_bps="0")
    assert nothing.cost == 0 and not nothing.orders


def test_what_the_turnover_cap_leaves_too_little_of_says_so() -> None:
    targets = {"A": "0.45", "B": "0.225", "C": "0.25", "D": "0.075"}
    whole = planned(targets)
    assert whole.orders == 3
    found = planned(targets, turnover="0.02")
    why = {each.asset: found.why_skipped(each) for each in found.drifts}
    assert "turnover_cap" in why.values()
    assert all(whole.legs[asset].side is not None for asset, said in why.items() if said == "turnover_cap")


def test_what_is_halted_stays_and_the_others_share_the_rest() -> None:
    closed = {**RULES, "C": replace(RULES["C"], status="BREAK")}
    one_sided = {**BOOKS, "C": replace(BOOKS["C"], asks=())}
    targets = {"A": D("0.3"), "B": D("0.3"), "D": D("0.4")}
    for books, rules in ((BOOKS, closed), (one_sided, RULES)):
        found = plan_of(HELD, targets, RebalanceRule(), books, rules)
        drift = {each.asset: each for each in found.drifts}
        assert found.why_skipped(drift["C"]) == "halted" and "C" not in found.legs
        assert [(each.asset, each.why) for each in found.kept] == [("C", "halted")]
        left = 1 - drift["C"].weight
        for asset, weight in targets.items():
            assert float(found.weights_after[asset]) == pytest.approx(float(weight * left), abs=0.002)
        assert found.nav_after == found.nav - found.cost


def test_an_index_that_is_halted_altogether_plans_nothing() -> None:
    closed = {asset: replace(rule, status="BREAK") for asset, rule in RULES.items()}
    found = plan_of(HELD, {"A": D(1)}, RebalanceRule(), BOOKS, closed)
    assert found.plan is None and found.nav_after == found.nav
    assert {found.why_skipped(each) for each in found.drifts} == {"halted"}


def test_a_book_at_whose_edge_a_plan_ends_is_named() -> None:
    seen = {
        asset: replace(each, complete=False, bids=each.bids[:1], asks=each.asks[:1])
        for asset, each in BOOKS.items()
    }
    deep = Holdings("USDT", {asset: 10 * each for asset, each in HELD.quantities.items()}, D(0))
    targets = {"A": D("0.25"), "B": D("0.5"), "D": D("0.25")}
    found = plan_of(deep, targets, RebalanceRule(), seen, RULES)
    assert window_stops(found) == ["window(AUSDT)", "window(BUSDT)", "window(CUSDT)", "window(DUSDT)"]
    whole = {asset: replace(each, complete=True) for asset, each in seen.items()}
    assert window_stops(plan_of(deep, targets, RebalanceRule(), whole, RULES)) == []
