"""Where loss came from: by order, index, month or asset, by part, and by the asset that fees were paid in."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC
from decimal import Decimal
from typing import ClassVar

from sqlalchemy import Connection

from etf_trader.ledger.repository import chain_head
from etf_trader.money import ZERO, bps
from etf_trader.orders.plan import LOSS_PARTS, total_loss
from etf_trader.reports.booked import Booked, booked
from etf_trader.reports.period import Period

BY = ("order", "index", "month", "asset")

_COSTS_BY = ("month", "index", "asset")


@dataclass(frozen=True, slots=True)
class LossLine:
    """The loss of what was traded of one order, index, month or asset: positive is a cost.

    `traded` is price x quantity of all fills. `loss` = delay + spread + depth +
    fee + rounding, and `cash_loss` is what cash says it is: paid for units less
    what they were worth at arrival, and the other way round for what was sold;
    the two are equal. It is null by asset: cash is paid for whole units.
    `loss_bps` is of what the units were worth at arrival, null where a rebalance
    is among it; `traded_bps` is of `traded`.
    """

    MONEY: ClassVar[tuple[str, ...]] = ("traded", "loss", *LOSS_PARTS, "cash_loss", "arrival_value", "held_value")

    by: str
    key: str
    index: str | None
    side: str | None
    currency: str
    orders: int
    fills: int
    traded: Decimal
    loss: Decimal
    loss_bps: Decimal | None
    traded_bps: Decimal
    delay: Decimal
    spread: Decimal
    depth: Decimal
    fee: Decimal
    rounding: Decimal
    cash_loss: Decimal | None
    arrival_value: Decimal | None
    held_value: Decimal | None


@dataclass(frozen=True, slots=True)
class FeeLine:
    """What the venue took in one asset; `value` is what that cost orders."""

    MONEY: ClassVar[tuple[str, ...]] = ("traded", "value")

    asset: str
    quantity: Decimal
    currency: str
    value: Decimal
    traded: Decimal
    traded_bps: Decimal


@dataclass(frozen=True, slots=True)
class LossReport:
    """Losses of an account in a period; `totals` has a line for each currency that indices are priced in."""

    by: str
    head: str
    totals: tuple[LossLine, ...]
    losses: tuple[LossLine, ...]


@dataclass(frozen=True, slots=True)
class CostsReport:
    """What trading cost in a period: `costs` by month, index and asset, `fees` by the asset they were paid in."""

    head: str
    totals: tuple[LossLine, ...]
    costs: tuple[LossLine, ...]
    fees: tuple[FeeLine, ...]


def loss_report(
    connection: Connection, account_id: int, by: str, period: Period, index_id: int | None = None
) -> LossReport:
    """Return the losses of an account, in lines by one of `BY`."""
    rows = booked(connection, account_id, period, index_id)
    head = chain_head(connection, account_id)[1]
    return LossReport(by, head, _lines("total", rows), _lines(by, rows))


def costs_report(
    connection: Connection, account_id: int, period: Period, index_id: int | None = None
) -> CostsReport:
    """Return what trading cost an account, and what of it the venue took in which asset."""
    rows = booked(connection, account_id, period, index_id)
    head = chain_head(connection, account_id)[1]
    lines = tuple(line for by in _COSTS_BY for line in _lines(by, rows))
    return CostsReport(head, _lines("total", rows), lines, _fees(rows))


_KEYS: dict[str, Callable[[Booked], object]] = {
    "total": lambda row: "",
    "order": lambda row: row.trader.number,
    "index": lambda row: row.trader.index.symbol,
    "month": lambda row: row.at.astimezone(UTC).strftime("%Y-%m"),
    "asset": lambda row: row.asset,
}


def _lines(by: str, rows: Sequence[Booked]) -> tuple[LossLine, ...]:
    grouped: dict[tuple[object, str], list[Booked]] = {}
    for row in rows:
        if by == "asset" and not row.asset:
            continue  # cash and units are of no one asset
        grouped.setdefault((_KEYS[by](row), row.trader.index.quote), []).append(row)
    return tuple(
        _line(by, str(key), currency, own)
        for (key, currency), own in sorted(grouped.items(), key=lambda item: item[0])
    )


def _line(by: str, key: str, currency: str, rows: Sequence[Booked]) -> LossLine:
    loss = total_loss(row.loss for row in rows)
    traded = _sum(rows, "traded")
    is_whole = by != "asset"
    arrival = _sum(rows, "arrival_value") if is_whole else None
    is_of_units = all(row.trader.side is not None for row in rows)
    first = rows[0]
    return LossLine(
        by=by,
        key=key,
        index=first.trader.index.symbol if by == "order" else None,
        side=_side(first) if by == "order" else None,
        currency=currency,
        orders=len({row.trader.number for row in rows}),
        fills=sum(row.is_fill for row in rows),
        traded=traded,
        loss=loss.total,
        loss_bps=bps(loss.total, arrival) if arrival and is_of_units else None,
        traded_bps=bps(loss.total, traded),
        delay=loss.delay,
        spread=loss.spread,
        depth=loss.depth,
        fee=loss.fee,
        rounding=loss.rounding,
        cash_loss=_sum(rows, "cash_loss") if is_whole else None,
        arrival_value=arrival,
        held_value=_sum(rows, "held_value") if is_whole else None,
    )


def _side(row: Booked) -> str:
    return "rebalance" if row.trader.side is None else str(row.trader.side)


def _fees(rows: Sequence[Booked]) -> tuple[FeeLine, ...]:
    grouped: dict[tuple[str, str], list[Booked]] = {}
    for row in rows:
        if row.fee_asset:
            grouped.setdefault((row.fee_asset, row.trader.index.quote), []).append(row)
    lines = []
    for (asset, currency), own in sorted(grouped.items()):
        value, traded = _sum(own, "fee_value"), _sum(own, "traded")
        quantity = _sum(own, "fee_quantity")
        lines.append(FeeLine(asset, quantity, currency, value, traded, bps(value, traded)))
    return tuple(lines)


def _sum(rows: Iterable[Booked], name: str) -> Decimal:
    return sum((getattr(row, name) for row in rows), ZERO)
