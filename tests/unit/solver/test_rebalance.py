"""Rebalances by hand: the worked example of the books, aims, least orders, reserve, orders in the same solve."""

from collections.abc import Iterator
from dataclasses import replace

import pytest
from tests.unit.solver.rebalance_cases import make_constituent, make_rebalance
from tests.unit.solver.solver_cases import D

from etf_trader.errors import CrossedBook, NumericalFailure, StaleQuote
from etf_trader.market.book import Level
from etf_trader.market.symbol import Side
from etf_trader.money import money_context
from etf_trader.solver.offers import net_demand
from etf_trader.solver.rebalance import plan_rebalance
from etf_trader.solver.rebalance_problem import Bands, Constituent, RebalanceProblem, Tracking


@pytest.fixture(autouse=True)
def _exact() -> Iterator[None]:
    with money_context():
        yield


def flat(asset: str, holding: str, weight: str, price: str) -> Constituent:
    """An asset whose book has no spread on the side that trades."""
    mid, wide = D(price), D("0.01")
    sells = D(holding) * mid > D(weight) * 40
    bid, ask = (mid, mid + wide) if sells else (mid - wide, mid)
    levels = {"bids": (Level(bid, D(10**6)),), "asks": (Level(ask, D(10**6)),)}
    return make_constituent(asset, holding=D(holding), weight=D(weight), mid=mid, **levels)


EXAMPLE = [
    flat("A", "1", "0.25", "20"),
    flat("B", "2", "0.5", "5"),
    flat("C", "5", "0", "2"),
    flat("D", "0", "0.25", "10"),
]


def test_the_worked_example_of_the_books() -> None:
    # Sold 0.5005 A and 5 C: 20.01 less 10 bps, 19.98999. Bought 1 D gross: 10; 1.997998 B gross: 9.98999.
    plan = plan_rebalance(make_rebalance(*EXAMPLE))
    held = {leg.asset: leg.holding_after for leg in plan.legs}
    assert held == {"A": D("0.4995"), "B": D("3.996"), "C": D(0), "D": D("0.999")}
    assert (plan.nav_before, plan.nav_after, plan.cash_after, plan.cost) == (D(40), D("39.96"), D(0), D("0.04"))
    assert [leg.drift_after for leg in plan.legs] == [D(0)] * 4
    assert [(leg.asset, leg.side, leg.wave) for leg in plan.legs] == [
        ("A", Side.SELL, 1),
        ("B", Side.BUY, 2),
        ("C", Side.SELL, 1),
        ("D", Side.BUY, 2),
    ]
    assert plan.method == "bisection" and plan.gap_bps == 0


def test_the_order_of_the_constituents_does_not_matter() -> None:
    assert repr(plan_rebalance(make_rebalance(*EXAMPLE[::-1]))) == repr(plan_rebalance(make_rebalance(*EXAMPLE)))


def test_cash_that_is_there_needs_one_wave() -> None:
    # 400 in all, band 6: A 6.5 over sells 0.5, B 10.5 under buys 4.5, C 3 under stays; 7 of the cash is free.
    a = make_constituent("A", holding=D("11.05"), weight=D("0.26"))
    b = make_constituent("B", holding=D(9), weight=D("0.25125"))
    c = make_constituent("C", holding=D("9.7"), weight=D("0.25"))
    plan = plan_rebalance(make_rebalance(a, b, c, cash="102.5", aim=Bands(D("0.015"))))
    assert [(leg.side, leg.wave) for leg in plan.legs] == [(Side.SELL, 1), (Side.BUY, 1), (None, 0)]
    assert plan.waves == 1


def test_a_new_index_is_bought_from_cash_and_keeps_the_reserve() -> None:
    a = make_constituent("A", holding=D(0), weight=D("0.6"))
    b = make_constituent("B", holding=D(0), weight=D("0.35"))
    plan = plan_rebalance(make_rebalance(a, b, cash="1000"))
    assert plan.waves == 1
    # all but 5% is bought at 20 bps: NAV falls by about 1000 x 0.95 x 20 bps
    assert D("1.89") < plan.cost < D("1.91")
    assert plan.cash_after >= D("0.05") * plan.nav_after and plan.cash_after < D("0.05") * plan.nav_after + D(
        "0.0001"
    )


def test_a_reserve_that_is_lacking_is_sold_for() -> None:
    a = make_constituent("A", weight=D("0.5"))
    b = make_constituent("B", weight=D("0.4"))
    plan = plan_rebalance(make_rebalance(a, b))
    assert plan.cash_after >= plan.nav_after / 10
    assert [leg.side for leg in plan.legs] == [Side.SELL, Side.SELL]


OVER = make_constituent("A", holding=D(11))
UNDER = make_constituent("B", holding=D(9))
"""200 in all, 5% off: selling or buying costs 20 bps (half a spread of 20 and a fee of 10)."""


def test_at_zero_drift_nothing_is_traded() -> None:
    plan = plan_rebalance(make_rebalance(make_constituent("A"), make_constituent("B")))
    assert plan.cost == 0 and plan.waves == 0
    assert [(leg.side, leg.why_skipped) for leg in plan.legs] == [(None, None)] * 2


@pytest.mark.parametrize("price", ["0", "15", "19.9"])
def test_tracking_that_is_worth_less_than_fee_and_half_spread_trades_nothing(price: str) -> None:
    plan = plan_rebalance(make_rebalance(OVER, UNDER, aim=Tracking(D(price))))
    assert plan.cost == 0
    assert [leg.why_skipped for leg in plan.legs] == ["cost_above_benefit"] * 2


def test_tracking_that_is_worth_more_reaches_the_targets() -> None:
    plan = plan_rebalance(make_rebalance(OVER, UNDER, aim=Tracking(D("20.2"))))
    assert [leg.side for leg in plan.legs] == [Side.SELL, Side.BUY]
    assert all(abs(leg.drift_after) < D("1e-6") for leg in plan.legs)


def test_what_is_within_its_band_stays_and_what_is_not_comes_to_its_edge() -> None:
    wide = plan_rebalance(make_rebalance(OVER, UNDER, aim=Bands(D("0.05"))))
    assert wide.cost == 0 and [leg.why_skipped for leg in wide.legs] == ["within_band"] * 2
    plan = plan_rebalance(make_rebalance(OVER, UNDER, aim=Bands(D("0.02"))))
    # 3% of 200 is sold for 5.988; what that buys is 5.976 of B
    assert plan.legs[0].drift_after == pytest.approx(D("0.02"), abs=D("1e-5"))
    assert D("0.0239") < plan.cost < D("0.0241")


def test_a_trade_below_the_least_order_is_not_done() -> None:
    rules = {name: replace(make_constituent(name).rule, min_notional=D(5)) for name in ("A", "B", "C")}
    a = make_constituent("A", rule=rules["A"], holding=D(30), weight=D("0.49"))
    b = make_constituent("B", rule=rules["B"], holding=D(10), weight=D("0.31"))
    c = make_constituent("C", rule=rules["C"], holding=D("10.2"), weight=D("0.2"))
    plan = plan_rebalance(make_rebalance(a, b, c))
    legs = {leg.asset: leg for leg in plan.legs}
    # C is 1.6 over: not 5. A's surplus goes to B alone.
    assert legs["C"].why_skipped == "below_minimum" and legs["C"].holding_after == D("10.2")
    assert (legs["A"].side, legs["B"].side) == (Side.SELL, Side.BUY)
    assert abs(legs["A"].drift_after) < D("0.004") and plan.method == "linprog"


def test_a_halted_asset_stays_and_the_others_come_as_near_as_they_can() -> None:
    rule = replace(make_constituent("C").rule, status="BREAK")
    a = make_constituent("A", holding=D(10), weight=D("0.6"))
    b = make_constituent("B", holding=D(10), weight=D("0.4"))
    c = make_constituent("C", holding=D(5), weight=D(0), rule=rule)
    plan = plan_rebalance(make_rebalance(a, b, c))
    legs = {leg.asset: leg for leg in plan.legs}
    assert legs["C"].why_skipped == "halted" and legs["C"].holding_after == 5
    # A lacks 50 and B has nothing to spare: its target is 100 of 250
    assert plan.cost == 0 and legs["A"].drift_after == D("-0.2")


def test_a_thin_book_gives_what_it_has() -> None:
    a = make_constituent("A", holding=D(20), weight=D(0), bids=(Level(D("9.99"), D(4)),))
    b = make_constituent("B", holding=D(0), weight=D(1))
    plan = plan_rebalance(make_rebalance(a, b))
    assert plan.legs[0].quantity == 4 and plan.legs[0].holding_after == 16
    assert plan.legs[1].side is Side.BUY and plan.gap_bps <= D("0.05")


def test_orders_of_the_same_assets_trade_inside_at_mid() -> None:
    # The fund sells about 1 A and buys about 1 B; clients want 0.4 A, and sell 3 B.
    a, b = replace(OVER, ordered=D("0.4")), replace(UNDER, ordered=D(-3))
    plan = plan_rebalance(make_rebalance(a, b))
    sold, bought = plan.legs
    assert sold.inside == D("0.4") and sold.quantity == pytest.approx(D("0.6"), abs=D("0.001"))
    assert bought.quantity == 0 and bought.inside == pytest.approx(D("0.9994"), abs=D("0.0001"))
    # only 6 of the 20 that change hands meet the venue: 20 bps of them
    assert plan.cost == pytest.approx(D("0.012"), abs=D("0.0001"))
    # apart: 20 bps of the fund's 20 and of the clients' 4 + 10; together 6 and 20.01: saved 8 + 20
    assert plan.saving == pytest.approx(D("0.056"), abs=D("0.0005"))


def test_orders_are_netted_with_each_other_before_they_meet_the_fund() -> None:
    demand = net_demand(
        [
            (Side.BUY, D(3), {"A": D("0.5"), "B": D(2)}),
            (Side.SELL, D(2), {"A": D("0.25"), "C": D(1)}),
            (Side.SELL, D(1), {"A": D(1)}),
        ]
    )
    assert demand == {"A": D(0), "B": D(6), "C": D(-2)}


def test_a_spread_of_a_thousandth_of_a_basis_point_is_not_lost() -> None:
    # Half a spread of 5e-8 and no fee: 0.0005 bps. Prices and costs in one row would drop it below 1e-7.
    def narrow(asset: str, holding: str) -> Constituent:
        levels = {"bids": (Level(D("9.9999995"), D(10**6)),), "asks": (Level(D("10.0000005"), D(10**6)),)}
        rule = replace(make_constituent(asset).rule, taker_fee=D(0), tick=D("1e-7"))
        return make_constituent(asset, holding=D(holding), rule=rule, **levels)

    pair = narrow("A", "11"), narrow("B", "9")
    assert plan_rebalance(make_rebalance(*pair, aim=Tracking(D("0.00049")))).waves == 0
    assert plan_rebalance(make_rebalance(*pair, aim=Tracking(D("0.00051")))).cost == pytest.approx(D("1e-6"))


def test_what_is_bought_inside_must_be_paid_for_too() -> None:
    # B has 0.49 too much and trades in lots of 1: nothing is sold, and A cannot be bought though clients sell it.
    lots = replace(make_constituent("B").rule, step=D(1), min_quantity=D(1))
    a = make_constituent("A", holding=D("9.51"), ordered=D(-5))
    plan = plan_rebalance(make_rebalance(a, make_constituent("B", holding=D("10.49"), rule=lots)))
    assert plan.waves == 0 and plan.cash_after == 0


def test_on_the_same_side_the_orders_go_first() -> None:
    ladder = (Level(D("10.01"), D(1)), Level(D("10.05"), D(10)))
    b = replace(UNDER, asks=ladder, ordered=D("0.999"))
    plan = plan_rebalance(make_rebalance(OVER, b))
    assert plan.legs[1].last_price == D("10.05") and plan.legs[1].inside == 0
    assert plan.legs[1].value == plan.legs[1].quantity * D("10.05")
    assert plan.saving == 0


def test_against_an_order_on_a_wide_book_the_fund_does_not_trade() -> None:
    wide = replace(OVER, bids=(Level(D("9.97"), D(100)),), asks=(Level(D("10.03"), D(100)),), ordered=D("0.4"))
    plan = plan_rebalance(make_rebalance(wide, UNDER))
    assert plan.legs[0].why_skipped == "wide_spread" and plan.cost == 0


def test_buys_are_covered_when_they_fill_at_their_last_price() -> None:
    ladder = tuple(Level(D("10.01") + D("0.01") * step, D(2)) for step in range(20))
    b = make_constituent("B", holding=D(0), weight=D("0.5"), asks=ladder)
    a = make_constituent("A", holding=D(10), weight=D("0.5"))
    plan = plan_rebalance(make_rebalance(a, b, cash="100"))
    [leg] = [leg for leg in plan.legs if leg.side is Side.BUY]
    proceeds = sum((leg.cash for leg in plan.legs if leg.side is Side.SELL), D(0))
    assert leg.worst_cash <= plan.cash_before + proceeds < leg.worst_cash + D("0.0001")


def test_books_that_have_no_price_are_refused_by_name() -> None:
    crossed = replace(OVER, bids=(Level(D("10.01"), D(1)),))
    with pytest.raises(CrossedBook, match="AUSDT is crossed"):
        plan_rebalance(make_rebalance(crossed, UNDER))
    stale = replace(OVER, mid=D("10.5"))
    with pytest.raises(StaleQuote, match=r"AUSDT: a mid of 10\.5"):
        plan_rebalance(make_rebalance(stale, UNDER))


def test_a_weight_too_small_for_the_program_is_named() -> None:
    tiny = make_constituent("C", holding=D(0), weight=D("1e-9"))
    with pytest.raises(NumericalFailure, match="C has a target of"):
        plan_rebalance(make_rebalance(OVER, replace(UNDER, weight=D("0.4")), tiny, aim=Bands(D("0.1"))))


@pytest.mark.parametrize(
    "problem",
    [
        pytest.param(make_rebalance(OVER, OVER), id="an asset twice"),
        pytest.param(make_rebalance(OVER, UNDER, cash="-1"), id="cash below zero"),
        pytest.param(make_rebalance(replace(OVER, weight=D(1)), UNDER), id="weights above one"),
        pytest.param(make_rebalance(replace(OVER, holding=D(-1)), UNDER), id="a holding below zero"),
    ],
)
def test_what_only_a_bug_can_ask_is_refused(problem: RebalanceProblem) -> None:
    with pytest.raises(ValueError, match=r"twice|in cash|held"):
        plan_rebalance(problem)
