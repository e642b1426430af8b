"""What happened to a price over a span of time, in exact decimals."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal


@dataclass(frozen=True, slots=True)
class Candle:
    """The trading of one symbol from `start` on, for `seconds`.

    Prices are quote per base. `volume` is what was traded in base units, `value`
    the same in quote. The candle of the present holds what happened so far.
    """

    symbol: str
    start: datetime
    seconds: int
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: Decimal
    value: Decimal
