"""Recorded trades: what was traded between two times. Read from their lines once they are asked for."""

import json
from bisect import bisect_left
from collections.abc import Sequence
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


class RecordedTrades:
    """The trades of one symbol, in order of time."""

    def __init__(self, source: str, lines: Sequence[TradeLine], first_time: int) -> None:
        """Take the lines of one symbol; `first_time` is the recording's time 0, microseconds since 1970."""
        self._source = source
        kind = next((kind for kind in KINDS if any(line.kind == kind for line in lines)), None)
        self._lines = sorted((line for line in lines if line.kind == kind), key=lambda line: line.time)
        self._first_time = first_time
        self._sums: list[Decimal] | None = None
        self._times: list[int] = []

    def between(self, start: int, end: int) -> Decimal:
        """Return the base units traded in [start, end), microseconds since time 0.

        Raises:
            ConfigError: a trade cannot be read.
        """
        if self._sums is None:
            self._sums = self._read()
        first, last = (bisect_left(self._times, time) for time in (start, max(start, end)))
        return self._sums[last] - self._sums[first]

    def _read(self) -> list[Decimal]:
        """Note the times, and return the sums of the quantities before each trade and after the last."""
        seen: set[int] = set()
        quantities = []
        for line in self._lines:
            trade_id, quantity = self._decode(line)
            if trade_id not in seen:  # a stream that was connected again may tell a trade twice
                seen.add(trade_id)
                self._times.append(line.time - self._first_time)
                quantities.append(quantity)
        return list(accumulate(quantities, initial=Decimal(0)))

    def _decode(self, line: TradeLine) -> tuple[int, Decimal]:
        try:
            message = json.loads(line.line)
            message = message.get("ws", message)
            data = message.get("data", message)
            return int(data[_ID[line.kind]]), Decimal(data["q"])
        except (KeyError, TypeError, ValueError, ArithmeticError) as error:
            raise ConfigError(
                f"{self._source} has a trade of {line.symbol} that cannot be read", where="exchange.recordings"
            ) from error
