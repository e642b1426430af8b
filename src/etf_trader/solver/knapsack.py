"""The choice of books at given prices of the currencies: every asset stands alone but for the slots.

    v_i(S)   least cost of asset i over its books in the quotes S, at the currencies' prices
    n_i(S)   the orders that takes;   K   currencies for which a conversion is paid, one order each

    bound = min over K of  min { sum_i v_i(S_i) : S_i within K and home, sum_i n_i <= slots - |K| }
            + what the conversions into K, and balances, gain at these prices

The inner minimum is a knapsack with a choice an asset, found exactly by going
through the slots. Whatever the prices are the bound holds (the currencies' rows
are relaxed); with the linear program's prices it is nearly always attained, and
then no integer program is needed.

Source:
    Geoffrion, Lagrangean relaxation for integer programming (1974); Dudzinski and Walukiewicz, Exact methods
    for the knapsack problem and its generalizations (1987): one choice an asset, by dynamic programming.
"""

from collections.abc import Iterator, Sequence
from itertools import combinations
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from etf_trader.market.symbol import Side
from etf_trader.solver.curves import Array
from etf_trader.solver.merged_ladders import MergedLadders
from etf_trader.solver.route_books import LEAST_FLOW, Books

Choice = tuple[NDArray[np.bool_], float]
"""The arcs that may be used, and a bound below the cost of every choice, in units of V."""

_TINY = 1e-12  # the least price of a quote: any bounds
_MOST_QUOTES = 5  # beyond, there are too many sets of quotes to try


class _Option(NamedTuple):
    """All assets over the books of one set of quotes: cost and orders of each, and the arcs in use."""

    quotes: frozenset[int]
    cost: Array
    orders: NDArray[np.intp]
    used: NDArray[np.bool_]


def chosen_by_prices(books: Books, prices: Array, fraction: float, slots: int) -> Choice | None:
    """Return the best choice of arcs at these prices, and what it proves.

    Args:
        books: The network.
        prices: Of each node over its mid.
        fraction: Of the order that is to be traded.
        slots: Orders that may be sent.

    Returns:
        None where assets are quoted in one another, quotes are many, or slots are too few for every asset.
    """
    traded = np.flatnonzero(~books.is_conversion)
    quotes = sorted({int(quote) for quote in books.quote[traded]})
    if np.isin(books.quote[traded], books.base[traded]).any() or len(quotes) > _MOST_QUOTES:
        return None
    need = books.need(fraction)
    options = [_option(books, prices, need, frozenset(each)) for each in _subsets(quotes)]
    held = frozenset(books.index[name] for name, there in books.network.balances.items() if there)
    free = held | {books.index[books.network.home]}
    best: Choice | None = None
    bound = np.inf
    for paid in _subsets([quote for quote in quotes if quote not in free], least=0):
        allowed = free | set(paid)
        within = [option for option in options if option.quotes <= allowed]
        found = _knapsack(within, np.flatnonzero(need > LEAST_FLOW), slots - len(paid))
        if found is None:
            continue
        total, picks = found
        total += _gains(books, prices, allowed)
        if total < bound:
            bound = total
            used = np.zeros(len(books.source), dtype=bool)
            for asset, place in picks:
                used |= within[place].used & (books.base == asset)
            best = used | (books.is_conversion & np.isin(books.served, list(allowed))), bound
    return best


def _subsets(items: Sequence[int], least: int = 1) -> Iterator[tuple[int, ...]]:
    for size in range(least, len(items) + 1):
        yield from combinations(items, size)


def _option(books: Books, prices: Array, need: Array, quotes: frozenset[int]) -> _Option:
    taken, _, missing = MergedLadders(books, prices, quotes).covering(need)
    value = books.costs(taken) * prices[books.quote] * np.where(books.is_buy, 1.0, -books.net)
    used = (taken > LEAST_FLOW) & ~books.is_conversion
    pieces = np.where(used, np.ceil(taken / books.largest * (1 - 1e-9)).clip(1), 0)
    cost, orders = np.zeros((2, len(books.nodes)))
    np.add.at(cost, books.base[used], value[used])
    np.add.at(orders, books.base[used], pieces[used])
    return _Option(quotes, np.where(missing, np.inf, cost), orders.astype(np.intp), used)


def _knapsack(
    options: Sequence[_Option], assets: NDArray[np.intp], slots: int
) -> tuple[float, list[tuple[int, int]]] | None:
    """Return the least cost within the slots, and the option of each asset; None where there are too few."""
    if slots < 0 or not options:
        return None
    best = np.zeros(slots + 1)
    picks = np.zeros((len(assets), slots + 1), dtype=np.intp)
    for place, asset in enumerate(assets):
        tried = np.full((len(options), slots + 1), np.inf)
        for number, option in enumerate(options):
            orders = int(option.orders[asset])
            if orders <= slots:
                tried[number, orders:] = best[: slots + 1 - orders] + option.cost[asset]
        picks[place] = np.argmin(tried, axis=0)
        best = tried[picks[place], np.arange(slots + 1)]
    if not np.isfinite(best[slots]):
        return None
    left, chosen = slots, []
    for place in range(len(assets) - 1, -1, -1):
        number = int(picks[place, left])
        chosen.append((int(assets[place]), number))
        left -= int(options[number].orders[assets[place]])
    return float(best[slots]), chosen


def _gains(books: Books, prices: Array, allowed: frozenset[int] | set[int]) -> float:
    """Return the reduced costs of conversions and balances that seem to gain at these prices; never positive."""
    total = 0.0
    inside = books.is_conversion & np.isin(books.served, list(allowed))
    for side, curves in books.curves.items():
        rows = books.rows(side)
        base, net = prices[books.base[rows]], books.net[rows]
        quote = np.maximum(prices[books.quote[rows]], _TINY)
        price = base * net / quote if side is Side.BUY else base / (quote * net)
        depth = np.where(inside[rows], curves.up_to(price), 0.0)
        cost = curves.cost(depth)
        reduced = quote * cost - base * net * depth if side is Side.BUY else base * depth - quote * net * cost
        total += float(np.minimum(reduced, 0.0)[inside[rows]].sum())
    held = books.balances()
    return total + float((np.minimum(1.0 - prices, 0.0) * held).sum())
