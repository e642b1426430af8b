"""Writes a wave of a rebalance down, books what it comes to, and ends rebalances: one transaction each."""

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from decimal import Decimal

from sqlalchemy import Connection

from etf_trader.errors import MissingPrice
from etf_trader.events import EventLog, RebalanceEnded, WavePlanned, WaveSettled
from etf_trader.execution.batch import (
    WAVE,
    add_plans,
    arrivals_of,
    intents,
    open_members,
    plan_documents,
    require_basket,
)
from etf_trader.execution.crossing import book_crosses
from etf_trader.execution.netting import Netted
from etf_trader.execution.rebalance_state import RebalanceState, rebalance_state
from etf_trader.execution.settlement import Ending
from etf_trader.execution.wave_document import wave_document
from etf_trader.execution.waves import Wave
from etf_trader.index.navs import Reason
from etf_trader.index.prices import mids_at
from etf_trader.index.store import add_basket
from etf_trader.ledger.baskets import PerUnit, dust, per_unit, wave, wave_settlement
from etf_trader.ledger.repository import Account, Ledger
from etf_trader.ledger.valuation import record_nav
from etf_trader.market.document import market_of
from etf_trader.money import ZERO
from etf_trader.orders.asset_order import Intent, Share
from etf_trader.orders.plan import plan_mids
from etf_trader.orders.store import (
    StoredPlan,
    add_asset_orders,
    add_market,
    add_plan,
    enter_assets,
    move_index_order,
    settle_plan,
    stored_market,
)
from etf_trader.seal import canonical


def write_wave(
    connection: Connection, log: EventLog, account: Account, netted: Netted, now: datetime
) -> list[int]:
    """Save a wave and the orders that trade with it, take out of the indices what they trade; return the plans.

    What wave and orders trade inside is booked last, when both have what they give.

    Raises:
        BasketMoved: what a unit holds has changed since; nothing is written.
    """
    planned, batch = netted.wave, netted.batch
    state, order = planned.state, planned.state.order
    require_basket(connection, state.basket)
    documents, arrivals = plan_documents(batch), arrivals_of(batch)
    numbers = add_plans(connection, batch, documents, now)
    beside = [each["seal"] for each in documents.values()]
    number = _add_plan(connection, planned, beside, now)
    plans, arrived = {**numbers, order.id: number}, {**arrivals, order.id: order.arrival}
    sent = intents(connection, netted.both, plans, arrived)
    add_asset_orders(connection, sent)
    open_members(connection, log, account, batch, numbers, now)
    Ledger(connection, account.id).post(wave(state.parties, number, planned.taken, state.cash, at=now))
    log.record(connection, WavePlanned(order.id, number, state.waves + 1, _count(sent, number)), now)
    book_crosses(connection, log, account, batch.crosses, plans, arrived, now)
    return list(plans.values())


def _count(sent: Sequence[tuple[Intent, Sequence[Share]]], plan_id: int) -> int:
    """Return how many of these asset orders are of a plan."""
    return sum(any(share.plan_id == plan_id for share in shares) for _, shares in sent)


def _add_plan(connection: Connection, planned: Wave, beside: Sequence[str], now: datetime) -> int:
    """Save the plan of a wave, and the books it was made on; return its number."""
    state, order = planned.state, planned.state.order
    market = planned.view.document()
    document = wave_document(planned, market, beside)
    add_market(connection, document["book_hash"], market)
    assert planned.plan is not None
    return add_plan(
        connection,
        {
            "index_order_id": order.id,
            "basket_id": state.basket.id,
            "purpose": WAVE,
            "units": state.units,
            "method": planned.plan.method,
            "cost": planned.plan.cost,
            "bound": Decimal(document["bound"]),
            "gap_bps": Decimal(document["gap_bps"]),
            "book_hash": document["book_hash"],
            "document": canonical(document),
        },
        now,
    )


def settle_wave(connection: Connection, log: EventLog, plan: StoredPlan, now: datetime) -> None:
    """Bring back what a wave has whose orders are all final: what is held then is the basket from now on.

    What is left of a coin that was to leave, and is too little for the venue, the float buys.
    """
    state = rebalance_state(connection, plan.index_order_id)
    version = bring_back(connection, state, plan, now, dust_of(connection, state, plan))
    with suppress(MissingPrice):  # no wave waits for a price
        prices = mids_at(mids_of(plan), plan.created_at)
        record_nav(connection, state.index, prices, now, Reason.REBALANCE)
    settle_plan(connection, plan.id, now)
    log.record(connection, WaveSettled(state.order.id, plan.id, version), now)


def bring_back(
    connection: Connection,
    state: RebalanceState,
    plan: StoredPlan,
    now: datetime,
    to_float: Mapping[str, Decimal] | None = None,
) -> int:
    """Bring what a rebalance has back to its index, which puts a new basket in force; return its version.

    Args:
        to_float: What of it the float buys at the mids of the plan, in base by asset; None: nothing.
    """
    mids = mids_of(plan)
    basket = held_now(state, to_float or {}, mids)
    version = add_basket(
        connection,
        state.index.id,
        basket.quantities,
        state.symbols,
        basket.cash,
        f"rebalance {state.order.id}",
        now,
    ).version
    Ledger(connection, state.order.account_id).post(
        wave_settlement(state.parties, plan.id, state.own, state.own_cash, basket, version, mids, at=now)
    )
    enter_assets(connection, state.index.id, {asset: mids[asset] for asset in basket.quantities if asset in mids})
    return version


def dust_of(connection: Connection, state: RebalanceState, plan: StoredPlan) -> dict[str, Decimal]:
    """Return what the float buys of the coins that were to leave, in base: what is less than the least order."""
    leaving = {asset for asset, part in state.order.request.parts.items() if not part}
    market = stored_market(connection, plan.book_hash) if leaving else None
    if market is None:
        return {}
    _, rules = market_of(market)
    mids, parties = mids_of(plan), state.parties
    left = {asset: quantity for asset, quantity in _together(state).items() if asset in leaving & mids.keys()}
    least = {asset: rules[state.symbols[asset]].least_quantity(mids[asset]) * mids[asset] for asset in left}
    free = Ledger(connection, state.order.account_id).holdings(parties.float).get(parties.quote, ZERO)
    return dust(left, mids, least, free)


def held_now(state: RebalanceState, to_float: Mapping[str, Decimal], mids: Mapping[str, Decimal]) -> PerUnit:
    """Return the basket of all that the index and its rebalance hold but what the float buys, and pays for."""
    held = {asset: quantity - to_float.get(asset, ZERO) for asset, quantity in _together(state).items()}
    paid = sum((quantity * mids[asset] for asset, quantity in to_float.items()), ZERO)
    return replace(per_unit(held, state.cash + state.own_cash + paid, state.units), dust=to_float)


def _together(state: RebalanceState) -> dict[str, Decimal]:
    """Return what the index and its rebalance hold together, in base by asset."""
    held = dict(state.held)
    for asset, quantity in state.own.items():
        held[asset] = held.get(asset, ZERO) + quantity
    return held


def mids_of(plan: StoredPlan) -> Mapping[str, Decimal]:
    """Return the mids that a stored wave was planned on, in quote per base."""
    return plan_mids(json.loads(plan.document))


def end_rebalance(
    connection: Connection, log: EventLog, state: RebalanceState, ending: Ending, now: datetime
) -> None:
    """End a rebalance: everything is in its index already."""
    move_index_order(connection, state.order.id, ending.status, stopped_by=ending.stopped_by, now=now)
    log.record(connection, RebalanceEnded(state.order.id, str(ending.status), ",".join(ending.stopped_by)), now)
