"""What an index is worth as it stands: its basket at the prices of now, its units and its float."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from etf_trader.cli.services import in_loop
from etf_trader.money import ZERO, divide

if TYPE_CHECKING:
    from etf_trader.bootstrap import Services
    from etf_trader.execution.frozen import Frozen
    from etf_trader.index.store import Basket, Index
    from etf_trader.market.symbol import SymbolRule

RATIO = Decimal("1e-8")


@dataclass(frozen=True, slots=True)
class Prices:
    """What assets are valued at now, None where there is no price, with the time of each.

    `sources` names those that have no mid of now: "last" or "mark".
    """

    mids: dict[str, Decimal | None]
    at: dict[str, datetime]
    now: datetime
    rules: dict[str, SymbolRule]
    sources: dict[str, str] = field(default_factory=dict)

    @property
    def missing(self) -> list[str]:
        """The assets without a price."""
        return sorted(asset for asset, mid in self.mids.items() if mid is None)

    def source(self, asset: str) -> str | None:
        """Return what the price of an asset rests on; None: it has none."""
        return None if self.mids.get(asset) is None else self.sources.get(asset, "mid")

    def nav(self, basket: Basket) -> Decimal | None:
        """Return what a unit is worth; None without all prices."""
        known = {asset: mid for asset in basket.quantities if (mid := self.mids[asset]) is not None}
        return basket.nav(known) if len(known) == len(basket.quantities) else None


def read_prices(opened: Services, baskets: list[Basket]) -> list[Prices]:
    """Return the prices of the constituents of each basket, as they are valued now."""
    from etf_trader.execution.valuing import see, values

    rules = in_loop(opened.venue.rules())
    symbols = {symbol for basket in baskets for symbol in basket.symbols.values()}
    seen, now = in_loop(see(opened.venue, symbols, rules)), opened.clock.now()
    found = []
    with opened.database.read() as connection:
        for basket in baskets:
            valued = values(connection, basket, seen)
            known = {asset: each for asset, each in valued.items() if each is not None}
            found.append(
                Prices(
                    {asset: None if each is None else each.value for asset, each in valued.items()},
                    {asset: each.at for asset, each in known.items()},
                    now,
                    {asset: rules[symbol] for asset, symbol in basket.symbols.items() if symbol in rules},
                    {asset: each.source for asset, each in known.items() if each.source != "mid"},
                )
            )
    return found


@dataclass(frozen=True, slots=True)
class IndexFacts:
    """An index as it stands: its basket at the prices of now, its units and its float."""

    index: Index
    basket: Basket
    prices: Prices
    units: Decimal
    float_cash: Decimal
    residual: dict[str, Decimal]

    @property
    def nav(self) -> Decimal | None:
        """What a unit is worth now; None without all prices."""
        return self.prices.nav(self.basket)

    @property
    def rest(self) -> Decimal:
        """What of a unit is worth something now: all that has a price, and its cash."""
        known = {asset: mid for asset in self.basket.quantities if (mid := self.prices.mids[asset]) is not None}
        return sum(
            (self.basket.quantities[asset] * mid for asset, mid in known.items()), self.basket.cash_per_unit
        )

    @property
    def frozen(self) -> list[Frozen]:
        """The constituents that cannot be traded now."""
        from etf_trader.execution.frozen import frozen_of

        return frozen_of(self.basket, {rule.symbol: rule for rule in self.prices.rules.values()})

    def weight(self, asset: str) -> Decimal | None:
        """Return what fraction of a unit a constituent is now; without all prices, of what has one."""
        nav, mid = self.rest, self.prices.mids[asset]
        return None if not nav or mid is None else divide(self.basket.quantities[asset] * mid, nav, RATIO)

    @property
    def sufficient_float(self) -> Decimal | None:
        """A float with which no order is too small: of each constituent one lot, or one least order."""
        total = ZERO
        for asset in self.basket.quantities:
            mid, rule = self.prices.mids[asset], self.prices.rules.get(asset)
            if mid is None or rule is None:
                return None
            total += max(rule.step, rule.least_quantity(mid)) * mid
        return total

    @property
    def float_value(self) -> Decimal | None:
        """What the float is worth: its cash, and what lots left over; None without all prices."""
        values = [value_of(quantity, self.prices.mids.get(asset)) for asset, quantity in self.residual.items()]
        known = [value for value in values if value is not None]
        return sum(known, self.float_cash) if len(known) == len(values) else None

    def summary(self) -> dict[str, Any]:
        """Return the figures of one line."""
        nav = self.nav
        return {
            "id": self.index.id,
            "symbol": self.index.symbol,
            "name": self.index.name,
            "quote": self.index.quote,
            "status": self.index.status,
            "nav": nav,
            "units": self.units,
            "value": None if nav is None else nav * self.units,
            "float": self.float_cash,
            "constituents": len(self.basket.quantities),
            "created_at": self.index.created_at,
        }

    def document(self) -> dict[str, Any]:
        """Return everything, as other programs read it."""
        held = self.basket.quantities
        return self.summary() | {
            "routes": list(self.index.routes),
            "start_value": self.index.start_value,
            "lot_method": self.index.lot_method,
            "basket_version": self.basket.version,
            "cash_per_unit": self.basket.cash_per_unit,
            "at": self.prices.now,
            "sufficient_float": self.sufficient_float,
            "constituents": [
                {
                    "asset": asset,
                    "symbol": self.basket.symbols[asset],
                    "quantity": held[asset],
                    "price": self.prices.mids[asset],
                    "price_at": self.prices.at.get(asset),
                    "price_source": self.prices.source(asset),
                    "value": value_of(held[asset], self.prices.mids[asset]),
                    "weight": self.weight(asset),
                    "residual": self.residual.get(asset, ZERO),
                }
                for asset in held
            ],
        }


def value_of(quantity: Decimal, mid: Decimal | None) -> Decimal | None:
    """Return quantity x price; None without a price."""
    return None if mid is None else quantity * mid


def facts_of(opened: Services, chosen: list[Index]) -> list[IndexFacts]:
    """Read how indices stand: their books in one look, their constituents' prices in another."""
    from etf_trader.index.store import current_basket
    from etf_trader.ledger import accounts
    from etf_trader.ledger.repository import Ledger

    with opened.database.read() as connection:
        ledger = Ledger(connection, opened.account.id)
        baskets = [current_basket(connection, index.id) for index in chosen]
        floats = [ledger.holdings(accounts.index_float(index.id)) for index in chosen]
        units = [ledger.units_outstanding(accounts.issued(index.id), index.unit_asset) for index in chosen]
    prices = read_prices(opened, baskets)
    return [
        IndexFacts(index, basket, each, outstanding, held.pop(index.quote, ZERO), held)
        for index, basket, each, outstanding, held in zip(chosen, baskets, prices, units, floats, strict=True)
    ]
