"""From a continuous plan to books: which serve each node, which of them takes the remainder, in what order.

Which of a node's books takes the remainder is tried in whole lots: the cheapest
choice is kept, of equals the one with fewer orders, then by symbol.
"""

from collections.abc import Container, Iterable, Iterator, Mapping
from decimal import Decimal
from fractions import Fraction
from typing import NamedTuple

from etf_trader.market.symbol import Side
from etf_trader.money import ZERO, share_down
from etf_trader.solver.network import Network
from etf_trader.solver.problem import Leg
from etf_trader.solver.route_books import LEAST_FLOW, Books
from etf_trader.solver.route_lots import ArcLots, Supply, sold, supplied

_EASE = Fraction(9999, 10000)  # a little less than what is covered: lots round up elsewhere
_GRAIN = Decimal("1e-18")


class _Node(NamedTuple):
    """A node to be served: its arcs with their totals in base, and what it needs (sell: has)."""

    totals: Mapping[int, Decimal]
    amount: Decimal


def choose(
    books: Books, taken: Iterable[float], prices: Mapping[str, Decimal], units: Decimal
) -> dict[str, Supply]:
    """Return the books of every node, in the order in which nodes are served.

    Args:
        books: The network in floats.
        taken: The continuous plan's base of each arc, in units of V.
        prices: Multiplier of each node, home currency a unit of it.
        units: The units that the continuous plan trades.
    """
    network = books.network
    flows = {number: flow for number, flow in enumerate(taken) if flow > LEAST_FLOW}
    sequence = _sequence(network, flows)
    lots = [ArcLots(arc, 0) for arc in network.arcs]
    legs = {leg.asset: leg for leg in network.legs}
    supplies = {}
    closed = _closed(network, flows)
    for node in sequence:
        numbers = [number for number in flows if _served(network, number) == node]
        if not numbers and node in legs:
            numbers = _best_arc(network, node, prices, but=closed) or _best_arc(network, node, prices)
        totals = {number: _base(books, number, flows.get(number, 0.0)) for number in numbers}
        amount = _amount(network, legs.get(node), totals, units)
        supply = _cheapest(network, lots, _Node(totals, amount), prices, network.mids[node], units)
        supplies[node] = _with_home(network, node, supply) if node in legs else supply
    return supplies


def _with_home(network: Network, node: str, supply: Supply) -> Supply:
    """Return a constituent's books and after them its home book, for what lots make the others lack."""
    if network.problem.slots is not None:
        return supply
    home = [
        number
        for number, arc in enumerate(network.arcs)
        if number not in supply.arcs
        and _served(network, number) == node
        and _drawn(network, number) == network.home
    ]
    return Supply((*supply.arcs, *home), (*supply.totals, *(ZERO for _ in home)))


def _served(network: Network, number: int) -> str:
    """Return the node that an arc serves: a buy's is supplied by it, a sell's sold on it."""
    arc = network.arcs[number]
    return arc.target if network.side is Side.BUY else arc.source


def _drawn(network: Network, number: int) -> str:
    """Return the node that must be served after the one an arc serves."""
    arc = network.arcs[number]
    return arc.source if network.side is Side.BUY else arc.target


def _sequence(network: Network, flows: dict[int, float]) -> list[str]:
    """Return all nodes, each after those that draw on it; constituents first.

    No cycle of arcs pays, so none is in a plan but for the solver's tolerance:
    then its smallest flow is dropped.
    """
    assets = {leg.asset for leg in network.legs}
    ends = {number: (_served(network, number), _drawn(network, number)) for number in flows}
    waiting = sorted(network.mids, key=lambda node: (node not in assets, node == network.home, node))
    sequence: list[str] = []
    while waiting:
        left = set(waiting)
        blocked = {drawn for served, drawn in (ends[number] for number in flows) if served in left}
        ready = [node for node in waiting if node not in blocked]
        if not ready:
            inside = [number for number in flows if left.issuperset(ends[number])]
            del flows[min(inside, key=lambda number: (flows[number], number))]
            continue
        first = [node for node in ready if node in assets] or ready[:1]
        sequence += first
        waiting = [node for node in waiting if node not in first]
    return sequence


def _closed(network: Network, flows: Iterable[int]) -> set[str]:
    """Return the currencies that the plan converts nothing into (sell: out of), and that are not held."""
    converted = {_served(network, number) for number in flows if network.arcs[number].is_conversion}
    return {name for name, there in network.balances.items() if not there} - converted - {network.home}


def _best_arc(network: Network, node: str, prices: Mapping[str, Decimal], but: Container[str] = ()) -> list[int]:
    """Return the arc that would serve an asset's first unit best, if there is one outside some currencies."""
    sign = network.side.sign
    arcs = [
        (sign * arc.levels[0].price * prices[arc.rule.quote], arc.rule.symbol, number)
        for number, arc in enumerate(network.arcs)
        if arc.rule.base == node and not arc.is_conversion and arc.rule.quote not in but
    ]
    return [min(arcs)[-1]] if arcs else []


def _base(books: Books, number: int, flow: float) -> Decimal:
    return Decimal(repr(float(flow * books.value / books.mids[books.base[number]])))


def _amount(network: Network, leg: Leg | None, totals: Mapping[int, Decimal], units: Decimal) -> Decimal:
    """Return what a node needs (sell: has) for `units`; of a currency, about what the continuous plan says."""
    if leg is not None:
        wanted, spare = leg.per_unit * units, network.spare(leg)
        return wanted - spare if network.side is Side.BUY else wanted + spare
    # a conversion's lots are found anew at every size: its mid is near enough here
    arcs = [(network.arcs[number], total) for number, total in totals.items()]
    return sum((total if arc.side is network.side else total * arc.mid for arc, total in arcs), ZERO)


def _cheapest(
    network: Network,
    lots: list[ArcLots],
    node: _Node,
    prices: Mapping[str, Decimal],
    mid: Decimal,
    units: Decimal,
) -> Supply:
    choices = list(_choices(network, node.totals))
    if len(choices) < 2 or node.amount <= 0 or not units:
        return choices[0] if choices else Supply((), ())
    is_buy = network.side is Side.BUY
    serve = supplied if is_buy else sold

    def rank(supply: Supply) -> tuple[bool, Decimal, int, list[str]]:
        fills, is_gone = serve(lots, supply, node.amount, units, units)
        cost, over = ZERO, -node.amount if is_buy else node.amount
        for number, fill in fills.items():
            arc = network.arcs[number]
            cost += fill.spent * prices[arc.source] if is_buy else -fill.received * prices[arc.target]
            over += fill.received if is_buy else -fill.spent
        symbols = [network.arcs[number].rule.symbol for number, fill in fills.items() if fill.quantity]
        return is_gone, cost - over * mid, len(symbols), sorted(symbols)

    return min(choices, key=rank)


def _choices(network: Network, totals: Mapping[int, Decimal]) -> Iterator[Supply]:
    """Yield the arcs with every one of them in front, the largest first."""
    numbers = sorted(totals, key=lambda number: (-totals[number], network.arcs[number].rule.symbol))
    for first in numbers:
        order = (first, *(number for number in numbers if number != first))
        yield Supply(order, tuple(totals[number] for number in order))


def eased(
    network: Network,
    supplies: Mapping[str, Supply],
    covered: Mapping[str, Fraction],
    prices: Mapping[str, Decimal],
) -> dict[str, Supply]:
    """Return supplies that use less of the currencies that do not cover their part.

    What a book in such a currency gives up another book of the asset takes over:
    one that is used already, or where slots allow it the best of the others.
    """
    return {node: _eased(network, node, supply, covered, prices) for node, supply in supplies.items()}


def _eased(
    network: Network,
    node: str,
    supply: Supply,
    covered: Mapping[str, Fraction],
    prices: Mapping[str, Decimal],
) -> Supply:
    totals = dict(zip(supply.arcs, supply.totals, strict=True))
    short = [number for number in totals if _drawn(network, number) in covered]
    if not short or node in network.balances:
        return supply
    if len(short) == len(totals):
        free = [] if network.problem.slots is not None else _best_arc(network, node, prices, but=covered)
        if not free:
            return supply
        totals[free[0]] = ZERO
    for number in short:
        share = covered[_drawn(network, number)] * _EASE
        totals[number] = share_down(totals[number], Decimal(share.numerator), Decimal(share.denominator), _GRAIN)
    order = sorted(totals, key=lambda number: number in short)  # stable: the first in use stays the first
    return Supply(tuple(order), tuple(totals[number] for number in order))
