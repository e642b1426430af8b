"""What a finished solve comes to: plans of columns and of single orders, asset orders, and internal crosses."""

from collections.abc import Mapping, Sequence
from decimal import Decimal

from etf_trader.market.symbol import Side
from etf_trader.money import ONE, UNIT_GRID, ZERO, apportion, bps, divide
from etf_trader.orders.plan import NO_LOSS, Plan, PlannedLeg, total_loss
from etf_trader.solver.allotment import GRAIN, Taken
from etf_trader.solver.finish import Finish
from etf_trader.solver.lots import LegFill, leg_loss
from etf_trader.solver.problem import Leg, OrderProblem
from etf_trader.solver.shares import Column, Cross, Outcome, Share, SharedAssetOrder, SharedPlan
from etf_trader.solver.slices import slices
from etf_trader.solver.splitting import member_quantities


def column_plan(finish: Finish, column: int, prices: Mapping[str, Decimal]) -> Plan:
    """Return the plan of a column; `prices` are those of its orders, by asset."""
    problem, units, taken = finish.asks[column].problem, finish.units(column), finish.taken(column)
    legs, crossed, bound = [], {}, ZERO
    for leg in problem.legs:
        got = taken.get(leg.asset)
        crossed[leg.asset] = got.crossed if got else ZERO
        legs.append(_planned_leg(problem.side, leg, got, prices))
        bound += _bound(problem.side, leg, got) if got else ZERO
    standing = finish.standing(column)
    marginal = divide(standing.marginal, finish.prices[column].scale)
    cost = sum((_cash(problem.side, planned, crossed) for planned in legs), ZERO)
    return _plan(problem, units, legs, crossed, marginal, finish.stopped_by(column), cost - bound)


def _plan(
    problem: OrderProblem,
    units: Decimal,
    legs: Sequence[PlannedLeg],
    crossed: Mapping[str, Decimal],
    marginal: Decimal,
    stopped_by: tuple[str, ...],
    beyond_bound: Decimal,
) -> Plan:
    side = problem.side
    cost = float_pays = ZERO
    for leg in legs:
        cost += _cash(side, leg, crossed)
        float_pays += leg.surplus * leg.mid
    gap = bps(beyond_bound * side.sign, units * problem.nav)
    return Plan(
        side=side,
        wanted=problem.quantity,
        units=units,
        legs=tuple(legs),
        cash=cost + problem.cash_per_unit * units - side.sign * float_pays,
        loss=total_loss(leg.loss for leg in legs),
        marginal_price=marginal,
        stopped_by=stopped_by,
        method="shared",
        cost=cost,
        bound=cost - beyond_bound,
        gap_bps=gap,
        rounding_bps=gap,
        crossed={asset: quantity for asset, quantity in crossed.items() if quantity},
    )


def _cash(side: Side, leg: PlannedLeg, crossed: Mapping[str, Decimal]) -> Decimal:
    """Return what a leg pays (sell: receives) after fees, what meets inside included."""
    return crossed[leg.asset] * leg.mid + (leg.value if side is Side.BUY else leg.value - leg.fee)


def _planned_leg(side: Side, leg: Leg, got: Taken | None, prices: Mapping[str, Decimal]) -> PlannedLeg:
    if got is None:
        return PlannedLeg(
            leg.asset, leg.rule.symbol, ZERO, leg.touch, leg.touch, leg.touch, leg.mid, ZERO, ZERO, ZERO, NO_LOSS
        )
    fill = got.fill
    return PlannedLeg(
        asset=leg.asset,
        symbol=leg.rule.symbol,
        quantity=fill.quantity,
        limit_price=prices.get(leg.asset, fill.last),
        last_price=fill.last,
        touch=leg.touch,
        mid=leg.mid,
        value=fill.value,
        fee=fill.fee,
        surplus=fill.surplus,
        loss=leg_loss(leg, side, fill, got.crossed),
    )


def _bound(side: Side, leg: Leg, got: Taken) -> Decimal:
    """Return the leg's cash on its part of the books without lots, minimums and rounded fees.

    The fee of a level is rounded once for all: one order's part may lie below its rate.
    """
    fill, met = got.fill, got.crossed * leg.mid
    lots = (fill.quantity - got.exact) * fill.last
    if side is Side.BUY:
        return fill.value - lots + met
    return max((fill.value - lots) * (ONE - leg.rule.taker_fee), fill.value - fill.fee) + met


def shared_orders(
    finish: Finish, columns: Sequence[Column], prices: Sequence[Mapping[str, Decimal]]
) -> tuple[SharedAssetOrder, ...]:
    """Return what goes to the venue, by symbol."""
    found = []
    for asset, allotted in finish.allotted.items():
        if not allotted.quantity:
            continue
        shares = []
        worst: dict[int, Decimal] = {}
        for column in sorted(allotted.taken):
            got = allotted.taken[column]
            if got.fill.quantity:
                worst[column] = prices[column][asset]
                shares.append(
                    Share(
                        columns[column].members,
                        got.fill.quantity,
                        got.phases,
                        got.exact,
                        got.margin,
                        got.fill.last,
                        worst[column],
                    )
                )
        rule = allotted.rule
        found.append(
            SharedAssetOrder(
                asset,
                rule.symbol,
                allotted.side,
                allotted.quantity,
                slices(allotted, worst),
                tuple(shares),
                allotted.grid,
                rule.fee_quantum(allotted.side),
            )
        )
    return tuple(sorted(found, key=lambda each: each.symbol))


def crosses(
    columns: Sequence[Column], beside: Mapping[str, tuple[int, Side, Decimal]] | None = None
) -> tuple[Cross, ...]:
    """Return which buy meets which sell inside, in order of asset and key: each pair at most once an asset.

    Args:
        columns: The orders.
        beside: Who else meets them, by asset: a key, a side and a quantity in base.
    """
    found = []
    for asset in sorted({asset for column in columns for asset in column.crossed}):
        queues: dict[Side, list[list[int]]] = {side: [] for side in Side}
        for column in columns:
            if asset in column.crossed:
                parts = _crossed_parts(column, asset)
                queues[column.plan.side] += [
                    [member.key, part] for member, part in zip(column.members, parts, strict=True) if part
                ]
                leg = next(leg for leg in column.plan.legs if leg.asset == asset)
        if beside is not None and asset in beside:
            key, side, quantity = beside[asset]
            queues[side].append([key, int(quantity / GRAIN)])
        buyers, sellers = sorted(queues[Side.BUY]), sorted(queues[Side.SELL])
        while buyers and sellers:
            buyer, seller = buyers[0], sellers[0]
            met = min(buyer[1], seller[1])
            found.append(Cross(asset, leg.symbol, buyer[0], seller[0], met * GRAIN, leg.mid))
            buyer[1], seller[1] = buyer[1] - met, seller[1] - met
            buyers, sellers = buyers[not buyer[1] :], sellers[not seller[1] :]
    return tuple(found)


def _crossed_parts(column: Column, asset: str) -> list[int]:
    """Return the grains of each member that meet inside."""
    units = [int(member.units / UNIT_GRID) for member in column.members]
    if not any(units):
        units = [1] * len(units)  # what was left over of a sell
    return apportion(int(column.crossed.get(asset, ZERO) / GRAIN), units)


def outcomes(shared: SharedPlan) -> dict[int, Outcome]:
    """Return what each order gets, by key, with a plan of its own; parts add up to the last digit."""
    orders = {order.asset: order for order in shared.asset_orders}
    found: dict[int, Outcome] = {}
    for column in shared.columns:
        if len(column.members) == 1:
            key = column.members[0].key
            found[key] = Outcome(key, column.index, column.plan, column.crossed)
        else:
            found |= _split(column, orders)
    return {key: found[key] for key in sorted(found)}


def _split(column: Column, orders: Mapping[str, SharedAssetOrder]) -> dict[int, Outcome]:
    members, side = column.members, column.plan.side
    legs: list[list[PlannedLeg]] = [[] for _ in members]
    crossed: list[dict[str, Decimal]] = [{} for _ in members]
    for number, planned in enumerate(column.plan.legs):
        met = [part * GRAIN for part in _crossed_parts(column, planned.asset)]
        order = orders.get(planned.asset)
        share = None if order is None else next((s for s in order.shares if s.members == members), None)
        if order is None or share is None:
            quantities, values, fees = [ZERO] * len(members), [ZERO] * len(members), [ZERO] * len(members)
        else:
            quantities, values, fees = _parts(share, order, planned)
        for place, member in enumerate(members):
            crossed[place][planned.asset] = met[place]
            leg = column.problems[place].legs[number]
            legs[place].append(
                _member_leg(
                    side, leg, planned, member.units, quantities[place], values[place], fees[place], met[place]
                )
            )
    found = {}
    for place, member in enumerate(members):
        problem, plan = column.problems[place], column.plan
        gap = divide((plan.cost - plan.bound) * member.units, plan.units) if plan.units else ZERO
        own = _plan(problem, member.units, legs[place], crossed[place], plan.marginal_price, plan.stopped_by, gap)
        met_only = {asset: quantity for asset, quantity in crossed[place].items() if quantity}
        found[member.key] = Outcome(member.key, column.index, own, met_only)
    return found


def _parts(
    share: Share, order: SharedAssetOrder, planned: PlannedLeg
) -> tuple[list[Decimal], list[Decimal], list[Decimal]]:
    """Return each member's quantity, value and fee of a share."""
    quantities = member_quantities(share, order.side, order.grid)
    weights = [int(quantity / order.grid) for quantity in quantities]
    values = [part * GRAIN for part in apportion(int(planned.value / GRAIN), weights)]
    fees = [part * order.fee_quantum for part in apportion(int(planned.fee / order.fee_quantum), weights)]
    return quantities, values, fees


def _member_leg(
    side: Side,
    leg: Leg,
    planned: PlannedLeg,
    units: Decimal,
    quantity: Decimal,
    value: Decimal,
    fee: Decimal,
    met: Decimal,
) -> PlannedLeg:
    wanted = leg.per_unit * units
    if side is Side.BUY:
        surplus = leg.held + met + quantity - fee - wanted
        fee_value = divide(fee * planned.value, planned.quantity) if planned.quantity else ZERO
    else:
        surplus = leg.held + wanted - met - quantity
        fee_value = fee
    fill = LegFill(quantity, value, fee, fee_value, planned.last_price, surplus)
    return PlannedLeg(
        asset=leg.asset,
        symbol=planned.symbol,
        quantity=quantity,
        limit_price=planned.limit_price,
        last_price=planned.last_price,
        touch=planned.touch,
        mid=planned.mid,
        value=value,
        fee=fee,
        surplus=surplus,
        loss=leg_loss(leg, side, fill, met),
    )
