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

from etf_trader.index.navs import first_and_last
from etf_trader.index.store import Basket, index_by_id
from etf_trader.ledger.repository import chain_head
from etf_trader.money import ONE, ZERO, bps, divide, money_context
from etf_trader.orders.plan import LOSS_PARTS, LossParts, total_loss
from etf_trader.orders.rebalance_order import RebalanceOrder
from etf_trader.orders.rebalances import rebalance_order
from etf_trader.reports.rebalance_legs import FRACTION, RebalanceLine, legs_of
from etf_trader.reports.rebalance_work import Work, dust_of
from etf_trader.reports.returns import Point, tracking_difference
from etf_trader.reports.waves import Mids, Played, arrival_of, held_by, start_of, waves_played, written_anew


@dataclass(frozen=True, slots=True)
class WaveLine:
    """One wave, at the mids it was planned by: its cost is NAV before less NAV after, exactly.

    `basket` is the version that it made; None while it is under way. `orders`
    are those it sent, `orders_filled` those that filled whole. `planned_cost` is
    of the legs that it sent. The line of a fill that was found later has the wave
    and the plan that it is of, and no orders; `settled_at` is when it was found.
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

    `late_fills` were found after their wave had been settled: their cost is in none of `waves`, and in all else.
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
    late_fills: tuple[WaveLine, ...]
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


def rebalance_report(connection: Connection, order_id: int) -> RebalanceReport:
    """Return the report of a rebalance, as far as it is.

    Raises:
        NotFound: there is no rebalance with this number.
    """
    order = rebalance_order(connection, order_id)
    index = index_by_id(connection, order.index_id)
    with money_context():
        start = start_of(connection, order)
        played = waves_played(connection, order, start)
        anew = None if played else written_anew(connection, order)
        since = _tracking_since(connection, order, played)
        dust = dust_of(connection, order, played)
        work = Work(order, index, played, arrival_of(order, played), start, dust, anew, since)
        return _report(work, chain_head(connection, order.account_id)[1])


def _tracking_since(connection: Connection, order: RebalanceOrder, played: Sequence[Played]) -> Decimal | None:
    """Return by how much more the fund has grown than its index since; None: nothing is known of then."""
    baskets = [wave.settled.basket for wave in played if wave.settled is not None and not wave.is_late]
    if not baskets or not order.status.is_final:
        return None
    known = first_and_last(connection, order.index_id, order.accepted_at, baskets[-1])
    if known is None or known[1].at == known[0].at:
        return None
    fund = [Point(nav.at, nav.nav_per_unit) for nav in known]
    return tracking_difference(fund, [Point(nav.at, nav.level) for nav in known if nav.level is not None])


def _report(work: Work, head: str) -> RebalanceReport:
    order, request = work.order, work.order.request
    nav = work.before.value(work.arrival)
    lines = legs_of(work, nav)
    cost = total_loss(_parts(line) for line in lines)
    nav_after = work.after.value(work.mids)
    per_unit = held_by(work.start, ONE).value(work.arrival)
    exact = None if work.made is None else held_by(work.made, ONE).value(work.mids)
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
        waves=tuple(_wave(wave, work.arrival) for wave in work.waves),
        late_fills=tuple(_wave(each, work.arrival) for each in work.played if each.is_late),
        baskets=tuple(_basket(each) for each in _versions(work)),
        verdicts=tuple(request.determination["verdicts"]),
    )


def _those(change: str, lines: Sequence[RebalanceLine]) -> tuple[str, ...]:
    """Return the assets, cash not among them, that have changed like that."""
    return tuple(line.asset for line in lines if line.change == change and line.symbol is not None)


def _wave(wave: Played, arrival: Mids) -> WaveLine:
    loss = wave.loss(arrival)
    return WaveLine(
        wave=wave.number,
        plan=wave.plan.id,
        created_at=wave.plan.created_at,
        settled_at=None if wave.settled is None else wave.settled.at,
        basket_before=wave.basket_before.version,
        basket=None if wave.basket is None else wave.basket.version,
        units=wave.units,
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


def _versions(work: Work) -> list[Basket]:
    made = [each.basket for each in work.played] or [work.anew]
    return [work.start, *(basket for basket in made if basket is not None)]


def _basket(basket: Basket) -> BasketLine:
    return BasketLine(
        basket.version, basket.effective_at, basket.reason, basket.cash_per_unit, dict(basket.quantities)
    )


def _parts(line: RebalanceLine) -> LossParts:
    return LossParts(*(getattr(line, part) for part in LOSS_PARTS))
