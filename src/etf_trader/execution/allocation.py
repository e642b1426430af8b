"""From what traded to units: whole baskets, and what becomes of the rest. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from etf_trader.market.symbol import Side
from etf_trader.money import UNIT_GRID, ZERO, divide_down


@dataclass(frozen=True, slots=True)
class BatchState:
    """How the books stand once every asset order of a batch is final.

    `per_unit` and `cash_per_unit` are the basket; `planned` the units the plan
    was for; `is_complete` whether every asset order filled wholly; `order` and
    `float` what those accounts hold of each asset; `lent` what the float gave a
    sell beforehand; `bounds` what the float may take of each asset when the
    order ends (base): max(step, least order).
    """

    side: Side
    planned: Decimal
    is_complete: bool
    per_unit: Mapping[str, Decimal]
    cash_per_unit: Decimal
    order: Mapping[str, Decimal]
    order_cash: Decimal
    float: Mapping[str, Decimal]
    float_cash: Decimal
    lent: Mapping[str, Decimal]
    bounds: Mapping[str, Decimal]
    mids: Mapping[str, Decimal]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a batch comes to.

    `units` are credited (sell: redeemed); `returned` baskets of a sell go back;
    `float_takes` of each asset moves order -> float (buy: negative gives);
    `excess` is what the order holds beyond what the float may take.
    """

    units: Decimal
    returned: Decimal
    float_takes: Mapping[str, Decimal]
    excess: Mapping[str, Decimal]


def settle_batch(state: BatchState, *, final: bool) -> Outcome:
    """Decide units and leftovers; `final` when the order ends with this batch.

    Buy: the largest z on the unit grid that bought + float covers in every
    asset, and whose cash the order has. Sell: the least z that covers what was
    sold in every asset. A batch that filled wholly is settled as it was
    planned: the float takes what lots and minimums left over. What another
    leaves over is the order's own until it ends.
    """
    return _settled(state, final=final or state.is_complete)


def _settled(state: BatchState, *, final: bool) -> Outcome:
    outcome = _buy(state, final=final) if state.side is Side.BUY else _sell(state, final=final)
    takes = {asset: quantity - state.lent.get(asset, ZERO) for asset, quantity in outcome.float_takes.items()}
    cost = sum((quantity * state.mids[asset] for asset, quantity in takes.items()), ZERO)
    if final and cost > state.float_cash:
        # The float cannot pay for the leftovers now: they stay the order's own and are traded back.
        kept = _settled(state, final=False)
        left = {asset: kept.excess[asset] for asset in kept.excess if kept.excess[asset] > 0}
        return Outcome(kept.units, kept.returned, kept.float_takes, left)
    return outcome


def _buy(state: BatchState, *, final: bool) -> Outcome:
    units = state.planned
    for asset, per_unit in state.per_unit.items():
        covered = state.order.get(asset, ZERO) + state.float.get(asset, ZERO)
        if per_unit:
            units = min(units, divide_down(covered, per_unit, UNIT_GRID))
    outcome = _bought(state, units, final=final)
    if _cash_left(state, outcome) < 0:
        return _bought(state, _affordable(state, units), final=final)
    return outcome


def _bought(state: BatchState, units: Decimal, *, final: bool) -> Outcome:
    takes: dict[str, Decimal] = {}
    excess: dict[str, Decimal] = {}
    for asset, per_unit in state.per_unit.items():
        surplus = state.order.get(asset, ZERO) - per_unit * units
        takes[asset], excess[asset] = _leftover(surplus, state.bounds[asset], final=final)
    return Outcome(units, ZERO, takes, excess)


def _cash_left(state: BatchState, outcome: Outcome) -> Decimal:
    """Return what a buy has left once the basket's cash and the float are paid."""
    from_float = sum((quantity * state.mids[asset] for asset, quantity in outcome.float_takes.items()), ZERO)
    return state.order_cash - state.cash_per_unit * outcome.units + from_float


def _affordable(state: BatchState, units: Decimal) -> Decimal:
    """Return the most units below `units` that a buy can pay for while it keeps what it bought beyond them."""
    low, high = 0, int(units / UNIT_GRID)
    while high - low > 1:
        middle = (low + high) // 2
        if _cash_left(state, _bought(state, middle * UNIT_GRID, final=False)) < 0:
            high = middle
        else:
            low = middle
    return low * UNIT_GRID


def _sell(state: BatchState, *, final: bool) -> Outcome:
    returned = ZERO if state.is_complete else state.planned
    for asset, per_unit in state.per_unit.items():
        if per_unit:
            returned = min(returned, divide_down(state.order.get(asset, ZERO), per_unit, UNIT_GRID))
    takes: dict[str, Decimal] = {}
    excess: dict[str, Decimal] = {}
    for asset, per_unit in state.per_unit.items():
        left = state.order.get(asset, ZERO) - per_unit * returned
        back = min(state.lent.get(asset, ZERO), left)
        take, excess[asset] = _leftover(left - back, state.bounds[asset], final=final)
        takes[asset] = back + take
    return Outcome(state.planned - returned, returned, takes, excess)


def _leftover(surplus: Decimal, bound: Decimal, *, final: bool) -> tuple[Decimal, Decimal]:
    """Return (what the float takes, what the order keeps) of one asset; the float always gives what lacks."""
    if surplus <= 0:
        return surplus, ZERO
    if final and surplus <= bound:
        return surplus, ZERO
    return ZERO, surplus
