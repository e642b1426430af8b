"""What each request weighs, and who is asked before it is sent.

Source:
    Binance Spot API: rest-api.md (weights), limits.
"""

from datetime import datetime, timedelta

from etf_trader.venue.binance.timekeeping import Timekeeping
from etf_trader.venue.interface import Meter

BLOCK = 20
"""So much is taken at once, and used up request by request: asking costs a write."""

WORTH_TELLING = 50
"""The venue's own figure is told where it is so much above what we took."""

URGENT = frozenset({"order", "openOrders", "myTrades", "time", "userDataStream"})
"""Cancels, and questions about orders in flight: they may use what is kept in reserve."""

WEIGHTS = {
    ("get", "ping"): 1,
    ("get", "time"): 1,
    ("get", "exchangeInfo"): 20,
    ("get", "klines"): 2,
    ("get", "aggTrades"): 4,
    ("get", "order"): 4,
    ("get", "account"): 20,
    ("get", "account/commission"): 20,
    ("get", "rateLimit/order"): 40,
    ("post", "order"): 1,
    ("post", "order/test"): 1,
    ("delete", "order"): 1,
    ("ws", "connect"): 2,
    ("ws", "userDataStream"): 2,
}
_DEPTH = ((100, 5), (500, 25), (1000, 50), (5000, 250))


def weight_of(method: str, path: str, **params: object) -> int:
    """Return what a request weighs; it depends on what is asked for."""
    if path == "depth":
        limit = int(str(params.get("limit", 100)))
        return next(weight for most, weight in _DEPTH if limit <= most)
    if path == "openOrders":
        return 6 if "symbol" in params else 80
    if path == "myTrades":
        return 5 if "orderId" in params else 20
    return WEIGHTS.get((method, path), 1)


def is_urgent(path: str) -> bool:
    """Whether a request may use what is kept for cancels and questions about orders."""
    return path in URGENT


class Allowance:
    """Takes weight in blocks for one process; without a meter there is no bound but the venue's."""

    def __init__(self, meter: Meter | None, clock: Timekeeping) -> None:
        self._meter = meter
        self._clock = clock
        self._left = 0
        self._taken = 0
        self._window: datetime | None = None

    async def take(self, weight: int, *, urgent: bool) -> None:
        """Return once a request of this weight may be sent."""
        if self._meter is None:
            return
        self._turn()
        if weight > self._left:
            block = max(weight, BLOCK)
            await self._meter.take(block, urgent=urgent)
            self._turn()
            self._left += block
            self._taken += block
        self._left -= weight

    def told(self, used: int) -> None:
        """Take note of what the venue says was used in this window, where others use it too."""
        self._turn()
        if self._meter is not None and used > self._taken + WORTH_TELLING:
            self._taken = used
            self._meter.told(used, self._clock.now())

    def limited(self, seconds: int, limit: int) -> None:
        """Take note of the venue's limit."""
        if self._meter is not None:
            self._meter.limited(seconds, limit)

    def _turn(self) -> None:
        """Begin anew with each window of the venue: what is left of a block is lost with it."""
        now = self._clock.now()
        window = now.replace(second=0, microsecond=0)
        if self._window is None or window > self._window or window < self._window - timedelta(minutes=1):
            self._window, self._left, self._taken = window, 0, 0
