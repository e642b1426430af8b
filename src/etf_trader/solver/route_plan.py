"""From a model of whole lots to a plan: the largest size that keeps every limit, and everything a plan states."""

from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from fractions import Fraction

from etf_trader.market.symbol import Side, SymbolRule
from etf_trader.money import ZERO, bps
from etf_trader.orders.plan import LossParts, Plan, PlannedLeg, total_loss
from etf_trader.solver.network import Network
from etf_trader.solver.route_bound import cash_bound
from etf_trader.solver.route_lots import ArcFill
from etf_trader.solver.route_problem import (
    Amount,
    Multiplier,
    RouteLeg,
    RoutePlan,
    RouteProblem,
    SlotProof,
    Surplus,
)
from etf_trader.solver.route_trial import RouteModel, RouteTrial
from etf_trader.solver.search import descend

_GRAIN = Decimal("1e-18")


def largest(model: RouteModel, wanted: int, top: int) -> RouteTrial:
    """Return `wanted`, or the largest size up to `top` that breaks no limit, as far as halving finds it.

    `top` is what a continuous plan reached; lots sometimes reach a little further.
    """

    def fits(steps: int) -> bool:
        return not model.breaches(model.trial(steps))

    sizes = [size for size in (wanted, top) if fits(size)]
    return model.trial(sizes[0] if sizes else descend(fits, top))


def stops(model: RouteModel, trial: RouteTrial, wanted: int) -> tuple[str, ...]:
    """Return what the next larger size breaks that breaks anything; ("filled",) when all is planned.

    `trial` is what `largest` found: `wanted`, if it is larger, breaks something.
    """
    if trial.steps >= wanted:
        return ("filled",)
    stride = 1
    while True:
        probe = min(trial.steps + stride, wanted)
        names = model.breaches(model.trial(probe))
        if names:
            return names
        stride *= 2


def stated(
    model: RouteModel,
    trial: RouteTrial,
    *,
    stopped_by: tuple[str, ...],
    method: str,
    prices: Mapping[str, Decimal],
    slots: SlotProof | None,
    relaxed: Decimal,
    single: Plan,
) -> RoutePlan:
    """Return the plan of a trial.

    Args:
        model: The books chosen.
        trial: What is planned.
        stopped_by: What keeps it from being larger.
        method: Who found it.
        prices: Multiplier of each node, home currency a unit of it.
        slots: What is known about the choice of books.
        relaxed: Cash of the continuous plan for these units: what is above it is rounding.
        single: The plan on the home books alone.
    """
    network, order, side, units = model.network, model.order, model.side, trial.units
    constituents, conversions = (
        tuple(_leg(model, number, trial.fills[number]) for number in _sent(model, trial, conversions=each))
        for each in (False, True)
    )
    float_pays = model.float_pays(trial)
    basket = order.cash_per_unit * units
    assets = {leg.asset for leg in network.legs}
    traded = {name: -trial.net.get(name, ZERO) for name in network.balances if name not in assets}
    cost = side.sign * sum((each * network.mids[name] for name, each in traded.items()), ZERO)
    used = traded | {network.home: traded[network.home] + side.sign * basket - float_pays}
    bound = cash_bound(network, prices, units, {name: max(-each, ZERO) for name, each in traded.items()})
    value = units * model.nav
    gap = bps(side.sign * (cost - bound), value)
    return RoutePlan(
        side=side,
        wanted=order.quantity,
        units=units,
        legs=constituents,
        conversions=conversions,
        surplus=tuple(Surplus(leg.asset, trial.surplus[leg.asset], leg.mid) for leg in network.legs),
        used=tuple(Amount(name, used[name]) for name in sorted(used)),
        reserved=tuple(Amount(name, trial.reserved.get(name, ZERO)) for name in sorted(used)),
        cash=cost + basket - side.sign * float_pays,
        loss=_total(model, trial, [*constituents, *conversions]),
        marginal_price=_decimal(model.marginal(trial)),
        stopped_by=stopped_by,
        method=method,
        cost=cost,
        bound=bound,
        gap_bps=gap,
        rounding_bps=min(max(bps(side.sign * (cost - relaxed), value), ZERO), gap),
        multipliers=tuple(Multiplier(name, prices[name]) for name in sorted(prices)),
        slots=slots,
        single=single,
        saved_bps=ZERO,
    )


def _sent(model: RouteModel, trial: RouteTrial, *, conversions: bool) -> list[int]:
    """Return the arcs that trade, those that bring a node what it pays before it pays; else by symbol."""
    arcs, nodes = model.network.arcs, list(model.supplies)
    used = {
        number
        for number, fill in trial.fills.items()
        if fill.quantity and arcs[number].is_conversion == conversions
    }
    stage = dict.fromkeys(model.network.mids, 0)
    for node in reversed(nodes) if model.side is Side.BUY else nodes:
        for arc in (arcs[number] for number in model.supplies[node].arcs if number in used):
            stage[arc.target] = max(stage[arc.target], stage[arc.source] + 1)
    return sorted(used, key=lambda number: (stage[arcs[number].source], arcs[number].rule.symbol))


def _leg(model: RouteModel, number: int, fill: ArcFill) -> RouteLeg:
    arc = model.network.arcs[number]
    return RouteLeg(
        asset=arc.rule.base,
        symbol=arc.rule.symbol,
        currency=arc.rule.quote,
        side=arc.side,
        quantity=fill.quantity,
        limit_price=fill.price,
        last_price=fill.last,
        touch=model.lots[number].ladder.touch,
        mid=arc.mid,
        value=fill.value,
        fee=fill.fee,
        loss=_loss(model.network, number, fill, model.lots[number].ladder.touch),
        orders=fill.orders,
    )


def _loss(network: Network, number: int, fill: ArcFill, touch: Decimal) -> LossParts:
    """Return the planned loss of one arc by part, in the home currency.

    Source:
        The accounting rules, section 4: the book's own prices times the arrival mid of its quote.
    """
    arc = network.arcs[number]
    sign, rate = arc.side.sign, network.arrival[arc.rule.quote]
    arrival = network.arrival[arc.rule.base]
    is_buy = arc.side is Side.BUY
    quantity = fill.quantity - fill.fee if is_buy else fill.quantity
    value = fill.value - fill.fee_value if is_buy else fill.value
    return LossParts(
        delay=sign * quantity * (arc.mid * rate - arrival),
        spread=sign * quantity * (touch - arc.mid) * rate,
        depth=sign * (value - quantity * touch) * rate,
        fee=fill.fee_value * rate,
        rounding=ZERO,
    )


def _total(model: RouteModel, trial: RouteTrial, legs: list[RouteLeg]) -> LossParts:
    rounding = ZERO
    for leg in model.network.legs:
        rounding -= trial.surplus[leg.asset] * (leg.mid - leg.arrival_mid)
    return replace(total_loss(leg.loss for leg in legs), rounding=rounding)


def _decimal(price: Fraction) -> Decimal:
    """Return a price to 18 places, rounded half-even: shown, never traded on."""
    scaled = round(price / Fraction(_GRAIN))
    return Decimal(scaled) * _GRAIN


def alone(
    problem: RouteProblem, single: Plan, prices: Mapping[str, Decimal], bound: Decimal, method: str
) -> RoutePlan:
    """Return the plan on the home books alone as one over several currencies.

    Args:
        problem: The order.
        single: Its plan on the home books.
        prices: Multiplier of each node.
        bound: What they prove: below (sell: above) the cash of every plan.
        method: Who found that nothing beside the home books helps.
    """
    side, home = single.side, problem.home
    float_pays = sum((leg.surplus * leg.mid for leg in single.legs), ZERO)
    basket = problem.order.cash_per_unit * single.units
    worst = sum((leg.quantity * leg.limit_price for leg in single.legs), ZERO) + basket + max(-float_pays, ZERO)
    gap = bps(side.sign * (single.cost - bound), single.units * problem.order.nav)
    rules = {leg.rule.symbol: leg.rule for leg in problem.order.legs}
    names = sorted({home, *(each.name for each in problem.currencies)})
    return RoutePlan(
        side=side,
        wanted=single.wanted,
        units=single.units,
        legs=tuple(
            _home_leg(leg, side, rules[leg.symbol])
            for leg in sorted(single.legs, key=lambda leg: leg.symbol)
            if leg.quantity
        ),
        conversions=(),
        surplus=tuple(
            Surplus(leg.asset, leg.surplus, leg.mid) for leg in sorted(single.legs, key=lambda leg: leg.asset)
        ),
        used=tuple(Amount(name, side.sign * single.cash if name == home else ZERO) for name in names),
        reserved=tuple(Amount(name, worst if name == home and side is Side.BUY else ZERO) for name in names),
        cash=single.cash,
        loss=single.loss,
        marginal_price=single.marginal_price,
        stopped_by=single.stopped_by,
        method=method,
        cost=single.cost,
        bound=bound,
        gap_bps=gap,
        rounding_bps=min(single.rounding_bps, gap),
        multipliers=tuple(Multiplier(name, prices[name]) for name in sorted(prices)),
        slots=None,
        single=single,
        saved_bps=ZERO,
    )


def _home_leg(leg: PlannedLeg, side: Side, rule: SymbolRule) -> RouteLeg:
    """Return a leg on a home book; what the float takes of it is counted for all books of its asset together."""
    return RouteLeg(
        asset=leg.asset,
        symbol=leg.symbol,
        currency=rule.quote,
        side=side,
        quantity=leg.quantity,
        limit_price=leg.limit_price,
        last_price=leg.last_price,
        touch=leg.touch,
        mid=leg.mid,
        value=leg.value,
        fee=leg.fee,
        loss=replace(leg.loss, rounding=ZERO),
        orders=rule.order_count(leg.quantity, leg.limit_price),
    )
