"""Recorded trades: what was traded between two times. Read from their lines once they are asked for."""

import json
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from decimal import Decimal
from itertools import accumulate
from typing import NamedTuple

from etf_trader.errors import ConfigError

TRADE, AGGREGATE = "trade", "aggTrade"
KINDS = (TRADE, AGGREGATE)
"""Streams of trades. Each tells all of them, so that one counts alone: the finer where both were kept."""

_ID = {TRADE: "t", AGGREGATE: "a"}


class TradeLine(NamedTuple):
    """A line that says what was traded."""

    time: int
    """Microseconds since 1970, local receive time."""
    symbol: str
    kind: str
    line: bytes
    """JSON."""


class RecordedTrade(NamedTuple):
    """What a line says; the time is microseconds since the recording's time 0."""

    trade_id: int
    time: int
    price: Decimal
    quantity: Decimal
    is_buyer_maker: bool


class RecordedTrades:
    """The trades of one symbol, in order of time."""

    def __init__(self, source: str, lines: Sequence[TradeLine], first_time: int) -> None:
        """Take the lines of one symbol; `first_time` is the recording's time 0, microseconds since 1970."""
        self._source = source
        kind = next((kind for kind in KINDS if any(line.kind == kind for line in lines)), None)
        self._lines = sorted((line for line in lines if line.kind == kind), key=lambda line: line.time)
        self._first_time = first_time
        self._sums: list[Decimal] = []
        self._trades: list[RecordedTrade] | None = None
        self._times: list[int] = []

    def between(self, start: int, end: int) -> Decimal:
        """Return the base units traded in [start, end), microseconds since time 0.

        Raises:
            ConfigError: a trade cannot be read.
        """
        first, last = self.before(start), self.before(max(start, end))
        return self._sums[last] - self._sums[first]

    def before(self, time: int) -> int:
        """Return how many trades there were before `time`, microseconds since time 0.

        Raises:
            ConfigError: a trade cannot be read.
        """
        self._read()
        return bisect_left(self._times, time)

    def numbered(self, first: int, last: int) -> Iterator[tuple[int, RecordedTrade]]:
        """Yield the trades from the one numbered `first` until before `last`, counted from 0, with their numbers.

        Raises:
            ConfigError: a trade cannot be read.
        """
        first = max(0, first)
        return enumerate(self._read()[first : max(first, last)], first)

    def _read(self) -> list[RecordedTrade]:
        """Return the trades; read and summed up once."""
        if self._trades is None:
            seen: set[int] = set()
            trades = []
            for line in self._lines:
                trade = self._decode(line)
                if trade.trade_id not in seen:  # a stream that was connected again may tell a trade twice
                    seen.add(trade.trade_id)
                    trades.append(trade)
            self._times = [trade.time for trade in trades]
            self._sums = list(accumulate((trade.quantity for trade in trades), initial=Decimal(0)))
            self._trades = trades
        return self._trades

    def _decode(self, line: TradeLine) -> RecordedTrade:
        try:
            message = json.loads(line.line)
            message = message.get("ws", message)
            data = message.get("data", message)
            return RecordedTrade(
                int(data[_ID[line.kind]]),
                line.time - self._first_time,
                Decimal(data["p"]),
                Decimal(data["q"]),
                bool(data.get("m", False)),
            )
        except (KeyError, TypeError, ValueError, ArithmeticError) as error:
            raise ConfigError(
                f"{self._source} has a trade of {line.symbol} that cannot be read", where="exchange.recordings"
            ) from error
