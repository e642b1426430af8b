"""What a unit was worth on average while an order over time worked, by time and by volume."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from etf_trader.index.store import Basket
from etf_trader.market.candle import Candle
from etf_trader.market.symbol import Side
from etf_trader.money import ZERO, bps, divide, money_context
from etf_trader.venue.interface import Venue

MINUTE, HOUR, DAY = 60, 3600, 86_400
MOST_CANDLES = 240
"""A longer window is looked at in longer candles."""

_GRID = Decimal("1e-12")


@dataclass(frozen=True, slots=True)
class WindowPrices:
    """Prices of a unit over a window, in quote: the mids averaged over time, and what the market paid on average.

    None: the venue knows no price, or no trade, of a constituent in that time.
    """

    mid_twap: Decimal | None
    market_vwap: Decimal | None


async def window_prices(venue: Venue, basket: Basket, since: datetime, until: datetime) -> WindowPrices:
    """Return the average prices of a unit from `since` to `until`, from the venue's candles."""
    length = _length(since, until)
    first = since - timedelta(seconds=since.timestamp() % length)
    found = {
        asset: await venue.candles(symbol, length, first, until)
        for asset, symbol in sorted(basket.symbols.items())
    }
    with money_context():
        return WindowPrices(
            _unit(basket, {asset: _over_time(rows) for asset, rows in found.items()}),
            _unit(basket, {asset: _over_volume(rows) for asset, rows in found.items()}),
        )


def slippage_bps(side: Side, average: Decimal, price: Decimal) -> Decimal:
    """Return by how much `average` is worse than `price`, in bps of it; negative is better."""
    return bps(side.sign * (average - price), price)


def _length(since: datetime, until: datetime) -> int:
    seconds = (until - since).total_seconds()
    return next((each for each in (MINUTE, HOUR) if seconds <= each * MOST_CANDLES), DAY)


def _over_time(rows: Sequence[Candle]) -> Decimal | None:
    total = sum((row.open + row.close for row in rows), ZERO)
    return divide(total, Decimal(2 * len(rows)), _GRID) if rows else None


def _over_volume(rows: Sequence[Candle]) -> Decimal | None:
    volume = sum((row.volume for row in rows), ZERO)
    return divide(sum((row.value for row in rows), ZERO), volume, _GRID) if volume else None


def _unit(basket: Basket, prices: dict[str, Decimal | None]) -> Decimal | None:
    known = {asset: price for asset, price in prices.items() if price is not None}
    if len(known) < len(prices):
        return None
    return sum((a * known[asset] for asset, a in basket.quantities.items()), basket.cash_per_unit)
