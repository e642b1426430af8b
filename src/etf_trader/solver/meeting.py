"""Index orders whose sizes are known, with what somebody beside them offers inside: a rebalance of the account.

Their sizes were found without it, and stay: what they meet at mid instead of
at the venue only makes each of them cheaper. So what they want of each asset
does not depend on what is offered, and both sides can count on it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from etf_trader.market.symbol import Side
from etf_trader.money import ONE, ZERO
from etf_trader.solver.allotment import Allotted, Offered
from etf_trader.solver.columns import residuals_once
from etf_trader.solver.finish import Ask, Finish
from etf_trader.solver.outcomes import column_plan, crosses, shared_orders
from etf_trader.solver.problem import exact
from etf_trader.solver.shares import Column, Member, SharedOrder, SharedPlan
from etf_trader.solver.slices import too_small, worst_prices

Sizes = Mapping[int, Decimal]
"""Units by order."""


@dataclass(frozen=True, slots=True)
class Sized:
    """An order among others, with the units that it gets and what stops it there."""

    order: SharedOrder
    units: Decimal
    stopped_by: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Meeting:
    """What orders of known sizes trade: among each other, with what is offered, and at the venue.

    `met` is what they trade of what is offered, in base by asset.
    """

    shared: SharedPlan
    sizes: Sizes
    met: Mapping[str, Decimal]
    allotted: Mapping[str, Allotted]

    def wanted(self, asset: str, side: Side) -> Decimal:
        """Return what they want of an asset beyond each other, as one who trades it on `side` counts it.

        In base after fee; below 0 they sell. Against the other side it is their
        need, and on the same side what their whole lots take of the book.
        """
        found = self.allotted.get(asset)
        if found is None:
            return ZERO
        if found.side is not side:
            return found.side.sign * found.beyond
        net = ONE - found.rule.taker_fee if side is Side.BUY else ONE
        return side.sign * found.quantity * net

    def at_venue(self, asset: str) -> Side | None:
        """Return the side on which they trade an asset at the venue; None: not at all."""
        found = self.allotted.get(asset)
        return found.side if found is not None and found.quantity else None


def meet(sized: Sequence[Sized], offered: Mapping[str, Offered], beside: int) -> Meeting | None:
    """Return what these orders trade when they meet what is offered; None where one would have to wait.

    An order that breaks a limit, by what lots round, gets a hair less: `sizes` tell.

    Args:
        sized: The orders, in order of key, each with its size.
        offered: What may be met, by asset.
        beside: The key of who offers it.
    """
    problems = residuals_once([each.order.index for each in sized], [each.order.problem for each in sized])
    with exact(leg for each in sized for leg in each.order.problem.legs):
        asks = [Ask(each.order.index, problem, 1) for each, problem in zip(sized, problems, strict=True)]
        finish = Finish(asks, [0.0] * len(asks), [each.stopped_by for each in sized], offered)
        finish.begin_at([each.units for each in sized])
        finish.run()
        prices = worst_prices(finish)
        if too_small(finish, prices) or not all(finish.steps):
            return None
        columns = [_column(finish, place, each, prices[place]) for place, each in enumerate(sized)]
        sizes = {each.order.key: finish.units(place) for place, each in enumerate(sized)}
        met = _met(columns)
        sides = {asset: offered[asset].side for asset in met}
        found = crosses(columns, {asset: (beside, sides[asset], quantity) for asset, quantity in met.items()})
        shared = SharedPlan(tuple(columns), shared_orders(finish, columns, prices), found)
        return Meeting(shared, sizes, met, dict(finish.allotted))


def _column(finish: Finish, place: int, sized: Sized, prices: Mapping[str, Decimal]) -> Column:
    crossed = {asset: taken.crossed for asset, taken in finish.taken(place).items() if taken.crossed}
    members = (Member(sized.order.key, finish.units(place)),)
    return Column(sized.order.index, members, column_plan(finish, place, prices), crossed, (sized.order.problem,))


def _met(columns: Sequence[Column]) -> dict[str, Decimal]:
    """Return what the orders trade inside and not with each other, in base by asset."""
    found: dict[str, Decimal] = {}
    for column in columns:
        for asset, quantity in column.crossed.items():
            found[asset] = found.get(asset, ZERO) + column.plan.side.sign * quantity
    return {asset: abs(quantity) for asset, quantity in sorted(found.items()) if quantity}
