"""`etf index history` and `etf index edit`: the rulebooks of an index and what it held, version by version."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from etf_trader.cli.commands import WHAT, command
from etf_trader.cli.invocation import output
from etf_trader.cli.numbers import bps_given, count, local_time, units
from etf_trader.cli.options import IndexArgument
from etf_trader.cli.output import Page, Table, right, text
from etf_trader.cli.services import in_loop, services

if TYPE_CHECKING:
    from decimal import Decimal

    from etf_trader.index.history import Version
    from etf_trader.index.methodology import Methodology
    from etf_trader.index.store import Basket

REASON = "management fee"
"""Why a basket is smaller that has paid its fee."""

MOST_CHANGES = 6
"""So many coins that came or went are named; the rest are counted."""

BY = {
    "equal": "all alike",
    "market_cap": "by market cap",
    "sqrt_market_cap": "by the root of market cap",
    "capped": "by market cap",
    "inverse_volatility": "by the inverse of volatility",
    "risk_parity": "each with the same risk",
    "momentum": "by what they gained",
    "custom": "by weights of its own",
}


FileOption = Annotated[
    Path,
    typer.Option("--file", help="The index file with the new rulebook.", metavar="FILE", rich_help_panel=WHAT),
]


def add_to(app: typer.Typer) -> None:
    """Add the commands to `etf index`."""
    seen = ("etf index history 1", "etf index history TOP8 --json")
    command(app, "history", examples=seen, csv="baskets")(history)
    command(app, "edit", examples=("etf index edit 1 --file top20.toml",))(edit)


def history(index: IndexArgument) -> None:
    """Show the rulebooks of an index, and every version of its basket."""
    from etf_trader.index.history import versions_of
    from etf_trader.index.store import baskets_of, find_index

    with services() as opened, opened.database.read() as connection:
        found = find_index(connection, index)
        versions = versions_of(connection, found.id)
        baskets = baskets_of(connection, found.id)

    def draw(page: Page) -> None:
        page.line(f"Index {found.id}, {found.symbol}, since {local_time(found.created_at)}.")
        page.line()
        for each in versions:
            page.line(f"Rulebook {each.version}, since {local_time(each.effective_at)}:")
            page.line(sentence_of(each) + ".")
        page.line()
        table = Table(
            right("basket"),
            text("in force since"),
            right("coins", optional=1),
            text("why"),
            text("came and went", wrap=True),
        )
        for before, basket, times in _told(baskets):
            table.row(
                str(basket.version),
                local_time(basket.effective_at),
                str(len(basket.quantities)),
                basket.reason + (f", {times} times" if times > 1 else ""),
                _changes(before, basket),
            )
        page.table(table)

    payload = {
        "id": found.id,
        "symbol": found.symbol,
        "rulebooks": [
            {"version": each.version, "effective_at": each.effective_at, "document": each.document}
            for each in versions
        ],
        "baskets": [_basket_facts(each) for each in baskets],
    }
    columns = ("version", "effective_at", "reason", "constituents", "cash_per_unit")
    output().emit("etf.index_history/1", payload, draw, columns=columns)


def edit(index: IndexArgument, file: FileOption) -> None:
    """Give an index another rulebook from now on; what it holds stays until it is rebalanced."""
    from etf_trader.index.definition import read_definition

    definition = read_definition(file)
    with services() as opened:
        found, before, after = in_loop(opened.administration.edit_index(index, definition))

    def draw(page: Page) -> None:
        if after.version == before.version:
            page.line(f"{found.symbol} has this rulebook already (version {before.version}): nothing was changed.")
            return
        page.line(f"{found.symbol} has rulebook {after.version} from now on:")
        page.line(f"before: {sentence_of(before)}")
        page.line(f"now:    {sentence_of(after)}")
        page.line("What it holds stays until it is rebalanced.")

    payload = {
        "id": found.id,
        "symbol": found.symbol,
        "version": after.version,
        "effective_at": after.effective_at,
        "is_new": after.version != before.version,
        "document": after.document,
    }
    output().emit("etf.index_edit/1", payload, draw)


def _told(baskets: list[Basket]) -> Iterator[tuple[Basket | None, Basket, int]]:
    """Yield the versions that are shown, each with the one before it: of fees taken in a row only the last."""
    before, times = None, 0
    for place, basket in enumerate(baskets):
        times += 1
        is_fee = basket.reason == REASON
        if is_fee and place + 1 < len(baskets) and baskets[place + 1].reason == REASON:
            continue
        yield before, basket, times
        before, times = basket, 0


def _basket_facts(basket: Basket) -> dict[str, Any]:
    return {
        "version": basket.version,
        "effective_at": basket.effective_at,
        "reason": basket.reason,
        "constituents": len(basket.quantities),
        "cash_per_unit": basket.cash_per_unit,
        "quantities": dict(basket.quantities),
    }


def _changes(before: Basket | None, after: Basket) -> str:
    """Return which coins came and which went."""
    if before is None:
        return "-"
    came = _named("+", sorted(after.quantities.keys() - before.quantities.keys()))
    went = _named("-", sorted(before.quantities.keys() - after.quantities.keys()))
    return " ".join([*came, *went]) or "the same coins"


def _named(sign: str, assets: list[str]) -> list[str]:
    more = len(assets) - MOST_CHANGES
    return [f"{sign}{asset}" for asset in assets[:MOST_CHANGES]] + ([f"{sign}{more} more"] if more > 0 else [])


def sentence_of(version: Version) -> str:
    """Return what a rulebook says, in one line."""
    if version.rules is None:
        held = version.document.get("basket") or version.document.get("weights") or {}
        return f"a fixed basket of {count(len(held), 'coin')}"
    return ", ".join(_parts(version.rules, version.document))


def _parts(rules: Methodology, document: Mapping[str, Any]) -> list[str]:
    buffers, weighting, drift = rules.buffers(), rules.weighting, rules.rebalance
    of = "from a table of market caps" if rules.universe.caps is not None else "from its list"
    found = [f"{count(buffers.count, 'coin')} {of}" if not rules.weights else count(buffers.count, "coin")]
    if (buffers.enter, buffers.exit) != (buffers.count, buffers.count):
        found.append(f"in at rank {buffers.enter}, out beyond {buffers.exit}")
    found.append(BY[weighting.by])
    found += [f"at most {_share(weighting.cap)}"] if weighting.cap is not None else []
    found += [f"at least {_share(weighting.floor)}"] if weighting.floor is not None else []
    bands = (("within", drift.absolute), ("of its weight within", drift.relative), ("in all within", drift.nav))
    found += [f"{word} {_share(width)}" for word, width in bands if width]
    found += [f"{_share(drift.turnover)} of NAV at once"] if drift.turnover < 1 else []
    found += [f"{_share(drift.reserve)} in cash"] if drift.reserve else []
    found += [f"fee {bps_given(rules.fee.management_bps)} bps a year"] if rules.fee.management_bps else []
    return [*found, f'due at "{rules.calendar.cron}"']


def _share(value: Decimal) -> str:
    return f"{units(value * 100)}%"
