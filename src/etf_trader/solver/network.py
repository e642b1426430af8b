"""The network of an order over several currencies: nodes, and an arc for each book side that may be traded.

A buy of book (base, quote) leads from the quote to the base, a sell back. A
constituent's books have only the side of the order, a conversion both.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from etf_trader.market.book import Level
from etf_trader.market.symbol import Side, SymbolRule
from etf_trader.money import ONE, ZERO
from etf_trader.solver.problem import Leg
from etf_trader.solver.route_problem import RouteProblem


@dataclass(frozen=True, slots=True)
class Arc:
    """One side of one book. `mid` is the book's own, in its quote."""

    rule: SymbolRule
    side: Side
    levels: tuple[Level, ...]
    complete: bool
    mid: Decimal
    is_conversion: bool

    @property
    def source(self) -> str:
        """The node that pays."""
        return self.rule.quote if self.side is Side.BUY else self.rule.base

    @property
    def target(self) -> str:
        """The node that receives, less the fee."""
        return self.rule.base if self.side is Side.BUY else self.rule.quote


@dataclass(frozen=True, slots=True)
class Network:
    """Nodes by name, arcs by symbol and side: the same whatever order the problem came in.

    `mids` and `arrival` price every node in the home currency; `balances` is what
    a buy may spend of each currency, None: any amount of the home one.
    """

    problem: RouteProblem
    home: str
    legs: tuple[Leg, ...]
    arcs: tuple[Arc, ...]
    mids: Mapping[str, Decimal]
    arrival: Mapping[str, Decimal]
    balances: Mapping[str, Decimal | None]

    @property
    def side(self) -> Side:
        """The side of the order."""
        return self.problem.order.side

    def spare(self, leg: Leg) -> Decimal:
        """Return what the order and the float have of a leg's asset before anything trades."""
        return leg.held + leg.residual


def network_of(problem: RouteProblem) -> Network:
    """Return the network of `problem`.

    Raises:
        ValueError: a book is quoted in no currency of the problem, or stands there twice.
    """
    order, home = problem.order, problem.home
    side = order.side
    legs = tuple(sorted(order.legs, key=lambda leg: leg.asset))
    arcs = [Arc(leg.rule, side, leg.levels, leg.complete, leg.mid, False) for leg in legs]
    arcs += [Arc(each.rule, side, each.levels, each.complete, each.mid, False) for each in problem.routes]
    for book in problem.conversions:
        arcs.append(Arc(book.rule, Side.BUY, book.asks, book.complete, book.mid, True))
        arcs.append(Arc(book.rule, Side.SELL, book.bids, book.complete, book.mid, True))
    currencies = sorted(problem.currencies, key=lambda each: each.name)
    mids = {home: ONE} | {each.name: each.mid for each in currencies}
    arrival = {home: ONE} | {each.name: each.arrival_mid for each in currencies}
    mids |= {leg.asset: leg.mid for leg in legs}
    arrival |= {leg.asset: leg.arrival_mid for leg in legs}
    if side is Side.BUY:
        balances = {home: order.cash} | {each.name: each.balance for each in currencies}
    else:
        balances = dict.fromkeys((home, *(each.name for each in currencies)), ZERO)
    network = Network(
        problem=problem,
        home=home,
        legs=legs,
        arcs=tuple(sorted((arc for arc in arcs if arc.levels), key=lambda arc: (arc.rule.symbol, arc.side))),
        mids=mids,
        arrival=arrival,
        balances=balances,
    )
    _check(network, arcs)
    return network


def _check(network: Network, arcs: list[Arc]) -> None:
    """Refuse what only a bug in the caller could have made."""
    problem, assets = network.problem, {leg.asset for leg in network.legs}
    if any(leg.rule.quote != network.home for leg in network.legs):
        raise ValueError(f"a home book is not quoted in {network.home}")
    if len({(arc.rule.symbol, arc.side) for arc in arcs}) != len(arcs):
        raise ValueError("a book stands in the problem twice")
    known = set(network.balances)
    for arc in arcs:
        if arc.rule.quote not in known:
            raise ValueError(f"{arc.rule.symbol} is quoted in {arc.rule.quote}, which is no currency here")
        if arc.rule.base not in (known if arc.is_conversion else assets):
            raise ValueError(f"{arc.rule.symbol} trades {arc.rule.base}, which is no node here")
        if not 0 <= arc.rule.taker_fee < 1 or arc.rule.step <= 0:
            raise ValueError(f"{arc.rule.symbol}: a fee of {arc.rule.taker_fee} or a step of {arc.rule.step}")
    if len(known) != 1 + len(problem.currencies):
        raise ValueError("a currency stands in the problem twice")
    for each in problem.currencies:
        numbers = (each.balance, each.mid, each.arrival_mid)
        if (
            not all(number.is_finite() and number >= 0 for number in numbers)
            or not each.mid
            or not each.arrival_mid
        ):
            raise ValueError(f"{each.name}: a balance must not be negative, and mids must be positive")
        if each.name in assets and each.balance:
            raise ValueError(f"{each.name} is a constituent: what there is of it is `held` or `residual`")
