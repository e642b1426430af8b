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
from etf_trader.solver.route_books import Books, Flows

_HALVINGS = 60
_FAR = 1e4  # of the best price: no level lies beyond
_ROOM = 1e-9  # a limit that is this near binds


class _Rates(NamedTuple):
    """The price of each node over its mid, and the arc that converts into it (sell: out of it), -1 for none."""

    price: Array
    by: NDArray[np.intp]


class _Ladders(NamedTuple):
    """The arcs that trade constituents: number, asset, what turns a book's price into the common one, and share
    of what is taken that arrives."""

    arc: NDArray[np.intp]
    asset: NDArray[np.intp]
    factor: Array
    arrives: Array


def merged(books: Books) -> Flows | None:
    """Return the whole order over merged ladders, or None where something binds, or a conversion is not flat."""
    traded = ~books.is_conversion
    if np.isin(books.quote[traded], books.base[traded]).any():
        return None  # an asset that others are quoted in has no ladder of its own
    held = _held(books)
    rates = _rates(books, held > 0)
    for _ in range(2):
        flows, drawn = _at(books, rates)
        if flows is None:
            return None
        short = (drawn > held) & (rates.by < 0) & (held > 0)
        if not short.any():
            break
        rates = _rates(books, (held > 0) & ~short)
    else:
        return None
    converted = _converted(books, rates, drawn, held)
    if converted is None:
        return None
    return _checked(books, flows._replace(taken=flows.taken + converted), held)


def _held(books: Books) -> Array:
    """Return what may be spent of each currency beside the home one, in units of V."""
    held = np.zeros(len(books.nodes))
    for name, balance in books.network.balances.items():
        if name != books.network.home and balance:
            held[books.index[name]] = float(balance) * float(books.network.mids[name]) / books.value
    return held


def _rates(books: Books, is_held: NDArray[np.bool_]) -> _Rates:
    """Return the best price of each currency by conversion at best prices; what is held costs its mid."""
    buys = books.network.side is Side.BUY
    price = np.where(is_held, 1.0, np.inf if buys else 0.0)
    by = np.full(len(books.nodes), -1, dtype=np.intp)
    price[books.index[books.network.home]] = 1.0
    touch, rows = books.touch(), np.flatnonzero(books.is_conversion)
    rate = np.where(books.is_buy, books.net / touch, books.net * touch)  # of the target for one of the source
    for _ in rows:
        for row in rows:
            source, target = books.source[row], books.target[row]
            if buys and price[source] / rate[row] < price[target]:
                price[target], by[target] = price[source] / rate[row], row
            elif not buys and price[target] * rate[row] > price[source]:
                price[source], by[source] = price[target] * rate[row], row
    return _Rates(price, by)


def _at(books: Books, rates: _Rates) -> tuple[Flows | None, Array]:
    """Return the constituents' trades at these rates, and what they draw on (sell: bring to) each currency."""
    side = books.network.side
    rows = np.flatnonzero(
        ~books.is_conversion & np.isfinite(rates.price[books.quote]) & (rates.price[books.quote] > 0)
    )
    buys = side is Side.BUY
    net, rate = books.net[rows], rates.price[books.quote[rows]]
    ladders = _Ladders(
        rows, books.base[rows], rate / net if buys else rate * net, net if buys else np.ones(len(rows))
    )
    need = books.need()
    found = _common_prices(books, ladders, need)
    drawn = np.zeros(len(books.nodes))
    if found is None:
        return None, drawn
    taken, price = found
    prices = rates.price.copy()
    prices[np.unique(ladders.asset)] = price[np.unique(ladders.asset)]
    prices = np.where(np.isfinite(prices), prices, 1.0)
    value = books.costs(taken) * (1.0 if buys else books.net)
    np.add.at(drawn, books.quote[rows], value[rows])
    return Flows(1.0, taken, prices, 0.0), drawn


def _common_prices(books: Books, ladders: _Ladders, need: Array) -> tuple[Array, Array] | None:
    """Return what is taken of each arc, and the price of each asset at which all its books cover the need."""
    sign = books.network.side.sign
    best = np.full(len(books.nodes), np.inf)
    np.minimum.at(best, ladders.asset, sign * books.touch()[ladders.arc] * ladders.factor)
    if (np.isinf(best) & (need > 0)).any():
        return None
    best = np.where(np.isinf(best), float(sign), best)
    low, high = best.copy(), best + np.abs(best) * 1e-4
    while (short := _arrives(books, ladders, _up_to(books, ladders, sign * high)) < need).any():
        if (short & (high - best > _FAR * np.abs(best))).any():
            return None
        low, high = np.where(short, high, low), np.where(short, high + 2 * (high - best), high)
    for _ in range(_HALVINGS):
        middle = 0.5 * (low + high)
        enough = _arrives(books, ladders, _up_to(books, ladders, sign * middle)) >= need
        low, high = np.where(enough, low, middle), np.where(enough, middle, high)
    is_touch = _arrives(books, ladders, _up_to(books, ladders, sign * best)) >= need
    sure = _up_to(books, ladders, sign * np.where(is_touch, best - np.abs(best), low))
    return _shared(books, ladders, need, sure, _up_to(books, ladders, sign * high)), sign * high


def _up_to(books: Books, ladders: _Ladders, price: Array) -> Array:
    """Return the depth of each arc at common prices no worse than `price` of its asset."""
    taken = np.zeros(len(books.source))
    own = np.full(len(books.source), 0.0)
    own[ladders.arc] = price[ladders.asset] / ladders.factor
    side = books.network.side
    rows = books.rows(side)
    inside = np.zeros(len(books.source), dtype=bool)
    inside[ladders.arc] = True
    taken[rows] = books.curves[side].up_to(own[rows])
    return np.where(inside, taken, 0.0)


def _arrives(books: Books, ladders: _Ladders, taken: Array) -> Array:
    """Return what arrives at (sell: leaves) each asset."""
    arrives = np.zeros(len(books.nodes))
    np.add.at(arrives, ladders.asset, taken[ladders.arc] * ladders.arrives)
    return arrives


def _shared(books: Books, ladders: _Ladders, need: Array, sure: Array, most: Array) -> Array:
    """Return what is taken of each arc: all of the better levels, and of the last price what is still needed.

    The last price may stand on several books: those in use take it first, then by symbol.
    """
    taken = sure.copy()
    rest = need - _arrives(books, ladders, sure)
    order = sorted(range(len(ladders.arc)), key=lambda each: (sure[ladders.arc[each]] <= 0, ladders.arc[each]))
    for each in order:
        row, asset = ladders.arc[each], ladders.asset[each]
        if rest[asset] > 0 and most[row] > sure[row]:
            more = min(most[row] - sure[row], rest[asset] / ladders.arrives[each])
            taken[row] += more
            rest[asset] -= more * ladders.arrives[each]
    return taken


def _converted(books: Books, rates: _Rates, drawn: Array, held: Array) -> Array | None:
    """Return what the conversions take, the last hop first; None where one does not hold its best price."""
    taken = np.zeros(len(books.source))
    buys = books.network.side is Side.BUY
    amount = drawn.copy()
    for node in sorted(np.flatnonzero(rates.by >= 0), key=lambda node: (-_hops(books, rates, node), node)):
        row = rates.by[node]
        if amount[node] <= held[node] and buys and held[node] > 0:
            return None  # between mid and conversion: a price that only the linear program finds
        rest = amount[node] - (held[node] if buys else 0.0)
        if rest <= 0:
            continue
        at_base = books.is_buy[row] == buys
        taken[row] = rest / books.net[row] if at_base and buys else rest
        if not at_base:
            taken[row] = rest / books.touch()[row] / (books.net[row] if buys else 1.0)
        other = books.source[row] if buys else books.target[row]
        cost = books.costs(taken)[row]
        if not at_base and abs(cost - taken[row] * books.touch()[row]) > 1e-12:
            return None
        amount[other] += (cost if at_base else taken[row]) * (1.0 if buys else books.net[row])
    return taken


def _hops(books: Books, rates: _Rates, node: int) -> int:
    """Return how many conversions lie between a node and the home currency."""
    hops = 0
    while rates.by[node] >= 0:
        row = rates.by[node]
        node = books.source[row] if books.network.side is Side.BUY else books.target[row]
        hops += 1
    return hops


def _checked(books: Books, flows: Flows, held: Array) -> Flows | None:
    """Return the flows with their cost, or None where a limit or a balance of the order binds."""
    order, side = books.network.problem.order, books.network.side
    home = books.index[books.network.home]
    is_currency = np.array([name in books.network.balances for name in books.nodes])
    spent = np.where(is_currency, -books.brought(flows.taken), 0.0)
    if (np.delete(spent - held, home) > _ROOM).any():
        return None
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
