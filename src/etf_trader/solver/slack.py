"""The prices of the immediate-or-cancel orders: the last level used, and a little more."""

from collections.abc import Sequence
from decimal import Decimal
from typing import NamedTuple

from etf_trader.market.symbol import Side
from etf_trader.solver.problem import Leg, OrderProblem
from etf_trader.solver.trial import Model, Trial


class Last(NamedTuple):
    """Where a leg ends in its book.

    `price` is that of the last level; `taken` what the order takes and `sent`
    what goes to the book in all, in base. `slope` is what the price weighs in
    the price that the limit bounds, times the scale of that.
    """

    leg: Leg
    slope: Decimal
    price: Decimal
    taken: Decimal
    sent: Decimal


def limit_prices(model: Model, trial: Trial) -> list[Decimal]:
    """Return the price of each leg's order, quote per base; of a leg without one, the touch."""
    lasts = [
        Last(rule.leg, slope, fill.last, fill.quantity, fill.quantity)
        for rule, slope, fill in zip(model.legs, model.slopes, trial.fills, strict=True)
    ]
    return with_slack(model.problem, lasts, model.scale, trial.limited, trial.reserve)


def with_slack(
    problem: OrderProblem, lasts: Sequence[Last], scale: Decimal, limited: Decimal, reserve: Decimal
) -> list[Decimal]:
    """Return the price of each leg's order: the last level's, plus (buy) or minus (sell) the slack in ticks.

    The slack is spent leg by leg in order of symbol, as far as all legs together
    at their order prices keep the limit and the cash, and within the venue's
    price bounds; a sell's order stays worth the least notional.

    Args:
        problem: The order, with its slack and limits.
        lasts: Where each leg ends.
        scale: What prices are multiplied with where the limit is compared.
        limited: The price that the limit bounds, at the last levels, times `scale`.
        reserve: The cash that a buy needs at the last levels.
    """
    sign = problem.side.sign
    room_price = None if problem.limit is None else (problem.limit * scale - limited) * sign
    room_cash = None if problem.cash is None or problem.side is Side.SELL else problem.cash - reserve
    prices = [each.price for each in lasts]
    for position in sorted(range(len(lasts)), key=lambda i: lasts[i].leg.rule.symbol):
        leg, slope, last, taken, sent = lasts[position]
        rule, tick = leg.rule, leg.rule.tick
        if not taken:
            continue
        ticks = rule.ticks_beyond(problem.side, leg.mid, last, sent, problem.slack_ticks)
        ticks = min([ticks, *_affordable(room_price, slope * tick), *_affordable(room_cash, taken * tick)])
        if ticks <= 0:
            continue
        prices[position] += sign * ticks * tick
        room_price = None if room_price is None else room_price - ticks * slope * tick
        room_cash = None if room_cash is None else room_cash - ticks * taken * tick
    return prices


def _affordable(room: Decimal | None, each: Decimal) -> Sequence[int]:
    return [] if room is None or each == 0 else [int(room // each)]
