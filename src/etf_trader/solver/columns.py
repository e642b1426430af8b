"""Which orders are solved as one, and which are solved together."""

from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from operator import attrgetter

from etf_trader.market.symbol import Side
from etf_trader.money import UNIT_GRID, ZERO, apportion
from etf_trader.solver.problem import Leg, OrderProblem
from etf_trader.solver.shares import Member, SharedOrder

Group = list[SharedOrder]
"""The orders of one column, by key."""

_held, _per_unit, _arrival = attrgetter("held"), attrgetter("per_unit"), attrgetter("arrival_mid")


def grouped(orders: Sequence[SharedOrder]) -> list[Group]:
    """Return the columns: orders of one index, side and limits that have traded nothing yet; others alone."""
    groups: list[Group] = []
    alike: dict[object, list[tuple[object, Group]]] = {}
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


def check_books(groups: Sequence[Group]) -> None:
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


def assets_of(group: Group) -> set[str]:
    """Return the assets that a column may trade."""
    return {leg.asset for leg in group[0].problem.legs if leg.per_unit or leg.held}


def components(groups: Sequence[Group]) -> list[list[Group]]:
    """Return the columns in sets that share neither assets nor a float with each other."""
    found: list[tuple[set[str], list[Group]]] = []
    for group in groups:
        names = {f"asset {asset}" for asset in assets_of(group)} | {f"float {group[0].index}"}
        mine = [group]
        apart = []
        for others, members in found:
            if others & names:
                names, mine = names | others, members + mine
            else:
                apart.append((others, members))
        found = [*apart, (names, mine)]
    return [sorted(members, key=lambda group: group[0].key) for _, members in found]


def pooled(group: Group) -> OrderProblem:
    """Return the orders of a column as one; each has its own cash, which is looked at when they are finished."""
    first = group[0].problem
    if len(group) == 1:
        return first
    return replace(
        first,
        quantity=sum((order.problem.quantity for order in group), ZERO),
        cash=None if first.cash is None else sum((order.problem.cash or ZERO for order in group), ZERO),
    )


def residuals_once(indices: Sequence[str], problems: Sequence[OrderProblem]) -> list[OrderProblem]:
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


def members_of(group: Group, steps: int) -> tuple[Member, ...]:
    """Return the orders of a column with their units: its steps of the unit grid, split by what each wanted."""
    wanted = [int(order.problem.quantity / UNIT_GRID) for order in group]
    units = apportion(steps, wanted)
    return tuple(Member(order.key, part * UNIT_GRID) for order, part in zip(group, units, strict=True))
