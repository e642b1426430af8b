"""A wave of a rebalance and open orders of other indices as one batch. Pure.

    1  the orders are planned without the wave: how many units each of them gets
    2  the wave is planned with what they want of each asset: inside at mid where
       it wants the opposite, behind the levels that they use where it wants the same
    3  the orders meet what the wave trades inside; their units stay as they are

So no order pays more than without the wave, and the wave never more than alone
after them. Orders that want the opposite of an asset whose book is too wide do
not join, nor do those that meet nobody; they are planned after the wave. Who
wants what only a later wave trades waits for that.
"""

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace

from etf_trader.errors import DataError, SolverError
from etf_trader.execution.batch import TRADE, Batch, Member
from etf_trader.execution.planning import MarketView
from etf_trader.execution.rebalance_state import RebalanceState
from etf_trader.execution.routed import open_ends
from etf_trader.execution.settings import ExecutionSettings
from etf_trader.execution.together import Asked, plan_together, traded
from etf_trader.execution.waves import Beside, Wave, plan_wave
from etf_trader.market.symbol import Side
from etf_trader.money import BPS
from etf_trader.orders.rebalance import RebalanceLeg
from etf_trader.solver.allotment import Offered
from etf_trader.solver.shares import SharedOrder

ROUNDS = 3
"""An order that lots make a hair smaller is tried again with the wave; this often."""


@dataclass(frozen=True, slots=True)
class Netted:
    """A wave, and the orders that trade in one batch with it; without members it trades alone.

    `held` are the orders that wait, as a later wave trades what they want.
    """

    wave: Wave
    batch: Batch
    held: frozenset[int] = frozenset()

    @property
    def both(self) -> Batch:
        """What goes to the venue for all of them: the orders first, as the wave goes by what they leave."""
        return replace(self.batch, demands=(*self.batch.demands, *self.wave.batch().demands))

    @property
    def stops(self) -> list[str]:
        """The window of each book that one of the plans uses up."""
        ends = [stop for each in self.batch.members for stop in open_ends(each.plan, self.batch.view)]
        return ends + self.wave.windows


def plan_with_orders(
    state: RebalanceState, asked: Sequence[Asked], view: MarketView, settings: ExecutionSettings
) -> Netted:
    """Plan the next wave of a rebalance, with those of these orders that it can trade with.

    Args:
        state: Of the rebalance.
        asked: Open orders of indices that are not being rebalanced.
        view: The books of all of them.
        settings: By which orders are planned, and how wide a book may be where both meet.

    Raises:
        NumericalFailure: the LP of the wave failed.
    """
    alone = plan_wave(state, view)
    held: frozenset[int] = frozenset()
    sides = {} if alone.plan is None else {leg.asset: leg for leg in alone.plan.legs if leg.side is not None}
    joining = _touching(asked, sides.keys()) if alone.legs else []
    while joining:
        members = [each for each in plan_together(joining, (), view, settings).batch.members if each.plan.units]
        out = {each.state.order.id for each in joining} - {each.order_id for each in members}
        out |= _barred(members, list(sides.values()), view, settings)
        if not out:
            found = _met(state, members, sides, view, settings)
            if isinstance(found, Netted):
                return replace(found, held=held)
            held |= found
            if not found:
                break
            out |= found
        joining = _touching([each for each in joining if each.state.order.id not in out], sides.keys())
    return Netted(alone, Batch(view, (), ()), held)


def _touching(asked: Sequence[Asked], traded: AbstractSet[str]) -> list[Asked]:
    """Return the orders that want any of these assets, or share an asset or a float with one that does."""
    found: dict[int, Asked] = {}
    names, left = set(traded), {each.state.order.id: each for each in asked}
    while near := {number: each for number, each in left.items() if names & _names(each)}:
        found |= near
        left = {number: each for number, each in left.items() if number not in near}
        names.update(*map(_names, near.values()))
    return [found[number] for number in sorted(found)]


def _names(asked: Asked) -> set[str]:
    assets = {leg.asset for leg in asked.problem.legs if leg.per_unit or leg.held}
    return assets | {f"float {asked.state.index.id}"}


def _wants(member: Member, asset: str, side: Side) -> bool:
    """Return whether an order may trade an asset on this side."""
    legs = member.problem.legs
    return member.plan.side is side and any(leg.asset == asset and (leg.per_unit or leg.held) for leg in legs)


def _against(members: Sequence[Member], legs: Sequence[RebalanceLeg]) -> frozenset[int]:
    """Return the orders that want the opposite of one of these legs."""
    return frozenset(
        each.order_id
        for each in members
        for leg in legs
        if leg.side is not None and _wants(each, leg.asset, leg.side.opposite)
    )


def _barred(
    members: Sequence[Member], legs: Sequence[RebalanceLeg], view: MarketView, settings: ExecutionSettings
) -> frozenset[int]:
    """Return the orders that want the opposite of a leg whose book is too wide to meet inside."""
    return _against(members, [leg for leg in legs if not _may_meet(leg, view, settings)])


def _may_meet(leg: RebalanceLeg, view: MarketView, settings: ExecutionSettings) -> bool:
    book = view.books[leg.symbol]
    return (book.asks[0].price - book.bids[0].price) * BPS <= settings.max_cross_spread * leg.mid


def _met(
    state: RebalanceState,
    members: Sequence[Member],
    sides: Mapping[str, RebalanceLeg],
    view: MarketView,
    settings: ExecutionSettings,
) -> Netted | frozenset[int]:
    """Return the wave and the orders as one batch; or who should wait for a later wave, nobody where it fails."""
    from etf_trader.solver.meeting import Sized, meet  # brings NumPy

    sized = [
        Sized(
            SharedOrder(each.order_id, each.state.index.symbol, each.problem),
            each.plan.units,
            each.plan.stopped_by,
        )
        for each in sorted(members, key=lambda each: each.order_id)
    ]
    for _ in range(ROUNDS):
        before = meet(sized, {}, state.order.id)
        if before is None:
            break
        ordered = {asset: before.wanted(asset, leg.side) for asset, leg in sides.items() if leg.side is not None}
        try:
            wave = plan_wave(state, view, Beside(ordered, settings.max_cross_spread))
        except (DataError, SolverError):
            break
        assert wave.plan is not None
        if later := [leg for leg in wave.plan.legs if leg.inside and leg.wave > 1]:
            return _against(members, later)
        offered = {leg.asset: Offered(leg.side, leg.inside) for leg in wave.legs if leg.side and leg.inside}
        sized = [replace(each, units=before.sizes[each.order.key]) for each in sized]
        after = meet(sized, offered, state.order.id)
        if after is None:
            break
        is_met = after.met == {asset: each.quantity for asset, each in offered.items()}
        if is_met and after.sizes == before.sizes:
            trades_itself = any(after.at_venue(each.asset) is each.side.opposite for each in wave.batch().demands)
            if trades_itself or not _as_near(wave, sides):
                break
            plans, demands, crosses = traded(after.shared, view)
            joined = tuple(Member(each.state, each.problem, plans[each.order_id], TRADE) for each in members)
            return Netted(wave, Batch(view, joined, demands, crosses))
        sized = [replace(each, units=after.sizes[each.order.key]) for each in sized]
    return frozenset()


def _as_near(wave: Wave, alone: Mapping[str, RebalanceLeg]) -> bool:
    """Return whether a wave trades the same way as alone, and ends as near to its targets but for a least order.

    What a first wave does not trade, or trades less of, is not made up for by another.
    """
    assert wave.plan is not None and wave.problem is not None
    rules = {each.asset: each.rule for each in wave.problem.constituents}
    for leg in wave.plan.legs:
        before = alone.get(leg.asset)
        if before is None or leg.side is not before.side:
            if before is None and leg.side is None:
                continue
            return False
        further = (abs(leg.drift_after) - abs(before.drift_after)) * wave.plan.nav_after
        if further > rules[leg.asset].least_quantity(leg.mid) * leg.mid:
            return False
    return True
