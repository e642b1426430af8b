"""What keeps a plan from being larger, by name."""

from collections.abc import Iterable
from typing import NamedTuple

from etf_trader.money import UNIT_GRID
from etf_trader.solver.trial import Model, Trial

_NAMES = ("limit", "loss", "cash", "float", "slots", "minimum", "depth", "window", "cross")


class Stops(NamedTuple):
    """What binds, and the sizes beyond the plan, in unit grid steps, at which it shows; none when filled."""

    names: tuple[str, ...]
    beyond: tuple[int, ...] = ()


FILLED = Stops(("filled",))


def stops(model: Model, trial: Trial, top: int) -> Stops:
    """Return every limit that binds at `trial`, in canonical order; `FILLED` when none does.

    Args:
        model: The order.
        trial: The size that was chosen.
        top: The largest size that is not beyond the limits that tighten with size. When lots alone
            keep the plan a little below it, what binds there binds the plan.

    Returns:
        Of "limit", "loss", "cash", "float", "minimum", "depth(ASSET)", "window(SYMBOL)" those that
        the next larger size breaks. "minimum" says that a least order had a part in it, and no limit
        of the order's own: a larger order, or more float, may do.
    """
    if model.wanted == 0 and model.has_leftovers():
        names = model.breaches(model.trial(0))
        return Stops(tuple(names), (0,)) if names else FILLED
    if trial.steps == model.wanted:
        return FILLED
    beyond = [trial.steps + 1]
    if trial.steps < top < model.wanted and top - trial.steps <= _one_lot(model):
        beyond.append(top + 1)
    tests = [model.trial(steps) for steps in beyond]
    found = {name for test in tests for name in model.breaches(test)} | {leg.end for leg in model.empty_legs()}
    if not found:
        beyond.append(model.wanted)
        found = set(model.breaches(model.trial(model.wanted)))
    if top == 0 and found != {"float"}:
        # no size is within the other limits: what the tiniest order needs of the float says nothing
        found.discard("float")
    if trial.steps == 0 and not found & {"limit", "loss"} and any(fill.is_minimal for fill in tests[0].fills):
        found.add("minimum")
    return Stops(in_order(found), tuple(beyond))


def in_order(names: Iterable[str]) -> tuple[str, ...]:
    """Return the names of limits in canonical order."""
    return tuple(sorted(names, key=lambda name: (_NAMES.index(name.split("(")[0]), name)))


def _one_lot(model: Model) -> int:
    """Return the steps of the unit grid that one least order, which is a lot or more, makes at most."""
    return max(int(rule.least // (rule.leg.per_unit * UNIT_GRID)) + 1 for rule in model.legs if rule.leg.per_unit)
