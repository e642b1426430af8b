"""`etf ledger`: the proof of the books, and the books for other programs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from etf_trader.cli import ledger_export
from etf_trader.cli.commands import WHAT, command, group
from etf_trader.cli.invocation import output
from etf_trader.cli.numbers import count
from etf_trader.cli.output import Page, bad, good
from etf_trader.cli.services import in_loop, services
from etf_trader.errors import LedgerError

if TYPE_CHECKING:
    from etf_trader.bootstrap import Services
    from etf_trader.ledger.audit import AuditReport

app = group()

SHOWN = 10

HeadOption = Annotated[
    str | None,
    typer.Option(
        "--head",
        help="A ledger hash from an earlier report: it must still be in the chain.",
        metavar="HASH",
        rich_help_panel=WHAT,
    ),
]


@command(app, "audit", examples=("etf ledger audit", "etf ledger audit --json"), csv="findings")
def audit(head: HeadOption = None) -> None:
    """Prove the books against their chain and against the venue; change nothing."""

    with services() as opened:
        report = _report(opened, head)
    payload = {
        "clean": not report.findings,
        "transactions": report.transactions,
        "postings": report.postings,
        "fills": report.fills,
        "head": report.head,
        "findings": report.findings,
    }
    output().emit("etf.audit/1", payload, lambda page: _draw(page, report), columns=("entry", "message"))
    if report.findings:
        raise typer.Exit(LedgerError.exit_code)


def _report(opened: Services, head: str | None) -> AuditReport:
    """Audit the books; when they hold in themselves, compare them with the venue as well."""
    from dataclasses import replace

    from etf_trader.execution.reconcile import compare, unbooked
    from etf_trader.ledger.audit import Finding, audit

    async def beside_the_venue() -> list[Finding]:
        missing = await unbooked(opened.database, opened.venue, opened.account)
        found = [Finding("venue", sentence) for sentence in missing]
        if not found:
            differences = await compare(opened.database, opened.venue, opened.account)
            found = [
                Finding("venue", f"{sentence}; etf reconcile looks for the cause") for sentence in differences
            ]
        return found

    with opened.database.read() as connection:
        report = audit(connection, opened.account, head)
    return replace(report, findings=(*report.findings, *in_loop(beside_the_venue())))


def _draw(page: Page, report: AuditReport) -> None:
    checked = (
        f"{count(report.transactions, 'transaction')}, {count(report.postings, 'posting')}, "
        f"{count(report.fills, 'fill')}"
    )
    if not report.findings:
        page.line(good("The books are right: ") + f"{checked}, and the venue holds what they say.")
        page.line(f"ledger {report.head}")
        return
    first = report.findings[0]
    page.line(bad("The books are off, first at ") + f"{first.entry}: {first.message}.")
    for finding in report.findings[1:SHOWN]:
        page.line(f"  also {finding.entry}: {finding.message}")
    if len(report.findings) > SHOWN:
        page.line(f"  and {len(report.findings) - SHOWN} more; --json lists them all")
    page.line(f"Checked {checked}. Nothing was changed.")


ledger_export.add_to(app)
