"""Several index orders, of several indices and both sides, on shared books: one solve.

Orders that share no asset and no float with others are planned alone, exactly
as `plan_order` does. The rest rise together (`course`), are finished in whole
units and lots (`finish`), and only their net goes to the venue.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from decimal import Decimal

from etf_trader.market.symbol import Side
from etf_trader.money import BPS, ZERO
from etf_trader.orders.plan import Plan
from etf_trader.solver.allotment import grid_of
from etf_trader.solver.columns import (
    Group,
    assets_of,
    check_books,
    components,
    grouped,
    members_of,
    pooled,
    residuals_once,
)
from etf_trader.solver.course import common_fractions
from etf_trader.solver.finish import Ask, Finish
from etf_trader.solver.order import plan_order
from etf_trader.solver.outcomes import column_plan, crosses, shared_orders
from etf_trader.solver.problem import exact
from etf_trader.solver.shares import (
    Column,
    Cross,
    Member,
    Share,
    SharedAssetOrder,
    SharedOrder,
    SharedPlan,
    Slice,
    Touch,
)
from etf_trader.solver.slices import too_small, worst_prices
from etf_trader.solver.standing import rounding
from etf_trader.solver.wishes import Wishes

MAX_CROSS_SPREAD = Decimal(50)
"""Wishes meet inside only on a book whose spread is at most this, in basis points of its mid."""


def plan_together(
    orders: Sequence[SharedOrder],
    touches: Mapping[str, Touch],
    max_cross_spread_bps: Decimal = MAX_CROSS_SPREAD,
) -> SharedPlan:
    """Return the fairest plan of all `orders`, at the least cost.

    The smallest fraction is as large as can be, then the next; nobody pays
    beyond its own limits. An asset that is wanted on both sides, and whose book
    is stale or wide, stops every order that holds it, on both sides: "cross(ASSET)".

    Args:
        orders: With keys that differ; the sequence they come in does not matter.
        touches: By asset, for those wanted on both sides; an asset without one may not meet inside.
        max_cross_spread_bps: The widest spread at which wishes meet inside.

    Raises:
        ValueError: Two orders have one key, or tell a book differently.
        NumericalFailure: HiGHS found no optimum.
    """
    queue = sorted(orders, key=lambda order: order.key)
    if len({order.key for order in queue}) < len(queue):
        raise ValueError("two orders have the same key")
    groups = grouped(queue)
    check_books(groups)
    with exact(leg for group in groups for leg in group[0].problem.legs):
        meets = {asset for asset, touch in touches.items() if _may_meet(touch, max_cross_spread_bps)}
        waiting = _who_waits(groups, meets)
        parts = [_waiting_part(groups[place], f"cross({asset})") for place, asset in sorted(waiting.items())]
        return _joined(parts + _solved([group for place, group in enumerate(groups) if place not in waiting]))


def _joined(parts: Sequence[SharedPlan]) -> SharedPlan:
    columns = [column for part in parts for column in part.columns]
    return SharedPlan(
        tuple(sorted(columns, key=lambda column: column.members[0].key)),
        tuple(sorted((each for part in parts for each in part.asset_orders), key=lambda each: each.symbol)),
        tuple(sorted(cross for part in parts for cross in part.crosses)),
    )


def _may_meet(touch: Touch, max_spread_bps: Decimal) -> bool:
    spread, mid = touch.ask - touch.bid, (touch.ask + touch.bid) / 2
    return touch.is_fresh and touch.bid > 0 and 0 < spread * BPS <= max_spread_bps * mid


def _who_waits(groups: Sequence[Group], meets: set[str]) -> dict[int, str]:
    """Return the columns that wait, by place, and the asset that may not meet inside.

    Asset by asset, by name: only orders that would trade stand in each other's
    way, and who waits already stands in nobody's.
    """
    waiting: dict[int, str] = {}
    wanted = _wanted_by_side(groups, waiting)
    while wanted - meets:
        live = [place for place in range(len(groups)) if place not in waiting]
        fractions, _ = common_fractions(Wishes([pooled(groups[place]) for place in live]))
        trading = [
            place
            for place, fraction in zip(live, fractions, strict=True)
            if fraction > 0 or any(leg.held for leg in groups[place][0].problem.legs)
        ]
        clash = _wanted_by_side([groups[place] for place in trading], {}) - meets
        if not clash:
            break
        asset = min(clash)
        waiting |= {place: asset for place in trading if asset in assets_of(groups[place])}
        wanted = _wanted_by_side(groups, waiting)
    return waiting


def _wanted_by_side(groups: Sequence[Group], waiting: Mapping[int, str]) -> set[str]:
    """Return the assets that are wanted on both sides."""
    sides: dict[Side, set[str]] = {side: set() for side in Side}
    for place, group in enumerate(groups):
        if place not in waiting:
            sides[group[0].problem.side] |= assets_of(group)
    return sides[Side.BUY] & sides[Side.SELL]


def _waiting_part(group: Group, stop: str) -> SharedPlan:
    """Return the part of orders that do nothing now."""
    wanted = pooled(group)
    finish = Finish([Ask(group[0].index, replace(wanted, quantity=ZERO), len(group))], [0.0], [()])
    plan = replace(column_plan(finish, 0, {}), wanted=wanted.quantity, stopped_by=(stop,))
    return SharedPlan((_column(group, plan, {}, 0),), (), ())


def _solved(groups: Sequence[Group]) -> list[SharedPlan]:
    """Solve columns, those apart that share nothing."""
    return [part for component in components(groups) for part in _solved_together(component)]


def _solved_together(groups: list[Group]) -> list[SharedPlan]:
    """Solve columns that share assets.

    Orders whose own cash does not suffice are taken out of their column; those
    too small for an asset order of their own wait: both times the rest is solved again.
    """
    if len(groups) == 1 and len(groups[0]) == 1:
        return [_alone(groups[0][0])]
    problems = residuals_once([group[0].index for group in groups], [pooled(group) for group in groups])
    fractions, stops = common_fractions(Wishes(problems))
    asks = [Ask(group[0].index, problem, len(group)) for group, problem in zip(groups, problems, strict=True)]
    finish = Finish(asks, [float(fraction) for fraction in fractions], stops)
    finish.run()
    prices = worst_prices(finish)
    short = [_short_of_cash(finish, column, prices[column], group) for column, group in enumerate(groups)]
    if any(short):
        rest = [
            [order for order in group if order.key not in keys] for group, keys in zip(groups, short, strict=True)
        ]
        single = [
            [order] for group, keys in zip(groups, short, strict=True) for order in group if order.key in keys
        ]
        return _solved(sorted([group for group in rest if group] + single, key=lambda group: group[0].key))
    if small := too_small(finish, prices):
        parts = [_waiting_part(groups[place], "minimum") for place in sorted(small)]
        return parts + _solved([group for place, group in enumerate(groups) if place not in small])
    return [_assembled(groups, finish, prices)]


def _short_of_cash(finish: Finish, column: int, prices: Mapping[str, Decimal], group: Group) -> set[int]:
    """Return the orders of a column whose own cash may not cover their part at worst."""
    problem = finish.asks[column].problem
    if len(group) == 1 or problem.cash is None or problem.side is Side.SELL:
        return set()
    standing, units = finish.standing(column, prices), finish.units(column)
    legs = {leg.asset: leg for leg in problem.legs}
    spread = sum((rounding(legs[asset], taken) for asset, taken in finish.taken(column).items()), ZERO)
    short = set()
    for place, member in enumerate(members_of(group, finish.steps[column])):
        if standing.reserve * member.units + spread * units > (group[place].problem.cash or ZERO) * units:
            short.add(member.key)
    return short


def _column(group: Group, plan: Plan, crossed: Mapping[str, Decimal], steps: int) -> Column:
    return Column(
        group[0].index,
        members_of(group, steps),
        plan,
        crossed,
        tuple(order.problem for order in group),
    )


def _assembled(groups: Sequence[Group], finish: Finish, prices: list[dict[str, Decimal]]) -> SharedPlan:
    columns = []
    for place, group in enumerate(groups):
        crossed = {asset: taken.crossed for asset, taken in finish.taken(place).items() if taken.crossed}
        columns.append(_column(group, column_plan(finish, place, prices[place]), crossed, finish.steps[place]))
    return SharedPlan(tuple(columns), shared_orders(finish, columns, prices), crosses(columns))


def _alone(order: SharedOrder) -> SharedPlan:
    """Plan an order that shares nothing."""
    plan = plan_order(order.problem)
    members = (Member(order.key, plan.units),)
    rules = {leg.asset: leg.rule for leg in order.problem.legs}
    sent = []
    for leg in plan.legs:
        if leg.quantity:
            rule = rules[leg.asset]
            share = Share(
                members, leg.quantity, (leg.quantity,), leg.quantity, ZERO, leg.last_price, leg.limit_price
            )
            sent.append(
                SharedAssetOrder(
                    leg.asset,
                    leg.symbol,
                    plan.side,
                    leg.quantity,
                    (Slice(leg.quantity, leg.limit_price),),
                    (share,),
                    grid_of(rule),
                    rule.fee_quantum(plan.side),
                )
            )
    nothing: tuple[Cross, ...] = ()
    return SharedPlan((Column(order.index, members, plan, {}, (order.problem,)),), tuple(sent), nothing)
