"""`etf plan`: the plans that were made, shown and proved again."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from etf_trader.cli.commands import command, group
from etf_trader.cli.invocation import output
from etf_trader.cli.numbers import local_time
from etf_trader.cli.options import PlanArgument, read_plan_number
from etf_trader.cli.output import Page, bad, good
from etf_trader.cli.services import in_loop, services
from etf_trader.errors import LedgerError, UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from etf_trader.orders.store import StoredPlan
    from etf_trader.solver.binding import Nudge
    from etf_trader.solver.findings import Finding
    from etf_trader.solver.statement import Statement

app = group()

SCHEMA = "etf.plan/1"
REBALANCE = "etf.rebalance/1"
STDIN = "-"
SHOWN = 20
DRY_RUN = "etf submit buy --index 1 --qty 100 --dry-run --json | etf plan verify -"


def read_plan_or_stdin(text: str) -> str:
    """Return the number of a plan, or "-" for what comes from stdin."""
    return text if text == STDIN else str(read_plan_number(text))


PlanOrStdinArgument = Annotated[
    str,
    typer.Argument(
        help="The plan's number, or - to read the JSON of a dry run from stdin.",
        metavar="PLAN",
        parser=read_plan_or_stdin,
    ),
]


@command(app, "show", examples=("etf plan show 7", "etf plan show 7 --json"))
def show(plan: PlanArgument) -> None:
    """Show a plan: what it traded where, what it cost, what binds, and the proof that nothing is better."""
    import json

    from etf_trader.cli.certificates import draw_batch, draw_books, draw_certificate, draw_routes, draw_stops
    from etf_trader.cli.plan_fees import fees_of
    from etf_trader.cli.plan_waves import show_wave
    from etf_trader.cli.plans import draw_plan
    from etf_trader.execution.batch import WAVE
    from etf_trader.index.store import index_by_id
    from etf_trader.market.document import market_of
    from etf_trader.orders.store import index_order, plans_beside, stored_market, stored_plan
    from etf_trader.solver.verify import QUOTE, SHARED, UNWIND

    with services() as opened:
        with opened.database.read() as connection:
            stored = stored_plan(connection, plan)
            if stored.purpose == WAVE:
                show_wave(stored, stored_market(connection, stored.book_hash), SCHEMA)
                return
            order = index_order(connection, stored.index_order_id)
            index = index_by_id(connection, order.index_id)
            market = stored_market(connection, stored.book_hash)
            beside = [each for each in plans_beside(connection, stored) if each.method == SHARED]
        rules = market_of(market)[1] if market else in_loop(opened.venue.rules())
    document = json.loads(stored.document)
    statement = _read(document, market)
    nudges = () if "currencies" in document else _binding(statement)
    batch = {each.index_order_id: _read(json.loads(each.document), market) for each in beside}

    def draw(page: Page) -> None:
        page.line(_purpose(stored))
        draw_plan(page, document, index.quote, rules)
        page.line()
        draw_certificate(page, document, index.quote)
        if statement is None:
            page.line(f"What bound it cannot be worked out again: etf plan verify {stored.id} says why.")
            return
        page.line()
        if "currencies" in document:
            draw_routes(page, statement, index.quote)
        elif statement.method == SHARED:
            draw_batch(page, statement, batch, index.quote)
        elif statement.method not in (UNWIND, QUOTE):
            draw_books(page, statement)
            page.line()
            draw_stops(page, statement, nudges, index.quote)
        page.line(f"To prove it again: etf plan verify {stored.id}")

    payload = {
        "id": stored.id,
        "order": order.id,
        "purpose": stored.purpose,
        "status": stored.status,
        "created_at": stored.created_at,
        "settled_at": stored.settled_at,
        "dry_run": False,
        "plan": document,
        "fees": fees_of(document),
        "market": market,
        "binds": [nudge._asdict() for nudge in nudges],
    }
    output().emit(SCHEMA, payload, draw)


def _purpose(stored: StoredPlan) -> str:
    """Return which plan it is, and what it was for."""
    order = stored.index_order_id
    if stored.purpose == "unwind":
        return f"Plan {stored.id} traded back what order {order} had beyond its units."
    if stored.method == "unwind":
        return f"Plan {stored.id} exchanged what order {order} was paid in other currencies."
    if stored.purpose == "quote":
        return f"Plan {stored.id} of order {order}, {local_time(stored.created_at)}, was quoted at the touch:"
    if stored.purpose == "convert":
        return f"Plan {stored.id} exchanged currencies for order {order}; its units were bought after that:"
    return f"Plan {stored.id} of order {order}, {local_time(stored.created_at)}:"


def _read(document: Mapping[str, Any], market: Mapping[str, Any] | None) -> Statement | None:
    """Return a stored plan and its market as values; None when it has no market, or cannot be proved."""
    from etf_trader.solver.reader import Malformed
    from etf_trader.solver.statement import read_statement
    from etf_trader.solver.verify import CHECKS

    if market is None or ("currencies" not in document and document.get("method") not in CHECKS):
        return None
    try:
        return read_statement(document, market)
    except Malformed:
        return None


def _binding(statement: Statement | None) -> Sequence[Nudge]:
    """Return what the size of a plan depends on, worked out again from its market."""
    from etf_trader.money import money_context
    from etf_trader.solver.binding import what_binds
    from etf_trader.solver.order import plan_order
    from etf_trader.solver.verify import QUOTE, SHARED, UNWIND

    if statement is None or statement.method in (SHARED, UNWIND, QUOTE):
        return ()
    with money_context():
        return what_binds(statement.problem, plan_order(statement.problem))


@command(
    app,
    "verify",
    examples=("etf plan verify 7", "etf plan verify - < plan.json   what a dry run printed with --json"),
    csv="findings",
)
def verify(plan: PlanOrStdinArgument) -> None:
    """Prove a plan again without trusting it: books, filters, sums, limits, size, and that none is cheaper."""
    number, document, market, findings = _from_stdin() if plan == STDIN else _stored(int(plan))
    payload = {
        "plan": number,
        "proved": not findings,
        "book_hash": document.get("book_hash"),
        "findings": [finding._asdict() for finding in findings],
    }

    def draw(page: Page) -> None:
        name = "The plan" if number is None else f"Plan {number}"
        if findings:
            _draw_findings(page, name, findings)
        else:
            _draw_proof(page, name, document, market)

    output().emit("etf.proof/1", payload, draw, columns=("where", "what"))
    if findings:
        raise typer.Exit(LedgerError.exit_code)


Proved = tuple[int | None, "Mapping[str, Any]", "Mapping[str, Any]", "Sequence[Finding]"]


def _stored(number: int) -> Proved:
    from etf_trader.execution.proof import prove

    with services() as opened, opened.database.read() as connection:
        proof = prove(connection, number)
    return number, proof.document, proof.market, proof.findings


def _from_stdin() -> Proved:
    """Read a document of `etf.plan/1` and prove its plan.

    Raises:
        UsageError: it is none.
    """
    import json

    from etf_trader.solver.reader import Malformed
    from etf_trader.solver.verify import verify

    try:
        text = sys.stdin.read()
    except UnicodeDecodeError:
        raise _refused("is not text") from None
    if not text.strip():
        raise _refused("is empty")
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        raise _refused("is not JSON") from None
    schema = document.get("schema") if isinstance(document, dict) else None
    if schema not in (SCHEMA, REBALANCE):
        raise _refused(
            f"is {f'of {schema}' if isinstance(schema, str) else 'JSON without a schema'}, not of {SCHEMA}"
        )
    plan, market = document.get("plan"), document.get("market")
    if not isinstance(plan, dict):
        raise _refused("has no plan")
    if not isinstance(market, dict):
        raise _refused("has a plan without the market it was made on")
    try:
        findings = verify(plan, market)
    except Malformed as error:
        raise _refused(f"is no plan with its market: {error}") from error
    except (UnicodeEncodeError, RecursionError):
        raise _refused("is no plan with its market") from None
    number = document.get("id") if schema == SCHEMA else None
    return number if isinstance(number, int) else None, plan, market, findings


def _refused(what: str) -> UsageError:
    return UsageError(f"what came from stdin {what}", where="PLAN", hint=DRY_RUN)


def _draw_findings(page: Page, name: str, findings: Sequence[Finding]) -> None:
    first = findings[0]
    page.line(bad(f"{name} is not proved: ") + f"{first.where} {first.what}.")
    for finding in findings[1:SHOWN]:
        page.line(f"  also {finding.where} {finding.what}")
    if len(findings) > SHOWN:
        page.line(f"  and {len(findings) - SHOWN} more; --json lists them all")
    page.line("Do not trust what it says: it was changed, or it was made by a program that is wrong.")


def _draw_proof(page: Page, name: str, document: Mapping[str, Any], market: Mapping[str, Any]) -> None:
    from etf_trader.cli.certificates import proved_fields
    from etf_trader.solver.statement import read_statement
    from etf_trader.solver.verify import is_rebalance

    page.line(good(f"{name} is proved") + ", without a solver and from its books alone:")
    if is_rebalance(document):
        from etf_trader.cli.rebalance_proof import proved_rebalance

        page.fields(proved_rebalance(document, market))
        return
    page.fields(proved_fields(read_statement(document, market)))
