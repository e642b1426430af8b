"""`etf index mark`: the price of an asset that has no market."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, Any

import typer

from etf_trader.cli.commands import HOW, WHAT, command
from etf_trader.cli.invocation import output
from etf_trader.cli.numbers import local_time, units
from etf_trader.cli.options import IndexArgument, option, read_positive
from etf_trader.cli.output import Page, Table, number, text
from etf_trader.cli.services import in_loop, services
from etf_trader.errors import UsageError

if TYPE_CHECKING:
    from etf_trader.bootstrap import Services
    from etf_trader.index.marks import Mark
    from etf_trader.index.store import Basket

LONGEST_REASON = 500

AssetOption = Annotated[str | None, option("--asset", WHAT, "The constituent.", "ASSET")]
PriceOption = Annotated[
    Decimal | None,
    option("--price", WHAT, "What one of it is worth, in the index's quote.", "PRICE", read_positive),
]
ReasonOption = Annotated[str, option("--reason", HOW, "Why; it is shown beside the price.", "TEXT")]
RemoveOption = Annotated[bool, option("--remove", HOW, "Take the mark away.")]
ForceOption = Annotated[bool, option("--force", HOW, "Also where there is a live book, in place of its price.")]


def add_to(app: typer.Typer) -> None:
    """Add the command to `etf index`."""
    examples = (
        'etf index mark 1 --asset LUNA --price 0.001 --reason "delisted; OTC bid"',
        "etf index mark 1 --asset LUNA --remove",
        "etf index mark 1    the marks in force",
    )
    command(app, "mark", examples=examples, csv="marks")(mark)


def mark(
    index: IndexArgument,
    asset: AssetOption = None,
    price: PriceOption = None,
    reason: ReasonOption = "",
    remove: RemoveOption = False,
    force: ForceOption = False,
) -> None:
    """Set the price of a constituent that has no market, or take it away; orders never trade by it."""
    from etf_trader.execution.look import require_own
    from etf_trader.index.marks import marks_of
    from etf_trader.index.store import current_basket, find_index

    _check(asset, price, reason, remove=remove, force=force)
    said = ""
    with services() as opened:
        with opened.database.read() as connection:
            found = find_index(connection, index)
            require_own(found, opened.account.id)
            basket = current_basket(connection, found.id)
        if asset is not None:
            name = asset.strip().upper()
            said = (
                _remove(opened, found.id, name)
                if price is None
                else _set(opened, basket, name, price, reason.strip(), force=force)
            )
        with opened.database.read() as connection:
            marks = list(marks_of(connection, found.id).values())

    def draw(page: Page) -> None:
        if said:
            page.line(said)
        if not marks:
            page.line(f"No constituent of {found.symbol} is marked.")
            return
        table = Table(text("marked"), number("price"), text("by"), text("since"), text("why", wrap=True))
        for each in marks:
            table.row(each.asset, units(each.price), each.operator, local_time(each.set_at), each.reason)
        page.table(table)

    rows = [_document(each) for each in marks]
    payload = {"id": found.id, "symbol": found.symbol, "marks": rows}
    output().emit("etf.marks/1", payload, draw, columns=("asset", "price", "operator", "reason", "set_at"))


def _check(asset: str | None, price: Decimal | None, reason: str, *, remove: bool, force: bool) -> None:
    if asset is None and (price is not None or remove or reason or force):
        raise UsageError("a mark is of an asset", where="--asset", hint="name it: --asset LUNA")
    if asset is not None and (price is None) != remove:
        raise UsageError(
            "a mark is set with --price or taken away with --remove",
            where="--price",
            hint='--price 0.001 --reason "why", or --remove',
        )
    if price is not None and not reason.strip():
        raise UsageError(
            "a price that a person sets needs a reason", where="--reason", hint='--reason "delisted; OTC bid"'
        )
    if len(reason) > LONGEST_REASON:
        raise UsageError(f"a reason has at most {LONGEST_REASON} characters", where="--reason", hint="shorten it")


def _set(opened: Services, basket: Basket, asset: str, price: Decimal, reason: str, *, force: bool) -> str:
    from etf_trader.cli.trading import operator
    from etf_trader.execution.valuing import see
    from etf_trader.index.marks import set_mark

    if asset not in basket.symbols:
        raise UsageError(
            f"the index holds no {asset}", where="--asset", hint=f"it holds {', '.join(basket.symbols)}"
        )
    symbol = basket.symbols[asset]
    seen = in_loop(see(opened.venue, [symbol], in_loop(opened.venue.rules())))[symbol]
    if seen.is_live and not force:
        assert seen.mid is not None
        raise UsageError(
            f"{symbol} trades, at {units(seen.mid)}: {asset} needs no mark",
            where="--asset",
            hint="--force values it at the mark all the same",
        )
    with opened.database.write() as connection:
        made, is_new = set_mark(
            connection, basket.index_id, asset, price, operator(), reason, opened.clock.now(), is_forced=force
        )
    return (
        f"{asset} is valued at {units(price)} from now on."
        if is_new
        else f"{asset} is marked so already, by {made.operator} since {local_time(made.set_at)}."
    )


def _remove(opened: Services, index_id: int, asset: str) -> str:
    from etf_trader.cli.trading import operator
    from etf_trader.index.marks import remove_mark

    with opened.database.write() as connection:
        gone = remove_mark(connection, index_id, asset, operator(), opened.clock.now())
    return f"{asset} had no mark." if gone is None else f"The mark of {asset} is taken away."


def _document(mark: Mark) -> dict[str, Any]:
    names = ("asset", "price", "operator", "reason", "is_forced", "set_at")
    return {name: getattr(mark, name) for name in names}
