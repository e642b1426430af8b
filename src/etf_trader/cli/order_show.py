"""`etf order show`: an order or a rebalance with its plans, what it sent to the venue, and what it holds."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import typer

from etf_trader.cli.commands import command
from etf_trader.cli.invocation import output
from etf_trader.cli.numbers import (
    bps_given,
    count,
    few_digits,
    local_time,
    money,
    percent,
    price,
    quantity,
    short,
    unit_count,
)
from etf_trader.cli.options import OrderArgument
from etf_trader.cli.output import Page, Table, bad, number, right, text
from etf_trader.cli.services import in_loop, services
from etf_trader.money import ZERO, divide

if TYPE_CHECKING:
    from datetime import datetime

    from etf_trader.bootstrap import Services
    from etf_trader.cli.orders import OrderFacts
    from etf_trader.execution.stuck import Kept
    from etf_trader.market.symbol import SymbolRule
    from etf_trader.orders.asset_order import AssetOrder
    from etf_trader.orders.index_order import IndexOrder
    from etf_trader.orders.store import StoredPlan
    from etf_trader.reports.rebalance import RebalanceReport

SHORTFALLS = {
    "retry": "completed, or traded back at the end",
    "unwind": "traded back after each batch",
    "hold": "kept: never traded back",
}
"""What becomes of what makes no whole units."""

PURPOSES = {
    "trade": "trade",
    "unwind": "trade back",
    "convert": "exchange",
    "quote": "quote",
    "wave": "wave",
}
"""What a plan was made for."""


def add_to(app: typer.Typer) -> None:
    """Add the command to `etf order`."""
    command(app, "show", examples=("etf order show 3", "etf order show 3 --json"), csv="asset_orders")(show)


def show(order: OrderArgument) -> None:
    """Show an order or a rebalance, its plans and its part of what was sent to the venue."""
    from etf_trader.cli.orders import order_facts
    from etf_trader.cli.timed_orders import slices_table
    from etf_trader.execution.state import fills_with_orders
    from etf_trader.ledger import accounts
    from etf_trader.ledger.repository import Ledger
    from etf_trader.orders.rebalances import is_rebalance
    from etf_trader.orders.store import asset_orders_of, index_order, plans_of
    from etf_trader.reports.rebalance import rebalance_report

    with services() as opened:
        with opened.database.read() as connection:
            plans = plans_of(connection, order)
            sent = asset_orders_of(connection, order)
            filled: dict[int, Decimal] = {}
            for fill, asset_order in fills_with_orders(connection, order):
                filled[asset_order.id] = filled.get(asset_order.id, ZERO) + fill.quantity
            held = Ledger(connection, opened.account.id).holdings(accounts.order(order))
            moves = rebalance_report(connection, order) if is_rebalance(connection, order) else None
            facts = None if moves is not None else order_facts(connection, index_order(connection, order))
        rules = in_loop(opened.venue.rules())
        if moves is not None:
            _emit_rebalance(moves, plans, sent, filled, held, rules)
            return
        assert facts is not None
        kept = _kept(opened, facts.order, rules)
        payload = facts.document() | {
            "plans": [_plan_document(plan) for plan in plans],
            "asset_orders": _sent_documents(order, sent, filled),
            "held": [
                {"asset": asset, "quantity": amount, "why": kept[asset].why if asset in kept else None}
                for asset, amount in held.items()
            ],
        }

        def draw(page: Page) -> None:
            _draw_head(page, opened, facts)
            if facts.order.schedule is not None:
                page.line()
                page.table(
                    slices_table(facts.order, facts.order.schedule, facts.done, _now_of(opened, facts.order))
                )
            if plans:
                page.line()
                page.table(_plans_table(plans))
            if sent:
                page.line()
                page.table(_sent_table(order, _sent_last(facts, sent), filled, rules))
            if facts.order.schedule is not None and len(facts.done) > 1:
                page.line(f"These are of the last slice: etf report fills --order {order} has all.")
            _draw_held(page, facts, held, kept, rules)

        output().emit("etf.order/1", payload, draw)


def _sent_documents(order: int, sent: list[AssetOrder], filled: Mapping[int, Decimal]) -> list[dict[str, Any]]:
    """Return an order's own part of what was sent; `filled` is by asset order."""
    return [
        _asset_order_document(each) | {"share": each.share_of(order), "share_filled": filled.get(each.id, ZERO)}
        for each in sent
    ]


def _emit_rebalance(
    report: RebalanceReport,
    plans: list[StoredPlan],
    sent: list[AssetOrder],
    filled: Mapping[int, Decimal],
    held: Mapping[str, Decimal],
    rules: Mapping[str, SymbolRule],
) -> None:
    """Show a rebalance with the plans of its waves and what they sent."""
    from etf_trader.cli.rebalances import fields_of, order_document, rebalance_sentences

    payload = order_document(report) | {
        "plans": [_plan_document(plan) for plan in plans],
        "asset_orders": _sent_documents(report.id, sent, filled),
        "held": [{"asset": asset, "quantity": amount, "why": None} for asset, amount in held.items()],
    }

    def draw(page: Page) -> None:
        *told, more = rebalance_sentences(report)
        for sentence in told:
            page.line(sentence)
        page.line()
        page.fields(fields_of(report))
        if plans:
            page.line()
            page.table(_plans_table(plans))
        if sent:
            page.line()
            page.table(_sent_table(report.id, sent, filled, rules))
        if held:
            named = ", ".join(f"{short(amount)} {asset}" for asset, amount in held.items())
            page.line()
            page.line(f"A wave is under way: it holds {named}.")
        page.line(more)

    output().emit("etf.order/1", payload, draw)


def _draw_head(page: Page, opened: Services, facts: OrderFacts) -> None:
    from etf_trader.cli.orders import loss_sentence, open_until, result, status_words
    from etf_trader.cli.stops import sentences, stopped_order

    order = facts.order
    if order.filled:
        page.line(result(facts))
        page.line(loss_sentence(facts))
    else:
        so_far = "nothing yet" if order.status == "open" else "nothing came of it"
        page.line(
            f"{str(order.side).capitalize()} {unit_count(order.quantity)} of {facts.index.symbol}: {so_far}."
        )
        if facts.loss.total:
            page.line(loss_sentence(facts))
    for sentence in sentences(stopped_order(opened, order, facts.index)):
        page.line(sentence)
    page.line()
    limits = [
        f"limit {money(order.limit_price)}" if order.limit_price is not None else "",
        f"loss at most {bps_given(order.max_loss_bps)} bps" if order.max_loss_bps is not None else "",
    ]
    until = open_until(order)
    quoting = f", quoting {count(facts.quoting, 'order')} at the touch," if facts.quoting else ""
    ended = f", ended {local_time(order.ended_at)}" if order.ended_at is not None else ""
    page.fields(
        [
            ("state", f"{status_words(order)}{quoting} until {until}" if until else status_words(order)),
            (
                "filled",
                f"{few_digits(order.filled)} of {few_digits(order.quantity)} ({percent(facts.fill_percentage)})",
            ),
            ("limits", ", ".join(filter(None, limits)) or "none"),
            (
                "works",
                _works(order),
            ),
            ("accepted", f"{local_time(order.accepted_at)}{ended}"),
            *([("shortfall", SHORTFALLS[order.on_shortfall])] if order.on_shortfall != "retry" else []),
            ("client key", order.client_key),
            ("price then", f"{money(order.arrival_nav)} {facts.index.quote} a unit"),
        ]
    )


def _works(order: IndexOrder) -> str:
    from etf_trader.cli.timed_orders import at_its_end, manner

    if order.schedule is not None:
        return f"{manner(order.schedule)}; {at_its_end(order.schedule)}"
    return {"now": "now or never", "gtc": "until cancelled"}.get(order.time_in_force, order.time_in_force)


def _now_of(opened: Services, order: IndexOrder) -> datetime | None:
    """Return the time of now; None for an order that has ended, to which nothing comes any more."""
    return None if order.status.is_final else opened.clock.now()


def _plans_table(plans: list[StoredPlan]) -> Table:
    table = Table(
        right("plan"),
        text("made", optional=2),
        text("what for"),
        number("units"),
        number("cost"),
        number("gap bps", optional=1),
    )
    for plan in plans:
        table.row(
            str(plan.id),
            local_time(plan.created_at),
            PURPOSES.get(plan.purpose, plan.purpose),
            few_digits(plan.units),
            money(plan.cost),
            f"{plan.gap_bps:.3f}",
        )
    return table


def _sent_last(facts: OrderFacts, sent: list[AssetOrder]) -> list[AssetOrder]:
    """Return what is worth showing of what was sent: of an order over time the last batch."""
    if facts.order.schedule is None:
        return sent
    last = max(share.plan_id for each in sent for share in each.shares if share.index_order_id == facts.order.id)
    return [each for each in sent if any(share.plan_id == last for share in each.shares)]


def _sent_table(
    order: int, sent: list[AssetOrder], filled: Mapping[int, Decimal], rules: Mapping[str, SymbolRule]
) -> Table:
    """Return an order's own part of what was sent; `filled` is by asset order."""
    from etf_trader.cli.orders import ASSET_ORDER_STATES, REASONS

    table = Table(
        text("asset"),
        text("side", optional=3),
        number("quantity"),
        number("filled", optional=1),
        number("price", optional=4),
        number("average", optional=2),
        text("state"),
        text("why", wrap=True),
    )
    has_routes = len({each.intent.symbol for each in sent}) > len({each.intent.asset for each in sent})
    for each in sent:
        intent, rule = each.intent, rules.get(each.intent.symbol)
        done = each.executed_quantity
        average = divide(each.executed_value, done, Decimal("1e-12")) if done else None
        state = ASSET_ORDER_STATES[str(each.status)]
        is_on_tick = rule is not None and not intent.price % rule.tick  # what meets inside does so at the mid
        table.row(
            intent.symbol if has_routes else intent.asset,
            str(intent.side),
            _amount(each.share_of(order), rule),
            _amount(filled.get(each.id, ZERO), rule),
            price(intent.price, rule.tick) if rule and is_on_tick else short(intent.price),
            "-" if average is None else price(average, rule.tick / 10 if rule else Decimal("1e-8")),
            bad(state) if state == "refused" else state,
            REASONS.get(each.reason or "", each.reason or ""),
        )
    return table


def _amount(value: Decimal, rule: SymbolRule | None) -> str:
    """Return a quantity in lots; a part of lots with the digits it has."""
    return quantity(value, rule.step) if rule and not value % rule.step else short(value)


def _kept(opened: Services, order: IndexOrder, rules: Mapping[str, SymbolRule]) -> dict[str, Kept]:
    """Return what a stuck order holds, by asset, and why; nothing for another order."""
    from etf_trader.errors import DataError, VenueError
    from etf_trader.execution.look import look_at
    from etf_trader.execution.state import order_state
    from etf_trader.execution.stuck import kept_by
    from etf_trader.execution.unwinding import markets_of

    if order.status != "stuck":
        return {}
    with opened.database.read() as connection:
        state = order_state(connection, order.id)
    markets = markets_of(state, rules)
    try:
        view = in_loop(look_at(opened.venue, markets.symbols, 5, rules))
    except (DataError, VenueError):
        view = None
    return {each.asset: each for each in kept_by(state, rules, markets, view)}


def _draw_held(
    page: Page,
    facts: OrderFacts,
    held: dict[str, Decimal],
    kept: Mapping[str, Kept],
    rules: Mapping[str, SymbolRule],
) -> None:
    """Draw what an order keeps: cash and units it has reserved, assets beyond its units."""
    if not held:
        return
    named = {facts.index.quote: facts.index.quote, facts.index.unit_asset: f"units of {facts.index.symbol}"}
    listing = ", ".join(
        f"{money(amount) if asset == facts.index.quote else short(amount)} {named.get(asset, asset)}"
        for asset, amount in held.items()
    )
    page.line()
    if facts.order.status == "stuck":
        from etf_trader.cli.stops import next_of_stuck, why_kept

        page.line(f"{bad('Stuck')}: it still holds {listing}.")
        for each in kept.values():
            page.line(f"{short(each.quantity)} {each.asset}: {why_kept(each, rules)}.")
        page.line(next_of_stuck(facts.order, kept.values()))
    else:
        page.line(f"It holds {listing}.")


def _plan_document(plan: StoredPlan) -> dict[str, Any]:
    names = ("id", "purpose", "status", "created_at", "settled_at", "units", "method", "cost", "bound", "gap_bps")
    return {name: getattr(plan, name) for name in names} | {"book_hash": plan.book_hash}


def _asset_order_document(order: AssetOrder) -> dict[str, Any]:
    intent = order.intent
    return {
        "id": order.id,
        "plan": order.plan_id,
        "client_order_id": intent.client_order_id,
        "venue_order_id": order.venue_order_id,
        "asset": intent.asset,
        "symbol": intent.symbol,
        "side": str(intent.side),
        "quantity": intent.quantity,
        "price": intent.price,
        "filled": order.executed_quantity,
        "value": order.executed_value,
        "status": str(order.status),
        "reason": order.reason,
        "sent_at": order.granted_at,
        "ended_at": order.ended_at,
    }
