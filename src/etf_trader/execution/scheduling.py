"""An order over time: planned on the books of a preview, without writing anything. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING

from etf_trader.errors import ConfigError, UsageError
from etf_trader.execution.fees_apart import in_kind
from etf_trader.execution.planning import Wish, order_problem
from etf_trader.execution.settings import ExecutionSettings
from etf_trader.market.symbol import Side
from etf_trader.money import ZERO, plain
from etf_trader.orders.schedule import Algo, Assumptions, Schedule
from etf_trader.orders.stored_schedule import ScheduleRequest
from etf_trader.solver.problem import OrderProblem
from etf_trader.solver.schedule import Span, plan_schedule, span
from etf_trader.venue.interface import OrderLimit

if TYPE_CHECKING:
    from etf_trader.execution.desk import Preview


def time_of(
    asked: ScheduleRequest, limits: Sequence[OrderLimit], constituents: int, settings: ExecutionSettings
) -> Span:
    """Return the periods of a schedule.

    Raises:
        UsageError: the time is shorter than one slice.
    """
    period = settings.period_seconds
    if asked.seconds < period:
        raise UsageError(
            f"an order over {asked.seconds} s is shorter than one slice of {period} s",
            where="--duration",
            hint=f"--duration {2 * period}s, etf config set schedule.period {max(asked.seconds // 2, 1)}, "
            "or leave out --algo and --duration to trade now",
        )
    return span(asked.seconds, period, [(each.seconds, each.limit) for each in limits], constituents)


def schedule_of(
    preview: Preview,
    asked: ScheduleRequest,
    in_float: Mapping[str, Decimal],
    time: Span,
    settings: ExecutionSettings,
    profile: tuple[Decimal, ...] | None,
) -> Schedule:
    """Return how the order of `preview` is spread over time.

    Args:
        preview: The order at once, with the books it was planned on.
        asked: How to spread it.
        in_float: What the index's float holds, by asset.
        time: The periods there are.
        settings: Ticks of slack, and what is assumed of the market.
        profile: Traded volume of each period in proportion to the others; None: even.

    Raises:
        ConfigError: pov goes by the participation of the settings, and it is none.
    """
    return plan_schedule(
        _problem(preview, in_float, settings.slack_ticks), asked.algo, time, _assumed(settings, asked, profile)
    )


def _assumed(
    settings: ExecutionSettings, asked: ScheduleRequest, profile: tuple[Decimal, ...] | None
) -> Assumptions:
    share = settings.assumed.participation if asked.participation is None else asked.participation
    if asked.algo is Algo.POV and not ZERO < share <= 1:
        raise ConfigError(
            f"schedule.participation is {plain(share * 100)}: it must be above 0 and at most 100",
            where="schedule.participation",
            hint="etf config set schedule.participation 10, or say --participation 10",
        )
    return replace(settings.assumed, participation=share, profile=profile)


def _problem(preview: Preview, in_float: Mapping[str, Decimal], slack_ticks: int) -> OrderProblem:
    quote = preview.index.quote
    wish = Wish(
        side=preview.request.side,
        quantity=preview.quantity,
        limit_price=preview.request.limit_price,
        max_loss_bps=preview.request.max_loss_bps,
        arrival=preview.arrival,
        cash=preview.reserved[quote] if preview.request.side is Side.BUY else None,
    )
    view = in_kind(preview.view)
    return order_problem(wish, preview.basket, view, in_float, in_float.get(quote, ZERO), slack_ticks)
