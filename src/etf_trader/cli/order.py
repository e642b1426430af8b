"""`etf order`: lists index orders, shows one with its plans and its orders at the venue, and watches it."""

from __future__ import annotations

from typing import Annotated

import typer

from etf_trader.cli import order_list, order_show
from etf_trader.cli.commands import HOW, command, group
from etf_trader.cli.options import OrderArgument, option
from etf_trader.cli.services import services

OnceOption = Annotated[bool, option("--once", HOW, "Show it once, as it stands.")]

app = group()

for each in (order_list, order_show):
    each.add_to(app)


@command(app, "watch", examples=("etf order watch 3", "etf order watch 3 --once"))
def watch(order: OrderArgument, once: OnceOption = False) -> None:
    """Watch an order live: planned against done, until it ends or Ctrl-C."""
    from etf_trader.cli.orders import exit_code_of
    from etf_trader.cli.rebalance_watching import watch_rebalance
    from etf_trader.cli.rebalances import exit_code_of as code_of_rebalance
    from etf_trader.cli.watching import watch_order
    from etf_trader.orders.rebalances import is_rebalance

    with services() as opened:
        with opened.database.read() as connection:
            moves = is_rebalance(connection, order)
        if moves:
            code = code_of_rebalance(watch_rebalance(opened, order, once=once))
        else:
            code = exit_code_of(watch_order(opened, order, once=once))
    if code:
        raise typer.Exit(code)
