"""Which indices the end of a market concerns."""

from collections.abc import Iterable

from sqlalchemy import Connection

from etf_trader.index.store import current_basket, list_indices


def concerned(connection: Connection, account_id: int, symbols: Iterable[str]) -> dict[str, list[str]]:
    """Return, by symbol, the open indices whose constituents trade there; markets of none are left out."""
    ending, found = set(symbols), dict[str, list[str]]()
    for index in list_indices(connection, account_id):
        if index.is_open:
            for symbol in ending & set(current_basket(connection, index.id).symbols.values()):
                found.setdefault(symbol, []).append(index.symbol)
    return found
