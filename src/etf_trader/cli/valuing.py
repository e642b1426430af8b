"""What holdings are valued by: the books of now, or what is known of a moment of the past."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING

from etf_trader.errors import ConfigError

if TYPE_CHECKING:
    from etf_trader.bootstrap import Services
    from etf_trader.index.store import Basket, Index
    from etf_trader.reports.pricing import Price
    from etf_trader.venue.interface import Venue


def venue_of(opened: Services) -> Venue | None:
    """Return who is asked for candles; None where there is no exchange."""
    try:
        return opened.venue
    except ConfigError:
        return None


async def prices_of(
    opened: Services, index: Index, basket: Basket, moment: datetime | None
) -> Mapping[str, Price]:
    """Return what each constituent of a basket was worth just before `moment`; None: is worth now.

    Where there is no exchange, the mids of the last plans stand for now.

    Raises:
        DataError: a constituent has no price.
    """
    from etf_trader.clock import SystemClock
    from etf_trader.reports.pricing import past_prices, price_at

    venue = venue_of(opened)
    if moment is None and venue is not None:
        from etf_trader.execution.look import look

        view = await look(venue, basket, 5)
        now = opened.clock.now()
        mids = view.mids(basket.symbols)
        return {
            asset: price_at(asset, mids[asset], "mid", view.books[symbol].at, now)
            for asset, symbol in basket.symbols.items()
        }
    moment = SystemClock().now() if moment is None else moment
    return await past_prices(opened.database, venue, opened.account.id, index.quote, basket.symbols, moment)
