"""What `etf rebalance` does without --dry-run: accepts what is due, carries it out, and says what came of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import typer

from etf_trader.cli.invocation import output, settings
from etf_trader.cli.numbers import local_time
from etf_trader.cli.output import Page
from etf_trader.cli.services import in_loop, services

if TYPE_CHECKING:
    from datetime import date

    from etf_trader.bootstrap import Services
    from etf_trader.index.store import Index
    from etf_trader.rebalance.accepting import Accepted
    from etf_trader.rebalance.calendars import IndexCalendar
    from etf_trader.rebalance.delisting import Leaving
    from etf_trader.rebalance.determining import Caps
    from etf_trader.reports.rebalance import RebalanceReport


@dataclass(frozen=True, slots=True)
class Way:
    """How a command goes about rebalances: of one index or of all, due or not."""

    index: str | None
    due: bool
    force: bool
    no_wait: bool
    yes: bool
    caps: Caps | None


@dataclass(frozen=True, slots=True)
class _Task:
    """A rebalance to be done: one that is under way, or for a day that it is accepted for.

    `leaving` are the constituents whose market is to end, where that makes it due.
    """

    index: Index
    due_on: date
    is_forced: bool
    leaving: tuple[str, ...] = ()


def run(way: Way) -> None:
    """Do what is due, or what is asked for, and print what came of it."""
    from etf_trader.cli.real_money import confirm_live, require_can_ask
    from etf_trader.cli.rebalances import exit_code_of, was_refused

    with services() as opened:
        require_can_ask(opened, yes=way.yes)
        tasks, calendars = _tasks(opened, way)
        if not tasks:
            _nothing_due(opened, calendars, way)
            return
        names = ", ".join(task.index.symbol for task in tasks)
        confirm_live(opened, f"Rebalance {names}", yes=way.yes)
        accepted, failed = _accept(opened, tasks, way)
        done, interrupted = _carry_out(opened, accepted, way)
        _show(opened, done)
    refused = [6 for report in done if was_refused(report)]
    code = interrupted or max([failed, *refused, *(exit_code_of(report) for report in done)])
    if code:
        raise typer.Exit(code)


def _tasks(opened: Services, way: Way) -> tuple[list[_Task], list[IndexCalendar]]:
    """Return what is to be done now, what is under way first, and how the calendars stand.

    A rebalance that no calendar asks for belongs to today.
    """
    from etf_trader.index.store import find_index, index_by_id
    from etf_trader.orders.rebalances import due_dates, list_rebalances
    from etf_trader.orders.status import IndexOrderStatus
    from etf_trader.rebalance.calendars import calendars

    now = opened.clock.now()
    with opened.database.read() as connection:
        wanted = None if way.index is None else find_index(connection, way.index).id
        done = due_dates(connection, opened.account.id)
        found = [
            each for each in calendars(connection, now, done, opened.account.id) if wanted in (None, each.index.id)
        ]
        open_ones = list_rebalances(
            connection, account_id=opened.account.id, index_id=wanted, statuses=[IndexOrderStatus.OPEN]
        )
        tasks = [
            _Task(index_by_id(connection, order.index_id), order.request.due_on, order.request.is_forced)
            for order in open_ones
        ]
        busy = {task.index.id for task in tasks}
        tasks += [
            _Task(each.index, each.standing.due, is_forced=False)
            for each in found
            if each.standing.due is not None and each.index.id not in busy
        ]
    busy |= {task.index.id for task in tasks} | {number for number, days in done.items() if now.date() in days}
    tasks += [
        _Task(each.index, now.date(), is_forced=True, leaving=each.assets)
        for each in _leaving(opened)
        if each.index.id not in busy and wanted in (None, each.index.id)
    ]
    if way.force and not tasks and wanted is not None:
        with opened.database.read() as connection:
            tasks = [_Task(index_by_id(connection, wanted), now.date(), is_forced=True)]
    return tasks, found


def _leaving(opened: Services) -> list[Leaving]:
    """Return which indices have to sell something now before its market ends."""
    from etf_trader.execution.delisted import ending_markets
    from etf_trader.rebalance.delisting import leaving, sellers

    with opened.database.read() as connection:
        indices = sellers(connection, opened.account.id)
    if not indices or not (ending := in_loop(ending_markets(opened.venue))):
        return []
    rules = in_loop(opened.venue.rules())
    trading = [symbol for symbol in ending if symbol in rules and rules[symbol].is_trading]
    with opened.database.read() as connection:
        return leaving(connection, indices, trading)


def _nothing_due(opened: Services, calendars: Sequence[IndexCalendar], way: Way) -> None:
    """Say that nothing is due, when something will be, and how it is done all the same."""
    coming = [(each.standing.next_at, each.index) for each in calendars if each.standing.next_at is not None]

    def draw(page: Page) -> None:
        if not coming:
            page.line(f"Nothing is due: {_why_never(opened, way.index)}.")
            return
        page.line("Nothing is due.")
        for moment, index in sorted(coming, key=lambda each: (each[0], each[1].id)):
            page.line(f"{index.symbol} is due next on {local_time(moment, seconds=False)}.")
        if not way.due:
            page.line(f"To trade now all the same: etf rebalance --index {way.index} --force")

    payload: dict[str, Any] = {
        "dry_run": False,
        "plan": None,
        "rebalances": [],
        "next": [{"index": index.symbol, "at": moment} for moment, index in coming],
    }
    output().emit("etf.rebalances/1", payload, draw)


def _why_never(opened: Services, reference: str | None) -> str:
    """Return why no calendar stands behind an index, or any of them."""
    from etf_trader.index.store import find_index

    if reference is None:
        return "no index has a rulebook with a calendar (docs: index files, Rulebooks)"
    with opened.database.read() as connection:
        index = find_index(connection, reference)
    if not index.is_open:
        return f"{index.symbol} is closed"
    return f"{index.symbol} has no rulebook (etf index edit {index.id} --file index.toml gives it one)"


def _accept(opened: Services, tasks: Sequence[_Task], way: Way) -> tuple[list[Accepted], int]:
    """Accept all that can be; return it, and the worst exit code of what cannot.

    One index that fails does not keep the others from being rebalanced: it is told, and due the next time too.
    """
    from etf_trader.cli.agreement import require_agreement
    from etf_trader.errors import EtfError

    require_agreement(opened)
    found, worst = [], 0
    for task in tasks:
        try:
            accepted = _accepted(opened, task, way)
        except EtfError as error:
            if len(tasks) == 1:
                raise
            where = f" ({error.where})" if error.where else ""
            hint = f" {error.hint}." if error.hint else ""
            output().note(f"{task.index.symbol} is not rebalanced: {error.message}{where}.{hint}")
            worst = max(worst, error.exit_code)
            continue
        found.append(accepted)
        if task.leaving:
            output().note(
                f"The market of {', '.join(task.leaving)} is to end: the rulebook of {task.index.symbol} "
                "sells before that."
            )
        if not accepted.is_new:
            output().note(_known_sentence(accepted, way))
    return found, worst


def _known_sentence(accepted: Accepted, way: Way) -> str:
    from etf_trader.cli.rebalances import again_from

    name = f"Rebalance {accepted.order.id} of {accepted.index.symbol}"
    if accepted.order.status.is_final:
        due_on = accepted.order.request.due_on
        again = "" if way.due else f" A day has one: {again_from(due_on)}."
        return f"{name} was the one of {due_on.isoformat()}: nothing is traded twice.{again}"
    return f"{name} is under way: this goes on."


def _accepted(opened: Services, task: _Task, way: Way) -> Accepted:
    from etf_trader.rebalance.accepting import Wanted, accept_rebalance

    wanted = Wanted(str(task.index.id), task.due_on, task.is_forced, opened.settings.holder, way.caps)
    depth = settings().solver.depth
    return in_loop(
        accept_rebalance(opened.database, opened.venue, opened.clock, opened.account, opened.log, depth, wanted)
    )


def _carry_out(
    opened: Services, accepted: Sequence[Accepted], way: Way
) -> tuple[list[RebalanceReport], int | None]:
    """Trade; return how each rebalance stands, and the exit code of an interruption."""
    from etf_trader.cli.rebalances import read_report
    from etf_trader.cli.working import work_rebalances

    left = [each.order.id for each in accepted if not each.order.status.is_final]
    names = ", ".join(each.index.symbol for each in accepted)
    asked = work_rebalances(opened, left, f"Rebalancing {names}", wait=not way.no_wait) if left else None
    found = [read_report(opened, each.order.id) for each in accepted]
    return found, None if asked is None else asked.exit_code


def _show(opened: Services, done: Sequence[RebalanceReport]) -> None:
    from etf_trader.cli.rebalances import rebalance_sentences

    def draw(page: Page) -> None:
        for report in done:
            for sentence in rebalance_sentences(report):
                page.line(sentence)

    documents = [_document(opened, report) for report in done]
    payload = {
        "dry_run": False,
        "plan": documents[0]["plan"] if len(documents) == 1 else None,
        "rebalances": documents,
        "next": [],
    }
    output().emit("etf.rebalances/1", payload, draw)


def _document(opened: Services, report: RebalanceReport) -> dict[str, Any]:
    """Return a rebalance as it stands, and the plan of its first wave."""
    import json

    from etf_trader.cli.rebalances import order_document
    from etf_trader.orders.store import plans_of

    with opened.database.read() as connection:
        plans = plans_of(connection, report.id)
    return order_document(report) | {
        "forced": report.is_forced,
        "nav_per_unit_before": report.nav_per_unit_before,
        "nav_per_unit_after": report.nav_per_unit_after,
        "turnover": report.turnover,
        "plan": json.loads(plans[0].document) if plans else None,
    }
