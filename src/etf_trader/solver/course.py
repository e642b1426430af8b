"""How far each of several orders gets on shared books: fair fractions, and every order's own limits.

All fractions rise together. What meets inside at mid is the best level of the
longer side; what is beyond it comes from the book, level by level. So an order
pays by when it needs a quantity, not by an average over all, and stops where
its own next unit would break a limit of its own; who stops first is found
first, since it leaves the others what it would have taken.

    net price    price after fee, of a unit of the asset, over the mid: 1 where wishes meet
    g(t)         integral of the net price over the common fraction: each order pays r g

Floats find fractions; exact decimals finish them (`allotment`).
"""

import numpy as np
from numpy.typing import NDArray

from etf_trader.market.symbol import Side
from etf_trader.solver.curves import Array
from etf_trader.solver.fairness import fair_fractions, fraction_at
from etf_trader.solver.wishes import Wishes

_HALVINGS = 52
_TIE = 1e-12  # the end of a level, missed by the rounding of floats, is still that level
_SLACK = 1e-11
_SHORT = 1e-8  # what an LP leaves below a cap is rounding
_NOTHING = 1e-10  # of an order: less than the unit grid
_ROUNDS = 8
_EVEN = 0.99
_BPS = 1e4

Mask = NDArray[np.bool_]


def common_fractions(wishes: Wishes) -> tuple[Array, list[tuple[str, ...]]]:
    """Return the fraction of each order, and the names of what stops it.

    Raises:
        NumericalFailure: HiGHS found no optimum.
        DataError: a level is not finite, not positive or out of order.
    """
    caps = np.ones(len(wishes.orders))
    stops: list[tuple[str, ...]] = [("filled",)] * len(wishes.orders)
    falls = np.zeros(len(wishes.orders))
    since, rounds = -1.0, 0
    while True:
        fractions = fair_fractions(wishes.demand, caps)
        found = Course(wishes, fractions).first_breach(since)
        if found is None:
            break
        reached, names = found
        rounds += 1
        for row, broken in names.items():
            cap = min(reached, caps[row] * (1 - _TIE))
            if rounds > _ROUNDS + 2 * len(caps):
                cap = _limit_of(float(fractions[row]), cap, float(falls[row]))
            falls[row] = fractions[row] - cap
            caps[row], stops[row] = (0.0 if cap < _NOTHING else cap), broken
        since = -1.0 if wishes.demand.is_mixed else reached
    is_out = wishes.demand.bottlenecks(fractions)
    for row in map(int, np.flatnonzero(fractions < caps * (1 - _SHORT))):
        sign = int(wishes.sign[row])
        ended = tuple(sorted(wishes.names[sign, int(column)] for column in np.flatnonzero(is_out[row])))
        stops[row] = ended or stops[row]
    return fractions, stops


def _limit_of(before: float, now: float, fall: float) -> float:
    """Return about where a cap that keeps falling comes to rest.

    Opposite orders whose limits only hold inside can pull each other down, each
    time by about the same share of the time before: the geometric series has a sum.
    Falls that are all alike have none before there is nothing left: they are halved.
    """
    if not 0 < before - now < fall:
        return now
    if before - now < _SHORT * before:
        return now * (1 - _SHORT)
    ratio = (before - now) / fall
    if ratio > _EVEN:
        return now / 2
    return max(now - (before - now) * ratio / (1 - ratio) * (1 + 1e-6), 0.0)


class Course:
    """What every order pays while the common fraction rises, up to given fractions."""

    def __init__(self, wishes: Wishes, fractions: Array) -> None:
        self.wishes, self.fractions = wishes, fractions
        demand = wishes.demand
        totals = {sign: demand.used(fractions, sign) for sign in (1, -1)}
        self.inside = np.minimum(totals[1], totals[-1])
        self._is_limited = np.array([order.limit is not None for order in wishes.orders])
        self._has_cash = np.array([order.cash is not None and order.side is Side.BUY for order in wishes.orders])
        self._has_loss = np.array([order.max_loss_bps is not None for order in wishes.orders])
        self._inside_ends = self._ends_of_meeting(totals)
        self._integrals = {sign: self._integral(sign) for sign in (1, -1)} if self._has_loss.any() else {}

    def first_breach(self, since: float) -> tuple[float, dict[int, tuple[str, ...]]] | None:
        """Return the least fraction beyond `since` where orders break limits of their own, and which; or None."""
        low = max(since, 0.0)
        for end in np.unique(self.fractions):
            active = (self.fractions >= end) & (self.fractions > 0)
            if end <= since or not self._breaches(float(end), active).any():
                low = max(low, float(end))
                continue
            if since < 0 and low == 0.0 and self._breaches(0.0, active).any():
                return 0.0, self._names(0.0, active)
            high = float(end)
            for _ in range(_HALVINGS):
                middle = (low + high) / 2
                if self._breaches(middle, active).any():
                    high = middle
                else:
                    low = middle
            return low, self._names(high, active)
        return None

    def _names(self, fraction: float, active: Mask) -> dict[int, tuple[str, ...]]:
        table = self._breaches(fraction, active)
        kinds = ("limit", "loss", "cash")
        return {
            int(row): tuple(kind for kind, broken in zip(kinds, table[row], strict=True) if broken)
            for row in np.flatnonzero(table.any(axis=1))
        }

    def _breaches(self, fraction: float, active: Mask) -> Mask:
        """Return which limits active orders break at `fraction` and beyond: limit, loss, cash; shape (k, 3)."""
        wishes = self.wishes
        table = np.zeros((len(active), 3), dtype=bool)
        if not (active & (self._is_limited | self._has_cash | self._has_loss)).any():
            return table
        prices = {sign: self._price(fraction, sign) for sign in (1, -1)}
        price = np.where(wishes.sign[:, None] > 0, prices[1], prices[-1])
        need = self._need(fraction)
        limited = price
        if (wishes.held > 0).any():
            own = np.where(need > 0, np.maximum(wishes.paid, price), wishes.paid)
            limited = np.where((wishes.sign[:, None] > 0) & (wishes.held > 0), own, price)
        marginal = (wishes.weight * limited).sum(axis=1)
        for row in map(int, np.flatnonzero(active)):
            order = wishes.orders[row]
            sign, basket = order.side.sign, float(order.cash_per_unit)
            if order.limit is not None:
                bound = float(order.limit)
                table[row, 0] = sign * (marginal[row] + basket - bound) > _SLACK * bound
            if order.max_loss_bps is not None:
                table[row, 1] = self._loses_too_much(row, fraction, float((wishes.weight * price)[row].sum()))
            if self._has_cash[row]:
                met = self._met(fraction, row)
                spent = float(((need[row] - met) * price[row] + met).sum()) * wishes.value
                spent += basket * fraction * wishes.units[row]
                table[row, 2] = spent > float(order.cash or 0) * (1 + _SLACK)
        return table

    def _need(self, fraction: float) -> Array:
        """Return what each order needs of each asset up to `fraction`, in units of V, shape (k, n)."""
        demand = self.wishes.demand
        need: Array = demand.rate * (np.maximum(fraction, demand.start) - demand.start)
        return need

    def _place(self, fraction: float, sign: int) -> Array:
        return self.wishes.demand.used(np.minimum(self.fractions, fraction), sign)

    def _price(self, fraction: float, sign: int) -> Array:
        """Return the net price of the last that a side needs of each asset at `fraction`, shape (n,)."""
        place = self._place(fraction, sign) * (1 - _TIE)
        net = self.wishes.net
        beyond = np.maximum(place - self.inside, 0.0)
        last = self.wishes.curves[sign].last(beyond / net if sign > 0 else beyond)
        meets = (self.inside > 0) & (place <= self.inside)
        price: Array = np.where(meets, 1.0, last / net if sign > 0 else last * net)
        return price

    def _cost(self, place: Array, sign: int) -> Array:
        """Return the cash, after fees, of what a side needs of each asset, in units of V, shape (n,)."""
        met = np.minimum(place, self.inside)
        net = self.wishes.net
        beyond = np.maximum(place - met, 0.0)
        curves = self.wishes.curves[sign]
        cost: Array = met + (curves.cost(beyond / net) if sign > 0 else curves.cost(beyond) * net)
        return cost

    def _ends_of_meeting(self, totals: dict[int, Array]) -> dict[int, Array]:
        """Return, by side, the fraction up to which all that is needed of an asset meets inside, shape (n,)."""
        ends = {1: np.full(len(self.inside), -np.inf), -1: np.full(len(self.inside), -np.inf)}
        for column in np.flatnonzero(self.inside > 0):
            for sign, total in totals.items():
                ends[sign][column] = (
                    np.inf
                    if total[column] <= self.inside[column]
                    else fraction_at(
                        self.wishes.demand, self.fractions, int(column), sign, float(self.inside[column])
                    )
                )
        return ends

    def _met(self, fraction: float, row: int) -> Array:
        """Return what of an order's need up to `fraction` meets inside, shape (n,)."""
        demand = self.wishes.demand
        ends = np.minimum(self._inside_ends[int(self.wishes.sign[row])], fraction)
        met: Array = demand.rate[row] * (np.maximum(ends, demand.start[row]) - demand.start[row])
        return met

    def _integral(self, sign: int) -> tuple[Array, Array, Array, Array]:
        """Return fractions, shape (p,), and there what a side needs, its cost, and g; shapes (p, n)."""
        mine = self.wishes.sign == sign
        points = np.unique(np.concatenate([[0.0], self.fractions[mine], self.wishes.demand.start[mine].ravel()]))
        places = np.array([self._place(float(point), sign) for point in points])
        costs = np.array([self._cost(place, sign) for place in places])
        steps = np.diff(points)[:, None]
        rates = np.diff(places, axis=0)
        rises = np.where(rates > 0, np.diff(costs, axis=0) * steps / np.where(rates > 0, rates, 1.0), 0.0)
        return points, places, costs, np.vstack([np.zeros(places.shape[1]), np.cumsum(rises, axis=0)])

    def _g(self, fraction: float, sign: int) -> Array:
        points, places, costs, integral = self._integrals[sign]
        before = min(int(np.searchsorted(points, fraction, side="right")) - 1, len(points) - 2)
        if before < 0:
            return np.zeros(places.shape[1])
        rate = (places[before + 1] - places[before]) / (points[before + 1] - points[before])
        extra = (self._cost(self._place(fraction, sign), sign) - costs[before]) / np.where(rate > 0, rate, 1.0)
        found: Array = integral[before] + np.where(rate > 0, extra, 0.0)
        return found

    def _loses_too_much(self, row: int, fraction: float, marginal: float) -> bool:
        """Return whether an order's loss from arrival is beyond its bound, and one more unit adds to it."""
        wishes, order = self.wishes, self.wishes.orders[row]
        demand, sign = wishes.demand, order.side.sign
        points, *_, integral = self._integrals[sign]
        columns = np.arange(len(wishes.assets))
        begun = integral[np.searchsorted(points, demand.start[row]), columns]
        rise = np.where(fraction > demand.start[row], self._g(fraction, sign) - begun, 0.0)
        paid = float((demand.rate[row] * rise).sum())
        worth = float((self._need(fraction)[row] * wishes.arrival[row]).sum())
        loss = sign * (paid - worth) * wishes.value + float(order.loss_done)
        arrival_nav = float(order.arrival_nav)
        share = float(order.max_loss_bps or 0) / _BPS
        allowed = share * (float(order.units_done) + fraction * wishes.units[row]) * arrival_nav
        dearest = arrival_nav * (1 + sign * share)
        basket = float(order.cash_per_unit)
        return loss > allowed + _SLACK * wishes.value and sign * (marginal + basket - dearest) > _SLACK * dearest
