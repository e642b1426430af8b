"""A plan that was carried out, proved again: by itself, and against the rows around it."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

from sqlalchemy import Connection

from etf_trader.errors import NotFound
from etf_trader.execution.batch import CONVERT, MOST_PIECES, QUOTE, TRADE, UNWIND
from etf_trader.execution.fee_inventory import PLAN_KEY
from etf_trader.execution.fees_apart import with_fees_apart
from etf_trader.execution.wave_proof import batches_with_waves, check_wave
from etf_trader.index.store import Basket, basket_by_id
from etf_trader.market.currency import CURRENCIES
from etf_trader.market.symbol import Side
from etf_trader.money import ZERO, money_context, plain
from etf_trader.orders.asset_order import AssetOrder, OrderKind
from etf_trader.orders.index_order import IndexOrder
from etf_trader.orders.plan import PlannedLeg
from etf_trader.orders.status import AssetOrderStatus
from etf_trader.orders.store import (
    StoredPlan,
    asset_orders_of_plan,
    index_order,
    plans_beside,
    stored_market,
    stored_plan,
)
from etf_trader.solver.findings import Finding, differs
from etf_trader.solver.passive import QUOTE as QUOTE_METHOD
from etf_trader.solver.problem import OrderProblem
from etf_trader.solver.reader import Malformed, Reader
from etf_trader.solver.rebalance_statement import read_rebalance_statement
from etf_trader.solver.statement import Statement, planned_leg, read_statement, side_of
from etf_trader.solver.verify import SHARED, Unprovable, is_rebalance, verify
from etf_trader.solver.verify import UNWIND as UNWIND_METHOD
from etf_trader.solver.verify_batch import check_batch

COLUMNS = ("units", "method", "cost", "bound", "gap_bps", "book_hash")
"""What the row of a plan repeats of its document."""


@dataclass(frozen=True, slots=True)
class Proof:
    """A stored plan and what was found: nothing when it is proved."""

    stored: StoredPlan
    document: Mapping[str, Any]
    market: Mapping[str, Any]
    findings: tuple[Finding, ...]


def market_of_plan(connection: Connection, stored: StoredPlan) -> dict[str, Any]:
    """Return the books and rules that a plan was made on.

    Raises:
        NotFound: the plan is from before they were kept.
    """
    market = stored_market(connection, stored.book_hash)
    if market is None:
        raise NotFound(
            f"plan {stored.id} was made before books were kept with plans: it cannot be proved again",
            where="plan",
            hint=f"etf plan show {stored.id} shows what it says; the plans of newer orders carry their books",
        )
    return market


def prove(connection: Connection, plan_id: int) -> Proof:
    """Prove a stored plan again, and compare it with its order, its basket and what was sent.

    Raises:
        NotFound: there is no plan with this number, or it is from before books were kept.
    """
    stored = stored_plan(connection, plan_id)
    market = market_of_plan(connection, stored)
    findings = list(_row(stored))
    document: dict[str, Any] = {}
    try:
        document = json.loads(stored.document)
        findings += verify(document, market)
        if is_rebalance(document):
            findings += check_wave(connection, stored, document, market)
            return Proof(stored, document, market, tuple(findings))
        statement = read_statement(document, market)
    except Unprovable as error:
        if not findings:
            raise NotFound(
                f"plan {stored.id} {error.what}; its books are those it was made on, and its seal holds",
                where="plan",
            ) from error
        return Proof(stored, document, market, (*findings, Finding(error.where, error.what)))
    except ValueError as error:  # Malformed is one
        told = Finding(error.where, error.what) if isinstance(error, Malformed) else Finding("plan", "is no JSON")
        findings += [] if told in findings else [told]
        return Proof(stored, document, market, tuple(findings))
    order = index_order(connection, stored.index_order_id)
    basket = basket_by_id(connection, stored.basket_id)
    with money_context():
        findings += _columns(stored, document)
        findings += _asked(statement, order, document)
        findings += _basket(statement, basket, document)
        findings += _sent(statement, stored, asset_orders_of_plan(connection, plan_id))
        if stored.method == SHARED:
            findings += _together(connection, stored, market)
    return Proof(stored, document, market, tuple(findings))


def _together(connection: Connection, stored: StoredPlan, market: Mapping[str, Any]) -> Iterator[Finding]:
    """Check what only all plans of a batch show together."""
    wave, with_waves = None, batches_with_waves(connection, stored)
    own = next((each for each in with_waves if stored.id in {plan.id for plan in each[1]}), None)
    try:
        if own is not None:
            wave, batch = read_rebalance_statement(json.loads(own[0].document), market), own[1]
        else:
            others = {plan.id for _, named in with_waves for plan in named}
            batch = [plan for plan in plans_beside(connection, stored) if plan.method == SHARED]
            batch = [plan for plan in batch if plan.id not in others]
        statements = [read_statement(json.loads(plan.document), market) for plan in batch]
    except ValueError:
        yield Finding("batch", "has a plan that cannot be read")
        return
    yield from check_batch(statements, wave)


def _row(stored: StoredPlan) -> Iterator[Finding]:
    if stored.seal != stored.facts_seal():
        yield Finding(f"row of plan {stored.id}", "does not match its seal")


def _columns(stored: StoredPlan, document: Mapping[str, Any]) -> Iterator[Finding]:
    for name in COLUMNS:
        value = getattr(stored, name)
        column = plain(value) if isinstance(value, Decimal) else value
        yield from differs(f"row of plan {stored.id}, {name}", column, document[name])
    yield from differs(f"row of plan {stored.id}, purpose", stored.purpose, _purpose(document))


def _purpose(document: Mapping[str, Any]) -> str:
    """Return what a plan is for: a buy that exchanges currencies does that first, a sell at its end."""
    if document["method"] == UNWIND_METHOD:
        coins = {leg["asset"] for leg in document["problem"]["legs"] if leg["per_unit"] != "0"}
        coins |= {leg["asset"] for leg in document["legs"] if leg["asset"] not in CURRENCIES}  # of a past basket
        return UNWIND if any(leg["asset"] in coins for leg in document["legs"]) else CONVERT
    if document["method"] == QUOTE_METHOD:
        return QUOTE
    return CONVERT if document["side"] == "buy" and document.get("conversions") else TRADE


def _asked(statement: Statement, order: IndexOrder, document: Mapping[str, Any]) -> Iterator[Finding]:
    """Compare what the plan says it was asked with what was accepted."""
    where, problem = f"order {order.id}", statement.problem
    if order.seal != order.facts_seal():
        yield Finding(where, "does not match its seal")
    for leg in problem.legs:
        yield from differs(f"arrival of {leg.asset} in {where}", order.arrival.get(leg.asset), leg.arrival_mid)
    for name, rate in statement.rates.items():
        yield from differs(f"arrival of {name} in {where}", order.arrival.get(name), rate.arrival_mid)
    if statement.method == UNWIND_METHOD:
        return
    yield from differs(f"side of {where}", order.side, problem.side)
    limit, most = _limits(problem, order, document)
    yield from differs(f"limit of {where}", limit, problem.limit)
    units = problem.units_done + problem.quantity
    beside_filled = problem.max_loss_bps is None and any(leg.held for leg in problem.legs)
    if not (beside_filled and units <= order.quantity):  # completing what is held goes by no loss limit
        yield from differs(f"loss limit of {where}", most, problem.max_loss_bps)
        is_slice = order.schedule is not None and units <= order.quantity
        yield from differs(f"quantity of {where}", order.quantity, order.quantity if is_slice else units)


def _limits(
    problem: OrderProblem, order: IndexOrder, document: Mapping[str, Any]
) -> tuple[Decimal | None, Decimal | None]:
    """Return the limit and the loss limit that the solver was to keep: less where fees are paid beside."""
    rate = document.get(PLAN_KEY, {}).get("rate")
    asked = replace(problem, limit=order.limit_price, max_loss_bps=order.max_loss_bps)
    if rate is not None:
        asked = with_fees_apart(asked, Decimal(rate))
    return asked.limit, asked.max_loss_bps


def _basket(statement: Statement, basket: Basket, document: Mapping[str, Any]) -> Iterator[Finding]:
    where = f"basket {basket.version}"
    if basket.seal != basket.facts_seal():
        yield Finding(where, "does not match its seal")
    yield from differs(f"version of {where}", basket.version, document.get("basket_version"))
    yield from differs(f"cash of {where}", basket.cash_per_unit, statement.problem.cash_per_unit)
    own = [leg for leg in statement.problem.legs if leg.per_unit or leg.asset in basket.quantities]
    stated = {leg.asset: leg.per_unit for leg in own}
    quantities, symbols = dict(basket.quantities), dict(basket.symbols)
    if statement.method == UNWIND_METHOD:
        # What has no market now is left out, and what sells better in another currency is sold there.
        quantities = {asset: a for asset, a in quantities.items() if asset in stated}
        symbols = {leg.asset: symbols[leg.asset] for leg in own if leg.rule.quote not in statement.rates}
        own = [leg for leg in own if leg.asset in symbols]
    elif statement.problem.side is Side.SELL:  # who sells is paid the rest of what cannot be traded
        quantities = {asset: a for asset, a in quantities.items() if asset in stated} or quantities
        symbols = {asset: symbol for asset, symbol in symbols.items() if asset in quantities}
    yield from differs(f"quantities of {where}", quantities, stated)
    yield from differs(f"symbols of {where}", symbols, {leg.asset: leg.rule.symbol for leg in own})


def _sent(statement: Statement, stored: StoredPlan, sent: Sequence[AssetOrder]) -> Iterator[Finding]:
    """Compare the orders that were written for the plan with its legs, and inside trades with what it crosses."""
    planned = _planned(statement, stored)
    for order in sent:
        where, intent = f"asset order {order.id}", order.intent
        if order.seal != intent.seal(order.plan_id, order.index_order_id):
            yield Finding(where, "does not match its seal")
        if order.status is AssetOrderStatus.CROSSED or intent.symbol not in planned:
            continue
        side, leg = planned[intent.symbol]
        kind = OrderKind.POST_ONLY if statement.method == QUOTE_METHOD else OrderKind.IOC
        yield from differs(f"{where}, kind", intent.kind, kind)
        yield from differs(where, (intent.side, intent.mid, intent.touch), (side, leg.mid, leg.touch))
        for share in order.shares:
            for each in share.slices if share.plan_id == stored.id else ():
                yield from differs(f"{where}, price", each.last_price, leg.limit_price)
    quantities = {symbol: leg.quantity for symbol, (_, leg) in planned.items()}
    at_venue = [order for order in sent if order.status is not AssetOrderStatus.CROSSED]
    if len(at_venue) < MOST_PIECES:
        yield from differs("quantities that were written", _written(at_venue, stored.id), quantities)
    inside = [order for order in sent if order.status is AssetOrderStatus.CROSSED]
    symbols = {leg.asset: leg.rule.symbol for leg in statement.problem.legs}
    crossed = {symbols.get(asset, asset): quantity for asset, quantity in statement.crossed.items()}
    yield from differs("quantities that were crossed", _written(inside, stored.id), crossed)


def _planned(statement: Statement, stored: StoredPlan) -> dict[str, tuple[Side, PlannedLeg]]:
    """Return what the plan sends now, by symbol: its conversions, or its legs."""
    if stored.purpose == CONVERT and stored.method != UNWIND_METHOD:
        conversions = Reader(json.loads(stored.document), "plan")["conversions"].list()
        sent = [(side_of(each["side"]), planned_leg(each)) for each in conversions]
    else:
        sent = [(statement.problem.side, leg) for leg in statement.legs]
    return {leg.symbol: (side, leg) for side, leg in sent if leg.quantity}


def _written(orders: Sequence[AssetOrder], plan_id: int) -> dict[str, Decimal]:
    """Return what asset orders trade for a plan, by symbol."""
    found: dict[str, Decimal] = {}
    for order in orders:
        part = sum((share.quantity for share in order.shares if share.plan_id == plan_id), ZERO)
        found[order.intent.symbol] = found.get(order.intent.symbol, ZERO) + part
    return found
