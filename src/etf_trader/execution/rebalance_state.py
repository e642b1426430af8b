"""What the books say about a rebalance right now, read in one transaction."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from sqlalchemy import Connection

from etf_trader.execution.batch import WAVE
from etf_trader.index.store import Basket, Index, current_basket, index_by_id
from etf_trader.ledger import accounts
from etf_trader.ledger.parties import Parties, parties_of_rebalance
from etf_trader.ledger.repository import Ledger
from etf_trader.market.symbol import Side
from etf_trader.money import ZERO
from etf_trader.orders.asset_order import AssetOrder
from etf_trader.orders.rebalance_order import RebalanceOrder
from etf_trader.orders.rebalances import rebalance_order
from etf_trader.orders.status import AssetOrderStatus
from etf_trader.orders.store import StoredPlan, asset_orders_of_plan, plans_of


@dataclass(frozen=True, slots=True)
class RebalanceState:
    """A rebalance, and what its index and its own account hold: in base by asset, cash in the quote.

    `first` are the sides that its first wave planned; None before there was one.
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
        first=_first_sides(waves[0]) if waves else None,
        done=frozenset().union(*map(_whole, sent)) if sent else frozenset(),
        waves=len(waves),
    )


def _first_sides(plan: StoredPlan) -> dict[str, Side]:
    legs = json.loads(plan.document)["legs"]
    return {leg["asset"]: Side(leg["side"]) for leg in legs if leg["side"] is not None}


def _whole(sent: list[AssetOrder]) -> frozenset[str]:
    """Return the assets of which everything that was sent has filled; what was withdrawn says nothing."""
    assets = {order.intent.asset for order in sent}
    open_ends = {order.intent.asset for order in sent if not order.status.is_whole}
    return frozenset(assets - open_ends)


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
