"""Orders whose sizes are known meet what somebody offers beside them: every limit holds, and nobody pays more."""

import random
from collections.abc import Mapping
from decimal import Decimal as D

from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from tests.effort import examples
from tests.unit.solver.shared_cases import check_orders, random_orders

from etf_trader.market.symbol import Side
from etf_trader.money import divide_down, money_context
from etf_trader.solver.allotment import Offered
from etf_trader.solver.meeting import Meeting, Sized, meet
from etf_trader.solver.outcomes import outcomes
from etf_trader.solver.shared import plan_together
from etf_trader.solver.shares import SharedOrder

FUND = 99


def sized_of(seed: int) -> list[Sized]:
    """Random orders that trade together, with their sizes."""
    orders, touches = random_orders(seed, one_side=False)
    found = outcomes(plan_together(orders, touches))
    return [
        Sized(order, found[order.key].plan.units, found[order.key].plan.stopped_by)
        for order in sorted(orders, key=lambda each: each.key)
        if found[order.key].plan.units
    ]


def offered_to(before: Meeting, chance: random.Random) -> dict[str, Offered]:
    """All, a part, or none of what the orders want of each asset."""
    found = {}
    for asset, allotted in sorted(before.allotted.items()):
        most = allotted.beyond
        part = chance.choice([most, divide_down(most, D(3), D("1e-8")), D(0)])
        if part:
            found[asset] = Offered(allotted.side.opposite, part)
    return found


@settings(max_examples=examples(60), deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(seed=st.integers(0, 10**6))
def test_what_is_offered_makes_every_order_cheaper_or_leaves_it_as_it_is(seed: int) -> None:
    with money_context(160):
        sized = sized_of(seed)
        before = meet(sized, {}, FUND) if sized else None
        assume(before is not None)
        assert before is not None
        offered = offered_to(before, random.Random(seed))
        after = meet(sized, offered, FUND)
        assume(after is not None)
        assert after is not None
        _require_sound(sized, after, offered)
        if after.sizes == before.sizes:
            assert after.met == {asset: each.quantity for asset, each in offered.items()}
            _require_cheaper(sized, before, after)


def _require_sound(sized: list[Sized], after: Meeting, offered: Mapping[str, Offered]) -> None:
    orders: list[SharedOrder] = [each.order for each in sized]
    check_orders(orders, after.shared)
    for asset, quantity in after.met.items():
        assert quantity <= offered[asset].quantity
        given = sum(
            each.quantity
            for each in after.shared.crosses
            if FUND in (each.buyer, each.seller) and each.asset == asset
        )
        assert given == quantity


def _require_cheaper(sized: list[Sized], before: Meeting, after: Meeting) -> None:
    """Nobody pays more, but for what whole lots and least orders come to, which its float takes at mid."""
    first, then = outcomes(before.shared), outcomes(after.shared)
    for each in sized:
        problem = each.order.problem
        lots = sum(2 * max(leg.rule.step, leg.rule.least_quantity(leg.touch)) * leg.touch for leg in problem.legs)
        worse = (then[each.order.key].plan.cash - first[each.order.key].plan.cash) * (
            1 if problem.side is Side.BUY else -1
        )
        assert worse <= lots * D("0.02"), (each.order.key, worse)
