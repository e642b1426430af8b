"""The other currencies in which an index could trade, and the problem of trading in them too. Pure."""

from collections.abc import Collection, Mapping, Sequence
from decimal import Decimal
from typing import NamedTuple

from etf_trader.market.book import OrderBook
from etf_trader.market.currency import CURRENCIES
from etf_trader.market.symbol import Side, SymbolRule
from etf_trader.money import ONE, ZERO, divide
from etf_trader.solver.problem import OrderProblem
from etf_trader.solver.route_problem import Conversion, Currency, Route, RouteProblem

MOST_OTHERS = 2
"""Currencies beside the quote that are compared when an index names none of its own."""

Rules = Mapping[str, SymbolRule]


class OtherBooks(NamedTuple):
    """The markets of an index in other currencies, and those between the currencies: books and rules by symbol."""

    currencies: tuple[str, ...]
    books: Mapping[str, OrderBook]
    rules: Rules


def other_currencies(quote: str, routes: Sequence[str], assets: Collection[str], rules: Rules) -> tuple[str, ...]:
    """Return the currencies beside `quote` that an index names or, if none, in which most constituents trade.

    Only those count that the venue exchanges for `quote`.
    """
    pairs = {(rule.base, rule.quote) for rule in rules.values() if rule.is_trading}
    named = [name for name in routes if name != quote]
    found = [
        name
        for name in named or CURRENCIES
        if name not in (quote, *assets) and ((name, quote) in pairs or (quote, name) in pairs)
    ]
    markets = {name: sum((asset, name) in pairs for asset in assets) for name in found}
    most = sorted((name for name in found if markets[name]), key=lambda name: -markets[name])
    return tuple(found if named else most[:MOST_OTHERS])


def route_symbols(quote: str, others: Sequence[str], assets: Collection[str], rules: Rules) -> list[str]:
    """Return the markets of `assets` in the other currencies, and those between the currencies; sorted."""
    names = {quote, *others}
    return sorted(
        symbol
        for symbol, rule in rules.items()
        if rule.is_trading
        and ((rule.base in assets and rule.quote in others) or (rule.base in names and rule.quote in names))
    )


def route_problem(order: OrderProblem, other: OtherBooks, held: Mapping[str, Decimal]) -> RouteProblem:
    """Return `order`, which is on the books of its quote, with other currencies beside it.

    A book without one of its sides stays out; so does a currency without a
    price. `held` is what may be spent of each.

    Raises:
        CrossedBook: a book's best bid is not below its best ask.
    """
    home, rules = order.legs[0].rule.quote, other.rules
    assets = {leg.asset for leg in order.legs}
    two_sided = {symbol: book for symbol, book in other.books.items() if book.bids and book.asks}
    mids = {home: ONE}
    for name in other.currencies:
        if (book := two_sided.get(f"{name}{home}")) is not None:
            mids[name] = book.mid
        elif (book := two_sided.get(f"{home}{name}")) is not None:
            mids[name] = divide(ONE, book.mid)
    currencies = [Currency(name, held.get(name, ZERO), mids[name], mids[name]) for name in mids if name != home]
    routes, conversions = [], []
    for symbol, book in sorted(two_sided.items()):
        rule = rules[symbol]
        if rule.quote in mids and rule.base in mids:
            (bids, _), (asks, _) = book.accepted(Side.SELL, rule), book.accepted(Side.BUY, rule)
            conversions.append(Conversion(rule, bids, asks, book.complete, book.mid))
        elif rule.quote in mids and rule.base in assets:
            routes.append(Route(rule.base, rule, *book.accepted(order.side, rule), book.mid))
    return RouteProblem(order, tuple(currencies), tuple(routes), tuple(conversions))
