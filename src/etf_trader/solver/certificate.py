"""A bound below every plan, from one multiplier for each asset: proof without a solver.

    lambda_n   multiplier of node n: what one unit of it is worth, in the valuation asset
    r_n        net flow that a plan must bring to node n (negative: what may be taken from it)
    x          what is taken of a level, 0 <= x <= depth

A buy level of the book (base, quote) brings 1 - fee of base and takes its price
of quote; a sell level takes 1 of base and brings (1 - fee) x price of quote. A
level's reduced cost is what it takes less what it brings, at the multipliers:

    buy    p lambda_quote - (1 - fee) lambda_base
    sell   lambda_base - (1 - fee) p lambda_quote

    bound = sum over levels of min(0, reduced cost) x depth + sum lambda_n r_n

Whatever the multipliers are, a plan that brings r costs lambda . r plus the
reduced cost of every level it takes, hence never less than the bound. Levels
are sorted: the first without a negative reduced cost ends its book. All numbers
are finite decimals, and so is the bound: nothing is rounded.

Source:
    Weak duality; safe bounds as in Neumaier and Shcherbina (2004).
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from decimal import Decimal
from operator import gt, lt
from typing import NamedTuple

from etf_trader.market.symbol import Side
from etf_trader.money import ONE, ZERO, ceil_to, divide_up, floor_to, money_context
from etf_trader.solver.problem import Leg, OrderProblem

BOUND_GRID = Decimal("1e-8")
"""A bound is stated in steps of this size, rounded to where it stays one."""

_DIGITS = 18  # of a multiplier that is a quotient


@contextmanager
def all_digits() -> Iterator[None]:
    """Run in the money context with as many digits as products of money with multipliers have."""
    with money_context(1000):
        yield


class BookSide(NamedTuple):
    """The levels that trades on `side` of one book take, (price, quantity) with the best first.

    Price in `quote` per `base`, quantity in `base`, fee as a fraction of what is received.
    """

    side: Side
    base: str
    quote: str
    fee: Decimal
    levels: Sequence[tuple[Decimal, Decimal]]


def least_cost(
    books: Iterable[BookSide], multipliers: Mapping[str, Decimal], required: Mapping[str, Decimal]
) -> Decimal:
    """Return a bound below the cost of every way to bring the required flows, exactly.

    Args:
        books: All book sides that may be used.
        multipliers: Of every node, not negative; 1 for the asset that costs are counted in.
        required: Net flow per node that trades must bring, fees paid; negative where that much is there to spend.

    Returns:
        In the valuation asset; negative when selling: then no plan brings more than its opposite.

    Raises:
        ValueError: A multiplier is missing, negative or not a number.
    """
    _check(multipliers)
    with all_digits():
        bound = sum((_of(multipliers, node) * flow for node, flow in required.items()), ZERO)
        for book in books:
            bound += _book_part(book, _of(multipliers, book.base), _of(multipliers, book.quote))
        return bound


def multiplier(leg: Leg, side: Side, need: Decimal) -> Decimal:
    """Return what one unit of a leg's asset is worth: the price after fee of the dearest level that `need` uses.

    Args:
        leg: The asset and its levels.
        side: Of the order.
        need: What must arrive, after fee (sell: what may be sold), in base.

    Returns:
        In quote per base. 0 where the levels hold no more than `need`: the rest of a sell is worth nothing here.
    """
    net, end = ONE - leg.rule.taker_fee, ZERO
    for price, quantity in leg.levels:
        end += quantity
        if (end * net if side is Side.BUY else end) >= need:
            return _quotient(price, net) if side is Side.BUY else price * net
    return ZERO


def need_of(leg: Leg, side: Side, units: Decimal) -> Decimal:
    """Return what a leg must still bring for `units` (sell: what it may sell), not below 0, in base."""
    spare, wanted = leg.held + leg.residual, leg.per_unit * units
    return max(wanted - spare, ZERO) if side is Side.BUY else spare + wanted


def order_bound(problem: OrderProblem, units: Decimal, multipliers: Mapping[str, Decimal]) -> Decimal:
    """Return the least that `units` can cost in the assets that have multipliers (sell: the most they can bring).

    In quote, rounded outward to 1e-8. Lots, minimums and the rounding of fees are left out: they only make a
    plan worse.
    """
    legs = [leg for leg in problem.legs if leg.asset in multipliers]
    sign, side = problem.side.sign, problem.side
    books = [BookSide(side, leg.asset, leg.rule.quote, leg.rule.taker_fee, leg.levels) for leg in legs]
    required = {leg.asset: sign * need_of(leg, side, units) for leg in legs}
    bound = least_cost(books, {leg.rule.quote: ONE for leg in legs} | dict(multipliers), required)
    with all_digits():
        return floor_to(bound, BOUND_GRID) if side is Side.BUY else ceil_to(-bound, BOUND_GRID)


def _book_part(book: BookSide, base: Decimal, quote: Decimal) -> Decimal:
    """Return the sum of min(0, reduced cost) x depth over the levels of one book; never positive."""
    net = ONE - book.fee
    worth, each = (net * base, quote) if book.side is Side.BUY else (base, net * quote)
    beats = lt if book.side is Side.BUY else gt
    depth = value = ZERO
    for price, quantity in book.levels:
        if not beats(price * each, worth):
            break
        depth += quantity
        value += price * quantity
    return (value * each - depth * worth) * book.side.sign


def _of(multipliers: Mapping[str, Decimal], node: str) -> Decimal:
    if node not in multipliers:
        raise ValueError(f"{node} has no multiplier")
    return multipliers[node]


def _check(multipliers: Mapping[str, Decimal]) -> None:
    for node, each in multipliers.items():
        if not each.is_finite() or each < 0:
            raise ValueError(f"the multiplier of {node} is {each}: it must be a number, and not negative")


def _quotient(price: Decimal, net: Decimal) -> Decimal:
    """Return price / net to 18 digits: any multiplier gives a bound, and this one a tight one."""
    return divide_up(price, net, Decimal(1).scaleb(price.adjusted() - _DIGITS))
