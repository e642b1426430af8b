"""`etf index history`: the rulebooks of an index and what it held, version by version."""

from __future__ import annotations

from collections.abc import Iterator, Sequence, Set
from typing import TYPE_CHECKING, Any

import typer

from etf_trader.cli.commands import command
from etf_trader.cli.index_rules import change_facts, draw_changes, sentence_of, weights_sentence
from etf_trader.cli.invocation import output
from etf_trader.cli.numbers import local_time
from etf_trader.cli.options import IndexArgument
from etf_trader.cli.output import Page, Table, right, text
from etf_trader.cli.services import services

if TYPE_CHECKING:
    from etf_trader.index.store import Basket

REASON = "management fee"
"""Why a basket is smaller that has paid its fee."""

MOST_CHANGES = 6
"""So many coins that came or went are named; the rest are counted."""


def add_to(app: typer.Typer) -> None:
    """Add the command to `etf index`."""
    seen = ("etf index history 1", "etf index history TOP8 --json")
    command(app, "history", examples=seen, csv="baskets")(history)


def history(index: IndexArgument) -> None:
    """Show the rulebooks of an index, and every version of its basket."""
    from etf_trader.index.history import versions_of
    from etf_trader.index.store import baskets_of, find_index
    from etf_trader.orders.rebalances import list_rebalances
    from etf_trader.rebalance.membership import members

    with services() as opened, opened.database.read() as connection:
        found = find_index(connection, index)
        versions = versions_of(connection, found.id)
        baskets = baskets_of(connection, found.id)
        who = members(baskets, list_rebalances(connection, index_id=found.id))

    def draw(page: Page) -> None:
        page.line(f"Index {found.id}, {found.symbol}, since {local_time(found.created_at)}.")
        for before, each in zip([None, *versions], versions, strict=False):
            page.line()
            page.line(f"Rulebook {each.version}, since {local_time(each.effective_at)}:")
            page.line(sentence_of(each) + ".")
            if before is not None:
                draw_changes(page, before, each)
            elif weights := weights_sentence(each):
                page.line(weights)
        page.line()
        table = Table(
            right("basket"),
            text("in force since"),
            right("coins", optional=1),
            text("why"),
            text("came and went", wrap=True),
        )
        for last, place, times in _told(baskets):
            basket = baskets[place]
            table.row(
                str(basket.version),
                local_time(basket.effective_at),
                str(len(who[place])),
                basket.reason + (f", {times} times" if times > 1 else ""),
                "-" if last is None else _came_and_went(who[last], who[place]),
            )
        page.table(table)

    payload = {
        "id": found.id,
        "symbol": found.symbol,
        "rulebooks": [
            {
                "version": each.version,
                "effective_at": each.effective_at,
                "document": each.document,
                "changes": [] if before is None else change_facts(before, each),
            }
            for before, each in zip([None, *versions], versions, strict=False)
        ],
        "baskets": [
            _basket_facts(basket, who[place], who[max(place - 1, 0)]) for place, basket in enumerate(baskets)
        ],
    }
    columns = ("version", "effective_at", "reason", "constituents", "cash_per_unit")
    output().emit("etf.index_history/1", payload, draw, columns=columns)


def _told(baskets: Sequence[Basket]) -> Iterator[tuple[int | None, int, int]]:
    """Yield the places of what is shown, each with the one before it: of fees taken in a row only the last."""
    before, times = None, 0
    for place, basket in enumerate(baskets):
        times += 1
        is_fee = basket.reason == REASON
        if is_fee and place + 1 < len(baskets) and baskets[place + 1].reason == REASON:
            continue
        yield before, place, times
        before, times = place, 0


def _basket_facts(basket: Basket, who: Set[str], before: Set[str]) -> dict[str, Any]:
    return {
        "version": basket.version,
        "effective_at": basket.effective_at,
        "reason": basket.reason,
        "constituents": len(who),
        "came": sorted(who - before),
        "went": sorted(before - who),
        "cash_per_unit": basket.cash_per_unit,
        "quantities": dict(basket.quantities),
    }


def _came_and_went(before: Set[str], after: Set[str]) -> str:
    """Return which coins came and which went; dust of who went counts for nothing."""
    return (
        " ".join([*_named("+", sorted(after - before)), *_named("-", sorted(before - after))]) or "the same coins"
    )


def _named(sign: str, assets: list[str]) -> list[str]:
    more = len(assets) - MOST_CHANGES
    return [f"{sign}{asset}" for asset in assets[:MOST_CHANGES]] + ([f"{sign}{more} more"] if more > 0 else [])
