"""Looks at what an index holds and at the books, and plans its rebalance without writing anything."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any

from etf_trader.clock import Clock
from etf_trader.database import Database
from etf_trader.errors import UsageError
from etf_trader.execution.fees_in_kind import basket_due
from etf_trader.execution.look import look_and_plan, require_own
from etf_trader.execution.planning import MarketView
from etf_trader.index.determination import Determination
from etf_trader.index.history import Version, versions_of
from etf_trader.index.methodology import Methodology
from etf_trader.index.store import Basket, Index, find_index
from etf_trader.ledger import accounts
from etf_trader.ledger.repository import Account, Ledger
from etf_trader.market.document import market_document
from etf_trader.market.symbol import SymbolRule
from etf_trader.money import money_context
from etf_trader.orders.status import AssetOrderStatus
from etf_trader.orders.store import asset_orders_with
from etf_trader.rebalance.determining import Caps, determine_now
from etf_trader.rebalance.drift import targets_with_reserve
from etf_trader.rebalance.halted import price_of
from etf_trader.rebalance.planning import Holdings, Rebalance, plan_of, window_stops
from etf_trader.venue.interface import Venue


@dataclass(frozen=True, slots=True)
class RebalancePreview:
    """What a rebalance of an index would do now. `rebalance` is None while nobody holds units of it.

    `held` is what the index holds, in base by asset, `mids` are those it was planned by;
    `market` are the books and rules of that, in plain values. What the venue lists no more
    has neither a mid nor a rule.
    """

    index: Index
    version: Version
    basket: Basket
    units: Decimal
    determination: Determination
    rebalance: Rebalance | None
    rules: Mapping[str, SymbolRule]
    held: Mapping[str, Decimal]
    mids: Mapping[str, Decimal]
    at: datetime
    market: Mapping[str, Any] = field(default_factory=dict)

    @property
    def symbols(self) -> dict[str, str]:
        """The market of each asset that is held or wanted and that the venue lists."""
        return {asset: rule.symbol for asset, rule in self.rules.items()}

    @property
    def listed_as(self) -> dict[str, str]:
        """The market of each asset that is held or wanted, also of one that has it no more."""
        return {**self.basket.symbols, **self.symbols}


@dataclass(frozen=True, slots=True)
class _Standing:
    index: Index
    version: Version
    rulebook: Methodology
    basket: Basket
    units: Decimal
    holdings: Holdings


async def preview_rebalance(
    database: Database, venue: Venue, clock: Clock, account: Account, depth: int, reference: str, caps: Caps | None
) -> RebalancePreview:
    """Plan the rebalance of an index on the books of now.

    Raises:
        NotFound: there is no such index.
        UsageError: it is closed, or has no rulebook to be brought back to; the table of caps cannot be.
        DataError: a price is missing, or what the rulebook needs to know is.
    """
    now = clock.now()
    standing = _standing(database, account, reference, now)
    index = standing.index
    determination = await determine_now(
        venue, standing.rulebook, index.quote, now, standing.basket.quantities.keys(), caps
    )
    every = await venue.rules()
    symbols = {each.base: each.symbol for each in every.values() if each.quote == index.quote}
    symbols |= standing.basket.symbols
    held = standing.holdings.quantities
    # A basket that nobody holds has its prices too: it is written anew, worth what it was.
    named = sorted({*standing.basket.quantities, *held, *determination.weights})
    rules = {asset: every[symbols[asset]] for asset in named if symbols[asset] in every}
    if not standing.units:
        return RebalancePreview(
            index, standing.version, standing.basket, standing.units, determination, None, rules, held, {}, now
        )
    aim = standing.rulebook.rebalance
    targets = targets_with_reserve(determination.weights, aim.reserve)
    with database.read() as connection:
        own = asset_orders_with(connection, account.id, AssetOrderStatus.OPEN)

    async def plan(view: MarketView) -> Rebalance:
        books = {asset: view.books[rule.symbol] for asset, rule in rules.items()}
        return await asyncio.to_thread(plan_of, standing.holdings, targets, aim, books, rules)

    names = [rule.symbol for rule in rules.values()]
    view, found = await look_and_plan(venue, names, depth, every, plan, window_stops, own=own)
    seen = sorted({*held, *found.legs} & rules.keys())
    return RebalancePreview(
        index,
        standing.version,
        standing.basket,
        standing.units,
        determination,
        found,
        rules,
        held,
        {asset: price_of(view.books[rule.symbol]) for asset, rule in rules.items()},
        now,
        market_document((view.books[rules[asset].symbol] for asset in seen), view.rules),
    )


def _standing(database: Database, account: Account, reference: str, now: datetime) -> _Standing:
    with database.read() as connection:
        index = find_index(connection, reference)
        require_own(index, account.id)
        version = versions_of(connection, index.id)[-1]
        if not index.is_open:
            raise UsageError(f"{index.symbol} is closed: it holds nothing", where="--index")
        if version.rules is None:
            raise UsageError(
                f"{index.symbol} is a fixed basket: it has no weights to be brought back to",
                where="--index",
                hint=f"give it a rulebook: etf index edit {index.id} --file index.toml",
            )
        ledger = Ledger(connection, account.id)
        units = ledger.units_outstanding(accounts.issued(index.id), index.unit_asset)
        basket = basket_due(connection, account.id, index.id, now)  # a wave takes the fee before it is planned
    with money_context():  # of what is being sold now a part is out of the index already
        held = {asset: a * units for asset, a in basket.quantities.items() if a * units}
        cash = basket.cash_per_unit * units
    return _Standing(index, version, version.rules, basket, units, Holdings(index.quote, held, cash))
