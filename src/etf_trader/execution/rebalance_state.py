"""What the books say about a rebalance right now, read in one transaction."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from sqlalchemy import Connection

from etf_trader.execution.batch import WAVE
from etf_trader.index.store import Basket, Index, current_basket, index_by_id
from etf_trader.ledger import accounts
from etf_trader.ledger.parties import Parties, parties_of_rebalance
from etf_trader.ledger.repository import Ledger
from etf_trader.market.book import OrderBook
from etf_trader.market.document import market_of
from etf_trader.market.symbol import Side, SymbolRule
from etf_trader.money import ZERO
from etf_trader.orders.asset_order import AssetOrder
from etf_trader.orders.rebalance_order import RebalanceOrder
from etf_trader.orders.rebalances import rebalance_order
from etf_trader.orders.status import AssetOrderStatus
from etf_trader.orders.store import StoredPlan, asset_orders_of_plan, plans_of, stored_market
from etf_trader.solver.offers import behind


@dataclass(frozen=True, slots=True)
class RebalanceState:
    """A rebalance, and what its index and its own account hold: in base by asset, cash in the quote.

    `first` are the sides that its first wave planned, and those at its acceptance of what had no price or market
    then; None before there was one.
    `done` are the assets that have traded all that they were to.
    """

    order: RebalanceOrder
    index: Index
    basket: Basket
    parties: Parties
    units: Decimal
    held: Mapping[str, Decimal]
    cash: Decimal
    own: Mapping[str, Decimal]
    own_cash: Decimal
    first: Mapping[str, Side] | None
    done: frozenset[str]
    waves: int

    @property
    def symbols(self) -> dict[str, str]:
        """The market of every asset that it is about, or that the index holds."""
        return {**self.basket.symbols, **{leg.asset: leg.symbol for leg in self.order.request.legs}}

    @property
    def left(self) -> tuple[str, ...]:
        """The assets that it may still trade."""
        if self.first is None:
            return tuple(sorted(self.order.request.parts))
        return tuple(asset for asset in sorted(self.first) if asset not in self.done)


def rebalance_state(connection: Connection, order_id: int) -> RebalanceState:
    """Read everything about a rebalance that a turn of the loop needs."""
    order = rebalance_order(connection, order_id)
    index = index_by_id(connection, order.index_id)
    parties = parties_of_rebalance(connection, order)
    ledger = Ledger(connection, order.account_id)
    held, own = dict(ledger.holdings(parties.index)), dict(ledger.holdings(parties.order))
    waves = [plan for plan in plans_of(connection, order_id) if plan.purpose == WAVE]
    sent = [asset_orders_of_plan(connection, plan.id) for plan in waves]
    return RebalanceState(
        order=order,
        index=index,
        basket=current_basket(connection, index.id),
        parties=parties,
        units=ledger.units_outstanding(accounts.issued(index.id), index.unit_asset),
        cash=held.pop(index.quote, ZERO),
        held=held,
        own_cash=own.pop(index.quote, ZERO),
        own=own,
        first=_first_sides(waves[0], order) if waves else None,
        done=frozenset(
            asset for each, own in zip(waves, sent, strict=True) for asset in assets_done(connection, each, own)
        ),
        waves=len(waves),
    )


def _first_sides(plan: StoredPlan, order: RebalanceOrder) -> dict[str, Side]:
    legs = json.loads(plan.document)["legs"]
    planned = {leg["asset"] for leg in legs}
    kept_out = {
        leg.asset: leg.side for leg in order.request.legs if leg.side is not None and leg.asset not in planned
    }
    return {**kept_out, **{leg["asset"]: Side(leg["side"]) for leg in legs if leg["side"] is not None}}


def assets_done(connection: Connection, plan: StoredPlan, sent: Sequence[AssetOrder]) -> frozenset[str]:
    """Return the assets that traded all that a wave wanted, as far as books and the venue's largest order let it.

    What took all that its book offered, or was more than is sent in one go, has not: there may be more by now.
    """
    executed: dict[str, Decimal] = {}
    for order in sent:
        executed[order.intent.asset] = executed.get(order.intent.asset, ZERO) + order.executed_quantity
    document = json.loads(plan.document)
    legs = {leg["asset"]: leg for leg in document["legs"] if leg["side"] is not None}
    ordered = {each["asset"]: Decimal(each["ordered"]) for each in document["problem"]["constituents"]}
    whole = frozenset(
        asset
        for asset in executed.keys() & legs.keys()
        if executed[asset] >= Decimal(legs[asset]["quantity"])
        and all(order.status.is_whole for order in sent if order.intent.asset == asset)
    )
    market = stored_market(connection, plan.book_hash) if whole else None
    if market is None:
        return whole
    books, rules = market_of(market)
    return frozenset(asset for asset in whole if not _is_used_up(legs[asset], ordered[asset], books, rules))


def _is_used_up(
    leg: Mapping[str, str], ordered: Decimal, books: Mapping[str, OrderBook], rules: Mapping[str, SymbolRule]
) -> bool:
    """Return whether a leg takes all that the venue lets it take and the orders beside leave, but for a lot."""
    rule, side = rules[leg["symbol"]], Side(leg["side"])
    levels, _ = books[leg["symbol"]].accepted(side, rule)
    left = behind(levels, side, ordered, rule)
    return sum((level.quantity for level in left), ZERO) - Decimal(leg["quantity"]) < rule.step


def barren_waves(connection: Connection, order_id: int) -> tuple[int, tuple[str, ...]]:
    """Return how many waves in a row executed nothing, and which assets the venue refused in the last.

    Waves of which nothing reached the venue tell nothing.
    """
    count = 0
    refused: tuple[str, ...] = ()
    for plan in reversed([plan for plan in plans_of(connection, order_id) if plan.purpose == WAVE]):
        sent = asset_orders_of_plan(connection, plan.id)
        if all(each.status is AssetOrderStatus.WITHDRAWN for each in sent):
            continue
        if any(each.executed_quantity for each in sent):
            break
        if not count:
            refused = tuple(
                sorted({each.intent.asset for each in sent if each.status is AssetOrderStatus.REJECTED})
            )
        count += 1
    return count, refused
