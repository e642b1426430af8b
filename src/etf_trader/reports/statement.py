"""What a holder had, put in, took out and gained in a period: by position, and in cash."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from typing import ClassVar

from sqlalchemy import Connection

from etf_trader.index.store import Position
from etf_trader.money import ZERO
from etf_trader.reports.booked import Booked, booked
from etf_trader.reports.holder_history import CashLine, FlowLine, HeldLine, History
from etf_trader.reports.management_fees import FeeTaken, fees_taken
from etf_trader.reports.period import Period
from etf_trader.reports.pricing import Price


@dataclass(frozen=True, slots=True)
class PositionStatement:
    """A position in a period: opening + subscriptions - redemptions + gain = closing, exactly.

    `opening` and `closing` are units x NAV at the prices told. `loss` is what
    trading lost of it, `fees` what of that the venue took, `management_fee` its
    share of that of the index; `price_gain` is what prices did:
    gain = price_gain - loss - management_fee.
    """

    MONEY: ClassVar[tuple[str, ...]] = (
        *("opening_nav", "opening", "subscriptions", "redemptions", "fees", "loss"),
        *("management_fee", "price_gain", "gain", "closing_nav", "closing", "cost"),
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
    management_fee: Decimal
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
        *("opening", "subscriptions", "redemptions", "fees", "loss", "management_fee"),
        *("price_gain", "gain", "closing", "cost"),
    )

    currency: str
    opening: Decimal
    subscriptions: Decimal
    redemptions: Decimal
    fees: Decimal
    loss: Decimal
    management_fee: Decimal
    price_gain: Decimal
    gain: Decimal
    closing: Decimal
    cost: Decimal


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
    """A holder's statement over a period.

    `held` is what orders hold at its end, units redeemed for it or not credited yet: it is beside the closing, and
    in no gain before it is sold or credited.
    """

    holder: str
    head: str
    totals: tuple[StatementTotal, ...]
    positions: tuple[PositionStatement, ...]
    cash: tuple[CashLine, ...]
    flows: tuple[FlowLine, ...]
    held: tuple[HeldLine, ...]
    prices: tuple[PriceLine, ...]


@dataclass(frozen=True, slots=True)
class Valuation:
    """What a unit of each index was worth, by index, and the prices that say so."""

    navs: Mapping[int, Decimal]
    prices: Mapping[int, Mapping[str, Price]]


def statement(
    connection: Connection, found: History, period: Period, opening: Valuation, closing: Valuation
) -> Statement:
    """Return the statement of a holder, at the prices of `opening` and `closing`."""
    rows = booked(connection, found.account, period)
    taken = {fee.key: fee.per_unit for fee in _fees(connection, found)}
    shares = {each.id: ZERO for each in found.positions}
    for share in found.fees:
        shares[share.position] += share.units * taken[share.key]
    lines = tuple(
        _position(
            found, each, shares[each.id], [row for row in rows if row.trader.position == each.id], opening, closing
        )
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
        held=tuple(_valued(found, line, closing) for line in found.held),
        prices=(*_price_lines("opening", found, opening), *_price_lines("closing", found, closing)),
    )


def _fees(connection: Connection, found: History) -> Iterable[FeeTaken]:
    """Yield the management fees of every index of which units of the holder have borne one."""
    bearing = {share.position for share in found.fees}
    for number in sorted({each.index_id for each in found.positions if each.id in bearing}):
        yield from fees_taken(connection, found.indices[number])


def _valued(found: History, line: HeldLine, closing: Valuation) -> HeldLine:
    """Return what an order holds at the price that its asset has in the index it is of."""
    (index,) = (each.index_id for each in found.positions if each.id == line.position)
    price = closing.prices.get(index, {}).get(line.asset)
    if price is None:
        return line
    return replace(line, price=price.price, value=line.quantity * price.price, price_source=price.source)


def _is_told(found: History, position: int) -> bool:
    stake = found.stakes[position]
    flowed = any(line.position == position for line in found.held) or any(
        flow.position == position for flow in found.flows
    )
    return bool(flowed or stake.opening_units or stake.closing_units)


def _position(
    found: History,
    position: Position,
    fee: Decimal,
    own: Sequence[Booked],
    opening: Valuation,
    closing: Valuation,
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
        management_fee=fee,
        price_gain=gain + loss + fee,
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
