"""`etf index fee`: the management fee that was taken in kind, and its payment."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import typer

from etf_trader.cli.commands import command, group
from etf_trader.cli.invocation import output, settings
from etf_trader.cli.numbers import bps_given, count, local_time, money, short
from etf_trader.cli.options import IndexArgument, NoWaitOption
from etf_trader.cli.output import Page, Table, look, number, text
from etf_trader.cli.services import in_loop, services
from etf_trader.money import ZERO

if TYPE_CHECKING:
    from datetime import datetime
    from decimal import Decimal

    from sqlalchemy import Connection

    from etf_trader.bootstrap import Services
    from etf_trader.index.store import Index

fee = group()


def add_to(app: typer.Typer) -> None:
    """Add the group to `etf index`."""
    app.add_typer(fee, name="fee", help="Show, take and pay out the management fee of an index.")


@command(fee, "show", examples=("etf index fee show 1",), csv="assets")
def show(index: IndexArgument) -> None:
    """Show what of the management fee has been taken and not paid out, and what it is worth now."""
    with services() as opened:
        found, held = _held(opened, index)
        mids = _mids(opened, found, held)
        rate, until = _rate(opened, found)
    rows = _rows(found, held, mids)
    worth = _worth(rows)

    def draw(page: Page) -> None:
        _draw_rate(page, found, rate, until)
        if not rows:
            page.line("Nothing is payable.")
            return
        table = Table(text("payable"), number("quantity"), number("value"))
        for row in rows:
            value = look("no price") if row["value"] is None else money(row["value"])
            table.row(row["asset"], short(row["quantity"]), value)
        page.table(table)
        if worth is not None:
            page.line(f"Worth {money(worth)} {found.quote} now. etf index fee pay {found.id} pays it out.")

    payload = {
        "id": found.id,
        "symbol": found.symbol,
        "management_bps": rate,
        "accrued_until": until,
        "value": worth,
        "assets": rows,
    }
    output().emit("etf.fee/1", payload, draw, columns=("asset", "quantity", "price", "value"))


@command(fee, "accrue", examples=("etf index fee accrue 1    for cron, where no worker runs",))
def accrue(index: IndexArgument, no_wait: NoWaitOption = False) -> None:
    """Take the fee until now; a worker does so every day, and every trade before it is planned."""
    from etf_trader.execution import fees_in_kind
    from etf_trader.execution.at_rest import require_at_rest

    with services() as opened:
        found, before = _held(opened, index)
        rate, _ = _rate(opened, found)

        def take(connection: Connection) -> None:
            require_at_rest(connection, found.id)
            fees_in_kind.accrue(connection, opened.account, found.id, opened.clock.now())

        in_loop(opened.manager.alone(take, wait=not no_wait))
        _, held = _held(opened, index)
        _, until = _rate(opened, found)
    taken = {asset: amount - before.get(asset, ZERO) for asset, amount in held.items()}
    rows = [{"asset": asset, "quantity": amount} for asset, amount in taken.items() if amount]

    def draw(page: Page) -> None:
        _draw_rate(page, found, rate, until)
        page.line(f"Taken now: {count(len(rows), 'asset')}." if rows else "There was nothing to take.")

    payload = {"id": found.id, "symbol": found.symbol, "accrued_until": until, "taken": rows}
    output().emit("etf.fee_accrual/1", payload, draw)


@command(fee, "pay", examples=("etf index fee pay 1",))
def pay(index: IndexArgument) -> None:
    """Pay out what is payable: the float buys it at the prices of now, and the cash goes to your treasury."""
    from etf_trader.execution import fees_in_kind

    with services() as opened:
        found, held = _held(opened, index)
        mids = _mids(opened, found, held)
        with opened.database.write() as connection:
            paid = fees_in_kind.pay(connection, opened.account, found, settings().holder, mids, opened.clock.now())

    def draw(page: Page) -> None:
        if not paid.paid:
            page.line("Nothing was paid." if paid.left else "Nothing is payable.")
        else:
            page.line(
                f"Paid {money(paid.paid)} {found.quote} to the treasury of {settings().holder}; what it was paid "
                f"for is in the float of {found.symbol}, and the next orders use it first."
            )
        if paid.left:
            _draw_left(page, found, paid.left, mids)

    payload = {
        "id": found.id,
        "symbol": found.symbol,
        "holder": settings().holder,
        "paid": paid.paid,
        "bought": [
            {"asset": each, "quantity": paid.bought[each], "price": paid.mids[each]} for each in paid.bought
        ],
        "left": [{"asset": each, "quantity": quantity} for each, quantity in paid.left.items()],
    }
    output().emit("etf.fee_payment/1", payload, draw)


def _draw_left(page: Page, index: Index, left: Any, mids: dict[str, Decimal]) -> None:
    unpriced = sorted(asset for asset in left if asset not in mids)
    if unpriced:
        page.line(
            f"{', '.join(unpriced)} stays payable: {'it has' if len(unpriced) == 1 else 'they have'} no price."
        )
    if len(unpriced) < len(left):
        worth = sum((left[asset] * mids[asset] for asset in left if asset in mids), ZERO)
        page.line(
            f"{money(worth)} {index.quote} stay payable: the float has no more cash. "
            f"etf index fund {index.id} 600 gives it some."
        )


def _held(opened: Services, reference: str) -> tuple[Index, dict[str, Decimal]]:
    from etf_trader.execution.fees_in_kind import payable
    from etf_trader.execution.look import require_own
    from etf_trader.index.store import find_index

    with opened.database.read() as connection:
        found = find_index(connection, reference)
        require_own(found, opened.account.id)
        return found, payable(connection, opened.account.id, found)


def _rate(opened: Services, index: Index) -> tuple[Decimal, datetime | None]:
    """Return what the fee is now, in basis points a year, and until when it has been taken."""
    from etf_trader.index.fees import accrual_of, rates_of

    with opened.database.read() as connection:
        accrual = accrual_of(connection, index.id)
        return rates_of(connection, index.id)[-1].bps, None if accrual is None else accrual.until


def _mids(opened: Services, index: Index, held: dict[str, Decimal]) -> dict[str, Decimal]:
    """Return the mids of what is payable, of markets that trade now."""
    from etf_trader.execution.valuing import see

    rules = in_loop(opened.venue.rules())
    symbols = {
        rule.base: rule.symbol for rule in rules.values() if rule.quote == index.quote and rule.base in held
    }
    seen = in_loop(see(opened.venue, symbols.values(), rules))
    found = {asset: seen[symbol] for asset, symbol in symbols.items()}
    return {asset: each.mid for asset, each in found.items() if each.mid is not None and each.is_live}


def _rows(index: Index, held: dict[str, Decimal], mids: dict[str, Decimal]) -> list[dict[str, Any]]:
    found = []
    for asset, quantity in held.items():
        price = None if asset == index.quote else mids.get(asset)
        value = quantity if asset == index.quote else None if price is None else quantity * price
        found.append({"asset": asset, "quantity": quantity, "price": price, "value": value})
    return sorted(found, key=lambda row: (-(row["value"] or ZERO), row["asset"]))


def _worth(rows: list[dict[str, Any]]) -> Decimal | None:
    values = [row["value"] for row in rows]
    return None if any(value is None for value in values) else sum(values, ZERO)


def _draw_rate(page: Page, index: Index, rate: Decimal, until: datetime | None) -> None:
    if until is None:
        page.line(f"{index.symbol} has no management fee.")
    else:
        page.line(
            f"Fee of {index.symbol}: {bps_given(rate)} bps a year, taken until {local_time(until)}. "
            "Every trade takes it before it is planned, a worker every day."
        )
