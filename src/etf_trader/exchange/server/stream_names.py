"""The names of market streams: what each of them asks for.

Source:
    Binance Spot API, web-socket-streams.md.
"""

import re
from dataclasses import dataclass

DEPTH, PARTIAL, BEST, TRADE, AGGREGATE = "depth", "partial", "bookTicker", "trade", "aggTrade"
TICKER, MINI, KLINE = "ticker", "miniTicker", "kline"
WINDOW, AVERAGE = "window", "avgPrice"
TICK_MS = 100
"""How often a stream that is told at once is looked at."""

INTERVALS = ("1s", "1m", "3m", "5m", "15m", "30m", "1h", "2h", "4h", "6h", "8h", "12h", "1d", "3d", "1w", "1M")
WINDOWS = {"1h": 1, "4h": 4, "1d": 24}
"""Hours of the windows that are told, by name."""
_SPEEDS = {None: 1000, "1000ms": 1000, "100ms": TICK_MS}
_OF_A_SYMBOL = re.compile(
    r"(?P<symbol>[^@!A-Z]+)@(?:"
    r"depth(?P<levels>5|10|20)?(?:@(?P<speed>100ms|1000ms))?"
    rf"|kline_(?P<interval>{'|'.join(INTERVALS)})"
    rf"|ticker_(?P<window>{'|'.join(WINDOWS)})"
    r"|(?P<plain>bookTicker|trade|aggTrade|ticker|miniTicker|avgPrice))"
)
_OF_ALL = re.compile(
    rf"!(?:(?P<kind>ticker|miniTicker)@arr(?:@(?:1000|3000)ms)?|ticker_(?P<window>{'|'.join(WINDOWS)})@arr)"
)


@dataclass(frozen=True, slots=True)
class StreamName:
    """What a stream tells, and every how many milliseconds it may.

    Of one symbol, or of all where that is None. `levels` is how many a partial
    book shows, `interval` how long a candle or a window is.
    """

    kind: str
    symbol: str | None
    every_ms: int
    levels: int = 0
    interval: str = ""


def parse(name: str) -> StreamName | None:
    """Return what a name asks for; None for one that means nothing here, which is no mistake."""
    if found := _OF_ALL.fullmatch(name):
        if found["window"]:
            return StreamName(WINDOW, None, 1000, interval=found["window"])
        return StreamName(found["kind"], None, 1000)
    found = _OF_A_SYMBOL.fullmatch(name)
    if found is None:
        return None
    symbol = found["symbol"].upper()
    if found["interval"]:
        every = 1000 if found["interval"] == "1s" else 2000
        return StreamName(KLINE, symbol, every, interval=found["interval"])
    if found["window"]:
        return StreamName(WINDOW, symbol, 1000, interval=found["window"])
    if found["plain"]:
        is_slow = found["plain"] in (TICKER, MINI, AVERAGE)
        return StreamName(found["plain"], symbol, 1000 if is_slow else TICK_MS)
    if found["levels"]:
        return StreamName(PARTIAL, symbol, _SPEEDS[found["speed"]], levels=int(found["levels"]))
    return StreamName(DEPTH, symbol, _SPEEDS[found["speed"]])
