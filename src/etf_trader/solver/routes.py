"""One index order over several quote currencies: the best books, the conversions they need, and what it saves."""

from etf_trader.solver.route_problem import RoutePlan, RouteProblem, RouteSaving


def plan_routes(problem: RouteProblem) -> RoutePlan:
    """Return the plan that trades as many units as the limits leave, at the least cost over all books.

    Raises:
        CrossedBook: a book's best bid is not below its best ask.
        StaleQuote: trading in a circle pays after fees; the message names the books.
        NumericalFailure: the solver gave up.
        ValueError: the problem is malformed.
    """
    raise NotImplementedError


def route_savings(problem: RouteProblem) -> tuple[RouteSaving, ...]:
    """Return what the home books alone cost, each other currency beside them, and all together."""
    raise NotImplementedError
