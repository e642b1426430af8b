"""Several orders on shared books as arrays of floats: what each needs of each asset, and what the books hold."""

from collections.abc import Sequence

import numpy as np

from etf_trader.market.symbol import Side
from etf_trader.solver.curves import Curves
from etf_trader.solver.fairness import Demand
from etf_trader.solver.problem import Leg, OrderProblem


class Wishes:
    """Several orders, as arrays; orders in the order given, assets by name."""

    def __init__(self, orders: Sequence[OrderProblem]) -> None:
        self.orders = orders
        self.assets = sorted({leg.asset for order in orders for leg in order.legs if leg.per_unit})
        place = {asset: index for index, asset in enumerate(self.assets)}
        shape = (len(orders), len(self.assets))
        self.value = float(sum(order.quantity * order.nav for order in orders)) or 1.0
        self.sign = np.array([float(order.side.sign) for order in orders])
        self.weight = np.zeros(shape)  # a mid, in quote a unit
        self.held = np.zeros(shape)  # in units of V
        self.ready = np.zeros(shape)  # the same, and the float's residual where only the venue trades with us
        self.paid = np.zeros(shape)  # over the mid
        self.arrival = np.ones(shape)  # over the mid
        self.net = np.ones(shape[1])
        books: dict[tuple[Side, int], Leg] = {}
        only_buys = all(order.side is Side.BUY for order in orders)
        for row, order in enumerate(orders):
            for leg in order.legs:
                if leg.per_unit:
                    column, mid = place[leg.asset], float(leg.mid)
                    books.setdefault((order.side, column), leg)
                    self.weight[row, column] = float(leg.per_unit) * mid
                    self.arrival[row, column] = float(leg.arrival_mid) / mid
                    self.net[column] = 1.0 - float(leg.rule.taker_fee)
                    ready = leg.held + leg.residual if only_buys else leg.held
                    self.ready[row, column] = float(ready) * mid / self.value
                    if leg.held:
                        self.held[row, column] = float(leg.held) * mid / self.value
                        self.paid[row, column] = float(leg.held_cost) / float(leg.held) / mid
        self.names = {(side.sign, column): leg.end for (side, column), leg in books.items()}
        self.curves = {side.sign: self._curves(books, side) for side in Side}
        self.units = np.array([float(order.quantity) for order in orders])
        self.demand = self._demand()

    def _curves(self, books: dict[tuple[Side, int], Leg], side: Side) -> Curves:
        legs = [books.get((side, column)) for column in range(len(self.assets))]
        return Curves(
            [leg.levels if leg else () for leg in legs],
            np.array([float(leg.mid) if leg else 1.0 for leg in legs]),
            self.value,
            side,
            [leg.rule.symbol if leg else "" for leg in legs],
        )

    def _demand(self) -> Demand:
        rate = self.weight * self.units[:, None] / self.value
        start = self.sign[:, None] * self.ready / np.where(rate > 0, rate, 1.0)
        endless = np.full(len(self.assets), np.inf)
        demand = Demand(self.sign, rate, np.where(rate > 0, start, 0.0), endless, endless)
        depths = []
        for sign in (1, -1):
            most = demand.used(np.ones(len(self.orders)), sign)
            gross = most / self.net if sign > 0 else most
            curves = self.curves[sign]
            depth = curves.ends[:, -1] * (self.net if sign > 0 else 1.0)
            is_short = ~curves.holds(gross)
            depth = curves.ends[:, -1] * (self.net if sign > 0 else 1.0)
            already = demand.used(np.zeros(len(self.orders)), sign)
            depths.append(np.where(is_short, np.maximum(depth, already), np.inf))
        return demand._replace(ask_depth=depths[0], bid_depth=depths[1])
