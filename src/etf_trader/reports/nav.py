"""The certificate of what a unit is worth: holdings, prices with source and age, and the head of the chain."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from sqlalchemy import Connection, func, select

from etf_trader.errors import MissingPrice
from etf_trader.index.benchmarks import current_fixing, with_last_known
from etf_trader.index.navs import last_nav
from etf_trader.index.prices import MID, Price, values_of
from etf_trader.index.store import Basket, Index, basket_of_version, current_basket
from etf_trader.ledger import accounts
from etf_trader.ledger.repository import GENESIS, Ledger, chain_head
from etf_trader.ledger.tables import transactions
from etf_trader.money import ZERO, divide

SHARE_GRID = Decimal("1e-8")


@dataclass(frozen=True, slots=True)
class PricedHolding:
    """One constituent: `quantity` = units x `per_unit`, exactly; source and age say how far to trust its price."""

    asset: str
    symbol: str
    price: Decimal
    source: str
    at: datetime
    age_seconds: timedelta
    per_unit: Decimal
    quantity: Decimal
    value: Decimal
    weight: Decimal

    @property
    def is_flagged(self) -> bool:
        """Whether it is valued by something else than the mid of a market that trades."""
        return self.source != MID


@dataclass(frozen=True, slots=True)
class NavReport:
    """One index at one moment: `value` = units x `nav` = holdings and cash together, exactly.

    `recorded_as` is why it was written down, None: it was not, and is of now.
    `level` is the index's, None where there is none. `head` is that of the chain then.
    """

    id: int
    symbol: str
    name: str
    quote: str
    at: datetime
    recorded_as: str | None
    nav: Decimal
    units: Decimal
    value: Decimal
    cash_per_unit: Decimal
    cash: Decimal
    basket_version: int
    level: Decimal | None
    head: str
    prices: tuple[PricedHolding, ...]

    @property
    def flagged(self) -> tuple[PricedHolding, ...]:
        """The constituents that are not valued at the mid of a market that trades."""
        return tuple(each for each in self.prices if each.is_flagged)


def nav_report(connection: Connection, index: Index, prices: Mapping[str, Price], now: datetime) -> NavReport:
    """Return what a unit is worth now; where a price is missing, at the last known one.

    Raises:
        MissingPrice: a constituent has no price and never had one; names it.
    """
    basket = current_basket(connection, index.id)
    known = with_last_known(connection, index.id, prices, basket.quantities)
    units = Ledger(connection, index.account_id).units_outstanding(accounts.issued(index.id), index.unit_asset)
    level = _level(connection, index.id, prices)
    head = chain_head(connection, index.account_id)[1]
    return _report(index, basket, units, known, now, recorded_as=None, level=level, head=head)


def recorded_nav_report(connection: Connection, index: Index, before: datetime | None = None) -> NavReport | None:
    """Return what was written down last, or last before a moment; None when nothing was."""
    nav = last_nav(connection, index.id, before)
    if nav is None:
        return None
    basket = basket_of_version(connection, index.id, nav.basket_version)
    head = _head_at(connection, index.account_id, nav.at)
    return _report(
        index, basket, nav.units, nav.prices, nav.at, recorded_as=nav.reason, level=nav.level, head=head
    )


def _level(connection: Connection, index_id: int, prices: Mapping[str, Price]) -> Decimal | None:
    fixing = current_fixing(connection, index_id)
    if fixing is None:
        return None
    held = fixing.benchmark
    try:
        return held.level(values_of(with_last_known(connection, index_id, prices, held.quantities)))
    except MissingPrice:
        return None


def _head_at(connection: Connection, account_id: int, at: datetime) -> str:
    """Return the head of the chain as it stood at a moment: what was found late is dated before it was known."""
    own = transactions.c.account_id == account_id
    query = select(transactions.c.hash).where(own).order_by(transactions.c.sequence.desc()).limit(1)
    later = connection.scalar(select(func.min(transactions.c.sequence)).where(own, transactions.c.at > at))
    found: str | None = connection.scalar(query if later is None else query.where(transactions.c.sequence < later))
    return found or GENESIS


def _report(
    index: Index,
    basket: Basket,
    units: Decimal,
    prices: Mapping[str, Price],
    at: datetime,
    *,
    recorded_as: str | None,
    level: Decimal | None,
    head: str,
) -> NavReport:
    nav = basket.nav(values_of({asset: prices[asset] for asset in basket.quantities}))
    lines = [_line(basket, asset, prices[asset], units, nav, at) for asset in basket.quantities]
    return NavReport(
        id=index.id,
        symbol=index.symbol,
        name=index.name,
        quote=index.quote,
        at=at,
        recorded_as=recorded_as,
        nav=nav,
        units=units,
        value=units * nav,
        cash_per_unit=basket.cash_per_unit,
        cash=units * basket.cash_per_unit,
        basket_version=basket.version,
        level=level,
        head=head,
        prices=tuple(sorted(lines, key=lambda line: (-line.weight, line.asset))),
    )


def _line(basket: Basket, asset: str, price: Price, units: Decimal, nav: Decimal, at: datetime) -> PricedHolding:
    per_unit = basket.quantities[asset]
    return PricedHolding(
        asset=asset,
        symbol=basket.symbols[asset],
        price=price.value,
        source=price.source,
        at=price.at,
        age_seconds=max(at - price.at, timedelta()),
        per_unit=per_unit,
        quantity=units * per_unit,
        value=units * per_unit * price.value,
        weight=divide(per_unit * price.value, nav, SHARE_GRID) if nav else ZERO,
    )
