"""What the venue tells of traded volume: the profile that a VWAP follows, the units that a POV may trade."""

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal

from etf_trader.execution.pacing import units_allowed
from etf_trader.execution.profile import HOUR, hourly_profile, profile_span, spread
from etf_trader.index.store import Basket
from etf_trader.money import ONE, ZERO, divide, money_context
from etf_trader.solver.schedule import Span
from etf_trader.venue.interface import Venue

LEAST_PART = 100
"""A period without any volume counts as this part of the average one: books are thin then, and not gone."""


async def volume_profile(
    venue: Venue, basket: Basket, mids: Mapping[str, Decimal], now: datetime, time: Span
) -> tuple[Decimal, ...] | None:
    """Return the usual volume of each period in proportion to the others; None when nothing is known of it.

    From hourly candles of the last 20 days, by value.
    """
    first, last = profile_span(now)
    candles = {
        asset: await venue.candles(symbol, HOUR, first, last) for asset, symbol in sorted(basket.symbols.items())
    }
    profile = hourly_profile(candles, mids, basket.quantities, now)
    if profile is None:
        return None
    with money_context():
        parts = spread(profile, now, time.periods * time.period_seconds, time.period_seconds)
        least = divide(ONE, Decimal(LEAST_PART * time.periods))
        return tuple(max(part, least) for part in parts)


async def units_of_volume(
    venue: Venue, basket: Basket, share: Decimal, window: tuple[datetime, datetime]
) -> Decimal:
    """Return the units that are `share` of what others traded in `window`, by the thinnest constituent."""
    since, until = window
    if since == until:
        return ZERO
    symbols = sorted(basket.symbols.items())
    volumes = {asset: await venue.volume(symbol, since, until) for asset, symbol in symbols}
    with money_context():
        return units_allowed(share, volumes, basket.quantities)
