"""`etf quote`: what buying or selling units would cost, at any size; nothing is written."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated

import typer

from etf_trader.cli.commands import WHAT, command, group
from etf_trader.cli.invocation import output
from etf_trader.cli.options import (
    LimitOption,
    MaxLossOption,
    Quantity,
    RequiredIndexOption,
    read_positive,
    read_quantity_or_all,
)
from etf_trader.cli.services import in_loop, services

app = group()

QuotedQuantityOption = Annotated[
    Decimal | None,
    typer.Option(
        "--qty",
        help="Units to buy.  [default: the cost curve alone]",
        metavar="UNITS",
        parser=read_positive,
        rich_help_panel=WHAT,
    ),
]
QuotedQuantityOrAllOption = Annotated[
    Quantity | None,
    typer.Option(
        "--qty",
        help="Units to sell, which nobody needs to hold, or all of yours.  [default: the cost curve alone]",
        metavar="UNITS|all",
        parser=read_quantity_or_all,
        rich_help_panel=WHAT,
    ),
]


@command(
    app,
    "buy",
    examples=(
        "etf quote buy --index 1 --qty 100        what 100 units would cost now, and other sizes",
        "etf quote buy --index 1 --max-loss 20    the most units that lose no more than 20 bps",
    ),
    csv="curve",
)
def buy(
    index: RequiredIndexOption,
    qty: QuotedQuantityOption = None,
    limit: LimitOption = None,
    max_loss: MaxLossOption = None,
) -> None:
    """Show what buying units would cost now, at any size."""
    _quote("buy", index, None if qty is None else Quantity(qty), limit, max_loss)


@command(
    app,
    "sell",
    examples=(
        "etf quote sell --index 1 --qty all",
        "etf quote sell --index 1 --qty 5000 --limit 990 --json",
    ),
    csv="curve",
)
def sell(
    index: RequiredIndexOption,
    qty: QuotedQuantityOrAllOption = None,
    limit: LimitOption = None,
    max_loss: MaxLossOption = None,
) -> None:
    """Show what selling units would bring now, at any size."""
    _quote("sell", index, qty, limit, max_loss)


def _quote(
    side: str, index: str, quantity: Quantity | None, limit: Decimal | None, max_loss: Decimal | None
) -> None:
    from etf_trader.cli.quote_document import CURVE_COLUMNS, document_of
    from etf_trader.cli.quotes import draw_quote
    from etf_trader.execution.quote import QuoteRequest
    from etf_trader.index.store import find_index
    from etf_trader.market.symbol import Side

    with services() as opened:
        with opened.database.read() as connection:
            found = find_index(connection, index)
        request = QuoteRequest(
            side=Side(side),
            index_id=found.id,
            quantity=None if quantity is None else quantity.units,
            is_all=quantity is not None and quantity.units is None,
            limit_price=limit,
            max_loss_bps=max_loss,
        )
        quote = in_loop(opened.quoter.quote(request))
    output().emit("etf.quote/1", document_of(quote), lambda page: draw_quote(page, quote), columns=CURVE_COLUMNS)
    if not (quote.largest if quote.answer is None else quote.answer.plan).units:
        raise typer.Exit(7)
