"""What a rebalance did to each asset that was held, wanted or traded, and to the cash: a line for each."""

from dataclasses import dataclass
from decimal import Decimal

from etf_trader.execution.loss import fill_loss
from etf_trader.money import BASKET_GRID, ONE, ZERO, average_price, bps, divide
from etf_trader.orders.plan import NO_LOSS, total_loss
from etf_trader.orders.rebalance_order import TargetLeg
from etf_trader.reports.rebalance_work import Work

FRACTION = Decimal("1e-12")
"""Weights are told in steps of this size."""


@dataclass(frozen=True, slots=True)
class RebalanceLine:
    """One asset of a rebalance; cash is the last, its `symbol` is None.

    Weights and targets are fractions of NAV, at the mids at acceptance and of
    the last wave. `quantity_before` and `quantity_after` are of all units,
    `per_unit_` of one. `change` is added, removed, changed or unchanged: removed
    is what was to leave and sold all but dust, less than the venue's least order.
    `planned_` is of the first plan, at the books at acceptance; `filled` is
    gross, in base, `value` its price x quantity. `cost` is the sum of its parts,
    in quote; positive is a cost.
    """

    asset: str
    symbol: str | None
    change: str
    weight_before: Decimal
    target: Decimal
    weight_after: Decimal
    quantity_before: Decimal
    quantity_after: Decimal
    per_unit_before: Decimal
    per_unit_after: Decimal
    mid_before: Decimal
    mid_after: Decimal
    side: str | None
    planned_quantity: Decimal
    planned_price: Decimal | None
    planned_cost: Decimal
    filled: Decimal
    average_price: Decimal | None
    value: Decimal
    cost: Decimal
    cost_bps: Decimal
    delay: Decimal
    spread: Decimal
    depth: Decimal
    fee: Decimal
    rounding: Decimal
    market: Decimal
    why_skipped: str | None


def legs_of(work: Work, nav: Decimal) -> tuple[RebalanceLine, ...]:
    """Return a line for every asset that was held, wanted or traded, and one for the cash."""
    legs = {leg.asset: leg for leg in work.order.request.legs}
    before, after = work.weighed
    assets = {*legs, *before.quantities, *after.quantities}
    named = {order.intent.asset for wave in work.played for order in wave.sent}
    lines = [_line(work, asset, legs.get(asset), nav) for asset in sorted(assets | named)]
    return (*lines, _cash_line(work, nav))


def _line(work: Work, asset: str, leg: TargetLeg | None, nav: Decimal) -> RebalanceLine:
    pairs = [pair for pair in work.pairs if pair[1].intent.asset == asset]
    parts = total_loss([fill_loss(fill, sent.intent, work.arrival) for fill, sent in pairs]) if pairs else NO_LOSS
    rounding = sum((wave.rounding.get(asset, ZERO) for wave in work.played), ZERO)
    filled = sum((fill.quantity for fill, _ in pairs), ZERO)
    value = sum((fill.value for fill, _ in pairs), ZERO)
    before, after = work.before.of(asset), work.after.of(asset)
    mid_before, mid_after = work.arrival.get(asset, ZERO), work.mids.get(asset, ZERO)
    weighed, weighed_after = work.weighed
    has_plan = leg is not None and leg.side is not None
    is_gone = bool(pairs) and asset in work.dust
    side = pairs[0][0].side if pairs else leg.side if leg is not None else None
    return RebalanceLine(
        asset=asset,
        symbol=_symbol(work, asset, leg),
        change=_change(work.start.quantities.get(asset, ZERO), _per_unit(work, asset), is_gone=is_gone),
        weight_before=_part(weighed.of(asset) * mid_before, weighed.value(work.arrival)),
        target=work.targets.get(asset, ZERO),
        weight_after=_part(weighed_after.of(asset) * mid_after, weighed_after.value(work.mids)),
        quantity_before=before,
        quantity_after=after,
        per_unit_before=work.start.quantities.get(asset, ZERO),
        per_unit_after=_per_unit(work, asset),
        mid_before=mid_before,
        mid_after=mid_after,
        side=None if side is None else str(side),
        planned_quantity=leg.quantity if leg is not None else ZERO,
        planned_price=leg.price if leg is not None and has_plan else None,
        planned_cost=ZERO if leg is None else leg.cost,
        filled=filled,
        average_price=average_price(value, filled),
        value=value,
        cost=parts.total + rounding,
        cost_bps=bps(parts.total + rounding, nav),
        delay=parts.delay,
        spread=parts.spread,
        depth=parts.depth,
        fee=parts.fee,
        rounding=rounding,
        market=_market(work, asset),
        why_skipped=None if leg is None else leg.why_skipped,
    )


def _cash_line(work: Work, nav: Decimal) -> RebalanceLine:
    """Return the line of the cash: of its cost it has what its grid left to the float."""
    made = work.made
    before, after = work.start.cash_per_unit, _cash_per_unit(work) if made is None else made.cash_per_unit
    weighed, weighed_after = work.weighed
    rounding = sum((wave.left.cash for wave in work.played), ZERO)
    return RebalanceLine(
        asset=work.index.quote,
        symbol=None,
        change=_change(before, after, is_gone=False),
        weight_before=_part(weighed.cash, weighed.value(work.arrival)),
        target=work.order.request.reserve,
        weight_after=_part(weighed_after.cash, weighed_after.value(work.mids)),
        quantity_before=work.before.cash,
        quantity_after=work.after.cash,
        per_unit_before=before,
        per_unit_after=after,
        mid_before=ONE,
        mid_after=ONE,
        side=None,
        planned_quantity=ZERO,
        planned_price=None,
        planned_cost=ZERO,
        filled=ZERO,
        average_price=None,
        value=ZERO,
        cost=rounding,
        cost_bps=bps(rounding, nav),
        delay=ZERO,
        spread=ZERO,
        depth=ZERO,
        fee=ZERO,
        rounding=rounding,
        market=ZERO,
        why_skipped=None,
    )


def _market(work: Work, asset: str) -> Decimal:
    """Return what an asset's price did to what is held of it afterwards, and to what the float got until then."""
    start = work.arrival.get(asset, ZERO)
    moved = work.after.of(asset) * (work.mids.get(asset, ZERO) - start)
    given = (wave.to_float(asset) * (wave.mids.get(asset, ZERO) - start) for wave in work.played)
    return moved + sum(given, ZERO)


def _per_unit(work: Work, asset: str) -> Decimal:
    """Return what a unit holds afterwards: of the basket in force, or of what the fills of a wave leave."""
    if work.made is not None:
        return work.made.quantities.get(asset, ZERO)
    return divide(work.after.of(asset), work.units, BASKET_GRID)


def _cash_per_unit(work: Work) -> Decimal:
    return divide(work.after.cash, work.units, BASKET_GRID)


def _symbol(work: Work, asset: str, leg: TargetLeg | None) -> str:
    if leg is not None:
        return leg.symbol
    known = [work.made, *(each.basket_before for each in reversed(work.played)), work.start]
    symbols = [basket.symbols[asset] for basket in known if basket is not None and asset in basket.symbols]
    return (
        symbols[0] if symbols else next(sent.intent.symbol for _, sent in work.pairs if sent.intent.asset == asset)
    )


def _change(before: Decimal, after: Decimal, *, is_gone: bool) -> str:
    """Return what became of what a unit holds."""
    if before and (is_gone or not after):
        return "removed"
    if not before and after:
        return "added"
    return "unchanged" if before == after else "changed"


def _part(value: Decimal, nav: Decimal) -> Decimal:
    return divide(value, nav, FRACTION) if nav else ZERO
