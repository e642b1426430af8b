"""One solve for all open orders of an account. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

from etf_trader.errors import DataError
from etf_trader.execution.batch import TRADE, Batch, batch_of
from etf_trader.execution.planning import MarketView
from etf_trader.execution.routed import foreign_currencies, plan_of, routed_problem
from etf_trader.execution.state import OrderState
from etf_trader.money import money_context
from etf_trader.orders.plan import Plan
from etf_trader.solver.order import plan_order
from etf_trader.solver.problem import OrderProblem
from etf_trader.solver.routes import plan_routes


@dataclass(frozen=True, slots=True)
class Asked:
    """An open order, what the solver is asked for it, and whether it may exchange currencies now."""

    state: OrderState
    problem: OrderProblem
    may_convert: bool


@dataclass(frozen=True, slots=True)
class Together:
    """What all orders trade in one batch, the plans of those that trade nothing now, and who has no price."""

    batch: Batch
    idle: tuple[tuple[OrderState, Plan], ...]
    unpriced: tuple[tuple[OrderState, DataError], ...]


def stops_of(together: Together) -> list[str]:
    """Return everything that stops any of the orders."""
    plans = [member.plan for member in together.batch.members] + [plan for _, plan in together.idle]
    return [stop for plan in plans for stop in plan.stopped_by]


def plan_together(
    asked: Sequence[Asked], unpriced: Sequence[tuple[OrderState, DataError]], view: MarketView, method: str
) -> Together:
    """Plan all orders on the same books."""
    with money_context():
        planned = [(each, _plan(each, view, method)) for each in asked]
    alone = [batch_of(each.state, each.problem, plan, TRADE, view) for each, plan in planned if _is_busy(plan)]
    return Together(
        Batch(
            view,
            tuple(member for batch in alone for member in batch.members),
            tuple(demand for batch in alone for demand in batch.demands),
        ),
        tuple((each.state, plan) for each, plan in planned if not _is_busy(plan)),
        tuple(unpriced),
    )


def _plan(asked: Asked, view: MarketView, method: str) -> Plan:
    if not foreign_currencies(asked.state.index):
        return plan_order(asked.problem, method)
    state, may_convert = asked.state, asked.may_convert
    problem = routed_problem(
        asked.problem, state.index, view, state.other_cash, state.order.arrival, may_convert=may_convert
    )
    return plan_of(plan_routes(problem), asked.problem)


def _is_busy(plan: Plan) -> bool:
    return bool(plan.units) or any(leg.quantity for leg in plan.legs)
