"""What a fund came to beside its index, from what was written down of both; definitions in `returns`."""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from sqlalchemy import Connection, select

from etf_trader.index.navs import Nav, Reason, last_nav, navs_of
from etf_trader.index.store import Index, baskets_by_id, baskets_by_version
from etf_trader.ledger.repository import chain_head
from etf_trader.ledger.tables import transactions
from etf_trader.market.symbol import Side
from etf_trader.money import ZERO, divide
from etf_trader.orders.tables import index_orders, plans
from etf_trader.reports.booked import Booked, booked
from etf_trader.reports.management_fees import fees_taken
from etf_trader.reports.money_weighted import MoneyWeighted, money_weighted_return
from etf_trader.reports.period import Period
from etf_trader.reports.returns import (
    Drawdown,
    Flow,
    Point,
    average_value,
    bps_a_year,
    drawdown,
    return_a_year,
    sharpe_without_risk_free_rate,
    total_return,
    tracking_difference,
    tracking_error,
    turnover,
    volatility,
    years,
)

_INSTANT = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class FlowLine:
    """Units that an order created (above 0) or redeemed, and what they were worth at the mids of their batch."""

    at: datetime
    order: int
    units: Decimal
    nav: Decimal
    amount: Decimal


WEIGHT_GRID = Decimal("1e-12")


@dataclass(frozen=True, slots=True)
class Trading:
    """What trading cost in the period, in quote; positive is a cost.

    `loss` is that of all fills: of creations and redemptions, which those bear who
    come and go, and of rebalances, which all units bear. `turned_over` is half of
    what rebalances traded.
    """

    loss: Decimal
    loss_of_flows: Decimal
    loss_of_rebalances: Decimal
    turned_over: Decimal


@dataclass(frozen=True, slots=True)
class PerformanceReport:
    """A fund and its index from `navs[0]` to `navs[-1]`; a figure is None where there is too little for it.

    Returns and depths are fractions. `closing` = `opening` + `created` - `redeemed`
    + `gain`, exactly. `fund_return` is that of the price of a unit: the
    time-weighted return. `cost` is what trading lost and the management fee took;
    `bps_a_year`, which is of the cost, and `turnover` are of the average value.
    `weights` are those of each of `navs`, by asset, the cash among them.
    """

    id: int
    symbol: str
    name: str
    quote: str
    start: datetime
    end: datetime
    years: float
    fund_return: Decimal | None
    index_return: Decimal | None
    tracking_difference: Decimal | None
    tracking_error: float | None
    fund_return_a_year: float | None
    index_return_a_year: float | None
    volatility: float | None
    sharpe_without_risk_free_rate: float | None
    drawdown: Drawdown
    index_drawdown: Drawdown
    money_weighted: MoneyWeighted
    opening: Decimal
    created: Decimal
    redeemed: Decimal
    gain: Decimal
    closing: Decimal
    average: Decimal
    trading: Trading
    management_fee: Decimal
    cost: Decimal
    turnover: Decimal | None
    bps_a_year: float | None
    head: str
    flows: tuple[FlowLine, ...]
    navs: tuple[Nav, ...]
    weights: tuple[Mapping[str, Decimal], ...]


def performance_report(connection: Connection, index: Index, period: Period) -> PerformanceReport | None:
    """Return what a fund came to in a period; None when nothing was written down of it.

    It begins with what was written down last before the period, or first in it,
    and ends with what was written down last.
    """
    within = navs_of(connection, index.id, period.since, period.until)
    before = None if period.since is None else last_nav(connection, index.id, period.since)
    navs = within if before is None else [before, *within]
    return _report(connection, index, navs, is_first=before is None) if navs else None


def _report(connection: Connection, index: Index, navs: Sequence[Nav], *, is_first: bool) -> PerformanceReport:
    first, last = navs[0], navs[-1]
    flows, span = _flows_between(connection, index, navs, is_first=is_first)
    fund = [Point(nav.at, nav.nav_per_unit) for nav in navs]
    level = [Point(nav.at, nav.level) for nav in navs if nav.level is not None]
    beside = [Point(nav.at, nav.nav_per_unit) for nav in navs if nav.level is not None]
    average = average_value([Point(nav.at, nav.value) for nav in navs]) or ZERO
    trading = _trading(booked(connection, index.account_id, span, index.id))
    fee = sum((each.value for each in fees_taken(connection, index, span)), ZERO)
    created = sum((flow.amount for flow in flows if flow.amount > 0), ZERO)
    redeemed = -sum((flow.amount for flow in flows if flow.amount < 0), ZERO)
    of_fund, of_index = total_return(fund), total_return(level)
    return PerformanceReport(
        id=index.id,
        symbol=index.symbol,
        name=index.name,
        quote=index.quote,
        start=first.at,
        end=last.at,
        years=years(first.at, last.at),
        fund_return=of_fund,
        index_return=of_index,
        tracking_difference=tracking_difference(beside, level),
        tracking_error=tracking_error(fund, level),
        fund_return_a_year=None if of_fund is None else return_a_year(of_fund, first.at, last.at),
        index_return_a_year=None if of_index is None else return_a_year(of_index, level[0].at, level[-1].at),
        volatility=volatility(fund),
        sharpe_without_risk_free_rate=sharpe_without_risk_free_rate(fund),
        drawdown=drawdown(fund),
        index_drawdown=drawdown(level),
        money_weighted=money_weighted_return(
            first.value, [Flow(flow.at, flow.amount) for flow in flows], last.value, first.at, last.at
        ),
        opening=first.value,
        created=created,
        redeemed=redeemed,
        gain=last.value - first.value - created + redeemed,
        closing=last.value,
        average=average,
        trading=trading,
        management_fee=fee,
        cost=trading.loss + fee,
        turnover=turnover(trading.turned_over, trading.turned_over, average),
        bps_a_year=bps_a_year(trading.loss + fee, average, first.at, last.at),
        head=chain_head(connection, index.account_id)[1],
        flows=tuple(flows),
        navs=tuple(navs),
        weights=_weights(connection, index, navs),
    )


def _weights(connection: Connection, index: Index, navs: Sequence[Nav]) -> tuple[Mapping[str, Decimal], ...]:
    """Return what each constituent was of a unit, by the prices that were written down."""
    baskets = baskets_by_version(connection, index.id, {nav.basket_version for nav in navs})
    found = []
    for nav in navs:
        basket, prices = baskets[nav.basket_version], nav.prices
        values = {asset: quantity * prices[asset].value for asset, quantity in basket.quantities.items()}
        values[index.quote] = basket.cash_per_unit
        found.append(
            {asset: divide(value, nav.nav_per_unit, WEIGHT_GRID) for asset, value in values.items() if value}
        )
    return tuple(found)


def _flows_between(
    connection: Connection, index: Index, navs: Sequence[Nav], *, is_first: bool
) -> tuple[list[FlowLine], Period]:
    """Return what came and went from the first record to the last, and the span of time in which it did.

    What happened at the very moment of the first is in it, as in the last of the
    span before: so spans that adjoin add up. Only the very first record of an
    index may come before it. Units that do not tie say that it is the other way round.
    """
    first, last = navs[0], navs[-1]
    end, after = last.at + _INSTANT, first.at + _INSTANT
    flows = _flows(connection, index, Period(first.at, end), navs)
    starts = (first.at, after) if is_first and first.reason == Reason.RECORD else (after, first.at)
    for start in starts:
        own = [flow for flow in flows if flow.at >= start]
        if first.units + sum((flow.units for flow in own), ZERO) == last.units:
            return own, Period(start, end)
    return [flow for flow in flows if flow.at >= after], Period(after, end)


def _flows(connection: Connection, index: Index, period: Period, navs: Sequence[Nav]) -> list[FlowLine]:
    """Return the creations and redemptions of the chain, at the mids of their batches, oldest first.

    What had no mid then counts at the price that was written down last.
    """
    assert period.since is not None and period.until is not None
    query = (
        select(transactions.c.at, transactions.c.evidence, transactions.c.index_order_id, index_orders.c.side)
        .join(index_orders, index_orders.c.id == transactions.c.index_order_id)
        .where(
            index_orders.c.index_id == index.id,
            transactions.c.kind.in_(("credit", "settle")),
            transactions.c.at >= period.since,
            transactions.c.at < period.until,
        )
        .order_by(transactions.c.id)
    )
    of_plan = select(plans.c.id, plans.c.basket_id).join(index_orders, index_orders.c.id == plans.c.index_order_id)
    planned_on = {
        row.id: row.basket_id for row in connection.execute(of_plan.where(index_orders.c.index_id == index.id))
    }
    booked_flows = [(row, json.loads(row.evidence)["facts"]) for row in connection.execute(query)]
    baskets = baskets_by_id(connection, {planned_on[facts["plan"]] for _, facts in booked_flows})
    found = []
    for row, facts in booked_flows:
        units = Side(row.side).sign * Decimal(facts["units"])
        if units:
            basket = baskets[planned_on[facts["plan"]]]
            mids = {asset: Decimal(mid) for asset, mid in facts["mids"].items()}
            frozen = basket.quantities.keys() - mids.keys()
            nav = basket.nav(mids | _written_down(navs, frozen, row.at))
            found.append(FlowLine(row.at, row.index_order_id, units, nav, units * nav))
    return found


def _written_down(navs: Sequence[Nav], assets: Collection[str], at: datetime) -> dict[str, Decimal]:
    """Return the last price of each of `assets` that was written down by then; 0 for what never had one."""
    found = dict.fromkeys(assets, ZERO)
    if assets:
        for nav in navs:
            if nav.at <= at:
                found |= {asset: price.value for asset, price in nav.prices.items() if asset in found}
    return found


def _trading(rows: Sequence[Booked]) -> Trading:
    of_flows = sum((row.loss.total for row in rows if row.trader.side is not None), ZERO)
    of_rebalances = sum((row.loss.total for row in rows if row.trader.side is None), ZERO)
    traded = sum((row.traded for row in rows if row.is_fill and row.trader.side is None), ZERO)
    return Trading(of_flows + of_rebalances, of_flows, of_rebalances, traded / 2)
