"""All books of an asset as one ladder: each level at its price times the conversion's best price, after fees.

While the conversion is flat this is the optimum, and no linear program is
needed: every asset is bought up to one price over all its books. Whether it was
flat the certificate says: at these multipliers it is a bound in any case.
Answers only whole orders that no limit stops; of anything else it says None.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from etf_trader.market.symbol import Side
from etf_trader.solver.curves import Array
from etf_trader.solver.merged_ladders import MergedLadders
from etf_trader.solver.route_books import Books, Flows

_ROOM = 1e-9  # a limit that is this near binds


class _Rates(NamedTuple):
    """The price of each node over its mid, and the arc that converts into it (sell: out of it), -1 for none."""

    price: Array
    by: NDArray[np.intp]


def merged(books: Books) -> Flows | None:
    """Return the whole order over merged ladders, or None where something binds, or a conversion is not flat."""
    traded = ~books.is_conversion
    if np.isin(books.quote[traded], books.base[traded]).any():
        return None  # an asset that others are quoted in has no ladder of its own
    held = books.balances()
    rates = _rates(books, held > 0)
    found = _at(books, rates)
    if found is not None and (short := (found[1] > held) & (rates.by < 0) & (held > 0)).any():
        rates = _rates(books, (held > 0) & ~short)
        found = _at(books, rates)
    if found is None:
        return None
    flows, drawn = found
    converted = _converted(books, rates, drawn, held)
    return None if converted is None else _checked(books, flows._replace(taken=flows.taken + converted), held)


def _rates(books: Books, is_held: NDArray[np.bool_]) -> _Rates:
    """Return the best price of each currency by conversion at best prices; what is held costs its mid."""
    buys, home = books.network.side is Side.BUY, books.index[books.network.home]
    price = np.where(is_held, 1.0, np.inf if buys else 0.0)
    price[home] = 1.0
    by = np.full(len(books.nodes), -1, dtype=np.intp)
    touch = books.touch()
    rate = np.where(books.is_buy, books.net / touch, books.net * touch)  # of the target for one of the source
    rows = np.flatnonzero(books.is_conversion & (books.served != home))
    for _ in rows:
        for row in rows:
            node, other = books.served[row], books.drawn[row]
            offered = price[other] / rate[row] if buys else price[other] * rate[row]
            if (offered < price[node]) if buys else (offered > price[node]):
                price[node], by[node] = offered, row
    return _Rates(price, by)


def _at(books: Books, rates: _Rates) -> tuple[Flows, Array] | None:
    """Return the constituents' trades at these rates, and what they draw on (sell: bring to) each currency."""
    ladders = MergedLadders(books, rates.price)
    taken, price, missing = ladders.covering(books.need())
    if missing.any():
        return None
    prices = np.where(np.isfinite(rates.price), rates.price, 1.0)
    prices[ladders.asset] = price[ladders.asset]
    value = books.costs(taken) * (1.0 if books.network.side is Side.BUY else books.net)
    drawn = np.zeros(len(books.nodes))
    np.add.at(drawn, books.quote[ladders.arc], value[ladders.arc])
    return Flows(1.0, taken, prices, 0.0), drawn


def _converted(books: Books, rates: _Rates, drawn: Array, held: Array) -> Array | None:
    """Return what the conversions take, the last hop first.

    None where a balance lies between its mid and the conversion: a price that
    only the linear program finds.
    """
    taken, amount = np.zeros(len(books.source)), drawn.copy()
    nodes = [int(node) for node in np.flatnonzero(rates.by >= 0)]
    for node in sorted(nodes, key=lambda node: (-_hops(books, rates, node), node)):
        if 0 < amount[node] <= held[node]:
            return None
        if amount[node] > 0:
            row = int(rates.by[node])
            taken[row], passed = _conversion(books, row, amount[node] - held[node])
            amount[books.drawn[row]] += passed
    return taken


def _conversion(books: Books, row: int, amount: float) -> tuple[float, float]:
    """Return what is taken of a conversion that brings (sell: takes) an amount, and what its other end then moves.

    Where the amount is counted in the book's quote it is divided by the best price: right while that holds.
    """
    net, touch = float(books.net[row]), float(books.touch()[row])
    is_buy = bool(books.is_buy[row])
    if books.network.side is Side.BUY:
        base = amount / net if is_buy else amount / (net * touch)
        return base, float(books.cost_of(row, base)) if is_buy else base
    base = amount / touch if is_buy else amount
    return base, net * (base if is_buy else float(books.cost_of(row, base)))


def _hops(books: Books, rates: _Rates, node: int) -> int:
    """Return how many conversions lie between a node and the home currency."""
    hops = 0
    while rates.by[node] >= 0:
        node, hops = int(books.drawn[rates.by[node]]), hops + 1
    return hops


def _checked(books: Books, flows: Flows, held: Array) -> Flows | None:
    """Return the flows with their cost, or None where a limit or a balance of the order binds."""
    order, side = books.network.problem.order, books.network.side
    home = books.index[books.network.home]
    is_currency = np.array([name in books.network.balances for name in books.nodes])
    spent = np.where(is_currency, -books.brought(flows.taken), 0.0)
    beside = np.delete(spent, home)
    if (beside > np.delete(held, home) + _ROOM).any() or (beside < -_ROOM).any() or not books.hold(flows.taken):
        return None  # a conversion did not hold its best price, or has not the depth
    nav, basket = float(order.nav), books.cash_weight * side.sign
    if order.limit is not None:
        marginal = float((books.weights * flows.prices).sum()) + books.cash_weight
        if side.sign * (marginal - float(order.limit) / nav) > -_ROOM:
            return None
    if order.max_loss_bps is not None:
        arrival_nav = float(order.arrival_nav) / nav
        spare = books.held_used() + books.residual_used()
        loss = float((spent * books.arrival).sum()) + spare + basket - side.sign * arrival_nav
        done = float(order.quantity + order.units_done) / float(order.quantity)
        allowed = float(order.max_loss_bps) / 1e4 * done * arrival_nav
        if loss + float(order.loss_done) / books.value > allowed - _ROOM:
            return None
    if side is Side.BUY and order.cash is not None:
        needed = spent[home] + basket + books.residual_used()
        if needed > float(order.cash) / books.value - _ROOM:
            return None
    return flows._replace(cost=float(spent.sum()))
