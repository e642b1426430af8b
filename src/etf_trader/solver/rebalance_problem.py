"""What the solver is asked for a rebalance: from what is held to the weights that are wanted."""

from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property

from etf_trader.errors import CrossedBook, StaleQuote
from etf_trader.market.book import Level
from etf_trader.market.symbol import Side, SymbolRule
from etf_trader.money import ONE, ZERO


@dataclass(frozen=True, slots=True)
class Exact:
    """Every weight is reached, as far as books and least orders let it."""


@dataclass(frozen=True, slots=True)
class Bands:
    """Every weight comes within `width` of its target, a fraction of NAV before; what is inside may stay."""

    width: Decimal


@dataclass(frozen=True, slots=True)
class Tracking:
    """Being off target costs `price_bps` of the value that is off.

    An asset trades while that is dearer than trading. It is a price a leg: what
    is sold and what is bought for it each have to be worth it.
    """

    price_bps: Decimal


Aim = Exact | Bands | Tracking

MAX_CROSS_SPREAD = Decimal(50)
"""Fund and orders meet inside only on a book whose spread is at most this, in basis points of its mid."""


@dataclass(frozen=True, slots=True)
class Constituent:
    """An asset that is held or wanted, and its book.

    `holding` in base; `weight` the fraction of NAV after costs that is wanted, 0
    for an asset that leaves. `bids` and `asks` best first, within the venue's
    price bounds. `ordered` is what the open index orders of the account want of
    it, netted with each other, in base after fee; below 0 they sell.
    """

    asset: str
    rule: SymbolRule
    holding: Decimal
    weight: Decimal
    mid: Decimal
    bids: tuple[Level, ...]
    asks: tuple[Level, ...]
    ordered: Decimal = ZERO

    @property
    def is_halted(self) -> bool:
        """Whether it cannot trade now: by the venue's word, or as its book has one side at most."""
        return not (self.rule.is_trading and self.bids and self.asks)

    @property
    def value(self) -> Decimal:
        """What is held, at mid."""
        return self.holding * self.mid

    def levels(self, side: Side) -> tuple[Level, ...]:
        """Return the levels that a trade of ours on `side` takes."""
        return self.asks if side is Side.BUY else self.bids


@dataclass(frozen=True)
class RebalanceProblem:
    """A rebalance: holdings and cash, targets, and how near to them is near enough.

    What the weights leave of 1 is the reserve: cash that is kept. Against an
    order the fund trades inside at mid while the book's spread is at most
    `max_cross_spread_bps`; else it does not trade on that side.
    """

    quote: str
    cash: Decimal
    constituents: tuple[Constituent, ...]
    aim: Aim
    max_cross_spread_bps: Decimal = MAX_CROSS_SPREAD

    @cached_property
    def nav(self) -> Decimal:
        """What all is worth before, at the mids."""
        return sum((each.value for each in self.constituents), self.cash)

    @cached_property
    def reserve(self) -> Decimal:
        """The fraction of NAV that is kept in cash."""
        return ONE - sum((each.weight for each in self.constituents), ZERO)


def check(problem: RebalanceProblem) -> None:
    """Refuse what only a bug in the caller could have made, and books that have no price.

    Raises:
        CrossedBook: a best bid is not below the best ask.
        StaleQuote: a mid is not between the best prices of its book.
        ValueError: a quantity or weight is negative, or the weights are more than 1.
    """
    names = [each.asset for each in problem.constituents]
    if len(set(names)) != len(names) or problem.quote in names:
        raise ValueError("a rebalance names an asset twice")
    if problem.cash < 0 or problem.reserve < 0 or problem.nav <= 0:
        raise ValueError(f"{problem.cash} in cash, a reserve of {problem.reserve} and a NAV of {problem.nav}")
    for each in problem.constituents:
        if each.holding < 0 or each.weight < 0 or each.mid <= 0:
            raise ValueError(f"{each.asset}: {each.holding} held, weight {each.weight}, mid {each.mid}")
        if each.bids and each.asks:
            _check_prices(each, each.bids[0].price, each.asks[0].price)


def _check_prices(constituent: Constituent, bid: Decimal, ask: Decimal) -> None:
    symbol = constituent.rule.symbol
    if bid >= ask:
        raise CrossedBook(f"{symbol} is crossed: bid {bid} is not below ask {ask}", where=symbol)
    if not bid <= constituent.mid <= ask:
        raise StaleQuote(f"{symbol}: a mid of {constituent.mid} is not between {bid} and {ask}", where=symbol)
