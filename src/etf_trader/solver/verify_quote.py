"""The proof of a quote: sums and filters as of any order, at the touch of its own side and for a maker's fee."""

from collections.abc import Iterator
from dataclasses import replace

from etf_trader.market.symbol import Side
from etf_trader.money import plain
from etf_trader.solver.findings import Finding, differs
from etf_trader.solver.passive import at_own_touch
from etf_trader.solver.statement import Statement
from etf_trader.solver.verify_order import check_order


def check_quote(statement: Statement) -> Iterator[Finding]:
    """Check a plan that waits at the best prices of its own side."""
    problem = statement.problem
    yield from differs("plan.problem.slack_ticks", problem.slack_ticks, 0)
    prices = {leg.asset: leg.limit_price for leg in statement.legs if leg.quantity}
    for leg in problem.legs:
        book = statement.books[leg.rule.symbol]
        opposite = (book.asks if problem.side is Side.BUY else book.bids)[0].price
        price = prices.get(leg.asset)
        if price is not None and (price - opposite) * problem.side.sign >= 0:
            yield Finding(f"plan.legs.{leg.asset}.limit_price", f"is {plain(price)}: it would trade at once")
    yield from check_order(replace(statement, problem=at_own_touch(problem, statement.books)))
