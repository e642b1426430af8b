"""`etf ledger export`: the chain for other programs, as a beancount file or as CSV."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from etf_trader.cli.commands import OUTPUT, command
from etf_trader.cli.invocation import output
from etf_trader.cli.numbers import count
from etf_trader.cli.options import one_of, option
from etf_trader.cli.out_file import STDOUT
from etf_trader.cli.services import services
from etf_trader.errors import UsageError

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from etf_trader.ledger.beancount import QuoteOf
    from etf_trader.ledger.replay import Entry

FormatOption = Annotated[
    str | None,
    option(
        "--format",
        OUTPUT,
        "How to write the ledger: for beancount, or as CSV, a posting a line.  "
        "[default: as the file ends, on stdout beancount]",
        "beancount|csv",
        one_of("beancount", "csv"),
    ),
]
OutOption = Annotated[
    str | None, option("--out", OUTPUT, "The file to write, - for stdout.  [default: stdout]", "FILE")
]
OverwriteOption = Annotated[bool, option("--overwrite", OUTPUT, "Replace whatever file is there.")]

SUFFIXES = {".beancount": "beancount", ".bean": "beancount", ".csv": "csv"}

COLUMNS = (
    *("sequence", "key", "kind", "at", "order", "narration", "hash"),
    *("line", "account", "asset", "amount", "balance"),
)


def add_to(app: typer.Typer) -> None:
    """Add the command to `etf ledger`."""
    seen = ("etf ledger export --out books.beancount", "etf ledger export --out postings.csv")
    command(app, "export", examples=seen)(export)


def export(form: FormatOption = None, out: OutOption = None, overwrite: OverwriteOption = False) -> None:
    """Write all transactions for other programs: every posting in all digits, with key, hash and lots."""
    from etf_trader.cli.out_file import out_file
    from etf_trader.ledger.replay import entries

    form = _form_of(out, form)
    file = out_file(STDOUT if out is None else out, form, overwrite=overwrite)
    if file.path is None and not output().is_table:
        raise UsageError(
            "--json tells about the file that was written, and none was named",
            where="--json",
            hint="say which: --out books.beancount",
        )
    with services() as opened, opened.database.read() as connection:
        chain = list(entries(connection, opened.account.id))
        if form == "csv":
            text = _csv(chain)
        else:
            title = f"etf ledger of account {opened.account.name}"
            text = _beancount(chain, title, _quotes(connection, opened.account.id))
    if file.path is None:
        output().stdout.write(text)
        return
    file.write(text.encode())
    postings = sum(len(entry.postings) for entry in chain)
    head = chain[-1].hash if chain else None
    payload = {"file": file.path, "format": form, "transactions": len(chain), "postings": postings, "head": head}
    told = f"{count(len(chain), 'transaction')}, {count(postings, 'posting')}"
    output().emit(
        "etf.export/1", payload, lambda page: page.line(f"Wrote {out}: {told}, ledger {(head or '')[:16]}")
    )


def _form_of(out: str | None, asked: str | None) -> str:
    """Return how the ledger is written: as was asked for, else as the file is named; on stdout for beancount.

    Raises:
        UsageError: neither tells, or they differ.
    """
    if out is None or out == STDOUT:
        return asked or "beancount"
    named = SUFFIXES.get(Path(out).suffix.lower())
    if asked is None and named is None:
        raise UsageError(
            f"the name {out} does not tell how to write the ledger",
            where="--out",
            hint=f"end it in {', '.join(SUFFIXES)}, or add --format beancount or --format csv",
        )
    if asked is not None and named not in (None, asked):
        raise UsageError(f"{out} would hold {asked}, not {named}", where="--out", hint="leave out --format")
    return asked or named or "beancount"


def _beancount(chain: Sequence[Entry], title: str, quotes: QuoteOf) -> str:
    from etf_trader.ledger.beancount import beancount_lines

    return "".join(f"{line}\n" for line in beancount_lines(chain, title, quotes))


def _csv(chain: Sequence[Entry]) -> str:
    from etf_trader.cli.documents import csv_document

    return csv_document(list(_rows(chain)), COLUMNS)


def _rows(chain: Sequence[Entry]) -> Iterator[dict[str, Any]]:
    for entry in chain:
        whole = {name: getattr(entry, name) for name in COLUMNS[:7]}
        for line, (posting, balance) in enumerate(zip(entry.postings, entry.balances, strict=True), start=1):
            yield {
                **whole,
                "line": line,
                "account": posting.account,
                "asset": posting.asset,
                "amount": posting.amount,
                "balance": balance,
            }


def _quotes(connection: Connection, account_id: int) -> QuoteOf:
    """Return what tells in which currency the lots of an account cost: that of its index."""
    from etf_trader.index.store import list_indices, list_positions
    from etf_trader.market.currency import DEFAULT
    from etf_trader.reports.booked import traders

    indices = {index.id: index.quote for index in list_indices(connection, account_id)}
    positions = {each.id: indices.get(each.index_id, DEFAULT) for each in list_positions(connection)}
    orders = {number: each.index.quote for number, each in traders(connection, account_id).items()}
    by_kind = {"order": orders, "position": positions, "index": indices, "float": indices}

    def quote_of(account: str, order: int | None) -> str:
        kind, _, number = account.partition(":")
        if kind in by_kind:
            return by_kind[kind].get(int(number), DEFAULT)
        return orders.get(order or 0, DEFAULT)

    return quote_of
