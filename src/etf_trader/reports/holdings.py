"""What an index holds, what its units are worth, and what belongs to the owner beside them."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import ClassVar

from sqlalchemy import Connection

from etf_trader.index.store import Basket, Index, Position, basket_of_version, current_basket, list_positions
from etf_trader.ledger import accounts
from etf_trader.ledger.replay import Books
from etf_trader.ledger.repository import Ledger, chain_head, holder_names
from etf_trader.money import ZERO, divide
from etf_trader.reports.pricing import Price

SHARE_GRID = Decimal("1e-8")


@dataclass(frozen=True, slots=True)
class HoldingLine:
    """One asset of an index: `quantity` = units x `per_unit` exactly; `weight` is its share of NAV.

    `price_source` and `price_at` say where the price is from, and of when.
    """

    MONEY: ClassVar[tuple[str, ...]] = ("price", "value")

    asset: str
    symbol: str
    per_unit: Decimal
    quantity: Decimal
    price: Decimal
    value: Decimal
    weight: Decimal
    residual: Decimal
    price_source: str
    price_at: datetime


@dataclass(frozen=True, slots=True)
class PositionLine:
    """A holder's units: `cost` was paid for them, loss included; `gain` = value - cost."""

    MONEY: ClassVar[tuple[str, ...]] = ("cost", "value", "gain")

    position: int
    holder: str
    units: Decimal
    cost: Decimal
    value: Decimal
    gain: Decimal


@dataclass(frozen=True, slots=True)
class HoldingsReport:
    """One index: holdings are worth units x NAV exactly; the float is the owner's and not in it.

    `as_of` is the moment before which everything was booked that it shows; None:
    now. Amounts are in `currency`, which is the quote unless another was asked for.
    """

    MONEY: ClassVar[tuple[str, ...]] = ("nav", "value", "cash", "cash_per_unit", "float_cash", "float_value")

    index: int
    symbol: str
    name: str
    quote: str
    currency: str
    status: str
    as_of: datetime | None
    priced_at: datetime
    basket_version: int
    units: Decimal
    nav: Decimal
    value: Decimal
    cash: Decimal
    cash_per_unit: Decimal
    float_cash: Decimal
    float_value: Decimal
    head: str
    holdings: tuple[HoldingLine, ...]
    positions: tuple[PositionLine, ...]


@dataclass(frozen=True, slots=True)
class _Held:
    """What the books say of an index at some moment."""

    basket: Basket
    index: Mapping[str, Decimal]
    in_float: Mapping[str, Decimal]
    units: Decimal
    positions: tuple[tuple[Position, Decimal, Decimal], ...]  # with units and cost
    head: str


def holdings_report(
    connection: Connection,
    index: Index,
    mids: Mapping[str, Decimal],
    priced_at: datetime,
    sources: Mapping[str, Price] | None = None,
    past: tuple[Books, datetime] | None = None,
) -> HoldingsReport:
    """Return what `index` holds at `mids`, by asset.

    Args:
        sources: Where each price is from; None: they are mids of `priced_at`.
        past: The books just before a moment, and that moment; None: the books of now.
    """
    said = _held_now(connection, index) if past is None else _held_then(connection, index, past[0])
    lines = _lines(said, mids, priced_at, sources or {})
    nav, names = said.basket.nav(mids), holder_names(connection)
    float_cash = said.in_float.get(index.quote, ZERO)
    cash = said.index.get(index.quote, ZERO)
    return HoldingsReport(
        index=index.id,
        symbol=index.symbol,
        name=index.name,
        quote=index.quote,
        currency=index.quote,
        status=index.status,
        as_of=None if past is None else past[1],
        priced_at=priced_at,
        basket_version=said.basket.version,
        units=said.units,
        nav=nav,
        value=sum((line.value for line in lines), cash),
        cash=cash,
        cash_per_unit=said.basket.cash_per_unit,
        float_cash=float_cash,
        float_value=float_cash + sum((line.residual * line.price for line in lines), ZERO),
        head=said.head,
        holdings=lines,
        positions=tuple(
            PositionLine(
                position=position.id,
                holder=names[position.holder_id],
                units=units,
                cost=cost,
                value=units * nav,
                gain=units * nav - cost,
            )
            for position, units, cost in said.positions
            if units
        ),
    )


def _held_now(connection: Connection, index: Index) -> _Held:
    ledger = Ledger(connection, index.account_id)
    return _Held(
        basket=current_basket(connection, index.id),
        index=ledger.holdings(accounts.index(index.id)),
        in_float=ledger.holdings(accounts.index_float(index.id)),
        units=ledger.units_outstanding(accounts.issued(index.id), index.unit_asset),
        positions=tuple((each, each.units, each.cost) for each in list_positions(connection, index_id=index.id)),
        head=chain_head(connection, index.account_id)[1],
    )


def _held_then(connection: Connection, index: Index, books: Books) -> _Held:
    positions = []
    for each in list_positions(connection, index_id=index.id):
        lots = (accounts.position(each.id), index.unit_asset)
        positions.append((each, books.lots.quantity(*lots), books.lots.cost(*lots)))
    return _Held(
        basket=basket_of_version(connection, index.id, books.versions.get(index.id, 1)),
        index=books.index_holdings(index.id),
        in_float=books.holdings(accounts.index_float(index.id)),
        units=books.units_in_baskets(index.id),
        positions=tuple(positions),
        head=books.head,
    )


def _lines(
    said: _Held, mids: Mapping[str, Decimal], priced_at: datetime, sources: Mapping[str, Price]
) -> tuple[HoldingLine, ...]:
    basket = said.basket
    nav = basket.nav(mids)
    return tuple(
        HoldingLine(
            asset=asset,
            symbol=basket.symbols[asset],
            per_unit=per_unit,
            quantity=said.index.get(asset, ZERO),
            price=mids[asset],
            value=said.index.get(asset, ZERO) * mids[asset],
            weight=divide(per_unit * mids[asset], nav, SHARE_GRID),
            residual=said.in_float.get(asset, ZERO),
            price_source=sources[asset].source if asset in sources else "mid",
            price_at=sources[asset].at if asset in sources else priced_at,
        )
        for asset, per_unit in sorted(
            basket.quantities.items(), key=lambda item: (-item[1] * mids[item[0]], item[0])
        )
    )
