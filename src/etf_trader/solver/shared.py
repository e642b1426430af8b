"""Several index orders, of several indices and both sides, on shared books: one solve.

Orders that share no asset and no float with others are planned alone, exactly
as `plan_order` does. The rest rise together (`course`), are finished in whole
units and lots (`finish`), and only their net goes to the venue.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from decimal import Decimal, getcontext
from operator import attrgetter

from etf_trader.market.symbol import Side
from etf_trader.money import BPS, UNIT_GRID, ZERO, money_context
from etf_trader.orders.plan import Plan
from etf_trader.solver.allotment import grid_of
from etf_trader.solver.course import common_fractions
from etf_trader.solver.finish import Ask, Finish
from etf_trader.solver.order import plan_order
from etf_trader.solver.outcomes import column_plan, crosses, shared_orders
from etf_trader.solver.problem import Leg, OrderProblem
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
from etf_trader.solver.splitting import apportion
from etf_trader.solver.standing import rounding
from etf_trader.solver.wishes import Wishes

MAX_CROSS_SPREAD = Decimal(50)
"""Wishes meet inside only on a book whose spread is at most this, in basis points of its mid."""

_Group = list[SharedOrder]


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
    groups = _grouped(queue)
    _check_books(groups)
    rates = {leg.rule.taker_fee for group in groups for leg in group[0].problem.legs}
    with money_context():
        getcontext().prec += 10 * len(rates)
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


_held, _per_unit, _arrival = attrgetter("held"), attrgetter("per_unit"), attrgetter("arrival_mid")


def _grouped(orders: Sequence[SharedOrder]) -> list[_Group]:
    """Return the columns: orders of one index, side and limits that have traded nothing yet; others alone."""
    groups: list[_Group] = []
    alike: dict[object, list[tuple[object, _Group]]] = {}
    for order in orders:
        problem = order.problem
        if not problem.quantity or problem.units_done or problem.loss_done or any(map(_held, problem.legs)):
            groups.append([order])
            continue
        bounds_loss = problem.max_loss_bps is not None
        key = (
            order.index,
            problem.side,
            problem.limit,
            problem.max_loss_bps,
            problem.slack_ticks,
            problem.cash_per_unit,
            problem.cash is None,
            problem.quantity.adjusted() if bounds_loss else None,
        )
        legs = (*map(_per_unit, problem.legs), *(map(_arrival, problem.legs) if bounds_loss else ()))
        # compared, not hashed: decimals that are the same object compare at once
        group = next((group for others, group in alike.setdefault(key, []) if others == legs), None)
        if group is None:
            group = []
            groups.append(group)
            alike[key].append((legs, group))
        group.append(order)
    return groups


def _check_books(groups: Sequence[_Group]) -> None:
    """Refuse what only a bug in the caller could have made: one book told in two ways."""
    seen: dict[tuple[str, Side], Leg] = {}
    mids: dict[str, tuple[Decimal, str]] = {}
    for group in groups:
        problem = group[0].problem
        for leg in problem.legs:
            other = seen.setdefault((leg.asset, problem.side), leg)
            is_same = other.levels is leg.levels or other.levels == leg.levels
            if not is_same or mids.setdefault(leg.asset, (leg.mid, leg.rule.symbol)) != (leg.mid, leg.rule.symbol):
                raise ValueError(f"{leg.asset}: two orders tell its book differently")


def _who_waits(groups: Sequence[_Group], meets: set[str]) -> dict[int, str]:
    """Return the columns that wait, by place, and the asset that may not meet inside.

    Asset by asset, by name: only orders that would trade stand in each other's
    way, and who waits already stands in nobody's.
    """
    waiting: dict[int, str] = {}
    wanted = _wanted_by_side(groups, waiting)
    while wanted - meets:
        live = [place for place in range(len(groups)) if place not in waiting]
        fractions, _ = common_fractions(Wishes([_pooled(groups[place]) for place in live]))
        trading = [
            place
            for place, fraction in zip(live, fractions, strict=True)
            if fraction > 0 or any(leg.held for leg in groups[place][0].problem.legs)
        ]
        clash = _wanted_by_side([groups[place] for place in trading], {}) - meets
        if not clash:
            break
        asset = min(clash)
        waiting |= {place: asset for place in trading if asset in _assets(groups[place])}
        wanted = _wanted_by_side(groups, waiting)
    return waiting


def _wanted_by_side(groups: Sequence[_Group], waiting: Mapping[int, str]) -> set[str]:
    """Return the assets that are wanted on both sides."""
    sides: dict[Side, set[str]] = {side: set() for side in Side}
    for place, group in enumerate(groups):
        if place not in waiting:
            sides[group[0].problem.side] |= _assets(group)
    return sides[Side.BUY] & sides[Side.SELL]


def _assets(group: _Group) -> set[str]:
    return {leg.asset for leg in group[0].problem.legs if leg.per_unit or leg.held}


def _components(groups: Sequence[_Group]) -> list[list[_Group]]:
    """Return the columns in sets that share neither assets nor a float with each other."""
    found: list[tuple[set[str], list[_Group]]] = []
    for group in groups:
        names = {f"asset {asset}" for asset in _assets(group)} | {f"float {group[0].index}"}
        mine = [group]
        apart = []
        for others, members in found:
            if others & names:
                names, mine = names | others, members + mine
            else:
                apart.append((others, members))
        found = [*apart, (names, mine)]
    return [sorted(members, key=lambda group: group[0].key) for _, members in found]


def _pooled(group: _Group) -> OrderProblem:
    """Return the orders of a column as one; each has its own cash, which is looked at when they are finished."""
    first = group[0].problem
    if len(group) == 1:
        return first
    return replace(
        first,
        quantity=sum((order.problem.quantity for order in group), ZERO),
        cash=None if first.cash is None else sum((order.problem.cash or ZERO for order in group), ZERO),
    )


def _residuals_once(indices: Sequence[str], problems: Sequence[OrderProblem]) -> list[OrderProblem]:
    """Leave the float's residuals to the first column of each index that holds the asset."""
    used: set[tuple[str, str]] = set()
    found = []
    for index, problem in zip(indices, problems, strict=True):
        taken = {leg.asset for leg in problem.legs if leg.residual and (index, leg.asset) in used}
        used |= {(index, leg.asset) for leg in problem.legs}
        if taken:
            legs = tuple(replace(leg, residual=ZERO) if leg.asset in taken else leg for leg in problem.legs)
            problem = replace(problem, legs=legs)
        found.append(problem)
    return found


def _waiting_part(group: _Group, stop: str) -> SharedPlan:
    """Return the part of orders that do nothing now."""
    wanted = _pooled(group)
    finish = Finish([Ask(group[0].index, replace(wanted, quantity=ZERO), len(group))], [0.0], [()])
    plan = replace(column_plan(finish, 0, {}), wanted=wanted.quantity, stopped_by=(stop,))
    return SharedPlan((_column(group, plan, {}, 0),), (), ())


def _solved(groups: Sequence[_Group]) -> list[SharedPlan]:
    """Solve columns, those apart that share nothing."""
    return [part for component in _components(groups) for part in _solved_together(component)]


def _solved_together(groups: list[_Group]) -> list[SharedPlan]:
    """Solve columns that share assets.

    Orders whose own cash does not suffice are taken out of their column; those
    too small for an asset order of their own wait: both times the rest is solved again.
    """
    if len(groups) == 1 and len(groups[0]) == 1:
        return [_alone(groups[0][0])]
    problems = _residuals_once([group[0].index for group in groups], [_pooled(group) for group in groups])
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


def _short_of_cash(finish: Finish, column: int, prices: Mapping[str, Decimal], group: _Group) -> set[int]:
    """Return the orders of a column whose own cash may not cover their part at worst."""
    problem = finish.asks[column].problem
    if len(group) == 1 or problem.cash is None or problem.side is Side.SELL:
        return set()
    standing, units = finish.standing(column, prices), finish.units(column)
    legs = {leg.asset: leg for leg in problem.legs}
    spread = sum((rounding(legs[asset], taken) for asset, taken in finish.taken(column).items()), ZERO)
    short = set()
    for place, member in enumerate(_members(group, finish.steps[column])):
        if standing.reserve * member.units + spread * units > (group[place].problem.cash or ZERO) * units:
            short.add(member.key)
    return short


def _members(group: _Group, steps: int) -> tuple[Member, ...]:
    wanted = [int(order.problem.quantity / UNIT_GRID) for order in group]
    units = apportion(steps, wanted)
    return tuple(Member(order.key, part * UNIT_GRID) for order, part in zip(group, units, strict=True))


def _column(group: _Group, plan: Plan, crossed: Mapping[str, Decimal], steps: int) -> Column:
    return Column(
        group[0].index,
        _members(group, steps),
        plan,
        crossed,
        tuple(order.problem for order in group),
    )


def _assembled(groups: Sequence[_Group], finish: Finish, prices: list[dict[str, Decimal]]) -> SharedPlan:
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
