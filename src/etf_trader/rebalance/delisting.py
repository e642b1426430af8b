"""Which indices have to sell a constituent before its market ends, whatever their calendars say."""

from collections.abc import Iterable
from dataclasses import dataclass

from sqlalchemy import Connection

from etf_trader.index.history import versions_of
from etf_trader.index.store import Index, current_basket, list_indices
from etf_trader.orders.rebalances import list_rebalances


@dataclass(frozen=True, slots=True)
class Leaving:
    """An open index, and the constituents that its rulebook wants sold before their markets end."""

    index: Index
    assets: tuple[str, ...]


def sellers(connection: Connection, account_id: int) -> list[Index]:
    """Return the open indices whose rulebook sells a constituent before its market ends, oldest first."""
    found = []
    for index in list_indices(connection, account_id):
        rules = versions_of(connection, index.id)[-1].rules
        if index.is_open and rules is not None and rules.delisting.sells:
            found.append(index)
    return found


def leaving(connection: Connection, indices: Iterable[Index], ending: Iterable[str]) -> list[Leaving]:
    """Return which of these indices hold what is to be sold now.

    What the latest rebalance wanted out already is left to the next of the calendar: it was too little to be sold,
    or could not be.

    Args:
        ending: The markets that will end and trade now.
    """
    markets, found = set(ending), []
    for index in indices:
        basket = current_basket(connection, index.id)
        assets = {asset for asset in basket.quantities if basket.symbols[asset] in markets}
        if assets and (past := list_rebalances(connection, index_id=index.id)):
            assets -= {leg.asset for leg in past[-1].request.legs if not leg.target}
        if assets:
            found.append(Leaving(index, tuple(sorted(assets))))
    return found
