"""Which markets will end, and which indices that concerns."""

from collections.abc import Iterable, Mapping
from datetime import datetime

from sqlalchemy import Connection

from etf_trader.errors import VenueError
from etf_trader.index.store import current_basket, list_indices
from etf_trader.venue.interface import Venue


async def ending_markets(venue: Venue) -> Mapping[str, datetime]:
    """Return the markets whose end the venue has announced, each with that moment; none where it does not answer.

    Nothing that can be traded waits for this answer: it is a list beside the market.
    """
    try:
        return await venue.delistings() or {}
    except VenueError:
        return {}


def concerned(connection: Connection, account_id: int, symbols: Iterable[str]) -> dict[str, list[str]]:
    """Return, by symbol, the open indices whose constituents trade there; markets of none are left out."""
    ending, found = set(symbols), dict[str, list[str]]()
    for index in list_indices(connection, account_id):
        if index.is_open:
            for symbol in ending & set(current_basket(connection, index.id).symbols.values()):
                found.setdefault(symbol, []).append(index.symbol)
    return found
