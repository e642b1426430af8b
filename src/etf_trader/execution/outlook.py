"""What the books of now offer beyond what an order's limits let it trade. Pure."""

from dataclasses import dataclass, replace
from decimal import Decimal

from etf_trader.money import ONE, UNIT_GRID, ZERO, divide, money_context
from etf_trader.solver.order import plan_order
from etf_trader.solver.problem import OrderProblem
from etf_trader.solver.trial import Model

BASIS_POINT = Decimal("0.0001")


@dataclass(frozen=True, slots=True)
class Outlook:
    """The next unit an order would trade.

    `units` is what the limits let trade now. `price` is what one unit more costs
    (sell: brings), fees included; `asset` the constituent whose next level makes
    it so, None when already the first unit does. `more` is how many units a
    limit wider by one basis point adds.
    """

    units: Decimal
    price: Decimal
    asset: str | None
    more: Decimal


def outlook(problem: OrderProblem, method: str = "auto") -> Outlook:
    """Look one unit, and one basis point, beyond the limits of `problem`."""
    with money_context():
        model = Model(problem)
        plan = plan_order(problem, method)
        steps = int(plan.units / UNIT_GRID)
        here, beyond = model.trial(steps), model.trial(min(steps + 1, model.wanted))
        rises = [
            (abs(slope * (after.last - before.last)), rule.leg.asset)
            for rule, slope, before, after in zip(model.legs, model.slopes, here.fills, beyond.fills, strict=True)
            if after.last != before.last
        ]
        wider = plan_order(_wider(problem), method)
        return Outlook(
            units=plan.units,
            price=divide(beyond.marginal, model.scale, UNIT_GRID),
            asset=max(rises)[1] if rises and steps else None,
            more=max(wider.units - plan.units, ZERO),
        )


def _wider(problem: OrderProblem) -> OrderProblem:
    """Return the same order with every price and loss limit one basis point wider."""
    limit, loss = problem.limit, problem.max_loss_bps
    return replace(
        problem,
        limit=None if limit is None else limit * (ONE + problem.side.sign * BASIS_POINT),
        max_loss_bps=None if loss is None else loss + 1,
    )
