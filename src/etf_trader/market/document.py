"""The books and rules of one moment as plain values: what a plan was made on, and its hash."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from etf_trader.market.book import Level, OrderBook
from etf_trader.market.symbol import SymbolRule
from etf_trader.money import plain
from etf_trader.seal import seal

KIND = "etf.market/1"

WORDS = ("base", "quote", "status")
BANDS = ("bid_band", "ask_band")
NUMBERS = (
    "tick",
    "min_price",
    "max_price",
    "step",
    "min_quantity",
    "max_quantity",
    "min_notional",
    "max_notional",
    "base_quantum",
    "quote_quantum",
    "maker_fee",
    "taker_fee",
)
"""The fields of a rule, by how they are written."""

NO_TIME = datetime(1970, 1, 1, tzinfo=UTC)


def market_document(books: Iterable[OrderBook], rules: Mapping[str, SymbolRule]) -> dict[str, Any]:
    """Return every level that was read, and the rules of its symbols, in plain values.

    When a book was read, and its update id, stand outside: the same market has the same hash.
    """
    ordered = sorted(books, key=lambda book: book.symbol)
    return {
        "books": {
            book.symbol: {"bids": _texts(book.bids), "asks": _texts(book.asks), "complete": book.complete}
            for book in ordered
        },
        "rules": {book.symbol: _rule_document(rules[book.symbol]) for book in ordered},
    }


def market_hash(market: Mapping[str, Any]) -> str:
    """Return the SHA-256 of a market document."""
    return seal(KIND, market)


def market_of(document: Mapping[str, Any]) -> tuple[dict[str, OrderBook], dict[str, SymbolRule]]:
    """Return the books and rules of a market document, by symbol; when they were read is not known."""
    books = {
        symbol: OrderBook(
            symbol=symbol,
            bids=_levels(book["bids"]),
            asks=_levels(book["asks"]),
            update_id=0,
            at=NO_TIME,
            complete=book["complete"],
        )
        for symbol, book in document["books"].items()
    }
    return books, {symbol: _rule(symbol, rule) for symbol, rule in document["rules"].items()}


def _texts(levels: Iterable[Level]) -> list[list[str]]:
    return [[plain(price), plain(quantity)] for price, quantity in levels]


def _levels(texts: Iterable[tuple[str, str]]) -> tuple[Level, ...]:
    return tuple(Level(Decimal(price), Decimal(quantity)) for price, quantity in texts)


def _rule_document(rule: SymbolRule) -> dict[str, Any]:
    return {
        **{name: getattr(rule, name) for name in WORDS},
        **{name: [plain(bound) for bound in getattr(rule, name)] for name in BANDS},
        **{name: plain(getattr(rule, name)) for name in NUMBERS},
    }


def _rule(symbol: str, document: Mapping[str, Any]) -> SymbolRule:
    values: dict[str, Any] = {name: document[name] for name in WORDS}
    values |= {name: tuple(Decimal(bound) for bound in document[name]) for name in BANDS}
    values |= {name: Decimal(document[name]) for name in NUMBERS}
    return SymbolRule(symbol=symbol, **values)
