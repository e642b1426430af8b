"""The network's numbers as float arrays: what the linear program and the merged ladders are made of.

Amounts are in units of V, the value of what is wanted at the mids; a price is a
ratio: price x mid of the quote / mid of the base. Arcs are numbered as in the
network, nodes by name.
"""

from collections.abc import Iterable
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from etf_trader.market.symbol import Side
from etf_trader.solver.curves import Array, Curves
from etf_trader.solver.network import Network

LEAST_FLOW = 1e-9
"""What counts as used of an arc, in units of V: less is the solver's tolerance."""


class Flows(NamedTuple):
    """A continuous plan, in units of V: what is taken of each arc, at the base's mid, and its cost.

    `prices` are those of the nodes over their mids. `cost` is that of the trades
    on the true ladders, currencies at their mids; of a sell it is negative.
    """

    fraction: float
    taken: Array
    prices: Array
    cost: float


class Books:
    """The nodes and arcs of a network, shapes (nodes,) and (arcs,), and the cost curves of the arcs."""

    def __init__(self, network: Network) -> None:
        self.network = network
        self._buys = network.side is Side.BUY
        order = network.problem.order
        self.nodes = sorted({*network.mids})
        self.index = {name: number for number, name in enumerate(self.nodes)}
        self.value = float(order.quantity * order.nav)
        self.mids = np.array([float(network.mids[name]) for name in self.nodes])
        self.arrival = np.array([float(network.arrival[name]) for name in self.nodes]) / self.mids
        self.weights, self.held, self.residual = np.zeros((3, len(self.nodes)))
        for leg in network.legs:
            node, mid = self.index[leg.asset], float(leg.mid)
            self.weights[node] = float(leg.per_unit) * mid / float(order.nav)
            self.held[node] = float(leg.held) * mid / self.value
            self.residual[node] = float(leg.residual) * mid / self.value
        self.source = self._numbers(arc.source for arc in network.arcs)
        self.target = self._numbers(arc.target for arc in network.arcs)
        self.net = np.array([1 - float(arc.rule.taker_fee) for arc in network.arcs])
        self.is_buy = np.array([arc.side is Side.BUY for arc in network.arcs], dtype=bool)
        self.is_conversion = np.array([arc.is_conversion for arc in network.arcs], dtype=bool)
        self.curves = {side: self._curves(side) for side in Side}
        self.cash_weight = float(order.cash_per_unit) / float(order.nav)
        self.most = self._most()

    def _numbers(self, names: Iterable[str]) -> NDArray[np.intp]:
        return np.array([self.index[name] for name in names], dtype=np.intp)

    def rows(self, side: Side) -> NDArray[np.intp]:
        """Return the numbers of the arcs on `side`."""
        return np.flatnonzero(self.is_buy == (side is Side.BUY))

    @property
    def base(self) -> NDArray[np.intp]:
        """The node of each arc's base asset."""
        return np.where(self.is_buy, self.target, self.source)

    @property
    def quote(self) -> NDArray[np.intp]:
        """The node of each arc's quote asset."""
        return np.where(self.is_buy, self.source, self.target)

    @property
    def served(self) -> NDArray[np.intp]:
        """The node that each arc serves: of a buy the one it supplies, of a sell the one it sells."""
        return self.target if self._buys else self.source

    @property
    def drawn(self) -> NDArray[np.intp]:
        """The node at each arc's other end: of a buy the one that pays, of a sell the one that receives."""
        return self.source if self._buys else self.target

    def _curves(self, side: Side) -> Curves:
        rows = self.rows(side)
        base, quote = self.mids[self.base[rows]], self.mids[self.quote[rows]]
        ladders = [self.network.arcs[row].levels for row in rows]
        names = [self.network.arcs[row].rule.symbol for row in rows]
        return Curves(ladders, base / quote, self.value / quote, side, names)

    def costs(self, taken: Array) -> Array:
        """Return the cost in quote of what is taken of each arc, on the true ladders."""
        costs = np.zeros(len(self.source))
        for side, curves in self.curves.items():
            rows = self.rows(side)
            costs[rows] = curves.cost(taken[rows])
        return costs

    def cost_of(self, row: int, taken: float) -> float:
        """Return the cost in quote of what is taken of one arc."""
        only = np.zeros(len(self.source))
        only[row] = taken
        return float(self.costs(only)[row])

    def hold(self, taken: Array) -> bool:
        """Return whether every arc is deep enough for what is taken of it."""
        return all(bool(curves.holds(taken[self.rows(side)]).all()) for side, curves in self.curves.items())

    def touch(self) -> Array:
        """Return the best price of each arc."""
        touch = np.zeros(len(self.source))
        for side, curves in self.curves.items():
            touch[self.rows(side)] = curves.touch
        return touch

    def brought(self, taken: Array) -> Array:
        """Return what the trades bring to each node, negative where they take."""
        brought = np.zeros(len(self.nodes))
        costs = self.costs(taken)
        np.add.at(brought, self.base, np.where(self.is_buy, self.net * taken, -taken))
        np.add.at(brought, self.quote, np.where(self.is_buy, -costs, self.net * costs))
        return brought

    def orders(self, taken: Array) -> int:
        """Return the asset orders that a plan makes: more than one where a book's largest size is passed."""
        used = np.flatnonzero(taken > LEAST_FLOW)
        return int(np.ceil(taken[used] / self.largest[used] * (1 - 1e-9)).clip(1).sum())

    @cached_property
    def largest(self) -> Array:
        """The largest order that each arc's venue accepts, in units of V."""
        most = [arc.rule.most_quantity(arc.levels[0].price) for arc in self.network.arcs]
        sizes = np.array([float(each) if each else np.inf for each in most])
        values: Array = sizes * self.mids[self.base] / self.value
        return values

    def need(self, fraction: float = 1.0) -> Array:
        """Return what a fraction of the order needs of each asset beyond what is there; of a sell, what it has."""
        spare, wanted = self.held + self.residual, fraction * self.weights
        return np.maximum(wanted - spare, 0.0) if self._buys else wanted + spare

    def balances(self) -> Array:
        """Return what may be spent of each currency beside the home one, in units of V."""
        held = np.zeros(len(self.nodes))
        for name, balance in self.network.balances.items():
            if name != self.network.home and balance:
                held[self.index[name]] = float(balance) * float(self.network.mids[name]) / self.value
        return held

    def residual_used(self) -> float:
        """Return what the whole order pays the float for what it gives."""
        missing = np.maximum(self.weights - self.held, 0.0) if self._buys else self.residual
        return float(np.minimum(missing, self.residual).sum())

    def held_used(self) -> float:
        """Return what the whole order uses of what it holds, at the arrival mids."""
        used = np.minimum(self.held, self.weights) if self._buys else self.held
        return float((used * self.arrival).sum())

    def _most(self) -> Array:
        """Return the most of each arc that can be of use: all of its asset, or all the cash to convert."""
        spare = np.zeros(len(self.nodes)) if self._buys else self.held + self.residual
        # a node that others are quoted in may have to supply all of them
        quoted = np.isin(np.arange(len(self.nodes)), self.quote)
        asset = (self.weights + spare)[self.base] / np.where(self.is_buy, self.net, 1.0)
        asset = np.where(self.is_conversion, 0.0, asset)
        dearest = np.zeros(len(self.nodes))
        np.maximum.at(dearest, self.base, self.costs(asset))
        held = sum(float(each.balance * each.mid) for each in self.network.problem.currencies) / self.value
        cash = float(dearest.sum() + held + self.cash_weight) * 1.05 / float(self.net.min(initial=1.0)) ** 2
        return np.where(self.is_conversion | quoted[self.base], np.maximum(asset, cash), asset)
