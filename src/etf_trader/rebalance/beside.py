"""What a rebalance that is only looked at would trade with the open orders of the account."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from etf_trader.clock import Clock
from etf_trader.database import Database
from etf_trader.execution.batch import plan_documents
from etf_trader.execution.beside import wave_beside_orders
from etf_trader.execution.rebalance_state import RebalanceState
from etf_trader.execution.settings import ExecutionSettings
from etf_trader.execution.wave_document import wave_document
from etf_trader.ledger.parties import Parties
from etf_trader.ledger.repository import Account
from etf_trader.money import ZERO, money_context
from etf_trader.orders.rebalance_order import RebalanceOrder
from etf_trader.orders.status import IndexOrderStatus
from etf_trader.rebalance.accepting import Wanted, request_of
from etf_trader.rebalance.previewing import RebalancePreview
from etf_trader.seal import canonical
from etf_trader.venue.interface import Venue


@dataclass(frozen=True, slots=True)
class BesideOrders:
    """The first wave of a rebalance in one batch with open orders.

    `orders` trade with it, `held` wait for a later wave, which trades what they
    want. `saving` is what both together save by it, in quote; `plan` the plan
    object and `market` the books and rules it was made on.
    """

    orders: tuple[int, ...]
    held: tuple[int, ...]
    saving: Decimal
    plan: Mapping[str, Any]
    market: Mapping[str, Any]


async def beside_orders(
    database: Database,
    venue: Venue,
    clock: Clock,
    account: Account,
    settings: ExecutionSettings,
    preview: RebalancePreview,
) -> BesideOrders | None:
    """Return what a rebalance would trade with the open orders; None: with none of them now or later.

    Raises:
        DataError: a book has no price.
        NumericalFailure: the LP failed.
    """
    if preview.rebalance is None or preview.rebalance.plan is None:
        return None
    state = _state(preview, account)
    netted = await wave_beside_orders(database, venue, clock, account, settings, state)
    if (not netted.batch.members and not netted.held) or not netted.wave.legs:
        return None
    assert netted.wave.plan is not None
    with money_context():
        market = netted.wave.view.document()
        beside = [each["seal"] for each in plan_documents(netted.batch).values()]
        plan = json.loads(canonical(wave_document(netted.wave, market, beside)))
    return BesideOrders(
        tuple(each.order_id for each in netted.batch.members),
        tuple(sorted(netted.held)),
        netted.wave.plan.saving or ZERO,
        plan,
        market,
    )


def _state(preview: RebalancePreview, account: Account) -> RebalanceState:
    """Return the rebalance as it would stand once it is accepted, numbered 0."""
    assert preview.rebalance is not None
    index = preview.index
    request = request_of(preview, Wanted(index.symbol, preview.at.date(), is_forced=True, holder=""), None)
    order = RebalanceOrder(
        id=0,
        account_id=account.id,
        request=request,
        status=IndexOrderStatus.OPEN,
        stopped_by=(),
        cancel_requested_at=None,
        accepted_at=preview.at,
        ended_at=None,
        seal="",
    )
    return RebalanceState(
        order=order,
        index=index,
        basket=preview.basket,
        parties=Parties(0, index.id, 0, "", index.quote, index.lot_method),
        units=preview.units,
        held=preview.held,
        cash=preview.rebalance.cash,
        own={},
        own_cash=ZERO,
        first=None,
        done=frozenset(),
        waves=0,
    )
