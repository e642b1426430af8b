"""The rebalance of an index that nobody holds: its basket is written anew, and nothing is traded."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from sqlalchemy import Connection

from etf_trader.errors import MissingPrice
from etf_trader.events import EventLog, RebalanceEnded
from etf_trader.index.navs import Reason
from etf_trader.index.prices import mids_at
from etf_trader.index.store import add_basket, index_by_id
from etf_trader.ledger.baskets import reweighing
from etf_trader.ledger.repository import Account, Ledger
from etf_trader.ledger.valuation import record_nav
from etf_trader.money import BASKET_GRID, ZERO, divide_down, money_context
from etf_trader.orders.rebalance_order import RebalanceOrder
from etf_trader.orders.status import IndexOrderStatus
from etf_trader.orders.store import enter_assets, move_index_order
from etf_trader.rebalance.drift import targets_with_reserve
from etf_trader.rebalance.previewing import RebalancePreview
from etf_trader.venue.interface import Venue

FEW = 5
"""Levels of a book that are read for its mid."""


@dataclass(frozen=True, slots=True)
class Reweighed:
    """What a unit is to hold, and the `nav` that it is worth, as before, at `mids`."""

    nav: Decimal
    quantities: Mapping[str, Decimal]
    symbols: Mapping[str, str]
    cash: Decimal
    mids: Mapping[str, Decimal]


async def reweigh(venue: Venue, preview: RebalancePreview) -> Reweighed:
    """Return the basket that a unit which nobody holds has by its rulebook, at the mids of now.

    What the venue lists no more is worth nothing.

    Raises:
        MissingPrice, CrossedBook: a book has no price.
    """
    symbols = preview.symbols  # of what leaves too: it is a part of what a unit is worth
    books = await venue.books(sorted(set(symbols.values())), FEW)
    if missing := sorted(symbol for symbol in symbols.values() if symbol not in books):
        raise MissingPrice(f"{missing[0]} has no book", where=missing[0])
    assert preview.version.rules is not None
    reserve = preview.version.rules.rebalance.reserve
    with money_context():
        mids = {asset: books[symbol].mid for asset, symbol in symbols.items()}
        delisted = preview.basket.quantities.keys() - mids.keys()
        nav = preview.basket.nav(mids | dict.fromkeys(delisted, ZERO))
        targets = targets_with_reserve(preview.determination.weights, reserve)
        quantities = {
            asset: divide_down(weight * nav, mids[asset], BASKET_GRID) for asset, weight in targets.items()
        }
        spent = sum((quantity * mids[asset] for asset, quantity in quantities.items()), ZERO)
        return Reweighed(nav, quantities, symbols, divide_down(nav - spent, Decimal(1), BASKET_GRID), mids)


def write_reweighed(
    connection: Connection,
    log: EventLog,
    account: Account,
    order: RebalanceOrder,
    empty: Reweighed,
    now: datetime,
) -> None:
    """Write the basket down, and end the rebalance: there is nothing to trade."""
    basket = add_basket(
        connection,
        order.index_id,
        empty.quantities,
        empty.symbols,
        empty.cash,
        f"rebalance {order.id}",
        now,
    )
    Ledger(connection, account.id).post(
        reweighing(order.index_id, order.id, basket.version, basket.quantities, basket.cash_per_unit, at=now)
    )
    record_nav(
        connection, index_by_id(connection, order.index_id), mids_at(empty.mids, now), now, Reason.REBALANCE
    )
    enter_assets(connection, order.index_id, empty.mids)
    move_index_order(connection, order.id, IndexOrderStatus.FILLED, stopped_by=("filled",), now=now)
    log.record(connection, RebalanceEnded(order.id, str(IndexOrderStatus.FILLED), "filled"), now)
