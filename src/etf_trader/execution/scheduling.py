"""An order over time: planned on the books of a preview, without writing anything. Pure."""

from collections.abc import Mapping, Sequence
from decimal import Decimal

from etf_trader.execution.desk import Preview
from etf_trader.execution.planning import Wish, order_problem
from etf_trader.market.symbol import Side
from etf_trader.money import ZERO
from etf_trader.orders.schedule import Algo, Assumptions, Schedule
from etf_trader.solver.schedule import plan_schedule, span
from etf_trader.venue.interface import OrderLimit


def schedule_of(
    preview: Preview,
    in_float: Mapping[str, Decimal],
    limits: Sequence[OrderLimit],
    algo: Algo,
    seconds: int,
    period_seconds: int,
    assumed: Assumptions,
    slack_ticks: int,
) -> Schedule:
    """Return how the order of `preview` would be spread over `seconds`.

    Args:
        preview: The order at once, with the books it was planned on.
        in_float: What the index's float holds, by asset.
        limits: The venue's limits on orders.
        algo: How to spread it.
        seconds: The time in all.
        period_seconds: The time between two batches that is wished for.
        assumed: What is taken for granted about the market.
        slack_ticks: Ticks of slack of each order.
    """
    wish = Wish(
        side=preview.request.side,
        quantity=preview.quantity,
        limit_price=preview.request.limit_price,
        max_loss_bps=preview.request.max_loss_bps,
        arrival=preview.arrival,
        cash=preview.reserved[preview.index.quote] if preview.request.side is Side.BUY else None,
    )
    float_cash = in_float.get(preview.index.quote, ZERO)
    problem = order_problem(wish, preview.basket, preview.view, in_float, float_cash, slack_ticks)
    time = span(seconds, period_seconds, [(each.seconds, each.limit) for each in limits], len(problem.legs))
    return plan_schedule(problem, algo, time, assumed)
