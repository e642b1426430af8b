"""From what traded to units: the largest z, the least z, and who keeps the rest."""

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from etf_trader.execution.allocation import BatchState, Outcome, settle_batch
from etf_trader.market.symbol import Side
from etf_trader.money import UNIT_GRID, ZERO

D = Decimal


def make_state(side: Side = Side.BUY, **changes: Any) -> BatchState:
    """Ten units of one A (mid 100) and two B (mid 10) were planned; nothing traded, the float has 1,000."""
    values: dict[str, Any] = {
        "side": side,
        "planned": D(10),
        "is_complete": False,
        "per_unit": {"A": D(1), "B": D(2)},
        "cash_per_unit": ZERO,
        "order": {},
        "order_cash": D(10_000),
        "float": {},
        "float_cash": D(1000),
        "lent": {},
        "bounds": {"A": D("0.05"), "B": D("0.5")},
        "mids": {"A": D(100), "B": D(10)},
    }
    return BatchState(**(values | changes))


def test_a_buy_is_credited_what_the_scarcest_asset_covers() -> None:
    outcome = settle_batch(make_state(order={"A": D(10), "B": D(13)}), final=False)
    assert outcome.units == D("6.5")
    assert outcome.float_takes == {"A": ZERO, "B": ZERO}
    assert outcome.excess == {"A": D("3.5"), "B": ZERO}


def test_the_float_fills_what_lots_left_short_of_a_unit() -> None:
    outcome = settle_batch(make_state(order={"A": D("9.99"), "B": D(20)}, float={"A": D("0.02")}), final=False)
    assert outcome.units == 10
    assert outcome.float_takes == {"A": D("-0.01"), "B": ZERO}


def test_a_batch_that_filled_wholly_leaves_its_surplus_to_the_float() -> None:
    state = make_state(order={"A": D("10.004"), "B": D("20.3")}, is_complete=True)
    outcome = settle_batch(state, final=False)
    assert (outcome.units, outcome.float_takes) == (D(10), {"A": D("0.004"), "B": D("0.3")})
    assert not any(outcome.excess.values())


def test_a_buy_that_ends_leaves_the_float_no_more_than_the_bound_of_an_asset() -> None:
    state = make_state(order={"A": D("5.04"), "B": D("11.5")}, planned=D(5))
    outcome = settle_batch(state, final=True)
    assert outcome.units == 5
    assert outcome.float_takes == {"A": D("0.04"), "B": ZERO}
    assert outcome.excess == {"A": ZERO, "B": D("1.5")}


def test_a_float_without_cash_takes_nothing_and_the_order_keeps_it() -> None:
    state = make_state(order={"A": D("10.04"), "B": D("20")}, float_cash=D(3), is_complete=True)
    outcome = settle_batch(state, final=True)
    assert (outcome.units, outcome.float_takes["A"], outcome.excess["A"]) == (D(10), ZERO, D("0.04"))


def test_a_buy_never_credits_more_than_it_can_pay_the_float_for() -> None:
    # B filled wholly and over; of A half came, the float could give 5 at 100, but the order has 120 left.
    state = make_state(order={"A": D(5), "B": D("20.4")}, float={"A": D(6)}, order_cash=D(120))
    outcome = settle_batch(state, final=False)
    assert outcome.units == D("6.2")
    assert outcome.float_takes["A"] == D("-1.2")


def test_the_baskets_cash_is_paid_before_the_float() -> None:
    # 3 a unit: 6 units need 18 and 1 A of the float at 100, together 118 of 120; .019... units more need 103 each.
    state = make_state(order={"A": D(5), "B": D(20)}, float={"A": D(6)}, order_cash=D(120), cash_per_unit=D(3))
    outcome = settle_batch(state, final=False)
    assert outcome.units == D("6.01941747")


def test_a_sell_redeems_what_the_asset_sold_most_of_needs() -> None:
    # Of 10 and 20 the order still has 4 A and 11 B: 4 baskets of A, 5.5 of B; 4 go back whole.
    outcome = settle_batch(make_state(Side.SELL, order={"A": D(4), "B": D(11)}), final=False)
    assert (outcome.units, outcome.returned) == (D(6), D(4))
    assert outcome.excess == {"A": ZERO, "B": D(3)}


def test_a_sell_gives_back_first_what_the_float_lent() -> None:
    # 2 lots were rounded up with .03 of the float's; .02 of them were not sold.
    state = make_state(Side.SELL, order={"A": D("0.02")}, lent={"A": D("0.03")}, is_complete=True)
    outcome = settle_batch(state, final=False)
    assert (outcome.units, outcome.returned, outcome.float_takes["A"]) == (D(10), ZERO, D("0.02"))


def test_a_sell_that_filled_wholly_returns_nothing_even_when_a_basket_would_be_left() -> None:
    state = make_state(Side.SELL, order={"A": D("0.04"), "B": D("0.1")}, is_complete=True)
    outcome = settle_batch(state, final=True)
    assert (outcome.units, outcome.returned) == (D(10), ZERO)
    assert outcome.float_takes == {"A": D("0.04"), "B": D("0.1")}


def test_nothing_traded_credits_and_redeems_nothing() -> None:
    assert settle_batch(make_state(), final=True).units == 0
    untouched = {"A": D(10), "B": D(20)}
    outcome = settle_batch(make_state(Side.SELL, order=untouched), final=True)
    assert (outcome.units, outcome.returned) == (ZERO, D(10))


quantities = st.decimals(0, 50, places=5)


@st.composite
def states(draw: st.DrawFn, side: Side) -> BatchState:
    per_unit = {asset: draw(st.decimals("0.001", 5, places=9)) for asset in ("A", "B", "C")}
    planned = draw(st.decimals("0.00000001", 20, places=8))
    state = make_state(
        side,
        per_unit=per_unit,
        planned=planned,
        cash_per_unit=draw(st.sampled_from((ZERO, D("0.5"), D(3)))),
        order={asset: draw(quantities) for asset in per_unit},
        order_cash=draw(st.decimals(0, 2000, places=2)),
        float={asset: draw(st.sampled_from((ZERO, D("0.04"), D(2)))) for asset in per_unit},
        float_cash=draw(st.decimals(0, 200, places=2)),
        bounds={asset: draw(st.decimals("0.01", 1, places=2)) for asset in per_unit},
        mids={asset: draw(st.decimals("0.01", 200, places=2)) for asset in per_unit},
    )
    if side is Side.SELL:
        lent = {asset: draw(st.sampled_from((ZERO, D("0.01"), D("0.7")))) for asset in per_unit}
        held = {a: min(state.order[a], per_unit[a] * planned + lent[a]) for a in per_unit}
        return replace(state, lent=lent, order=held)
    return state


def buy_needs(state: BatchState, outcome: Outcome, units: Decimal) -> list[str]:
    """Return what `units` baskets would lack."""
    lacking = [
        asset
        for asset, per_unit in state.per_unit.items()
        if per_unit * units > state.order[asset] + state.float[asset]
    ]
    gives = sum(
        (max(per_unit * units - state.order[a], ZERO) * state.mids[a] for a, per_unit in state.per_unit.items()),
        ZERO,
    )
    if gives + state.cash_per_unit * units > state.order_cash:
        lacking.append("cash")
    return lacking


@given(states(Side.BUY), st.booleans())
def test_a_buy_gets_the_largest_size_that_everything_covers(state: BatchState, final: bool) -> None:
    outcome = settle_batch(state, final=final)
    takes = outcome.float_takes
    assert 0 <= outcome.units <= state.planned
    assert outcome.units % UNIT_GRID == 0
    for asset, per_unit in state.per_unit.items():
        assert state.order[asset] - per_unit * outcome.units - takes[asset] == outcome.excess.get(asset, 0) >= 0
        assert state.float[asset] + takes[asset] >= 0
        assert takes[asset] <= state.bounds[asset]
    from_float = sum((quantity * state.mids[asset] for asset, quantity in takes.items()), ZERO)
    assert from_float <= state.float_cash
    assert state.order_cash - state.cash_per_unit * outcome.units + from_float >= 0
    if not final and outcome.units < state.planned:
        assert buy_needs(state, outcome, outcome.units + UNIT_GRID)


@given(states(Side.SELL), st.booleans(), st.booleans())
def test_a_sell_redeems_the_least_size_that_covers_what_was_sold(
    state: BatchState, final: bool, is_complete: bool
) -> None:
    state = replace(state, is_complete=is_complete)
    assume(
        not is_complete or all(state.order[a] < per_unit * state.planned for a, per_unit in state.per_unit.items())
    )
    outcome = settle_batch(state, final=final)
    assert outcome.units + outcome.returned == state.planned
    assert outcome.returned >= 0
    assert outcome.units % UNIT_GRID == state.planned % UNIT_GRID
    for asset, per_unit in state.per_unit.items():
        left = state.order[asset] - per_unit * outcome.returned
        assert left - outcome.float_takes[asset] == outcome.excess.get(asset, 0) >= 0
        assert ZERO <= outcome.float_takes[asset] <= state.lent[asset] + state.bounds[asset]
    if not is_complete and outcome.units:
        more = outcome.returned + UNIT_GRID
        assert any(per_unit * more > state.order[asset] for asset, per_unit in state.per_unit.items())


@pytest.mark.parametrize("side", list(Side))
def test_settling_is_pure(side: Side) -> None:
    state = make_state(side, order={"A": D(3), "B": D(5)})
    assert settle_batch(state, final=True) == settle_batch(state, final=True)
