"""Which trades of the venue the books lack, and whose they are."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from sqlalchemy import Connection, select

from etf_trader.database import Database
from etf_trader.execution.comparison import Missing, Whose
from etf_trader.ledger.repository import Account
from etf_trader.ledger.tables import fills, incarnations, unbooked_trades
from etf_trader.orders.asset_order import AssetOrder, incarnation_of
from etf_trader.orders.store import asset_orders_by_client_id
from etf_trader.orders.tables import asset_orders, index_orders
from etf_trader.venue.interface import Trade, Venue, VenueOrder

TradeKey = tuple[str, int, int]
"""Symbol, the venue's order id, and the trade id."""


@dataclass(slots=True)
class Search:
    """Looks for trades that the books lack; asks the venue once for each order that traded."""

    database: Database
    venue: Venue
    account: Account
    _orders: dict[tuple[str, int], VenueOrder | None] = field(default_factory=dict)

    async def trades(self, after: Mapping[str, int]) -> list[Missing]:
        """Return the trades of these symbols with an id above the one given that the books lack, oldest first.

        Those for which a person has answered by booking a difference are not told again.
        """
        found: list[Trade] = []
        for symbol, last in sorted(after.items()):
            found += await self.venue.trades_after(symbol, last)
        with self.database.read() as connection:
            known = self._known(connection, after)
        return [await self._whose(trade) for trade in found if _key(trade) not in known]

    def _known(self, connection: Connection, symbols: Iterable[str]) -> set[TradeKey]:
        """Return the trades that are booked, and those that a person has answered for."""
        keys: set[TradeKey] = set()
        for table in (fills, unbooked_trades):
            query = select(table.c.symbol, table.c.venue_order_id, table.c.trade_id).where(
                table.c.account_id == self.account.id,
                table.c.era == self.account.era,
                table.c.symbol.in_(list(symbols)),
            )
            if table is unbooked_trades:
                query = query.where(unbooked_trades.c.explained_at.is_not(None))
            keys.update((row.symbol, row.venue_order_id, row.trade_id) for row in connection.execute(query))
        return keys

    async def _whose(self, trade: Trade) -> Missing:
        place = trade.symbol, trade.order_id
        if place not in self._orders:
            self._orders[place] = await self.venue.order(*place)
        order = self._orders[place]
        if order is None:
            return Missing(trade, "", Whose.FOREIGN)
        with self.database.read() as connection:
            whose, ours = whose_is(connection, order)
        return Missing(trade, order.client_order_id, whose, None if ours is None else ours.id)


def whose_is(connection: Connection, order: VenueOrder) -> tuple[Whose, AssetOrder | None]:
    """Return whose order this is, by its client order id, and our row of it."""
    name = order.client_order_id
    ours = asset_orders_by_client_id(connection, [name]).get(name)
    if ours is not None and ours.intent.symbol == order.symbol:
        # A client order id is unique at the venue among open orders only: another may carry it later.
        is_same = ours.venue_order_id in (None, order.order_id)
        return (Whose.OURS, ours) if is_same else (Whose.FOREIGN, None)
    life = incarnation_of(name)
    is_known = select(incarnations.c.id).where(incarnations.c.token == life)
    if life is not None and connection.scalar(is_known) is not None:
        return Whose.LOST, None
    return Whose.FOREIGN, None


def traded_symbols(connection: Connection, account_id: int) -> list[str]:
    """Return the symbols in which the account ever sent an order."""
    query = (
        select(asset_orders.c.symbol)
        .join(index_orders, index_orders.c.id == asset_orders.c.index_order_id)
        .where(index_orders.c.account_id == account_id)
        .distinct()
        .order_by(asset_orders.c.symbol)
    )
    return list(connection.scalars(query))


def _key(trade: Trade) -> TradeKey:
    return trade.symbol, trade.order_id, trade.trade_id
