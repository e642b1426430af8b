"""Weight is taken before each request, in blocks, and corrected by what the venue says."""

from datetime import UTC, datetime, timedelta

import pytest

from etf_trader.venue.binance.timekeeping import SteppedTime
from etf_trader.venue.binance.weight import BLOCK, WORTH_TELLING, Allowance, is_urgent, weight_of

START = datetime(2026, 3, 1, 12, 0, 10, tzinfo=UTC)


class Counting:
    """A meter with room for everything."""

    def __init__(self) -> None:
        self.taken: list[tuple[int, bool]] = []
        self.used: list[int] = []

    async def take(self, weight: int, *, urgent: bool) -> None:
        self.taken.append((weight, urgent))

    def told(self, used: int, at: datetime) -> None:
        self.used.append(used)

    def limited(self, seconds: int, limit: int) -> None:
        self.limit = (seconds, limit)


@pytest.mark.parametrize(
    ("method", "path", "params", "weight"),
    [
        ("get", "depth", {"limit": 100}, 5),
        ("get", "depth", {"limit": 101}, 25),
        ("get", "depth", {"limit": 1000}, 50),
        ("get", "depth", {"limit": 5000}, 250),
        ("get", "depth", {}, 5),
        ("get", "openOrders", {}, 80),
        ("get", "openOrders", {"symbol": "BTCUSDT"}, 6),
        ("get", "myTrades", {"symbol": "BTCUSDT"}, 20),
        ("get", "myTrades", {"symbol": "BTCUSDT", "orderId": 1}, 5),
        ("get", "order", {}, 4),
        ("delete", "order", {}, 1),
        ("post", "order", {}, 1),
        ("get", "rateLimit/order", {}, 40),
        ("get", "exchangeInfo", {}, 20),
    ],
)
def test_a_request_weighs_what_the_venue_says(
    method: str, path: str, params: dict[str, object], weight: int
) -> None:
    assert weight_of(method, path, **params) == weight


def test_what_asks_about_orders_is_urgent_and_what_looks_at_the_market_is_not() -> None:
    assert all(is_urgent(path) for path in ("order", "openOrders", "myTrades"))
    assert not any(is_urgent(path) for path in ("depth", "klines", "exchangeInfo", "account"))


async def test_small_requests_share_a_block() -> None:
    clock, meter = SteppedTime(lambda _: None), Counting()
    clock.note(START, 0)
    allowance = Allowance(meter, clock)
    for _ in range(BLOCK // 4):
        await allowance.take(4, urgent=False)
    assert meter.taken == [(BLOCK, False)]
    await allowance.take(1, urgent=True)
    await allowance.take(250, urgent=False)
    assert meter.taken == [(BLOCK, False), (BLOCK, True), (250, False)]


async def test_a_block_ends_with_its_window() -> None:
    clock, meter = SteppedTime(lambda _: None), Counting()
    clock.note(START, 0)
    allowance = Allowance(meter, clock)
    await allowance.take(1, urgent=False)
    clock.note(START + timedelta(seconds=50), 0)
    await allowance.take(1, urgent=False)
    assert meter.taken == [(BLOCK, False)] * 2


async def test_what_others_use_is_told_where_it_matters() -> None:
    clock, meter = SteppedTime(lambda _: None), Counting()
    clock.note(START, 0)
    allowance = Allowance(meter, clock)
    await allowance.take(1, urgent=False)
    allowance.told(BLOCK + WORTH_TELLING)
    assert meter.used == []
    allowance.told(BLOCK + WORTH_TELLING + 1)
    allowance.told(BLOCK + WORTH_TELLING + 2)
    assert meter.used == [BLOCK + WORTH_TELLING + 1]
    allowance.limited(60, 1200)
    assert meter.limit == (60, 1200)


async def test_without_a_meter_nothing_waits() -> None:
    clock = SteppedTime(lambda _: None)
    clock.note(START, 0)
    allowance = Allowance(None, clock)
    await allowance.take(10**9, urgent=False)
    allowance.told(10**9)
