"""The events of the market streams in Binance's shapes.

Source:
    Binance Spot API, web-socket-streams.md, state of July 2026.
"""

from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from etf_trader.exchange.market import Depth
from etf_trader.exchange.server.messages import amount, levels
from etf_trader.exchange.views import AverageView, BookView, KlineView, PublicTradeView, TickerView
from etf_trader.money import ZERO, divide

Time = Callable[[datetime], int]
"""How a connection wants times: milliseconds or microseconds since 1970."""
Payload = Callable[[Time], Any]
"""An event, once it is known how times are written."""

_NO_DEPTH = Depth(ZERO, ZERO)
_PERCENT = Decimal("0.001")
_OF_A_DAY = frozenset("xQbBaA")
"""What only the ticker of 24 hours tells."""


def depth_update(
    time: Time, book: BookView, first: int, bids: Iterable[Depth], asks: Iterable[Depth]
) -> dict[str, Any]:
    """Return what changed in a book from update `first` to its last; a quantity of 0 removes a level."""
    return {
        "e": "depthUpdate",
        "E": time(book.at),
        "s": book.symbol,
        "U": first,
        "u": book.update_id,
        "b": levels(bids),
        "a": levels(asks),
    }


def partial_depth(book: BookView, count: int) -> dict[str, Any]:
    """Return the best levels of a book."""
    return {
        "lastUpdateId": book.update_id,
        "bids": levels(book.bids[:count]),
        "asks": levels(book.asks[:count]),
    }


def book_ticker(book: BookView) -> dict[str, Any]:
    """Return the best prices of a book; zero where there is none."""
    bid, ask = (side[0] if side else _NO_DEPTH for side in (book.bids, book.asks))
    return {
        "u": book.update_id,
        "s": book.symbol,
        "b": amount(bid.price),
        "B": amount(bid.quantity),
        "a": amount(ask.price),
        "A": amount(ask.quantity),
    }


def trade(time: Time, symbol: str, view: PublicTradeView, now: datetime) -> dict[str, Any]:
    """Return a trade."""
    return {
        "e": "trade",
        "E": time(max(now, view.at)),
        "s": symbol,
        "t": view.trade_id,
        "p": amount(view.price),
        "q": amount(view.quantity),
        "T": time(view.at),
        "m": view.is_buyer_maker,
        "M": True,
    }


def aggregate_trade(time: Time, symbol: str, view: PublicTradeView, now: datetime) -> dict[str, Any]:
    """Return a trade as an aggregate of itself alone: the exchange books one trade for each price and taker."""
    return {
        "e": "aggTrade",
        "E": time(max(now, view.at)),
        "s": symbol,
        "a": view.trade_id,
        "p": amount(view.price),
        "q": amount(view.quantity),
        "f": view.trade_id,
        "l": view.trade_id,
        "T": time(view.at),
        "m": view.is_buyer_maker,
        "M": True,
    }


def ticker(time: Time, view: TickerView, now: datetime) -> dict[str, Any]:
    """Return the last 24 hours of a symbol."""
    opened, last = view.open or ZERO, view.last or ZERO
    change = last - opened
    bid, ask = view.bid or _NO_DEPTH, view.ask or _NO_DEPTH
    return {
        "e": "24hrTicker",
        "E": time(now),
        "s": view.symbol,
        "p": amount(change),
        "P": amount(divide(change * 100, opened, _PERCENT) if opened else ZERO, 3),
        "w": amount(view.average or ZERO),
        "x": amount(view.previous_close or ZERO),
        "c": amount(last),
        "Q": amount(view.last_quantity),
        "b": amount(bid.price),
        "B": amount(bid.quantity),
        "a": amount(ask.price),
        "A": amount(ask.quantity),
        "o": amount(opened),
        "h": amount(view.high or ZERO),
        "l": amount(view.low or ZERO),
        "v": amount(view.volume),
        "q": amount(view.quote_volume),
        "O": time(view.opened),
        "C": time(view.closed),
        "F": view.first_id,
        "L": view.last_id,
        "n": view.count,
    }


def window_ticker(time: Time, view: TickerView, now: datetime, window: str) -> dict[str, Any]:
    """Return the statistics of a window of a symbol, "1h" for one."""
    told = ticker(time, view, now)
    return {name: value for name, value in told.items() if name not in _OF_A_DAY} | {"e": f"{window}Ticker"}


def average_price(time: Time, symbol: str, view: AverageView, now: datetime) -> dict[str, Any]:
    """Return the mean price of the last minutes."""
    return {
        "e": "avgPrice",
        "E": time(max(now, view.closed)),
        "s": symbol,
        "i": f"{view.minutes}m",
        "w": amount(view.price),
        "T": time(view.closed),
    }


def mini_ticker(time: Time, view: TickerView, now: datetime) -> dict[str, Any]:
    """Return the last 24 hours of a symbol, in short."""
    return {
        "e": "24hrMiniTicker",
        "E": time(now),
        "s": view.symbol,
        "c": amount(view.last or ZERO),
        "o": amount(view.open or ZERO),
        "h": amount(view.high or ZERO),
        "l": amount(view.low or ZERO),
        "v": amount(view.volume),
        "q": amount(view.quote_volume),
    }


def kline(time: Time, view: KlineView, interval: str, ends: datetime, now: datetime) -> dict[str, Any]:
    """Return a candle of `interval` that ends just before `ends`."""
    return {
        "e": "kline",
        "E": time(now),
        "s": view.symbol,
        "k": {
            "t": time(view.at),
            "T": time(ends - timedelta.resolution),
            "s": view.symbol,
            "i": interval,
            "f": view.first_id,
            "L": view.last_id,
            "o": amount(view.open),
            "c": amount(view.close),
            "h": amount(view.high),
            "l": amount(view.low),
            "v": amount(view.volume),
            "n": view.trade_count,
            "x": now >= ends,
            "q": amount(view.quote_volume),
            "V": amount(ZERO),
            "Q": amount(ZERO),
            "B": "0",
        },
    }
