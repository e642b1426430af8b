"""An order over several currencies as a linear program: every asset and every currency is a node.

    y_l    what is taken of a joined level: base x mid of the base / V
    s_c    what is spent of currency c, at most what there is of it; g: what comes home
    r      what the order or the float already has, used first
    f      fraction of the order, in [0, 1]
    c_l    price x mid of the quote / mid of the base;   w, k   weights of an asset and of the basket's cash

    buy level     -c y at the quote, +(1 - fee) y at the base
    sell level    -y at the base, +(1 - fee) c y at the quote
    node          what arrives = what leaves: w f at an asset (sell: is offered), k f at home
    min           sum s - g - L f;   L = limit / NAV, or so large that the largest f comes first

Floats live here; what leads back is the totals per book, which the true ladders
are filled up to in whole lots, and the duals, with which the bound is formed.

Source:
    The specification, 3.3; Diamandis, Resnick, Chitra, Angeris (2023) for the network of markets.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from etf_trader.errors import NumericalFailure
from etf_trader.market.symbol import Side
from etf_trader.money import BPS
from etf_trader.solver.curves import Array
from etf_trader.solver.highs import SMALLEST, Rows, minimise, rows_of
from etf_trader.solver.route_books import Books, Flows

EPS = 1e-6
"""What joining levels may overstate the cost by, in V: 0.01 bps over assets, as much again over conversions."""

_TIE = 1e-9  # where the marginal price equals the limit on a stretch, the larger fraction is meant
BASIS = float(BPS)
"""Objectives are in basis points of V."""

_BEYOND = 1.1  # of the most that is of use: a level that ended just there would have a price of its own
_MOST_SPENT = 1e3  # of V; stands for any amount


class Columns(NamedTuple):
    """The program's arrays: first a column for each joined level, the last column is f."""

    objective: Array
    high: Array
    equal: Rows
    upper: Rows | None


class _Others(NamedTuple):
    """The columns after the levels: spent of each currency, held and residual of each leg, what comes home, f.

    `cost` counts in the plan's cash, `at_arrival` in its loss; `residual` numbers
    the columns whose cost is the float's and not the trades'; entries go to the
    rows of the nodes.
    """

    cost: Array
    at_arrival: Array
    high: Array
    residual: NDArray[np.intp]
    entry: Array
    row: NDArray[np.intp]
    column: NDArray[np.intp]


class Program:
    """The joined levels of a network's arcs, and the columns beside them."""

    def __init__(self, books: Books, eps: float = EPS) -> None:
        self.books = books
        self.network = books.network
        self._join(eps)
        self._check()
        self._others = self._columns_beside()

    def _join(self, eps: float) -> None:
        """Join the levels of all arcs by the chord rule."""
        books = np.bincount(self.books.base, minlength=len(self.books.nodes))
        share = np.where(self.books.is_conversion, 1.0 / max(int(self.books.is_conversion.sum()), 1), 0.0)
        each = np.where(
            self.books.is_conversion,
            share,
            self.books.weights[self.books.base] / np.maximum(books[self.books.base], 1),
        )
        pieces = []
        for side, curves in self.books.curves.items():
            rows = self.books.rows(side)
            found = curves.segments(_BEYOND * self.books.most[rows], eps * each[rows])
            pieces.append((found.price, found.depth, rows[found.row]))
        self.price, self.joined, self.arc = (np.concatenate(part) for part in zip(*pieces, strict=True))

    def _columns_beside(self) -> _Others:
        """Return the columns after the levels."""
        network, home = self.network, self.books.index[self.network.home]
        columns: list[tuple[float, float, float]] = []  # cost, cost at arrival, bound
        residual: list[int] = []
        entries: list[tuple[float, int, int]] = []  # entry, row, column
        for name in sorted(network.balances):
            there = network.balances[name]
            bound = _MOST_SPENT if there is None else float(there) * float(network.mids[name]) / self.books.value
            entries.append((1.0, self.books.index[name], len(columns)))
            columns.append(
                (1.0, float(network.arrival[name]) / float(network.mids[name]), min(bound, _MOST_SPENT))
            )
        for leg in network.legs:
            node, is_buy = self.books.index[leg.asset], network.side is Side.BUY
            for quantity, is_residual in ((leg.held, False), (leg.residual, True)):
                if not quantity:
                    continue
                entries.append((1.0, node, len(columns)))
                cost, paid = 0.0, 1.0 if is_residual else float(leg.arrival_mid) / float(leg.mid)
                if is_residual and is_buy:
                    entries.append((-1.0, home, len(columns)))
                    residual.append(len(columns))
                    cost, paid = -1.0, 0.0  # out of what is spent
                columns.append((cost, paid, float(quantity * leg.mid) / self.books.value))
        entries.append((-1.0, home, len(columns)))
        columns.append((-1.0, -1.0, _MOST_SPENT))
        sign = float(network.side.sign)
        fraction = [*zip(-sign * self.books.weights, range(len(self.books.nodes)), strict=True)]
        if self.books.cash_weight >= SMALLEST:  # the crumbs that rounding a basket leaves are left to the finish
            fraction.append((-sign * self.books.cash_weight, home))
        entries += [(entry, row, len(columns)) for entry, row in fraction if entry]
        columns.append((0.0, 0.0, 1.0))
        table = np.array(columns)
        places = np.array([place[1:] for place in entries], dtype=np.intp)
        return _Others(
            cost=table[:, 0],
            at_arrival=table[:, 1],
            high=table[:, 2],
            residual=np.array(residual, dtype=np.intp),
            entry=np.array([place[0] for place in entries]),
            row=places[:, 0],
            column=places[:, 1],
        )

    def _check(self) -> None:
        for name, weight in zip(self.books.nodes, self.books.weights, strict=True):
            if 0 < weight < SMALLEST:
                raise NumericalFailure(
                    f"{name} is {weight:.1e} of the basket: too little for the solver", where=name
                )

    def solve(
        self, allowed: NDArray[np.bool_] | None = None, *, most: float = 1.0, is_limited: bool = True
    ) -> Flows:
        """Return the best plan over the arcs allowed: the largest fraction up to `most`, within the limits or not.

        Raises:
            NumericalFailure: HiGHS found no optimum.
        """
        columns = self.columns(allowed, most=most, is_limited=is_limited)
        if is_limited and self._is_behind:
            try:
                return self._best(columns._replace(upper=self._loss_row()))
            except NumericalFailure:
                pass  # no size makes the loss good here: whether one does in lots is for the exact search
        return self._best(columns)

    def _best(self, columns: Columns) -> Flows:
        found = minimise(columns.objective, columns.high, equal=columns.equal, upper=columns.upper)
        return self.flows(found.x, found.equal_duals / BASIS)

    def flows(self, x: Array, prices: Array) -> Flows:
        """Return the totals of the columns `x`, and what they cost on the true ladders at `prices`."""
        count = len(self.price)
        x = np.maximum(x, 0.0)  # HiGHS keeps bounds to its tolerance
        taken: Array = np.bincount(self.arc, x[:count], len(self.books.source)).astype(np.float64)
        chords = np.bincount(self.arc, x[:count] * self.price, len(self.books.source))
        pays = prices[self.books.quote] * np.where(self.books.is_buy, 1.0, -self.books.net)
        overstated = float(((chords - self.books.costs(taken)) * pays).sum())
        cost = float(self._others.cost @ x[count:])
        cash = self.books.cash_weight * self.network.side.sign * float(x[-1])
        return Flows(float(x[-1]), taken, prices, cost - cash - overstated)

    def columns(
        self, allowed: NDArray[np.bool_] | None = None, *, most: float = 1.0, is_limited: bool = True
    ) -> Columns:
        """Return the arrays, as `solve` needs them."""
        count, others = len(self.price), self._others
        order, side = self.network.problem.order, self.network.side
        high = np.concatenate([self.joined, others.high])
        if allowed is not None:
            high[:count] = np.where(allowed[self.arc], self.joined, 0.0)
        high[-1] = most
        if not is_limited:
            high[count + sorted(self.network.balances).index(self.network.home)] = _MOST_SPENT
        objective = np.concatenate([np.zeros(count), others.cost])
        objective[count + others.residual] = 0.0  # paid out of what is spent already
        if order.limit is not None and is_limited:
            worth = side.sign * float(order.limit) / float(order.nav) + _TIE
        elif side is Side.SELL:
            worth = 1.0
        else:
            worth = 2.0 + 4.0 * float(self.price.max(initial=1.0)) / float(self.books.net.min(initial=1.0)) ** 2
        objective[-1] = -worth
        upper = self._loss_row() if is_limited and not self._is_behind else None
        return Columns(objective * BASIS, high, self._balance(), upper)

    def _balance(self) -> Rows:
        """Return a row for each node: what arrives less what leaves is zero."""
        count = len(self.price)
        each = np.arange(count)
        buys, net = self.books.is_buy[self.arc], self.books.net[self.arc]
        at_base = np.where(buys, net, -1.0)
        at_quote = self.price * np.where(buys, -1.0, net)
        data = np.concatenate([at_base, at_quote, self._others.entry])
        row = np.concatenate([self.books.base[self.arc], self.books.quote[self.arc], self._others.row])
        column = np.concatenate([each, each, count + self._others.column])
        return rows_of(data, row, column, np.zeros(len(self.books.nodes)), count + len(self._others.high))

    @property
    def _is_behind(self) -> bool:
        """Whether the order has lost more than its limit leaves so far, so that trading nothing breaks it."""
        order = self.network.problem.order
        if order.max_loss_bps is None:
            return False
        return order.loss_done * BPS > order.max_loss_bps * order.units_done * order.arrival_nav

    def _loss_row(self) -> Rows | None:
        """Return the row of --max-loss, in bps of V."""
        order, sign = self.network.problem.order, self.network.side.sign
        if order.max_loss_bps is None:
            return None
        row = np.concatenate([np.zeros(len(self.price)), self._others.at_arrival])
        row[-1] = -sign * float(order.arrival_nav * (BPS + sign * order.max_loss_bps)) / (BASIS * float(order.nav))
        allowed = order.max_loss_bps * order.units_done * order.arrival_nav - order.loss_done * BPS
        used = np.flatnonzero(row)
        bound = np.array([float(allowed) / self.books.value])
        return rows_of(row[used] * BASIS, np.zeros(len(used), dtype=np.intp), used, bound, len(row))

    def useful(self) -> Array:
        """Return the most of each arc that a choice of books could use: its depth, or all that is needed of it."""
        depth: Array = np.bincount(self.arc, self.joined, len(self.books.source)).astype(np.float64)
        need = self.books.need()[self.books.base] / np.where(self.books.is_buy, self.books.net, 1.0)
        is_own = ~self.books.is_conversion & ~np.isin(self.books.base, self.books.quote)
        return np.minimum(depth, np.where(is_own, need, self.books.most))

    def ways(self, row: int) -> NDArray[np.intp] | None:
        """Return the arcs of which one must be used for arc `row` to be: the conversions of its quote.

        None where its quote is the home currency, is held, or is traded as an asset.
        """
        quote, network = int(self.books.quote[row]), self.network
        name = self.books.nodes[quote]
        if name == network.home or network.balances[name] or name in {leg.asset for leg in network.legs}:
            return None
        return np.flatnonzero((self.books.served == quote) & self.books.is_conversion)
