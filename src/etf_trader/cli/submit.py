"""`etf submit`: buys and sells units of an index."""

from __future__ import annotations

import json
import secrets
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import typer

from etf_trader.cli.commands import command, group
from etf_trader.cli.invocation import output
from etf_trader.cli.numbers import local_time, unit_count
from etf_trader.cli.options import (
    AlgoOption,
    ClientKeyOption,
    DetachOption,
    DryRunOption,
    DurationOption,
    LimitOption,
    LiveYesOption,
    MaxLossOption,
    NoWaitOption,
    PositionOrNewOption,
    Quantity,
    QuantityOption,
    QuantityOrAllOption,
    RequiredIndexOption,
    TimeInForceOption,
)
from etf_trader.cli.output import Page, dim
from etf_trader.cli.services import in_loop, services

if TYPE_CHECKING:
    from datetime import timedelta

    from etf_trader.bootstrap import Services
    from etf_trader.cli.orders import OrderFacts
    from etf_trader.cli.stops import Stopped
    from etf_trader.execution.desk import Preview
    from etf_trader.orders.index_order import IndexOrder, OrderRequest

app = group()


@command(
    app,
    "buy",
    examples=(
        "etf submit buy --index 1 --qty 100 --dry-run      what it would cost now",
        "etf submit buy --index 1 --qty 100 --limit 1010   no unit dearer than that",
    ),
)
def buy(
    index: RequiredIndexOption,
    qty: QuantityOption,
    position: PositionOrNewOption = None,
    limit: LimitOption = None,
    max_loss: MaxLossOption = None,
    tif: TimeInForceOption = "now",
    algo: AlgoOption = None,
    duration: DurationOption = None,
    client_key: ClientKeyOption = None,
    dry_run: DryRunOption = False,
    detach: DetachOption = False,
    no_wait: NoWaitOption = False,
    yes: LiveYesOption = False,
) -> None:
    """Buy units of an index at the least cost that the order books allow."""
    _check_schedule(algo, duration, tif, dry_run=dry_run)
    spread = None if algo is None or duration is None else (algo, duration)
    _submit(
        "buy", index, Quantity(qty), position, limit, max_loss, tif, client_key, spread, dry_run, detach, no_wait
    )


@command(
    app,
    "sell",
    examples=(
        "etf submit sell --index 1 --qty 40",
        "etf submit sell --index 1 --qty all --max-loss 25   lose at most 25 bps against the prices now",
    ),
)
def sell(
    index: RequiredIndexOption,
    qty: QuantityOrAllOption,
    position: PositionOrNewOption = None,
    limit: LimitOption = None,
    max_loss: MaxLossOption = None,
    tif: TimeInForceOption = "now",
    algo: AlgoOption = None,
    duration: DurationOption = None,
    client_key: ClientKeyOption = None,
    dry_run: DryRunOption = False,
    detach: DetachOption = False,
    no_wait: NoWaitOption = False,
    yes: LiveYesOption = False,
) -> None:
    """Sell units of an index for the most that the order books pay."""
    _check_schedule(algo, duration, tif, dry_run=dry_run)
    spread = None if algo is None or duration is None else (algo, duration)
    _submit("sell", index, qty, position, limit, max_loss, tif, client_key, spread, dry_run, detach, no_wait)


def _submit(
    side: str,
    index: str,
    quantity: Quantity,
    position: str | None,
    limit: Decimal | None,
    max_loss: Decimal | None,
    tif: str,
    client_key: str | None,
    spread: tuple[str, timedelta] | None,
    dry_run: bool,
    detach: bool,
    no_wait: bool,
) -> None:
    from etf_trader.index.store import find_index
    from etf_trader.market.symbol import Side
    from etf_trader.orders.index_order import OrderRequest, lifetime

    lifetime(tif)
    with services() as opened:
        with opened.database.read() as connection:
            found = find_index(connection, index)
        request = OrderRequest(
            side=Side(side),
            index_id=found.id,
            quantity=quantity.units,
            position=_position(position),
            limit_price=limit,
            max_loss_bps=max_loss,
            time_in_force=tif,
            client_key=client_key or f"k-{secrets.token_hex(6)}",
        )
        if dry_run:
            _show_preview(opened, in_loop(opened.desk.preview(request)), spread)
        else:
            _run(opened, request, found.symbol, detach=detach, wait=not no_wait, key_is_new=client_key is None)


def _check_schedule(algo: str | None, duration: timedelta | None, tif: str, *, dry_run: bool) -> None:
    """Refuse half of a schedule, and any that would have to run."""
    from etf_trader.errors import UsageError

    if (algo is None) != (duration is None):
        missing, example = ("--duration", "--duration 30m") if duration is None else ("--algo", "--algo optimal")
        raise UsageError("an order over time needs --algo and --duration", where=missing, hint=f"add {example}")
    if algo is None:
        return
    if tif != "now":
        raise UsageError(
            "--duration says how long an order over time works", where="--tif", hint="leave out --tif"
        )
    if not dry_run:
        raise UsageError(
            "an order over time can be planned today, and not yet be run",
            where="--algo",
            hint="add --dry-run to see the plan, or leave out --algo and --duration to trade now",
        )


def _position(typed: str | None) -> str:
    from etf_trader.errors import UsageError
    from etf_trader.execution.desk import NEW

    if typed is None or typed == NEW:
        return typed or ""
    if not (typed.isascii() and typed.isdecimal() and len(typed) < 10):
        raise UsageError(
            f"{typed!r} is not a position", where="--position", hint="a number from etf position list, or new"
        )
    return str(int(typed))


def _show_preview(opened: Services, preview: Preview, spread: tuple[str, timedelta] | None) -> None:
    from etf_trader.cli.plans import draw_plan, effort
    from etf_trader.cli.schedules import draw_schedule, planned_schedule
    from etf_trader.cli.stops import sentences, stopped_preview
    from etf_trader.orders.schedule import schedule_document
    from etf_trader.seal import canonical

    document = json.loads(canonical(preview.document))
    slots = opened.exchange.order_counts(opened.account.uid)[0]
    schedule = None
    if spread is not None:
        schedule = schedule_document(planned_schedule(opened, preview, *spread))

    def draw(page: Page) -> None:
        rules = preview.view.rules
        draw_plan(page, document, preview.index.quote, rules)
        seconds = int(slots.interval.total_seconds())
        if line := effort(document, rules, slots.count, slots.limit, seconds):
            page.line(line)
        for sentence in sentences(stopped_preview(opened, preview)):
            page.line(sentence)
        if schedule is None:
            page.line(_dry_run_end(document, preview.request.time_in_force))
            return
        page.line()
        draw_schedule(
            page,
            schedule,
            preview.index.quote,
            opened.settings.schedule.volatility,
            has_routes=len(preview.index.routes) > 1,
        )
        page.line(dim("Nothing was sent. An order over time can be planned today, and not yet be run."))

    payload = {"dry_run": True, "plan": document, "market": preview.market, "schedule": schedule, "order": None}
    output().emit("etf.plan/1", payload, draw)
    if not preview.plan.units and preview.request.time_in_force == "now":
        raise typer.Exit(7)


def _dry_run_end(document: dict[str, Any], time_in_force: str) -> str:
    if Decimal(document["units"]) == Decimal(document["quantity"]):
        return dim("Nothing was sent. Without --dry-run this is what happens.")
    rest = "the rest is given up" if time_in_force == "now" else "the rest stays open"
    return dim(f"Nothing was sent. Without --dry-run this is what happens, and {rest}.")


def _require_agreement(opened: Services) -> None:
    """Compare the books with the venue before anything is accepted, unless a leader is at work and does so.

    Raises:
        ReconciliationMismatch: they differ; no order is written.
    """
    from etf_trader.errors import ReconciliationMismatch
    from etf_trader.execution.reconcile import require_agreement

    before = _leadership(opened)
    if before is None:
        return
    try:
        in_loop(require_agreement(opened.database, opened.venue, opened.account))
    except ReconciliationMismatch:
        if _leadership(opened) == before:  # otherwise somebody traded while we looked
            raise


def _leadership(opened: Services) -> int | None:
    """Return the epoch of a free lease with nothing left to settle; None while somebody is at work."""
    from etf_trader.clock import SystemClock
    from etf_trader.execution.lease import epoch, leader
    from etf_trader.orders.store import unsettled_plans

    with opened.database.read() as connection:
        if leader(connection, opened.account.id, SystemClock().now(), opened.settings.host) is not None:
            return None
        return None if unsettled_plans(connection, opened.account.id) else epoch(connection, opened.account.id)


def _run(
    opened: Services, request: OrderRequest, symbol: str, *, detach: bool, wait: bool, key_is_new: bool
) -> None:
    from etf_trader.cli.orders import exit_code_of, order_facts
    from etf_trader.cli.working import work
    from etf_trader.orders.store import index_order, index_order_by_key

    with opened.database.read() as connection:
        is_known = index_order_by_key(connection, request.client_key) is not None
    _require_agreement(opened)
    order = in_loop(opened.desk.accept(request))
    if is_known:
        output().note(f"{request.client_key} is order {order.id} already: this goes on with it.")
    elif key_is_new:
        output().note(dim(f"Order {order.id}, client key {order.client_key}."))
    if detach and not order.status.is_final:
        _show_detached(opened, order, symbol)
        return
    code = None
    if not order.status.is_final:
        doing = "Buying" if order.side.sign > 0 else "Selling"
        title = f"{doing} {unit_count(order.quantity)} of {symbol} on {opened.account.environment}"
        code = work(opened, [order.id], title, wait=wait).exit_code
    with opened.database.read() as connection:
        facts = order_facts(connection, index_order(connection, order.id))
    _show_order(opened, facts, interrupted=code is not None)
    if code is None or facts.order.status.is_final:
        code = exit_code_of(facts.order)
    if code:
        raise typer.Exit(code)


def _show_detached(opened: Services, order: IndexOrder, symbol: str) -> None:
    from etf_trader.cli.orders import order_facts
    from etf_trader.clock import SystemClock
    from etf_trader.execution.lease import leader

    with opened.database.read() as connection:
        facts = order_facts(connection, order)
        owner = leader(connection, opened.account.id, SystemClock().now(), opened.settings.host)
    if owner is not None:
        who = f"Process {owner.process} on {owner.host}, which leads the account, works it."
    else:
        who = "It is worked by etf worker --once, or by the next command that trades."

    def draw(page: Page) -> None:
        verb = "buy" if order.side.sign > 0 else "sell"
        page.line(
            f"Accepted: {verb} {unit_count(order.quantity)} of {symbol} (order {order.id}). Nothing is sent yet."
        )
        page.line(f"{who} How far it is: etf order show {order.id}")

    payload = facts.document() | {"plan": None, "detached": True}
    output().emit("etf.order/1", payload, draw)


def _show_order(opened: Services, facts: OrderFacts, *, interrupted: bool) -> None:
    from etf_trader.cli.orders import loss_sentence, result
    from etf_trader.cli.stops import stopped_order
    from etf_trader.orders.store import plans_of

    order = facts.order
    with opened.database.read() as connection:
        plans = plans_of(connection, order.id)
    plan = json.loads(plans[0].document) if plans else None

    def draw(page: Page) -> None:
        stopped = stopped_order(opened, order, facts.index)
        page.line(result(facts))
        if order.filled:
            page.line(loss_sentence(facts))
        for plan_back in (each for each in plans if each.purpose == "unwind"):
            page.line(
                "The books moved before all orders arrived: what made no whole units was traded back, and its "
                f"cost is part of the loss (etf plan show {plan_back.id})."
            )
        for sentence in _what_now(facts, stopped, interrupted=interrupted):
            page.line(sentence)
        if order.filled:
            page.line(f"How it was done: etf report fills --position {order.position_id}")

    output().emit("etf.order/1", facts.document() | {"plan": plan, "detached": False}, draw)


def _what_now(facts: OrderFacts, stopped: Stopped, *, interrupted: bool) -> list[str]:
    """Return why an order is where it is, and what can be done."""
    from etf_trader.cli.stops import sentences

    order = facts.order
    told = sentences(stopped)
    if order.status == "open":
        cancel = f"etf cancel --order {order.id} ends it"
        if interrupted:
            return [
                "Interrupted: what was sent is settled, and the order stays open.",
                f"etf worker --once goes on with it; {cancel}.",
            ]
        until = "it is cancelled" if order.expires_at is None else local_time(order.expires_at, seconds=False)
        return [*told, f"The rest stays open until {until}: etf worker works it; {cancel}."]
    if order.status == "stuck":
        told.append(f"It still holds assets that could not be traded back: etf order show {order.id} names them.")
    if order.status in ("ended", "stuck") and order.remaining:
        can_wait = any(name.startswith(("limit", "loss", "depth")) for name in order.stopped_by)
        hint = " To leave it working: --tif gtc." if can_wait and order.time_in_force == "now" else ""
        told.append(f"The rest is given up.{hint}")
    return told
