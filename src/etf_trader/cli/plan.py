"""`etf plan`: the plans that were made, with their certificates."""

from __future__ import annotations

from decimal import Decimal

from etf_trader.cli.commands import command, group
from etf_trader.cli.invocation import output
from etf_trader.cli.numbers import local_time, money
from etf_trader.cli.options import PlanArgument
from etf_trader.cli.output import Page
from etf_trader.cli.services import in_loop, services

app = group()

METHODS = {
    "closed_form": "closed form",
    "linprog": "linear program",
    "unwind": "trading back at the best prices",
}


@command(app, "show", examples=("etf plan show 7", "etf plan show 7 --json"))
def show(plan: PlanArgument) -> None:
    """Show a plan: what it traded where, what it cost, and the proof that it is nearly the best."""
    import json

    from etf_trader.cli.plans import draw_plan
    from etf_trader.index.store import index_by_id
    from etf_trader.orders.store import index_order, stored_plan

    with services() as opened:
        with opened.database.read() as connection:
            stored = stored_plan(connection, plan)
            order = index_order(connection, stored.index_order_id)
            index = index_by_id(connection, order.index_id)
        rules = in_loop(opened.venue.rules())
    document = json.loads(stored.document)

    def draw(page: Page) -> None:
        if stored.purpose == "unwind":
            page.line(f"Plan {stored.id} traded back what order {order.id} had beyond its units.")
        else:
            page.line(f"Plan {stored.id} of order {order.id}, {local_time(stored.created_at)}:")
        draw_plan(page, document, index.quote, rules)
        page.line()
        verb = "cost" if document["side"] == "buy" else "brings"
        best = "no plan for these units costs less than" if verb == "cost" else "no plan for them brings more than"
        page.fields(
            [
                ("found by", METHODS.get(stored.method, stored.method)),
                (verb, f"{money(stored.cost)} {index.quote}"),
                ("bound", f"{money(stored.bound)} {index.quote}: {best} this"),
                ("gap", _gap(stored.gap_bps, Decimal(document["rounding_bps"]))),
                ("books", f"SHA-256 {stored.book_hash}"),
            ]
        )

    payload = {
        "id": stored.id,
        "order": order.id,
        "purpose": stored.purpose,
        "status": stored.status,
        "created_at": stored.created_at,
        "settled_at": stored.settled_at,
        "dry_run": False,
        "plan": document,
    }
    output().emit("etf.plan/1", payload, draw)


def _gap(gap: Decimal, rounding: Decimal) -> str:
    if gap == 0:
        return "none: it is the best possible"
    due = " from whole lots and least orders" if rounding == gap else f", {rounding:.3f} of it from whole lots"
    return f"{gap:.3f} bps{due}"
