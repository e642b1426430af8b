"""The prices of the immediate-or-cancel orders: the last level used, and a little more."""

from collections.abc import Sequence
from decimal import Decimal

from etf_trader.market.symbol import Side
from etf_trader.money import ceil_to, divide_up, floor_to
from etf_trader.solver.lots import LegFill, LegRule
from etf_trader.solver.trial import Model, Trial


def limit_prices(model: Model, trial: Trial) -> list[Decimal]:
    """Return the price of each leg's order, quote per base; of a leg without one, the touch.

    A price is the last level's, plus (buy) or minus (sell) the problem's slack
    in ticks. The slack is spent leg by leg in order of symbol, as far as all
    legs together at their order prices keep the limit and the cash, and within
    the venue's price bounds; a sell's order stays worth the least notional.
    """
    room_price, room_cash = _rooms(model, trial)
    prices = [fill.last for fill in trial.fills]
    for position in sorted(range(len(prices)), key=lambda i: model.legs[i].leg.rule.symbol):
        rule, fill, slope = model.legs[position], trial.fills[position], model.slopes[position]
        tick = rule.leg.rule.tick
        if fill.quantity == 0 or tick == 0:
            continue
        ticks = min(model.problem.slack_ticks, _ticks_allowed(rule, fill, model.side))
        ticks = min([ticks, *_affordable(room_price, slope * tick), *_affordable(room_cash, fill.quantity * tick)])
        if ticks <= 0:
            continue
        prices[position] += model.side.sign * ticks * tick
        room_price = None if room_price is None else room_price - ticks * slope * tick
        room_cash = None if room_cash is None else room_cash - ticks * fill.quantity * tick
    return prices


def _rooms(model: Model, trial: Trial) -> tuple[Decimal | None, Decimal | None]:
    """Return what the limit (times `Model.scale`) and the cash leave; None where there is none."""
    problem = model.problem
    price = None if problem.limit is None else (problem.limit * model.scale - trial.limited) * model.side.sign
    if problem.cash is None or problem.side is Side.SELL:
        return price, None
    return price, problem.cash - trial.reserve


def _affordable(room: Decimal | None, each: Decimal) -> Sequence[int]:
    return [] if room is None or each == 0 else [int(room // each)]


def _ticks_allowed(rule: LegRule, fill: LegFill, side: Side) -> int:
    """Return how many ticks beyond the last level the venue accepts."""
    venue = rule.leg.rule
    low, high = venue.price_bounds(side, rule.leg.mid)
    if side is Side.BUY:
        return int((floor_to(high, venue.tick) - fill.last) // venue.tick) if high else 1_000_000
    low = max(low, venue.tick)
    if venue.min_notional:
        low = max(low, divide_up(venue.min_notional, fill.quantity, venue.tick))
    return int((fill.last - ceil_to(low, venue.tick)) // venue.tick)
