"""What was filled is shared out to the last digit, and never beyond what an order accepts."""

import random
from decimal import Decimal as D

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.effort import examples
from tests.unit.solver.shared_cases import random_orders

from etf_trader.market.symbol import Side
from etf_trader.money import apportion, ceil_to, floor_to
from etf_trader.solver.outcomes import outcomes
from etf_trader.solver.problem import Leg
from etf_trader.solver.shared import plan_together
from etf_trader.solver.shares import Member, Share, SharedAssetOrder, Slice, VenueFill
from etf_trader.solver.splitting import allot

many = settings(max_examples=examples(50), deadline=None, suppress_health_check=[HealthCheck.too_slow])


def share(key: int, *phases: str, worst: str) -> Share:
    parts = tuple(D(part) for part in phases)
    return Share((Member(key, D(1)),), sum(parts, D(0)), parts, sum(parts, D(0)), D(0), D(worst), D(worst))


def two_orders() -> SharedAssetOrder:
    """Order 1 takes 2 up to 100; order 2 as much beside it, and then 4 more up to 102."""
    return SharedAssetOrder(
        "A",
        "AUSDT",
        Side.BUY,
        D(8),
        (Slice(D(2), D(100)), Slice(D(6), D(102))),
        (share(1, "2", worst="100"), share(2, "2", "4", worst="102")),
        D("0.01"),
        D("0.01"),
    )


def fill(price: str, quantity: str, fee: str = "0") -> VenueFill:
    return VenueFill(D(price), D(quantity), D(price) * D(quantity), D(fee))


def parts_of(*fills: VenueFill) -> dict[int, list[tuple[int, D]]]:
    return {
        key: [(part.fill, part.quantity) for part in parts] for key, parts in allot(two_orders(), fills).items()
    }


def test_what_fills_as_planned_goes_as_planned() -> None:
    assert parts_of(fill("102", "4"), fill("100", "4")) == {1: [(1, D(2))], 2: [(0, D(4)), (1, D(2))]}


def test_what_is_missing_is_missing_in_the_last_phase() -> None:
    assert parts_of(fill("100", "4"), fill("102", "1")) == {1: [(0, D(2))], 2: [(0, D(2)), (1, D(1))]}


def test_a_short_first_phase_is_shared_by_need() -> None:
    assert parts_of(fill("100", "1")) == {1: [(0, D("0.5"))], 2: [(0, D("0.5"))]}


def test_a_fill_beyond_its_own_price_is_never_an_orders_own() -> None:
    # 2 at 100 and 6 at 102: who accepts 102 takes all of that, and the cheap ones go to the other
    assert parts_of(fill("100", "2"), fill("102", "6")) == {1: [(0, D(2))], 2: [(1, D(6))]}


def test_more_than_was_asked_for_at_a_price_is_a_bug() -> None:
    with pytest.raises(ValueError, match="AUSDT: a fill at 102 is more than the orders asked for"):
        parts_of(fill("102", "7"))


def test_what_rounding_owes_is_made_good_by_the_next_fill() -> None:
    fills = [fill("100", "1", "0.01"), fill("100", "1", "0.01")]
    fees = {key: sum(part.fee for part in parts) for key, parts in allot(two_orders(), fills).items()}
    assert fees == {1: D("0.01"), 2: D("0.01")}


def test_a_value_that_the_venue_rounded_still_adds_up() -> None:
    told = VenueFill(D("100.003"), D("1.11"), D("111.0033"), D(0))
    assert sum(part.value for parts in allot(two_orders(), [told]).values() for part in parts) == D("111.0033")


@given(total=st.integers(0, 10**30), weights=st.lists(st.integers(0, 10**20), min_size=1, max_size=8))
def test_parts_add_up_and_are_within_one_of_their_share(total: int, weights: list[int]) -> None:
    parts, whole = apportion(total, weights), sum(weights)
    assert sum(parts) == (total if whole else 0)
    assert all(
        abs(part * whole - total * weight) < whole for part, weight in zip(parts, weights, strict=True) if whole
    )
    if total <= whole:
        assert all(part <= weight for part, weight in zip(parts, weights, strict=True))


@many
@given(
    seed=st.integers(0, 10**6),
    reach=st.sampled_from(["1", "0.5", "0"]),
    moved=st.booleans(),
    one_side=st.booleans(),
)
def test_parts_of_all_fills_add_up_and_keep_every_order_within_its_plan(
    seed: int, reach: str, moved: bool, one_side: bool
) -> None:
    orders, touches = random_orders(seed, one_side=one_side)
    shared = plan_together(orders, touches)
    legs = {(leg.asset, order.problem.side): leg for order in orders for leg in order.problem.legs}
    plans = {key: got.plan for key, got in outcomes(shared).items()}
    for sent in shared.asset_orders:
        leg = legs[sent.asset, sent.side]
        fills = _traded(sent, leg, random.Random(seed) if moved else None, D(reach))
        found = allot(sent, fills)
        for number, each in enumerate(fills):
            parts = [part for mine in found.values() for part in mine if part.fill == number]
            assert sum(part.quantity for part in parts) == each.quantity
            assert sum(part.value for part in parts) == each.value
            assert sum(part.fee for part in parts) == each.fee
        for key, parts in found.items():
            planned = next(each for each in plans[key].legs if each.asset == sent.asset)
            got = sum(part.quantity for part in parts)
            assert got <= planned.quantity
            assert got == planned.quantity or moved or reach != "1"
            worst = max(fills[part.fill].price * sent.side.sign for part in parts)
            assert worst <= planned.limit_price * sent.side.sign


def _traded(sent: SharedAssetOrder, leg: Leg, chance: random.Random | None, reach: D) -> list[VenueFill]:
    """What a venue gives for the slices, one after the other; a book that `chance` moves has gaps."""
    sign = sent.side.sign
    book = [[price, quantity] for price, quantity in leg.levels]
    if chance is not None:
        book = [[price + sign * leg.rule.tick * chance.randint(0, 3), quantity] for price, quantity in book]
        book = [level for level in book if chance.random() < 0.7]
    fills = []
    for piece in sent.slices:
        left = floor_to(piece.quantity * reach, leg.rule.step)
        for level in book:
            part = min(left, level[1])
            if part > 0 and (level[0] - piece.price) * sign <= 0:
                level[1], left = level[1] - part, left - part
                charged = part * leg.rule.taker_fee * (1 if sign > 0 else level[0])
                fills.append(VenueFill(level[0], part, level[0] * part, ceil_to(charged, sent.fee_quantum)))
    return fills
