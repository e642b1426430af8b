"""`etf cancel`: ends orders that still work."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from etf_trader.cli.commands import WHAT, command, single
from etf_trader.cli.invocation import output
from etf_trader.cli.options import IndexOption, OrderOption, PositionOption
from etf_trader.cli.output import Page
from etf_trader.cli.services import services

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from etf_trader.bootstrap import Services
    from etf_trader.cli.orders import OrderFacts
    from etf_trader.orders.index_order import IndexOrder

app = single()


@command(app, examples=("etf cancel --order 3", "etf cancel --all"))
def cancel(
    order: OrderOption = None,
    position: PositionOption = None,
    index: IndexOption = None,
    all_: Annotated[
        bool, typer.Option("--all", help="Every order that still works.", rich_help_panel=WHAT)
    ] = False,
) -> None:
    """End orders that still work; what they bought or sold stays."""
    from etf_trader.cli.orders import order_facts
    from etf_trader.cli.working import work
    from etf_trader.errors import UsageError
    from etf_trader.orders.store import index_order, request_cancel

    chosen = [order is not None, position is not None, index is not None, all_]
    if sum(chosen) != 1:
        raise UsageError(
            "say what to cancel" if not any(chosen) else "say one thing to cancel, not several",
            hint="--order N, --position N, --index N or --all",
        )
    code = None
    with services() as opened:
        with opened.database.write() as connection:
            targets = _targets(connection, opened, order, position, index)
            for each in targets:
                request_cancel(connection, each.id, opened.clock.now())
        numbers = [each.id for each in targets]

        def are_ended() -> bool:
            with opened.database.read() as connection:
                return all(index_order(connection, number).status.is_final for number in numbers)

        if numbers:
            code = work(opened, numbers, "Cancelling", until=are_ended).exit_code
        with opened.database.read() as connection:
            ended = [order_facts(connection, index_order(connection, number)) for number in numbers]

    def draw(page: Page) -> None:
        if not ended:
            page.line("Nothing to cancel: no order is open there. etf order list shows all.")
        for facts in ended:
            page.line(_sentence(facts))

    output().emit("etf.cancel/1", {"orders": [facts.document() for facts in ended]}, draw)
    if code is not None and any(not facts.order.status.is_final for facts in ended):
        raise typer.Exit(code)


def _targets(
    connection: Connection, opened: Services, order: int | None, position: int | None, index: str | None
) -> list[IndexOrder]:
    """Return the open orders that were meant.

    Raises:
        UsageError: the one order that was named has ended.
        NotFound: what was named does not exist.
    """
    from etf_trader.cli.numbers import few_digits
    from etf_trader.errors import UsageError
    from etf_trader.index.store import find_index, position_by_id
    from etf_trader.orders.status import IndexOrderStatus
    from etf_trader.orders.store import index_order, list_index_orders

    if order is not None:
        found = index_order(connection, order)
        if found.status.is_final:
            raise UsageError(
                f"order {order} has ended already: {found.status}, {few_digits(found.filled)} of "
                f"{few_digits(found.quantity)} units",
                where="--order",
                hint="etf order list --status open shows what can be cancelled",
            )
        return [found]
    if position is not None:
        position_by_id(connection, position)
    return list_index_orders(
        connection,
        account_id=opened.account.id,
        index_id=None if index is None else find_index(connection, index).id,
        position_id=position,
        statuses=[IndexOrderStatus.OPEN],
    )


def _sentence(facts: OrderFacts) -> str:
    from etf_trader.cli.numbers import few_digits, money, unit_count
    from etf_trader.cli.output import bad, good, look

    order = facts.order
    done = "bought" if order.side.sign > 0 else "sold"
    wanted = f"{unit_count(order.quantity)} of {facts.index.symbol}"
    so_far = f"nothing of {wanted} had been {done}"
    if order.filled:
        price = money(facts.average_price or order.arrival_nav)
        so_far = f"{few_digits(order.filled)} of {wanted} had been {done} at {price}"
    match str(order.status):
        case "cancelled":
            return f"{good('Cancelled')} order {order.id}: {so_far}."
        case "open":
            return f"Order {order.id} is {look('not cancelled yet')}: {so_far}. etf worker --once ends it."
        case "stuck":
            return (
                f"Order {order.id} is {bad('stuck')}: {so_far}, and it holds assets that could not be traded "
                f"back. etf order show {order.id} names them."
            )
    return f"Order {order.id} was {order.status} before the cancel reached it: {so_far}."
