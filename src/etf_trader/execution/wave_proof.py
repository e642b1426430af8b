"""A wave of a rebalance held against the rows around it: its rebalance, its basket, and what was sent."""

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any

from sqlalchemy import Connection

from etf_trader.execution.batch import MOST_PIECES, WAVE
from etf_trader.index.store import Basket, basket_by_id
from etf_trader.market.symbol import Side
from etf_trader.money import ZERO, money_context, plain
from etf_trader.orders.asset_order import AssetOrder
from etf_trader.orders.rebalance import RebalanceLeg
from etf_trader.orders.rebalance_order import RebalanceOrder
from etf_trader.orders.rebalances import rebalance_order
from etf_trader.orders.status import AssetOrderStatus
from etf_trader.orders.store import StoredPlan, asset_orders_of_plan, plans_of, plans_of_moment
from etf_trader.solver.findings import Finding, differs
from etf_trader.solver.rebalance_statement import RebalanceStatement, read_rebalance_statement
from etf_trader.solver.statement import read_statement
from etf_trader.solver.verify_batch import check_batch

COLUMNS = ("method", "cost", "bound", "gap_bps", "book_hash")
"""What the row of a wave repeats of its document."""


def check_wave(
    connection: Connection, stored: StoredPlan, document: Mapping[str, Any], market: Mapping[str, Any]
) -> Iterator[Finding]:
    """Yield what does not fit between the plan of a wave and the rows around it.

    Raises:
        Malformed: the plan is not of its form.
    """
    statement = read_rebalance_statement(document, market)
    order = rebalance_order(connection, stored.index_order_id)
    basket = basket_by_id(connection, stored.basket_id)
    with money_context():
        yield from _columns(stored, document)
        yield from _basket(stored, basket, statement, document)
        if _is_first(connection, stored):
            yield from _asked(order, statement)
        yield from _sent(stored, statement, asset_orders_of_plan(connection, stored.id))
        yield from _beside(connection, stored, statement, market)


def batches_with_waves(connection: Connection, stored: StoredPlan) -> list[tuple[StoredPlan, list[StoredPlan]]]:
    """Return the waves of a moment that trade with orders, each with the plans of these.

    A wave names them by their seals, and is written after them. What it names
    and is not there is missing in the list.
    """
    waves = [each for each in plans_of_moment(connection, stored) if each.purpose == WAVE]
    return [(each, _named(connection, each)) for each in waves if _names(each)]


def _names(wave: StoredPlan) -> Sequence[str]:
    beside: Sequence[str] = json.loads(wave.document).get("beside", ())
    return beside


def _named(connection: Connection, wave: StoredPlan) -> list[StoredPlan]:
    """Return the plans that a wave names, as far as they are there: the last of each before it."""
    missing, found = Counter(_names(wave)), []
    for each in reversed(plans_of_moment(connection, wave)):
        if each.id < wave.id and each.purpose != WAVE and missing[seal := json.loads(each.document)["seal"]]:
            missing[seal] -= 1
            found.append(each)
    return found[::-1]


def _beside(
    connection: Connection, stored: StoredPlan, statement: RebalanceStatement, market: Mapping[str, Any]
) -> Iterator[Finding]:
    """Check a wave against the plans of the orders that trade with it in one batch."""
    named = _named(connection, stored)
    if len(named) != len(statement.beside):
        yield Finding("plan.beside", "names a plan that is not there")
        return
    try:
        orders = [read_statement(json.loads(each.document), market) for each in named]
    except ValueError:
        yield Finding("plan.beside", "names a plan that cannot be read")
        return
    yield from check_batch(orders, statement)


def _columns(stored: StoredPlan, document: Mapping[str, Any]) -> Iterator[Finding]:
    for name in COLUMNS:
        value = getattr(stored, name)
        column = plain(value) if isinstance(value, Decimal) else value
        yield from differs(f"row of plan {stored.id}, {name}", column, document[name])
    yield from differs(f"row of plan {stored.id}, purpose", stored.purpose, WAVE)


def _basket(
    stored: StoredPlan, basket: Basket, statement: RebalanceStatement, document: Mapping[str, Any]
) -> Iterator[Finding]:
    """Check that a wave begins with what its units hold."""
    where = f"basket {basket.version}"
    if basket.seal != basket.facts_seal():
        yield Finding(where, "does not match its seal")
    yield from differs(f"version of {where}", basket.version, document["basket_version"])
    yield from differs(f"cash of {where}", basket.cash_per_unit * stored.units, statement.problem.cash)
    stated = {each.asset: each.holding for each in statement.problem.constituents if each.holding}
    stated |= {each.asset: each.holding for each in statement.kept}
    held = {asset: quantity * stored.units for asset, quantity in basket.quantities.items() if asset in stated}
    yield from differs(f"quantities of {where}", held, stated)


def _is_first(connection: Connection, stored: StoredPlan) -> bool:
    waves = [plan.id for plan in plans_of(connection, stored.index_order_id) if plan.purpose == WAVE]
    return waves[0] == stored.id


def _asked(order: RebalanceOrder, statement: RebalanceStatement) -> Iterator[Finding]:
    """Check that the first wave goes to the targets that were accepted, as far as there are prices."""
    where, asked = f"rebalance {order.id}", {each.asset: each.weight for each in statement.problem.constituents}
    if order.seal != order.request.seal():
        yield Finding(where, "does not match its seal")
    if asked.keys() == order.request.parts.keys():
        yield from differs(f"targets of {where}", order.request.parts, asked)
    elif not asked.keys() <= order.request.parts.keys():
        yield Finding(where, "has no target for what its first wave trades")


def _sent(stored: StoredPlan, statement: RebalanceStatement, sent: Sequence[AssetOrder]) -> Iterator[Finding]:
    """Compare the orders that were written with the legs of the plan's first wave."""
    now = [each for each in statement.legs if each.leg.wave == 1]
    planned = {each.leg.symbol: each for each in now if each.leg.quantity}
    written: dict[str, Decimal] = {}
    crossed: dict[tuple[str, Side], Decimal] = {}
    for order in sent:
        where, intent = f"asset order {order.id}", order.intent
        if order.seal != intent.seal(order.plan_id, order.index_order_id):
            yield Finding(where, "does not match its seal")
        if order.status is AssetOrderStatus.CROSSED:
            way = intent.symbol, intent.side
            crossed[way] = crossed.get(way, ZERO) + intent.quantity
            yield from differs(f"{where}, price", intent.price, intent.mid)
            continue
        written[intent.symbol] = written.get(intent.symbol, ZERO) + intent.quantity
        if (stated := planned.get(intent.symbol)) is not None:
            said = (stated.leg.side, stated.leg.mid, stated.touch, stated.leg.last_price)
            yield from differs(where, (intent.side, intent.mid, intent.touch, intent.price), said)
    legs: dict[str, RebalanceLeg] = {symbol: each.leg for symbol, each in planned.items()}
    if len(sent) < MOST_PIECES:
        quantities = {symbol: leg.quantity for symbol, leg in legs.items()}
        yield from differs("quantities that were written", written, quantities)
    inside = {(each.leg.symbol, each.leg.side): each.leg.inside for each in now if each.leg.inside}
    yield from differs("quantities that were crossed", crossed, inside)
