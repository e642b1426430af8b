"""`etf index fund` and `etf index close`: the float of an index, and its end."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated

import typer

from etf_trader.cli.commands import command
from etf_trader.cli.invocation import output, settings
from etf_trader.cli.numbers import money, short
from etf_trader.cli.options import IndexArgument, read_decimal
from etf_trader.cli.output import Page
from etf_trader.cli.services import services

AmountArgument = Annotated[
    Decimal,
    typer.Argument(help="Cash to add; below zero, to take back.", metavar="AMOUNT", parser=read_decimal),
]


def add_to(app: typer.Typer) -> None:
    """Add the commands to `etf index`."""
    seen = ("etf index fund 1 600", "etf index fund 1 -200    take 200 back")
    command(app, "fund", examples=seen)(fund)
    command(app, "close", examples=("etf index close 1", "etf index close BIG3"))(close)


def fund(index: IndexArgument, amount: AmountArgument) -> None:
    """Move cash from your treasury to the float of an index, or back."""
    from etf_trader.errors import UsageError
    from etf_trader.index.store import find_index

    if amount == 0:
        raise UsageError("0 moves nothing", where="AMOUNT", hint="etf index fund 1 600, or -200 to take back")
    with services() as opened:
        held = opened.administration.fund_index(index, amount)
        with opened.database.read() as connection:
            found = find_index(connection, index)

    def draw(page: Page) -> None:
        way = "added to" if amount > 0 else "taken from"
        page.line(
            f"{money(abs(amount))} {found.quote} {way} the float of {found.symbol}: it holds {money(held)} now."
        )

    payload = {"id": found.id, "symbol": found.symbol, "amount": amount, "float": held}
    output().emit("etf.funding/1", payload, draw)


def close(index: IndexArgument) -> None:
    """Close an index that has no units left; its float goes back to your treasury."""
    with services() as opened:
        closed, cash, dust = opened.administration.close_index(index)

    def draw(page: Page) -> None:
        page.line(
            f"Closed {closed.symbol}. {money(cash)} {closed.quote} of its float went back to the treasury of "
            f"{settings().holder}."
        )
        if dust:
            held = ", ".join(f"{short(quantity)} {asset}" for asset, quantity in dust.items())
            page.line(f"Too small to trade, it keeps: {held}.")

    payload = {"id": closed.id, "symbol": closed.symbol, "status": "closed", "returned": cash, "dust": dust}
    output().emit("etf.index_closed/1", payload, draw)
