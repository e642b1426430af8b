"""Books what a finished batch comes to, and ends orders: one transaction each."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal

from sqlalchemy import Connection, func, select

from etf_trader.events import BatchSettled, EventLog, OrderEnded
from etf_trader.execution.allocation import BatchState, Outcome, settle_batch
from etf_trader.execution.batch import FOR_UNITS, QUOTE
from etf_trader.execution.state import OrderState, cash_of, order_state, settlements_of
from etf_trader.ledger.booking import baskets, closing, creation, redemption_settlement, release
from etf_trader.ledger.repository import Ledger
from etf_trader.ledger.tables import transactions
from etf_trader.ledger.valuation import record_trade
from etf_trader.market.symbol import Side
from etf_trader.money import ZERO
from etf_trader.orders.plan import plan_mids
from etf_trader.orders.status import IndexOrderStatus, Shortfall
from etf_trader.orders.store import (
    StoredPlan,
    asset_orders_of_plan,
    index_order,
    move_index_order,
    settle_plan,
    write_filled,
)

MOVED = ("moved",)
"""What stops a batch that did not come out as planned: the books moved between looking and trading."""

HELD = "held"
"""What keeps an order stuck that its holder wished to keep what made no whole units (`--on-shortfall hold`)."""
SLICE = ()
"""What stops a batch that filled all that was due of an order over time: nothing."""


@dataclass(frozen=True, slots=True)
class BatchPrices:
    """What a batch is settled by, as its plan recorded it.

    Mids in quote, `bounds` of leftovers in base, what the float `lent` a sell,
    and the cash a sell had received before it.
    """

    mids: Mapping[str, Decimal]
    bounds: Mapping[str, Decimal]
    lent: Mapping[str, Decimal]
    cash_before: Decimal


def batch_prices(connection: Connection, account_id: int, plan: StoredPlan) -> BatchPrices:
    """Read back what a stored plan is settled by."""
    document = json.loads(plan.document)
    lent: dict[str, Decimal] = {}
    cash_before = ZERO
    evidence = connection.scalar(
        select(transactions.c.evidence).where(
            transactions.c.account_id == account_id, transactions.c.key == f"redeem:{plan.id}"
        )
    )
    if evidence is not None:
        facts = json.loads(evidence)["facts"]
        lent = {asset: Decimal(quantity) for asset, quantity in facts["lent"].items()}
        cash_before = Decimal(facts["cash"])
    return BatchPrices(
        mids=plan_mids(document),
        bounds={asset: Decimal(bound) for asset, bound in document["bounds"].items()},
        lent=lent,
        cash_before=cash_before,
    )


@dataclass(frozen=True, slots=True)
class Ending:
    """How an order ends, and why."""

    status: IndexOrderStatus
    stopped_by: tuple[str, ...]


def ending_of(
    state: OrderState, filled: Decimal, stopped_by: tuple[str, ...], planned_at: datetime
) -> Ending | None:
    """Decide whether an order ends after a batch that was stopped by `stopped_by`; None: it goes on. Pure.

    A batch that met moving books is planned again, and a slice that filled is not the order's end.
    """
    if filled >= state.order.quantity:
        return Ending(IndexOrderStatus.FILLED, ("filled",))
    if state.order.is_last_chance(planned_at) and stopped_by not in (MOVED, SLICE):
        return Ending(IndexOrderStatus.ENDED, stopped_by)
    return None


def settle(
    connection: Connection,
    log: EventLog,
    plan: StoredPlan,
    prices: BatchPrices,
    stopped_by: tuple[str, ...],
    now: datetime,
) -> None:
    """Credit (sell: redeem) the units of a batch whose orders are all final, and end the order if it is done."""
    if plan.purpose not in FOR_UNITS:
        settle_plan(connection, plan.id, now)
        return
    state = order_state(connection, plan.index_order_id)
    ledger = Ledger(connection, state.order.account_id)
    orders = asset_orders_of_plan(connection, plan.id)
    is_complete = all(order.status.is_whole for order in orders)
    batch = batch_state(state, plan.units, prices, is_complete=is_complete)
    credited = settle_batch(batch, final=False).units
    filled = state.order.filled + credited
    if not is_complete or (stopped_by == ("filled",) and filled < state.order.quantity):
        is_slice = state.order.schedule is not None and credited >= plan.units
        # Also when the venue's roundings left a hair less than planned.
        # Nor does anything stop a quote, whatever is left of it: it is quoted again, or taken.
        stopped_by = SLICE if (is_complete and is_slice) or plan.purpose == QUOTE else MOVED
    ending = ending_of(state, filled, stopped_by, plan.created_at)
    outcome = settle_batch(batch, final=ending is not None)
    _post_units(ledger, state, plan, prices, outcome, now)
    write_filled(connection, state.order.id, filled, stopped_by)
    settle_plan(connection, plan.id, now)
    if outcome.units:
        record_trade(connection, state.index, prices.mids, plan.created_at, now)
    log.record(
        connection,
        BatchSettled(state.order.id, plan.id, outcome.units, filled, state.order.quantity),
        now,
    )
    has_excess = any(quantity > 0 for quantity in outcome.excess.values())
    is_paid_elsewhere = state.order.side is Side.SELL and any(state.other_cash.values())
    if ending is not None and not has_excess and not is_paid_elsewhere:
        end(connection, log, state.order.id, ending, prices, now)


def batch_state(state: OrderState, planned: Decimal, prices: BatchPrices, *, is_complete: bool) -> BatchState:
    """Return what the allocation decides on; what could not be planned, the float takes nothing of."""
    frozen = {asset: ZERO for asset in state.basket.quantities if asset not in prices.mids}
    return BatchState(
        side=state.order.side,
        planned=planned,
        is_complete=is_complete,
        per_unit=state.basket.quantities,
        cash_per_unit=state.basket.cash_per_unit,
        order=state.held,
        order_cash=state.cash,
        float=state.float,
        float_cash=state.float_cash,
        lent=prices.lent,
        bounds={**frozen, **prices.bounds},
        mids={**frozen, **prices.mids},
    )


def end(
    connection: Connection,
    log: EventLog,
    order_id: int,
    ending: Ending,
    prices: BatchPrices | None,
    now: datetime,
) -> None:
    """End an order: leftovers within their bounds go to the float, the rest of its cash or units to its holder.

    What is beyond the bounds, or has no price, could not be traded back: the order
    is stuck and keeps it. One that is stuck already ends once that is gone.
    """
    state = order_state(connection, order_id)
    ledger = Ledger(connection, state.order.account_id)
    leftovers, is_stuck = _leftovers(state, prices)
    _post_closing(connection, ledger, state, leftovers, prices, now)
    state = order_state(connection, order_id)
    left = {state.index.quote: state.cash, state.parties.unit: state.units_reserved, **state.other_cash}
    if any(left.values()):
        ledger.post(release(state.parties, left, at=now, before=_count(connection, order_id, "release")))
    order = index_order(connection, order_id)
    if is_stuck and order.status is IndexOrderStatus.STUCK:
        return
    status, stops = ending.status, ending.stopped_by
    if order.remaining == 0:  # also when a cancel came while the last of it was traded
        status, stops = IndexOrderStatus.FILLED, ("filled",)
    if is_stuck:
        status = IndexOrderStatus.STUCK
        if order.on_shortfall is Shortfall.HOLD:
            stops = (*(stop for stop in stops if stop != "filled"), HELD)
    move_index_order(connection, order.id, status, stopped_by=stops, now=now)
    log.record(connection, OrderEnded(order_id, str(status), ",".join(stops), order.filled), now)


def _leftovers(state: OrderState, prices: BatchPrices | None) -> tuple[dict[str, Decimal], bool]:
    """Return what the float takes of an order that ends, and whether more is left than it may take."""
    held = {asset: quantity for asset, quantity in state.held.items() if quantity}
    if not held or prices is None:
        return held, False
    # Of what has left the basket no unit needs anything: all of it is left over.
    needed = {**dict.fromkeys(state.past, ZERO), **state.basket.quantities}
    priced = {asset: a for asset, a in needed.items() if asset in prices.mids}
    batch = batch_state(state, ZERO, replace(prices, lent={}), is_complete=True)
    outcome = settle_batch(replace(batch, per_unit=priced), final=True)
    taken = {asset: quantity for asset, quantity in outcome.float_takes.items() if quantity}
    return taken, any(quantity > 0 for quantity in outcome.excess.values()) or not held.keys() <= priced.keys()


def _count(connection: Connection, order_id: int, kind: str) -> int:
    """Return how many transactions of a kind an order has."""
    query = select(func.count()).select_from(transactions)
    return int(
        connection.execute(
            query.where(transactions.c.index_order_id == order_id, transactions.c.kind == kind)
        ).scalar_one()
    )


def has_excess(connection: Connection, order_id: int, prices: BatchPrices | None) -> bool:
    """Return whether an order that would end now holds more of some asset than the float may take."""
    state = order_state(connection, order_id)
    return not state.order.status.is_final and _leftovers(state, prices)[1]


def _post_units(
    ledger: Ledger, state: OrderState, plan: StoredPlan, prices: BatchPrices, outcome: Outcome, now: datetime
) -> None:
    per_unit, cash_per_unit = state.basket.quantities, state.basket.cash_per_unit
    if state.order.side is Side.BUY:
        if outcome.units or any(outcome.float_takes.values()):
            created = baskets(outcome.units, per_unit, cash_per_unit)
            ledger.post(
                creation(
                    state.parties,
                    plan.id,
                    created,
                    outcome.float_takes,
                    prices.mids,
                    ledger.lot_book(),
                    at=now,
                )
            )
        return
    ledger.post(
        redemption_settlement(
            state.parties,
            plan.id,
            outcome.units,
            baskets(outcome.returned, per_unit, cash_per_unit),
            outcome.float_takes,
            prices.lent,
            prices.mids,
            state.cash,
            prices.cash_before,
            at=now,
        )
    )


def _post_closing(
    connection: Connection,
    ledger: Ledger,
    state: OrderState,
    leftovers: dict[str, Decimal],
    prices: BatchPrices | None,
    now: datetime,
) -> None:
    """Book what the units of the order do not carry yet: leftovers at mid, and gains or losses of trading back."""
    mids = {} if prices is None else {asset: prices.mids[asset] for asset in leftovers}
    from_float = sum((quantity * mids[asset] for asset, quantity in leftovers.items()), ZERO)
    carried = sum((settlement.cash for settlement in settlements_of(connection, state.order.id)), ZERO)
    cash = cash_of(connection, state.order)
    beyond = cash - state.order.side.sign * from_float - carried
    if leftovers or beyond:
        before = _count(connection, state.order.id, "close")
        ledger.post(closing(state.parties, state.order.side, leftovers, mids, beyond, at=now, before=before))
