"""Open orders at the venue that nobody follows: ours are cancelled, others are named."""

from collections.abc import Sequence
from dataclasses import dataclass

from etf_trader.database import Database
from etf_trader.execution.comparison import Whose
from etf_trader.execution.missing import traded_symbols, whose_is
from etf_trader.ledger.repository import Account
from etf_trader.market.symbol import Side
from etf_trader.venue.interface import Venue, VenueOrder


@dataclass(frozen=True, slots=True)
class OpenOrders:
    """What became of open orders, in sentences: ours that were cancelled, and those of others."""

    cancelled: tuple[str, ...]
    foreign: tuple[str, ...]


async def put_in_order(database: Database, venue: Venue, account: Account) -> OpenOrders:
    """Cancel our orders that the books know to be final, or have lost; name the others.

    What a cancelled one had filled is found as every missing fill is: by what it moved.
    """
    found = await venue.open_orders()
    if not found:
        return OpenOrders((), ())
    left, foreign = _sorted(database, found)
    cancelled = []
    for order in left:
        await venue.cancel(order.symbol, order.client_order_id)
        cancelled.append(f"order {order.client_order_id} was still open in {order.symbol} and is cancelled")
    with database.read() as connection:
        traded = set(traded_symbols(connection, account.id))
    return OpenOrders(tuple(cancelled), tuple(_warning(order, order.symbol in traded) for order in foreign))


async def ours_left_open(database: Database, venue: Venue) -> Sequence[VenueOrder]:
    """Return the open orders that are ours and that nobody follows; changes nothing."""
    return _sorted(database, await venue.open_orders())[0]


def _sorted(database: Database, orders: Sequence[VenueOrder]) -> tuple[list[VenueOrder], list[VenueOrder]]:
    """Return ours that nobody follows, and those of others. What is being followed is in neither."""
    left: list[VenueOrder] = []
    foreign: list[VenueOrder] = []
    with database.read() as connection:
        for order in orders:
            whose, ours = whose_is(connection, order)
            if whose is Whose.FOREIGN:
                foreign.append(order)
            elif ours is None or ours.status.is_final:
                left.append(order)
    return left, foreign


def _warning(order: VenueOrder, is_traded: bool) -> str:
    verb, other = ("buys", "sells") if order.side is Side.BUY else ("sells", "buys")
    meets = f"; {other} of these books in {order.symbol} may meet it" if is_traded else ""
    return (
        f"order {order.client_order_id}, which is not of these books, is open and {verb} in {order.symbol}{meets}"
    )
