"""What an index holds, what its units are worth, and what belongs to the owner beside them."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from sqlalchemy import Connection

from etf_trader.index.store import Index, current_basket, list_positions
from etf_trader.ledger import accounts
from etf_trader.ledger.repository import Ledger, chain_head, holder_name
from etf_trader.money import ZERO, divide

SHARE_GRID = Decimal("1e-8")


@dataclass(frozen=True, slots=True)
class HoldingLine:
    """One asset of an index: `quantity` = units x `per_unit` exactly; `weight` is its share of NAV now."""

    asset: str
    symbol: str
    per_unit: Decimal
    quantity: Decimal
    price: Decimal
    value: Decimal
    weight: Decimal
    residual: Decimal


@dataclass(frozen=True, slots=True)
class PositionLine:
    """A holder's units: `cost` was paid for them, loss included; `gain` = value - cost."""

    position: int
    holder: str
    units: Decimal
    cost: Decimal
    value: Decimal
    gain: Decimal


@dataclass(frozen=True, slots=True)
class HoldingsReport:
    """One index now: holdings are worth units x NAV exactly; the float is the owner's and not in it."""

    index: int
    symbol: str
    name: str
    quote: str
    status: str
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


def holdings_report(
    connection: Connection, index: Index, mids: Mapping[str, Decimal], priced_at: datetime
) -> HoldingsReport:
    """Return what `index` holds at `mids`, by asset."""
    basket = current_basket(connection, index.id)
    ledger = Ledger(connection, index.account_id)
    held = ledger.holdings(accounts.index(index.id))
    in_float = ledger.holdings(accounts.index_float(index.id))
    nav = basket.nav(mids)
    units = ledger.units_outstanding(accounts.issued(index.id), index.unit_asset)
    lines = tuple(
        HoldingLine(
            asset=asset,
            symbol=basket.symbols[asset],
            per_unit=per_unit,
            quantity=held.get(asset, ZERO),
            price=mids[asset],
            value=held.get(asset, ZERO) * mids[asset],
            weight=divide(per_unit * mids[asset], nav, SHARE_GRID),
            residual=in_float.get(asset, ZERO),
        )
        for asset, per_unit in sorted(
            basket.quantities.items(), key=lambda item: (-item[1] * mids[item[0]], item[0])
        )
    )
    positions = tuple(
        PositionLine(
            position=position.id,
            holder=holder_name(connection, position.holder_id),
            units=position.units,
            cost=position.cost,
            value=position.units * nav,
            gain=position.units * nav - position.cost,
        )
        for position in list_positions(connection, index_id=index.id)
        if position.units
    )
    float_cash = in_float.get(index.quote, ZERO)
    return HoldingsReport(
        index=index.id,
        symbol=index.symbol,
        name=index.name,
        quote=index.quote,
        status=index.status,
        priced_at=priced_at,
        basket_version=basket.version,
        units=units,
        nav=nav,
        value=sum((line.value for line in lines), held.get(index.quote, ZERO)),
        cash=held.get(index.quote, ZERO),
        cash_per_unit=basket.cash_per_unit,
        float_cash=float_cash,
        float_value=float_cash + sum((line.residual * line.price for line in lines), ZERO),
        head=chain_head(connection, index.account_id)[1],
        holdings=lines,
        positions=positions,
    )
