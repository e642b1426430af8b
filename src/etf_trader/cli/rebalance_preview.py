"""`etf rebalance --dry-run`: what a rebalance would trade now, what it leaves alone, and what it would cost."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from etf_trader.cli.index_rules import left_out_sentences
from etf_trader.cli.invocation import output, settings
from etf_trader.cli.numbers import bps, count, joined, local_time, money, quantity, share
from etf_trader.cli.output import Page, Table, dim, number, text
from etf_trader.cli.rebalance_beside import beside_document, draw_beside, look_beside
from etf_trader.cli.rebalance_outlook import WHY, draw_outlook, outlook_document
from etf_trader.cli.rebalances import unit_value
from etf_trader.cli.services import in_loop, services
from etf_trader.money import ZERO

if TYPE_CHECKING:
    from etf_trader.bootstrap import Slots
    from etf_trader.index.selection import Verdict
    from etf_trader.rebalance.beside import BesideOrders
    from etf_trader.rebalance.determining import Caps
    from etf_trader.rebalance.outlook import Outlook
    from etf_trader.rebalance.previewing import RebalancePreview


def show_preview(index: str, caps: Caps | None) -> None:
    """Show what bringing an index back to its rulebook would trade now; nothing is written."""
    found, outlook, slots, beside = _preview(index, caps)
    plan = None if found.rebalance is None else _document(found)

    def draw(page: Page) -> None:
        page.line(
            f"Rebalance of {found.index.symbol} by its rulebook {found.version.version}, "
            f"{local_time(found.at)}: a dry run, nothing is traded."
        )
        if plan is None:
            page.line("Nobody holds units of it: there is nothing to trade.")
            _draw_targets(page, found)
        else:
            _draw_legs(page, found, plan)
            _draw_sums(page, found, plan)
            draw_beside(page, beside, found.index.quote)
            draw_outlook(page, found, outlook, slots)
        if found.version.rules is not None:
            for sentence in left_out_sentences(found.version.rules, found.determination):
                page.line(sentence)

    payload = {
        "id": found.index.id,
        "symbol": found.index.symbol,
        "rulebook": found.version.version,
        "dry_run": True,
        "at": found.at,
        "weights": dict(found.determination.weights),
        "verdicts": [_verdict(each) for each in found.determination.verdicts],
        "unranked": list(found.determination.unranked),
        **outlook_document(found, outlook),
        **beside_document(beside),
        **({"legs": []} if plan is None else plan),
    }
    columns = ("asset", "weight", "target", "weight_after", "side", "quantity", "value", "cost", "why_skipped")
    output().emit("etf.rebalance/1", payload, draw, columns=columns)


def _verdict(each: Verdict) -> dict[str, Any]:
    """Return who a coin is, and why it is in or not."""
    return {
        "asset": each.asset,
        "name": each.name,
        "rank": each.rank,
        "is_in": each.why.is_in,
        "why": str(each.why),
    }


def _preview(index: str, caps: Caps | None) -> tuple[RebalancePreview, Outlook | None, Slots, BesideOrders | None]:
    from etf_trader.rebalance.outlook import look_ahead
    from etf_trader.rebalance.previewing import preview_rebalance

    with services() as opened, output().progress("Reading the books"):
        found = in_loop(
            preview_rebalance(
                opened.database,
                opened.venue,
                opened.clock,
                opened.account,
                settings().solver.depth,
                index,
                caps,
            )
        )
        return found, in_loop(look_ahead(opened.venue, found)), opened.slots(), look_beside(opened, found)


def _document(found: RebalancePreview) -> dict[str, Any]:
    from etf_trader.money import money_context
    from etf_trader.rebalance.document import rebalance_document

    assert found.rebalance is not None
    with money_context():
        return rebalance_document(found.rebalance, found.units)


def _draw_targets(page: Page, found: RebalancePreview) -> None:
    table = Table(text(""), number("target"))
    for asset, weight in found.determination.weights.items():
        table.row(asset, share(weight))
    page.line()
    page.table(table)


def _draw_legs(page: Page, found: RebalancePreview, plan: Mapping[str, Any]) -> None:
    table = Table(
        text(""),
        number("weight"),
        number("target"),
        number("after", optional=2),
        text("trade"),
        number("value"),
        number("cost", optional=1),
        text("", shrink=True),
    )
    for leg in sorted(plan["legs"], key=lambda each: (-each["target"], -each["weight"], each["asset"])):
        trades = leg["side"] is not None
        amount = quantity(leg["quantity"], found.rules[leg["asset"]].step) if trades else ""
        table.row(
            leg["asset"],
            share(leg["weight"]),
            share(leg["target"]),
            share(leg["weight_after"]),
            f"{leg['side']} {amount}" if trades else "-",
            money(leg["value"]) if trades else "-",
            money(leg["cost"]) if trades else "-",
            dim(_coming(leg) if trades else _why_not(leg)),
        )
    page.line()
    page.table(table)
    page.line()


def _why_not(leg: Mapping[str, Any]) -> str:
    """Return why an asset does not trade; of who left, what is less than a lot is too little."""
    if leg["why_skipped"] is None and leg["weight"] != leg["target"]:
        return "at its target, to a lot" if leg["target"] else WHY["below_minimum"]
    return WHY[leg["why_skipped"]]


def _coming(leg: Mapping[str, Any]) -> str:
    """Return that an asset enters or leaves."""
    return "enters" if not leg["weight"] else "leaves" if not leg["target"] else ""


def _draw_sums(page: Page, found: RebalancePreview, plan: Mapping[str, Any]) -> None:
    quote = found.index.quote
    if not plan["orders"]:
        page.line("Nothing has to be traded.")
        return
    page.line(
        f"Trades {share(plan['turnover'])} of NAV one way, in {count(plan['orders'], 'order')} "
        f"and {count(plan['waves'], 'wave')}: sells fund buys."
    )
    if plan["scale"] != 1:
        page.line(f"The turnover cap lets {share(plan['scale'])} of every trade happen.")
    parts = ((name, plan[name]) for name in ("spread", "depth", "fee"))
    told = joined(f"{name} {money(value)}" for name, value in parts)
    page.line(f"Cost  {money(plan['cost'])} {quote}, {bps(plan['cost_bps'])} bps of NAV   {told}")
    before, after = (unit_value(plan[f"nav_per_unit_{when}"]) for when in ("before", "after"))
    page.line(f"A unit is worth {before} before and {after} after.")
    if plan["cash_after"] > ZERO:
        page.line(f"{money(plan['cash_after'])} {quote} stay in cash, of {money(plan['nav_after'])} in all.")
