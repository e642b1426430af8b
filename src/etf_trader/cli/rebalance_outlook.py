"""What a dry run of a rebalance tells beyond its trades: proof, slots, tracking error, and what less would do."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from etf_trader.cli.numbers import bps, count, joined, money, share
from etf_trader.cli.output import Page, Table, dim, look, number, text
from etf_trader.money import ZERO

if TYPE_CHECKING:
    from etf_trader.bootstrap import Slots
    from etf_trader.rebalance.frontier import Point
    from etf_trader.rebalance.outlook import Outlook
    from etf_trader.rebalance.planning import Rebalance
    from etf_trader.rebalance.previewing import RebalancePreview

WHY: Mapping[str | None, str] = {
    None: "",
    "within_band": "within its band",
    "below_minimum": "below the venue's least order",
    "halted": "its market does not trade",
    "delisted": "the venue has no market for it any more",
    "turnover_cap": "left out by the turnover cap",
    "cost_above_benefit": "costs more than it is worth",
    "wide_spread": "its spread is too wide",
}
"""Why an asset does not trade."""

VISIBLE = 1
"""So much less tracking error is seen, in bps: errors are shown in hundredths of a percent."""

CHART_ROWS = 8
CHART_ROOM = 72


def outlook_document(found: RebalancePreview, outlook: Outlook | None) -> dict[str, Any]:
    """Return the plan object, the market it was made on, tracking errors and frontier, in plain values."""
    from etf_trader.seal import canonical

    plan = _plan(found)
    return {
        "plan": None if plan is None else json.loads(canonical(plan)),  # in the order in which it is stored
        "market": None if plan is None else found.market,
        "tracking_error_before": None if outlook is None else outlook.tracking_error_before,
        "tracking_error_after": None if outlook is None else outlook.tracking_error_after,
        "tracking_days": 0 if outlook is None else outlook.days,
        "tracking_averaged": [] if outlook is None else list(outlook.averaged),
        "frontier": [] if outlook is None else [_point(each) for each in outlook.frontier],
    }


def _plan(found: RebalancePreview) -> dict[str, Any] | None:
    from etf_trader.market.document import market_hash
    from etf_trader.rebalance.document import plan_object

    if found.rebalance is None:
        return None
    return plan_object(
        found.rebalance,
        index=found.index.symbol,
        basket_version=found.basket.version,
        book_hash=market_hash(found.market),
    )


def _point(each: Point) -> dict[str, Any]:
    return {
        "part": each.part,
        "of": each.of,
        "orders": each.orders,
        "turnover": each.turnover,
        "cost": each.cost,
        "cost_bps": each.cost_bps,
        "tracking_error": each.tracking_error,
        "chosen": each.is_chosen,
    }


def draw_outlook(page: Page, found: RebalancePreview, outlook: Outlook | None, slots: Slots) -> None:
    """Draw how long it takes and what is proved, how far the index strays, and what less would cost."""
    if found.rebalance is None or outlook is None:
        return
    if stuck := _stuck(found):
        page.line(stuck)
    document = _plan(found)
    if document is not None and found.rebalance.orders:
        page.line(_effort(document, found, slots))
    for sentence in straying(outlook):
        page.line(sentence)
    if found.rebalance.orders:
        draw_frontier(page, outlook, found.index.quote)
        if told := beaten(outlook.frontier, found.rebalance):
            page.line(told)


def _stuck(found: RebalancePreview) -> str:
    """Return who cannot be traded now, and what becomes of it."""
    assert found.rebalance is not None
    named = {each.asset for each in found.rebalance.drifts}
    halted = sorted(found.rebalance.halted & named)
    if not halted:
        return ""
    stays = "it stays as it is" if len(halted) == 1 else "they stay as they are"
    told = f"No market now: {', '.join(halted)}; {stays}, and the others share the rest of NAV."
    without = [asset for asset in halted if asset in found.held and not found.mids[asset]]
    return f"{told} Without any price, and counted as nothing: {', '.join(without)}." if without else told


def _effort(document: Mapping[str, Any], found: RebalancePreview, slots: Slots) -> str:
    """Return how many slots of how many a rebalance takes, how long, and how near to the best possible it is."""
    from etf_trader.cli.plans import order_count, proof

    rules = {rule.symbol: rule for rule in found.rules.values()}
    legs = [leg | {"limit_price": leg["last_price"]} for leg in document["legs"]]
    orders = order_count({"legs": legs}, rules)
    waits = max(0, -(-(slots.used + orders) // slots.limit) - 1) if slots.limit else 0
    time = f"about {waits * slots.seconds} s" if waits else "under a second a wave"
    return joined([f"{orders} of {count(slots.limit, 'slot')}", time, proof(document)])


def straying(outlook: Outlook) -> list[str]:
    """Return how far the index strays before and after, and whose prices were not known."""
    before, after = outlook.tracking_error_before, outlook.tracking_error_after
    if before is None or after is None:
        return ["Tracking error: not known, its coins have too few daily candles."]
    told = f"Tracking error, expected  {_yearly(before)} a year before, {_yearly(after)} after"
    lines = [f"{told}   {dim(f'by {outlook.days} days of candles')}"]
    if outlook.averaged:
        lines.append(dim(f"Too few candles, taken as the average coin: {', '.join(outlook.averaged)}."))
    return lines


def _yearly(error: Decimal) -> str:
    """Return a tracking error in percent."""
    return f"{error / 100:.2f}%"


def draw_frontier(page: Page, outlook: Outlook, quote: str) -> None:
    """Draw the ways to do it as a table, and cost against tracking error as a chart."""
    points = outlook.frontier
    table = Table(
        text(""),
        number("turnover"),
        number(f"cost, {quote}", optional=1),
        number("bps of NAV"),
        number("tracking error"),
        text("", optional=2),
    )
    for each in points:
        mark = look if each.is_chosen else str
        error = "-" if each.tracking_error is None else _yearly(each.tracking_error)
        table.row(
            mark(_way(each)),
            share(each.turnover),
            money(each.cost),
            bps(each.cost_bps),
            error,
            look("● this plan") if each.is_chosen else "",
        )
    page.line()
    page.line("What less of it would cost, and how far the index would stray in a year:")
    page.line()
    page.table(table)
    _draw_chart(page, points)


def beaten(points: Sequence[Point], found: Rebalance) -> str:
    """Return why a cheaper way strays less than what is planned; nothing where none does."""
    plan = next((each for each in points if each.is_chosen), None)
    if plan is None or plan.tracking_error is None:
        return ""
    cheaper = [each.tracking_error for each in points if each.cost < plan.cost]
    if not any(error is not None and plan.tracking_error - error >= VISIBLE for error in cheaper):
        return ""
    stuck = sorted(found.halted | found.delisted)
    why = [f"{', '.join(stuck)} cannot be traded, and the others share the rest by their targets"] if stuck else []
    why += ["the turnover cap lets the same part of every trade happen"] if found.scale != 1 else []
    why += ["price_bps counts how far each coin is off, not how coins move together"] if plan.part is None else []
    return f"A cheaper way strays less: {', and '.join(why)}." if why else ""


def _draw_chart(page: Page, points: tuple[Point, ...]) -> None:
    from etf_trader.cli.charts import Mark, curve_chart

    best = [each for each in points if each.part is not None and each.tracking_error is not None]
    curve = [(each.cost_bps, (each.tracking_error or ZERO) / 100) for each in best]
    rising = [each for place, each in enumerate(curve) if place == 0 or each[0] > curve[place - 1][0]]
    if len(rising) < 3 or not rising[-1][0]:
        return
    marks = [Mark(each.cost_bps, "○") for each in points if not each.is_chosen]
    marks += [
        Mark(each.cost_bps, "●", height=(each.tracking_error or ZERO) / 100) for each in points if each.is_chosen
    ]
    lines = curve_chart(
        rising,
        room=min(CHART_ROOM, 80 if page.room is None else page.room),
        until=rising[-1][0],
        marks=marks,
        is_even=True,
        rows=CHART_ROWS,
    )
    if lines:
        page.line()
        page.line(dim("tracking error a year in percent, by cost in bps of NAV"))
        for line in lines:
            page.line(line)


def _way(each: Point) -> str:
    """Return what a point does."""
    if each.part is None:
        return "what is worth its price"
    if each.part in (0, 1):
        return "all of it" if each.part else "nothing"
    return f"the best for {each.part:.0%} of the cost" if each.of == "cost" else f"{each.part:.0%} of every trade"
