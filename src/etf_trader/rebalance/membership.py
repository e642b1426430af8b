"""Who is in an index, basket by basket: what its rebalances wanted in it, whatever dust lies there still. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal

from etf_trader.index.store import Basket
from etf_trader.market.symbol import Side
from etf_trader.money import ZERO, money_context
from etf_trader.orders.rebalance_order import RebalanceOrder, TargetLeg
from etf_trader.orders.status import IndexOrderStatus

DUST = Decimal("0.01")
"""So small a part of a holding is what lots left of it, not a plan to keep some."""


def members(baskets: Sequence[Basket], rebalances: Iterable[RebalanceOrder]) -> list[frozenset[str]]:
    """Return who is in the index at each of its baskets.

    A coin that a rebalance wanted out has left once all of it was sold that could
    be: what is too little to be sold counts for nothing until somebody buys more.

    Args:
        baskets: All of them, oldest first.
        rebalances: Those that there were.
    """
    by_reason = {f"rebalance {each.id}": each for each in rebalances}
    last = {basket.reason: place for place, basket in enumerate(baskets)}
    found: list[frozenset[str]] = []
    dust: set[str] = set()
    for place, basket in enumerate(baskets):
        held = basket.quantities
        before = baskets[place - 1].quantities if place else {}
        dust = {asset for asset in dust & before.keys() & held.keys() if held[asset] <= before[asset]}
        if (order := by_reason.get(basket.reason)) is not None:
            is_done = place == last[basket.reason] and order.status is IndexOrderStatus.FILLED
            dust |= {leg.asset for leg in _leavers(order) if is_done or _is_sold(leg, held, order.request.units)}
        found.append(frozenset(held.keys() - dust))
    return found


def _leavers(order: RebalanceOrder) -> list[TargetLeg]:
    """Return what a rebalance sells all of: a turnover cap or a price may sell less of who is to leave."""
    is_exact = order.request.price_bps is None
    found = [leg for leg in order.request.legs if leg.aim == 0 and leg.side is Side.SELL]
    return [leg for leg in found if is_exact or leg.holding - leg.quantity <= leg.holding * DUST]


def _is_sold(leg: TargetLeg, held: Mapping[str, Decimal], units: Decimal) -> bool:
    """Return whether no more of a coin is in a basket than the plan left of it."""
    with money_context():
        return held.get(leg.asset, ZERO) * units <= leg.holding - leg.quantity
