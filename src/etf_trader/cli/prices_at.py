"""What holdings are valued by: the books of now, or what is known of a moment of the past."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from datetime import datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

from etf_trader.cli.moments import now_of
from etf_trader.cli.numbers import spoken_duration
from etf_trader.errors import ConfigError, DataError

if TYPE_CHECKING:
    from etf_trader.bootstrap import Services
    from etf_trader.index.store import Basket, Index
    from etf_trader.reports.pricing import Price
    from etf_trader.venue.interface import Venue


_SIZES = (86_400, 3600, 60, 1)
"""Days, hours, minutes, seconds: an age is told in the largest of which it has two."""


def _venue(opened: Services) -> Venue | None:
    """Return who is asked for candles; None where there is no exchange."""
    try:
        return opened.venue
    except ConfigError:
        return None


async def prices_at(
    opened: Services, index: Index, basket: Basket, moment: datetime | None
) -> Mapping[str, Price]:
    """Return what each constituent of a basket was worth just before `moment`; None: is worth now.

    Where there is no exchange, or a constituent has no book any more, what was
    known last stands for now.

    Raises:
        DataError: a constituent has no price.
    """
    from etf_trader.reports.pricing import past_prices

    venue = _venue(opened)
    if moment is None and venue is not None:
        with suppress(DataError):
            return await prices_now(opened, venue, basket)
    moment = now_of(opened) if moment is None else moment
    return await past_prices(opened.database, venue, opened.account.id, index.quote, basket.symbols, moment)


async def prices_now(opened: Services, venue: Venue, basket: Basket) -> dict[str, Price]:
    """Return what each constituent is valued at now: mids, and what is known last of a market that does not trade.

    Raises:
        DataError: a constituent has no price.
    """
    from etf_trader.execution.valuing import basket_prices
    from etf_trader.reports.pricing import price_at

    found, now = await basket_prices(opened.database, venue, basket), opened.clock.now()
    return {asset: price_at(asset, each.value, each.source, each.at, now) for asset, each in found.items()}


def valued_by(prices: Iterable[tuple[str, str, Decimal]]) -> str:
    """Say by which prices something was valued, and how old the oldest was; each is an asset, a source, an age."""
    own = list(prices)
    sources = dict.fromkeys("mids of plans" if source.startswith("plan ") else source for _, source, _ in own)
    asset, _, age = max(own, key=lambda each: each[2])
    size = next((size for size in _SIZES if age >= 2 * size), 1)
    spoken = spoken_duration(timedelta(seconds=int(age // size) * size))
    return f"valued by {', '.join(sources)}; the oldest, {asset}'s, was {spoken} old"
