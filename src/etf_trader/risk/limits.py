"""The limits of an account: their names, what they count, their defaults, and what was set instead."""

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from datetime import datetime
from decimal import Decimal
from difflib import get_close_matches

from sqlalchemy import Connection, delete, insert, select

from etf_trader.errors import NotFound, UsageError
from etf_trader.money import ONE, ZERO, ceil_to, plain, spoken
from etf_trader.risk.tables import risk_limits as limit_rows

OFF = None
"""A limit that is off refuses nothing."""


@dataclass(frozen=True, slots=True)
class RiskLimits:
    """What may be sent; a limit that is None is off. Values are in the quote of the index, currencies at par."""

    index_order: Decimal | None = Decimal(100_000_000)
    asset_order: Decimal | None = Decimal(25_000_000)
    position: Decimal | None = Decimal(250_000_000)
    position_share: Decimal | None = OFF
    open_orders: Decimal | None = Decimal(5_000)
    price_collar: Decimal | None = Decimal(200)
    book_age: Decimal | None = Decimal(5)
    order_rate: Decimal | None = Decimal(500)
    daily_loss: Decimal | None = Decimal(1_000_000)

    def while_finishing(self) -> "RiskLimits":
        """Return what binds orders that complete or trade back what an index order holds already.

        They shrink what is open, so no size, count or loss refuses them: what
        is left unfinished would be the greater risk. Bad prices do refuse them.
        """
        kept = ("price_collar", "book_age", "order_rate")
        return replace(self, **{each.name: OFF for each in fields(self) if each.name not in kept})


@dataclass(frozen=True, slots=True)
class LimitKind:
    """What a limit counts, in which unit, in which steps, and the largest value that makes sense."""

    name: str
    unit: str
    meaning: str
    step: Decimal = Decimal("0.01")
    most: Decimal = Decimal("1e18")


CASH, PERCENT, BPS, SECONDS, COUNT = "quote", "percent", "bps", "seconds", "orders"
"""The units of limits."""

LIMITS = {
    kind.name: kind
    for kind in (
        LimitKind("index_order", CASH, "the largest index order, by value at its arrival"),
        LimitKind("asset_order", CASH, "the largest order to the venue, by value"),
        LimitKind("position", CASH, "the largest position, by value"),
        LimitKind(
            "position_share", PERCENT, "the largest share of an index's units in one position", most=Decimal(100)
        ),
        LimitKind("open_orders", COUNT, "the most orders to the venue at once", step=ONE),
        LimitKind("price_collar", BPS, "the farthest from mid that an order's price may be", most=Decimal(10_000)),
        LimitKind("book_age", SECONDS, "the oldest book that is traded on, at a live venue"),
        LimitKind("order_rate", COUNT, "the most orders to the venue in a second", step=ONE),
        LimitKind("daily_loss", CASH, "the most that the orders of a UTC day may lose"),
    )
}
"""Every limit by its name, which is also the code of a refusal."""


@dataclass(frozen=True, slots=True)
class SetLimit:
    """A limit that somebody set; `value` None: off."""

    name: str
    value: Decimal | None
    set_at: datetime
    set_by: str


def set_limits(connection: Connection, account_id: int) -> Mapping[str, SetLimit]:
    """Return what was set for an account, by name; what is not among it has its default."""
    rows = connection.execute(select(limit_rows).where(limit_rows.c.account_id == account_id))
    return {row.name: SetLimit(row.name, row.value, row.set_at, row.set_by) for row in rows}


def risk_limits(connection: Connection, account_id: int) -> RiskLimits:
    """Return the limits in force for an account."""
    found = set_limits(connection, account_id)
    return replace(RiskLimits(), **{name: each.value for name, each in found.items() if name in LIMITS})


def write_limit(
    connection: Connection, account_id: int, name: str, value: Decimal | None, now: datetime, *, by: str
) -> None:
    """Set a limit; None turns it off.

    Raises:
        NotFound: there is no limit of this name.
        UsageError: the value makes no sense for it.
    """
    check_value(limit_kind(name), value)
    forget_limit(connection, account_id, name)
    row = {"account_id": account_id, "name": name, "value": value, "set_at": now, "set_by": by}
    connection.execute(insert(limit_rows), row)


def forget_limit(connection: Connection, account_id: int, name: str) -> None:
    """Give a limit its default again."""
    known = (limit_rows.c.account_id == account_id, limit_rows.c.name == limit_kind(name).name)
    connection.execute(delete(limit_rows).where(*known))


def limit_kind(name: str) -> LimitKind:
    """Return what a limit of this name counts.

    Raises:
        NotFound: there is none; suggests the nearest.
    """
    if name not in LIMITS:
        near = get_close_matches(name.replace("-", "_"), LIMITS, n=1, cutoff=0.5)
        meant = f"; did you mean {near[0]}?" if near else ""
        raise NotFound(f"there is no limit {name!r}{meant}", where="NAME", hint="etf risk show lists them")
    return LIMITS[name]


def check_value(kind: LimitKind, value: Decimal | None) -> None:
    """Check that a limit of this kind can have this value.

    Raises:
        UsageError: it cannot.
    """
    if value is None:
        return
    if value <= ZERO:
        hint = f"etf risk set {kind.name} off turns it off; etf halt stops everything"
        raise UsageError(f"{kind.name} must be above zero", where="VALUE", hint=hint)
    if value > kind.most:
        hint = f"etf risk set {kind.name} off turns it off"
        raise UsageError(f"{kind.name} is at most {spoken(kind.most)} {kind.unit}", where="VALUE", hint=hint)
    if value % kind.step:
        wrong = "is not whole" if kind.step == ONE else f"is no multiple of {kind.step}"
        hint = f"etf risk set {kind.name} {plain(ceil_to(value, kind.step))}"
        raise UsageError(f"{kind.name} cannot be {spoken(value)}: it {wrong}", where="VALUE", hint=hint)
