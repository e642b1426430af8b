"""A planned rebalance as plain values. Pure."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from etf_trader.money import ZERO, bps, divide
from etf_trader.orders.rebalance import NO_COST
from etf_trader.rebalance.drift import Drift
from etf_trader.rebalance.planning import Rebalance
from etf_trader.solver.rebalance_document import rebalance_plan_document

_FRACTION = Decimal("1e-12")
_NAV = Decimal("1e-18")


def plan_object(found: Rebalance, *, index: str, basket_version: int, book_hash: str) -> dict[str, Any] | None:
    """Return the plan object of a rebalance, as it is stored where it is executed; None where nothing is asked.

    Args:
        index: Its symbol.
        basket_version: Of the basket that is held.
        book_hash: Of the market document with the books and rules of all that is held or wanted.
    """
    if found.problem is None or found.plan is None:
        return None
    return rebalance_plan_document(
        found.problem,
        found.plan,
        index=index,
        basket_version=basket_version,
        book_hash=book_hash,
        kept=found.kept,
    )


def rebalance_document(found: Rebalance, units: Decimal) -> dict[str, Any]:
    """Return what a rebalance trades and costs: fractions of NAV, money in the quote of the index.

    Args:
        units: Units outstanding, above 0: NAV per unit is NAV divided by them.
    """
    costs = list(found.costs.values())
    plan = found.plan
    return {
        "nav_before": found.nav,
        "nav_after": found.nav_after,
        "units": units,
        "nav_per_unit_before": divide(found.nav, units, _NAV),
        "nav_per_unit_after": divide(found.nav_after, units, _NAV),
        "cash_before": found.cash,
        "cash_after": found.cash_after,
        "cost": found.cost,
        "cost_bps": bps(found.cost, found.nav),
        "spread": sum((each.spread for each in costs), ZERO),
        "depth": sum((each.depth for each in costs), ZERO),
        "fee": sum((each.fee for each in costs), ZERO),
        "turnover": found.turnover,
        "scale": found.scale,
        "orders": found.orders,
        "waves": 0 if plan is None else plan.waves,
        "legs": [_leg(found, each) for each in found.drifts],
    }


def _leg(found: Rebalance, drift: Drift) -> dict[str, Any]:
    leg = found.legs.get(drift.asset)
    parts = found.costs.get(drift.asset, NO_COST)
    facts: Mapping[str, Any] = {
        "asset": drift.asset,
        "weight": drift.weight,
        "target": drift.target,
        "width": drift.width,
        "aim": drift.aim,
        "why_skipped": found.why_skipped(drift),
        "spread": parts.spread,
        "depth": parts.depth,
        "fee": parts.fee,
        "cost": parts.total,
    }
    if leg is None:
        return {**facts, "side": None, "wave": 0, "quantity": ZERO, "value": ZERO, "weight_after": drift.weight}
    return {
        **facts,
        "symbol": leg.symbol,
        "side": None if leg.side is None else str(leg.side),
        "wave": leg.wave,
        "quantity": leg.quantity,
        "value": leg.value,
        "mid": leg.mid,
        "last_price": leg.last_price,
        "holding_before": leg.holding_before,
        "holding_after": leg.holding_after,
        "weight_after": divide(leg.holding_after * leg.mid, found.nav_after, _FRACTION),
    }
