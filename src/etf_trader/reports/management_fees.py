"""What management fees took out of an index, in its quote."""

import json
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from sqlalchemy import Connection, select

from etf_trader.index.navs import Nav, navs_of
from etf_trader.index.store import Index
from etf_trader.ledger.tables import transactions
from etf_trader.money import ZERO
from etf_trader.reports.period import ALWAYS, Period, within


@dataclass(frozen=True, slots=True)
class FeeTaken:
    """A fee that was taken, by the key of its transaction: of `units` units, `per_unit` in quote of each."""

    key: str
    at: datetime
    units: Decimal
    per_unit: Decimal

    @property
    def value(self) -> Decimal:
        """What it took of all units, in quote."""
        return self.units * self.per_unit


def fees_taken(connection: Connection, index: Index, period: Period = ALWAYS) -> list[FeeTaken]:
    """Return every fee that was taken in a period, oldest first.

    It is taken in kind, just before something trades: so it counts at the prices
    that were written down next, or last where none have been since. What has
    neither counts as nothing.
    """
    query = select(transactions.c.key, transactions.c.at, transactions.c.evidence).where(
        transactions.c.account_id == index.account_id,
        transactions.c.kind == "fee",
        transactions.c.key.startswith(f"fee:{index.id}:"),
        *within(transactions.c.at, period),
    )
    rows = connection.execute(query.order_by(transactions.c.id)).all()
    known = navs_of(connection, index.id) if rows else []
    times = [nav.at for nav in known]
    found = []
    for row in rows:
        facts = json.loads(row.evidence)["facts"]
        taken = {asset: Decimal(text) for asset, text in facts["taken"].items()}
        per_unit = _worth(taken, index.quote, known, bisect_left(times, row.at))
        found.append(FeeTaken(row.key, row.at, Decimal(facts["units"]), per_unit))
    return found


def _worth(taken: Mapping[str, Decimal], quote: str, navs: Sequence[Nav], place: int) -> Decimal:
    """Return what was taken of a unit, by the prices of the row at `place`, or of the one before."""
    prices: dict[str, Decimal] = {}
    for nav in navs[max(place - 1, 0) : place + 1]:
        prices |= {asset: price.value for asset, price in nav.prices.items()}
    prices[quote] = Decimal(1)
    return sum((quantity * prices.get(asset, ZERO) for asset, quantity in taken.items()), ZERO)
