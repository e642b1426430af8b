"""What a rebalance did: weights and quantities before and after, what it cost and why, wave by wave.

NAV after = NAV before - cost + market + flows, to the last digit, where

- cost is the loss of all fills against the mids at acceptance, and what the
  float got as baskets have a grid, at the mids of its wave;
- market is what the prices did, from acceptance to the last wave, to what is
  held afterwards, and to what the float got until then;
- flows is what units brought or took that were bought or sold meanwhile, at the
  mids at acceptance.

Of one wave, at its own mids, NAV before - NAV after = spread + depth + fee + rounding.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import Connection

from etf_trader.execution.loss import fill_loss
from etf_trader.index.navs import navs_of
from etf_trader.index.store import Basket, Index, baskets_of, index_by_id
from etf_trader.ledger.fill import Fill
from etf_trader.ledger.repository import chain_head
from etf_trader.money import BASKET_GRID, ONE, ZERO, average_price, bps, divide, money_context
from etf_trader.orders.asset_order import AssetOrder
from etf_trader.orders.plan import LOSS_PARTS, NO_LOSS, LossParts, total_loss
from etf_trader.orders.rebalance_order import RebalanceOrder, TargetLeg
from etf_trader.orders.rebalances import rebalance_order
from etf_trader.orders.status import IndexOrderStatus
from etf_trader.rebalance.drift import targets_with_reserve
from etf_trader.reports.returns import Point, tracking_difference
from etf_trader.reports.waves import Held, Mids, Played, arrival_of, held_by, start_of, waves_played

FRACTION = Decimal("1e-12")


@dataclass(frozen=True, slots=True)
class RebalanceLine:
    """One asset of a rebalance; cash is the last, its `symbol` is None.

    Weights and targets are fractions of NAV, at the mids at acceptance and of
    the last wave. `quantity_before` and `quantity_after` are of all units,
    `per_unit_` of one. `change` is added, removed, changed or unchanged: removed
    is what was to leave and sold all that lots let, though dust stays.
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


@dataclass(frozen=True, slots=True)
class WaveLine:
    """One wave, at the mids it was planned by: its cost is NAV before less NAV after, exactly.

    `basket` is the version that it made; None while it is under way. `orders`
    are those it sent, `orders_filled` those that filled whole. `planned_cost` is
    of the legs that it sent.
    """

    wave: int
    plan: int
    created_at: datetime
    settled_at: datetime | None
    basket_before: int
    basket: int | None
    units: Decimal
    orders: int
    orders_filled: int
    value: Decimal
    nav_before: Decimal
    nav_after: Decimal
    planned_cost: Decimal
    cost: Decimal
    spread: Decimal
    depth: Decimal
    fee: Decimal
    rounding: Decimal
    gap_bps: Decimal


@dataclass(frozen=True, slots=True)
class BasketLine:
    """A version of the basket that the rebalance began with or made; of a unit."""

    version: int
    effective_at: datetime
    reason: str
    cash: Decimal
    quantities: Mapping[str, Decimal]


@dataclass(frozen=True, slots=True)
class RebalanceReport:
    """One rebalance. Money is in the index's quote, bps are of NAV before, `turnover` is half of what was traded.

    `tracking_difference` is what the fund made since less what the index did; None: not known.
    """

    id: int
    index: str
    index_id: int
    quote: str
    due_on: date
    is_forced: bool
    status: str
    stopped_by: tuple[str, ...]
    accepted_at: datetime
    ended_at: datetime | None
    cancel_requested_at: datetime | None
    rulebook: int
    units_before: Decimal
    units_after: Decimal
    nav_before: Decimal
    nav_after: Decimal
    nav_per_unit_before: Decimal
    nav_per_unit_after: Decimal
    cost: Decimal
    cost_bps: Decimal
    delay: Decimal
    spread: Decimal
    depth: Decimal
    fee: Decimal
    rounding: Decimal
    market: Decimal
    flows: Decimal
    planned_cost: Decimal
    turnover: Decimal
    scale: Decimal
    reserve: Decimal
    tracking_difference: Decimal | None
    added: tuple[str, ...]
    removed: tuple[str, ...]
    changed: tuple[str, ...]
    skipped: tuple[str, ...]
    left: tuple[str, ...]
    head: str
    legs: tuple[RebalanceLine, ...]
    waves: tuple[WaveLine, ...]
    baskets: tuple[BasketLine, ...]
    verdicts: tuple[Mapping[str, Any], ...]

    @property
    def trading(self) -> int:
        """How many assets were to trade."""
        return sum(line.planned_quantity > 0 for line in self.legs)

    @property
    def traded(self) -> int:
        """How many of them have traded all that they were to."""
        return self.trading - len(self.left)

    @property
    def orders(self) -> int:
        """How many orders were sent in all waves."""
        return sum(wave.orders for wave in self.waves)

    @property
    def orders_filled(self) -> int:
        """How many of them filled whole."""
        return sum(wave.orders_filled for wave in self.waves)


@dataclass(frozen=True, slots=True)
class _Work:
    """A rebalance with everything that a line needs."""

    order: RebalanceOrder
    index: Index
    played: Sequence[Played]
    arrival: Mids
    start: Basket
    baskets: Sequence[Basket]
    tracking_difference: Decimal | None

    @property
    def units(self) -> Decimal:
        return self.played[-1].plan.units if self.played else self.order.request.units

    @property
    def before(self) -> Held:
        return held_by(self.start, self.order.request.units)

    @property
    def after(self) -> Held:
        return self.played[-1].after if self.played else self.before

    @property
    def made(self) -> Basket | None:
        """The basket that it left, written anew where nobody held any; None while a wave is in flight."""
        if self.played:
            return self.played[-1].basket
        reason = f"rebalance {self.order.id}"
        return next((each for each in self.baskets if each.reason == reason), self.start)

    @property
    def weighed(self) -> tuple[Held, Held]:
        """What weights are fractions of, before and after: all that is held, or a unit while nobody holds any."""
        if self.order.request.units or self.made is None:
            return self.before, self.after
        return held_by(self.start, ONE), held_by(self.made, ONE)

    @property
    def targets(self) -> Mapping[str, Decimal]:
        """The weight that each asset was to have; an index that nobody holds has no legs, but a determination."""
        request = self.order.request
        if request.legs:
            return {leg.asset: leg.target for leg in request.legs}
        weights = {asset: Decimal(weight) for asset, weight in request.determination["weights"].items()}
        return targets_with_reserve(weights, request.reserve)

    @property
    def mids(self) -> Mids:
        return {**self.arrival, **self.played[-1].mids} if self.played else self.arrival

    @property
    def pairs(self) -> list[tuple[Fill, AssetOrder]]:
        return [pair for wave in self.played for pair in wave.pairs]

    @property
    def left(self) -> tuple[str, ...]:
        """The assets that were to trade and have not traded all of that by any wave; none once all is done."""
        if self.order.status is IndexOrderStatus.FILLED:
            return ()
        whole = frozenset().union(*(wave.done for wave in self.played))
        return tuple(sorted(self.order.request.trading - whole))


def rebalance_report(connection: Connection, order_id: int) -> RebalanceReport:
    """Return the report of a rebalance, as far as it is.

    Raises:
        NotFound: there is no rebalance with this number.
    """
    order = rebalance_order(connection, order_id)
    played = waves_played(connection, order)
    baskets = baskets_of(connection, order.index_id)
    start = start_of(connection, order)
    index = index_by_id(connection, order.index_id)
    with money_context():
        since = _tracking_since(connection, order, played)
        work = _Work(order, index, played, arrival_of(order, played), start, baskets, since)
        return _report(work, chain_head(connection, order.account_id)[1])


def _tracking_since(connection: Connection, order: RebalanceOrder, played: Sequence[Played]) -> Decimal | None:
    """Return by how much more the fund has grown than its index since; None: nothing is known of then."""
    made = next((wave.settled for wave in reversed(played) if wave.settled is not None), None)
    if made is None or not order.status.is_final:
        return None
    navs = navs_of(connection, order.index_id, order.accepted_at)
    known = [nav for nav in navs if nav.level is not None and nav.basket_version >= made.basket]
    if not known or known[-1].at == known[0].at:
        return None
    fund = [Point(nav.at, nav.nav_per_unit) for nav in known]
    return tracking_difference(fund, [Point(nav.at, nav.level) for nav in known if nav.level is not None])


def _report(work: _Work, head: str) -> RebalanceReport:
    order, request = work.order, work.order.request
    nav = work.before.value(work.arrival)
    lines = _lines(work, nav)
    cost = total_loss(_parts(line) for line in lines)
    last = work.played[-1] if work.played else None
    nav_after = work.after.value(work.mids)
    per_unit = held_by(work.start, ONE).value(work.arrival)
    exact = None if work.made is None else held_by(work.made, ONE).value(work.mids if last is None else last.mids)
    return RebalanceReport(
        id=order.id,
        index=work.index.symbol,
        index_id=work.index.id,
        quote=work.index.quote,
        due_on=request.due_on,
        is_forced=request.is_forced,
        status=str(order.status),
        stopped_by=order.stopped_by,
        accepted_at=order.accepted_at,
        ended_at=order.ended_at,
        cancel_requested_at=order.cancel_requested_at,
        rulebook=request.rulebook,
        units_before=request.units,
        units_after=work.units,
        nav_before=nav,
        nav_after=nav_after,
        nav_per_unit_before=per_unit,
        nav_per_unit_after=divide(nav_after, work.units) if exact is None and work.units else exact or ZERO,
        cost=cost.total,
        cost_bps=bps(cost.total, nav),
        **{part: getattr(cost, part) for part in LOSS_PARTS},
        market=sum((line.market for line in lines), ZERO),
        flows=sum((wave.came.value(work.arrival) for wave in work.played), ZERO),
        planned_cost=sum((leg.cost for leg in request.legs), ZERO),
        turnover=divide(sum((line.value for line in lines), ZERO), 2 * nav, FRACTION) if nav else ZERO,
        scale=request.scale,
        reserve=request.reserve,
        tracking_difference=work.tracking_difference,
        added=_those("added", lines),
        removed=_those("removed", lines),
        changed=_those("changed", lines),
        skipped=tuple(line.asset for line in lines if line.why_skipped is not None),
        left=work.left,
        head=head,
        legs=lines,
        waves=tuple(_wave(wave, work.arrival) for wave in work.played),
        baskets=tuple(_basket(each) for each in _versions(work)),
        verdicts=tuple(request.determination["verdicts"]),
    )


def _those(change: str, lines: Sequence[RebalanceLine]) -> tuple[str, ...]:
    """Return the assets, cash not among them, that have changed like that."""
    return tuple(line.asset for line in lines if line.change == change and line.symbol is not None)


def _lines(work: _Work, nav: Decimal) -> tuple[RebalanceLine, ...]:
    """Return a line for every asset that was held, wanted or traded, and one for the cash."""
    legs = {leg.asset: leg for leg in work.order.request.legs}
    before, after = work.weighed
    assets = {*legs, *before.quantities, *after.quantities}
    named = {order.intent.asset for wave in work.played for order in wave.sent}
    lines = [_line(work, asset, legs.get(asset), nav) for asset in sorted(assets | named)]
    return (*lines, _cash_line(work, nav))


def _line(work: _Work, asset: str, leg: TargetLeg | None, nav: Decimal) -> RebalanceLine:
    pairs = [pair for pair in work.pairs if pair[1].intent.asset == asset]
    parts = total_loss([fill_loss(fill, sent.intent, work.arrival) for fill, sent in pairs]) if pairs else NO_LOSS
    rounding = sum((wave.rounding.get(asset, ZERO) for wave in work.played), ZERO)
    filled = sum((fill.quantity for fill, _ in pairs), ZERO)
    value = sum((fill.value for fill, _ in pairs), ZERO)
    before, after = work.before.of(asset), work.after.of(asset)
    mid_before, mid_after = work.arrival.get(asset, ZERO), work.mids.get(asset, ZERO)
    weighed, weighed_after = work.weighed
    has_plan = leg is not None and leg.side is not None
    is_gone = leg is not None and not leg.target and bool(pairs) and asset not in work.left
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


def _cash_line(work: _Work, nav: Decimal) -> RebalanceLine:
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


def _market(work: _Work, asset: str) -> Decimal:
    """Return what an asset's price did to what is held of it afterwards, and to what the float got until then."""
    start = work.arrival.get(asset, ZERO)
    moved = work.after.of(asset) * (work.mids.get(asset, ZERO) - start)
    return moved + sum((wave.left.of(asset) * (wave.mids.get(asset, ZERO) - start) for wave in work.played), ZERO)


def _wave(wave: Played, arrival: Mids) -> WaveLine:
    loss = wave.loss(arrival)
    return WaveLine(
        wave=wave.number,
        plan=wave.plan.id,
        created_at=wave.plan.created_at,
        settled_at=wave.plan.settled_at,
        basket_before=wave.basket_before.version,
        basket=None if wave.basket is None else wave.basket.version,
        units=wave.plan.units,
        orders=len(wave.sent),
        orders_filled=sum(each.status.is_whole for each in wave.sent),
        value=sum((fill.value for fill, _ in wave.pairs), ZERO),
        nav_before=wave.before.value(wave.mids),
        nav_after=wave.after.value(wave.mids),
        planned_cost=wave.planned_cost,
        cost=loss.total - loss.delay,
        spread=loss.spread,
        depth=loss.depth,
        fee=loss.fee,
        rounding=loss.rounding,
        gap_bps=wave.plan.gap_bps,
    )


def _versions(work: _Work) -> list[Basket]:
    made = [wave.basket for wave in work.played if wave.basket is not None]
    anew = [] if work.played or work.made in (None, work.start) else [work.made]
    return [work.start, *made, *filter(None, anew)]


def _basket(basket: Basket) -> BasketLine:
    return BasketLine(
        basket.version, basket.effective_at, basket.reason, basket.cash_per_unit, dict(basket.quantities)
    )


def _per_unit(work: _Work, asset: str) -> Decimal:
    """Return what a unit holds afterwards: of the basket in force, or of what the fills of a wave leave."""
    if work.made is not None:
        return work.made.quantities.get(asset, ZERO)
    return divide(work.after.of(asset), work.units, BASKET_GRID)


def _cash_per_unit(work: _Work) -> Decimal:
    return divide(work.after.cash, work.units, BASKET_GRID)


def _symbol(work: _Work, asset: str, leg: TargetLeg | None) -> str:
    if leg is not None:
        return leg.symbol
    baskets = [basket for basket in reversed(work.baskets) if asset in basket.symbols]
    return baskets[0].symbols[asset] if baskets else asset


def _change(before: Decimal, after: Decimal, *, is_gone: bool) -> str:
    """Return what became of what a unit holds."""
    if before and (is_gone or not after):
        return "removed"
    if not before and after:
        return "added"
    return "unchanged" if before == after else "changed"


def _part(value: Decimal, nav: Decimal) -> Decimal:
    return divide(value, nav, FRACTION) if nav else ZERO


def _parts(line: RebalanceLine) -> LossParts:
    return LossParts(*(getattr(line, part) for part in LOSS_PARTS))
