"""Reads the books that indices trade on, no deeper than a plan needs them.

A snapshot is a window, and a deep one is dear: it weighs ten times as much at
the venue and takes longer to read than to plan on. So the first look shows
`FIRST_LOOK` levels, and a book is read deeper only where a plan ends at the
edge of its window.
"""

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import TypeVar

from etf_trader.database import Database
from etf_trader.errors import NotListed, UsageError
from etf_trader.execution.budget import budget, limits_of
from etf_trader.execution.planning import MarketView
from etf_trader.index.store import Basket, Index
from etf_trader.market.book import Level, OrderBook
from etf_trader.market.symbol import Side, SymbolRule
from etf_trader.orders.asset_order import AssetOrder
from etf_trader.venue.interface import Venue

FIRST_LOOK = 100
DEEPER = 10

Answer = TypeVar("Answer")


async def look(
    venue: Venue,
    basket: Basket,
    depth: int,
    rules: Mapping[str, SymbolRule] | None = None,
    also: Iterable[str] = (),
) -> MarketView:
    """Read the books of every constituent, `depth` levels a side, and the rules unless they are given.

    `also` are other books to read at the same moment.

    Raises:
        NotListed: the venue does not list a constituent.
    """
    known = await venue.rules() if rules is None else rules
    require_listed(basket, known)
    return await look_at(venue, [*basket.symbols.values(), *also], depth, known)


async def look_at(
    venue: Venue,
    symbols: Iterable[str],
    depth: int,
    rules: Mapping[str, SymbolRule],
    slots: int | None = None,
    own: Iterable[AssetOrder] = (),
) -> MarketView:
    """Read these books at one moment; `own` are orders of ours that rest in them, and are taken out."""
    names = sorted(set(symbols))
    if slots is None:
        slots = min((limit.limit for limit in await venue.order_limits()), default=None)
    books = without_own(await venue.books(names, depth), own)
    return MarketView(books, {symbol: rules[symbol] for symbol in names}, slots)


def without_own(books: Mapping[str, OrderBook], own: Iterable[AssetOrder]) -> dict[str, OrderBook]:
    """Return the books as they are for us: without what our own resting orders have not traded yet. Pure."""
    found = dict(books)
    for each in own:
        intent, left = each.intent, each.remaining
        if intent.symbol not in found:
            continue
        book = found[intent.symbol]
        if intent.side is Side.BUY:
            found[intent.symbol] = replace(book, bids=_less(book.bids, intent.price, left))
        else:
            found[intent.symbol] = replace(book, asks=_less(book.asks, intent.price, left))
    return found


def _less(levels: tuple[Level, ...], price: Decimal, quantity: Decimal) -> tuple[Level, ...]:
    """Take a quantity off the level at `price`; a fill on its way may have taken some of it already."""
    return tuple(
        level if level.price != price else Level(price, level.quantity - quantity)
        for level in levels
        if level.price != price or level.quantity > quantity
    )


async def slots_for(database: Database, venue: Venue, account_id: int, wanted: int) -> int:
    """Return how many slots a batch of `wanted` orders would be planned with now, without waiting for any.

    Where too few are free it would wait, and then have all that a window has.
    """
    limits = await limits_of(venue)
    now = await venue.server_time()
    with database.read() as connection:
        slots = budget(connection, account_id, limits, now, wanted=wanted)
    return slots.free if slots.is_enough else min(limit.limit for limit in limits)


def require_open(index: Index, side: Side) -> None:
    """Refuse to buy units of an index that is closed.

    Raises:
        UsageError: it is closed, and `side` is a buy.
    """
    if not index.is_open and side is Side.BUY:
        raise UsageError(f"{index.symbol} is closed: its units can only be sold", where="--index")


def require_own(index: Index, account_id: int) -> None:
    """Refuse to trade an index on another account than its own.

    Raises:
        UsageError: it belongs to another account.
    """
    if index.account_id != account_id:
        raise UsageError(
            f"{index.symbol} belongs to another account of this database",
            where="--index",
            hint="etf index list names the indices of this one; exchange.account says which it is",
        )


def require_listed(basket: Basket, rules: Mapping[str, SymbolRule]) -> None:
    """Check that the venue has a market for every constituent.

    Raises:
        NotListed: it has none; names the asset.
    """
    for asset, symbol in basket.symbols.items():
        if symbol not in rules:
            raise NotListed(
                f"{asset} has no market {symbol} at the venue",
                where=symbol,
                hint="etf order list shows what waits for it",
            )


async def look_and_plan(
    venue: Venue,
    symbols: Iterable[str],
    most: int,
    rules: Mapping[str, SymbolRule],
    plan: Callable[[MarketView], Awaitable[Answer]],
    stops: Callable[[Answer], Iterable[str]],
    slots: int | None = None,
    own: Sequence[AssetOrder] = (),
) -> tuple[MarketView, Answer]:
    """Plan on the first levels of every book, and again on more of those whose window stopped the plan.

    Args:
        symbols: Whose books are read, all of them at one moment.
        most: Levels that may be read of a book.
        plan: Makes a plan on what is seen.
        stops: What stops it; "window(SYMBOL)" names a book that may have more than is seen.
        slots: How many orders may be sent now; None: as many as the venue takes in a window.
        own: Orders of ours that rest in these books, and are taken out.
    """
    first = min(FIRST_LOOK, most)
    view = await look_at(venue, symbols, first, rules, slots, own)
    read = dict.fromkeys(view.books, first)
    while True:
        answer = await plan(view)
        ends = {stop.removeprefix("window(").removesuffix(")") for stop in stops(answer)}
        edge = sorted(symbol for symbol in ends & read.keys() if read[symbol] < most)
        if not edge:
            return view, answer
        for symbol in edge:
            read[symbol] = min(read[symbol] * DEEPER, most)
            deeper = without_own(await venue.books([symbol], read[symbol]), own)
            view = replace(view, books={**view.books, **deeper})
