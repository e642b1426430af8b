"""The part of the audit that holds management fees against the rulebooks: never more than the rate, nor twice."""

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal

from sqlalchemy import Connection, Row

from etf_trader.index.fees import WHOLE, Rate, charge, rates_of
from etf_trader.index.store import Basket
from etf_trader.money import BASKET_GRID, ZERO, plain

Find = Callable[[str, str], None]


def audit_fees(
    connection: Connection,
    chain: Sequence[Row[tuple[object, ...]]],
    baskets: Mapping[tuple[int, int], Basket],
    find: Find,
) -> None:
    """Check every fee: its time follows the last one's, its charge is the rulebook's, its size is within that."""
    rates: dict[int, list[Rate]] = {}
    taken_until: dict[int, datetime] = {}
    for row in chain:
        if row.kind != "fee":
            continue
        entry, facts = f"transaction {row.sequence} ({row.key})", json.loads(row.evidence)["facts"]
        index_id, version = int(facts["index"]), int(facts["basket"])
        start, end = (datetime.fromisoformat(facts[name]) for name in ("from", "until"))
        if start < taken_until.get(index_id, start):
            find(entry, "it takes a fee for a time for which one was taken already")
        taken_until[index_id] = end
        if index_id not in rates:
            rates[index_id] = rates_of(connection, index_id)
        charged = charge(rates[index_id], start, end)
        if charged != Decimal(facts["charge"]):
            find(entry, f"it charges {facts['charge']}, by its rulebook it is {plain(charged)}")
        _check_size(entry, facts["taken"], charged, baskets.get((index_id, version - 1)), find)


def _check_size(entry: str, taken: Mapping[str, str], charged: Decimal, before: Basket | None, find: Find) -> None:
    """Check that no more than the charge, and less than a step that was owed, was taken of any asset."""
    if before is None:
        find(entry, "there is no basket before it")
        return
    for asset, quantity in taken.items():
        held = before.quantities.get(asset, before.cash_per_unit)
        if (Decimal(quantity) - BASKET_GRID) * WHOLE > held * charged or Decimal(quantity) <= ZERO:
            find(entry, f"it takes {quantity} {asset} a unit, more than its charge of {plain(held)}")
