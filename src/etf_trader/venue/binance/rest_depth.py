"""Snapshots of books by REST, over the connection that an account's other requests use."""

import json

from etf_trader.errors import DataError, VenueUnavailable
from etf_trader.venue.binance import errors
from etf_trader.venue.binance.client import Network
from etf_trader.venue.binance.depth import DepthSnapshot, snapshot_from
from etf_trader.venue.binance.errors import Refusal
from etf_trader.venue.binance.venue import BinanceVenue


class RestDepth:
    """Asks a venue for depth; its connection takes the weight before it asks."""

    def __init__(self, venue: BinanceVenue) -> None:
        self._venue = venue

    async def depth(self, symbol: str, limit: int) -> DepthSnapshot:
        """Return at most `limit` levels a side, dated when they were asked for.

        Raises:
            VenueUnavailable, RateLimited: ask again.
            DataError: the venue has no such market.
        """
        at = await self._venue.server_time()
        try:
            answer = await self._venue.client().get("depth", symbol=symbol, limit=limit)
        except Refusal as error:
            if error.code == errors.NO_SYMBOL:
                raise DataError(error.message, where=symbol) from error
            raise errors.of_question(error, symbol) from error
        except Network as error:
            raise errors.of_question(error, symbol) from error
        if not isinstance(answer.body, dict):
            raise VenueUnavailable(f"the depth of {symbol} is no depth", where=symbol)
        text = json.dumps(answer.body, separators=(",", ":"), default=str)
        return snapshot_from(symbol, limit, text, at)
