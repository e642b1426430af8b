"""`etf resume`: lets a halted account trade again."""

from __future__ import annotations

from typing import Annotated

import typer

from etf_trader.cli.commands import WHAT, command, single
from etf_trader.cli.invocation import output
from etf_trader.cli.numbers import count
from etf_trader.cli.output import Page, good
from etf_trader.cli.services import services

app = single()


@command(app, examples=("etf resume", "etf resume --cause daily_loss"))
def resume(
    cause: Annotated[
        str | None,
        typer.Option(
            "--cause",
            help="Lift only what was stopped for this: operator, daily_loss, reconcile.  [default: everything]",
            metavar="CAUSE",
            rich_help_panel=WHAT,
        ),
    ] = None,
) -> None:
    """Lift what keeps the account from trading; open orders go on with the next worker."""
    from etf_trader.cli.rebalances import open_rebalances
    from etf_trader.cli.trading import halt_document, operator, state_sentence, stopped
    from etf_trader.execution.differences import open_differences
    from etf_trader.orders.status import IndexOrderStatus
    from etf_trader.orders.store import list_index_orders
    from etf_trader.risk.halts import resume as lift

    _check_cause(cause)
    with services() as opened, opened.database.write() as connection:
        now = opened.clock.now()
        lifted = lift(connection, opened.account.id, cause, now, operator=operator())
        state, left = stopped(opened, connection)
        differing = len(open_differences(connection, opened.account.id))
        orders = list_index_orders(connection, account_id=opened.account.id, statuses=[IndexOrderStatus.OPEN])
        moving = open_rebalances(connection, opened.account.id)
        waiting = sorted([*moving, *(each.id for each in orders)])

    def draw(page: Page) -> None:
        if not lifted:
            page.line(
                "Nothing to lift: " + ("it is stopped for another cause." if left else "the account trades.")
            )
        elif left:
            page.line(f"Lifted what was stopped by {cause}.")
        elif differing:
            gaps, stay = count(differing, "difference"), "stays" if differing == 1 else "stay"
            page.line(f"Lifted, but {gaps} with the venue {stay}: the next command that trades stops there again.")
            page.line("etf reconcile tells how to book it.")
        else:
            page.line(f"{good('Resumed')}: the account trades again.")
        if left:
            page.line(state_sentence(state, left))
        elif waiting and not differing:
            noun = f"{count(len(waiting), 'order')} {'is' if len(waiting) == 1 else 'are'} open"
            page.line(f"{noun}: etf worker --once goes on with what waits, etf cancel --all ends it.")

    payload = {
        "state": str(state),
        "new": False,
        "settled": True,
        "problem": None,
        "halts": [halt_document(each) for each in left],
        "lifted": [halt_document(each) for each in lifted],
        "in_flight": [],
        "withdrawn": [],
        "cancelled": [],
        "open_orders": waiting,
    }
    output().emit("etf.halt/1", payload, draw)


def _check_cause(cause: str | None) -> None:
    from difflib import get_close_matches

    from etf_trader.errors import UsageError
    from etf_trader.risk.halts import CAUSES

    if cause is not None and cause not in CAUSES:
        near = get_close_matches(cause, CAUSES, n=1, cutoff=0.5)
        meant = f"; did you mean {near[0]}?" if near else ""
        raise UsageError(f"{cause!r} is no cause{meant}", where="--cause", hint=f"one of {', '.join(CAUSES)}")
