"""A plan proved again, from its own text and its market: without a solver, and without trusting it.

What a plan says is worked out a second time (`solver.retrial`), to the last
digit, and compared: the hash of its market, what each order takes of its book
and what that costs, the venue's filters, the common fraction, every limit, that
a size just beyond breaks what stopped it, and the bound from its multipliers.
"""

from collections.abc import Callable, Iterator

from etf_trader.market.document import market_hash
from etf_trader.money import UNIT_GRID, plain
from etf_trader.orders.plan import plan_object_seal
from etf_trader.solver.certificate import all_digits
from etf_trader.solver.findings import Finding, differs
from etf_trader.solver.passive import QUOTE as QUOTE
from etf_trader.solver.reader import Impossible, Malformed, Reader
from etf_trader.solver.rebalance_document import PURPOSE
from etf_trader.solver.rebalance_statement import read_rebalance_statement
from etf_trader.solver.retrial import least
from etf_trader.solver.statement import Statement, read_statement
from etf_trader.solver.verify_order import check_order
from etf_trader.solver.verify_quote import check_quote
from etf_trader.solver.verify_rebalance import check_rebalance
from etf_trader.solver.verify_routes import check_routes
from etf_trader.solver.verify_shared import check_shared
from etf_trader.solver.verify_unwind import check_unwinding

UNWIND = "unwind"
SHARED = "shared"
CHECKS: dict[str, Callable[[Statement], Iterator[Finding]]] = {
    "closed_form": check_order,
    "linprog": check_order,
    UNWIND: check_unwinding,
    QUOTE: check_quote,
    SHARED: check_shared,
}
"""How plans are made, and what proves each."""


class Unprovable(Malformed):
    """The plan was made in a way that cannot be proved again here; its hash and its seal hold."""


def verify(plan: object, market: object) -> list[Finding]:
    """Return everything that a plan says and that does not hold on its market; nothing when it is proved.

    Args:
        plan: The plan object, as parsed from JSON.
        market: The books and rules it was made on, likewise.

    Raises:
        Malformed: this is no plan with its market at all; says where and why.
        Unprovable: nothing is wrong with it as far as that can be seen.
    """
    with all_digits():
        findings = list(_seals(plan, market))
        try:
            if is_rebalance(plan):
                return findings + list(check_rebalance(read_rebalance_statement(plan, market)))
            _require_known(plan)
            statement = read_statement(plan, market)
            checks = check_routes(statement, plan) if _has_routes(plan) else CHECKS[statement.method](statement)
            return findings + list(_market_numbers(statement)) + list(checks)
        except Malformed as error:
            if findings or isinstance(error, Impossible):
                return [*findings, Finding(error.where, error.what)]
            raise


def is_rebalance(plan: object) -> bool:
    """Return whether a plan object says that it is of a rebalance."""
    return isinstance(plan, dict) and plan.get("purpose") == PURPOSE


def _require_known(plan: object) -> None:
    top = Reader(plan, "plan")
    method = top["method"].text()
    if method not in CHECKS and not _has_routes(plan):
        raise Unprovable("plan.method", f"is {method}, which cannot be proved")


def _has_routes(plan: object) -> bool:
    """Return whether a plan could use the books of several currencies."""
    return isinstance(plan, dict) and "currencies" in plan


def _seals(plan: object, market: object) -> Iterator[Finding]:
    if not isinstance(plan, dict) or not isinstance(market, dict):
        return
    if plan.get("book_hash") != market_hash(market):
        yield Finding("market", "is not what the plan was made on: its hash is another")
    if plan.get("seal") != plan_object_seal(plan):
        yield Finding("plan", "was changed after it was made: its seal is another")


def _market_numbers(statement: Statement) -> Iterator[Finding]:
    """Check what follows from the market and the basket alone."""
    problem = statement.problem
    mids = {leg.asset: leg.mid * statement.rate(leg).mid for leg in problem.legs}
    yield from differs("plan.mids", statement.mids, mids)
    bounds = {leg.asset: max(leg.rule.step, least(leg.rule, leg.mid * 19 / 20)) for leg in problem.legs}
    yield from differs("plan.bounds", statement.bounds, bounds)
    nav = sum((leg.per_unit * mids[leg.asset] for leg in problem.legs), problem.cash_per_unit)
    navs = {"nav": nav, "arrival_nav": problem.arrival_nav}
    for name, nav in navs.items():
        yield from differs(f"plan.{name}", statement.totals[name], nav)
    for name, units in {"quantity": problem.quantity, "units": statement.units}.items():
        if units < 0 or units % UNIT_GRID:
            yield Finding(f"plan.{name}", f"is {plain(units)}: units are counted in steps of {plain(UNIT_GRID)}")
    if statement.units > problem.quantity:
        yield Finding("plan.units", "is more than was wanted")
    notionals = [leg.rule.min_notional for leg in problem.legs]
    if statement.method != UNWIND:
        yield from differs("plan.problem.least_value", problem.least_value, max(notionals))
