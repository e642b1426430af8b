"""One index order: the best plan on the books of now, and what would make it possible.

    C(f)   cash of the legs for a fraction f of the order: convex, so that both
           the marginal and the average price rise with f
    z      units planned: the most that depth, cash, limit, loss and float leave

With one route an asset and one order the optimum takes every book from its best
price: what is left to find is z. Everything a plan states is exact, in decimals
and whole lots; `method="linprog"` lets the LP find the fraction instead, and
then goes through the same finish.
"""

from collections.abc import Callable
from decimal import Decimal

from etf_trader.market.symbol import Side
from etf_trader.money import UNIT_GRID, ZERO, bps, divide
from etf_trader.orders.plan import Plan, PlannedLeg, total_loss
from etf_trader.solver.certificate import multiplier, need_of, order_bound
from etf_trader.solver.lots import LegFill, LegRule, leg_loss
from etf_trader.solver.problem import OrderProblem, exact
from etf_trader.solver.search import ceiling, largest, smallest
from etf_trader.solver.slack import limit_prices
from etf_trader.solver.stops import FILLED, Stops, stops
from etf_trader.solver.trial import Model, Trial


def plan_order(problem: OrderProblem, method: str = "auto") -> Plan:
    """Return the plan that trades as many units as the limits leave, at the least cost.

    A buy's `cash` bound covers the worst that its orders may pay while they are
    in flight: every leg at its order's price, the basket's cash, what the order
    owes the float, and nothing yet from the float. A plan of 0 units with legs
    is a sell that only trades what was redeemed before.

    Args:
        problem: The order, its books and its limits.
        method: "auto" (closed form) or "linprog" (the LP finds the fraction).

    Raises:
        ValueError: The problem is malformed: a negative quantity, an asset twice.
        DataError: A level of a book is not finite, not positive or out of order.
        NumericalFailure: The LP failed, or a weight is too small for it.
    """
    with exact(problem.legs):
        model = Model(problem)
        guess = _guesses(problem, method)
        top = 0 if model.empty_legs() else ceiling(model, model.wanted, guess)
        trial = _settled(model, largest(model, top))
        stopped = stops(model, trial, top)
        if stopped != FILLED and trial.units * model.nav < problem.least_value:
            trial = _settled(model, 0)
        return _plan(model, trial, stopped, "closed_form" if method == "auto" else method)


def smallest_quantity(problem: OrderProblem) -> Decimal | None:
    """Return the least units whose surplus over whole lots the float can pay, whatever `quantity` says.

    None when no size does: the float needs cash. Sizes above the least may
    still need more float, up to max(step, least order) of every asset.
    """
    with exact(problem.legs):
        steps = smallest(Model(problem))
        return None if steps is None else steps * UNIT_GRID


def float_needed(problem: OrderProblem) -> Decimal:
    """Return the cash that the float must have for all of `quantity`, in quote; 0 if it receives some."""
    with exact(problem.legs):
        model = Model(problem)
        return max(model.trial(model.wanted).float_pays, ZERO)


def _guesses(problem: OrderProblem, method: str) -> Callable[[], int]:
    """Return what tells about how many steps of the unit grid an order gets to.

    NumPy is imported when it is first called: small orders on deep books never do.
    """
    if method == "auto":

        def closed_form() -> int:
            from etf_trader.solver.closed_form import index_curve

            curve, bounds = index_curve(problem)
            return _steps(problem, curve.largest(bounds).fraction)

        return closed_form
    if method != "linprog":
        raise ValueError(f"no method {method!r}")
    from etf_trader.solver.lp import widest_fraction

    solved = _steps(problem, widest_fraction(problem).fraction)
    return lambda: solved


def _steps(problem: OrderProblem, fraction: float) -> int:
    return round(fraction * int(problem.quantity / UNIT_GRID))


def _settled(model: Model, steps: int) -> Trial:
    """Return the trial of the size found; for none, a sell of what is left over, if that is feasible."""
    if steps:
        return model.trial(steps)
    nothing = model.total(0, tuple(rule.idle() for rule in model.legs))
    if not model.has_leftovers():
        return nothing
    leftovers = model.total(0, tuple(rule.leftovers() for rule in model.legs))
    is_refused = any(not name.startswith(("depth(", "window(")) for name in model.breaches(leftovers))
    return nothing if is_refused else leftovers


def _plan(model: Model, trial: Trial, stopped: Stops, method: str) -> Plan:
    sign, units = model.side.sign, trial.units
    prices = limit_prices(model, trial)
    legs = tuple(_planned_leg(model.side, *parts) for parts in zip(model.legs, trial.fills, prices, strict=True))
    cost = sum((_cash(model.side, fill) for fill in trial.fills), ZERO)
    traded = [rule.leg for rule, fill in zip(model.legs, trial.fills, strict=True) if fill.quantity]
    traded.sort(key=lambda leg: leg.asset)
    multipliers = {leg.asset: multiplier(leg, model.side, need_of(leg, model.side, units)) for leg in traded}
    bound = order_bound(model.problem, units, multipliers)
    gap = bps(cost - bound if model.side is Side.BUY else bound - cost, units * model.nav)
    return Plan(
        side=model.side,
        wanted=model.problem.quantity,
        units=units,
        legs=legs,
        cash=cost + model.problem.cash_per_unit * units - sign * trial.float_pays,
        loss=total_loss(leg.loss for leg in legs),
        marginal_price=divide(trial.marginal, model.scale),
        stopped_by=stopped.names,
        method=method,
        cost=cost,
        bound=bound,
        gap_bps=gap,
        rounding_bps=gap,
        multipliers=multipliers,
        beyond=tuple(steps * UNIT_GRID for steps in stopped.beyond),
    )


def _planned_leg(side: Side, rule: LegRule, fill: LegFill, limit_price: Decimal) -> PlannedLeg:
    leg = rule.leg
    return PlannedLeg(
        asset=leg.asset,
        symbol=leg.rule.symbol,
        quantity=fill.quantity,
        limit_price=limit_price,
        last_price=fill.last,
        touch=rule.ladder.touch,
        mid=leg.mid,
        value=fill.value,
        fee=fill.fee,
        surplus=fill.surplus,
        loss=leg_loss(leg, side, fill),
    )


def _cash(side: Side, fill: LegFill) -> Decimal:
    return fill.value if side is Side.BUY else fill.value - fill.fee
