"""`etf reconcile`: the books and the venue, compared."""

from __future__ import annotations

from etf_trader.cli.commands import command, single
from etf_trader.cli.invocation import output
from etf_trader.cli.options import NoWaitOption
from etf_trader.cli.output import Page, good
from etf_trader.cli.services import in_loop, services

app = single()


@command(app, examples=("etf reconcile", "etf reconcile --json"))
def reconcile(no_wait: NoWaitOption = False) -> None:
    """Book what the venue did and the books do not know yet, and compare the two."""

    with services() as opened, output().progress("Comparing the books with the venue"):
        booked = in_loop(opened.manager.reconcile(wait=not no_wait))

    def draw(page: Page) -> None:
        for sentence in booked:
            page.line(f"{sentence[:1].upper()}{sentence[1:]}.")
        page.line(f"{good('The books agree with the venue')}{', now' if booked else ''}.")

    output().emit("etf.reconciliation/1", {"agrees": True, "booked": booked}, draw)
