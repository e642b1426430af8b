"""Which feed tells a stream."""

from etf_trader.exchange.server import stream_names as names
from etf_trader.exchange.server.stream_feeds import (
    BestFeed,
    DepthFeed,
    Feed,
    KlineFeed,
    PartialFeed,
    TickerFeed,
    TradeFeed,
)
from etf_trader.exchange.server.stream_names import StreamName
from etf_trader.exchange.server.stream_statistics import AverageFeed, WindowFeed


def make_feed(name: StreamName) -> Feed:
    """Return the feed of a stream, which has to begin before it is looked at."""
    if name.kind == names.WINDOW:
        return WindowFeed(name.symbol, name.interval)
    if name.symbol is None:
        return TickerFeed(None, name.kind)
    if name.kind == names.DEPTH:
        return DepthFeed(name.symbol)
    if name.kind == names.PARTIAL:
        return PartialFeed(name.symbol, name.levels)
    if name.kind == names.BEST:
        return BestFeed(name.symbol)
    if name.kind in (names.TRADE, names.AGGREGATE):
        return TradeFeed(name.symbol, name.kind)
    if name.kind == names.KLINE:
        return KlineFeed(name.symbol, name.interval)
    if name.kind == names.AVERAGE:
        return AverageFeed(name.symbol)
    return TickerFeed(name.symbol, name.kind)
