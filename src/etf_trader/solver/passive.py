"""Quotes: an order as the solver sees it when it is not to take, but to wait at the best price of its own side."""

from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal

from etf_trader.market.book import Level, OrderBook
from etf_trader.market.symbol import Side
from etf_trader.solver.problem import Leg, OrderProblem

QUOTE = "quote"
"""How plans of quotes are made; the closed form on one level."""


def own_touch(book: OrderBook, side: Side) -> Decimal:
    """Return the best price of our own side: what a quote that is not to take may bid, or ask, at most."""
    return (book.bids if side is Side.BUY else book.asks)[0].price


def at_own_touch(problem: OrderProblem, books: Mapping[str, OrderBook]) -> OrderProblem:
    """Return a problem whose legs trade at the best price of our own side, for the fee of a maker.

    No ticks of slack: nothing is paid beyond the touch.
    """
    legs = tuple(_resting(leg, problem, own_touch(books[leg.rule.symbol], problem.side)) for leg in problem.legs)
    return replace(problem, legs=legs, slack_ticks=0)


def _resting(leg: Leg, problem: OrderProblem, price: Decimal) -> Leg:
    """Return a leg on one level, which is more than the order can want: no book ends a quote."""
    most = 2 * (leg.per_unit * problem.quantity + leg.held + leg.rule.least_quantity(price))
    rule = replace(leg.rule, taker_fee=leg.rule.maker_fee)
    return replace(leg, rule=rule, levels=(Level(price, most),), complete=True)
