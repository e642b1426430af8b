"""The residual rule: how many lots of one constituent a number of index units needs.

Letters as in the specification: a, base per unit; z, units; n, what is sent to
the venue, in base; x, what the float takes of the order (negative: gives).

    buy    n: the least whole lots whose quantity after fee covers a z - held - residual
           x = held + n - fee - a z
    sell   n: the most whole lots within residual + held + a z
           x = held + a z - n

n is 0 where nothing is needed; a buy is lifted to the venue's least order, a
sell below it leaves everything to the float. When all fills, the float's
residual + x then lies between 0 and max(step, least order), unless more was
there before: then that is used up first.
"""

from decimal import Decimal
from typing import NamedTuple

from etf_trader.market.symbol import Side
from etf_trader.money import ONE, UNIT_GRID, ZERO, ceil_to, divide_down, divide_up, floor_to
from etf_trader.orders.plan import LossParts
from etf_trader.solver.ladder import Ladder
from etf_trader.solver.problem import Leg


class LegFill(NamedTuple):
    """One leg at one number of units, when everything fills.

    `quantity` is n; `value`, `fee`, `fee_value`, `last` as in `Take`; `surplus`
    is x. `is_deep` says that the ladder does not hold n, `is_minimal` that the
    venue's least order decided n.
    """

    quantity: Decimal
    value: Decimal
    fee: Decimal
    fee_value: Decimal
    last: Decimal
    surplus: Decimal
    is_deep: bool = False
    is_minimal: bool = False


class LegRule:
    """The residual rule for one leg on one ladder."""

    def __init__(self, leg: Leg, side: Side) -> None:
        self.leg = leg
        self.side = side
        self.ladder = Ladder(leg.levels, leg.rule, side, empty_price=leg.mid)
        self.net = ONE - leg.rule.taker_fee
        self._spare = leg.held + leg.residual
        self.least = leg.rule.least_quantity(self.ladder.touch)

    def idle(self) -> LegFill:
        """Return the leg of a plan that does nothing."""
        return LegFill(ZERO, ZERO, ZERO, ZERO, self.ladder.touch, ZERO)

    def fill(self, units: Decimal) -> LegFill:
        """Return what `units` index units make of this leg; it may be deeper than the ladder."""
        if self.leg.held + self.leg.per_unit * units == 0:
            return self.idle()
        return self._bought(units) if self.side is Side.BUY else self._sold(units)

    def leftovers(self) -> LegFill:
        """Return the sale of what was redeemed before, as far as the ladder goes."""
        fill = self.fill(ZERO)
        if not fill.is_deep:
            return fill
        return self._sold_lots(floor_to(self.ladder.depth(), self.leg.rule.step), ZERO)._replace(is_deep=True)

    def units_below(self, fill: LegFill) -> Decimal | None:
        """Return the most units that a buy reaches with fewer lots than `fill`; None if it has none."""
        if fill.quantity == 0:
            return None
        fewer = fill.quantity - self.leg.rule.step
        net = fewer - self.ladder.take(fewer).fee if fill.quantity > self.least else ZERO
        return self._units(net + self._spare)

    def units_above(self, fill: LegFill) -> Decimal:
        """Return units up to which a sell has no more lots than `fill`."""
        more = fill.quantity + self.leg.rule.step if fill.quantity else self.least
        return self._units(more - self._spare)

    def _bought(self, units: Decimal) -> LegFill:
        wanted = self.leg.per_unit * units
        need = wanted - self._spare
        if need <= 0:
            return self.idle()._replace(surplus=min(self.leg.held - wanted, self._room(self.least)))
        covering = self._lots_covering(need)
        quantity = max(covering, self.least)
        take = self.ladder.take(quantity)
        surplus = self.leg.held + quantity - take.fee - wanted
        return LegFill(quantity, *take, surplus, not self.ladder.holds(quantity), covering < self.least)

    def _lots_covering(self, need: Decimal) -> Decimal:
        """Return the least whole lots that leave `need` after fees.

        Rounded fees take up to a quantum a level more than their rate; adding
        just what is missing never steps over the least lots that suffice.
        """
        step = self.leg.rule.step
        quantity = divide_up(need, self.net, step)
        while (missing := need - quantity + self.ladder.take(quantity).fee) > 0:
            quantity += ceil_to(missing, step)
        return quantity

    def _sold(self, units: Decimal) -> LegFill:
        have = self._spare + self.leg.per_unit * units
        quantity = floor_to(have, self.leg.rule.step)
        return self._sold_lots(quantity, units)

    def _sold_lots(self, quantity: Decimal, units: Decimal) -> LegFill:
        offered = self.leg.held + self.leg.per_unit * units
        take = self.ladder.take(quantity)
        least = self.leg.rule.least_quantity(take.last)
        if quantity < least:
            surplus = min(offered, self._room(least))
            return self.idle()._replace(surplus=surplus, is_minimal=True)
        surplus = min(offered - quantity, self._room(least))
        return LegFill(quantity, *take, surplus, not self.ladder.holds(quantity))

    def _room(self, least: Decimal) -> Decimal:
        """Return what the float may take more of this asset: up to one least order, which is a lot or more."""
        return max(least - self.leg.residual, ZERO)

    def _units(self, quantity: Decimal) -> Decimal:
        return divide_down(quantity, self.leg.per_unit, UNIT_GRID)


def leg_loss(leg: Leg, side: Side, fill: LegFill, crossed: Decimal = ZERO) -> LossParts:
    """Return the planned loss of one leg by part; what meets inside (`crossed`, in base) has only delay.

    Source:
        The accounting rules, section 4: q is net of a fee taken in base.
    """
    quantity, value = fill.quantity, fill.value
    if side is Side.BUY:
        quantity, value = quantity - fill.fee, value - fill.fee_value
    moved = leg.mid - leg.arrival_mid
    return LossParts(
        delay=side.sign * (quantity + crossed) * moved,
        spread=side.sign * quantity * (leg.touch - leg.mid),
        depth=side.sign * (value - quantity * leg.touch),
        fee=fill.fee_value,
        rounding=-fill.surplus * moved,
    )
