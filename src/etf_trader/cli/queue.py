"""`etf queue`: what waits for the venue, what is in flight, the slots, and what the venue refused last."""

from __future__ import annotations

from contextlib import suppress
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Any

import typer

from etf_trader.cli.commands import HOW, command, group
from etf_trader.cli.invocation import output
from etf_trader.cli.live import follow
from etf_trader.cli.numbers import count, duration, few_digits, local_time
from etf_trader.cli.output import Page, Table, bad, look, number, right, text
from etf_trader.cli.services import in_loop, services

if TYPE_CHECKING:
    from etf_trader.bootstrap import Services
    from etf_trader.execution.budget import Window
    from etf_trader.execution.queue_state import QueueState

app = group()

DAY = 86_400
COLUMNS = (
    "id",
    "index_order_id",
    "client_order_id",
    "symbol",
    "side",
    "quantity",
    "price",
    "status",
    "attempts",
    "next_attempt_at",
    "granted_at",
)
WAITING, IN_FLIGHT, RESTING = "written", "sent", "open"
WORDS = {WAITING: "waiting", IN_FLIGHT: "in flight", RESTING: "in the book"}


@command(app, "show", examples=("etf queue show", "etf queue show --watch    until Ctrl-C"), csv="orders")
def show(
    watch: Annotated[
        bool, typer.Option("--watch", help="Show it live, until Ctrl-C.", rich_help_panel=HOW)
    ] = False,
) -> None:
    """Show what waits for the venue, what is in flight, and how many slots are free."""
    with services() as opened:
        if watch and output().is_table:
            with suppress(KeyboardInterrupt):
                follow(lambda: see(opened), draw, _in_short)
            return
        state = see(opened)
    output().emit("etf.queue/1", document(state), lambda page: draw(page, state), columns=COLUMNS)


def see(opened: Services) -> QueueState:
    """Return how the queue stands now."""
    from etf_trader.clock import SystemClock
    from etf_trader.execution.budget import limits_of
    from etf_trader.execution.lease import this_host
    from etf_trader.execution.queue_state import queue_state

    async def ask() -> tuple[Any, Any]:
        return await limits_of(opened.venue), await opened.venue.server_time()

    limits, now = in_loop(ask())
    host = opened.settings.host or this_host()
    with opened.database.read() as connection:
        return queue_state(connection, opened.account.id, limits, now, host, SystemClock().now())


def document(state: QueueState) -> dict[str, Any]:
    """Return the queue as other programs read it."""
    owner = state.leader
    return {
        "now": state.now,
        **{name.replace(" ", "_"): state.counts[_status(key)] for key, name in WORDS.items()},
        "seconds_to_drain": round(state.seconds_to_drain, 3),
        "leader": None if owner is None else {"host": owner.host, "process": owner.process},
        "limits": [_limit(window) for window in state.windows],
        "paused_until": state.paused_until,
        "orders": state.queued,
        "pauses": state.pauses,
        "refusals": state.refusals,
    }


def _status(key: str) -> Any:
    from etf_trader.orders.status import AssetOrderStatus

    return AssetOrderStatus(key)


def _limit(window: Window) -> dict[str, Any]:
    return {
        "seconds": window.limit.seconds,
        "limit": window.limit.limit,
        "used": window.used,
        "free": window.free,
        "ends_at": window.end,
        "venue_count": window.count,
        "counted_at": window.counted_at,
    }


def draw(page: Page, state: QueueState) -> None:
    """Draw the queue for a person."""
    page.line(_sentence(state))
    page.line(" · ".join(_slots(window) for window in state.windows))
    if state.paused_until is not None:
        left = duration(state.paused_until - state.now)
        page.line(look(f"The venue wants to be left alone for another {left}: {state.pauses[0].reason}"))
    page.line(_who(state))
    if state.queued:
        page.line()
        page.table(_orders(state))
    if state.refusals:
        page.line()
        page.line("Refused last:")
        for each in state.refusals:
            page.line(f"{local_time(each.at)}  {each.symbol}  {bad(each.reason)}")


def _sentence(state: QueueState) -> str:
    numbers = {key: state.counts[_status(key)] for key in WORDS}
    if not any(numbers.values()):
        return "Nothing waits for the venue, and nothing is in flight."
    told = f"{count(numbers[WAITING], 'order')} waiting, {numbers[IN_FLIGHT]} in flight"
    if numbers[RESTING]:
        told += f", {numbers[RESTING]} in the book"
    seconds = state.seconds_to_drain
    if not numbers[WAITING]:
        return f"{told}."
    when = (
        "all fit now"
        if not seconds
        else f"all are sent in {duration(timedelta(seconds=round(seconds, 1)))} at most"
    )
    return f"{told}; {when}."


def _slots(window: Window) -> str:
    span = "a day" if window.limit.seconds == DAY else f"{window.limit.seconds} s"
    return f"{window.used:,} of {window.limit.limit:,} slots used in {span}, {window.free:,} free"


def _who(state: QueueState) -> str:
    if state.leader is not None:
        return f"Process {state.leader.process} on {state.leader.host} leads the account."
    waits = state.counts[_status(WAITING)] or state.counts[_status(IN_FLIGHT)]
    return "Nobody leads the account" + (": etf worker --once goes on with it." if waits else ".")


def _orders(state: QueueState) -> Table:
    table = Table(
        right("order"),
        text("symbol"),
        text("side"),
        number("quantity"),
        number("limit"),
        text("state"),
        right("tries", optional=2),
        text("id", optional=1),
    )
    for each in state.queued:
        table.row(
            str(each.index_order_id),
            each.symbol,
            str(each.side),
            few_digits(each.quantity),
            few_digits(each.price),
            WORDS[str(each.status)],
            str(each.attempts),
            each.client_order_id,
        )
    return table


def _in_short(state: QueueState) -> str:
    return f"{_sentence(state)} {_slots(state.windows[0])}."
