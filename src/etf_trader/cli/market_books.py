"""Order books as a person reads them, and as a document."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from etf_trader.cli.numbers import bps, joined, price, quantity
from etf_trader.cli.output import Page, Table, look, number, text
from etf_trader.market.currency import CURRENCIES
from etf_trader.market.liquidity import BANDS, BandDepth, depth_within, mid_of, spread_bps
from etf_trader.money import ZERO, floor_to
from etf_trader.venue.market_data import Pair, Seen, Source, Sourced

if TYPE_CHECKING:
    from etf_trader.market.book import Level, OrderBook

HALF = Decimal("0.5")
SOURCES = {
    Source.PAPER: "the paper exchange",
    Source.STREAM: "followed by stream",
    Source.REST: "read by REST",
}


def draw_books(page: Page, pairs: Mapping[str, Pair], seen: Mapping[str, Seen], depth: int) -> None:
    """Draw books one below the other."""
    for place, (symbol, each) in enumerate(seen.items()):
        assert isinstance(each, Sourced)
        if place:
            page.line()
        _draw_book(page, pairs[symbol], each, depth)


def _draw_book(page: Page, pair: Pair, sourced: Sourced, depth: int) -> None:
    book = sourced.book
    page.line(f"{pair.symbol}: {headline(pair, book)}.")
    told = [SOURCES[sourced.source], f"update {book.update_id}", f"{spoken_age(sourced.age)} old"]
    if not book.complete:
        told.append(f"{len(book.bids):,} bids and {len(book.asks):,} asks seen, there may be more beyond")
    page.line(joined(told))
    if not book.bids and not book.asks:
        return
    page.line()
    page.table(_ladder(pair, book, depth))
    if mid_of(book) is None:
        return
    page.line()
    page.table(_bands(pair, book))


def headline(pair: Pair, book: OrderBook) -> str:
    """Return mid and spread in words, or why there is no price."""
    mid = mid_of(book)
    if mid is None:
        if book.bids and book.asks:
            bid, ask = book.bids[0].price, book.asks[0].price
            return look(f"crossed, bid {price(bid, pair.tick)} and ask {price(ask, pair.tick)}: no price")
        empty = "bids" if not book.bids else "asks"
        return look(f"no {empty if book.bids or book.asks else 'bids and no asks'}: no price")
    spread = book.asks[0].price - book.bids[0].price
    wide = spread_bps(book)
    assert wide is not None
    shown = price(spread, pair.tick)
    return f"mid {price(mid, pair.tick * HALF)} {pair.quote}, spread {shown} ({spoken_bps(wide)} bps)"


def spoken_bps(value: Decimal) -> str:
    """Return bps with one decimal, and with more where that would read as nothing."""
    return bps(value) if not value or value >= HALF else f"{value:.3f}"


def spoken_age(age: timedelta) -> str:
    """Return an age in seconds with one decimal."""
    return f"{age.total_seconds():,.1f} s"


def worth(value: Decimal, quote: str) -> str:
    """Return a value in a quote asset: a currency in whole units, of anything else four decimals."""
    return (
        f"{floor_to(value, Decimal(1)):,.0f}" if quote in CURRENCIES else f"{floor_to(value, Decimal('1e-4')):,}"
    )


def _ladder(pair: Pair, book: OrderBook, depth: int) -> Table:
    """Both sides beside each other, best prices first; totals add up from there."""
    table = Table(
        number(f"{pair.quote} so far", optional=1),
        number(pair.base),
        number("bid"),
        number("ask"),
        number(pair.base),
        number(f"{pair.quote} so far", optional=1),
    )
    bids, asks = _rows(book.bids[:depth], pair), _rows(book.asks[:depth], pair)
    for place in range(max(len(bids), len(asks))):
        bid = bids[place] if place < len(bids) else ("", "", "")
        ask = asks[place] if place < len(asks) else ("", "", "")
        table.row(bid[2], bid[1], bid[0], ask[0], ask[1], ask[2])
    return table


def _rows(levels: tuple[Level, ...], pair: Pair) -> list[tuple[str, str, str]]:
    rows, total = [], ZERO
    for level in levels:
        total += level.price * level.quantity
        rows.append((price(level.price, pair.tick), quantity(level.quantity, pair.step), worth(total, pair.quote)))
    return rows


def _bands(pair: Pair, book: OrderBook) -> Table:
    table = Table(text("within"), number(f"bids, {pair.quote}"), number(f"asks, {pair.quote}"))
    for distance in BANDS:
        band = depth_within(book, distance)
        assert band is not None
        table.row(
            f"{distance} bps",
            at_least(worth(band.bids, pair.quote), band.bids_whole),
            at_least(worth(band.asks, pair.quote), band.asks_whole),
        )
    return table


def at_least(number: str, is_whole: bool) -> str:
    """Return a number, marked where there may be more: the levels seen end before."""
    return number if is_whole else f"{number}+"


def document(seen: Seen, pair: Pair, depth: int) -> dict[str, Any]:
    """Return a book as other programs read it, with `depth` levels a side."""
    if not isinstance(seen, Sourced):
        return {"symbol": pair.symbol, "error": {"code": seen.code, "message": seen.message}}
    book = seen.book
    mid = mid_of(book)
    return {
        "symbol": pair.symbol,
        "source": seen.source,
        "at": book.at,
        "age_seconds": seen.age,
        "update_id": book.update_id,
        "mid": mid,
        "spread": None if mid is None else book.asks[0].price - book.bids[0].price,
        "spread_bps": spread_bps(book),
        "complete": book.complete,
        "known_from": None if book.complete or not book.bids else book.bids[-1].price,
        "known_to": None if book.complete or not book.asks else book.asks[-1].price,
        "depth": [_band(band) for distance in BANDS if (band := depth_within(book, distance)) is not None],
        "bids": [level._asdict() for level in book.bids[:depth]],
        "asks": [level._asdict() for level in book.asks[:depth]],
    }


def _band(band: BandDepth) -> dict[str, Any]:
    return {
        "bps": band.distance_bps,
        "bids": band.bids,
        "asks": band.asks,
        "bids_whole": band.bids_whole,
        "asks_whole": band.asks_whole,
    }


def summary(pair: Pair, seen: Seen) -> tuple[str, ...]:
    """Return a book in one line of a table: bid, ask, spread, depth of both sides near the mid, age, source."""
    if not isinstance(seen, Sourced):
        return ("-", "-", "-", "-", "-", "-", look(seen.message))
    book = seen.book
    band = depth_within(book, BANDS[1])
    wide = spread_bps(book)
    return (
        price(book.bids[0].price, pair.tick) if book.bids else "-",
        price(book.asks[0].price, pair.tick) if book.asks else "-",
        "-" if wide is None else spoken_bps(wide),
        "-" if band is None else at_least(worth(band.bids, pair.quote), band.bids_whole),
        "-" if band is None else at_least(worth(band.asks, pair.quote), band.asks_whole),
        spoken_age(seen.age),
        SOURCES[seen.source],
    )
