"""`etf index event`: what happens to a coin itself, and the books follow."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, Any

import typer

from etf_trader.cli.commands import HOW, WHAT, command, group
from etf_trader.cli.invocation import output
from etf_trader.cli.numbers import short, units
from etf_trader.cli.options import DryRunOption, IndexOption, LiveYesOption, NoWaitOption, option, read_decimal
from etf_trader.cli.output import Page, Table, look, number, text
from etf_trader.cli.real_money import confirm_live, require_can_ask
from etf_trader.cli.services import in_loop, services
from etf_trader.errors import UsageError

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from etf_trader.bootstrap import Services
    from etf_trader.execution.swapping import Swap, Swapped
    from etf_trader.index.store import Index

event = group()

LIKE = 20
"""What comes in a swap may be worth a part of so many more or less than what goes."""

AllOption = Annotated[bool, option("--all", WHAT, "Every index, and what holders have in no index.")]
FromOption = Annotated[str, option("--from", WHAT, "The coin that ends.", "ASSET")]
ToOption = Annotated[str, option("--to", WHAT, "Its successor.", "ASSET")]
RatioOption = Annotated[
    Decimal, option("--ratio", WHAT, "How much of the successor one of it is.", "NUMBER", read_decimal)
]
ForceOption = Annotated[
    bool, option("--force", HOW, "Also while the successor has no market, or is worth something else.")
]


def add_to(app: typer.Typer) -> None:
    """Add the group to `etf index`."""
    app.add_typer(event, name="event", help="Book what happens to a coin itself: a token swap.")


@command(
    event,
    "swap",
    examples=(
        "etf index event swap --all --from MATIC --to POL --ratio 1 --dry-run",
        "etf index event swap --index 1 --from MATIC --to POL --ratio 1",
    ),
    csv="swaps",
)
def swap(
    old: FromOption,
    new: ToOption,
    ratio: RatioOption,
    index: IndexOption = None,
    all_: AllOption = False,
    force: ForceOption = False,
    dry_run: DryRunOption = False,
    yes: LiveYesOption = False,
    no_wait: NoWaitOption = False,
) -> None:
    """Book a token swap: baskets, holdings, and lots with their age and cost become the successor's."""
    from etf_trader.cli.trading import operator
    from etf_trader.execution.swapping import Swap, carry_out, require_coins, require_ratio

    wanted = Swap(old.strip().upper(), new.strip().upper(), ratio, operator())
    require_coins(wanted.old, wanted.new)
    require_ratio(ratio)
    if (index is None) != all_:
        raise UsageError("a swap is of one index or of all", where="--index", hint="--index 1, or --all")
    if wanted.old == wanted.new:
        raise UsageError(f"{wanted.old} is its own successor", where="--to", hint="name the new coin")
    planned: list[Swapped] = []
    with services() as opened:
        if not dry_run:
            require_can_ask(opened, yes=yes)
        chosen = _chosen(opened, index)
        symbols = _symbols(opened, chosen, wanted, force=force)
        if not force:
            _require_like(opened, chosen, wanted)
        with opened.database.read() as connection:
            planned = _planned(connection, opened, chosen, wanted, symbols, all_=all_)
        if not dry_run and not all(each.is_done for each in planned):
            confirm_live(opened, f"Swap {wanted.old} for {wanted.new}", yes=yes)

            def book(connection: Connection) -> None:
                planned[:] = _planned(connection, opened, chosen, wanted, symbols, all_=all_)
                carry_out(connection, opened.account, planned, wanted, opened.clock.now())

            in_loop(opened.manager.alone(book, wait=not no_wait))
        named = _still_named(opened, planned, wanted.old)

    def draw(page: Page) -> None:
        _draw(page, planned, wanted, named, dry_run=dry_run)

    payload = {
        "from": wanted.old,
        "to": wanted.new,
        "ratio": ratio,
        "dry_run": dry_run,
        "swaps": [_document(each) for each in planned],
    }
    output().emit(
        "etf.swap/1", payload, draw, columns=("index", "quantity", "received", "basket_version", "is_done")
    )


def _chosen(opened: Services, reference: str | None) -> list[Index]:
    from etf_trader.execution.look import require_own
    from etf_trader.index.store import find_index, list_indices

    with opened.database.read() as connection:
        if reference is None:
            return list_indices(connection, opened.account.id)
        found = find_index(connection, reference)
        require_own(found, opened.account.id)
        return [found]


def _symbols(opened: Services, chosen: Sequence[Index], wanted: Swap, *, force: bool) -> dict[str, str]:
    """Return the market of the successor in the quote of each index.

    Raises:
        UsageError: it has none, and --force was not given.
    """
    rules = in_loop(opened.venue.rules()).values()
    found = {rule.quote: rule.symbol for rule in rules if rule.base == wanted.new}
    for each in chosen:
        if each.quote not in found and not force:
            raise UsageError(
                f"{wanted.new} has no market in {each.quote} at the venue",
                where="--to",
                hint="etf market books lists what there is; --force swaps it all the same, and it is frozen",
            )
    return {each.quote: found.get(each.quote, f"{wanted.new}{each.quote}") for each in chosen}


def _require_like(opened: Services, chosen: Sequence[Index], wanted: Swap) -> None:
    """Refuse a ratio by which what comes is worth something else than what goes, where both trade now.

    Raises:
        UsageError: they are apart by more than a twentieth.
    """
    from etf_trader.execution.valuing import prices_now
    from etf_trader.index.prices import MID
    from etf_trader.money import money_context

    for quote in sorted({each.quote for each in chosen}):
        found = in_loop(prices_now(opened.venue, (wanted.old, wanted.new), quote))
        mids = {asset: price.value for asset, price in found.items() if price.source == MID}
        if len(mids) < 2:
            continue
        with money_context():
            goes, comes = mids[wanted.old], mids[wanted.new] * wanted.ratio
        if abs(comes - goes) * LIKE > goes:
            successor = f"{short(wanted.ratio)} {wanted.new}"
            raise UsageError(
                f"one {wanted.old} is worth {short(goes)} {quote} now, {successor} {short(comes)}",
                where="--ratio",
                hint="check the ratio; --force swaps at it all the same",
            )


def _planned(
    connection: Connection,
    opened: Services,
    chosen: Sequence[Index],
    wanted: Swap,
    symbols: Mapping[str, str],
    *,
    all_: bool,
) -> list[Swapped]:
    from etf_trader.execution.swapping import plan_swaps

    return plan_swaps(connection, opened.account, chosen, wanted, symbols, treasuries=all_)


def _still_named(opened: Services, planned: Sequence[Swapped], old: str) -> list[Index]:
    """Return the indices whose rulebook still names the coin that ended."""
    from etf_trader.index.history import versions_of

    found = []
    with opened.database.read() as connection:
        for each in planned:
            if each.index is None:
                continue
            rules = versions_of(connection, each.index.id)[-1].rules
            if rules is not None and old in (*rules.weights, *rules.universe.assets):
                found.append(each.index)
    return found


def _draw(page: Page, planned: Sequence[Swapped], wanted: Swap, named: Sequence[Index], *, dry_run: bool) -> None:
    if all(each.is_done for each in planned):
        page.line(f"{wanted.old} became {wanted.new} in the books already: nothing was changed.")
        return
    verb = "would become" if dry_run else "became"
    total, received = (
        sum((getattr(each, name) for each in planned), Decimal(0)) for name in ("quantity", "received")
    )
    page.line(f"{short(total)} {wanted.old} {verb} {short(received)} {wanted.new}.")
    table = Table(text(""), number(wanted.old), number(wanted.new), number("per unit"))
    for each in planned:
        name = "treasuries" if each.index is None else each.index.symbol
        per_unit = "-" if each.basket is None else units(each.basket.quantities.get(wanted.new, Decimal(0)))
        table.row(name, short(each.quantity), short(each.received), per_unit)
    page.table(table)
    for index in named:
        page.line(
            f"{look('Look here')}: the rulebook of {index.symbol} still names {wanted.old}. "
            f"To change it: etf index edit {index.id} --file FILE"
        )
    if dry_run:
        page.line("Nothing was written. Without --dry-run this is what happens.")
    else:
        page.line("Next: etf reconcile compares the books with what the venue holds now.")


def _document(each: Swapped) -> dict[str, Any]:
    return {
        "index": None if each.index is None else each.index.id,
        "symbol": None if each.index is None else each.index.symbol,
        "quantity": each.quantity,
        "received": each.received,
        "basket_version": None if each.basket is None else each.basket.version,
        "is_done": each.is_done,
        "accounts": [
            {"account": part.account, "quantity": part.quantity, "received": part.received} for part in each.parts
        ],
    }
