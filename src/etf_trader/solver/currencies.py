"""No plan is made on books that would pay for trading in a circle: one of them is old.

The rate of an arc is what one unit of its source becomes, after the fee, at the
best price. A cycle pays when the product of its rates is above 1; at 1, say with
free and equal prices, it does not. Cycles lead over currencies, and through any
asset that two currencies quote.
"""

from collections.abc import Iterable, Mapping
from decimal import Decimal
from fractions import Fraction
from typing import NamedTuple

from etf_trader.errors import CrossedBook, StaleQuote
from etf_trader.market.symbol import SymbolRule
from etf_trader.money import plain
from etf_trader.solver.network import Network


class Touch(NamedTuple):
    """The best bid and ask of one book; None: that side is empty."""

    rule: SymbolRule
    bid: Decimal | None
    ask: Decimal | None


class _Hop(NamedTuple):
    """The best way from one currency to another: its rate, and the books on it."""

    rate: Fraction
    symbols: tuple[str, ...]


def refuse_cycles(touches: Iterable[Touch], currencies: Iterable[str]) -> None:
    """Raise if a book is crossed, or if a cycle over `currencies` pays after fees.

    Raises:
        CrossedBook: names the book.
        StaleQuote: names the books of the cycle that pays most.
    """
    ordered = sorted(touches, key=lambda touch: touch.rule.symbol)
    for rule, bid, ask in ordered:
        if bid is not None and ask is not None and bid >= ask:
            raise CrossedBook(
                f"{rule.symbol} is crossed: bid {plain(bid)} is not below ask {plain(ask)}", where=rule.symbol
            )
    paying = [cycle for cycle in _cycles(_hops(ordered, set(currencies))) if cycle.rate > 1]
    if not paying:
        return
    worst = max(paying, key=lambda cycle: (cycle.rate, [-len(cycle.symbols)]))
    names = ", ".join(sorted(worst.symbols))
    gain = float((worst.rate - 1) * 10_000)
    raise StaleQuote(
        f"trading in a circle over {names} would pay {gain:.2g} bps after fees: "
        "a book is too old; read the books again",
        where=names,
    )


def touches_of(network: Network) -> list[Touch]:
    """Return the touch of each book: a constituent's other side lies as far beyond its mid as the one there is."""
    found: dict[str, tuple[SymbolRule, Decimal | None, Decimal | None]] = {}
    for arc in network.arcs:
        rule, bid, ask = found.get(arc.rule.symbol, (arc.rule, None, None))
        best = arc.levels[0].price
        if arc.side.sign > 0:
            ask = best
            bid = bid if arc.is_conversion else 2 * arc.mid - best
        else:
            bid = best
            ask = ask if arc.is_conversion else 2 * arc.mid - best
        found[rule.symbol] = (rule, bid, ask)
    return [Touch(*parts) for parts in found.values()]


def _hops(touches: list[Touch], currencies: set[str]) -> dict[str, dict[str, _Hop]]:
    """Return the best hop between each two currencies: one book, or two by way of an asset."""
    hops: dict[str, dict[str, _Hop]] = {name: {} for name in sorted(currencies)}
    bought: dict[str, list[tuple[str, _Hop]]] = {}
    sold: dict[str, list[tuple[str, _Hop]]] = {}
    for rule, bid, ask in touches:
        net = 1 - Fraction(rule.taker_fee)
        buy = None if ask is None or ask <= 0 else _Hop(net / Fraction(ask), (rule.symbol,))
        sell = None if bid is None or bid <= 0 else _Hop(net * Fraction(bid), (rule.symbol,))
        if rule.base in currencies:
            _offer(hops, rule.quote, rule.base, buy)
            _offer(hops, rule.base, rule.quote, sell)
            continue
        if buy is not None:
            bought.setdefault(rule.base, []).append((rule.quote, buy))
        if sell is not None:
            sold.setdefault(rule.base, []).append((rule.quote, sell))
    for asset, ways in bought.items():
        for source, first in ways:
            for target, second in sold.get(asset, []):
                if source != target:
                    through = _Hop(first.rate * second.rate, first.symbols + second.symbols)
                    _offer(hops, source, target, through)
    return hops


def _offer(hops: dict[str, dict[str, _Hop]], source: str, target: str, hop: _Hop | None) -> None:
    if hop is not None and (target not in hops[source] or hop.rate > hops[source][target].rate):
        hops[source][target] = hop


def _cycles(hops: Mapping[str, Mapping[str, _Hop]]) -> Iterable[_Hop]:
    """Yield every simple cycle once, from its first currency by name; a handful of currencies is assumed."""
    for start in hops:
        stack: list[tuple[str, tuple[str, ...], _Hop]] = [(start, (start,), _Hop(Fraction(1), ()))]
        while stack:
            at, visited, so_far = stack.pop()
            for target, hop in hops[at].items():
                path = _Hop(so_far.rate * hop.rate, so_far.symbols + hop.symbols)
                if target == start:
                    yield path
                elif target > start and target not in visited:
                    stack.append((target, (*visited, target), path))
