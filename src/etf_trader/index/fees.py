"""The management fee of an index, in kind: what it takes of a unit over a time, and how far it has been taken.

A unit gives `rate x seconds / 31,536,000` of everything that it holds. Quantities
of a basket stand on a grid; what is less than a step of it stays in the basket
and is owed until it makes a step, so that a unit never pays more than the rate,
however often the fee is taken.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal

from sqlalchemy import Connection, insert, select, update

from etf_trader.index.store import Basket
from etf_trader.index.tables import fee_accruals, methodologies
from etf_trader.money import BASKET_GRID, ZERO, floor_to, share_down
from etf_trader.seal import canonical, seal

OWED_GRID = Decimal("1e-24")
"""What is owed is counted in steps of this size a unit, rounded down."""

REASON = "management fee"

_MICROSECOND = timedelta(microseconds=1)
WHOLE = Decimal(10_000) * 31_536_000 * 1_000_000
"""The charge that takes everything: all basis points of a year, in basis points x microseconds."""


@dataclass(frozen=True, slots=True)
class Accrual:
    """How far the fee of an index has been taken: until when, and what a unit owes of each asset beside."""

    index_id: int
    until: datetime
    owed: Mapping[str, Decimal]
    seal: str

    def facts_seal(self) -> str:
        """Return the seal that its values should have."""
        return seal("etf.fee_accrual/1", {"index": self.index_id, "until": self.until, "owed": self.owed})


@dataclass(frozen=True, slots=True)
class Rate:
    """What the fee is from a moment on, in basis points a year."""

    effective_at: datetime
    bps: Decimal


@dataclass(frozen=True, slots=True)
class Taken:
    """What a fee takes of one unit, by asset, the quote among them; and what stays owed."""

    quantities: Mapping[str, Decimal]
    owed: Mapping[str, Decimal]

    def out_of(self, basket: Basket, quote: str) -> Basket:
        """Return the basket that is left, as the version that follows."""
        left = {
            asset: quantity - self.quantities.get(asset, ZERO) for asset, quantity in basket.quantities.items()
        }
        return replace(
            basket,
            version=basket.version + 1,
            quantities={asset: quantity for asset, quantity in left.items() if quantity},
            symbols={asset: symbol for asset, symbol in basket.symbols.items() if left[asset]},
            cash_per_unit=basket.cash_per_unit - self.quantities.get(quote, ZERO),
            reason=REASON,
        )


def charge(rates: list[Rate], start: datetime, end: datetime) -> Decimal:
    """Return what is charged between two moments, in basis points x microseconds. Exact.

    Args:
        rates: Oldest first; before the first nothing is charged.
        start: From when.
        end: Until when; not after `start`: nothing.
    """
    total = ZERO
    ends = [*(each.effective_at for each in rates[1:]), end]
    for rate, until in zip(rates, ends, strict=True):
        span = min(until, end) - max(rate.effective_at, start)
        total += rate.bps * max(0, span // _MICROSECOND)
    return total


def take(basket: Basket, quote: str, charged: Decimal, owed: Mapping[str, Decimal]) -> Taken:
    """Return what a charge takes of one unit, with what was owed already. Pure."""
    held = {**basket.quantities, quote: basket.cash_per_unit}
    taken, left = {}, {}
    for asset, quantity in held.items():
        due = share_down(quantity, charged, WHOLE, OWED_GRID) + owed.get(asset, ZERO)
        part = min(floor_to(due, BASKET_GRID), quantity)
        if part:
            taken[asset] = part
        if part < due and part < quantity:
            left[asset] = due - part
    return Taken(taken, left)


def rates_of(connection: Connection, index_id: int) -> list[Rate]:
    """Return what the fee of an index is by its rulebooks, oldest first."""
    query = select(methodologies.c.effective_at, methodologies.c.document).where(
        methodologies.c.index_id == index_id
    )
    return [
        Rate(at, Decimal(json.loads(document).get("fee", {}).get("management_bps", "0")))
        for at, document in connection.execute(query.order_by(methodologies.c.version))
    ]


def accrual_of(connection: Connection, index_id: int) -> Accrual | None:
    """Return how far the fee of an index has been taken; None for an index that never had one."""
    row = connection.execute(select(fee_accruals).where(fee_accruals.c.index_id == index_id)).one_or_none()
    if row is None:
        return None
    owed = {asset: Decimal(text) for asset, text in json.loads(row.owed).items()}
    return Accrual(row.index_id, row.accrued_until, owed, row.seal)


def list_accruals(connection: Connection) -> list[Accrual]:
    """Return how far the fee of every index that has one has been taken."""
    numbers = list(connection.scalars(select(fee_accruals.c.index_id).order_by(fee_accruals.c.index_id)))
    return [found for number in numbers if (found := accrual_of(connection, number)) is not None]


def write_accrual(connection: Connection, index_id: int, until: datetime, owed: Mapping[str, Decimal]) -> None:
    """Write down until when a fee has been taken, and what is owed beside."""
    made = Accrual(index_id, until, dict(owed), "")
    row = {"accrued_until": until, "owed": canonical(made.owed), "seal": made.facts_seal()}
    if accrual_of(connection, index_id) is None:
        connection.execute(insert(fee_accruals), {"index_id": index_id, **row})
    else:
        connection.execute(update(fee_accruals).where(fee_accruals.c.index_id == index_id).values(**row))


def begin(connection: Connection, index_id: int, document: Mapping[str, object], now: datetime) -> None:
    """Let the fee of a rulebook run from now on, if it has one and none ran before."""
    fee = document.get("fee")
    rate = fee.get("management_bps", "0") if isinstance(fee, Mapping) else "0"
    if Decimal(str(rate)) and accrual_of(connection, index_id) is None:
        write_accrual(connection, index_id, now, {})
