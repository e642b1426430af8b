"""Plan objects with their markets, as `--dry-run --json` shows them, from problems of the solver."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from etf_trader.execution.planning import MarketView, document_for
from etf_trader.index.store import Basket
from etf_trader.market.book import Level, OrderBook
from etf_trader.market.symbol import Side
from etf_trader.money import money_context
from etf_trader.orders.plan import Plan
from etf_trader.solver.order import plan_order
from etf_trader.solver.problem import Leg, OrderProblem

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def book_of(leg: Leg, side: Side) -> OrderBook:
    """Return a book whose mid is the leg's, with one level on the side that is not traded."""
    touch = leg.levels[0].price
    other = (Level(2 * leg.mid - touch, Decimal(1)),)
    asks, bids = (leg.levels, other) if side is Side.BUY else (other, leg.levels)
    return OrderBook(leg.rule.symbol, bids, asks, 1, NOON, leg.complete)


def documents_of(problem: OrderProblem, plan: Plan | None = None) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the plan object and the market of a problem, whose legs must have levels."""
    with money_context():
        made = plan or plan_order(problem)
        view = MarketView(
            {leg.rule.symbol: book_of(leg, problem.side) for leg in problem.legs},
            {leg.rule.symbol: leg.rule for leg in problem.legs},
        )
        basket = Basket(
            id=1,
            index_id=1,
            version=1,
            effective_at=NOON,
            cash_per_unit=problem.cash_per_unit,
            quantities={leg.asset: leg.per_unit for leg in problem.legs},
            symbols={leg.asset: leg.rule.symbol for leg in problem.legs},
            seal="",
        )
        market = view.document()
        return document_for(made, problem, basket, "X", problem.arrival_nav, view, market), market
