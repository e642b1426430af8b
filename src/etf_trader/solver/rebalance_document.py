"""A planned rebalance as the plan object that is shown, stored and proved: canonical, and complete. Pure.

    purpose           "rebalance"
    index, basket_version, quote, book_hash
    nav_before, nav_after, cash_before, cash_after, cost    quote; NAV before less NAV after is the cost
    cost_bps, turnover                                      of NAV before; turnover one way, a fraction
    spread, depth, fee                                      the parts of the cost, exactly
    saving                                                  with the open orders in one solve; null without any
    waves, method
    bound, gap_bps, rounding_bps                            see below
    off_price, short_price, left_out                        of the aim, as `RebalancePlan` says
    multipliers, nav_multiplier                             that prove the bound
    legs       one an asset of the problem, by name: asset, symbol, side (null: idle), wave, quantity, inside,
               touch, last_price, mid, value, fee_in_kind, spread, depth, fee, cost, holding_before,
               holding_after, drift_before, drift_after, why_skipped
    kept       what the index holds beside, by name: asset, symbol, holding, mid, why
    problem    what was asked: cash, aim, max_cross_spread_bps, and of each asset its symbol, holding, weight,
               mid and what is ordered
    beside     the seals of the plans of the orders that trade with it in one batch; left out where there are none
    seal       SHA-256 over all the rest

NAV is of the whole index, what is kept included; weights and drifts are of the
part that the problem is about. Its objective, in quote, is

    NAV after - off_price x sum max(|h' m - w V'| - band, 0)
              - short_price x max(r V' - cash after, 0)

less, where being off target has a price, what the multiplier of cash is below
that of NAV for cash beyond the larger of the cash before and the reserve; and
`bound` is above it for every rebalance there is. `gap_bps` is what the plan lacks
of it, lots and least orders included, of which `rounding_bps` is theirs.
Books, rules and times stand outside, in the market whose hash is `book_hash`.
"""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, NamedTuple

from etf_trader.market.symbol import Side
from etf_trader.money import ZERO, bps, divide, plain
from etf_trader.orders.plan import plan_object_seal
from etf_trader.orders.rebalance import NO_COST, CostParts, RebalanceLeg, RebalancePlan
from etf_trader.solver.certificate import all_digits
from etf_trader.solver.rebalance_bound import idle_price, most_cash
from etf_trader.solver.rebalance_problem import Aim, Bands, Constituent, RebalanceProblem, Tracking

PURPOSE = "rebalance"

FRACTION = Decimal("1e-12")
"""Fractions of NAV in a plan object are rounded to this."""


class Kept(NamedTuple):
    """What the index holds that the rebalance leaves as it is, at a mid in quote, and why."""

    asset: str
    symbol: str
    holding: Decimal
    mid: Decimal
    why: str | None


def rebalance_plan_document(
    problem: RebalanceProblem,
    plan: RebalancePlan,
    *,
    index: str,
    basket_version: int,
    book_hash: str,
    kept: Sequence[Kept] = (),
    beside: Sequence[str] = (),
) -> dict[str, Any]:
    """Return the plan object of a rebalance, in plain values.

    The same problem in any order, on the same books, gives the same bytes.

    Args:
        problem: What `plan` was made for.
        plan: By `plan_rebalance`.
        index: Its symbol.
        basket_version: Of the basket that is held.
        book_hash: Of the market document with the books and rules of all assets.
        kept: What is not part of the problem.
        beside: The seals of the plans of the orders that trade with it.
    """
    with all_digits():
        asked = sorted(problem.constituents, key=lambda each: each.asset)
        still = sum((each.holding * each.mid for each in kept), ZERO)
        parts = [cost_parts(leg, each) for leg, each in zip(plan.legs, asked, strict=True)]
        nav, bound = plan.nav_before + still, plan.bound + still
        reached = objective(problem, plan) + still
        gap = bps(bound - reached, nav)
        smooth = divide(plan.gap_bps * problem.nav, nav, Decimal("0.0001"))
        document = {
            "purpose": PURPOSE,
            "index": index,
            "basket_version": basket_version,
            "quote": problem.quote,
            "nav_before": plain(nav),
            "nav_after": plain(plan.nav_after + still),
            "cash_before": plain(plan.cash_before),
            "cash_after": plain(plan.cash_after),
            "cost": plain(plan.cost),
            "cost_bps": plain(bps(plan.cost, nav)),
            "turnover": plain(turnover(plan.legs, nav)),
            "spread": plain(sum((each.spread for each in parts), ZERO)),
            "depth": plain(sum((each.depth for each in parts), ZERO)),
            "fee": plain(sum((each.fee for each in parts), ZERO)),
            "saving": None if plan.saving is None else plain(plan.saving),
            "waves": plan.waves,
            "method": plan.method,
            "bound": plain(bound),
            "gap_bps": plain(gap),
            "rounding_bps": plain(max(gap - smooth, ZERO)),
            "off_price": plain(plan.off_price),
            "short_price": plain(plan.short_price),
            "left_out": sorted(plan.left_out),
            "multipliers": {name: plain(plan.multipliers[name]) for name in sorted(plan.multipliers)},
            "nav_multiplier": plain(plan.nav_multiplier),
            "book_hash": book_hash,
            "legs": [
                _leg(leg, *pair) for leg, pair in zip(plan.legs, zip(asked, parts, strict=True), strict=True)
            ],
            "kept": [_kept(each) for each in sorted(kept)],
            "problem": _problem(problem, asked),
        }
        if beside:
            document["beside"] = sorted(beside)
        return document | {"seal": plan_object_seal(document)}


def objective(problem: RebalanceProblem, plan: RebalancePlan) -> Decimal:
    """Return NAV after of a plan less what it costs to be off target, and short or full of cash; in quote."""
    weights = {each.asset: each.weight for each in problem.constituents}
    ends = [(leg.holding_after * leg.mid, weights[leg.asset]) for leg in plan.legs]
    idle = idle_price(problem, plan.multipliers, plan.nav_multiplier)
    return objective_of(problem, ends, (plan.nav_after, plan.cash_after), (plan.off_price, plan.short_price, idle))


def objective_of(
    problem: RebalanceProblem,
    ends: Sequence[tuple[Decimal, Decimal]],
    after: tuple[Decimal, Decimal],
    prices: tuple[Decimal, Decimal, Decimal],
) -> Decimal:
    """Return the objective of what a rebalance leads to, in quote.

    Args:
        problem: What was asked.
        ends: Value and target weight of each asset.
        after: NAV and cash.
        prices: Of value off target, of reserve that lacks, and of cash beyond what there may be.
    """
    (nav, cash), (off_price, short_price, idle) = after, prices
    band = problem.aim.width * problem.nav if isinstance(problem.aim, Bands) else ZERO
    off = sum((max(abs(value - weight * nav) - band, ZERO) for value, weight in ends), ZERO)
    short = max(problem.reserve * nav - cash, ZERO)
    return nav - off_price * off - short_price * short - idle * max(cash - most_cash(problem), ZERO)


def turnover(legs: Sequence[RebalanceLeg], nav: Decimal) -> Decimal:
    """Return half of what legs trade, as a fraction of NAV."""
    return divide(sum((leg.value + leg.inside * leg.mid for leg in legs), ZERO), 2 * nav, FRACTION)


def cost_parts(leg: RebalanceLeg, constituent: Constituent) -> CostParts:
    """Return the parts of a leg's cost: half the spread, the depth beyond the touch, the fee at mid."""
    if leg.side is None or not leg.quantity:
        return NO_COST
    touch, sign = constituent.levels(leg.side)[0].price, leg.side.sign
    fee = leg.fee * leg.mid if leg.side is Side.BUY else leg.fee
    return CostParts(
        spread=sign * leg.quantity * (touch - leg.mid), depth=sign * (leg.value - leg.quantity * touch), fee=fee
    )


def _leg(leg: RebalanceLeg, constituent: Constituent, parts: CostParts) -> dict[str, Any]:
    """Return a leg in plain values; what sends nothing to the venue has its mid for prices."""
    touch, last = leg.mid, leg.mid
    if leg.side is not None and leg.quantity:
        touch, last = constituent.levels(leg.side)[0].price, leg.last_price
    return {
        "asset": leg.asset,
        "symbol": leg.symbol,
        "side": None if leg.side is None else str(leg.side),
        "wave": leg.wave,
        "quantity": plain(leg.quantity),
        "inside": plain(leg.inside),
        "touch": plain(touch),
        "last_price": plain(last),
        "mid": plain(leg.mid),
        "value": plain(leg.value),
        "fee_in_kind": plain(leg.fee),
        "spread": plain(parts.spread),
        "depth": plain(parts.depth),
        "fee": plain(parts.fee),
        "cost": plain(leg.cost),
        "holding_before": plain(leg.holding_before),
        "holding_after": plain(leg.holding_after),
        "drift_before": plain(leg.drift_before),
        "drift_after": plain(leg.drift_after),
        "why_skipped": leg.why_skipped,
    }


def _kept(each: Kept) -> dict[str, Any]:
    return {
        "asset": each.asset,
        "symbol": each.symbol,
        "holding": plain(each.holding),
        "mid": plain(each.mid),
        "why": each.why,
    }


def _problem(problem: RebalanceProblem, asked: Sequence[Constituent]) -> dict[str, Any]:
    return {
        "cash": plain(problem.cash),
        "aim": _aim(problem.aim),
        "max_cross_spread_bps": plain(problem.max_cross_spread_bps),
        "constituents": [
            {
                "asset": each.asset,
                "symbol": each.rule.symbol,
                "holding": plain(each.holding),
                "weight": plain(each.weight),
                "mid": plain(each.mid),
                "ordered": plain(each.ordered),
            }
            for each in asked
        ],
    }


def _aim(aim: Aim) -> Mapping[str, Any]:
    if isinstance(aim, Bands):
        return {"kind": "bands", "width": plain(aim.width)}
    if isinstance(aim, Tracking):
        return {"kind": "tracking", "price_bps": plain(aim.price_bps)}
    return {"kind": "exact"}
