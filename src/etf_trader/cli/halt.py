"""`etf halt`: stops all sending at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from etf_trader.cli.commands import HOW, WHAT, command, single
from etf_trader.cli.invocation import output
from etf_trader.cli.numbers import count, money
from etf_trader.cli.output import Page, Table, look, number, text
from etf_trader.cli.services import in_loop, services
from etf_trader.money import ZERO

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from etf_trader.execution.halting import Halted
    from etf_trader.orders.asset_order import AssetOrder
    from etf_trader.orders.index_order import IndexOrder
    from etf_trader.risk.halts import TradingState

app = single()

LONGEST_REASON = 200


@command(app, examples=("etf halt", 'etf halt --reason "prices look wrong"'))
def halt(
    reason: Annotated[
        str, typer.Option("--reason", help="Why, for whoever looks later.", metavar="TEXT", rich_help_panel=WHAT)
    ] = "",
    reducing: Annotated[
        bool, typer.Option("--reducing", help="Stop buys only: sells go on.", rich_help_panel=HOW)
    ] = False,
) -> None:
    """Stop all sending at once, in every process, and cancel what is open at the venue."""
    from etf_trader.cli.rebalances import open_rebalances
    from etf_trader.cli.trading import halt_document, operator, stopped
    from etf_trader.clock import SystemClock
    from etf_trader.execution.halting import Halting
    from etf_trader.orders.status import IndexOrderStatus
    from etf_trader.orders.store import list_index_orders
    from etf_trader.risk.halts import RECONCILE, TradingState

    _check_reason(reason)
    state = TradingState.REDUCING if reducing else TradingState.HALTED
    with services() as opened, output().progress("Halting"):
        halting = Halting(
            opened.database, opened.venue, opened.clock, SystemClock(), opened.account, opened.manager
        )
        done = in_loop(halting.halt(state, reason.strip(), operator()))
        with opened.database.read() as connection:
            in_force, halts = stopped(opened, connection)
            moving = open_rebalances(connection, opened.account.id)
            still = list_index_orders(connection, account_id=opened.account.id, statuses=[IndexOrderStatus.OPEN])

    differs = any(each.cause == RECONCILE for each in halts)

    def draw(page: Page) -> None:
        _draw(page, done, in_force, still)
        if moving:
            page.line(waiting_sentence(moving))
        page.line(f"To trade again: {'etf reconcile, then ' if differs else ''}etf resume")

    payload = {
        "state": str(in_force),
        "new": done.is_new,
        "settled": done.is_settled,
        "problem": done.problem,
        "halts": [halt_document(each) for each in halts],
        "lifted": [],
        "in_flight": [_order_document(each) for each in done.in_flight],
        "withdrawn": [_order_document(each) for each in done.withdrawn],
        "cancelled": [
            {"symbol": each.symbol, "client_order_id": each.client_order_id, "filled": each.executed_quantity}
            for each in done.cancelled
        ],
        "open_orders": sorted([*moving, *(each.id for each in still)]),
    }
    output().emit("etf.halt/1", payload, draw)


def _check_reason(reason: str) -> None:
    from etf_trader.errors import UsageError

    if len(reason) > LONGEST_REASON or not reason.isprintable():
        raise UsageError(
            f"a reason is one line of at most {LONGEST_REASON} characters",
            where="--reason",
            hint='etf halt --reason "prices look wrong"',
        )


def _draw(page: Page, done: Halted, state: TradingState, still: Sequence[IndexOrder]) -> None:
    already = "" if done.is_new else " already"
    if done.halt.state == "halted":
        page.line(f"{look('Halted')}{already}: nothing is sent any more, in no process.")
    else:
        page.line(f"{look('Reducing')}{already}: no buy is sent any more; sells go on.")
        if state == "halted":
            page.line("The account is halted besides: nothing is sent at all.")
    if done.withdrawn:
        page.line(f"{count(len(done.withdrawn), 'order')} that had not left yet will not: withdrawn.")
    if done.cancelled:
        page.line(f"{count(len(done.cancelled), 'order')} cancelled at the venue.")
    if done.in_flight:
        page.line(f"{count(len(done.in_flight), 'order')} had left before:")
        page.table(_flight_table(done.in_flight))
    elif done.is_new:
        page.line("Nothing was in flight.")
    if not done.is_settled:
        page.line(
            "What became of some is not known yet; they cannot arrive any more, and etf reconcile learns it."
        )
    if done.problem is not None:
        page.line(
            f"{look('Not everything could be looked at')}: {done.problem.rstrip('.')}. etf reconcile goes on."
        )
    for sentence in _what_is_open(state, still):
        page.line(sentence)


def _what_is_open(state: TradingState, still: Sequence[IndexOrder]) -> Iterator[str]:
    """Yield what becomes of open orders: some go on, some wait, and those with --tif now end."""
    stopped = [each for each in still if not state.permits(each.side)]
    waiting = sum(each.stays_open for each in stopped)
    for_now = len(stopped) - waiting
    if goes_on := len(still) - len(stopped):
        yield f"{_are_open(goes_on, 'sell')} and {'goes' if goes_on == 1 else 'go'} on."
    if waiting:
        them = "it" if waiting == 1 else "them"
        yield f"{_are_open(waiting)} and will wait for etf resume; etf cancel --all ends {them}."
    if for_now:
        told = _are_open(for_now, "order with --tif now", "orders with --tif now")
        them, holds = ("it", "it holds") if for_now == 1 else ("them", "they hold")
        yield f"{told}: the next worker ends {them}; parts of units that {holds} are traded back after etf resume."


def waiting_sentence(moving: Sequence[int]) -> str:
    """Return that rebalances wait for the end of a halt: their waves sell and buy."""
    told = f"{_are_open(len(moving), 'rebalance')} and will wait for etf resume"
    return f"{told}; etf cancel --order {moving[0]} ends {'it' if len(moving) == 1 else 'the first'}."


def _are_open(number: int, one: str = "order", many: str | None = None) -> str:
    return f"{count(number, one, many)} {'is' if number == 1 else 'are'} open"


def _flight_table(orders: tuple[AssetOrder, ...]) -> Table:
    from etf_trader.cli.orders import ASSET_ORDER_STATES

    table = Table(text("asset"), text("side"), number("value"), number("filled"), text("state"))
    for order in orders:
        intent = order.intent
        state = "not known yet" if order.status == "sent" else ASSET_ORDER_STATES[str(order.status)]
        table.row(
            intent.asset,
            str(intent.side),
            money(intent.quantity * intent.price),
            money(order.executed_value or ZERO),
            state,
        )
    return table


def _order_document(order: AssetOrder) -> dict[str, Any]:
    intent = order.intent
    return {
        "id": order.id,
        "client_order_id": intent.client_order_id,
        "symbol": intent.symbol,
        "side": str(intent.side),
        "quantity": intent.quantity,
        "price": intent.price,
        "filled": order.executed_quantity,
        "status": str(order.status),
        "sent_at": order.granted_at,
    }
