"""`etf cancel`: ends orders that still work, and says what became of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from etf_trader.cli.commands import WHAT, command, single
from etf_trader.cli.invocation import output
from etf_trader.cli.options import EndedByLeaderOption, IndexOption, OrderOption, PositionOption
from etf_trader.cli.output import Page
from etf_trader.cli.services import services

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from etf_trader.bootstrap import Services
    from etf_trader.cli.endings import Ended
    from etf_trader.orders.index_order import IndexOrder
    from etf_trader.orders.rebalance_order import RebalanceOrder
    from etf_trader.reports.rebalance import RebalanceReport

    Target = IndexOrder | RebalanceOrder

app = single()


@command(app, examples=("etf cancel --order 3", "etf cancel --all"))
def cancel(
    order: OrderOption = None,
    position: PositionOption = None,
    index: IndexOption = None,
    all_: Annotated[
        bool, typer.Option("--all", help="Every order that still works.", rich_help_panel=WHAT)
    ] = False,
    no_wait: EndedByLeaderOption = False,
) -> None:
    """End orders that still work, and trade back what a stuck one holds; what was bought or sold stays."""
    from etf_trader.cli.endings import ended_sentences, read_ended
    from etf_trader.cli.rebalances import cancelled_sentences
    from etf_trader.errors import UsageError
    from etf_trader.orders.rebalance_order import RebalanceOrder
    from etf_trader.reports.rebalance import rebalance_report

    chosen = [order is not None, position is not None, index is not None, all_]
    if sum(chosen) != 1:
        raise UsageError(
            "say what to cancel" if not any(chosen) else "say one thing to cancel, not several",
            hint="--order N, --position N, --index N or --all",
        )
    with services() as opened:
        with opened.database.read() as connection:
            targets = _targets(connection, opened, order, position, index)
        code = _end(opened, targets, wait=not no_wait)
        with opened.database.read() as connection:
            moved = [rebalance_report(connection, each.id) for each in targets if isinstance(each, RebalanceOrder)]
            ended = [read_ended(connection, each.id) for each in targets if not isinstance(each, RebalanceOrder)]
        is_left = any(_is_left(each) for each in ended) or any(each.status == "open" for each in moved)
        leader = _leader(opened) if is_left else ""

    def draw(page: Page) -> None:
        if not ended and not moved:
            page.line("Nothing to cancel: no order is open there. etf order list shows all.")
        for report in moved:
            for sentence in cancelled_sentences(report, leader):
                page.line(sentence)
        for each in ended:
            for sentence in ended_sentences(each, leader):
                page.line(sentence)

    documents = [_document(each) for each in moved] + [each.document() for each in ended]
    payload: dict[str, Any] = {"orders": documents}
    output().emit("etf.cancel/1", payload, draw)
    if is_left and code is not None:
        raise typer.Exit(code)
    if "stuck" in [each["status"] for each in documents]:
        raise typer.Exit(7)


def _document(report: RebalanceReport) -> dict[str, Any]:
    """Return a rebalance as other programs read it: it sets nothing aside and trades nothing back."""
    from etf_trader.cli.rebalances import order_document

    return order_document(report) | {"released": [], "traded_back": []}


def _end(opened: Services, targets: Sequence[Target], *, wait: bool) -> int | None:
    """Cancel these orders; return what to end with when some are left: interrupted, or led elsewhere."""
    from etf_trader.cli.working import cancel_orders, free_orders
    from etf_trader.errors import AccountLed
    from etf_trader.orders.rebalance_order import RebalanceOrder

    code = None
    working = [each.id for each in targets if not each.status.is_final]
    stuck = [each.id for each in targets if each.status == "stuck" and not isinstance(each, RebalanceOrder)]
    try:
        if working:
            code = cancel_orders(opened, working, wait=wait).exit_code
        if stuck and code is None:
            code = free_orders(opened, stuck, wait=wait).exit_code
    except AccountLed as led:
        return led.exit_code
    return code


def _is_left(ended: Ended) -> bool:
    """Whether somebody else still has to cancel an order."""
    order = ended.facts.order
    return order.status == "open" or (order.status == "stuck" and order.cancel_requested_at is not None)


def _leader(opened: Services) -> str:
    """Return who leads the account, in words; nothing when nobody does."""
    from etf_trader.clock import SystemClock
    from etf_trader.execution.lease import leader

    with opened.database.read() as connection:
        owner = leader(connection, opened.account.id, SystemClock().now())
    return "" if owner is None else f"process {owner.process} on {owner.host}"


def _targets(
    connection: Connection, opened: Services, order: int | None, position: int | None, index: str | None
) -> Sequence[Target]:
    """Return the open orders and rebalances that were meant; one that is named is returned whatever became of it.

    Raises:
        NotFound: what was named does not exist.
    """
    from etf_trader.index.store import find_index, position_by_id
    from etf_trader.orders.rebalances import is_rebalance, list_rebalances, rebalance_order
    from etf_trader.orders.status import IndexOrderStatus
    from etf_trader.orders.store import index_order, list_index_orders

    if order is not None:
        moves = is_rebalance(connection, order)
        return [rebalance_order(connection, order) if moves else index_order(connection, order)]
    if position is not None:
        position_by_id(connection, position)
    index_id = None if index is None else find_index(connection, index).id
    still = [IndexOrderStatus.OPEN]
    account = opened.account.id
    moving = list_rebalances(connection, account_id=account, index_id=index_id, statuses=still)
    orders = list_index_orders(
        connection, account_id=account, index_id=index_id, position_id=position, statuses=still
    )
    return [*(moving if position is None else []), *orders]
