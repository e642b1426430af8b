"""`etf order list`: orders and rebalances, a line each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from etf_trader.cli.commands import WHAT, command
from etf_trader.cli.invocation import output
from etf_trader.cli.numbers import bps, few_digits, local_time, money, percent
from etf_trader.cli.options import IndexOption, PositionOption, option
from etf_trader.cli.output import Page, Table, number, right, text
from etf_trader.cli.services import services

if TYPE_CHECKING:
    from etf_trader.cli.orders import OrderFacts
    from etf_trader.reports.rebalance import RebalanceReport

COLUMNS = (
    "id",
    "accepted_at",
    "side",
    "index",
    "position",
    "quantity",
    "units",
    "fill_percentage",
    "average_price",
    "cash",
    "loss",
    "loss_bps",
    "status",
    "stopped_by",
    "client_key",
    "kind",
)

StatusOption = Annotated[
    str | None,
    option("--status", WHAT, "Only those that are open, filled, ended, cancelled or stuck.", "STATUS"),
]


def add_to(app: typer.Typer) -> None:
    """Add the command to `etf order`."""
    seen = ("etf order list", "etf order list --status open --index 1")
    command(app, "list", examples=seen, csv="orders")(list_)


def list_(
    index: IndexOption = None,
    position: PositionOption = None,
    status: StatusOption = None,
) -> None:
    """List orders, the newest first."""
    from etf_trader.cli.orders import order_facts
    from etf_trader.cli.position import first_buy
    from etf_trader.cli.rebalances import order_document, rebalances_of
    from etf_trader.cli.trading import state_sentence, stopped
    from etf_trader.index.store import find_index, list_indices, position_by_id
    from etf_trader.orders.store import list_index_orders

    with services() as opened, opened.database.read() as connection:
        if position is not None:
            position_by_id(connection, position)
        index_id = None if index is None else find_index(connection, index).id
        statuses = None if status is None else [_status(status)]
        account = opened.account.id
        found = list_index_orders(
            connection, account_id=account, index_id=index_id, position_id=position, statuses=statuses
        )
        moves = []
        if position is None:
            moves = rebalances_of(connection, account, index_id=index_id, statuses=statuses)
        orders = [order_facts(connection, order) for order in reversed(found)]
        state, halts = stopped(opened, connection)
        indices = list_indices(connection, opened.account.id)

    def draw(page: Page) -> None:
        if orders or moves:
            page.table(orders_table(orders, moves))
        elif index is None and position is None and status is None:
            page.line(f"There is no order yet. {first_buy(indices, 'makes one')}")
        else:
            page.line("No order is like that: etf order list shows all.")
        if halts:
            page.line(state_sentence(state, halts))

    documents = [*map(order_document, moves), *(each.document() for each in orders)]
    documents.sort(key=lambda each: -each["id"])
    payload = {"state": str(state), "orders": documents}
    output().emit("etf.orders/1", payload, draw, columns=COLUMNS)


def _status(typed: str) -> Any:
    from difflib import get_close_matches

    from etf_trader.errors import UsageError
    from etf_trader.orders.status import IndexOrderStatus

    names = [str(each) for each in IndexOrderStatus]
    if typed not in names:
        near = get_close_matches(typed, names, n=1, cutoff=0.5)
        meant = f"; did you mean {near[0]}?" if near else ""
        raise UsageError(f"{typed!r} is no status{meant}", where="--status", hint=f"one of {', '.join(names)}")
    return IndexOrderStatus(typed)


def orders_table(orders: list[OrderFacts], moves: Sequence[RebalanceReport] = ()) -> Table:
    """Return orders and rebalances as a table, one a line, the newest first."""
    from etf_trader.cli.orders import open_until

    has_end = any(open_until(facts.order) for facts in orders)
    table = Table(
        right("order"),
        text("accepted", optional=7),
        text("side"),
        text("index", optional=2),
        text("units filled"),
        number("%", optional=4),
        number("average", optional=1),
        number("loss", optional=3),
        number("bps", optional=5),
        text("state"),
        *([text("open until", optional=6)] if has_end else []),
        text("stopped by", wrap=True),
    )
    rows = [(facts.order.id, _row(facts, has_end=has_end)) for facts in orders]
    rows += [(report.id, _rebalance_row(report, has_end=has_end)) for report in moves]
    for _, cells in sorted(rows, reverse=True):
        table.row(*cells)
    return table


def _row(facts: OrderFacts, *, has_end: bool) -> list[str]:
    from etf_trader.cli.orders import open_until, status_words, stops_of
    from etf_trader.cli.stops import in_short

    order = facts.order
    has_filled = order.filled > 0
    return [
        str(order.id),
        local_time(order.accepted_at, seconds=False),
        str(order.side),
        facts.index.symbol,
        f"{few_digits(order.filled)} of {few_digits(order.quantity)}",
        percent(facts.fill_percentage).rstrip("%"),
        money(facts.average_price) if facts.average_price is not None else "-",
        money(facts.loss.total) if has_filled else "-",
        bps(facts.loss_bps) if has_filled else "-",
        status_words(order),
        *([open_until(order)] if has_end else []),
        in_short(stops_of(order), order.limit_price, order.max_loss_bps),
    ]


def _rebalance_row(report: RebalanceReport, *, has_end: bool) -> list[str]:
    """Return the cells of a rebalance: its day for a side, its assets for units, its cost for a loss."""
    from etf_trader.cli.rebalances import assets_traded, fill_percentage, name_of, state_words, why_stopped

    return [
        str(report.id),
        local_time(report.accepted_at, seconds=False),
        name_of(report),
        report.index,
        assets_traded(report),
        percent(fill_percentage(report)).rstrip("%"),
        "-",
        money(report.cost) if report.waves else "-",
        bps(report.cost_bps) if report.waves else "-",
        state_words(report),
        *([""] if has_end else []),
        why_stopped(report),
    ]
