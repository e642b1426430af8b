"""A wave of a rebalance as a person reads it: what it trades where, what it costs, and the proof."""

from __future__ import annotations

import json
from collections.abc import Mapping
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from etf_trader.cli.certificates import told_gap
from etf_trader.cli.invocation import output
from etf_trader.cli.numbers import bps, count, joined, local_time, money, price, quantity, share, units
from etf_trader.cli.output import Page, Table, dim, number, text
from etf_trader.cli.rebalance_outlook import WHY
from etf_trader.money import round_to

if TYPE_CHECKING:
    from etf_trader.market.symbol import SymbolRule
    from etf_trader.orders.store import StoredPlan

METHODS = {"bisection": "exact targets, by bisection on NAV after", "linprog": "linear program on joined levels"}


def show_wave(stored: StoredPlan, market: Mapping[str, Any] | None, schema: str) -> None:
    """Show the stored plan of a wave."""
    from etf_trader.market.document import market_of

    document = json.loads(stored.document)
    rules = market_of(market)[1] if market else {}

    def draw(page: Page) -> None:
        page.line(
            f"Plan {stored.id} of rebalance {stored.index_order_id} of {document['index']}, "
            f"{local_time(stored.created_at)}:"
        )
        page.line()
        page.table(legs_table(document, rules))
        page.line()
        _draw_sums(page, document)
        page.line()
        _draw_certificate(page, document)
        page.line(f"To prove it again: etf plan verify {stored.id}")

    payload = {
        "id": stored.id,
        "order": stored.index_order_id,
        "purpose": stored.purpose,
        "status": stored.status,
        "created_at": stored.created_at,
        "settled_at": stored.settled_at,
        "dry_run": False,
        "plan": document,
        "market": market,
        "binds": [],
    }
    output().emit(schema, payload, draw)


def legs_table(document: Mapping[str, Any], rules: Mapping[str, SymbolRule]) -> Table:
    """Return what each asset trades, the largest first, and what is left alone."""
    table = Table(
        text(""),
        text("trade"),
        number("value"),
        number("last price", optional=2),
        number("cost", optional=1),
        number("wave", optional=3),
        text("", shrink=True),
    )
    for leg in sorted(document["legs"], key=lambda each: (-Decimal(each["value"]), each["asset"])):
        if leg["side"] is None:
            if leg["why_skipped"]:
                table.row(leg["asset"], "-", "-", "-", "-", "-", dim(WHY[leg["why_skipped"]]))
            continue
        rule, amount, last = rules.get(leg["symbol"]), Decimal(leg["quantity"]), Decimal(leg["last_price"])
        table.row(
            leg["asset"],
            f"{leg['side']} {quantity(amount, rule.step) if rule else units(amount)}",
            money(Decimal(leg["value"])),
            price(last, rule.tick) if rule else units(last),
            money(Decimal(leg["cost"])),
            str(leg["wave"]),
            dim(_beside(leg, None if rule is None else rule.step)),
        )
    for each in document["kept"]:
        table.row(each["asset"], "-", "-", "-", "-", "-", dim(WHY.get(each["why"], "")))
    return table


def _beside(leg: Mapping[str, Any], step: Decimal | None) -> str:
    """Return what else is to be said of a leg: that it waits, or how much trades with open orders."""
    if leg["wave"] != 1:
        return "planned again when its money is there"
    inside = Decimal(leg["inside"])
    if not inside:
        return ""
    return f"{units(inside) if step is None else quantity(round_to(inside, step), step)} inside, at the mid"


def _draw_sums(page: Page, document: Mapping[str, Any]) -> None:
    quote, cost = document["quote"], Decimal(document["cost"])
    parts = joined(f"{part} {money(Decimal(document[part]))}" for part in ("spread", "depth", "fee"))
    turnover = share(Decimal(document["turnover"]))
    page.line(f"Trades {turnover} of NAV one way, in {count(document['waves'], 'wave')}.")
    page.line(f"Cost  {money(cost)} {quote}, {bps(Decimal(document['cost_bps']))} bps of NAV   {parts}")
    before, after = money(Decimal(document["nav_before"])), money(Decimal(document["nav_after"]))
    page.line(f"NAV {before} {quote} before and {after} after.")


def _draw_certificate(page: Page, document: Mapping[str, Any]) -> None:
    bound, quote = units(Decimal(document["bound"])), document["quote"]
    page.fields(
        [
            ("method", METHODS.get(document["method"], document["method"])),
            ("bound", f"{bound} {quote} of NAV, what is off target taken off: nothing is better"),
            ("gap", told_gap(Decimal(document["gap_bps"]), Decimal(document["rounding_bps"]))),
            ("books", f"SHA-256 {document['book_hash']}"),
        ]
    )
