"""The plan of a wave as a person reads it: what the rest of a rebalance trades, and what was proved of it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from etf_trader.cli.certificates import METHODS
from etf_trader.cli.invocation import output
from etf_trader.cli.numbers import bps, count, joined, local_time, money, price, quantity, share, short
from etf_trader.cli.output import Page, Table, dim, number, text
from etf_trader.money import ZERO

if TYPE_CHECKING:
    from etf_trader.market.symbol import SymbolRule
    from etf_trader.orders.rebalance_order import RebalanceOrder
    from etf_trader.orders.store import StoredPlan
    from etf_trader.solver.rebalance_statement import RebalanceStatement

BISECTION = "bisection"
WHY = {
    "below_minimum": "below the venue's least order",
    "cost_above_benefit": "costs more than it brings",
}
KEPT = {"price": "no price"}


def show_wave(stored: StoredPlan, order: RebalanceOrder, market: Mapping[str, Any] | None) -> None:
    """Show the plan of a wave of a rebalance."""
    from etf_trader.market.document import market_of

    document = json.loads(stored.document)
    rules = market_of(market)[1] if market else {}
    payload = {
        "id": stored.id,
        "order": order.id,
        "purpose": stored.purpose,
        "status": stored.status,
        "created_at": stored.created_at,
        "settled_at": stored.settled_at,
        "dry_run": False,
        "plan": document,
        "fees": None,
        "market": market,
        "binds": [],
    }

    def draw(page: Page) -> None:
        page.line(
            f"Plan {stored.id} of rebalance {order.id} of {document['index']} for {order.request.due_on}, "
            f"{local_time(stored.created_at)}: all that was left, of which one wave was sent."
        )
        draw_wave(page, document, rules)
        page.line(f"To prove it again: etf plan verify {stored.id}")

    output().emit("etf.plan/1", payload, draw)


def draw_wave(page: Page, document: Mapping[str, Any], rules: Mapping[str, SymbolRule]) -> None:
    """Draw what a plan of the rest of a rebalance trades, what it costs, and how near it is to the best."""
    page.line()
    page.table(_legs_table(document, rules))
    page.line()
    quote = document["quote"]
    parts = joined(f"{name} {money(Decimal(document[name]))}" for name in ("spread", "depth", "fee"))
    cost, of = money(Decimal(document["cost"])), bps(Decimal(document["cost_bps"]))
    page.line(f"Cost  {cost} {quote}, {of} bps of NAV   {parts}")
    nav, cash = (_before_and_after(document, name) for name in ("nav", "cash"))
    page.fields(
        [
            ("NAV", nav),
            ("cash", cash),
            (
                "trades",
                f"{share(Decimal(document['turnover']))} of NAV one way, in {count(document['waves'], 'wave')}",
            ),
            ("found by", _method(document["method"])),
            ("gap", _gap(Decimal(document["gap_bps"]), Decimal(document["rounding_bps"]))),
            ("books", f"SHA-256 {document['book_hash']}"),
        ]
    )
    if kept := document["kept"]:
        page.line(f"Left as it is: {', '.join(_kept(each) for each in kept)}.")


def _before_and_after(document: Mapping[str, Any], name: str) -> str:
    before, after = (money(Decimal(document[f"{name}_{when}"])) for when in ("before", "after"))
    return f"{before} before, {after} after"


def _legs_table(document: Mapping[str, Any], rules: Mapping[str, SymbolRule]) -> Table:
    table = Table(
        text(""),
        text("trade"),
        number("last price", optional=2),
        number("value", optional=1),
        number("cost"),
        text("wave"),
        text("", shrink=True),
    )
    for leg in sorted(document["legs"], key=lambda leg: (leg["wave"] or 9, -Decimal(leg["value"]), leg["asset"])):
        rule, amount = rules.get(leg["symbol"]), Decimal(leg["quantity"])
        trades = leg["side"] is not None and amount
        last = Decimal(leg["last_price"])
        table.row(
            leg["asset"],
            f"{leg['side']} {quantity(amount, rule.step) if rule else short(amount)}" if trades else "-",
            "-" if not trades else price(last, rule.tick) if rule else short(last),
            money(Decimal(leg["value"])) if trades else "-",
            money(Decimal(leg["cost"])) if trades else "-",
            ("now" if leg["wave"] == 1 else "later") if trades else "-",
            dim(WHY.get(leg["why_skipped"], leg["why_skipped"] or "")),
        )
    return table


def _kept(each: Mapping[str, Any]) -> str:
    from etf_trader.cli.stops import in_short

    return f"{each['asset']} ({in_short([each['why']], None, None)})" if each["why"] else each["asset"]


def _method(method: str) -> str:
    return "bisection over the ladders" if method == BISECTION else METHODS.get(method, method)


def _gap(gap: Decimal, rounding: Decimal) -> str:
    if gap <= ZERO:
        return "none: it is the best possible"
    due = " from whole lots and least orders" if rounding == gap else f", {rounding:.3f} of it from whole lots"
    return f"{gap:.3f} bps of NAV{due}"


def proved_wave(statement: RebalanceStatement) -> list[tuple[str, str]]:
    """Return what was proved of the plan of a rebalance, a line for each kind of statement."""
    books = statement.books.values()
    levels = sum(len(book.bids) + len(book.asks) for book in books)
    sent = count(sum(1 for each in statement.legs if each.leg.quantity), "asset order")
    totals = statement.totals
    return [
        ("books", f"{count(len(statement.books), 'book')}, {levels:,} levels and their rules: the hash is theirs"),
        ("orders", f"{sent}: filters, levels from the best price, value, fee, cost"),
        ("sums", "NAV before less NAV after is the cost, to the last digit; cash is never below nothing"),
        ("bound", f"{money(totals['bound'])}, in exact fractions over all levels"),
        ("gap", _gap(totals["gap_bps"], totals["rounding_bps"])),
    ]
