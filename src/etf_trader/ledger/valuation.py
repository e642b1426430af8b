"""Writes down what a unit is worth: its basket at prices, the units from the chain, the level of its index."""

from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime
from decimal import Decimal

from sqlalchemy import Connection

from etf_trader.errors import MissingPrice
from etf_trader.index.benchmarks import begin, current_fixing, with_last_known
from etf_trader.index.navs import Nav, Reason, add_nav
from etf_trader.index.prices import Price, mids_at, values_of
from etf_trader.index.store import Basket, Index, current_basket
from etf_trader.ledger import accounts
from etf_trader.ledger.repository import Ledger


def record_nav(
    connection: Connection, index: Index, prices: Mapping[str, Price], now: datetime, reason: str = Reason.RECORD
) -> Nav:
    """Write down what a unit of `index` is worth now and return it; twice for the same moment and state is once.

    An index that has no benchmark yet begins one: its level is NAV per unit then.

    Args:
        prices: By asset. Where one is missing, the last known is taken, flagged as such.

    Raises:
        MissingPrice: a constituent has no price and never had one; names it.
    """
    basket = current_basket(connection, index.id)
    known = with_last_known(connection, index.id, prices, basket.quantities)
    level, of_level = _level(connection, basket, {**prices, **known}, now)
    units = Ledger(connection, index.account_id).units_outstanding(accounts.issued(index.id), index.unit_asset)
    nav = basket.nav(values_of(known))
    return add_nav(connection, index.id, reason, units, nav, basket.version, level, of_level | known, now)


def record_trade(
    connection: Connection, index: Index, mids: Mapping[str, Decimal], priced_at: datetime, now: datetime
) -> None:
    """Write down what a unit is worth at the mids of a batch that changed how many there are.

    Where a price is missing nothing is written: no trade waits for that.
    """
    with suppress(MissingPrice):
        record_nav(connection, index, mids_at(mids, priced_at), now, Reason.TRADE)


def _level(
    connection: Connection, basket: Basket, prices: Mapping[str, Price], now: datetime
) -> tuple[Decimal | None, dict[str, Price]]:
    """Return the level of the index and the prices that make it; None without all of them."""
    fixing = current_fixing(connection, basket.index_id) or begin(connection, basket, prices, now)
    if fixing is None:
        return None, {}
    held = fixing.benchmark
    try:
        used = with_last_known(connection, basket.index_id, prices, held.quantities)
    except MissingPrice:
        return None, {}
    return held.level(values_of(used)), used
