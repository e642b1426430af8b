"""`etf reconcile`: the books and the venue, compared; and what a person says of a difference."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from etf_trader.cli.commands import HOW, WHAT, command, single
from etf_trader.cli.invocation import output
from etf_trader.cli.numbers import count, units
from etf_trader.cli.options import NoWaitOption
from etf_trader.cli.output import Page, Table, bad, good, look, number, text
from etf_trader.cli.services import in_loop, services
from etf_trader.errors import LedgerError, UsageError

if TYPE_CHECKING:
    from etf_trader.execution.answer import Answer
    from etf_trader.execution.differences import Difference
    from etf_trader.execution.reconcile import Reconciliation

app = single()

KINDS = "deposit|withdrawal|airdrop|dust|opening"

BookOption = Annotated[
    int | None,
    typer.Option("--book", help="Book this difference; needs --as.", metavar="N", min=1, rich_help_panel=WHAT),
]
AsOption = Annotated[
    str | None,
    typer.Option("--as", help="What the difference was.", metavar=KINDS, rich_help_panel=WHAT),
]
HolderOption = Annotated[
    str | None,
    typer.Option(
        "--holder", help="Whose; by default the holder of the configuration.", metavar="NAME", rich_help_panel=WHAT
    ),
]
ReasonOption = Annotated[
    str,
    typer.Option("--reason", help="Why you say so; it stays in the books.", metavar="TEXT", rich_help_panel=HOW),
]


@command(
    app,
    examples=(
        "etf reconcile",
        "etf reconcile --book 3 --as deposit    it was a deposit, and belongs to the holder",
        'etf reconcile --book 4 --as withdrawal --holder alice --reason "sent to her wallet"',
    ),
    csv="differences",
)
def reconcile(
    book: BookOption = None,
    kind: AsOption = None,
    holder: HolderOption = None,
    reason: ReasonOption = "",
    no_wait: NoWaitOption = False,
) -> None:
    """Book what the venue did and the books do not know yet, and compare the two."""

    answer = _answer(book, kind, holder, reason)
    is_new = False
    with services() as opened, output().progress("Comparing the books with the venue"):
        if answer is None:
            found = in_loop(opened.manager.reconcile(wait=not no_wait))
        else:
            is_new, found = in_loop(opened.manager.book_difference(answer, wait=not no_wait))

    def draw(page: Page) -> None:
        if answer is not None:
            done = "is booked" if is_new else "was booked already"
            page.line(f"Difference {answer.number} {done} as {answer.booked_as} for {answer.holder}.")
        _draw(page, found)

    output().emit("etf.reconciliation/1", _document(found), draw, columns=COLUMNS)
    if not found.agrees:
        raise typer.Exit(LedgerError.exit_code)


def _answer(book: int | None, kind: str | None, holder: str | None, reason: str) -> Answer | None:
    """Return what the person says of a difference; None when nothing is said."""
    import getpass

    from etf_trader.cli.treasury import holder_of
    from etf_trader.execution.answer import KINDS as kinds
    from etf_trader.execution.answer import Answer

    if book is None:
        given = next(
            (name for name, value in (("--as", kind), ("--holder", holder), ("--reason", reason)) if value), None
        )
        if given:
            raise UsageError(f"{given} says something of a difference", where=given, hint="name it: --book N")
        return None
    if kind not in kinds:
        what = (
            "--book needs to know what the difference was"
            if kind is None
            else f"{kind!r} is no kind of difference"
        )
        raise UsageError(what, where="--as", hint=f"--as {KINDS}")
    if len(reason) > 500:
        raise UsageError("a reason has at most 500 characters", where="--reason", hint="shorten it")
    try:
        operator = getpass.getuser()
    except (KeyError, OSError):  # a user without a name, in a container
        operator = "unknown"
    return Answer(book, kind, holder_of(holder), operator, reason)


COLUMNS = ("number", "asset", "venue", "books", "difference", "explanation", "found_at", "book_as")


def _document(found: Reconciliation) -> dict[str, Any]:
    return {
        "agrees": found.agrees,
        "booked": list(found.booked),
        "explained": list(found.explained),
        "warnings": list(found.warnings),
        "differences": [_row(each) for each in found.differences],
    }


def _row(row: Difference) -> dict[str, Any]:
    return {
        "number": row.id,
        "asset": row.asset,
        "venue": row.venue_quantity,
        "books": row.books_quantity,
        "difference": row.difference,
        "explanation": row.explanation,
        "found_at": row.found_at,
        "book_as": list(row.kinds),
    }


def _draw(page: Page, found: Reconciliation) -> None:
    for sentence in found.booked:
        page.line(f"{_capital(sentence)}.")
    for sentence in found.warnings:
        page.line(f"{look('Look here: ')}{sentence}.")
    if found.agrees:
        page.line(f"{good('The books agree with the venue')}{', now' if found.booked else ''}.")
        return
    page.line(
        bad("The books and the venue differ") + f" in {count(len(found.differences), 'asset')}: nothing is traded."
    )
    table = Table(
        number("difference"), text("asset"), number("the venue"), number("the books"), number("more or less")
    )
    for row in found.differences:
        sign = "+" if row.difference > 0 else ""
        table.row(
            str(row.id),
            row.asset,
            units(row.venue_quantity),
            units(row.books_quantity),
            f"{sign}{units(row.difference)}",
        )
    page.table(table)
    page.line()
    for sentence in found.explained:
        page.line(f"{_capital(sentence)}.")
    for row in found.differences:
        if row.explanation and row.explanation not in found.explained:
            page.line(f"{row.id} {row.asset}: {row.explanation}.")
    page.line("Say what each was, and trading goes on:")
    for row in found.differences:
        page.line(f"  etf reconcile --book {row.id} --as {'|'.join(row.kinds)}")


def _capital(sentence: str) -> str:
    return f"{sentence[:1].upper()}{sentence[1:]}"
