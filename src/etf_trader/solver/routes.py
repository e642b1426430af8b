"""One index order over several quote currencies: the best books, the conversions they need, and what it saves.

    closed_form   the home books alone, where there is nothing else or nothing else helps at their prices
    merge         ladders merged at the conversion's best price, as long as that price holds
    linprog       the network as a linear program
    knapsack      under a budget of slots, books chosen by the prices of the currencies
    milp          the same by an integer program, where those prices leave a gap

Whoever answers names the books and their totals; everything a plan states is
then made of whole lots and exact decimals, and held against the plan on the home
books, which is kept where it is as good.
"""

from dataclasses import replace
from decimal import Decimal

from etf_trader.money import UNIT_GRID, ZERO, bps, divide, money_context
from etf_trader.orders.plan import Plan
from etf_trader.solver.certificate import multiplier, need_of
from etf_trader.solver.currencies import refuse_cycles, touches_of
from etf_trader.solver.network import Network, network_of
from etf_trader.solver.order import plan_order
from etf_trader.solver.route_books import Books
from etf_trader.solver.route_bound import cash_bound
from etf_trader.solver.route_choice import choose, eased
from etf_trader.solver.route_plan import alone, largest, stated, stops
from etf_trader.solver.route_problem import RoutePlan, RouteProblem, RouteSaving
from etf_trader.solver.route_search import Answer, search, smaller
from etf_trader.solver.route_trial import RouteModel, RouteTrial

_ROUNDS = 4  # of using less of a currency that lots and order prices have overdrawn
_SHARES = (0.9999, 0.999, 0.99, 0.9, 0.5)  # of an answer that lots do not let through whole
_WORTH = Decimal("0.01")  # bps of the value: less is not worth another order
_DIGITS = 100  # products of prices, fees and multipliers over a few books


def plan_routes(problem: RouteProblem) -> RoutePlan:
    """Return the plan that trades as many units as the limits leave, at the least cost over all books.

    Raises:
        CrossedBook: a book's best bid is not below its best ask.
        StaleQuote: trading in a circle pays after fees; the message names the books.
        NumericalFailure: the solver gave up.
        ValueError: the problem is malformed.
    """
    with money_context(_DIGITS):
        single = plan_order(problem.order)
        plan = _planned(problem, single)
        return replace(plan, saved_bps=_saved(problem, plan))


def route_savings(problem: RouteProblem) -> tuple[RouteSaving, ...]:
    """Return what the home books alone cost, each other currency beside them, and all together."""
    names = [each.name for each in problem.currencies]
    groups = [(), *((name,) for name in names), *([tuple(names)] if len(names) > 1 else [])]
    return tuple(_saving(_within(problem, set(group)), (problem.home, *group)) for group in groups)


def _planned(problem: RouteProblem, single: Plan) -> RoutePlan:
    if not (problem.currencies or problem.routes or problem.conversions):
        legs = [leg for leg in problem.order.legs if leg.per_unit]
        side = single.side
        prices = {leg.asset: multiplier(leg, side, need_of(leg, side, single.units)) for leg in legs}
        return alone(problem, single, prices | {problem.home: Decimal(1)}, single.bound, single.method)
    network = network_of(problem)
    refuse_cycles(touches_of(network), network.balances)
    served = {arc.rule.base for arc in network.arcs}
    is_hopeless = any(leg.per_unit and leg.asset not in served for leg in network.legs)
    if is_hopeless or not problem.order.quantity:
        prices = dict(network.mids)
        return alone(problem, single, prices, single.bound, single.method)
    if (unbeaten := _unbeaten(network, single)) is not None:
        return unbeaten
    answer = search(Books(network))
    plan = _in_lots(network, answer, single)
    at_home = _at_home(network, answer, single)
    fits = problem.slots is None or at_home.orders <= problem.slots
    if plan is not None and (_is_better(plan, single) or not fits):
        return plan
    if fits:
        return at_home
    nothing = plan_order(replace(problem.order, quantity=ZERO))
    return _at_home(network, answer, replace(nothing, wanted=problem.order.quantity, stopped_by=("slots",)))


def _unbeaten(network: Network, single: Plan) -> RoutePlan | None:
    """Return the plan on the home books if it fills and no other book has levels better than the last it needs.

    Its own multipliers, with every currency at its mid, then prove over all
    books that there is nothing worth a search.
    """
    if single.stopped_by != ("filled",) or not single.units:
        return None
    side = network.side
    needs = {leg.asset: multiplier(leg, side, need_of(leg, side, single.units)) for leg in network.legs}
    prices = {**network.mids, **needs}
    plan = alone(network.problem, single, prices, cash_bound(network, prices, single.units, {}), single.method)
    fits = network.problem.slots is None or plan.orders <= network.problem.slots
    to_gain = bps((single.bound - plan.bound) * side.sign, single.units * network.problem.order.nav)
    return plan if fits and to_gain <= _WORTH else None


def _at_home(network: Network, answer: Answer, single: Plan) -> RoutePlan:
    """Return the plan on the home books, and what the search proves about it."""
    bound = cash_bound(network, answer.prices, single.units, {})
    return replace(alone(network.problem, single, answer.prices, bound, answer.method), slots=answer.proof)


def _in_lots(network: Network, answer: Answer, single: Plan) -> RoutePlan | None:
    """Return an answer's plan in whole lots, or that of a smaller one where lots break its limits."""
    best = _finished(network, answer, single)
    wanted = answer.flows.fraction * float(network.problem.order.quantity)
    for share in _SHARES:
        if wanted == 0 or (best is not None and best.units >= Decimal(repr(wanted * share))):
            break
        plan = _finished(network, smaller(answer, share), single)
        if plan is not None and (best is None or plan.units > best.units):
            best = plan
    return best


def _finished(network: Network, answer: Answer, single: Plan) -> RoutePlan | None:
    """Return the plan in whole lots; None when no size of it keeps every limit."""
    wanted = int(network.problem.order.quantity / UNIT_GRID)
    top = min(int(answer.flows.fraction * wanted * (1 + 1e-9)) + 1, wanted)
    planned = top * UNIT_GRID
    supplies = choose(answer.books, answer.flows.taken.tolist(), answer.prices, planned)
    model = RouteModel(network, supplies, planned, 0)
    for _ in range(_ROUNDS):
        if not (covered := model.trial(top).covered):
            break
        model = RouteModel(network, eased(network, model.supplies, covered, answer.prices), planned, 0)
    trial = largest(model, wanted, top)
    if not trial.steps:
        return None
    stopped_by = answer.stopped_by or stops(model, trial, wanted)
    if stopped_by != ("filled",) and trial.units * model.nav < model.order.least_value:
        return None
    model, trial = _with_slack(network, model, trial)
    value = Decimal(repr(answer.flows.cost * answer.books.value)) * network.side.sign
    return stated(
        model,
        trial,
        stopped_by=stopped_by,
        method=answer.method,
        prices=answer.prices,
        slots=answer.proof,
        relaxed=divide(value * trial.units, planned, Decimal("1e-8")),
        single=single,
    )


def _with_slack(network: Network, model: RouteModel, trial: RouteTrial) -> tuple[RouteModel, RouteTrial]:
    """Return the same size with as much slack in the orders' prices as every limit and balance leaves."""
    for ticks in range(network.problem.order.slack_ticks, 0, -1):
        loose = RouteModel(network, model.supplies, model.planned, ticks)
        tried = loose.trial(trial.steps)
        if not loose.breaches(tried):
            return loose, tried
    return model, trial


def _is_better(plan: RoutePlan, single: Plan) -> bool:
    """Return whether a plan fills more than the home books' own, or as much for less."""
    if plan.units != single.units:
        return plan.units > single.units
    return plan.side.sign * (plan.cash - single.cash) < 0


def _saved(problem: RouteProblem, plan: RoutePlan) -> Decimal:
    """Return the loss saved against the home books, for the units that these fill, in bps of their value."""
    single = plan.single
    if plan.units > single.units > 0:
        order = replace(problem.order, quantity=single.units)
        plan = _planned(replace(problem, order=order), plan_order(order))
    if not single.units or plan.units != single.units:
        return ZERO
    return bps((single.cash - plan.cash) * plan.side.sign, plan.units * problem.order.nav)


def _saving(problem: RouteProblem, currencies: tuple[str, ...]) -> RouteSaving:
    plan = plan_routes(problem)
    with money_context(_DIGITS):
        return RouteSaving(
            currencies=currencies,
            units=plan.units,
            loss_bps=bps(plan.loss.total, plan.units * problem.order.arrival_nav),
            orders=plan.orders,
            saved_bps=plan.saved_bps,
            method=plan.method,
        )


def _within(problem: RouteProblem, names: set[str]) -> RouteProblem:
    """Return the problem with the books of the home currency and of `names` only."""
    known = names | {problem.home}
    return replace(
        problem,
        currencies=tuple(each for each in problem.currencies if each.name in names),
        routes=tuple(route for route in problem.routes if route.rule.quote in known),
        conversions=tuple(each for each in problem.conversions if {each.rule.base, each.rule.quote} <= known),
    )
