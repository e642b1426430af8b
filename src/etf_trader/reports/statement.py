"""What a holder had, put in, took out and gained in a period: by position, and in cash."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import ClassVar

from sqlalchemy import Connection

from etf_trader.index.store import Basket, Index, Position, basket_of_version, list_indices, list_positions
from etf_trader.ledger import accounts
from etf_trader.ledger.accounts import position_of
from etf_trader.ledger.replay import Books, Entry, entries
from etf_trader.ledger.repository import find_holder
from etf_trader.ledger.transaction import LotAction, LotMove
from etf_trader.money import ZERO
from etf_trader.orders.store import list_index_orders
from etf_trader.reports.booked import Booked, booked
from etf_trader.reports.period import Period
from etf_trader.reports.pricing import Price

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
class PositionStatement:
    """A position in a period: opening + subscriptions - redemptions + gain = closing, exactly.

    `opening` and `closing` are units x NAV at the prices told. `loss` is what
    trading lost of it, `fees` what of that the venue took; `price_gain` is what
    prices did: gain = price_gain - loss.
    """

    MONEY: ClassVar[tuple[str, ...]] = (
        *("opening_nav", "opening", "subscriptions", "redemptions", "fees", "loss"),
        *("price_gain", "gain", "closing_nav", "closing", "cost"),
    )

    position: int
    index: str
    currency: str
    opening_units: Decimal
    opening_nav: Decimal | None
    opening: Decimal
    subscribed_units: Decimal
    subscriptions: Decimal
    redeemed_units: Decimal
    redemptions: Decimal
    fees: Decimal
    loss: Decimal
    price_gain: Decimal
    gain: Decimal
    closing_units: Decimal
    closing_nav: Decimal | None
    closing: Decimal
    cost: Decimal


@dataclass(frozen=True, slots=True)
class StatementTotal:
    """All positions of one currency together."""

    MONEY: ClassVar[tuple[str, ...]] = (
        *("opening", "subscriptions", "redemptions", "fees", "loss", "price_gain", "gain", "closing", "cost"),
    )

    currency: str
    opening: Decimal
    subscriptions: Decimal
    redemptions: Decimal
    fees: Decimal
    loss: Decimal
    price_gain: Decimal
    gain: Decimal
    closing: Decimal
    cost: Decimal


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
class PriceLine:
    """A price that a position was valued by."""

    MONEY: ClassVar[tuple[str, ...]] = ("price",)

    moment: str
    index: str
    asset: str
    currency: str
    price: Decimal
    source: str
    at: datetime
    age_seconds: Decimal


@dataclass(frozen=True, slots=True)
class Statement:
    """A holder's statement over a period."""

    holder: str
    head: str
    totals: tuple[StatementTotal, ...]
    positions: tuple[PositionStatement, ...]
    cash: tuple[CashLine, ...]
    flows: tuple[FlowLine, ...]
    prices: tuple[PriceLine, ...]


@dataclass(slots=True)
class _Stake:
    """What a position held when a period begins and ends, in units and at cost."""

    opening_units: Decimal = ZERO
    closing_units: Decimal = ZERO
    cost: Decimal = ZERO


@dataclass(slots=True)
class History:
    """What the chain says of a holder in a period, before anything is valued."""

    account: int
    holder: str
    indices: Mapping[int, Index]
    positions: Sequence[Position]
    orders: frozenset[int]
    stakes: dict[int, _Stake] = field(default_factory=dict)
    flows: list[FlowLine] = field(default_factory=list)
    cash: dict[str, dict[str, Decimal]] = field(default_factory=dict)
    opening_baskets: dict[int, Basket] = field(default_factory=dict)
    closing_baskets: dict[int, Basket] = field(default_factory=dict)
    head: str = ""


@dataclass(frozen=True, slots=True)
class Valuation:
    """What a unit of each index was worth, by index, and the prices that say so."""

    navs: Mapping[int, Decimal]
    prices: Mapping[int, Mapping[str, Price]]


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
        orders=frozenset(order.id for order in orders if order.position_id in numbers),
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
            _follow(found, entry)
    if not is_open:
        versions = dict(books.versions)
        _open(found, books)
    _close(found, books)
    found.opening_baskets = _baskets(connection, found, "opening_units", versions)
    found.closing_baskets = _baskets(connection, found, "closing_units", books.versions)
    return found


def _baskets(connection: Connection, found: History, units: str, versions: Mapping[int, int]) -> dict[int, Basket]:
    """Return the basket in force of each index of which there are units to value."""
    held = {each.index_id for each in found.positions if getattr(found.stakes[each.id], units)}
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
    found.head = books.head


def _units(books: Books, position: Position) -> Decimal:
    return books.lots.quantity(accounts.position(position.id), accounts.unit(position.index_id))


def _cash(found: History, asset: str) -> dict[str, Decimal]:
    return found.cash.setdefault(asset, {name: ZERO for name in CashLine.__slots__ if name != "asset"})


def _follow(found: History, entry: Entry) -> None:
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


def statement(
    connection: Connection, found: History, period: Period, opening: Valuation, closing: Valuation
) -> Statement:
    """Return the statement of a holder, at the prices of `opening` and `closing`."""
    rows = booked(connection, found.account, period)
    lines = tuple(
        _position(found, each, [row for row in rows if row.trader.position == each.id], opening, closing)
        for each in found.positions
        if _is_told(found, each.id)
    )
    return Statement(
        holder=found.holder,
        head=found.head,
        totals=_totals(lines),
        positions=lines,
        cash=tuple(CashLine(asset, **moved) for asset, moved in sorted(found.cash.items())),
        flows=tuple(found.flows),
        prices=(*_price_lines("opening", found, opening), *_price_lines("closing", found, closing)),
    )


def _is_told(found: History, position: int) -> bool:
    stake = found.stakes[position]
    flowed = any(flow.position == position for flow in found.flows)
    return bool(flowed or stake.opening_units or stake.closing_units)


def _position(
    found: History, position: Position, own: Sequence[Booked], opening: Valuation, closing: Valuation
) -> PositionStatement:
    stake, index = found.stakes[position.id], found.indices[position.index_id]
    flows = [flow for flow in found.flows if flow.position == position.id]
    came = [flow for flow in flows if flow.kind == "subscription"]
    went = [flow for flow in flows if flow.kind == "redemption"]
    subscribed, redeemed = _sum(came, "cash"), _sum(went, "cash")
    began = stake.opening_units * opening.navs.get(index.id, ZERO)
    ended = stake.closing_units * closing.navs.get(index.id, ZERO)
    loss = sum((row.loss.total for row in own), ZERO)
    gain = ended - began - subscribed + redeemed
    return PositionStatement(
        position=position.id,
        index=index.symbol,
        currency=index.quote,
        opening_units=stake.opening_units,
        opening_nav=opening.navs.get(index.id),
        opening=began,
        subscribed_units=_sum(came, "units"),
        subscriptions=subscribed,
        redeemed_units=_sum(went, "units"),
        redemptions=redeemed,
        fees=sum((row.loss.fee for row in own), ZERO),
        loss=loss,
        price_gain=gain + loss,
        gain=gain,
        closing_units=stake.closing_units,
        closing_nav=closing.navs.get(index.id),
        closing=ended,
        cost=stake.cost,
    )


def _totals(lines: Sequence[PositionStatement]) -> tuple[StatementTotal, ...]:
    found = []
    for currency in sorted({line.currency for line in lines}):
        own = [line for line in lines if line.currency == currency]
        sums = {name: _sum(own, name) for name in StatementTotal.__slots__ if name != "currency"}
        found.append(StatementTotal(currency, **sums))
    return tuple(found)


def _price_lines(moment: str, found: History, valuation: Valuation) -> Iterable[PriceLine]:
    for number, prices in valuation.prices.items():
        index = found.indices[number]
        for asset, each in sorted(prices.items()):
            yield PriceLine(
                moment, index.symbol, asset, index.quote, each.price, each.source, each.at, each.age_seconds
            )


def _sum(lines: Iterable[object], name: str) -> Decimal:
    return sum((getattr(line, name) for line in lines), ZERO)
