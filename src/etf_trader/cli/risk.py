"""`etf risk`: the limits that everything sent is held against."""

from __future__ import annotations

from dataclasses import fields
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, Any

import typer

from etf_trader.cli.commands import command, group
from etf_trader.cli.invocation import output
from etf_trader.cli.numbers import money, units
from etf_trader.cli.options import read_decimal
from etf_trader.cli.output import Page, Table, dim, good, number, text
from etf_trader.cli.services import services

if TYPE_CHECKING:
    from etf_trader.bootstrap import Services
    from etf_trader.risk.limits import LimitKind

app = group()

OFF, DEFAULT = "off", "default"
COLUMNS = ("name", "value", "unit", "default", "meaning", "set_at", "set_by")


@command(app, "show", examples=("etf risk show", "etf risk show --json"), csv="limits")
def show() -> None:
    """Show whether the account trades, what it lost today, and every limit."""
    with services() as opened:
        payload, sentence = _facts(opened)

    def draw(page: Page) -> None:
        page.line(sentence or f"{good('The account trades')}: nothing is halted.")
        page.line(f"Loss of this UTC day: {money(payload['loss'])}.")
        page.line()
        table = Table(
            text("limit"), number("value"), text("unit"), text("set", optional=1), text("what", wrap=True)
        )
        for limit in payload["limits"]:
            is_own = limit["set_at"] is not None
            table.row(
                limit["name"],
                _spoken(limit["value"], limit["unit"]),
                limit["unit"],
                limit["set_by"] if is_own else dim("default"),
                limit["meaning"],
            )
        page.table(table)
        page.line("To change one: etf risk set index_order 500000")

    output().emit("etf.risk/1", payload, draw, columns=COLUMNS)


@command(
    app,
    "set",
    examples=(
        "etf risk set index_order 500000",
        "etf risk set price_collar 50        bps from mid",
        "etf risk set daily_loss off",
        "etf risk set daily_loss default",
    ),
    csv="limits",
)
def set_(
    name: Annotated[str, typer.Argument(help="Which limit: etf risk show lists them.", metavar="NAME")],
    value: Annotated[str, typer.Argument(help="Its new value, off, or default.", metavar="VALUE")],
) -> None:
    """Set a limit; it holds from the next batch on, in every process."""
    from etf_trader.cli.trading import operator
    from etf_trader.risk.limits import forget_limit, limit_kind, risk_limits, write_limit

    kind = limit_kind(name)
    wanted = _read(value)
    with services() as opened:
        with opened.database.write() as connection:
            before = getattr(risk_limits(connection, opened.account.id), name)
            if value == DEFAULT:
                forget_limit(connection, opened.account.id, name)
            else:
                write_limit(connection, opened.account.id, name, wanted, opened.clock.now(), by=operator())
            after = getattr(risk_limits(connection, opened.account.id), name)
        payload, _ = _facts(opened)

    def draw(page: Page) -> None:
        was = "" if before == after else f" (it was {_told(before, kind)})"
        page.line(f"{name} is {_told(after, kind)} now{was}: {kind.meaning}.")

    output().emit("etf.risk/1", payload, draw, columns=COLUMNS)


def _read(typed: str) -> Decimal | None:
    from etf_trader.errors import UsageError

    if typed in (OFF, DEFAULT):
        return None
    try:
        return read_decimal(typed)
    except typer.BadParameter as error:
        raise UsageError(error.message, where="VALUE", hint="a number, off, or default") from error


def _facts(opened: Services) -> tuple[dict[str, Any], str]:
    """Return everything that is known of an account's limits, and the sentence about its state."""
    from etf_trader.cli.trading import halt_document, state_sentence, stopped
    from etf_trader.execution.day_loss import DayLoss
    from etf_trader.risk.limits import LIMITS, RiskLimits, risk_limits, set_limits

    with opened.database.read() as connection:
        state, halts = stopped(opened, connection)
        in_force = risk_limits(connection, opened.account.id)
        own = set_limits(connection, opened.account.id)
        loss = DayLoss(opened.account.id).read(connection, opened.clock.now())
    defaults = RiskLimits()
    limits = []
    for name in (each.name for each in fields(RiskLimits)):
        mine, kind = own.get(name), LIMITS[name]
        limits.append(
            {
                "name": name,
                "value": getattr(in_force, name),
                "unit": kind.unit,
                "default": getattr(defaults, name),
                "meaning": kind.meaning,
                "set_at": None if mine is None else mine.set_at,
                "set_by": None if mine is None else mine.set_by,
            }
        )
    payload = {
        "state": str(state),
        "loss": loss,
        "halts": [halt_document(each) for each in halts],
        "limits": limits,
    }
    return payload, state_sentence(state, halts)


def _spoken(value: Decimal | None, unit: str) -> str:
    if value is None:
        return OFF
    return money(value) if unit == "quote" else units(value)


def _told(value: Decimal | None, kind: LimitKind) -> str:
    if value is None:
        return OFF
    return _spoken(value, kind.unit) + ("" if kind.unit == "quote" else f" {kind.unit}")
