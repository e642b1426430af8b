"""What disposals earned: units of positions, and, apart from them, assets of indices, orders, floats and fees.

A holder's gain is that of the units. What the assets of an index or of an order
gained on the way is in the worth of the units already: it is told beside it, and
never added to it. What the float, the fee inventory and a management fee in kind gained is the owner's.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, ClassVar

from sqlalchemy import Connection, Row, select

from etf_trader.execution.transfers import OWNER
from etf_trader.index.store import Index, Position, list_indices, list_positions
from etf_trader.ledger.accounts import FEE_INVENTORY
from etf_trader.ledger.repository import chain_head, holder_names
from etf_trader.ledger.tables import disposals, lots, transactions
from etf_trader.ledger.transaction import LotAction, LotMove
from etf_trader.market.currency import DEFAULT
from etf_trader.money import ZERO
from etf_trader.reports.booked import Trader, traders
from etf_trader.reports.period import Period, within

UNITS, INDEX, ORDER, FLOAT, FEES, MANAGEMENT = "units", "index", "order", "float", "fees", "management"
OF = (UNITS, INDEX, ORDER, FLOAT, FEES, MANAGEMENT)
"""What was disposed of: units of a position; assets of an index, of an order, of a float, of the fee inventory, or
that a management fee was taken in."""


@dataclass(frozen=True, slots=True)
class GainLine:
    """A part of a lot that left: `proceeds` are net of `fee`; gain = proceeds - cost. Years are UTC's.

    `bearer` is who has the gain: a holder, or the holders of an index in the
    worth of their units. A quantity of zero corrects the proceeds of what was
    sold before. `lot_method` says which lots left first. `days_held` is 0 where a
    trade was found late, and what it took came out of a lot that is younger.
    """

    MONEY: ClassVar[tuple[str, ...]] = ("proceeds", "cost", "fee", "gain")

    year: int
    of: str
    bearer: str
    index: str | None
    position: int | None
    order: int | None
    asset: str
    lot_method: str
    currency: str
    acquired_at: datetime
    disposed_at: datetime
    quantity: Decimal
    proceeds: Decimal
    cost: Decimal
    fee: Decimal
    gain: Decimal
    days_held: int
    transaction: str


@dataclass(frozen=True, slots=True)
class GainSum:
    """The sum of lines of one kind, year, asset, bearer and lot method."""

    MONEY: ClassVar[tuple[str, ...]] = ("proceeds", "cost", "fee", "gain")

    year: int
    of: str
    bearer: str
    index: str | None
    asset: str | None
    lot_method: str
    currency: str
    disposals: int
    quantity: Decimal | None
    proceeds: Decimal
    cost: Decimal
    fee: Decimal
    gain: Decimal


@dataclass(frozen=True, slots=True)
class GainsReport:
    """Disposals of an account: `years` by kind, `sums` by kind and asset; `gains` has each."""

    head: str
    years: tuple[GainSum, ...]
    sums: tuple[GainSum, ...]
    gains: tuple[GainLine, ...]


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which disposals are wanted; None: whatever they are of."""

    index: int | None = None
    position: int | None = None
    holder: str | None = None


@dataclass(frozen=True, slots=True)
class _Known:
    """Whose accounts are whose."""

    indices: Mapping[int, Index]
    positions: Mapping[int, Position]
    orders: Mapping[int, Trader]
    holders: Mapping[int, str]


@dataclass(frozen=True, slots=True)
class _Owner:
    """What an account of the ledger is, and who bears what its lots gain."""

    of: str
    bearer: str
    index: Index | None
    position: int | None


def gains_report(connection: Connection, account_id: int, period: Period, wanted: Wanted) -> GainsReport:
    """Return what was disposed of within `period`, in the order of booking."""
    known = _known(connection, account_id)
    query = (
        select(
            disposals,
            lots.c.account,
            lots.c.asset,
            transactions.c.key,
            transactions.c.index_order_id,
        )
        .join(lots, lots.c.id == disposals.c.lot_id)
        .join(transactions, transactions.c.id == disposals.c.transaction_id)
        .where(lots.c.account_id == account_id, *within(disposals.c.disposed_at, period))
        .order_by(disposals.c.id)
    )
    methods = _methods(connection, account_id, period)
    lines = []
    for row in connection.execute(query):
        owner = _owner(row.account, row.index_order_id, known)
        if _is_wanted(owner, wanted):
            method = methods.get((row.transaction_id, row.account, row.asset), "fifo")
            lines.append(_line(row, owner, method))
    return GainsReport(
        head=chain_head(connection, account_id)[1],
        years=_sums(lines, with_asset=False),
        sums=_sums(lines, with_asset=True),
        gains=tuple(lines),
    )


def _known(connection: Connection, account_id: int) -> _Known:
    indices = {index.id: index for index in list_indices(connection, account_id)}
    positions = {each.id: each for each in list_positions(connection) if each.index_id in indices}
    names = holder_names(connection)
    return _Known(
        indices=indices,
        positions=positions,
        orders=traders(connection, account_id),
        holders={each.id: names[each.holder_id] for each in positions.values()},
    )


def _owner(account: str, order_id: int | None, known: _Known) -> _Owner:
    kind, _, number = account.partition(":")
    if kind == "position":
        position = known.positions[int(number)]
        return _Owner(UNITS, known.holders[position.id], known.indices[position.index_id], position.id)
    if kind == "order":
        order = known.orders[int(number)]
        return _Owner(INDEX if order.side is None else ORDER, order.bearer, order.index, order.position)
    if kind in ("index", "float"):
        held = known.indices[int(number)]
        bearer = OWNER if kind == "float" else f"holders of {held.symbol}"
        return _Owner(FLOAT if kind == "float" else INDEX, bearer, held, None)
    if kind == "fee_payable":
        return _Owner(MANAGEMENT, OWNER, known.indices[int(number)], None)
    paying = known.orders.get(order_id or 0)
    index = None if paying is None else paying.index
    return _Owner(FEES, OWNER, index, None) if account == FEE_INVENTORY else _Owner(INDEX, account, index, None)


def _is_wanted(owner: _Owner, wanted: Wanted) -> bool:
    if wanted.index is not None and (owner.index is None or owner.index.id != wanted.index):
        return False
    if wanted.position is not None and owner.position != wanted.position:
        return False
    return wanted.holder is None or owner.bearer == wanted.holder


def _line(row: Row[Any], owner: _Owner, lot_method: str) -> GainLine:
    return GainLine(
        year=row.disposed_at.astimezone(UTC).year,
        of=owner.of,
        bearer=owner.bearer,
        index=None if owner.index is None else owner.index.symbol,
        position=owner.position,
        order=row.index_order_id,
        asset=row.asset,
        lot_method=lot_method,
        currency=DEFAULT if owner.index is None else owner.index.quote,
        acquired_at=row.acquired_at,
        disposed_at=row.disposed_at,
        quantity=row.quantity,
        proceeds=row.proceeds,
        cost=row.cost,
        fee=row.fee,
        gain=row.gain,
        days_held=max(row.days_held, 0),
        transaction=row.key,
    )


def _methods(connection: Connection, account_id: int, period: Period) -> dict[tuple[int, str, str], str]:
    """Return by which method lots were chosen, by transaction, account and asset, as the transaction says."""
    disposing = select(disposals.c.transaction_id).where(*within(disposals.c.disposed_at, period))
    query = select(transactions.c.id, transactions.c.evidence).where(
        transactions.c.account_id == account_id, transactions.c.id.in_(disposing)
    )
    found: dict[tuple[int, str, str], str] = {}
    for row in connection.execute(query):
        for move in map(LotMove.from_list, json.loads(row.evidence)["lots"]):
            if move.action is LotAction.DISPOSE:
                found.setdefault((row.id, move.account, move.asset), move.method)
    return found


def _sums(lines: Sequence[GainLine], *, with_asset: bool) -> tuple[GainSum, ...]:
    grouped: dict[tuple[Any, ...], list[GainLine]] = {}
    for line in lines:
        asset = line.asset if with_asset else ""
        key = (line.year, OF.index(line.of), line.bearer, line.index or "", asset, line.lot_method, line.currency)
        grouped.setdefault(key, []).append(line)
    return tuple(_sum(own, with_asset=with_asset) for _, own in sorted(grouped.items(), key=lambda item: item[0]))


def _sum(lines: Sequence[GainLine], *, with_asset: bool) -> GainSum:
    def add(name: str) -> Decimal:
        return sum((getattr(line, name) for line in lines), ZERO)

    first = lines[0]
    return GainSum(
        year=first.year,
        of=first.of,
        bearer=first.bearer,
        index=first.index,
        asset=first.asset if with_asset else None,
        lot_method=first.lot_method,
        currency=first.currency,
        disposals=len(lines),
        quantity=add("quantity") if with_asset else None,
        proceeds=add("proceeds"),
        cost=add("cost"),
        fee=add("fee"),
        gain=add("gain"),
    )
