"""What the chain says of a holder over a period: units, cash in the treasury, and what moved of both."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import ClassVar, NamedTuple

from sqlalchemy import Connection

from etf_trader.index.store import Basket, Index, Position, basket_of_version, list_indices, list_positions
from etf_trader.ledger import accounts
from etf_trader.ledger.accounts import position_of
from etf_trader.ledger.replay import Books, Entry, entries
from etf_trader.ledger.repository import find_holder
from etf_trader.ledger.transaction import LotAction, LotMove
from etf_trader.money import ZERO
from etf_trader.orders.store import list_index_orders
from etf_trader.reports.period import Period

_CASH_OF_KIND = {"funding": "floats", "fees": "fee_inventory", "fee_payment": "management_fees"}
_OF_ORDERS = ("accept", "release", "recall")


@dataclass(frozen=True, slots=True)
class FlowLine:
    """Units that a holder got for cash, or gave for it; both without a sign. A correction has no units."""

    MONEY: ClassVar[tuple[str, ...]] = ("cash",)

    at: datetime
    position: int
    order: int | None
    kind: str
    units: Decimal
    currency: str
    cash: Decimal
    transaction: str


@dataclass(frozen=True, slots=True)
class CashLine:
    """What moved of one asset in a treasury: opening + movements = closing. `set_aside` lies in open orders."""

    asset: str
    opening: Decimal
    deposits: Decimal
    withdrawals: Decimal
    orders: Decimal
    floats: Decimal
    fee_inventory: Decimal
    management_fees: Decimal
    other: Decimal
    closing: Decimal
    set_aside: Decimal


@dataclass(frozen=True, slots=True)
class HeldLine:
    """What an order of a holder holds of an asset, in base: not sold yet, and no part of any unit.

    `price` and `value` are None where the basket of its index knows no price of it.
    """

    MONEY: ClassVar[tuple[str, ...]] = ("price", "value")

    order: int
    position: int
    index: str
    currency: str
    asset: str
    quantity: Decimal
    price: Decimal | None = None
    value: Decimal | None = None
    price_source: str = ""


class FeeShare(NamedTuple):
    """The units of a position that a management fee was taken of, by the key of its transaction."""

    position: int
    key: str
    units: Decimal


@dataclass(slots=True)
class _Stake:
    """What a position held when a period begins and ends, in units and at cost."""

    opening_units: Decimal = ZERO
    closing_units: Decimal = ZERO
    cost: Decimal = ZERO


@dataclass(slots=True)
class History:
    """What the chain says of a holder in a period, before anything is valued; `orders` have their positions."""

    account: int
    holder: str
    indices: Mapping[int, Index]
    positions: Sequence[Position]
    orders: Mapping[int, int]
    stakes: dict[int, _Stake] = field(default_factory=dict)
    flows: list[FlowLine] = field(default_factory=list)
    fees: list[FeeShare] = field(default_factory=list)
    held: list[HeldLine] = field(default_factory=list)
    cash: dict[str, dict[str, Decimal]] = field(default_factory=dict)
    opening_baskets: dict[int, Basket] = field(default_factory=dict)
    closing_baskets: dict[int, Basket] = field(default_factory=dict)
    head: str = ""


def history(connection: Connection, account_id: int, holder: str, period: Period) -> History:
    """Return what a holder had and moved in `period`, by the chain."""
    number = find_holder(connection, holder)
    indices = {index.id: index for index in list_indices(connection, account_id)}
    own = [] if number is None else list_positions(connection, holder_id=number)
    positions = [each for each in own if each.index_id in indices]
    numbers = {each.id for each in positions}
    orders = list_index_orders(connection, account_id=account_id)
    found = History(
        account=account_id,
        holder=holder,
        indices=indices,
        positions=positions,
        orders={order.id: order.position_id for order in orders if order.position_id in numbers},
        stakes={each.id: _Stake() for each in positions},
    )
    books, is_open, versions = Books(), False, dict[int, int]()
    for entry in entries(connection, account_id):
        if period.until is not None and entry.booked_at >= period.until:
            break
        if not is_open and (period.since is None or entry.booked_at >= period.since):
            is_open, versions = True, dict(books.versions)
            _open(found, books)
        books.apply(entry)
        if is_open:
            _follow(found, entry, books)
    if not is_open:
        versions = dict(books.versions)
        _open(found, books)
    _close(found, books)
    found.opening_baskets = _baskets(connection, found, "opening_units", versions)
    found.closing_baskets = _baskets(connection, found, "closing_units", books.versions)
    return found


def _baskets(connection: Connection, found: History, units: str, versions: Mapping[int, int]) -> dict[int, Basket]:
    """Return the basket in force of each index of which there is something to value."""
    held = {each.index_id for each in found.positions if getattr(found.stakes[each.id], units)}
    if units == "closing_units":
        held |= {each.index_id for each in found.positions if any(line.position == each.id for line in found.held)}
    return {number: basket_of_version(connection, number, versions.get(number, 1)) for number in sorted(held)}


def _open(found: History, books: Books) -> None:
    for position in found.positions:
        found.stakes[position.id].opening_units = _units(books, position)
    for asset, amount in books.holdings(accounts.treasury(found.holder)).items():
        _cash(found, asset)["opening"] = amount


def _close(found: History, books: Books) -> None:
    for position in found.positions:
        stake, unit = found.stakes[position.id], accounts.unit(position.index_id)
        stake.closing_units = _units(books, position)
        stake.cost = books.lots.cost(accounts.position(position.id), unit)
    for asset, amount in books.holdings(accounts.treasury(found.holder)).items():
        _cash(found, asset)["closing"] = amount
    for order in found.orders:
        for asset, moved in found.cash.items():
            moved["set_aside"] += books.balances.get((accounts.order(order), asset), ZERO)
    found.held = list(_held_by_orders(found, books))
    found.head = books.head


def _held_by_orders(found: History, books: Books) -> Iterator[HeldLine]:
    """Yield what orders have bought or not sold yet; cash that they have set aside stands with the treasury."""
    positions = {each.id: found.indices[each.index_id] for each in found.positions}
    for order, position in sorted(found.orders.items()):
        index = positions[position]
        for asset, quantity in sorted(books.holdings(accounts.order(order)).items()):
            if asset != index.quote and not accounts.is_unit(asset):
                yield HeldLine(order, position, index.symbol, index.quote, asset, quantity)


def _units(books: Books, position: Position) -> Decimal:
    return books.lots.quantity(accounts.position(position.id), accounts.unit(position.index_id))


def _cash(found: History, asset: str) -> dict[str, Decimal]:
    return found.cash.setdefault(asset, {name: ZERO for name in CashLine.__slots__ if name != "asset"})


def _follow(found: History, entry: Entry, books: Books) -> None:
    if entry.kind == "fee":
        index = int(entry.facts["index"])
        for each in found.positions:
            if each.index_id == index and (units := _units(books, each)):
                found.fees.append(FeeShare(each.id, entry.key, units))
    for move in entry.moves:
        number = position_of(move.account)
        if number in found.stakes and accounts.is_unit(move.asset):
            found.flows.append(_flow(found, entry, number, move))
    own = accounts.treasury(found.holder)
    for posting in entry.postings:
        if posting.account == own:
            _cash(found, posting.asset)[_cash_kind(entry, posting.amount)] += posting.amount


def _flow(found: History, entry: Entry, position: int, move: LotMove) -> FlowLine:
    kind = "redemption" if move.action is LotAction.DISPOSE else "subscription"
    (index_id,) = (each.index_id for each in found.positions if each.id == position)
    return FlowLine(
        at=entry.at,
        position=position,
        order=entry.order,
        kind=kind,
        units=move.quantity,
        currency=found.indices[index_id].quote,
        cash=move.amount,
        transaction=entry.key,
    )


def _cash_kind(entry: Entry, amount: Decimal) -> str:
    if entry.kind in _OF_ORDERS:
        return "orders"
    if entry.kind in _CASH_OF_KIND:
        return _CASH_OF_KIND[entry.kind]
    if any(posting.account.startswith("capital:") for posting in entry.postings):
        return "deposits" if amount > 0 else "withdrawals"
    return "other"
