"""The largest size that keeps every limit, and the smallest that the float allows.

Sizes are whole steps of the unit grid and every test is made with real lots,
so what is found holds exactly. Most limits tighten with size: bisection. The
float does not: every lot gives it something and every unit takes something
away. There the search jumps from one place where the float's need drops to the
next, and proves on the way that it has jumped over nothing.
"""

from collections.abc import Callable

from etf_trader.market.symbol import Side
from etf_trader.money import UNIT_GRID, ZERO, ceil_to
from etf_trader.solver.lots import LegFill, LegRule
from etf_trader.solver.trial import Model, Trial

_EFFORT = 40_000
"""Legs looked at, at most, before a search for a size that suits the float turns to halving."""


_SHALLOW = 4
"""How much more than the first levels hold is tried before anything is guessed."""

_FASTER = 16
"""By how much the strides away from a guess grow."""


def largest(model: Model, top: int) -> int:
    """Return the largest feasible size up to `top`, which must not be beyond the tightening limits."""
    steps = top
    for _ in range(_EFFORT // len(model.legs)):
        if steps <= 0:
            return 0
        trial = model.trial(steps)
        names = model.breaches(trial)
        if not names:
            return steps
        if names != ["float"]:
            break
        steps = _below(model, trial)
    return descend(lambda each: not model.breaches(model.trial(each)), steps)


def smallest(model: Model) -> int | None:
    """Return the smallest size whose surplus the float can pay, or None."""
    steps = 1
    for _ in range(_EFFORT // len(model.legs)):
        trial = model.trial(steps)
        if trial.float_pays <= model.problem.float_cash:
            return steps
        if any(fill.is_deep for fill in trial.fills):
            return None
        steps = _above(model, trial)
    return None


def ceiling(model: Model, most: int, guess: Callable[[], int]) -> int:
    """Return the largest size up to `most` that is not beyond the limits that tighten with size.

    What the best levels hold is tried at once. For more, `guess` tells where to
    start: about the answer, so that ladders are read little further than the
    plan needs. It decides how many sizes are tried, never which is found.
    """
    first = _first_size(model)
    if most == 0 or (most <= _SHALLOW * first and not model.is_beyond(model.trial(most))):
        return most
    start = min(guess(), most)
    if model.problem.max_loss_bps is not None:
        # Of a few steps the last digit of a cost is a large part: they may lose too much where more do not.
        start = max(start, min(first, most))
    low, high = _around(model, start, most)
    while high - low > 1:
        middle = (low + high) // 2
        if model.is_beyond(model.trial(middle)):
            high = middle
        else:
            low = middle
    return low


def _around(model: Model, start: int, most: int) -> tuple[int, int]:
    """Return a size that is not beyond, or 0, and a larger one that is, both close to `start`."""
    low, stride = start, 1
    if model.is_beyond(model.trial(start)):
        high = start + 1
        while low > 0 and model.is_beyond(model.trial(low)):
            low, high, stride = max(low - stride, 0), low, _FASTER * stride
        return low, high
    while low < most:
        reached = min(low + stride, most)
        if model.is_beyond(model.trial(reached)):
            return low, reached
        low, stride = reached, _FASTER * stride
    return low, low + 1


def _first_size(model: Model) -> int:
    """Return the size that about the best levels hold, at least one step."""
    sizes = [
        int(rule.leg.levels[0].quantity // (rule.leg.per_unit * UNIT_GRID))
        for rule in model.legs
        if rule.leg.levels and rule.leg.per_unit
    ]
    return max(min(sizes, default=1), 1)


def descend(fits: Callable[[int], bool], steps: int) -> int:
    """Return a size below `steps` that fits while the next one up does not; 0 if none is found."""
    high, stride = steps, 1
    low = max(high - stride, 0)
    while low > 0 and not fits(low):
        high, stride = low, 2 * stride
        low = max(steps - stride, 0)
    while high - low > 1:
        middle = (low + high) // 2
        if fits(middle):
            low = middle
        else:
            high = middle
    return low


def _below(model: Model, trial: Trial) -> int:
    """Return the next smaller size at which the float's need may have come down to its cash."""
    if model.side is Side.SELL:
        return trial.steps - _slide(model, trial)
    ends = [rule.units_below(fill) for rule, fill in _coarse(model, trial)]
    return max((int(end / UNIT_GRID) for end in ends if end is not None), default=0)


def _above(model: Model, trial: Trial) -> int:
    """Return the next larger size at which the float's need may have come down to its cash."""
    if model.side is Side.BUY:
        return trial.steps + _slide(model, trial)
    ends = [rule.units_above(fill) for rule, fill in _coarse(model, trial)]
    return max(min((int(end / UNIT_GRID) for end in ends), default=0), trial.steps + 1)


def _slide(model: Model, trial: Trial) -> int:
    """Return the steps it takes at least until whole units have used up what the float cannot pay."""
    excess = trial.float_pays - model.problem.float_cash
    per_unit = model.nav - model.problem.cash_per_unit
    return int(ceil_to(excess, per_unit * UNIT_GRID) / (per_unit * UNIT_GRID))


def _coarse(model: Model, trial: Trial) -> list[tuple[LegRule, LegFill]]:
    """Return the legs of which at least one must change its lots before the float can pay.

    A leg can give back no more than the float has of it. The legs with the
    least, as long as they together cannot make up the excess, are passed over.
    """
    excess = trial.float_pays - model.problem.float_cash
    pairs = list(zip(model.legs, trial.fills, strict=True))
    pairs.sort(key=lambda pair: (pair[0].leg.residual + pair[1].surplus) * pair[0].leg.mid)
    within = ZERO
    for position, (rule, fill) in enumerate(pairs):
        within += (rule.leg.residual + fill.surplus) * rule.leg.mid
        if within >= excess:
            return pairs[position:]
    return []
