"""`etf index edit`: another rulebook for an index; and what rulebooks say, and what changed in them, in words."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from etf_trader.cli.commands import WHAT, command
from etf_trader.cli.invocation import output
from etf_trader.cli.numbers import bps_given, count, units
from etf_trader.cli.options import IndexArgument
from etf_trader.cli.output import Page, Table, look, text
from etf_trader.cli.rebalances import again_from, named
from etf_trader.cli.services import in_loop, services

if TYPE_CHECKING:
    from decimal import Decimal

    from etf_trader.bootstrap import Services
    from etf_trader.index.determination import Determination
    from etf_trader.index.history import Version
    from etf_trader.index.methodology import Methodology
    from etf_trader.rebalance.determining import Caps

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
    """Add the command to `etf index`."""
    command(app, "edit", examples=("etf index edit 1 --file top20.toml",))(edit)


def edit(index: IndexArgument, file: FileOption) -> None:
    """Give an index another rulebook from now on; what it holds stays until it is rebalanced."""
    from etf_trader.index.definition import read_definition
    from etf_trader.orders.rebalances import rebalance_on

    definition = read_definition(file)
    with services() as opened:
        found, before, after = in_loop(opened.administration.edit_index(index, definition))
        if after.rules is not None:
            tell_doubts(opened, after.rules, found.quote)
        with opened.database.read() as connection:
            done = rebalance_on(connection, found.id, opened.clock.now().date())

    def draw(page: Page) -> None:
        if after.version == before.version:
            page.line(f"{found.symbol} has this rulebook already (version {before.version}): nothing was changed.")
            return
        page.line(f"{found.symbol} has rulebook {after.version} from now on:")
        page.line(sentence_of(after) + ".")
        draw_changes(page, before, after)
        page.line()
        page.line("What it holds stays until it is rebalanced.")
        if done is not None and done.status.is_final:
            page.line(f"It had its rebalance of today (order {done.id}): {again_from(done.request.due_on)}.")

    payload = {
        "id": found.id,
        "symbol": found.symbol,
        "version": after.version,
        "effective_at": after.effective_at,
        "is_new": after.version != before.version,
        "changes": change_facts(before, after),
        "document": after.document,
    }
    output().emit("etf.index_edit/1", payload, draw)


def tell_doubts(opened: Services, rules: Methodology, quote: str, caps: Caps | None = None) -> None:
    """Tell what of a rulebook is probably not meant."""
    from etf_trader.rebalance.determining import doubts_now

    for sentence in in_loop(doubts_now(opened.venue, rules, quote, caps)):
        output().note(look(sentence))


def left_out_sentences(rules: Methodology, found: Determination) -> list[str]:
    """Return who is not in, of a table only whom it cannot rank, and that there are fewer than it says."""
    told, wanted = [], rules.buffers().count
    if (has := len(found.weights)) < wanted:
        told.append(
            f"Its rulebook says {count(wanted, 'coin')}, and {has} {'is' if has == 1 else 'are'} eligible."
        )
    out = [f"{each.asset} ({each.why})" for each in found.verdicts if not each.why.is_in]
    if out and rules.universe.caps is None:
        told.append(f"Left out of its list: {', '.join(out)}.")
    if found.unranked:
        told.append(f"Left out, for want of a market cap in the table: {named(found.unranked)}.")
    return told


def draw_changes(page: Page, before: Version, after: Version) -> None:
    """Draw what the later of two rulebooks says otherwise, a line a key."""
    from etf_trader.index.changes import changes

    found = changes(before, after)
    if not found:
        return
    table = Table(text("changed"), text("before -> now", wrap=True))
    for each in found:
        table.row(each.key, f"{_said(each.before)} -> {_said(each.after)}")
    page.line()
    page.table(table)


def change_facts(before: Version, after: Version) -> list[dict[str, Any]]:
    """Return what the later of two rulebooks says otherwise, as other programs read it."""
    from etf_trader.index.changes import changes

    return [{"key": each.key, "before": each.before, "after": each.after} for each in changes(before, after)]


def _said(value: Any) -> str:
    """Return a value of an index file as a line shows it."""
    if value is None:
        return "none"
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "nobody"
    return str(value).lower() if isinstance(value, bool) else str(value)


def weights_sentence(version: Version) -> str:
    """Return the weights that a rulebook has of its own; nothing of one that makes them, or of a fixed basket."""
    if version.rules is None or not version.rules.weights:
        return ""
    order = sorted(version.rules.weights.items(), key=lambda each: (-each[1], each[0]))
    told = ", ".join(f"{asset} {_share(weight)}" for asset, weight in order)
    return f"Rulebook {version.version} weighs {told}."


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
