"""What an order that shares its books gets, in totals: what its limits are held against, exactly."""

from collections.abc import Mapping
from decimal import Decimal
from typing import NamedTuple

from etf_trader.market.symbol import Side
from etf_trader.money import ONE, ZERO
from etf_trader.solver.allotment import Taken, grid_of
from etf_trader.solver.problem import Leg, OrderProblem


class Standing(NamedTuple):
    """What a column's units come to; as in a `Trial`, `limited` and `marginal` times `scale`."""

    float_pays: Decimal
    limited: Decimal
    marginal: Decimal
    reserve: Decimal
    loss: Decimal


def rounding(leg: Leg, taken: Taken) -> Decimal:
    """Return the most by which an order's cash in one asset differs from its share of its column's, in quote."""
    return (taken.margin + 4 * grid_of(leg.rule)) * taken.fill.last + 2 * leg.rule.quote_quantum


class Prices:
    """What the price of each leg weighs in an order's marginal price; as in `trial.Model`."""

    def __init__(self, problem: OrderProblem) -> None:
        nets = sorted({ONE - leg.rule.taker_fee for leg in problem.legs})
        self.scale = ONE
        if problem.side is Side.BUY:
            for net in nets:
                self.scale *= net
        self.slopes = []
        for leg in problem.legs:
            net = ONE - leg.rule.taker_fee
            weight = self.scale / net if problem.side is Side.BUY else net
            self.slopes.append(leg.per_unit * weight)

    def standing(
        self, problem: OrderProblem, units: Decimal, taken: Mapping[str, Taken], at: Mapping[str, Decimal]
    ) -> Standing:
        """Return the totals of an order that gets `taken`, its venue orders at the prices `at` where given."""
        float_pays = marginal = limited = reserve = loss = ZERO
        for leg, slope in zip(problem.legs, self.slopes, strict=True):
            got = taken.get(leg.asset)
            if got is None:
                continue
            fill, crossed = got.fill, got.crossed
            last = at.get(leg.asset, fill.last)
            float_pays += fill.surplus * leg.mid
            price = leg.per_unit * self.scale * leg.mid if crossed and not fill.quantity else slope * last
            marginal += price
            limited += self._limited(problem.side, leg, price, units)
            reserve += fill.quantity * last + crossed * leg.mid
            loss -= fill.surplus * (leg.mid - leg.arrival_mid)
            cash = fill.value + crossed * leg.mid
            if problem.side is Side.BUY:
                loss += cash - (fill.quantity - fill.fee + crossed) * leg.arrival_mid
            else:
                loss += (fill.quantity + crossed) * leg.arrival_mid - cash + fill.fee
        reserve += problem.cash_per_unit * units + max(-float_pays, ZERO)
        basket = problem.cash_per_unit * self.scale
        return Standing(float_pays, limited + basket, marginal + basket, reserve, loss)

    def _limited(self, side: Side, leg: Leg, price: Decimal, units: Decimal) -> Decimal:
        if side is Side.SELL or not leg.held:
            return price
        paid = leg.per_unit * self.scale * leg.paid
        return paid if leg.per_unit * units <= leg.held else max(paid, price)
