"""`etf order show`: an order or a rebalance, with what was planned and sent for it."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import TYPE_CHECKING

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
    short,
    unit_count,
)
from etf_trader.cli.options import OrderArgument
from etf_trader.cli.output import Page, bad
from etf_trader.cli.services import in_loop, services

if TYPE_CHECKING:
    from datetime import datetime

    from etf_trader.bootstrap import Services
    from etf_trader.cli.order_sent import Sent
    from etf_trader.cli.orders import OrderFacts
    from etf_trader.execution.stuck import Kept
    from etf_trader.market.symbol import SymbolRule
    from etf_trader.orders.index_order import IndexOrder
    from etf_trader.reports.rebalance import RebalanceReport

SHORTFALLS = {
    "retry": "completed, or traded back at the end",
    "unwind": "traded back after each batch",
    "hold": "kept: never traded back",
}
"""What becomes of what makes no whole units."""


def add_to(app: typer.Typer) -> None:
    """Add the command to `etf order`."""
    command(app, "show", examples=("etf order show 3", "etf order show 3 --json"), csv="asset_orders")(show)


def show(order: OrderArgument) -> None:
    """Show an order or a rebalance, its plans and its part of what was sent to the venue."""
    from etf_trader.cli.order_sent import read_sent
    from etf_trader.cli.orders import order_facts
    from etf_trader.orders.rebalances import is_rebalance
    from etf_trader.orders.store import index_order
    from etf_trader.reports.rebalance import rebalance_report

    with services() as opened:
        with opened.database.read() as connection:
            sent = read_sent(connection, opened.account.id, order)
            moves = rebalance_report(connection, order) if is_rebalance(connection, order) else None
            facts = None if moves is not None else order_facts(connection, index_order(connection, order))
        rules = in_loop(opened.venue.rules())
        if moves is not None:
            _emit_rebalance(moves, sent, rules)
        if facts is not None:
            _emit_order(opened, facts, sent, rules)


def _emit_order(opened: Services, facts: OrderFacts, sent: Sent, rules: Mapping[str, SymbolRule]) -> None:
    """Show an index order with its plans and what they sent."""
    from etf_trader.cli.timed_orders import slices_table

    order, schedule = facts.order, facts.order.schedule
    kept = _kept(opened, order, rules)
    payload = facts.document() | sent.document({asset: each.why for asset, each in kept.items()})

    def draw(page: Page) -> None:
        _draw_head(page, opened, facts)
        if schedule is not None:
            page.line()
            page.table(slices_table(order, schedule, facts.done, _now_of(opened, order)))
        sent.draw(page, rules, only_last=schedule is not None)
        if schedule is not None and len(facts.done) > 1:
            page.line(f"These are of the last slice: etf report fills --order {order.id} has all.")
        _draw_held(page, facts, sent.held, kept, rules)

    output().emit("etf.order/1", payload, draw)


def _emit_rebalance(report: RebalanceReport, sent: Sent, rules: Mapping[str, SymbolRule]) -> None:
    """Show a rebalance with the plans of its waves and what they sent."""
    from etf_trader.cli.rebalances import fields_of, order_document, rebalance_sentences

    def draw(page: Page) -> None:
        *told, more = rebalance_sentences(report)
        for sentence in told:
            page.line(sentence)
        page.line()
        page.fields(fields_of(report))
        sent.draw(page, rules)
        if sent.held:
            named = ", ".join(f"{short(amount)} {asset}" for asset, amount in sent.held.items())
            page.line()
            page.line(f"A wave is under way: it holds {named}.")
        page.line(more)

    output().emit("etf.order/1", order_document(report) | sent.document({}), draw)


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
    held: Mapping[str, Decimal],
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
