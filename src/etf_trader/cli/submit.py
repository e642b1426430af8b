"""`etf submit`: buys and sells units of an index."""

from __future__ import annotations

import json
import secrets
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import typer

from etf_trader.cli.commands import command, group
from etf_trader.cli.invocation import output
from etf_trader.cli.numbers import local_time, unit_count
from etf_trader.cli.options import (
    AlgoOption,
    AtEndOption,
    ClientKeyOption,
    DetachOption,
    DryRunOption,
    DurationOption,
    LeaveToLeaderOption,
    LimitOption,
    LiveYesOption,
    MaxLossOption,
    OnInterruptOption,
    OnShortfallOption,
    ParticipationOption,
    PassiveOption,
    PositionOrNewOption,
    Quantity,
    QuantityOption,
    QuantityOrAllOption,
    RequiredIndexOption,
    TimeInForceOption,
)
from etf_trader.cli.output import Page, dim, look
from etf_trader.cli.services import in_loop, services

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import timedelta

    from etf_trader.bootstrap import Services
    from etf_trader.cli.orders import OrderFacts
    from etf_trader.cli.stops import Stopped
    from etf_trader.execution.desk import Preview
    from etf_trader.orders.index_order import IndexOrder, OrderRequest
    from etf_trader.orders.stored_schedule import ScheduleRequest

app = group()


@dataclass(frozen=True, slots=True)
class _Way:
    """How a command goes about an order; nothing of it is kept with the order."""

    dry_run: bool
    detach: bool
    no_wait: bool
    on_interrupt: str
    yes: bool

    def check(self) -> None:
        """Refuse what excludes each other."""
        from etf_trader.errors import UsageError

        if self.detach and self.on_interrupt == "cancel":
            raise UsageError(
                "--detach leaves the order to a worker: there is nothing here to interrupt",
                where="--on-interrupt",
                hint="leave out one of the two, or give --on-interrupt to etf worker",
            )


@command(
    app,
    "buy",
    examples=(
        "etf submit buy --index 1 --qty 100 --dry-run      what it would cost now",
        "etf submit buy --index 1 --qty 100 --limit 1010   no unit dearer than that",
        "etf submit buy --index 1 --qty 900 --algo twap --duration 2h",
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
    on_shortfall: OnShortfallOption = "retry",
    on_interrupt: OnInterruptOption = "keep",
    at_end: AtEndOption = None,
    participation: ParticipationOption = None,
    passive: PassiveOption = None,
    client_key: ClientKeyOption = None,
    dry_run: DryRunOption = False,
    detach: DetachOption = False,
    no_wait: LeaveToLeaderOption = False,
    yes: LiveYesOption = False,
) -> None:
    """Buy units of an index at the least cost that the order books allow."""
    schedule = _schedule(algo, duration, at_end, participation, passive, tif)
    way = _Way(dry_run, detach, no_wait, on_interrupt, yes)
    _submit("buy", index, Quantity(qty), position, limit, max_loss, tif, on_shortfall, client_key, schedule, way)


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
    on_shortfall: OnShortfallOption = "retry",
    on_interrupt: OnInterruptOption = "keep",
    at_end: AtEndOption = None,
    participation: ParticipationOption = None,
    passive: PassiveOption = None,
    client_key: ClientKeyOption = None,
    dry_run: DryRunOption = False,
    detach: DetachOption = False,
    no_wait: LeaveToLeaderOption = False,
    yes: LiveYesOption = False,
) -> None:
    """Sell units of an index for the most that the order books pay."""
    schedule = _schedule(algo, duration, at_end, participation, passive, tif)
    way = _Way(dry_run, detach, no_wait, on_interrupt, yes)
    _submit("sell", index, qty, position, limit, max_loss, tif, on_shortfall, client_key, schedule, way)


def _submit(
    side: str,
    index: str,
    quantity: Quantity,
    position: str | None,
    limit: Decimal | None,
    max_loss: Decimal | None,
    tif: str,
    on_shortfall: str,
    client_key: str | None,
    schedule: ScheduleRequest | None,
    way: _Way,
) -> None:
    from etf_trader.cli.caveats import endings, frozen_by_index
    from etf_trader.cli.real_money import require_can_ask
    from etf_trader.index.store import find_index
    from etf_trader.market.symbol import Side
    from etf_trader.orders.index_order import OrderRequest, lifetime
    from etf_trader.orders.status import Shortfall

    lifetime(tif)
    way.check()
    with services() as opened:
        if not way.dry_run:
            require_can_ask(opened, yes=way.yes)
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
            on_shortfall=Shortfall(on_shortfall),
            schedule=schedule,
        )
        for sentence in endings(opened, found):
            output().note(sentence)
        if request.side is Side.SELL:  # a buy is refused with the same sentence
            for sentence in frozen_by_index(opened, [found]).get(found.id, ()):
                output().note(sentence)
        if way.dry_run:
            _show_preview(opened, in_loop(opened.desk.preview(request)))
        else:
            _run(opened, request, found.symbol, way, key_is_new=client_key is None)


def _schedule(
    algo: str | None,
    duration: timedelta | None,
    at_end: str | None,
    participation: Decimal | None,
    passive: Decimal | None,
    tif: str,
) -> ScheduleRequest | None:
    """Return how the order is to be spread over time, None for at once; refuse half of a schedule.

    Raises:
        UsageError: an option has no other that it needs, or contradicts one; a value cannot be.
    """
    from etf_trader.errors import UsageError

    typed = {
        "--duration": duration,
        "--at-end": at_end,
        "--participation": participation,
        "--passive": passive,
    }
    given = [name for name, value in typed.items() if value is not None]
    if algo == "now":
        if given:
            raise UsageError(
                f"--algo now trades all at once: there is no {given[0]}",
                where=given[0],
                hint="leave it out, or take --algo twap, vwap, pov or optimal",
            )
        return None
    if algo is None and not given:
        return None
    if algo is None or duration is None:
        missing, example = ("--algo", "--algo optimal") if algo is None else ("--duration", "--duration 30m")
        both = "--algo and --duration" if algo is None and duration is None else example
        raise UsageError("an order over time needs --algo and --duration", where=missing, hint=f"add {both}")
    if tif != "now":
        raise UsageError(
            "--duration says how long an order over time works", where="--tif", hint="leave out --tif"
        )
    return _asked(algo, duration, at_end, participation, passive)


def _asked(
    algo: str, duration: timedelta, at_end: str | None, participation: Decimal | None, passive: Decimal | None
) -> ScheduleRequest:
    from etf_trader.money import money_context
    from etf_trader.orders.schedule import Algo
    from etf_trader.orders.stored_schedule import AtEnd, ScheduleRequest

    with money_context():
        share = None if participation is None else participation / 100
        quoted = None if passive is None else passive / 100
    seconds = int(duration.total_seconds())
    request = ScheduleRequest(Algo(algo), seconds, AtEnd(at_end or AtEnd.TAKE), share, quoted)
    request.check()
    return request


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


def _show_preview(opened: Services, preview: Preview) -> None:
    from etf_trader.cli.plan_fees import fees_of
    from etf_trader.cli.plans import draw_plan, effort
    from etf_trader.cli.schedules import draw_schedule
    from etf_trader.cli.stops import sentences, stopped_preview
    from etf_trader.cli.timed_orders import quoting_sentence
    from etf_trader.money import plain
    from etf_trader.orders.schedule import schedule_document
    from etf_trader.seal import canonical

    document = json.loads(canonical(preview.document))
    slots = opened.slots()
    refused = opened.desk.refusal(preview)
    schedule = None
    if preview.request.schedule is not None:
        asked = preview.request.schedule
        schedule = schedule_document(in_loop(opened.desk.schedule(preview, asked)))
        schedule |= {} if asked.passive is None else {"passive": plain(asked.passive)}

    def draw(page: Page) -> None:
        rules = preview.view.rules
        draw_plan(page, document, preview.index.quote, rules)
        if line := effort(document, rules, *slots):
            page.line(line)
        for sentence in sentences(stopped_preview(opened, preview)):
            page.line(sentence)
        if refused is not None:
            page.line(f"{look('It would be refused')}: {refused}. etf risk show lists limits and halts.")
            page.line(dim("Nothing was sent."))
            return
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
        if "passive" in schedule:
            page.line(quoting_sentence(Decimal(schedule["passive"])))
        page.line(dim("Nothing was sent. Without --dry-run each slice trades so, on the books of its time."))

    payload = {
        "dry_run": True,
        "refused": refused,
        "plan": document,
        "fees": fees_of(document),
        "market": preview.market,
        "schedule": schedule,
        "order": None,
    }
    output().emit("etf.plan/1", payload, draw)
    if not preview.plan.units and preview.request.time_in_force == "now":
        raise typer.Exit(7)


def _dry_run_end(document: dict[str, Any], time_in_force: str) -> str:
    if Decimal(document["units"]) == Decimal(document["quantity"]):
        return dim("Nothing was sent. Without --dry-run this is what happens.")
    rest = "the rest is given up" if time_in_force == "now" else "the rest stays open"
    return dim(f"Nothing was sent. Without --dry-run this is what happens, and {rest}.")


def _run(opened: Services, request: OrderRequest, symbol: str, way: _Way, *, key_is_new: bool) -> None:
    from etf_trader.cli.agreement import require_agreement
    from etf_trader.cli.order_beside import Beside
    from etf_trader.cli.orders import exit_code_of, order_facts
    from etf_trader.cli.real_money import confirm_live
    from etf_trader.orders.store import index_order, index_order_by_key

    amount = "all units" if request.quantity is None else unit_count(request.quantity)
    confirm_live(opened, f"{'Buy' if request.side.sign > 0 else 'Sell'} {amount} of {symbol}", yes=way.yes)
    with opened.database.read() as connection:
        is_known = index_order_by_key(connection, request.client_key) is not None
    require_agreement(opened)
    order = in_loop(opened.desk.accept(request))
    if is_known:
        output().note(f"{request.client_key} is order {order.id} already: this goes on with it.")
    elif key_is_new:
        output().note(dim(f"Order {order.id}, client key {order.client_key}."))
    if way.detach and not order.status.is_final:
        _show_detached(opened, order, symbol)
        return
    beside = Beside(order.id)
    opened.log.subscribe(beside)
    code = None if order.status.is_final else _work(opened, order, symbol, way)
    with opened.database.read() as connection:
        facts = order_facts(connection, index_order(connection, order.id))
    _show_order(opened, facts, beside.sentences(opened), interrupted=code is not None)
    was_given_up = way.on_interrupt == "cancel" and facts.order.status != "filled"
    if code is None or (facts.order.status.is_final and not was_given_up):
        code = exit_code_of(facts.order)
    if code:
        raise typer.Exit(code)


def _work(opened: Services, order: IndexOrder, symbol: str, way: _Way) -> int | None:
    """Bring an order as far as it goes; return the exit code of an interruption, None when there was none."""
    from etf_trader.cli.timed_orders import announcement
    from etf_trader.cli.working import cancel_orders, work

    if order.schedule is not None:
        output().note(announcement(order, order.schedule, symbol))
    doing = "Buying" if order.side.sign > 0 else "Selling"
    title = f"{doing} {unit_count(order.quantity)} of {symbol} on {opened.account.environment}"
    code = work(opened, [order.id], title, wait=not way.no_wait, stay=True).exit_code
    if code is not None and way.on_interrupt == "cancel":
        cancel_orders(opened, [order.id], wait=True)
    return code


def _show_detached(opened: Services, order: IndexOrder, symbol: str) -> None:
    from etf_trader.cli.orders import order_facts
    from etf_trader.cli.timed_orders import announcement
    from etf_trader.clock import SystemClock
    from etf_trader.execution.lease import leader

    with opened.database.read() as connection:
        facts = order_facts(connection, order)
        owner = leader(connection, opened.account.id, SystemClock().now(), opened.settings.host)
    if owner is not None:
        who = f"Process {owner.process} on {owner.host}, which leads the account, works it."
    else:
        who = "It is worked by etf worker --once, or by the next command that trades."
        if order.schedule is not None:
            who = "It is worked by etf worker, or by the next command that trades."

    def draw(page: Page) -> None:
        verb = "buy" if order.side.sign > 0 else "sell"
        page.line(
            f"Accepted: {verb} {unit_count(order.quantity)} of {symbol} (order {order.id}). Nothing is sent yet."
        )
        if order.schedule is not None:
            page.line(f"{announcement(order, order.schedule, symbol)} etf order watch {order.id} shows it live.")
        page.line(f"{who} How far it is: etf order show {order.id}")

    payload = facts.document() | {"plan": None, "detached": True}
    output().emit("etf.order/1", payload, draw)


def _show_order(opened: Services, facts: OrderFacts, beside: Sequence[str], *, interrupted: bool) -> None:
    from etf_trader.cli.orders import loss_sentence, result
    from etf_trader.cli.stops import stopped_order
    from etf_trader.cli.watching import market_sentence, see
    from etf_trader.orders.store import plans_of

    order = facts.order
    with opened.database.read() as connection:
        plans = plans_of(connection, order.id)
    plan = json.loads(plans[0].document) if plans else None
    sight = None if order.schedule is None else see(opened, order.id)

    def draw(page: Page) -> None:
        stopped = stopped_order(opened, order, facts.index)
        page.line(result(facts))
        if order.filled:
            page.line(loss_sentence(facts))
        if sight is not None and (told := market_sentence(sight)):
            page.line(told)
        for plan_back in (each for each in plans if each.purpose == "unwind"):
            page.line(
                "The books moved before all orders arrived: what made no whole units was traded back, and its "
                f"cost is part of the loss (etf plan show {plan_back.id})."
            )
        for sentence in _what_now(facts, stopped, interrupted=interrupted):
            page.line(sentence)
        for sentence in beside:
            page.line(sentence)
        if order.filled:
            page.line(f"How it was done: etf report fills --position {order.position_id}")

    against = {} if sight is None else sight.against_market()
    output().emit("etf.order/1", facts.document() | against | {"plan": plan, "detached": False}, draw)


def _what_now(facts: OrderFacts, stopped: Stopped, *, interrupted: bool) -> list[str]:
    """Return why an order is where it is, and what can be done."""
    from etf_trader.cli.stops import sentences

    order = facts.order
    told = sentences(stopped)
    if order.status == "cancelled" and interrupted:
        return ["Interrupted: what was sent is settled, and the order is cancelled."]
    if order.status == "open":
        cancel = f"etf cancel --order {order.id} ends it"
        if interrupted:
            worker = "etf worker --once" if order.schedule is None else "etf worker"
            return [
                "Interrupted: what was sent is settled, and the order stays open.",
                f"{worker} goes on with it; {cancel}.",
            ]
        if not order.stays_open and "halted" in order.stopped_by:
            return [*told, "It ends once what it holds can be traded back: after etf resume, etf worker --once."]
        until = "it is cancelled" if order.expires_at is None else local_time(order.expires_at, seconds=False)
        return [*told, f"The rest stays open until {until}: etf worker works it; {cancel}."]
    if order.status == "stuck":
        told.append(f"It still holds assets that could not be traded back: etf order show {order.id} names them.")
    if order.status in ("ended", "stuck") and order.remaining:
        can_wait = any(name.startswith(("limit", "loss", "depth")) for name in order.stopped_by)
        hint = " To leave it working: --tif gtc." if can_wait and not order.stays_open else ""
        told.append(f"The rest is given up.{hint}")
    return told
